//! A store of a million packs: listed and verified in bounded memory.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use idswyft_vault::base::{Clock, PackId, Silent, SnapshotId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::prune::{self, PruneRequest};
use idswyft_vault::ops::retain::Survey;
use idswyft_vault::ops::thaw::PriceTable;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{Error, Listed, Listing, Stat, Store};
use jiff::{SignedDuration, Timestamp};

use super::shelf::found;
use crate::support::forward::forward;
use crate::support::is_long;
use crate::support::unread::put_snapshot;
use crate::support::vault::TestVault;

/// Length of every pack that is made up.
const PACK_LEN: u64 = 33_554_432;
/// How much verifying may need beyond what the process has.
const GROWTH_KIB_MAX: u64 = 32 * 1024;
/// How much planning a prune may need, of which 32 MiB are for what is sorted on disk.
const PRUNE_GROWTH_KIB_MAX: u64 = 48 * 1024;

/// A store with packs that are made up: names and stats, and no bytes.
struct Vast {
    inner: Arc<dyn Store>,
    count: u32,
    /// When it got them.
    stored: Timestamp,
}

pub fn made_up(index: u32) -> PackId {
    let mut bytes = [0xa5; 32];
    bytes[..4].copy_from_slice(&index.to_be_bytes());
    PackId::from_bytes(bytes)
}

impl Vast {
    fn made_up_stat(&self, key: &ObjectKey) -> Option<Stat> {
        let ObjectKey::Pack(id) = key else { return None };
        let (first, rest) = id.as_bytes().split_at(4);
        let index = u32::from_be_bytes(first.try_into().unwrap());
        let is_made_up = index < self.count && rest.iter().all(|byte| *byte == 0xa5);
        is_made_up.then(|| Stat::plain(PACK_LEN, self.stored))
    }
}

impl Store for Vast {
    forward!(inner: name url prepare put_new get get_range open delete staging_dir clean_staging);

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        match self.made_up_stat(key) {
            None => self.inner.stat(key),
            stat => Ok(stat),
        }
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let listing = self.inner.list(folder)?;
        if folder != Folder::Packs {
            return Ok(listing);
        }
        let stat = Stat::plain(PACK_LEN, self.stored);
        let packs = (0..self.count).map(move |index| ObjectKey::Pack(made_up(index)));
        Ok(Box::new(listing.chain(packs.map(move |key| Ok(Listed::Object(key, stat))))))
    }

    fn calls_at_once(&self) -> usize {
        8
    }
}

/// Puts a signed snapshot whose list names made-up packs.
pub fn put_made_up(vault: &TestVault, count: u32) -> SnapshotId {
    let packs = (0..count).map(|index| (made_up(index), PACK_LEN));
    put_snapshot(vault, &vault.stores[0], packs, None)
}

/// Returns a size of this process.
pub fn size_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
}

/// Returns the vault's store with so many packs more, which it got a hundred days ago.
pub fn vast(vault: &TestVault, count: u32) -> Arc<dyn Store> {
    let stored = vault.clock.now() - SignedDuration::from_hours(24 * 100);
    Arc::new(Vast { inner: Arc::clone(&vault.stores[0]), count, stored })
}

#[test]
fn a_store_of_very_many_packs_is_verified_in_bounded_memory() {
    let needed: u32 = if is_long() { 1_000_000 } else { 50_000 };
    let unneeded = needed;
    let vault = TestVault::new();
    let snapshot = put_made_up(&vault, needed);
    let store = vast(&vault, needed + unneeded);
    let auditor = vault.auditor(&store);
    // From here on the peak counts anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = size_kib("VmRSS");
    let report = verify::verify(&auditor, None, Level::Stored, None, &Silent);
    let growth = size_kib("VmHWM").saturating_sub(before);
    let report = report.unwrap();
    println!("{needed} packs needed, {unneeded} more: {growth} KiB");
    assert_eq!(report.object_count, u64::from(needed) + 9);
    let pending = ("record-pending", ObjectKey::Note(snapshot).to_string());
    let unreferenced = ("object-unreferenced", "packs and trees".to_owned());
    assert_eq!(found(&report), [unreferenced, pending]);
    assert!(report.findings[0].detail.starts_with(&format!("{unneeded} packs")));
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
}

#[test]
fn a_prune_of_very_many_packs_is_planned_in_bounded_memory() {
    let needed: u32 = if is_long() { 1_000_000 } else { 20_000 };
    let vault = TestVault::new();
    put_made_up(&vault, needed);
    let survey = Survey::read(vec![vault.auditor(&vast(&vault, 2 * needed))], &Silent).unwrap();
    let request = PruneRequest {
        survey: &survey,
        own: None,
        prices: &PriceTable::default(),
        is_early: false,
        scratch: vault.dir.path(),
        now: vault.clock.now(),
    };
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (size_kib("VmRSS"), Instant::now());
    let plan = prune::plan(&request, &Silent).unwrap();
    let (took, growth) = (begun.elapsed(), size_kib("VmHWM").saturating_sub(before));
    println!("{needed} packs needed, {needed} go: {growth} KiB, {} ms", took.as_millis());
    let planned = &plan.stores[0];
    assert_eq!(planned.goes.object_count, u64::from(needed));
    assert_eq!(planned.stays["needed"].amount.object_count, u64::from(needed));
    assert!(growth < PRUNE_GROWTH_KIB_MAX, "{growth} KiB");
}

#[test]
fn findings_without_number_are_counted_and_not_all_named() {
    let vault = TestVault::new();
    put_made_up(&vault, 12_000);
    let auditor = vault.auditor(&vault.stores[0]);
    let report = verify::verify(&auditor, None, Level::Stored, None, &Silent);
    let report = report.unwrap();
    let missing = found(&report).iter().filter(|(code, _)| *code == "object-missing").count();
    assert_eq!(missing, 10_000);
    let more = "more findings object-missing than the 10000 that a run names";
    assert!(report.not_covered.iter().any(|gap| gap == more), "{:?}", report.not_covered);
}

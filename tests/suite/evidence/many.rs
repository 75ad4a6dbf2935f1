//! A store of very many packs: looked at once each, and in bounded memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use idswyft_vault::base::{Clock, Digest, PackId, SnapshotId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::verify::Evidence;
use idswyft_vault::store::{
    Error, Listed, Listing, Lock, LockMode, Stat, StorageClass, Store, VersionListing, Versioned,
};
use jiff::{SignedDuration, Timestamp};

use super::{found, verify};
use crate::support::bucket::Bucket;
use crate::support::forward::forward;
use crate::support::is_long;
use crate::support::unread::put_snapshot;
use crate::support::vault::TestVault;

/// Length of every pack that is made up.
const PACK_LEN: u64 = 33_554_432;
/// How much verifying may need beyond what the process has.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// A bucket with packs that are made up, which counts what it is asked for.
pub struct Many {
    inner: Bucket,
    count: u32,
    lock: Option<Lock>,
    asked: Mutex<BTreeMap<&'static str, u64>>,
    heads: AtomicU64,
}

/// Returns the id of a pack that is made up; the first byte varies, as a digest's does.
pub fn made_up(index: u32) -> PackId {
    let mut bytes = [0xa5; 32];
    bytes[0] = index.to_le_bytes()[0];
    bytes[1..5].copy_from_slice(&index.to_be_bytes());
    PackId::from_bytes(bytes)
}

impl Many {
    /// Puts so many packs into a bucket, which are in STANDARD.
    pub fn new(inner: &Bucket, count: u32) -> Self {
        let (inner, asked, heads) = (inner.taking(8), Mutex::default(), AtomicU64::new(0));
        Self { inner, count, lock: None, asked, heads }
    }

    fn ask(&self, what: &'static str) {
        *self.asked.lock().unwrap().entry(what).or_default() += 1;
    }

    fn stat_of(&self, id: &PackId) -> Option<Stat> {
        let index = u32::from_be_bytes(id.as_bytes()[1..5].try_into().unwrap());
        let is_made_up = index < self.count && made_up(index) == *id;
        is_made_up.then(|| Stat {
            checksum: Some(Digest::from_bytes(*id.as_bytes())),
            lock: self.lock,
            class: StorageClass::Standard,
            ..Stat::plain(PACK_LEN, Timestamp::UNIX_EPOCH)
        })
    }

    /// Puts a signed snapshot whose list names them.
    pub fn put_snapshot(&self, vault: &TestVault) -> SnapshotId {
        vault.clock.pass_hours(1);
        let packs = (0..self.count).map(|index| (made_up(index), PACK_LEN));
        put_snapshot(vault, &vault.stores[0], packs.collect::<BTreeMap<_, _>>(), None)
    }
}

impl Store for Many {
    forward!(inner: name url prepare put_new delete staging_dir clean_staging);

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        assert!(key.pack().is_none(), "{key} is read");
        self.ask("GET of a record");
        self.inner.get(key, len_max)
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        assert!(key.pack().is_none(), "{key} is read");
        self.ask("GET of a record");
        self.inner.get_range(key, offset, len)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn std::io::Read + Send>, Error> {
        assert!(key.pack().is_none(), "{key} is read");
        self.ask("GET of a record");
        self.inner.open(key)
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let ObjectKey::Pack(id) = key else {
            self.ask("HEAD of a record");
            return self.inner.stat(key);
        };
        self.heads.fetch_add(1, Ordering::Relaxed);
        match self.stat_of(id) {
            None => self.inner.stat(key),
            stat => Ok(stat),
        }
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.ask("listing");
        self.inner.list(folder)
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.ask("listing");
        let Some(listing) = self.inner.list_versions(folder)? else { return Ok(None) };
        if folder != Folder::Packs {
            return Ok(Some(listing));
        }
        let packs = (0..self.count).map(made_up).map(|id| {
            let stat = self.stat_of(&id).expect("it is made up");
            let listed = Listed::Object(ObjectKey::Pack(id), Stat { checksum: None, ..stat });
            Ok(Versioned { listed, version_count: 1, is_hidden: false })
        });
        Ok(Some(Box::new(listing.chain(packs))))
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        if key.pack().is_some() {
            self.ask("versions of a pack");
        }
        self.inner.versions(key)
    }

    fn calls_at_once(&self) -> usize {
        8
    }
}

/// Returns a size of this process.
fn size_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
}

/// W-14, W-20
#[test]
fn each_of_very_many_packs_is_looked_at_once_and_none_is_read() {
    let count = if is_long() { 100_000 } else { 5_000 };
    let vault = crate::reading::shelf::Shelf::new(StorageClass::Standard, None);
    let mut many = Many::new(&vault.bucket, count);
    let until = vault.vault.clock.now() + SignedDuration::from_hours(24 * 400);
    many.lock = Some(Lock { mode: LockMode::Compliance, until });
    let snapshot = many.put_snapshot(&vault.vault);
    let report_of: PathBuf = vault.vault.path("report.csv");
    let many = Arc::new(many);
    let named: Arc<dyn Store> = Arc::new(super::provider::InBucket(many.clone()));
    let rows = (0..count).map(|index| {
        let digest = Digest::from_bytes(*made_up(index).as_bytes());
        super::provider::row(&ObjectKey::Pack(made_up(index)), &digest)
    });
    fs::write(&report_of, rows.collect::<String>()).unwrap();
    let reports = [report_of];
    let evidence = Evidence { provider_reports: &reports, ..Evidence::NONE };
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (size_kib("VmRSS"), Instant::now());
    let report = verify(&vault.vault, &named, evidence);
    let (took, growth) = (begun.elapsed(), size_kib("VmHWM").saturating_sub(before));
    let asked = std::mem::take(&mut *many.asked.lock().unwrap());
    let mut text = String::new();
    for (what, asked) in &asked {
        write!(text, ", {asked} × {what}").unwrap();
    }
    let heads = many.heads.load(Ordering::Relaxed);
    println!(
        "{count} packs: {} ms, peak {} KiB, {growth} KiB more than before; {heads} × HEAD of a \
         pack{text}",
        took.as_millis(),
        size_kib("VmHWM"),
    );
    assert_eq!(found(&report), [("record-pending", ObjectKey::Note(snapshot).to_string())]);
    let own = super::keys(&vault.bucket, Folder::Packs).len() as u64;
    assert_eq!(heads, u64::from(count) + own);
    assert!(!asked.contains_key("versions of a pack"), "{asked:?}");
    let provider = report.stored.unwrap().provider.unwrap();
    assert_eq!(provider.computed_pack_count, u64::from(count));
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
}

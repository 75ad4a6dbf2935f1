//! Pruning a vault in memory as its janitor does.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, PackId, SnapshotId};
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::event::{EventKind, EventPayload};
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops;
use idswyft_vault::ops::prune::{self, PrunePlan, PruneRequest, Pruned};
use idswyft_vault::ops::recorder::{KeptFile, Recorder, check_delegated};
use idswyft_vault::ops::retain::{Scribe, Survey};
use idswyft_vault::ops::thaw::PriceTable;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::{Content, Listed, Store};
use idswyft_vault::vault::ledger;

use crate::retention::bench::{Bench, in_memory};
use crate::support::sha256;
use crate::support::vault::noise;

/// Hours after which no writer leans on what it named last: 30 and 14 days.
pub const LEAN_HOURS: i64 = 24 * 44;
/// What a vault that slept needs accepted.
pub const SLEPT: [Acceptance; 1] = [Acceptance::Clock];

/// How a prune differs from the usual one.
#[derive(Default)]
pub struct How<'a> {
    pub accepted: &'a [Acceptance],
    pub is_early: bool,
}

/// Makes a vault whose packs are leaned on however little of them the newest snapshot uses.
pub fn lasting(policy: &str) -> Bench {
    let fields = Parameters::initial().fields().clone();
    let fields = ParameterFields { retire_below_percent: 0, ..fields };
    Bench::written_as(Parameters::try_from(fields).unwrap(), policy, 0, in_memory)
}

/// Replaces all uploads by one that no other night has.
pub fn renew(bench: &Bench, seed: u64) {
    drop(std::fs::remove_dir_all(bench.vault.path("uploads")));
    bench.vault.write("only.jpg", &noise(seed, 90_000));
}

/// Takes a snapshot of content that no other has.
pub fn own_night(bench: &Bench, seed: u64) -> SnapshotId {
    renew(bench, seed);
    bench.night()
}

fn request<'a>(
    bench: &'a Bench,
    survey: &'a Survey,
    prices: &'a PriceTable,
    how: &How<'_>,
) -> PruneRequest<'a> {
    PruneRequest {
        survey,
        own: None,
        prices,
        is_early: how.is_early,
        scratch: bench.vault.dir.path(),
        now: bench.vault.clock.now(),
    }
}

/// Plans over these stores; nothing is changed.
pub fn plan_in(bench: &Bench, stores: &[Arc<dyn Store>]) -> Result<PrunePlan, ops::Error> {
    let (survey, prices) = (bench.survey(stores)?, PriceTable::default());
    let request = request(bench, &survey, &prices, &How::default());
    prune::plan(&request, bench.vault.events.as_ref())
}

/// Plans over the vault's stores.
pub fn plan(bench: &Bench) -> PrunePlan {
    plan_in(bench, &bench.vault.stores).unwrap()
}

/// Prunes as the janitor does, over these stores.
pub fn prune_in(
    bench: &Bench,
    stores: &[Arc<dyn Store>],
    how: &How<'_>,
) -> Result<(PrunePlan, Pruned), ops::Error> {
    prune_as(bench, stores, how, &bench.janitor)
}

/// Prunes as any signer does.
pub fn prune_as(
    bench: &Bench,
    stores: &[Arc<dyn Store>],
    how: &How<'_>,
    key: &SigningKey,
) -> Result<(PrunePlan, Pruned), ops::Error> {
    let survey = bench.survey(stores)?;
    let key = SigningKey::from_secret_text(&key.to_secret_text()).unwrap();
    check_delegated(survey.note(), key.signer_id(), EventKind::PacksDeleted)?;
    let until = survey.event_locked_until(bench.vault.clock.now())?;
    let kept = KeptFile::new(&bench.vault.path("janitor"), key.signer_id());
    let (stores, outside) = (survey.stores(), bench.vault.outside());
    let (recorder, _) = Recorder::open(key, stores, &survey.logs, until, Box::new(kept), &outside)?;
    // What an interrupted run had begun counts from here on.
    let survey = bench.survey(&survey.stores())?;
    let (prices, observer) = (PriceTable::default(), bench.vault.events.as_ref());
    let request = request(bench, &survey, &prices, how);
    let plan = prune::plan(&request, observer)?;
    let mut scribe = Scribe::Own(Box::new(recorder));
    let pruned = prune::apply(&request, &plan, &mut scribe, how.accepted, observer)?;
    Ok((plan, pruned))
}

/// Prunes the vault's stores as its janitor does, however long it slept.
pub fn prune(bench: &Bench) -> Pruned {
    let how = How { accepted: &SLEPT, is_early: false };
    prune_in(bench, &bench.vault.stores, &how).unwrap().1
}

/// Returns a pack that no list names.
pub fn orphan(seed: u64) -> (ObjectKey, Vec<u8>) {
    let bytes = noise(seed, 300);
    (ObjectKey::Pack(PackId::from_bytes(*sha256(&bytes).as_bytes())), bytes)
}

/// Lets the list of a snapshot name a pack that nobody named, which is put, in every store; returns
/// the pack.
pub fn forge_list(bench: &Bench, snapshot: SnapshotId) -> ObjectKey {
    let ((key, bytes), list) = (orphan(9), ObjectKey::List(snapshot));
    let entries = [ListEntry { key, stored_len: 300 }];
    let (text, _) = list::compose(bench.vault.report.vault, snapshot, entries).unwrap();
    for store in &bench.vault.stores {
        store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
        store.delete(&list).unwrap();
        let forged = text.as_bytes();
        store.put_new(&list, Content::Bytes(forged), &sha256(forged)).unwrap();
    }
    key
}

/// Returns every object of a folder.
pub fn names(store: &Arc<dyn Store>, folder: Folder) -> BTreeSet<ObjectKey> {
    let listing = store.list(folder).unwrap();
    let object = |listed| match listed {
        Ok(Listed::Object(key, _)) => Some(key),
        _ => None,
    };
    listing.filter_map(object).collect()
}

/// Returns the snapshots of which a store has the list.
pub fn lists(store: &Arc<dyn Store>) -> BTreeSet<SnapshotId> {
    let list = |key| match key {
        ObjectKey::List(id) => Some(id),
        _ => None,
    };
    names(store, Folder::Snapshots).into_iter().filter_map(list).collect()
}

/// Returns every pack and tree object.
pub fn packs(store: &Arc<dyn Store>) -> BTreeSet<ObjectKey> {
    let packs = names(store, Folder::Packs);
    packs.into_iter().chain(names(store, Folder::Trees)).collect()
}

/// Returns what a snapshot's list names.
pub fn named_by(bench: &Bench, id: SnapshotId) -> BTreeSet<ObjectKey> {
    let auditor = bench.vault.auditor(&bench.vault.stores[0]);
    let note = auditor.snapshot(id).unwrap();
    auditor.list(&note).unwrap().into_iter().map(|entry| entry.key).collect()
}

/// Returns what ledgers of a store say was deleted from the store of this name, as often as they
/// say so.
pub fn said_deleted(bench: &Bench, store: &Arc<dyn Store>, name: &str) -> Vec<ObjectKey> {
    let logs = ledger::read_all(&bench.vault.auditor(store)).unwrap();
    let events = logs.into_iter().flat_map(|log| log.events);
    let objects = events.filter_map(|event| match event.payload {
        EventPayload::PacksDeleted(said) if said.store == name => Some(said.objects),
        _ => None,
    });
    objects.flatten().collect()
}

//! A janitor that dies at any call of any store: nothing needed is lost, and the next run ends it.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::Store;

use super::bench::{
    How, LEAN_HOURS, SLEPT, lists, named_by, own_night, packs, prune_in, said_deleted,
};
use crate::retention::bench::{Bench, copy_of, there};
use crate::support::{FaultyStore, Figure, Mode, Then};

/// P-14 P-15
#[test]
fn a_prune_killed_at_any_call_is_ended_by_the_next_run() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    let kept = own_night(&bench, 2);
    let needed = named_by(&bench, kept);
    bench.apply(&SLEPT).unwrap();
    let mut swept = 0;
    for (store, mode) in [(0, Mode::NotDone), (1, Mode::DoneButReported)] {
        let dies = |nth: &u64| dies_at(&bench, store, *nth, mode, kept, &needed);
        swept += (0..).find(|nth| !dies(nth)).unwrap();
    }
    assert!(swept > 50, "the sweep ends after {swept} calls");
    Figure {
        what: "Store calls at which a prune died and the next run ended what it began",
        test: "a_prune_killed_at_any_call_is_ended_by_the_next_run",
    }
    .record(usize::try_from(swept).unwrap());
}

/// Prunes with a store that dies at its `nth` call, then again; returns whether it did.
fn dies_at(
    bench: &Bench,
    dying: usize,
    nth: u64,
    mode: Mode,
    kept: SnapshotId,
    needed: &BTreeSet<ObjectKey>,
) -> bool {
    let place = format!("{mode:?} at call {nth} of store {dying}");
    let now = bench.vault.clock.now();
    let sound: Vec<Arc<dyn Store>> =
        bench.vault.stores.iter().map(|store| copy_of(store, now)).collect();
    // Each attempt goes on from the same log, so the janitor has to remember the same one.
    let state = bench.vault.path("janitor");
    let remembered = bench.vault.path("remembered");
    if !remembered.exists() {
        copy_dir(&state, &remembered);
    }
    drop(std::fs::remove_dir_all(&state));
    copy_dir(&remembered, &state);
    let before: Vec<BTreeSet<ObjectKey>> = sound.iter().map(packs).collect();
    let faulty = FaultyStore::new(sound[dying].clone()).fail_nth(nth, mode, Then::IsDead);
    let faulty = Arc::new(faulty);
    let mut stores = sound.clone();
    stores[dying] = faulty.clone();
    let how = How { accepted: &SLEPT, is_early: false };
    let first = prune_in(bench, &stores, &how).map(drop);
    let died = faulty.fault_count() > 0;
    assert!(first.is_ok() || died, "{place}: {first:?}");
    for (store, before) in sound.iter().zip(&before) {
        let found = packs(store);
        assert!(found.is_superset(needed), "{place}: nothing that is needed goes");
        assert!(there(store).iter().all(|ids| ids.contains(&kept)), "{place}");
        for key in before.difference(&found) {
            // I4: whatever is missing anywhere is recorded everywhere.
            let is_said = |other| said_deleted(bench, other, store.name()).contains(key);
            assert!(sound.iter().all(is_said), "{place}: {key}");
        }
    }
    prune_in(bench, &sound, &how).unwrap_or_else(|error| panic!("{place}: {error}"));
    for store in &sound {
        assert_eq!(packs(store), *needed, "{place}");
        assert!(there(store).iter().all(|ids| ids.iter().eq([&kept])), "{place}");
        assert_eq!(lists(store), [kept].into(), "{place}");
        let said = said_deleted(bench, store, store.name());
        let distinct: BTreeSet<&ObjectKey> = said.iter().collect();
        assert_eq!(distinct.len(), said.len(), "{place}: nothing is recorded twice");
    }
    died
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

//! A janitor that dies at any call of any store: nothing is lost, and the next run completes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::store::Store;

use super::bench::{Bench, copy_of, there};
use crate::support::{FaultyStore, Figure, Mode, Then};

/// F-16 F-17 F-18
#[test]
fn a_janitor_killed_at_any_call_is_completed_by_the_next_run() {
    let bench = Bench::new("keep_last = 2", 4);
    let plan = bench.plan();
    let gone: Vec<SnapshotId> = plan.dropped().map(|(one, _)| one.id).collect();
    let kept: BTreeSet<SnapshotId> = plan.kept().map(|one| one.id).collect();
    assert_eq!((gone.len(), kept.len()), (2, 2));
    let mut swept = 0;
    for (store, mode) in [(0, Mode::NotDone), (1, Mode::DoneButReported)] {
        swept += (0..).find(|nth| !dies_at(&bench, store, *nth, mode, &gone, &kept)).unwrap();
    }
    assert!(swept > 100, "the sweep ends after {swept} calls");
    Figure {
        what: "Store calls at which a janitor died and the next run completed what it began",
        test: "a_janitor_killed_at_any_call_is_completed_by_the_next_run",
    }
    .record(usize::try_from(swept).unwrap());
}

/// Applies with a store that dies at its `nth` call, then again; returns whether it did.
fn dies_at(
    bench: &Bench,
    dying: usize,
    nth: u64,
    mode: Mode,
    gone: &[SnapshotId],
    kept: &BTreeSet<SnapshotId>,
) -> bool {
    let place = format!("{mode:?} at call {nth} of store {dying}");
    let state = bench.vault.path("janitor");
    drop(std::fs::remove_dir_all(&state));
    let now = bench.plan().now();
    let sound: Vec<Arc<dyn Store>> =
        bench.vault.stores.iter().map(|store| copy_of(store, now)).collect();
    let faulty = FaultyStore::new(sound[dying].clone()).fail_nth(nth, mode, Then::IsDead);
    let faulty = Arc::new(faulty);
    let mut stores = sound.clone();
    stores[dying] = faulty.clone();
    let first = bench.apply_in(&stores, Wish::Policy, &[]);
    let died = faulty.fault_count() > 0;
    assert!(first.is_ok() || died, "{place}: {first:?}");
    for store in &sound {
        let found = there(store);
        assert!(found.iter().all(|ids| ids.is_superset(kept)), "{place}");
        assert!(found[1].is_superset(&found[0]), "{place}");
        for id in gone.iter().filter(|id| found.iter().any(|ids| !ids.contains(id))) {
            // I4: whatever is missing anywhere is recorded everywhere.
            let is_said = |store| bench.said_forgotten(store).contains(id);
            assert!(sound.iter().all(is_said), "{place}: {id}");
        }
    }
    bench.apply_in(&sound, Wish::Policy, &[]).unwrap_or_else(|error| panic!("{place}: {error}"));
    for store in &sound {
        assert_eq!(bench.said_forgotten(store), gone, "{place}");
        assert!(there(store).iter().all(|ids| ids == kept), "{place}");
    }
    died
}

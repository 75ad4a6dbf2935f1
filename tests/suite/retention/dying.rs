//! A shredder that dies at any call of any store: nothing is erased that is not recorded, and the
//! next run completes it.

use std::sync::Arc;

use idswyft_vault::store::Store;

use super::bench::{Bench, copy_of};
use super::shredding::Shredder;
use crate::support::{FaultyStore, Mode, Then, is_long};

/// G-6 G-8 G-10
#[test]
fn a_shredder_killed_at_any_call_is_completed_by_the_next_run() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    let mut swept = 0;
    let step = if is_long() { 1 } else { 3 };
    for (store, mode) in [(0, Mode::NotDone), (1, Mode::DoneButReported)] {
        let mut calls = (store as u64..).step_by(step);
        swept += calls.find(|nth| !dies_at(&shredder, store, *nth, mode)).unwrap();
    }
    assert!(swept > 100, "the sweep ends after {swept} calls");
}

/// Shreds with a store that dies at its `nth` call, then again; returns whether it did.
fn dies_at(shredder: &Shredder, dying: usize, nth: u64, mode: Mode) -> bool {
    let place = format!("{mode:?} at call {nth} of store {dying}");
    let vault = &shredder.bench.vault;
    drop(std::fs::remove_dir_all(vault.path("shredder")));
    let now = shredder.bench.plan().now();
    let sound: Vec<Arc<dyn Store>> = vault.stores.iter().map(|it| copy_of(it, now)).collect();
    let faulty = FaultyStore::new(sound[dying].clone()).fail_nth(nth, mode, Then::IsDead);
    let faulty = Arc::new(faulty);
    let mut stores = sound.clone();
    stores[dying] = faulty.clone();
    let first = shredder.shred_in(&stores);
    let died = faulty.fault_count() > 0;
    assert!(first.is_ok() || died, "{place}: {:?}", first.err());
    let is_erased = |store: &Arc<dyn Store>| shredder.key_files(store).is_empty();
    if sound.iter().any(is_erased) {
        // I4: whatever is gone anywhere is recorded everywhere.
        assert!(sound.iter().all(|store| !shredder.said(store).is_empty()), "{place}");
    }
    let second = shredder.shred_in(&sound).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(second.certificate.is_some(), "{place}");
    for store in &sound {
        assert!(is_erased(store), "{place}");
        let said = shredder.said(store);
        let before = said.iter().filter(|said| said.certificate.is_none()).count();
        assert_eq!(before, 1, "{place}: it is recorded once");
        assert!(said.len() > before, "{place}");
    }
    died
}

//! What goes, what stays, and in which order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Clock, Code, Coded, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::role::Role;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::ops::signers;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::{Content, Store};
use idswyft_vault::vault::ledger;

use super::bench::{
    How, LEAN_HOURS, SLEPT, lists, named_by, names, orphan, own_night, packs, plan, plan_in, prune,
    prune_as, prune_in, said_deleted,
};
use crate::retention::bench::{Bench, there};
use crate::support::{Call, FaultyStore, Mode, sha256};

/// P-1 P-2 P-3 P-9
#[test]
fn what_only_forgotten_snapshots_needed_goes_and_everything_else_stays() {
    let bench = Bench::new("keep_last = 1", 0);
    let gone = own_night(&bench, 1);
    let only_gone = named_by(&bench, gone);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    let kept = own_night(&bench, 2);
    bench.apply(&[Acceptance::Clock]).unwrap();
    let needed = named_by(&bench, kept);
    assert!(only_gone.is_disjoint(&needed) && !only_gone.is_empty());
    let untouched = |store: &Arc<dyn Store>| {
        [Folder::Vault, Folder::Generations].map(|folder| names(store, folder))
    };
    let before = untouched(&bench.vault.stores[0]);
    let pruned = prune(&bench);
    assert_eq!(pruned.swept.len(), 2);
    for store in &bench.vault.stores {
        assert_eq!(packs(store), needed);
        assert_eq!(untouched(store), before);
        assert!(there(store).iter().all(|ids| ids.iter().eq([&kept])));
        assert_eq!(lists(store), [kept].into());
        assert_eq!(names(store, Folder::Segments), [ObjectKey::Segment(kept)].into());
        // A list, a segment, and what only it named.
        let deleted = said_deleted(&bench, store, store.name());
        assert_eq!(deleted.len(), only_gone.len() + 2);
    }
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    assert!(!plan(&bench).goes(), "nothing is left to do");
}

/// P-4 P-16
#[test]
fn what_a_forgotten_snapshot_named_stays_as_long_as_its_writer_may_lean_on_it() {
    let bench = Bench::new("keep_last = 1", 0);
    let old = own_night(&bench, 1);
    let content = named_by(&bench, old);
    // Long ago it was stored, and lately a snapshot named it again that is forgotten now.
    bench.vault.clock.pass_hours(24 * 28);
    let lately = bench.night();
    let shared = &content & &named_by(&bench, lately);
    assert!(!shared.is_empty(), "it is named again, and not stored anew");
    let later = own_night(&bench, 2);
    bench.apply(&[Acceptance::Clock, Acceptance::Many]).unwrap();
    assert!(there(&bench.vault.stores[0])[0].iter().eq([&later]));
    let known = lists(&bench.vault.stores[0]);
    assert_eq!(known, [old, lately, later].into(), "what they named is still known");
    bench.vault.clock.pass_hours(24 * 42);
    prune(&bench);
    for store in &bench.vault.stores {
        // 30 and 14 days have not passed since it was named last.
        assert!(packs(store).is_superset(&shared));
        assert_eq!(lists(store), [lately, later].into());
    }
    bench.vault.clock.pass_hours(24 * 2);
    prune(&bench);
    for store in &bench.vault.stores {
        assert!(packs(store).is_disjoint(&content));
        assert_eq!(lists(store), [later].into(), "the others are of no use any more");
    }
}

/// P-6
#[test]
fn what_a_crashed_run_left_stays_for_as_long_and_then_goes() {
    let bench = Bench::new("keep_last = 1", 1);
    let orphans = [1, 2].map(orphan);
    for store in &bench.vault.stores {
        for (key, bytes) in &orphans {
            store.put_new(key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
        }
    }
    bench.vault.clock.pass_hours(LEAN_HOURS - 26);
    bench.night();
    assert!(!plan(&bench).goes());
    bench.vault.clock.pass_hours(3);
    prune(&bench);
    for store in &bench.vault.stores {
        assert!(orphans.iter().all(|(key, _)| store.stat(key).unwrap().is_none()));
        assert!(there(store)[0].len() == 2, "snapshots are not prune's");
    }
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-3
#[test]
fn a_snapshot_whose_note_one_store_lost_is_needed_in_all() {
    let bench = Bench::new("keep_last = 2", 0);
    let first = own_night(&bench, 1);
    let content = named_by(&bench, first);
    own_night(&bench, 2);
    bench.vault.clock.pass_hours(LEAN_HOURS * 2);
    let damaged = &bench.vault.stores[0];
    for key in [ObjectKey::Note(first), ObjectKey::List(first), ObjectKey::Body(first)] {
        damaged.delete(&key).unwrap();
    }
    assert!(!plan(&bench).goes());
    assert!(packs(damaged).is_superset(&content));
}

/// P-13
#[test]
fn while_a_store_does_not_answer_nothing_goes_in_any() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    bench.vault.clock.pass_hours(LEAN_HOURS);
    let fails = |call: &Call| matches!(call, Call::List(Folder::Snapshots));
    let mirror = FaultyStore::new(bench.vault.stores[1].clone());
    let mirror: Arc<dyn Store> = Arc::new(mirror.fail_calls(Mode::NotDone, fails));
    let stores = [bench.vault.stores[0].clone(), mirror];
    let error = plan_in(&bench, &stores).err().unwrap();
    assert_eq!(error.code(), Code::StoreUnavailable);
}

/// P-14
#[test]
fn every_name_is_recorded_in_every_store_before_anything_is_deleted_anywhere() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let watched = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        let (name, calls) = (store.name().to_owned(), Arc::clone(&calls));
        let watch = move |call: &Call| {
            if matches!(call, Call::PutNew(_) | Call::Delete(_)) {
                calls.lock().unwrap().push((name.clone(), *call));
            }
            false
        };
        Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::NotDone, watch))
    };
    let stores: Vec<_> = bench.vault.stores.iter().map(watched).collect();
    prune_in(&bench, &stores, &How { accepted: &SLEPT, is_early: false }).unwrap();
    let calls = calls.lock().unwrap();
    let is_delete = |(_, call): &(String, Call)| matches!(call, Call::Delete(_));
    let first = calls.iter().position(is_delete).unwrap();
    assert!(calls[first..].iter().all(is_delete));
    for store in &bench.vault.stores {
        for other in &bench.vault.stores {
            let mut deleted: Vec<ObjectKey> = calls
                .iter()
                .filter_map(|(name, call)| match call {
                    Call::Delete(key) if name == other.name() => Some(*key),
                    _ => None,
                })
                .collect();
            deleted.sort();
            let mut said = said_deleted(&bench, store, other.name());
            said.sort();
            assert_eq!(said, deleted);
            assert!(!deleted.is_empty());
        }
    }
}

/// Returns the stores, of which the mirror takes no event.
fn without_events_in_the_mirror(bench: &Bench) -> [Arc<dyn Store>; 2] {
    let refuses = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerCheckpoint(..)));
    let mirror = FaultyStore::new(bench.vault.stores[1].clone());
    [bench.vault.stores[0].clone(), Arc::new(mirror.fail_calls(Mode::NotDone, refuses))]
}

/// P-14
#[test]
fn while_one_store_does_not_take_the_event_nothing_is_deleted() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    let before: Vec<_> = bench.vault.stores.iter().map(packs).collect();
    let stores = without_events_in_the_mirror(&bench);
    let how = How { accepted: &SLEPT, is_early: false };
    let error = prune_in(&bench, &stores, &how).err().unwrap();
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert_eq!(bench.vault.stores.iter().map(packs).collect::<Vec<_>>(), before);
    prune(&bench);
    for store in &bench.vault.stores {
        let said = said_deleted(&bench, store, "local");
        let distinct: BTreeSet<&ObjectKey> = said.iter().collect();
        assert!(!said.is_empty() && said.len() == distinct.len(), "nothing is recorded again");
    }
}

/// P-4 P-15
#[test]
fn what_was_recorded_and_not_deleted_stays_if_a_list_names_it_meanwhile() {
    let bench = Bench::new("keep_last = 1", 0);
    let content = named_by(&bench, own_night(&bench, 1));
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    let refuses = |call: &Call| matches!(call, Call::Delete(_));
    let keeping = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::NotDone, refuses))
    };
    let stores: Vec<_> = bench.vault.stores.iter().map(keeping).collect();
    let how = How { accepted: &SLEPT, is_early: false };
    let (_, pruned) = prune_in(&bench, &stores, &how).unwrap();
    assert!(pruned.swept.iter().all(|swept| swept.left_count > 0));
    assert!(bench.vault.events.warnings().contains(&Code::PruneWaiting));
    let recorded = said_deleted(&bench, &bench.vault.stores[0], "local");
    assert!(content.iter().all(|key| recorded.contains(key)));
    // A run that is about to be a snapshot has put its list into one store, and no note yet.
    let now = bench.vault.clock.now();
    let (id, kept) = (SnapshotId::new(now, [9; 4]), *content.first().unwrap());
    let entries = [ListEntry { key: kept, stored_len: 1 }];
    let (text, _) = list::compose(bench.vault.report.vault, id, entries).unwrap();
    let (key, bytes) = (ObjectKey::List(id), text.as_bytes());
    bench.vault.stores[1].put_new(&key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
    prune(&bench);
    for store in &bench.vault.stores {
        assert_eq!(packs(store).intersection(&content).collect::<Vec<_>>(), [&kept]);
    }
    assert_eq!(said_deleted(&bench, &bench.vault.stores[0], "local"), recorded);
}

/// P-14
#[test]
fn more_names_than_an_event_may_have_are_recorded_by_several() {
    let bench = Bench::new("keep_last = 1", 1);
    let store = &bench.vault.stores[0];
    for (key, bytes) in (0..2001).map(orphan) {
        store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    }
    bench.vault.clock.pass_hours(LEAN_HOURS);
    bench.night();
    let before = packs(store).len();
    let pruned = prune(&bench);
    assert_eq!(pruned.swept[0].deleted.object_count, 2001);
    assert_eq!(packs(store).len(), before - 2001);
    let logs = ledger::read_all(&bench.vault.auditor(store)).unwrap();
    let counts = logs.iter().flat_map(|log| &log.events).filter_map(|event| match &event.payload {
        EventPayload::PacksDeleted(said) => Some(said.objects.len()),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [2000, 1]);
}

/// P-14
#[test]
fn what_another_signer_recorded_in_one_store_only_is_recorded_everywhere_before_it_goes() {
    let bench = Bench::new("keep_last = 1", 0);
    let other = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
    let events = signers::events_for(Role::Janitor, &[]).unwrap();
    let (key, observer) = (other.verification_key(), bench.vault.events.as_ref());
    signers::add(&mut bench.desk(), key, Role::Janitor, events, observer).unwrap();
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    let before: Vec<_> = bench.vault.stores.iter().map(packs).collect();
    let stores = without_events_in_the_mirror(&bench);
    let how = How { accepted: &SLEPT, is_early: false };
    assert!(prune_in(&bench, &stores, &how).is_err());
    prune_as(&bench, &bench.vault.stores, &how, &other).unwrap();
    for (store, before) in bench.vault.stores.iter().zip(&before) {
        let gone: Vec<ObjectKey> = before.difference(&packs(store)).copied().collect();
        assert!(!gone.is_empty());
        for witness in &bench.vault.stores {
            let said = said_deleted(&bench, witness, store.name());
            assert!(gone.iter().all(|key| said.contains(key)), "{}", witness.name());
        }
    }
}

/// P-3
#[test]
fn a_snapshot_that_is_recorded_as_forgotten_is_needed_until_its_note_is_gone() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    let refuses = |call: &Call| matches!(call, Call::Delete(_));
    let keeping = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::NotDone, refuses))
    };
    let stores: Vec<_> = bench.vault.stores.iter().map(keeping).collect();
    let applied = bench.apply_in(&stores, Wish::Policy, &SLEPT).unwrap();
    assert_eq!(applied.forgotten.len(), 1);
    assert!(!plan(&bench).goes(), "who looks at floor, hold and guards deletes the note");
    bench.apply(&SLEPT).unwrap();
    assert!(plan(&bench).goes());
}

/// P-23
#[test]
fn a_verification_takes_what_waits_to_be_pruned_for_no_leftover_and_what_was_planted_for_one() {
    let bench = Bench::new("keep_last = 1", 0);
    let gone = own_night(&bench, 1);
    own_night(&bench, 2);
    bench.apply(&[]).unwrap();
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    // A pack, and a list of a snapshot that nobody took, which names it.
    let ((key, bytes), now) = (orphan(9), bench.vault.clock.now());
    let id = SnapshotId::new(now, [9; 4]);
    let entries = [ListEntry { key, stored_len: 300 }];
    let (text, _) = list::compose(bench.vault.report.vault, id, entries).unwrap();
    let store = &bench.vault.stores[0];
    store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    let list = ObjectKey::List(id);
    store.put_new(&list, Content::Bytes(text.as_bytes()), &sha256(text.as_bytes())).unwrap();
    let found = bench.vault.verify(Level::Stored).findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, Code::ObjectUnreferenced);
    assert!(found[0].detail.starts_with("1 packs of 300 bytes"), "{found:?}");
    // Without its list nobody says that it waits.
    bench.vault.stores.iter().for_each(|store| store.delete(&ObjectKey::List(gone)).unwrap());
    let found = bench.vault.verify(Level::Stored).findings;
    assert!(!found[0].detail.starts_with("1 packs"), "{found:?}");
}

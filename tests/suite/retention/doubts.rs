//! Stores that do not say the same: two notes of one id, a mirror that lags, a signer that was
//! retired.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, SnapshotId};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::SnapshotForgotten;
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::ops::signers;
use idswyft_vault::store::{Content, Listed, Store};
use jiff::{SignedDuration, Timestamp};

use super::bench::{ALL, Bench, copy_of, copy_with, there};
use crate::support::sha256;

fn replace(store: &Arc<dyn Store>, key: &ObjectKey, bytes: &[u8]) {
    drop(store.delete(key));
    store.put_new(key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
}

/// Signs a note as the host does.
fn signed(bench: &Bench, note: &SnapshotNote) -> Vec<u8> {
    bench.vault.writer().key().sign(&note.compose().unwrap()).unwrap()
}

fn first_note(bench: &Bench) -> SnapshotNote {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    survey.signed().next().unwrap().clone()
}

fn forgotten(snapshot: SnapshotId) -> EventPayload {
    let (rule, by) = ("none".to_owned(), "me".to_owned());
    EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by })
}

/// F-28
#[test]
fn a_store_without_a_clock_makes_nothing_older_than_it_is() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'\nceiling = '60d'", 3);
    let now = bench.vault.clock.now();
    let clockless = |store| copy_with(store, now, |_| Timestamp::UNIX_EPOCH);
    let stores: Vec<Arc<dyn Store>> = bench.vault.stores.iter().map(clockless).collect();
    for stores in [&stores[..], &[bench.vault.stores[0].clone(), stores[1].clone()]] {
        let applied = bench.apply_in(stores, Wish::Policy, &ALL).unwrap();
        assert_eq!(applied.forgotten, []);
        assert!(stores.iter().all(|store| there(store).iter().all(|ids| ids.len() == 3)));
        let named = [first_note(&bench).snapshot];
        let error = bench.apply_in(stores, Wish::Named(&named), &ALL).unwrap_err();
        assert_eq!(error.code(), Code::SnapshotPromised);
    }
}

/// F-30
#[test]
fn a_second_note_for_an_id_ends_no_floor_wherever_it_is_read_first() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'", 2);
    let note = first_note(&bench);
    let rival = SnapshotNote { floor: None, ..note.clone() };
    replace(&bench.vault.stores[0], &ObjectKey::Note(note.snapshot), &signed(&bench, &rival));
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let notes: Vec<_> = survey.signed().filter(|one| one.snapshot == note.snapshot).collect();
    assert_eq!(notes, [&note], "the ledger records that one");
    assert_eq!(bench.apply(&ALL).unwrap().forgotten, []);
}

/// F-30
#[test]
fn of_two_notes_that_no_ledger_records_each_keeps_what_it_keeps() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'", 2);
    let first = first_note(&bench);
    let id = SnapshotId::new(first.time, [9; 4]);
    let note = SnapshotNote { snapshot: id, floor: None, ..first };
    let rival = SnapshotNote { floor: first.floor, keep_tag: true, ..note.clone() };
    for (store, note) in bench.vault.stores.iter().zip([&note, &rival]) {
        replace(store, &ObjectKey::Note(id), &signed(&bench, note));
    }
    bench.vault.events.all();
    let survey = bench.survey(&bench.vault.stores).unwrap();
    assert!(bench.vault.events.warnings().contains(&Code::NoteMismatch));
    let found = survey.candidate(id);
    assert!(found.floor == rival.floor && found.keep_tag, "{found:?}");
    assert_eq!(survey.signed().filter(|one| one.snapshot == id).count(), 2);
}

/// F-31
#[test]
fn what_a_signer_says_after_it_was_retired_counts_in_no_mirror_that_lags() {
    let bench = Bench::new("keep_last = 1", 2);
    let now = bench.vault.clock.now();
    let lagging = copy_of(&bench.vault.stores[1], now);
    let (id, observer) = (bench.plan().planned()[0].candidate.id, bench.vault.events.as_ref());
    signers::retire(&mut bench.desk(), bench.janitor.signer_id(), observer).unwrap();
    let later = bench.vault.clock.now() + SignedDuration::from_hours(1);
    let lagging: [Arc<dyn Store>; 1] = [lagging];
    bench.forge(&lagging, later, forgotten(id));
    // Whichever of them is read first.
    let stores = [lagging[0].clone(), bench.vault.stores[0].clone()];
    let survey = bench.survey(&stores).unwrap();
    assert!(survey.forgotten.is_empty() && survey.candidates.len() == 2);
}

/// F-31
#[test]
fn what_a_retired_signer_dates_back_does_not_count_and_what_it_said_before_does() {
    let bench = Bench::new("keep_last = 1", 3);
    bench.vault.clock.pass_hours(1);
    let (id, observer) = (bench.plan().planned()[0].candidate.id, bench.vault.events.as_ref());
    let before = bench.vault.clock.now();
    bench.vault.clock.pass_hours(1);
    signers::retire(&mut bench.desk(), bench.janitor.signer_id(), observer).unwrap();
    bench.vault.clock.pass_hours(24 * 9);
    bench.forge(&bench.vault.stores, before, forgotten(id));
    let survey = bench.survey(&bench.vault.stores).unwrap();
    assert!(survey.forgotten.is_empty() && survey.candidates.len() == 3);

    let bench = Bench::new("keep_last = 1", 2);
    assert_eq!(bench.apply(&ALL).unwrap().forgotten.len(), 1);
    bench.vault.clock.pass_hours(1);
    let observer = bench.vault.events.as_ref();
    signers::retire(&mut bench.desk(), bench.janitor.signer_id(), observer).unwrap();
    assert_eq!(bench.survey(&bench.vault.stores).unwrap().forgotten.len(), 1);
}

/// F-26
#[test]
fn a_damaged_newer_vault_note_stops_everything_though_a_mirror_lacks_it() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'", 2);
    let lagging = copy_of(&bench.vault.stores[1], bench.vault.clock.now());
    bench.desk().operator.publish(&[], |_| {}).unwrap();
    let newest = bench.vault.stores[0].list(Folder::Vault).unwrap().map(Result::unwrap);
    let number = |listed| match listed {
        Listed::Object(ObjectKey::Vault(number), _) => Some(number),
        _ => None,
    };
    let newest = ObjectKey::Vault(newest.filter_map(number).max().unwrap());
    replace(&bench.vault.stores[0], &newest, b"damaged");
    let stores = [bench.vault.stores[0].clone(), lagging];
    let error = bench.survey(&stores).err().unwrap();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains(&newest.to_string()), "{error}");
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 2));
}

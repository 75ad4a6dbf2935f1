//! Legal holds of stores, where the ledgers say that a hold stands: `retention.md` §5.1.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::legal_holds::{self, StoreHeld};
use idswyft_vault::store::{LockMode, StorageClass, Store};

use super::bench::Bench;
use super::holds::{first, operator, place, release, rows};
use crate::support::bucket::{Bucket, Rights};
use crate::support::{Call, names_in};

/// Makes a vault of some nights in a bucket that locks; one document is in all of them.
fn in_bucket(count: u32) -> (Bench, Bucket) {
    let (policy, lock) = ("keep_last = 1", Some(LockMode::Governance));
    let parameters = Parameters::initial();
    let (bench, bucket) = Bench::in_bucket(parameters, policy, 0, StorageClass::Standard, lock);
    bench.vault.write("document", b"the same every night");
    for _ in 0..count {
        bench.night();
    }
    (bench, bucket)
}

fn settle_in(bench: &Bench, store: Arc<dyn Store>) -> StoreHeld {
    let survey = bench.survey(&[store]).unwrap();
    let (now, observer) = (bench.vault.clock.now(), bench.vault.events.as_ref());
    legal_holds::settle(&survey, now, observer).unwrap().remove(0)
}

fn settle(bench: &Bench) -> StoreHeld {
    settle_in(bench, bench.vault.stores[0].clone())
}

/// Returns every name under a legal hold.
fn held(bucket: &Bucket) -> Vec<String> {
    let names = names_in(bucket).into_iter();
    names.filter(|name| bucket.is_held(&name.parse().unwrap()).unwrap()).collect()
}

/// Returns what a snapshot needs, by its signed list.
fn needed(bench: &Bench, id: SnapshotId) -> Vec<String> {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let note = &survey.notes[&id][0];
    let listed = survey.auditors[0].list(note).unwrap();
    let own = [ObjectKey::Note(id), ObjectKey::List(id), ObjectKey::Body(id)];
    let own = own.into_iter().chain([ObjectKey::Segment(id)]);
    let key_file = ObjectKey::Generation(note.generation, 1);
    let all = listed.iter().map(|entry| entry.key).chain(own).chain([key_file]);
    let mut names: Vec<String> = all.map(|key| key.to_string()).collect();
    names.sort();
    names
}

/// F-40
#[test]
fn a_hold_is_put_on_all_that_the_snapshot_needs_in_a_store_that_locks() {
    let (bench, bucket) = in_bucket(3);
    let first = first(&bench);
    place(&bench, &operator(&bench), first, None).unwrap();
    bucket.forget_calls();
    let report = settle(&bench);
    let calls = bucket.calls();
    assert_eq!(report.held_count, needed(&bench, first).len() as u64);
    assert_eq!(held(&bucket), needed(&bench, first));
    let set = calls.into_iter().rfind(|call| matches!(call, Call::Hold(_)));
    assert_eq!(set, Some(Call::Hold(ObjectKey::Note(first))), "the note is the last");
    // No lock keeps these objects for so long, and nobody deletes them.
    bench.vault.clock.pass_hours(24 * 4000);
    for name in held(&bucket) {
        assert!(bucket.delete(&name.parse().unwrap()).is_err(), "{name}");
        assert!(Store::erase(&bucket, &name.parse().unwrap()).is_err(), "{name}");
    }
    let again = settle(&bench);
    assert_eq!((again.held_count, again.released_count, again.unsettled_count), (0, 0, 0));
}

/// F-41
#[test]
fn what_another_hold_needs_stays_held_when_one_is_released() {
    let (bench, bucket) = in_bucket(3);
    let ids: Vec<SnapshotId> = bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    for id in &ids[..2] {
        place(&bench, &operator(&bench), *id, None).unwrap();
    }
    settle(&bench);
    release(&bench, &operator(&bench), rows(&bench).remove(0));
    let report = settle(&bench);
    assert!(report.released_count > 0 && report.unsettled_count == 0, "{report:?}");
    assert_eq!(held(&bucket), needed(&bench, ids[1]), "the document is in both");
    release(&bench, &operator(&bench), rows(&bench).remove(1));
    settle(&bench);
    assert!(held(&bucket).is_empty());
}

/// F-42
#[test]
fn a_hold_that_ended_by_itself_is_taken_off_by_the_next_settling() {
    let (bench, bucket) = in_bucket(2);
    let until = bench.vault.clock.now() + jiff::SignedDuration::from_hours(48);
    place(&bench, &operator(&bench), first(&bench), Some(until)).unwrap();
    settle(&bench);
    assert!(!held(&bucket).is_empty());
    bench.vault.clock.pass_hours(72);
    let report = settle(&bench);
    assert!(report.released_count > 0, "{report:?}");
    assert!(held(&bucket).is_empty());
}

/// F-42
#[test]
fn what_could_not_be_held_is_a_warning_and_the_next_settling_goes_on() {
    let (bench, bucket) = in_bucket(2);
    let first = first(&bench);
    place(&bench, &operator(&bench), first, None).unwrap();
    let limited: Arc<dyn Store> = Arc::new(bucket.seen_by(Rights { put: false, ..Rights::ALL }));
    let report = settle_in(&bench, limited);
    assert_eq!((report.held_count, report.unsettled_count), (0, 1));
    assert!(bench.vault.events.warnings().contains(&Code::LockShort));
    // It died in the middle: all but the note.
    for name in needed(&bench, first).iter().filter(|name| !name.ends_with(".note")) {
        bucket.set_held(&name.parse().unwrap(), true).unwrap();
    }
    assert!(settle(&bench).held_count > 0);
    assert_eq!(held(&bucket), needed(&bench, first));
}

/// F-40
#[test]
fn a_store_that_locks_nothing_has_no_legal_holds() {
    let bench = Bench::new("keep_last = 1", 2);
    place(&bench, &operator(&bench), first(&bench), None).unwrap();
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let (now, observer) = (bench.vault.clock.now(), bench.vault.events.as_ref());
    assert!(legal_holds::settle(&survey, now, observer).unwrap().is_empty());
}

//! What stops a prune, or makes it wait: guards, locks, money, and what somebody planted.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, Digest};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::HoldPlaced;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::prune::PrunePlan;
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::{Content, LockMode, MemoryStore, StorageClass, Store};
use jiff::Timestamp;

use super::bench::{
    How, LEAN_HOURS, SLEPT, named_by, orphan, own_night, packs, plan, prune, prune_in,
};
use crate::retention::bench::Bench;
use crate::support::bucket::Bucket;
use crate::support::sha256;

/// Makes a vault in one bucket.
fn in_bucket(policy: &str, class: StorageClass, lock: Option<LockMode>) -> (Bench, Bucket) {
    Bench::in_bucket(Parameters::initial(), policy, 0, class, lock)
}

fn stays(plan: &PrunePlan, reason: &str) -> u64 {
    plan.stores[0].stays.get(reason).map_or(0, |stays| stays.amount.object_count)
}

fn refused(bench: &Bench, accepted: &[Acceptance]) -> String {
    let how = How { accepted, is_early: false };
    let error = prune_in(bench, &bench.vault.stores, &how).map(drop).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::RetentionGuarded, 1));
    error.to_string()
}

/// P-8
#[test]
fn what_a_cold_class_is_paid_for_waits_and_tells_what_it_would_cost() {
    let (bench, _) = in_bucket("keep_last = 1", StorageClass::DeepArchive, None);
    let gone = own_night(&bench, 1);
    let content = named_by(&bench, gone);
    let cold = content.iter().filter(|key| matches!(key, ObjectKey::Pack(_))).count() as u64;
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    let waiting = plan(&bench);
    assert_eq!(stays(&waiting, "paid"), cold);
    assert!(waiting.stores[0].charge.0 > 0);
    prune(&bench);
    assert_eq!(packs(&bench.vault.stores[0]).intersection(&content).count() as u64, cold);
    // Who wants it gone says so.
    let early = How { accepted: &SLEPT, is_early: true };
    prune_in(&bench, &bench.vault.stores, &early).unwrap();
    assert!(packs(&bench.vault.stores[0]).is_disjoint(&content));
}

/// P-8
#[test]
fn when_its_time_is_paid_a_cold_pack_goes() {
    let (bench, _) = in_bucket("keep_last = 1", StorageClass::DeepArchive, None);
    let content = {
        let gone = own_night(&bench, 1);
        named_by(&bench, gone)
    };
    bench.vault.clock.pass_hours(24 * 180);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    prune(&bench);
    assert!(packs(&bench.vault.stores[0]).is_disjoint(&content));
}

/// P-7
#[test]
fn what_a_store_locks_stays_until_the_lock_has_passed() {
    let lock = Some(LockMode::Governance);
    let (bench, bucket) = in_bucket("keep_last = 1", StorageClass::Standard, lock);
    own_night(&bench, 1);
    let (key, bytes) = orphan(5);
    let until = bench.plan().now() + jiff::SignedDuration::from_hours(24 * 60);
    let locking = bucket.locking(until).unwrap();
    locking.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    assert_eq!(stays(&plan(&bench), "locked"), 1);
    bench.vault.clock.pass_hours(24 * 20);
    prune(&bench);
    assert!(!packs(&bench.vault.stores[0]).contains(&key));
}

/// P-3
#[test]
fn what_a_held_snapshot_needs_stays_though_a_ledger_says_it_is_forgotten() {
    let bench = Bench::new("keep_last = 1", 0);
    let held = own_night(&bench, 1);
    let content = named_by(&bench, held);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    // Placed after it was forgotten: its list still says what it needs.
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    let hold = HoldPlaced { snapshot: held, until: None, reason_digest, reason_sealed };
    bench.say(EventPayload::HoldPlaced(hold));
    prune(&bench);
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_superset(&content)));
}

/// P-10
#[test]
fn a_note_that_verifies_nowhere_still_keeps_what_its_list_names() {
    let bench = Bench::new("keep_last = 3", 0);
    let id = own_night(&bench, 1);
    let content = named_by(&bench, id);
    own_night(&bench, 2);
    let (key, junk) = (ObjectKey::Note(id), b"junk");
    for store in &bench.vault.stores {
        store.delete(&key).unwrap();
        store.put_new(&key, Content::Bytes(junk), &sha256(junk)).unwrap();
    }
    bench.vault.clock.pass_hours(LEAN_HOURS * 2);
    assert!(!plan(&bench).goes());
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_superset(&content)));
}

/// P-11
#[test]
fn a_snapshot_that_vanished_with_its_list_stops_the_prune_until_that_is_accepted() {
    let bench = Bench::new("keep_last = 3", 0);
    let lost = own_night(&bench, 1);
    let content = named_by(&bench, lost);
    own_night(&bench, 2);
    for store in &bench.vault.stores {
        for key in [ObjectKey::Note(lost), ObjectKey::List(lost), ObjectKey::Body(lost)] {
            store.delete(&key).unwrap();
        }
    }
    bench.vault.clock.pass_hours(LEAN_HOURS * 2);
    own_night(&bench, 3);
    let told = refused(&bench, &SLEPT);
    assert!(
        told.contains("`prune --apply --accept-missing`") && told.contains(&lost.to_string()),
        "{told}"
    );
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_superset(&content)));
    let accepted = [Acceptance::Clock, Acceptance::Missing];
    prune_in(&bench, &bench.vault.stores, &How { accepted: &accepted, is_early: false }).unwrap();
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_disjoint(&content)));
}

/// P-24
#[test]
fn what_a_held_snapshot_without_its_list_may_need_goes_by_no_flag() {
    let bench = Bench::new("keep_last = 1", 0);
    let held = own_night(&bench, 1);
    let content = named_by(&bench, held);
    own_night(&bench, 2);
    let (until, reason_digest, reason_sealed) = (None, Digest::from_bytes([3; 32]), "eA==".into());
    let hold = HoldPlaced { snapshot: held, until, reason_digest, reason_sealed };
    bench.say(EventPayload::HoldPlaced(hold));
    bench.vault.stores.iter().for_each(|store| store.delete(&ObjectKey::List(held)).unwrap());
    bench.vault.clock.pass_hours(LEAN_HOURS * 2);
    own_night(&bench, 3);
    let how = How { accepted: &[Acceptance::Clock, Acceptance::Missing], is_early: false };
    let error = prune_in(&bench, &bench.vault.stores, &how).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::SnapshotPromised);
    assert!(error.to_string().contains(&held.to_string()), "{error}");
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_superset(&content)));
}

/// F-43
#[test]
fn a_snapshot_whose_note_is_lost_is_forgotten_by_who_names_it_and_then_needs_nothing() {
    let bench = Bench::new("keep_last = 3", 0);
    let lost = own_night(&bench, 1);
    let content = named_by(&bench, lost);
    own_night(&bench, 2);
    for store in &bench.vault.stores {
        store.delete(&ObjectKey::Note(lost)).unwrap();
    }
    let survey = bench.survey(&bench.vault.stores).unwrap();
    assert_eq!(survey.lost().into_iter().collect::<Vec<_>>(), [lost]);
    bench.apply_in(&bench.vault.stores, Wish::Named(&[lost]), &SLEPT).unwrap();
    bench.vault.clock.pass_hours(LEAN_HOURS * 2);
    own_night(&bench, 3);
    let how = How { accepted: &SLEPT, is_early: false };
    prune_in(&bench, &bench.vault.stores, &how).unwrap();
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_disjoint(&content)));
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-12
#[test]
fn a_clock_that_jumped_deletes_nothing_until_that_is_accepted() {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    own_night(&bench, 2);
    bench.apply(&[]).unwrap();
    bench.vault.clock.pass_hours(24 * 365);
    let told = refused(&bench, &[Acceptance::Missing]);
    assert!(told.contains("--accept-clock"), "{told}");
}

/// Tells no time.
struct Timeless;

impl Clock for Timeless {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// P-6
#[test]
fn where_a_store_tells_no_time_nothing_is_old_enough_to_go() {
    let bench = Bench::over("keep_last = 1", 1, |_| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("local", Arc::new(Timeless)));
        vec![store]
    });
    let (key, bytes) = orphan(5);
    bench.vault.stores[0].put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    bench.vault.clock.pass_hours(10 * LEAN_HOURS);
    assert!(!plan(&bench).goes());
}

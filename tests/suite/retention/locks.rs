//! Locks that go on for as long as something needs them: `generations.md` §2.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::prolong::{self, StoreProlonged};
use idswyft_vault::store::{Lock, LockMode, Prolonged, StorageClass, Store};
use jiff::{SignedDuration, Timestamp};

use super::bench::{ALL, Bench, ending_after};
use crate::replicas::keys_in;
use crate::support::bucket::{Bucket, Rights};

/// Makes a vault in a bucket that locks, whose generation goes on for good.
fn endless(count: u32) -> (Bench, Bucket) {
    let (policy, lock) = ("keep_last = 3\nfloor = '30d'", Some(LockMode::Compliance));
    let (endless, class) = (ending_after(None), StorageClass::Standard);
    let (bench, bucket) = Bench::in_bucket(endless, policy, 0, class, lock);
    bench.vault.write("document", b"the same every night");
    for _ in 0..count {
        bench.night();
    }
    (bench, bucket)
}

fn lock_of(store: &Arc<dyn Store>, key: &ObjectKey) -> Lock {
    store.stat(key).unwrap().unwrap().lock.unwrap()
}

fn packs(store: &Arc<dyn Store>) -> Vec<ObjectKey> {
    keys_in(store.as_ref(), Folder::Packs)
}

fn prolonged(bench: &Bench, store: &Arc<dyn Store>) -> StoreProlonged {
    let survey = bench.survey(std::slice::from_ref(store)).unwrap();
    let (now, observer) = (bench.vault.clock.now(), bench.vault.events.as_ref());
    prolong::prolong(&survey, &[], now, observer).unwrap().remove(0)
}

/// Returns when the floor of the newest snapshot passes.
fn newest_floor(bench: &Bench) -> Timestamp {
    let plan = bench.plan();
    plan.planned().last().unwrap().candidate.floor.unwrap()
}

/// G-13
#[test]
fn a_pack_that_is_leaned_on_for_years_is_locked_as_long_as_the_newest_that_needs_it() {
    let (bench, _) = endless(20);
    let store = &bench.vault.stores[0];
    let [pack] = packs(store)[..] else { panic!("the document is stored once") };
    let floor = newest_floor(&bench);
    assert!(lock_of(store, &pack).until < floor, "it was put long before");
    let report = prolonged(&bench, store);
    assert!(report.extended_count > 0 && report.short_count == 0, "{report:?}");
    assert!(lock_of(store, &pack).until >= floor);
    let generation = bench.vault.writer().generation().id;
    assert!(lock_of(store, &ObjectKey::Generation(generation, 1)).until >= floor);
    assert_eq!(prolonged(&bench, store).extended_count, 0, "there is nothing left to do");
    // Nobody can delete it before then, also not whoever may bypass GOVERNANCE.
    assert!(Store::erase(store.as_ref(), &pack).is_err());
}

/// G-14
#[test]
fn no_lock_is_shortened_and_none_changes_its_mode() {
    let (bench, bucket) = endless(20);
    let store = &bench.vault.stores[0];
    let [pack] = packs(store)[..] else { panic!("the document is stored once") };
    let far = bench.vault.clock.now() + SignedDuration::from_hours(24 * 4000);
    assert!(matches!(bucket.prolong(&pack, far), Ok(Prolonged::Extended(_))));
    prolonged(&bench, store);
    assert_eq!(lock_of(store, &pack), Lock { mode: LockMode::Compliance, until: far });
    let key = ObjectKey::Generation(bench.vault.writer().generation().id, 1);
    assert_eq!(lock_of(store, &key).mode, LockMode::Governance);
    let before = bench.vault.clock.now();
    assert!(matches!(bucket.prolong(&pack, before), Ok(Prolonged::Stood(_))));
}

/// G-13
#[test]
fn a_lock_that_may_not_be_extended_is_a_warning() {
    let (bench, bucket) = endless(20);
    let limited: Arc<dyn Store> = Arc::new(bucket.seen_by(Rights { put: false, ..Rights::ALL }));
    bench.vault.events.all();
    let report = prolonged(&bench, &limited);
    assert!(report.short_count > 0 && report.extended_count == 0, "{report:?}");
    assert!(bench.vault.events.warnings().contains(&Code::LockShort));
}

/// G-13
#[test]
fn what_was_forgotten_needs_no_lock_any_more() {
    let (bench, _) = endless(5);
    bench.vault.clock.pass_hours(24 * 40);
    bench.night();
    let gone = bench.apply(&ALL).unwrap().forgotten;
    assert_eq!(gone.len(), 3);
    let report = prolonged(&bench, &bench.vault.stores[0]);
    // Of the three that stay only the newest has a floor that is not past: its own four objects,
    // its packs and trees, and the key file.
    assert!(report.object_count >= 6 && report.short_count == 0, "{report:?}");
    assert!(bench.vault.events.warnings().iter().all(|code| *code != Code::LockShort));
}

//! What is asked for, and what is remembered of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::read;
use idswyft_vault::ops::thaw::{RequestList, Said};
use idswyft_vault::store::{StorageClass, Store, ThawTier};

use super::bench::ColdVault;
use crate::support::bucket::Rights;
use crate::support::vault::{assert_same_tree, noise};
use crate::support::{Call, FaultyStore, Mode, Then};

const STANDARD: Option<ThawTier> = Some(ThawTier::Standard);
const BULK: Option<ThawTier> = Some(ThawTier::Bulk);

fn set(keys: Vec<ObjectKey>) -> BTreeSet<ObjectKey> {
    let (count, set) = (keys.len(), keys.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(count, set.len(), "something was asked for twice");
    set
}

/// T-5
#[test]
fn nothing_is_asked_for_without_a_tier() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    let error = cold.thaw_on("host", None).ask(&need).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::ObjectArchived, 8));
    assert!(error.to_string().contains("nothing was asked for"), "{error}");
    let restored = cold.vault.try_restore(cold.last(), &cold.vault.path("out"));
    assert_eq!(restored.unwrap_err().code(), Code::ObjectArchived);
    assert!(cold.asked().is_empty());
    assert!(!cold.lists_of("host").exists());
}

/// T-1, T-7
#[test]
fn a_file_from_deep_archive_takes_exactly_one_round_of_requests() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let unlocked = cold.vault.unlocked();
    let need = cold.need_of("deep/b.jpg");
    let thaw = cold.thaw_on("host", STANDARD);
    let packs = thaw.ask(&need).unwrap();
    let waiting = thaw.check(&packs).unwrap_err();
    assert_eq!((waiting.code(), waiting.code().exit()), (Code::ThawWaiting, 8));
    cold.clock.pass_hours(13);
    thaw.check(&thaw.ask(&need).unwrap()).unwrap();
    let mut bytes = Vec::new();
    read::cat_file(&unlocked, cold.last(), b"deep/b.jpg", &mut bytes).unwrap();
    assert_eq!(bytes, noise(2, 150_000));
    assert_eq!(set(cold.asked()), need);
}

/// T-6, T-7
#[test]
fn a_snapshot_in_deep_archive_comes_back_on_another_machine() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    {
        let thaw = cold.thaw_on("host", BULK);
        let packs = thaw.ask(&need).unwrap();
        let error = thaw.check(&packs).unwrap_err().to_string();
        let count = need.len();
        let expected = format!("0 of {count} are ready, the others by 2026-11-24 02:30:00Z");
        assert!(error.contains(&expected), "{error}");
    }
    assert_eq!(set(cold.asked()), need);
    // The machine is gone, and with it the list: the store knows what is under way.
    std::fs::remove_dir_all(cold.lists_of("host")).unwrap();
    cold.clock.pass_hours(20);
    let thaw = cold.thaw_on("other", BULK);
    let waiting = thaw.check(&thaw.ask(&need).unwrap()).unwrap_err();
    // Who asked may have asked for the slowest tier, and just now.
    assert!(waiting.to_string().contains("by 2026-11-24 22:30:00Z"), "{waiting}");
    cold.clock.pass_hours(28);
    let thaw = cold.thaw_on("third", None);
    thaw.check(&thaw.ask(&need).unwrap()).unwrap();
    assert!(cold.asked().is_empty());
    let target = cold.vault.path("out");
    let report = cold.vault.try_restore(cold.last(), &target).unwrap();
    assert!(report.losses.is_empty(), "{:?}", report.losses);
    assert_same_tree(&cold.vault.path("uploads"), &target.join("uploads"));
    let dump = |path: &std::path::Path| std::fs::read(path.join("db.sql")).unwrap();
    assert_eq!(dump(&target), dump(cold.vault.dir.path()));
}

/// T-6
#[test]
fn the_list_is_on_disk_before_the_first_request() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    let dir = cold.lists_of("host");
    let load = {
        let (dir, clock) = (dir.clone(), cold.clock.clone());
        move || {
            use idswyft_vault::base::Clock;
            RequestList::load(&dir, "memory://bucket", clock.now())
        }
    };
    let seen = Arc::new(AtomicUsize::new(0));
    let (counted, look, count) = (seen.clone(), load.clone(), need.len());
    let watched =
        FaultyStore::new(Arc::new(cold.bucket.clone())).fail_calls(Mode::NotDone, move |call| {
            if matches!(call, Call::Thaw(_)) {
                let (list, wrong) = look();
                assert_eq!((list.packs.len(), wrong), (count, None));
                counted.fetch_add(1, Ordering::SeqCst);
            }
            false
        });
    let thaw = cold.thaw_of(Arc::new(watched), "host", BULK);
    thaw.ask(&need).unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), need.len());
    let (list, _) = load();
    assert!(list.packs.values().all(|request| request.said == Said::Begun));
    // One that is damaged costs a warning, and no second request.
    cold.asked();
    std::fs::write(list.path(), "{").unwrap();
    cold.vault.events.warnings();
    thaw.check(&thaw.ask(&need).unwrap()).unwrap_err();
    assert!(cold.asked().is_empty());
    assert_eq!(cold.vault.events.warnings(), [Code::StateUnavailable]);
    // Without a place for it nothing is asked for.
    let mut nowhere = cold.thaw_on("host", BULK);
    nowhere.lists = None;
    let first = cold.need(cold.snapshots[0]);
    assert_eq!(nowhere.ask(&first).unwrap_err().code(), Code::StateUnavailable);
    std::fs::write(cold.vault.path("file"), "").unwrap();
    nowhere.lists = Some(cold.vault.path("file").join("thaws"));
    assert_eq!(nowhere.ask(&first).unwrap_err().code(), Code::StateUnavailable);
    assert!(cold.asked().is_empty());
}

/// T-8
#[test]
fn a_copy_that_would_expire_before_it_is_read_is_prolonged() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let file = cold.need_of("a.jpg");
    let mut early = cold.thaw_on("host", Some(ThawTier::Expedited));
    early.days = 1;
    early.ask(&file).unwrap();
    assert_eq!(set(cold.asked()), file);
    // The others take five hours, and reading may take a day.
    let need = cold.need(cold.last());
    let thaw = cold.thaw_on("host", STANDARD);
    thaw.ask(&need).unwrap();
    assert_eq!(set(cold.asked()), need, "the copy that is there as well");
    thaw.ask(&need).unwrap();
    assert!(cold.asked().is_empty(), "once is enough");
    cold.clock.pass_hours(30);
    thaw.check(&thaw.ask(&need).unwrap()).unwrap();
    assert!(cold.asked().is_empty());
    // Without a tier nothing is prolonged: a copy that is there is read, and that is all.
    cold.clock.pass_hours(6 * 24 - 10);
    let look = cold.thaw_on("host", None);
    look.check(&look.ask(&need).unwrap()).unwrap();
    assert!(cold.asked().is_empty());
}

/// T-4
#[test]
fn a_tier_that_the_class_does_not_have_is_refused_before_anything_is_asked_for() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    let error = cold.thaw_on("host", Some(ThawTier::Expedited)).ask(&need).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    let expected = "thaw packs by expedited: class DEEP_ARCHIVE has bulk and standard";
    assert_eq!(error.to_string(), expected);
    assert!(cold.asked().is_empty());
}

#[test]
fn a_refused_request_says_which_right_is_missing() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    let reader = cold.bucket.seen_by(Rights { thaw: false, ..Rights::ALL });
    let error = cold.thaw_of(Arc::new(reader), "host", BULK).ask(&need).unwrap_err();
    assert_eq!(error.code(), Code::StoreDenied);
    assert!(error.to_string().contains("s3:RestoreObject"), "{error}");
    assert_eq!(cold.asked().len(), 1, "the others would be refused as well");
}

#[test]
fn requests_that_fail_are_made_again_and_those_that_go_on_failing_are_named() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need(cold.last());
    let bucket: Arc<dyn Store> = Arc::new(cold.bucket.clone());
    // Every second request meets a store that is too busy.
    let count = AtomicUsize::new(0);
    let busy = move |call: &Call| {
        matches!(call, Call::Thaw(_)) && count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
    };
    let slow = FaultyStore::new(bucket.clone()).fail_calls(Mode::NotDone, busy);
    cold.thaw_of(Arc::new(slow), "host", BULK).ask(&need).unwrap();
    assert_eq!(set(cold.asked()), need);
    assert!(!cold.waiter.waits().is_empty());
    // One that always fails does not stop the others.
    let first = cold.need(cold.snapshots[0]);
    let bad = *first.difference(&need).next().expect("its dump was another");
    let fails = move |call: &Call| *call == Call::Thaw(bad);
    let broken = FaultyStore::new(bucket).fail_calls(Mode::NotDone, fails);
    let both: BTreeSet<ObjectKey> = cold.all_packs();
    let thaw = cold.thaw_of(Arc::new(broken), "host", BULK);
    let error = thaw.ask(&both).unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert!(error.to_string().contains("1 of "), "{error}");
    let asked = set(cold.asked());
    assert!(!asked.contains(&bad) && asked.is_disjoint(&need));
    // What failed is asked for by the next call, and nothing else.
    cold.thaw_on("host", BULK).ask(&both).unwrap();
    assert_eq!(cold.asked(), [bad]);
}

#[test]
fn a_request_that_was_made_and_reported_as_failed_is_under_way() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need_of("a.jpg");
    let lost = FaultyStore::new(Arc::new(cold.bucket.clone())).fail_nth(
        1,
        Mode::DoneButReported,
        Then::Recovers,
    );
    let thaw = cold.thaw_of(Arc::new(lost), "host", BULK);
    thaw.check(&thaw.ask(&need).unwrap()).unwrap_err();
    let name = need.first().unwrap();
    use idswyft_vault::base::Clock;
    let (list, _) = RequestList::load(&cold.lists_of("host"), "memory://bucket", cold.clock.now());
    assert_eq!(list.get(name).map(|request| request.said), Some(Said::UnderWay));
}

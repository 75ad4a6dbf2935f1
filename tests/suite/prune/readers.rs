//! Restores beside a prune: complete, or ended with a reason.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::{StorageClass, Store};
use idswyft_vault::vault::Unlocked;

use super::bench::{LEAN_HOURS, own_night, packs, prune};
use crate::evidence::many::{Many, made_up};
use crate::retention::bench::{ALL, Bench, ending_after};
use crate::support::{Call, FaultyStore, Mode};

/// Returns the primary store, at whose `nth` call that reads bytes a janitor forgets and prunes.
fn pruned_at(bench: &Arc<Bench>, nth: u64) -> (Arc<dyn Store>, Arc<Mutex<u64>>) {
    let (beside, calls) = (Arc::clone(bench), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&calls);
    let works = move |call: &Call| {
        if matches!(call, Call::Get(_) | Call::GetRange(..) | Call::Open(_)) {
            let mut calls = counted.lock().unwrap();
            if *calls == nth {
                beside.apply(&[Acceptance::Clock, Acceptance::Many]).unwrap();
                prune(&beside);
            }
            *calls += 1;
        }
        false
    };
    let store = FaultyStore::new(bench.vault.stores[0].clone());
    (Arc::new(store.fail_calls(Mode::NotDone, works)), calls)
}

/// Makes a vault of which one snapshot goes as soon as a janitor works, and one stays.
fn bench() -> Arc<Bench> {
    let bench = Bench::new("keep_last = 1", 0);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(LEAN_HOURS);
    own_night(&bench, 2);
    Arc::new(bench)
}

/// P-3
#[test]
fn a_restore_of_a_snapshot_that_stands_is_complete_whenever_a_janitor_works() {
    for nth in 0.. {
        let bench = bench();
        let before = packs(&bench.vault.stores[0]).len();
        let stays = bench.plan().kept().next().unwrap().id;
        let (store, calls) = pruned_at(&bench, nth);
        let target = bench.vault.path("restored");
        let report = bench.vault.try_restore_from(&store, stays, &target).unwrap();
        assert!(report.losses.is_empty(), "pruned at call {nth}");
        let whole = std::fs::read(target.join("uploads/only.jpg")).unwrap();
        assert_eq!(whole, crate::support::vault::noise(2, 90_000));
        if *calls.lock().unwrap() <= nth {
            assert!(nth > 3, "it reads more than {nth} objects");
            return;
        }
        assert!(packs(&bench.vault.stores[0]).len() < before, "something was deleted meanwhile");
    }
}

/// V-216
#[test]
fn a_verification_takes_what_a_janitor_deletes_meanwhile_for_no_damage() {
    for level in [Level::Bytes, Level::Contents] {
        for nth in 0.. {
            let bench = bench();
            let (store, calls) = pruned_at(&bench, nth);
            let (auditor, observer) = (bench.vault.auditor(&store), bench.vault.events.as_ref());
            let unlocked = Unlocked::new(auditor, bench.vault.identities()).unwrap();
            let found =
                ops::verify::verify(unlocked.auditor(), Some(&unlocked), level, None, observer);
            let found = found.unwrap();
            assert_eq!(found.findings, [], "{level:?} pruned at call {nth}");
            assert_eq!(found.touched, [], "{level:?} pruned at call {nth}");
            if *calls.lock().unwrap() <= nth {
                break;
            }
        }
    }
    // What it needs that stands is damage, whatever else goes meanwhile.
    let bench = bench();
    let (store, _) = pruned_at(&bench, 3);
    let stays = bench.plan().kept().next().unwrap().id;
    store.delete(&ObjectKey::Body(stays)).unwrap();
    let observer = bench.vault.events.as_ref();
    let auditor = bench.vault.auditor(&store);
    let found = ops::verify::verify(&auditor, None, Level::Stored, None, observer).unwrap();
    let told: Vec<(Code, &str)> =
        found.findings.iter().map(|one| (one.code, one.object.as_str())).collect();
    assert_eq!(told, [(Code::ObjectMissing, ObjectKey::Body(stays).to_string().as_str())]);
}

/// V-216
#[test]
fn what_is_missing_stays_found_where_the_list_that_may_need_it_cannot_be_read_again() {
    // Its list alone is longer than what is kept of lists.
    const PACK_COUNT: u32 = 32_000;
    for is_out in [false, true] {
        let (parameters, class) = (ending_after(None), StorageClass::Standard);
        let (bench, bucket) = Bench::in_bucket(parameters, "keep_last = 1", 0, class, None);
        let goes = own_night(&bench, 1);
        bench.vault.clock.pass_hours(LEAN_HOURS);
        let stays = Many::new(&bucket, PACK_COUNT).put_snapshot(&bench.vault);
        let lost = ObjectKey::Pack(made_up(PACK_COUNT - 1)).to_string();
        let inner: Arc<dyn Store> = Arc::new(Many::new(&bucket, PACK_COUNT - 1));
        let bench = Arc::new(bench);
        let (beside, is_begun) = (Arc::clone(&bench), AtomicBool::new(false));
        let fails = move |call: &Call| match call {
            Call::Stat(ObjectKey::Body(id)) if *id == goes => {
                beside.apply(&ALL).unwrap();
                is_begun.store(true, Ordering::SeqCst);
                false
            }
            Call::Get(key) | Call::Open(key) | Call::Stat(key) => {
                let is_meant =
                    *key == ObjectKey::List(stays) || is_out && *key == ObjectKey::Vault(1);
                is_meant && is_begun.load(Ordering::SeqCst)
            }
            _ => false,
        };
        let store = FaultyStore::new(inner).fail_calls(Mode::NotDone, fails);
        let store: Arc<dyn Store> = Arc::new(store);
        let (auditor, observer) = (bench.vault.auditor(&store), bench.vault.events.as_ref());
        let found = ops::verify::verify(&auditor, None, Level::Stored, None, observer);
        match is_out {
            true => assert_eq!(found.unwrap_err().code(), Code::StoreUnavailable),
            false => {
                let missing = found.unwrap().findings.into_iter();
                let missing = missing.filter(|one| one.code == Code::ObjectMissing);
                let missing: Vec<String> = missing.map(|one| one.object).collect();
                assert_eq!(missing, std::slice::from_ref(&lost));
            }
        }
    }
}

/// P-3
#[test]
fn a_restore_of_a_snapshot_that_is_forgotten_meanwhile_is_complete_or_says_what_is_missing() {
    let mut ended = [0, 0];
    for nth in 0.. {
        let bench = bench();
        let goes = bench.plan().dropped().next().unwrap().0.id;
        let (store, calls) = pruned_at(&bench, nth);
        let target = bench.vault.path("restored");
        let restored = bench.vault.try_restore_from(&store, goes, &target);
        match restored {
            Ok(report) if report.losses.is_empty() => {
                let whole = std::fs::read(target.join("uploads/only.jpg")).unwrap();
                assert_eq!(whole, crate::support::vault::noise(1, 90_000), "pruned at {nth}");
                ended[0] += 1;
            }
            Ok(report) => {
                assert!(report.losses.iter().all(|loss| loss.code == Code::ObjectMissing));
                assert!(!target.join("uploads/only.jpg").exists(), "no wrong byte at {nth}");
                ended[1] += 1;
            }
            Err(error) => {
                let told = [Code::ObjectMissing, Code::SnapshotUnknown];
                assert!(told.contains(&error.code()), "pruned at {nth}: {error}");
                ended[1] += 1;
            }
        }
        if *calls.lock().unwrap() <= nth {
            break;
        }
    }
    assert!(ended.iter().all(|count| *count > 0), "{ended:?}");
}

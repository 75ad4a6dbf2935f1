//! Retention in buckets: locks, versions, and what a hostile host put over notes.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::policy::{KeepReason, Verdict};
use idswyft_vault::store::{LockMode, StorageClass, Store};
use idswyft_vault::vault::ledger;

use super::bench::{ALL, Bench, there};
use crate::support::bucket::Bucket;

/// Makes a vault in one bucket.
fn bench(policy: &str, count: u32, lock: Option<LockMode>) -> (Bench, Bucket) {
    let mut made = None;
    let bench = Bench::over(policy, count, |clock| {
        let bucket = Bucket::with_lock("bucket", clock, StorageClass::Standard, lock);
        let store: Arc<dyn Store> = Arc::new(bucket.clone());
        made = Some(bucket);
        vec![store]
    });
    (bench, made.unwrap())
}

/// F-15
#[test]
fn what_a_store_locks_stays_until_the_lock_has_passed_and_then_goes_in_every_version() {
    let (bench, _) = bench("keep_last = 1", 2, Some(LockMode::Compliance));
    let store = bench.vault.stores[0].clone();
    let plan = bench.plan();
    let Verdict::Keep(reasons) = &plan.planned()[0].verdict else { panic!("{plan:?}") };
    assert!(matches!(reasons[..], [KeepReason::Locked { .. }]), "{reasons:?}");
    assert_eq!(bench.apply(&ALL).unwrap().forgotten, []);
    bench.vault.clock.pass_hours(24 * 400);
    let gone = bench.plan().planned()[0].candidate.id;
    let applied = bench.apply(&ALL).unwrap();
    assert_eq!(applied.forgotten, [gone]);
    assert!(there(&store).iter().all(|ids| ids.len() == 1));
    assert!(store.versions(&ObjectKey::Note(gone)).unwrap().is_empty());
}

/// F-15 F-29
#[test]
fn what_is_locked_below_something_that_has_no_lock_stays() {
    let (bench, bucket) = bench("keep_last = 1", 2, Some(LockMode::Compliance));
    let locked = bench.plan().planned()[0].candidate.id;
    bucket.plant(&ObjectKey::List(locked).to_string(), b"something else");
    bucket.hide(&ObjectKey::Note(locked).to_string());
    bucket.hide(&ObjectKey::Body(locked).to_string());
    let plan = bench.plan();
    let Verdict::Keep(reasons) = &plan.planned()[0].verdict else { panic!("{plan:?}") };
    assert!(matches!(reasons[..], [KeepReason::Locked { .. }]), "{reasons:?}");
    assert_eq!(bench.apply(&ALL).unwrap().forgotten, []);
}

/// F-3
#[test]
fn what_somebody_put_over_a_note_or_hid_it_with_changes_no_verdict() {
    let (bench, bucket) = bench("keep_last = 2", 3, None);
    let before = super::verdicts(&bench.plan());
    bench.vault.clock.pass_hours(24 * 3);
    let ids: Vec<_> = bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    bucket.plant(&ObjectKey::Note(ids[1]).to_string(), b"something else");
    bucket.hide(&ObjectKey::Note(ids[2]).to_string());
    assert_eq!(super::verdicts(&bench.plan()), before);
    bench.apply(&ALL).unwrap();
    assert!(bench.vault.stores[0].stat(&ObjectKey::Note(ids[0])).unwrap().is_none());
    assert_eq!(bench.plan().planned().len(), 2);
}

/// F-24
#[test]
fn an_event_that_a_host_puts_where_nobody_can_read_it_stops_no_janitor() {
    let (bench, bucket) = bench("keep_last = 2", 3, None);
    let host = bench.vault.writer().key().signer_id();
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[0])).unwrap();
    let size = logs.iter().find(|log| log.signer == host).unwrap().head.size;
    for key in [ObjectKey::LedgerEvent(host, size), ObjectKey::LedgerCheckpoint(host, size)] {
        bucket.plant(&key.to_string(), b"archived");
        bucket.move_to(&key.to_string(), StorageClass::DeepArchive);
    }
    assert_eq!(bench.apply(&[]).unwrap().forgotten.len(), 1);
    // Of the operator, who places holds, nothing may be out of sight.
    let operator = bench.desk().operator.signer();
    let size = logs.iter().find(|log| log.signer == operator).unwrap().head.size;
    for key in [ObjectKey::LedgerEvent(operator, size), ObjectKey::LedgerCheckpoint(operator, size)]
    {
        bucket.plant(&key.to_string(), b"archived");
        bucket.move_to(&key.to_string(), StorageClass::DeepArchive);
    }
    let error = bench.survey(&bench.vault.stores).err().unwrap();
    assert_eq!(error.code(), Code::LedgerBroken);
}

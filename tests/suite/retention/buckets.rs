//! Retention in buckets: locks, versions, and what a hostile host put over notes.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::policy::{KeepReason, Verdict};
use idswyft_vault::store::{Error, Lock, LockMode, Stat, StorageClass, Store};
use idswyft_vault::vault::ledger;

use super::bench::{ALL, Bench, there};
use crate::support::bucket::Bucket;
use crate::support::forward::forward;

/// Makes a vault in one bucket.
fn bench(policy: &str, count: u32, lock: Option<LockMode>) -> (Bench, Bucket) {
    Bench::in_bucket(Parameters::initial(), policy, count, StorageClass::Standard, lock)
}

/// A bucket as `spec/policies/janitor.json` lets it be seen: of a body only its lock.
struct ByJanitor(Arc<dyn Store>);

impl Store for ByJanitor {
    forward!(0: name url prepare put_new get get_range open list delete staging_dir clean_staging);
    forward!(0: list_versions);

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        if matches!(key, ObjectKey::Body(_)) {
            let (store, place) = (self.name().to_owned(), key.to_string());
            return Err(Error::Denied { store, action: "look at", place, source: "no".into() });
        }
        self.0.stat(key)
    }

    fn lock(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        self.0.lock(key)
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        let views = self.0.versions(key)?.into_iter();
        Ok(views.map(|view| -> Arc<dyn Store> { Arc::new(Self(view)) }).collect())
    }
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

/// F-3
#[test]
fn what_somebody_put_over_all_of_a_snapshot_makes_it_no_younger() {
    let (bench, bucket) = bench("keep_last = 1", 2, None);
    let old = bench.plan().planned()[0].candidate.clone();
    bench.vault.clock.pass_hours(24 * 3);
    for key in [ObjectKey::Note(old.id), ObjectKey::List(old.id), ObjectKey::Body(old.id)] {
        bucket.plant(&key.to_string(), b"something else");
        let survey = bench.survey(&bench.vault.stores).unwrap();
        assert_eq!(survey.written(&key), old.observed, "{key}");
    }
    assert_eq!(bench.plan().planned()[0].candidate.observed, old.observed);
}

/// F-29
#[test]
fn a_body_that_a_janitor_may_not_look_at_stops_no_survey_where_something_is_over_it() {
    let (bench, bucket) = bench("keep_last = 1", 2, Some(LockMode::Compliance));
    let locked = bench.plan().planned()[0].candidate.id;
    let body = ObjectKey::Body(locked);
    bench.vault.clock.pass_hours(24);
    bucket.hide(&body.to_string());
    let store: Arc<dyn Store> = Arc::new(ByJanitor(Arc::new(bucket.clone())));
    let survey = bench.survey(std::slice::from_ref(&store)).unwrap();
    assert!(survey.written(&body).is_some() && survey.locked_until(locked).unwrap().is_some());
    // Its lock is the only one that is seen.
    for key in [ObjectKey::Note(locked), ObjectKey::List(locked)] {
        bucket.unlock(&key.to_string());
    }
    let survey = bench.survey(std::slice::from_ref(&store)).unwrap();
    assert!(survey.locked_until(locked).unwrap().is_some());
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

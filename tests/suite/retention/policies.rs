//! Signing another policy.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::ops;
use idswyft_vault::ops::policies::{self, PolicyReport};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Policy;
use idswyft_vault::store::{Content, LockMode, StorageClass, Store};
use idswyft_vault::vault::ledger;

use super::bench::Bench;
use super::policy;
use crate::support::bucket::Bucket;
use crate::support::{Call, FaultyStore, Mode, sha256};

fn set(bench: &Bench, policy: &Policy) -> Result<PolicyReport, ops::Error> {
    let (stores, observer) = (&bench.vault.stores, bench.vault.events.as_ref());
    policies::set(&mut bench.desk(), policy, stores, observer)
}

/// Returns the policies that the operator's log says were set.
fn said(bench: &Bench) -> Vec<String> {
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[1])).unwrap();
    let events = logs.into_iter().flat_map(|log| log.events);
    let set = events.filter_map(|event| match event.payload {
        EventPayload::PolicySet(set) => Some(serde_json::to_string(&set.policy).unwrap()),
        _ => None,
    });
    set.collect()
}

/// F-22
#[test]
fn a_policy_is_signed_recorded_and_in_force_for_the_next_snapshot() {
    let bench = Bench::new("keep_last = 1", 1);
    let wanted = policy("keep_daily = 7\nfloor = '2d'");
    let report = set(&bench, &wanted).unwrap();
    assert_eq!((report.number, report.completed), (3, false));
    assert_eq!(report.before.unwrap()["keep_last"], 1);
    assert_eq!(report.longest_readable_days, Some(44 + 365));
    assert_eq!(said(&bench), [r#"{"floor":"2d","keep_daily":7,"time_zone":"UTC"}"#]);
    let id = bench.night();
    let note = bench.vault.auditor(&bench.vault.stores[0]).snapshot(id).unwrap();
    assert_eq!(note.floor, wanted.floor_at(note.time));
    let again = set(&bench, &wanted).unwrap();
    assert_eq!((again.number, again.before, again.completed), (3, None, false));
    assert_eq!(said(&bench).len(), 1);
    assert!(bench.vault.verify(Level::Ledger).findings.is_empty());
}

/// V-183
#[test]
fn what_a_vault_note_allows_that_came_after_an_auditor_opened_is_no_damage() {
    let bench = Bench::new("keep_last = 1", 1);
    let auditor = bench.vault.auditor(&bench.vault.stores[0]);
    set(&bench, &policy("keep_daily = 7\nfloor = '2d'")).unwrap();
    bench.night();
    let observer = bench.vault.events.as_ref();
    let report = ops::verify::verify(&auditor, None, Level::Ledger, None, observer).unwrap();
    assert_eq!(report.findings, []);
}

/// F-5 F-22
#[test]
fn a_shorter_floor_takes_nothing_back_from_earlier_snapshots() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'", 3);
    set(&bench, &policy("keep_last = 1\nfloor = '1h'")).unwrap();
    let new = bench.night();
    bench.night();
    let gone: Vec<_> = bench.plan().dropped().map(|(one, _)| one.id).collect();
    assert_eq!(gone, [new], "only the one that was promised an hour");
}

/// F-22
#[test]
fn a_policy_whose_event_was_cut_off_is_completed_by_setting_it_again() {
    let mut bench = Bench::new("keep_last = 1", 1);
    let wanted = policy("keep_last = 2");
    let sound = bench.vault.stores[0].clone();
    let dies = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerEvent(..)));
    let faulty = FaultyStore::new(sound.clone()).fail_calls(Mode::NotDone, dies);
    bench.vault.stores[0] = Arc::new(faulty);
    assert!(set(&bench, &wanted).is_err());
    bench.vault.stores[0] = sound;
    let report = set(&bench, &wanted).unwrap();
    assert!(report.completed && report.before.is_some());
    assert_eq!(said(&bench).len(), 1);
}

/// F-22
#[test]
fn a_ceiling_that_locks_would_outlive_is_refused_with_both_lines() {
    let bench = Bench::new("keep_last = 1", 1);
    let (clock, mode) = (bench.vault.clock.clone(), Some(LockMode::Compliance));
    let locked = Bucket::with_lock("locked", clock, StorageClass::Standard, mode);
    let (stores, observer): ([Arc<dyn Store>; 1], _) = ([Arc::new(locked)], &bench.vault.events);
    let wanted = policy("ceiling = '30d'");
    let refused = policies::set(&mut bench.desk(), &wanted, &stores, observer.as_ref());
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PolicyContradiction);
    assert!(refused.to_string().contains("generation_max_age_days = 365"), "{refused}");
    assert!(refused.to_string().contains("ceiling = 30d"), "{refused}");
    assert!(said(&bench).is_empty());
}

/// F-26
#[test]
fn where_the_newest_policy_is_lost_or_damaged_nothing_goes_by_an_older_one() {
    let bench = Bench::new("keep_last = 1", 2);
    set(&bench, &policy("keep_last = 1\nfloor = '5y'")).unwrap();
    let key = ObjectKey::Vault(3);
    let survey = || bench.survey(&bench.vault.stores).map(drop);
    let harm = |number: usize, bytes: Option<&[u8]>| {
        let store = &bench.vault.stores[number];
        store.delete(&key).unwrap();
        if let Some(bytes) = bytes {
            store.put_new(&key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
        }
    };
    harm(0, None);
    assert!(bench.plan().dropped().next().is_none(), "the mirror has it");
    harm(1, None);
    let error = survey().unwrap_err();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains("records vault note 3"), "{error}");
    let other = Bench::new("keep_last = 1", 2);
    for store in &other.vault.stores {
        store.put_new(&key, Content::Bytes(b"x"), &sha256(b"x")).unwrap();
    }
    let error = other.survey(&other.vault.stores).map(drop).unwrap_err();
    assert!(error.to_string().contains("vault/3.note does not verify"), "{error}");
}

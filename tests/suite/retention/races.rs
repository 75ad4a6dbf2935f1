//! What happens between a look and a deed: holds that come late, and what others recorded.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, SnapshotId};
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::{EventKind, EventPayload};
use idswyft_vault::format::event_fields::{
    Drilled, DrilledResult, HoldPlaced, Outcome, SnapshotForgotten,
};
use idswyft_vault::ops;
use idswyft_vault::ops::recorder::KeptFile;
use idswyft_vault::ops::retain::holds;
use idswyft_vault::ops::retain::{self, Applied, Scribe, Wish};
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::Store;

use super::bench::{ALL, Bench, there};
use super::holds::{WORDS, open, open_in, operator, reason, recipients};
use crate::support::{Call, FaultyStore, Mode, sha256};

/// Applies the policy as the operator.
fn as_operator(
    bench: &Bench,
    stores: &[Arc<dyn Store>],
    accepted: &[Acceptance],
) -> Result<Applied, ops::Error> {
    let key = operator(bench);
    let kept = KeptFile::new(&bench.vault.path("signer"), key.signer_id());
    bench.sign_in(stores, Wish::Policy, accepted, key, kept)
}

fn oldest(bench: &Bench) -> SnapshotId {
    bench.plan().planned()[0].candidate.id
}

fn forgotten(snapshot: SnapshotId) -> EventPayload {
    let (rule, by) = ("none".to_owned(), "me".to_owned());
    EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by })
}

fn has_all(bench: &Bench, id: SnapshotId) -> bool {
    bench.vault.stores.iter().all(|store| there(store).iter().all(|ids| ids.contains(&id)))
}

/// F-32
#[test]
fn a_hold_that_was_placed_since_the_plan_was_made_keeps_what_it_covers() {
    let bench = Bench::new("keep_last = 1", 3);
    let (held, now) = (oldest(&bench), bench.vault.clock.now());
    let (survey, recorder) = open(&bench, &bench.janitor, EventKind::SnapshotForgotten).unwrap();
    let plan = retain::plan(&survey, Wish::Policy, now).unwrap();
    assert_eq!(plan.dropped().count(), 2);
    let (reason_digest, reason_sealed) = (sha256(b"x"), "eA==".to_owned());
    let hold = HoldPlaced { snapshot: held, until: None, reason_digest, reason_sealed };
    bench.say(EventPayload::HoldPlaced(hold));
    let (mut scribe, observer) = (Scribe::Own(Box::new(recorder)), bench.vault.events.as_ref());
    let (wish, again) = (Wish::Policy, || bench.survey(&bench.vault.stores));
    let applied = retain::apply(&survey, &plan, wish, &mut scribe, &ALL, &again, observer);
    let refused: Vec<SnapshotId> = applied.unwrap().refused.iter().map(|(id, _)| *id).collect();
    assert_eq!(refused, [held]);
    assert!(has_all(&bench, held));
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 2), "the other one went");
}

/// F-33
#[test]
fn a_hold_on_what_was_forgotten_meanwhile_fails_and_says_so() {
    let bench = Bench::new("keep_last = 1\nkeep_tags = ['a']", 3);
    let (id, key) = (oldest(&bench), operator(&bench));
    let (survey, mut recorder) = open(&bench, &key, EventKind::HoldPlaced).unwrap();
    assert_eq!(bench.apply(&ALL).unwrap().forgotten.len(), 2);
    let (to, again) = (recipients(&bench), || bench.survey(&bench.vault.stores));
    let reason = reason(WORDS, &to);
    let placed = holds::place(&survey, &mut recorder, &[id], None, &reason, &again);
    let error = placed.unwrap_err();
    assert_eq!(error.code(), Code::HoldLate);
    assert!(error.to_string().contains("of 1 of 1 no note is left"), "{error}");
    assert!(error.to_string().contains(&id.to_string()), "{error}");
}

/// F-34
#[test]
fn a_hold_that_this_run_completes_counts_in_it() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, key) = (oldest(&bench), operator(&bench));
    let refuses = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerEvent(..)));
    let dying = FaultyStore::new(bench.vault.stores[0].clone());
    let dying: Arc<dyn Store> = Arc::new(dying.fail_calls(Mode::NotDone, refuses));
    let stores = [dying, bench.vault.stores[1].clone()];
    let (survey, mut recorder) = open_in(&bench, &stores, &key, EventKind::HoldPlaced).unwrap();
    let (to, again) = (recipients(&bench), || bench.survey(&bench.vault.stores));
    let reason = reason(WORDS, &to);
    let placed = holds::place(&survey, &mut recorder, &[id], None, &reason, &again);
    assert_eq!(placed.unwrap_err().code(), Code::StoreUnavailable);
    assert_eq!(as_operator(&bench, &bench.vault.stores, &ALL).unwrap().forgotten, []);
    assert!(has_all(&bench, id));
}

/// F-35
#[test]
fn what_another_signer_recorded_in_some_stores_only_is_recorded_in_all_before_it_goes() {
    let bench = Bench::new("keep_last = 9", 3);
    let (id, now) = (oldest(&bench), bench.vault.clock.now());
    bench.forge(&bench.vault.stores[..1], now, forgotten(id));
    let refuses = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerCheckpoint(..)));
    let mirror = FaultyStore::new(bench.vault.stores[1].clone());
    let mirror: Arc<dyn Store> = Arc::new(mirror.fail_calls(Mode::NotDone, refuses));
    let stores = [bench.vault.stores[0].clone(), mirror];
    assert_eq!(as_operator(&bench, &stores, &ALL).unwrap_err().code(), Code::StoreUnavailable);
    assert!(has_all(&bench, id), "the mirror does not say that it is forgotten");
    as_operator(&bench, &bench.vault.stores, &ALL).unwrap();
    for store in &bench.vault.stores {
        assert!(bench.said_forgotten(store).contains(&id));
        assert!(there(store).iter().all(|ids| !ids.contains(&id) && ids.len() == 2));
    }
}

/// F-36
#[test]
fn what_others_recorded_passes_the_same_guards_as_what_the_plan_drops() {
    let bench = Bench::new("keep_last = 9", 2);
    let ids: Vec<_> = bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    let result = DrilledResult { outcome: Outcome::Passed, duration_s: 1, finding_count: 0 };
    let store = "local".to_owned();
    bench.say(EventPayload::Drilled(Drilled { store, snapshot: ids[1], result }));
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), forgotten(ids[1]));
    let struck = |accepted: &[Acceptance]| {
        let error = as_operator(&bench, &bench.vault.stores, accepted).unwrap_err();
        assert_eq!(error.code(), Code::RetentionGuarded);
        error.to_string()
    };
    let error = struck(&[]);
    assert!(error.contains("--accept-last-verified") && !error.contains("--accept-many"));
    assert!(error.contains(&ids[1].to_string()) && has_all(&bench, ids[1]));
    // What a signer recorded itself passed its guards then.
    assert_eq!(bench.apply(&[]).unwrap().forgotten, []);
    assert!(there(&bench.vault.stores[0]).iter().all(|found| found.len() == 1));

    let bench = Bench::new("keep_last = 9", 1);
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), forgotten(oldest(&bench)));
    let error = as_operator(&bench, &bench.vault.stores, &[]).unwrap_err().to_string();
    assert!(error.contains("1 of 1") && error.contains("--accept-many"), "{error}");
    let key: SigningKey = operator(&bench);
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let left = retain::leftovers(&survey, bench.vault.clock.now()).unwrap();
    assert!(left[0].is_dropped_by_others(Some(key.signer_id())));
    assert_eq!(left[0].told(), format!("forgotten by {}: none", bench.janitor.signer_id()));
    as_operator(&bench, &bench.vault.stores, &[Acceptance::Many]).unwrap();
    assert!(there(&bench.vault.stores[0]).iter().all(|found| found.is_empty()));
}

//! What an auditor that may only read says of a snapshot, and when that counts.

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{Outcome, Verified, VerifiedResult, VerifiedScope};
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::attest::{self, Attestation};
use idswyft_vault::ops::recorder::{KeptFile, draft};
use idswyft_vault::ops::signers;
use idswyft_vault::policy::Acceptance;
use jiff::Timestamp;

use super::bench::{Bench, there};

fn add_signer(bench: &Bench, role: Role) -> SigningKey {
    let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
    let events = signers::events_for(role, &[]).unwrap();
    let observer = bench.vault.events.as_ref();
    signers::add(&mut bench.desk(), key.verification_key(), role, events, observer).unwrap();
    key
}

/// Says that every byte was looked at and is sound: of one snapshot, or of all that were there.
fn passed(snapshot: Option<SnapshotId>, until: Option<Timestamp>) -> EventPayload {
    let (store, level) = ("given".to_owned(), "bytes".to_owned());
    let scope = VerifiedScope { store, level, snapshot, sample_percent: 100, until };
    let result = VerifiedResult { outcome: Outcome::Passed, object_count: 9, finding_count: 0 };
    EventPayload::Verified(Verified { scope, result })
}

/// Writes down what a signer says, and puts it nowhere.
fn attested(bench: &Bench, key: &SigningKey, payload: EventPayload) -> Attestation {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let kept = KeptFile::new(&bench.vault.path("auditor"), key.signer_id());
    let own = SigningKey::from_secret_text(&key.to_secret_text()).unwrap();
    let outside = bench.vault.outside();
    let draft = draft(own, &survey.logs, payload, Box::new(kept), &outside).unwrap();
    Attestation::of(bench.vault.report.vault, key.signer_id(), &draft)
}

fn add(bench: &Bench, attestation: &Attestation) {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let now = bench.vault.clock.now();
    let added = attest::add(&survey, &bench.vault.stores, attestation, now).unwrap();
    assert_eq!(added.stores, ["local", "mirror"]);
}

/// F-13
#[test]
fn an_attestation_counts_once_it_is_in_the_stores_and_not_before() {
    let bench = Bench::new("keep_last = 2", 4);
    let auditor = add_signer(&bench, Role::Auditor);
    let second = bench.plan().planned()[1].candidate.id;
    let attestation = attested(&bench, &auditor, passed(Some(second), None));
    let is_verified = |id: SnapshotId| {
        let planned = bench.plan().planned().to_vec();
        planned.iter().any(|one| one.candidate.id == id && one.candidate.is_verified)
    };
    assert!(!is_verified(second), "a file that nobody added says nothing to a store");
    add(&bench, &attestation);
    assert!(is_verified(second));
    let error = bench.apply(&[]).unwrap_err().to_string();
    assert!(error.contains("--accept-last-verified") && error.contains(&second.to_string()));
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 4), "nothing went");
    // That another one is sound, which stays, lets this one go.
    let third = bench.plan().planned()[2].candidate.id;
    let attestation = attested(&bench, &auditor, passed(Some(third), None));
    assert!(bench.apply(&[]).is_err(), "nobody added it yet");
    add(&bench, &attestation);
    assert_eq!(bench.apply(&[]).unwrap().forgotten.len(), 2);
}

/// F-13 Q-10
#[test]
fn a_snapshot_that_was_put_while_others_were_verified_is_not_among_them() {
    let bench = Bench::new("keep_last = 1", 2);
    let auditor = add_signer(&bench, Role::Auditor);
    let began = bench.vault.clock.now();
    let during = bench.night();
    // The verification ends now, and saw two of the three.
    add(&bench, &attested(&bench, &auditor, passed(None, Some(began))));
    let plan = bench.plan();
    let verified: Vec<bool> = plan.planned().iter().map(|one| one.candidate.is_verified).collect();
    assert_eq!((verified, plan.planned()[2].candidate.id), (vec![true, true, false], during));
    let error = bench.apply(&[Acceptance::Many]).unwrap_err().to_string();
    assert!(error.contains("--accept-last-verified"), "{error}");
}

/// F-13
#[test]
fn what_a_host_attests_of_itself_counts_for_nothing() {
    let bench = Bench::new("keep_last = 2", 4);
    let host = add_signer(&bench, Role::Writer);
    let second = bench.plan().planned()[1].candidate.id;
    add(&bench, &attested(&bench, &host, passed(Some(second), None)));
    assert!(bench.plan().planned().iter().all(|one| !one.candidate.is_verified));
    assert_eq!(bench.apply(&[]).unwrap().forgotten.len(), 2);
}

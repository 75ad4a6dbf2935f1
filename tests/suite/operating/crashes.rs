//! A change that stops half-way is finished by running it again.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, SystemClock};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::recipients::RecipientsChange;
use idswyft_vault::ops::signers;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::{Content, MemoryStore, Store};

use super::{Person, change, desk, events_of_operator, fill, resealed_counts};
use crate::support::vault::{TestVault, local};
use crate::support::{FaultyStore, Figure, Mode, Then, sha256};

/// V-188
#[test]
fn a_change_killed_at_any_call_is_finished_by_running_it_again() {
    let sweep = |mode| (0..).find(|nth| !change_dies_at(*nth, mode)).unwrap();
    let swept = sweep(Mode::NotDone) + sweep(Mode::DoneButReported);
    Figure {
        what: "Store calls at which a change of recipients died and was made by running it again",
        test: "a_change_killed_at_any_call_is_finished_by_running_it_again",
    }
    .record(usize::try_from(swept).unwrap());
}

/// Adds a recipient with a primary store that dies at its `nth` call; returns whether it did.
fn change_dies_at(nth: u64, mode: Mode) -> bool {
    let memory =
        |name| -> Arc<dyn Store> { Arc::new(MemoryStore::new(name, Arc::new(SystemClock))) };
    let (primary, mirror) = (memory("local"), memory("mirror"));
    let stores = vec![primary.clone(), mirror.clone()];
    let mut vault = TestVault::with(|_| stores, Parameters::initial());
    let new = Person::new();
    let (texts, add) = ([vault.recipient.clone()], [new.recipient.clone()]);
    let faulty = Arc::new(FaultyStore::new(primary.clone()).fail_nth(nth, mode, Then::IsDead));
    vault.stores[0] = faulty.clone();
    let crashed = change(&vault, None, RecipientsChange::Add(&add), &texts);
    let died = faulty.fault_count() > 0;
    // Only mirrors may still lack something when it is reported as done.
    assert!(crashed.is_err() || !died || vault.events.warnings() == [Code::MirrorLagging]);
    vault.stores[0] = primary.clone();
    if died {
        let report = change(&vault, None, RecipientsChange::Add(&add), &texts);
        let report = report.unwrap_or_else(|error| panic!("{mode:?} at {nth}: {error}"));
        assert_eq!(report.number, 2, "{mode:?} at {nth}");
    }
    assert_eq!(resealed_counts(&vault).len(), 1, "{mode:?} at {nth}");
    for store in [&primary, &mirror] {
        assert_eq!(events_of_operator(&vault, store), ["recipients.changed"]);
        assert_eq!(vault.auditor(store).note().number, 2);
    }
    let generation = vault.writer().generation().id;
    assert!(new.unlock(&vault).generation(generation).is_ok(), "{mode:?} at {nth}");
    assert!(desk(&vault, None, &new).is_ok(), "the kit is sealed again, {mode:?} at {nth}");
    assert!(vault.verify(Level::Contents).findings.is_empty(), "{mode:?} at {nth}");
    died
}

#[test]
fn another_change_first_completes_the_one_that_was_interrupted() {
    let mut vault = super::vault();
    let sound = vault.stores[0].clone();
    let (texts, add) = ([vault.recipient.clone()], [Person::new().recipient]);
    // The note is there, and neither event nor checkpoint.
    let dies = |call: &crate::support::Call| {
        matches!(call, crate::support::Call::PutNew(ObjectKey::LedgerEvent(..)))
    };
    vault.stores[0] = Arc::new(FaultyStore::new(sound.clone()).fail_calls(Mode::NotDone, dies));
    assert!(change(&vault, None, RecipientsChange::Add(&add), &texts).is_err());
    vault.stores[0] = sound;
    let found: Vec<_> = vault
        .verify(Level::Ledger)
        .findings
        .into_iter()
        .map(|one| (one.code, one.object))
        .collect();
    assert_eq!(found, [(Code::RecordPending, "vault/2.note".to_owned())]);
    let id = vault.report.vault;
    let key = SigningKey::from_seed(id, KeyUse::Signer, &[7; 32]).verification_key().clone();
    let events = signers::events_for(Role::Auditor, &[]).unwrap();
    let mut desk = desk(&vault, None, &Person::of(&vault)).unwrap();
    signers::add(&mut desk, &key, Role::Auditor, events, vault.events.as_ref()).unwrap();
    let said = events_of_operator(&vault, &vault.stores[0]);
    assert_eq!(said, ["recipients.changed", "signer.added"]);
    assert_eq!(resealed_counts(&vault), [1]);
    assert!(vault.verify(Level::Ledger).findings.is_empty());
}

/// V-189
#[test]
fn an_event_that_somebody_planted_behind_the_log_is_never_signed() {
    let vault = super::vault();
    let signer = desk(&vault, None, &Person::of(&vault)).unwrap().operator.signer();
    let (texts, add) = ([vault.recipient.clone()], [Person::new().recipient]);
    let planted = format!(
        "{{\"v\":1,\"requires\":[],\"vault\":\"{}\",\"signer\":\"{signer}\",\"seq\":0,\
         \"time\":\"2026-11-22T02:30:00Z\",\"event\":\"signer.retired\",\"number\":2,\
         \"note_sha256\":\"{}\",\"subject\":\"0011223344556677\",\"seen\":[]}}\n",
        vault.report.vault,
        "00".repeat(32)
    );
    let key = ObjectKey::LedgerEvent(signer, 0);
    let content = Content::Bytes(planted.as_bytes());
    vault.stores[0].put_new(&key, content, &sha256(planted.as_bytes())).unwrap();
    let error = change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap_err();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains(&key.to_string()), "{error}");
    assert_eq!(vault.auditor(&vault.stores[0]).note().number, 1, "nothing was signed");
    assert!(vault.stores[0].stat(&ObjectKey::LedgerCheckpoint(signer, 0)).unwrap().is_none());
}

#[test]
fn a_mirror_that_does_not_answer_gets_the_change_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = local(&dir.path().join("m"), "mirror");
    let stores = vec![local(&dir.path().join("s"), "local"), mirror.clone()];
    let mut vault = TestVault::with(|_| stores, Parameters::initial());
    fill(&vault);
    let silent = FaultyStore::new(mirror.clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    let (texts, add) = ([vault.recipient.clone()], [Person::new().recipient]);
    change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap();
    assert_eq!(vault.events.warnings(), [Code::MirrorLagging]);
    assert_eq!(vault.auditor(&mirror).note().number, 1);
    vault.stores[1] = mirror.clone();
    let report = change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap();
    assert!(report.completed);
    for (a, b) in [("vault", 2), ("generations", 2)] {
        let count = walkdir::WalkDir::new(dir.path().join("m").join(a)).into_iter();
        let files = count.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        assert_eq!(files.count(), b, "{a}");
    }
    assert_eq!(events_of_operator(&vault, &mirror), ["recipients.changed"]);
}

#[test]
fn a_note_without_its_event_is_pending_and_an_earlier_one_a_mismatch() {
    let vault = super::vault();
    let observer = vault.events.as_ref();
    let events = || signers::events_for(Role::Auditor, &[]).unwrap();
    let mut operator = None;
    for seed in [7, 8] {
        let id = vault.report.vault;
        let key = SigningKey::from_seed(id, KeyUse::Signer, &[seed; 32]).verification_key().clone();
        let mut desk = desk(&vault, None, &Person::of(&vault)).unwrap();
        signers::add(&mut desk, &key, Role::Auditor, events(), observer).unwrap();
        operator = Some(desk.operator.signer());
    }
    let log = vault.path(&format!("store/ledger/{}", operator.unwrap()));
    let codes = || {
        let findings = vault.verify(Level::Ledger).findings;
        findings.into_iter().map(|one| (one.code, one.object)).collect::<Vec<_>>()
    };
    assert!(codes().is_empty());
    // The newest note is gone, and the log knows that there was one.
    let note = vault.path("store/vault/3.note");
    let bytes = std::fs::read(&note).unwrap();
    std::fs::remove_file(&note).unwrap();
    assert_eq!(codes(), [(Code::ObjectMissing, "vault/3.note".to_owned())]);
    std::fs::write(&note, bytes).unwrap();
    for name in ["0000000001.json", "0000000001.checkpoint"] {
        std::fs::remove_file(log.join(name)).unwrap();
    }
    assert_eq!(codes(), [(Code::RecordPending, "vault/3.note".to_owned())]);
    for name in ["0000000000.json", "0000000000.checkpoint"] {
        std::fs::remove_file(log.join(name)).unwrap();
    }
    let both = [
        (Code::RecordPending, "vault/3.note".to_owned()),
        (Code::NoteMismatch, "vault/2.note".to_owned()),
    ];
    let mut found = codes();
    found.sort_by_key(|(_, object)| std::cmp::Reverse(object.clone()));
    assert_eq!(found, both);
}

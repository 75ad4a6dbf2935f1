//! Legal holds: who may place and end them, and that their reasons are sealed.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Digest, SnapshotId, SystemEntropy};
use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::{EventKind, EventPayload};
use idswyft_vault::format::event_fields::HoldReleased;
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::recorder::{KeptFile, Recorder, check_delegated};
use idswyft_vault::ops::retain::Survey;
use idswyft_vault::ops::retain::holds::{self, HoldRow, Reason};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::ops::{self, signers};
use idswyft_vault::store::Store;
use jiff::Timestamp;

use super::at;
use super::bench::{ALL, Bench};
use crate::support::sha256;

pub const WORDS: &str = "case 12/26, Müller";

/// Opens the vault as a signer that may say something of a kind.
pub fn open(
    bench: &Bench,
    key: &SigningKey,
    kind: EventKind,
) -> Result<(Survey, Recorder), ops::Error> {
    open_in(bench, &bench.vault.stores, key, kind)
}

/// Opens these stores as a signer that may say something of a kind.
pub fn open_in(
    bench: &Bench,
    stores: &[Arc<dyn Store>],
    key: &SigningKey,
    kind: EventKind,
) -> Result<(Survey, Recorder), ops::Error> {
    let survey = bench.survey(stores)?;
    check_delegated(survey.note(), key.signer_id(), kind)?;
    let kept = KeptFile::new(&bench.vault.path("signer"), key.signer_id());
    let key = SigningKey::from_secret_text(&key.to_secret_text()).unwrap();
    let (stores, outside) = (survey.stores(), bench.vault.outside());
    let (recorder, _) = Recorder::open(key, stores, &survey.logs, None, Box::new(kept), &outside)?;
    Ok((survey, recorder))
}

pub fn recipients(bench: &Bench) -> DataRecipients {
    DataRecipients::parse(&[&bench.vault.recipient]).unwrap()
}

pub fn reason<'a>(text: &'a str, recipients: &'a DataRecipients) -> Reason<'a, NoPassphrase> {
    Reason { text, recipients, ask: &NoPassphrase, entropy: &SystemEntropy }
}

/// Returns the operator's key.
pub fn operator(bench: &Bench) -> SigningKey {
    bench.desk().kit.root(&bench.vault.identities()).unwrap().operator_signer()
}

/// Places a hold on a snapshot.
pub fn place(
    bench: &Bench,
    key: &SigningKey,
    snapshot: SnapshotId,
    until: Option<Timestamp>,
) -> Result<(), ops::Error> {
    let (survey, mut recorder) = open(bench, key, EventKind::HoldPlaced)?;
    let recipients = recipients(bench);
    let (reason, again) = (reason(WORDS, &recipients), || bench.survey(&bench.vault.stores));
    holds::place(&survey, &mut recorder, &[snapshot], until, &reason, &again)
}

/// Ends a hold.
pub fn release(bench: &Bench, key: &SigningKey, row: HoldRow) {
    let (survey, mut recorder) = open(bench, key, EventKind::HoldReleased).unwrap();
    let recipients = recipients(bench);
    holds::release(&survey, &mut recorder, &[row], &reason("settled", &recipients)).unwrap();
}

/// Returns every hold that was ever placed.
pub fn rows(bench: &Bench) -> Vec<HoldRow> {
    holds::list(&bench.survey(&bench.vault.stores).unwrap())
}

/// Returns the oldest snapshot.
pub fn first(bench: &Bench) -> SnapshotId {
    bench.plan().planned()[0].candidate.id
}

fn goes(bench: &Bench, id: SnapshotId) -> bool {
    bench.plan().dropped().any(|(one, _)| one.id == id)
}

/// F-7 F-23
#[test]
fn a_hold_keeps_until_the_operator_releases_it() {
    let bench = Bench::new("keep_last = 1", 3);
    let (id, key) = (first(&bench), operator(&bench));
    assert!(goes(&bench, id));
    place(&bench, &key, id, None).unwrap();
    place(&bench, &key, id, None).unwrap();
    assert!(!goes(&bench, id));
    bench.apply(&ALL).unwrap();
    assert_eq!(first(&bench), id);
    release(&bench, &key, rows(&bench).remove(0));
    assert!(!goes(&bench, id), "the other one still counts");
    release(&bench, &key, rows(&bench).remove(1));
    assert!(goes(&bench, id));
    assert!(rows(&bench).iter().all(|row| row.released.is_some()));
    assert!(bench.vault.verify(Level::Ledger).findings.is_empty());
}

/// F-23
#[test]
fn a_hold_ends_by_itself_at_the_time_that_it_names() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, key) = (first(&bench), operator(&bench));
    place(&bench, &key, id, Some(at("2026-11-26T00:00:00Z"))).unwrap();
    assert!(!goes(&bench, id));
    bench.vault.clock.pass_hours(48);
    assert!(goes(&bench, id));
}

/// F-23
#[test]
fn a_release_by_who_may_not_is_a_finding_and_ends_nothing() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, key) = (first(&bench), operator(&bench));
    place(&bench, &key, id, None).unwrap();
    let row = rows(&bench).remove(0);
    // The janitor signs a release all the same.
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    let HoldRow { snapshot, placed_by, placed_seq, .. } = row;
    let released = HoldReleased { snapshot, placed_by, placed_seq, reason_digest, reason_sealed };
    let event = EventPayload::HoldReleased(released);
    bench.forge(&bench.vault.stores, bench.plan().now(), event);
    let found = bench.vault.verify(Level::Ledger).findings;
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), [Code::SignerNotDelegated]);
    assert!(!goes(&bench, id));
}

/// F-23
#[test]
fn only_who_was_given_it_places_holds_and_no_janitor_or_auditor_ends_one() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, vault) = (first(&bench), bench.vault.report.vault);
    let auditor = SigningKey::from_seed(vault, KeyUse::Signer, &[9; 32]);
    let given = signers::events_for(Role::Auditor, &["hold.placed".to_owned()]).unwrap();
    let (public, observer) = (auditor.verification_key(), bench.vault.events.as_ref());
    signers::add(&mut bench.desk(), public, Role::Auditor, given, observer).unwrap();
    let refused = place(&bench, &bench.janitor, id, None).unwrap_err();
    assert_eq!(refused.code(), Code::SignerRefused);
    place(&bench, &auditor, id, None).unwrap();
    assert!(!goes(&bench, id));
    for key in [&auditor, &bench.janitor] {
        let refused = open(&bench, key, EventKind::HoldReleased).err().unwrap();
        assert_eq!(refused.code(), Code::SignerRefused);
    }
}

/// F-25
#[test]
fn a_reason_is_sealed_and_what_it_was_can_be_shown() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, key) = (first(&bench), operator(&bench));
    place(&bench, &key, id, None).unwrap();
    place(&bench, &key, id, None).unwrap();
    let rows = rows(&bench);
    assert_ne!(rows[0].reason_digest, rows[1].reason_digest, "each has a salt of its own");
    for row in &rows {
        let event = ObjectKey::LedgerEvent(row.placed_by, row.placed_seq);
        let bytes = bench.vault.stores[0].get(&event, 1_000_000).unwrap();
        assert!(!String::from_utf8(bytes).unwrap().contains("12/26"));
        assert_ne!(row.reason_digest, sha256(WORDS.as_bytes()));
        assert_eq!(holds::reason(row, &bench.vault.identities()).unwrap(), WORDS);
    }
    let other = NewIdentity::generate(Timestamp::UNIX_EPOCH);
    let other = DataIdentities::parse("x", other.file.as_bytes(), &NoPassphrase).unwrap();
    assert_eq!(holds::reason(&rows[0], &other).unwrap_err().code(), Code::IdentityWrong);
    let swapped = HoldRow { reason_digest: rows[1].reason_digest, ..rows[0].clone() };
    let refused = holds::reason(&swapped, &bench.vault.identities()).unwrap_err();
    assert_eq!(refused.code(), Code::NoteMismatch);
}

/// F-25
#[test]
fn a_reason_is_sealed_to_the_vaults_recipients_or_not_at_all() {
    let bench = Bench::new("keep_last = 1", 2);
    let (id, key) = (first(&bench), operator(&bench));
    let (survey, mut recorder) = open(&bench, &key, EventKind::HoldPlaced).unwrap();
    let stranger = NewIdentity::generate(Timestamp::UNIX_EPOCH).recipient;
    let stranger = DataRecipients::parse(&[stranger]).unwrap();
    let again = || bench.survey(&bench.vault.stores);
    let mut refused = |text: &str, to: &DataRecipients| {
        let reason = reason(text, to);
        holds::place(&survey, &mut recorder, &[id], None, &reason, &again).unwrap_err()
    };
    let refused_to = refused(WORDS, &stranger);
    assert_eq!(refused_to.code(), Code::RecipientsRefused);
    let own = recipients(&bench);
    let long = "x".repeat(holds::REASON_LEN_MAX + 1);
    for text in ["", " \n", &long] {
        assert_eq!(refused(text, &own).code(), Code::UsageInvalid);
    }
    assert!(rows(&bench).is_empty());
}

/// F-24
#[test]
fn where_a_log_lost_what_another_has_seen_of_it_nothing_goes() {
    let bench = Bench::new("keep_last = 1", 3);
    let (id, key) = (first(&bench), operator(&bench));
    place(&bench, &key, id, None).unwrap();
    assert_eq!(bench.apply(&ALL).unwrap().forgotten.len(), 1, "the janitor quotes the log");
    let row = rows(&bench).remove(0);
    for store in &bench.vault.stores {
        store.delete(&ObjectKey::LedgerCheckpoint(row.placed_by, row.placed_seq)).unwrap();
        store.delete(&ObjectKey::LedgerEvent(row.placed_by, row.placed_seq)).unwrap();
    }
    let error = bench.survey(&bench.vault.stores).err().unwrap();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains("another signer has seen"), "{error}");
}

//! How a host takes up what an operator signed elsewhere.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::recipients::RecipientsChange;
use idswyft_vault::ops::snapshot::{self, VaultJob};
use idswyft_vault::ops::{self, signers};
use idswyft_vault::store::Content;

use super::{Person, change, desk, vault, writer_id};
use crate::support::vault::TestVault;
use crate::support::{Call, FaultyStore, Mode, sha256};

/// Takes a snapshot as a host whose config names these recipients.
fn snapshot_with(vault: &TestVault, recipients: &[&str]) -> Result<(), ops::Error> {
    vault.clock.pass_hours(1);
    let recipients = DataRecipients::parse(recipients).unwrap();
    let job = VaultJob { writer: vault.writer(), recipients };
    let observer: Arc<dyn idswyft_vault::base::Observer> = vault.events.clone();
    let sources = vault.sources();
    let mut report = snapshot::run(vec![job], &sources, &[], &NoPassphrase, &observer)?;
    report.failed.pop().map_or(Ok(()), |(_, error)| Err(error))
}

/// V-190, V-191
#[test]
fn a_host_takes_up_a_change_and_rolls_when_a_recipient_was_removed() {
    let vault = vault();
    let other = Person::new();
    let both = [vault.recipient.clone(), other.recipient.clone()];
    change(&vault, None, RecipientsChange::Add(&both[1..]), &both[..1]).unwrap();
    let first = vault.writer().generation().id;
    snapshot_with(&vault, &[&both[0], &both[1]]).unwrap();
    assert_eq!(vault.writer().note().number, 2);
    assert_eq!(vault.writer().generation().id, first, "an added one makes no roll due");
    change(&vault, None, RecipientsChange::Remove(&both[1..]), &both).unwrap();
    assert_eq!(vault.writer().note().number, 2, "the host does not know yet");
    // The config still names the removed one: the roll stays due.
    snapshot_with(&vault, &[&both[0], &both[1]]).unwrap();
    assert_eq!(vault.events.warnings(), [Code::PolicyDiffers]);
    assert_eq!(vault.writer().generation().id, first);
    assert!(vault.writer().roll_is_due().unwrap());
    snapshot_with(&vault, &[&both[0]]).unwrap();
    let second = vault.writer().generation().id;
    assert_ne!(second, first);
    assert!(!vault.writer().roll_is_due().unwrap());
    assert!(other.unlock(&vault).generation(second).is_err());
    snapshot_with(&vault, &[&both[0]]).unwrap();
    assert_eq!(vault.writer().generation().id, second, "once is enough");
    assert!(vault.events.warnings().is_empty());
}

/// V-192
#[test]
fn a_retired_host_takes_no_snapshot_and_is_told_what_to_do() {
    let vault = vault();
    let mut desk = desk(&vault, None, &Person::of(&vault)).unwrap();
    signers::retire(&mut desk, writer_id(&vault), vault.events.as_ref()).unwrap();
    let before = std::fs::read_dir(vault.path("store/snapshots")).unwrap().count();
    let error = snapshot_with(&vault, &[&vault.recipient]).unwrap_err();
    assert_eq!(error.code(), Code::SignerNotDelegated);
    assert!(error.to_string().contains("vault note 2") && error.code().hint().contains("--rejoin"));
    assert_eq!(std::fs::read_dir(vault.path("store/snapshots")).unwrap().count(), before);
}

/// V-190
#[test]
fn a_planted_vault_note_is_a_warning_and_the_night_goes_on() {
    let vault = vault();
    let planted = b"not a note\n";
    let key = ObjectKey::Vault(2);
    vault.stores[0].put_new(&key, Content::Bytes(planted), &sha256(planted)).unwrap();
    snapshot_with(&vault, &[&vault.recipient]).unwrap();
    assert_eq!(vault.events.warnings(), [Code::SignatureInvalid]);
    assert_eq!(vault.writer().note().number, 1);
    let (texts, add) = ([vault.recipient.clone()], [Person::new().recipient]);
    let error = change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap_err();
    assert!(error.to_string().contains("vault/2.note"), "nothing is signed over it: {error}");
}

/// V-190
#[test]
fn a_host_that_may_only_put_goes_on_with_the_note_that_it_has() {
    let mut vault = vault();
    let is_read = |call: &Call| matches!(call, Call::Get(ObjectKey::Vault(_)));
    let inner = vault.stores[0].clone();
    vault.stores[0] = Arc::new(FaultyStore::new(inner).fail_calls(Mode::NotDone, is_read));
    snapshot_with(&vault, &[&vault.recipient]).unwrap();
    assert!(vault.events.warnings().is_empty());
}

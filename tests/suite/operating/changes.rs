//! What a change does, and what it refuses.

use idswyft_vault::base::{Code, Coded, VaultId};
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::recipients::RecipientsChange;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::ops::{generations, signers};
use idswyft_vault::vault::Unlocked;

use super::{Person, change, desk, events_of_operator, vault, writer_id};
use crate::support::vault::{TestVault, noise};

/// V-182
#[test]
fn the_first_note_delegates_to_the_operator_whose_key_the_root_key_derives() {
    let vault = TestVault::new();
    let note = vault.auditor(&vault.stores[0]).note().clone();
    let roles: Vec<Role> = note.signers.iter().map(|signer| signer.role).collect();
    assert_eq!(roles, [Role::Writer, Role::Operator]);
    let desk = desk(&vault, None, &Person::of(&vault)).unwrap();
    assert_eq!(desk.operator.signer(), note.signers[1].id);
}

/// V-184, V-185
#[test]
fn an_added_recipient_opens_what_was_sealed_before_and_the_root_key() {
    let vault = vault();
    let (new, texts) = (Person::new(), [vault.recipient.clone()]);
    let add = [new.recipient.clone()];
    let report = change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap();
    assert_eq!((report.number, report.resealed_count, report.completed), (2, 1, false));
    assert_eq!(report.changed, [new.digest()]);
    let unlocked = new.unlock(&vault);
    let snapshots = unlocked.auditor().snapshots().unwrap().sound;
    assert!(snapshots.values().all(|note| unlocked.body(note).is_ok()) && !snapshots.is_empty());
    assert!(desk(&vault, None, &new).is_ok(), "the kit opens for the new one");
    assert!(desk(&vault, None, &Person::of(&vault)).is_ok());
    assert_eq!(events_of_operator(&vault, &vault.stores[0]), ["recipients.changed"]);
    assert!(vault.verify(Level::Contents).findings.is_empty());
}

/// V-186
#[test]
fn a_removed_recipient_opens_the_old_generation_and_not_the_new_one() {
    let vault = vault();
    let other = Person::new();
    let both = [vault.recipient.clone(), other.recipient.clone()];
    change(&vault, None, RecipientsChange::Add(&both[1..]), &both[..1]).unwrap();
    let old = vault.writer().generation().id;
    let prefix = [other.digest().to_string()[..8].to_owned()];
    let host = Some(vault.writer());
    let report = change(&vault, host, RecipientsChange::Remove(&prefix), &both).unwrap();
    let opened = report.opened.expect("the host rolls at once");
    let unlocked = other.unlock(&vault);
    assert!(unlocked.generation(old).is_ok(), "nothing is taken back");
    let refused = unlocked.generation(opened).err().unwrap();
    assert_eq!(refused.code(), Code::IdentityWrong);
    let refused = desk(&vault, None, &other).err().unwrap();
    assert_eq!((refused.code(), refused.code().exit()), (Code::IdentityWrong, 6));
    vault.write("documents/b.jpg", &noise(2, 40_000));
    vault.snapshot();
    assert!(vault.verify(Level::Contents).findings.is_empty());
}

/// V-185
#[test]
fn a_generation_that_does_not_open_fails_the_change_before_anything_is_put() {
    let vault = vault();
    let generation = vault.writer().generation().id;
    let path = vault.path(&format!("store/{}", ObjectKey::Generation(generation, 1)));
    std::fs::remove_file(path).unwrap();
    let texts = [vault.recipient.clone()];
    let add = [Person::new().recipient];
    let error = change(&vault, None, RecipientsChange::Add(&add), &texts).unwrap_err();
    assert!(error.to_string().contains(&generation.to_string()), "{error}");
    assert_eq!(vault.auditor(&vault.stores[0]).note().number, 1);
    assert!(events_of_operator(&vault, &vault.stores[0]).is_empty());
}

#[test]
fn what_cannot_be_changed_is_refused_and_nothing_is_signed() {
    let vault = vault();
    let own = [vault.recipient.clone()];
    let stranger = [Person::new().recipient];
    let nonsense = ["age1nonsense".to_owned()];
    for (wanted, texts, code) in [
        (RecipientsChange::Add(&own), &own[..], Code::RecipientsRefused),
        (RecipientsChange::Add(&nonsense), &own, Code::RecipientInvalid),
        (RecipientsChange::Add(&stranger), &[], Code::RecipientsRefused),
        (RecipientsChange::Remove(&stranger), &own, Code::RecipientsRefused),
        (RecipientsChange::Remove(&nonsense), &own, Code::RecipientsRefused),
        (RecipientsChange::Remove(&own), &own, Code::RecipientsRefused),
    ] {
        let error = change(&vault, None, wanted, texts).unwrap_err();
        assert_eq!((error.code(), error.code().exit()), (code, 2), "{wanted:?}: {error}");
    }
    let error = desk(&vault, None, &Person::new()).err().unwrap();
    assert_eq!(error.code(), Code::IdentityWrong);
    assert_eq!(vault.auditor(&vault.stores[0]).note().number, 1);
}

#[test]
fn the_kit_of_another_vault_signs_nothing_here() {
    let (vault, other) = (vault(), TestVault::new());
    let open = |host| {
        idswyft_vault::ops::desk::Desk::open(
            "nightly",
            &other.path("kit"),
            Person::of(&other).identities(),
            vault.stores.clone(),
            host,
            vault.outside(),
            vault.events.as_ref(),
        )
    };
    for host in [None, Some(vault.writer())] {
        assert_eq!(open(host).err().unwrap().code(), Code::KitUnusable);
    }
}

/// V-103
#[test]
fn signers_come_and_go_and_a_retired_one_stays_in_the_note() {
    let vault = vault();
    let id = vault.report.vault;
    let key = SigningKey::from_seed(id, KeyUse::Signer, &[7; 32]).verification_key().clone();
    let events = || signers::events_for(Role::Janitor, &[]).unwrap();
    let observer = vault.events.as_ref();
    let open = || desk(&vault, None, &Person::of(&vault)).unwrap();
    let report = signers::add(&mut open(), &key, Role::Janitor, events(), observer).unwrap();
    assert_eq!((report.number, report.completed), (2, false));
    let report = signers::retire(&mut open(), key.signer_id(), observer).unwrap();
    assert!(report.number == 3 && report.delegate.retired.is_some());
    let events_said = events_of_operator(&vault, &vault.stores[0]);
    assert_eq!(events_said, ["signer.added", "signer.retired"]);
    let refused = signers::add(&mut open(), &key, Role::Janitor, events(), observer).unwrap_err();
    assert!(refused.to_string().contains("never comes back"), "{refused}");
    let foreign = SigningKey::from_seed(VaultId::from_bytes([9; 16]), KeyUse::Signer, &[7; 32]);
    let foreign = foreign.verification_key();
    let refused = signers::add(&mut open(), foreign, Role::Janitor, events(), observer);
    assert!(refused.unwrap_err().to_string().contains("another vault"));
    let operator = open().operator.signer();
    let refused = signers::retire(&mut open(), operator, observer).unwrap_err();
    assert!(refused.to_string().contains("derived from the root key"), "{refused}");
    let unknown = "0011223344556677".parse().unwrap();
    assert_eq!(
        signers::retire(&mut open(), unknown, observer).unwrap_err().code(),
        Code::SignerRefused
    );
    assert!(observer.warnings().is_empty());
    signers::retire(&mut open(), writer_id(&vault), observer).unwrap();
    assert_eq!(observer.warnings(), [Code::SignerNotDelegated], "no writer is left");
    assert!(vault.verify(Level::Ledger).findings.is_empty());
}

/// V-187
#[test]
fn an_exported_identity_opens_its_generation_and_no_other() {
    let vault = vault();
    let first = vault.writer().generation().id;
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let observer = vault.events.as_ref();
    vault.clock.pass_hours(1);
    let mut host = vault.writer();
    let second = generations::roll(&mut host, &recipients, &NoPassphrase, observer).unwrap();
    drop(host);
    vault.snapshot();
    let rows = generations::list(&vault.auditor(&vault.stores[0]), observer).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.id, row.closed.is_some())).collect();
    assert_eq!(told, [(first, true), (second, false)]);
    assert!(rows.iter().all(|row| row.snapshot_count == 1 && row.stored_len > 0));
    let (id, file) = generations::export(&vault.unlocked(), &first.to_string()).unwrap();
    assert_eq!(id, first);
    assert!(!file.contains("dedup"));
    let identities = DataIdentities::parse("x", file.as_bytes(), &NoPassphrase).unwrap();
    let unlocked = Unlocked::new(vault.auditor(&vault.stores[0]), identities).unwrap();
    assert!(unlocked.generation(first).unwrap().dedup_secret.is_none());
    assert_eq!(unlocked.generation(second).err().unwrap().code(), Code::IdentityWrong);
    let only: Vec<_> = unlocked.auditor().snapshots().unwrap().sound.into_values().collect();
    let only: Vec<_> =
        only.iter().filter(|note| note.generation == first).map(|note| note.snapshot).collect();
    let (auditor, level) = (unlocked.auditor(), Level::Contents);
    let report = verify::verify(auditor, Some(&unlocked), level, Some(&only), observer).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.not_covered.iter().any(|gap| gap.contains(&first.to_string())));
    for text in ["", "1999"] {
        let error = generations::export(&vault.unlocked(), text).unwrap_err();
        assert_eq!(error.code(), Code::GenerationUnknown);
    }
}

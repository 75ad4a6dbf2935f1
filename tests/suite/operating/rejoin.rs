//! A host that lost its whole state, and the operator who lets it go on.

use std::fs;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::rejoin::{self, Rejoin, RejoinReport};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::ops::{self, signers};

use super::{Person, desk, vault};
use crate::support::image::Image;
use crate::support::vault::{TestVault, assert_same_tree, noise};
use crate::support::{Call, FaultyStore, Mode, Then};

fn lose_state(vault: &TestVault) {
    fs::remove_dir_all(vault.path("state")).unwrap();
}

fn try_rejoin(vault: &TestVault, recipient: &str) -> Result<RejoinReport, ops::Error> {
    let recipients = DataRecipients::parse(&[recipient]).unwrap();
    let request = Rejoin {
        name: "nightly",
        root: vault.report.root_key.parse().unwrap(),
        recipients: &recipients,
        stores: vault.stores.clone(),
    };
    let (state, outside) = (vault.path("state"), vault.outside());
    rejoin::rejoin(request, &state, &NoPassphrase, &outside, vault.events.as_ref())
}

fn delegate(vault: &TestVault, report: &RejoinReport) {
    let mut desk = desk(vault, None, &Person::of(vault)).unwrap();
    let events = signers::events_for(Role::Writer, &[]).unwrap();
    let key = report.signer_key.parse().unwrap();
    signers::add(&mut desk, &key, Role::Writer, events, vault.events.as_ref()).unwrap();
}

/// V-200
#[test]
fn a_host_that_lost_its_state_goes_on_as_a_new_signer() {
    let vault = vault();
    let (old_signer, old_generation) =
        (vault.writer().key().signer_id(), vault.writer().generation().id);
    let before = vault.auditor(&vault.stores[0]).snapshots().unwrap().sound;
    lose_state(&vault);
    let report = try_rejoin(&vault, &vault.recipient).unwrap();
    assert_ne!((report.signer, report.generation), (old_signer, old_generation));

    vault.write("documents/b.jpg", &noise(2, 40_000));
    let pending = vault.snapshot();
    assert_eq!(vault.events.warnings(), [Code::SignerPending]);
    let found = vault.verify(Level::Ledger).findings;
    assert!(!found.is_empty());
    let unknown = [Code::SignerNotDelegated, Code::SignatureInvalid];
    assert!(found.iter().all(|finding| unknown.contains(&finding.code)), "{found:?}");

    delegate(&vault, &report);
    let taken = vault.snapshot();
    assert!(vault.events.warnings().is_empty(), "the host took the delegation up");
    assert_eq!(vault.verify(Level::Contents).findings, []);
    assert!(pending.snapshot < taken.snapshot);
    let auditor = vault.auditor(&vault.stores[0]);
    let packs = |id| {
        let list = auditor.list(&auditor.snapshot(id).unwrap()).unwrap();
        list.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
    };
    let new = packs(taken.snapshot);
    for id in before.keys() {
        assert!(packs(*id).iter().all(|key| !new.contains(key)), "no pack of another is leaned on");
        let out = vault.path("old");
        assert!(vault.try_restore(*id, &out).unwrap().losses.is_empty());
    }
    let out = vault.path("new");
    assert!(vault.try_restore(taken.snapshot, &out).unwrap().losses.is_empty());
    assert_same_tree(&vault.path("uploads"), &out.join("uploads"));
}

/// V-199
#[test]
fn rejoining_needs_the_vaults_own_key_its_recipients_and_no_state() {
    let vault = vault();
    let error = try_rejoin(&vault, &vault.recipient).unwrap_err();
    assert_eq!(error.code(), Code::VaultExists);
    lose_state(&vault);
    let error = try_rejoin(&vault, &Person::new().recipient).unwrap_err();
    assert_eq!(error.code(), Code::PolicyDiffers);
    let mut stranger = TestVault::new();
    stranger.stores = vault.stores.clone();
    lose_state(&stranger);
    let error = try_rejoin(&stranger, &vault.recipient).unwrap_err();
    assert_eq!(error.code(), Code::SignatureInvalid, "{error}");
    assert!(!vault.path("state/nightly/vault.json").exists());
    try_rejoin(&vault, &vault.recipient).unwrap();
}

#[test]
fn an_old_note_that_cannot_be_read_keeps_no_host_from_rejoining() {
    let mut vault = vault();
    lose_state(&vault);
    let is_note = |call: &Call| matches!(call, Call::Get(ObjectKey::Note(_)));
    let bad = FaultyStore::new(vault.stores[0].clone()).fail_calls(Mode::NotDone, is_note);
    vault.stores = vec![Arc::new(bad)];
    try_rejoin(&vault, &vault.recipient).unwrap();
}

#[test]
fn rejoining_that_dies_at_any_call_is_finished_by_running_it_again() {
    let mut vault = vault();
    let store = vault.stores[0].clone();
    lose_state(&vault);
    let image = Image::take(&["state", "store", "kit"].map(|name| vault.path(name)));
    for nth in 0.. {
        image.put_back();
        let faulty =
            FaultyStore::new(store.clone()).fail_nth(nth, Mode::DoneButReported, Then::IsDead);
        let faulty = Arc::new(faulty);
        vault.stores = vec![faulty.clone()];
        let died = try_rejoin(&vault, &vault.recipient);
        vault.stores = vec![store.clone()];
        assert_eq!(died.is_err(), faulty.fault_count() > 0);
        let report = match died {
            Ok(report) => report,
            // Where only the record of the last answer was lost there is nothing left to finish.
            Err(_) => match try_rejoin(&vault, &vault.recipient) {
                Err(error) if error.code() == Code::VaultExists => {
                    let (signer, signer_key) = {
                        let writer = vault.writer();
                        (writer.key().signer_id(), writer.key().verification_key().to_string())
                    };
                    let generation = vault.writer().generation().id;
                    let (name, id) = ("nightly".to_owned(), vault.report.vault);
                    RejoinReport { name, vault: id, signer, signer_key, generation }
                }
                other => other.unwrap(),
            },
        };
        delegate(&vault, &report);
        vault.snapshot();
        assert_eq!(vault.verify(Level::Contents).findings, [], "{nth}");
        if faulty.fault_count() == 0 {
            assert!(nth > 4, "{nth} calls were swept");
            break;
        }
    }
}

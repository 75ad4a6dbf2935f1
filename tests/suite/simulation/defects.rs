//! What the simulation found, each as a test of its own.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Observer, OpenGate};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::manifest;
use idswyft_vault::ops::rebuild::{self, Rebuild};
use idswyft_vault::ops::snapshot::{self, SnapshotReport, VaultJob};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::Store;
use idswyft_vault::vault::state::StateDir;

use crate::support::vault::{TestVault, noise};
use crate::support::{Call, FaultyStore, Mode};

#[test]
fn snapshots_of_one_second_sort_in_their_order_also_after_the_clock_went_back() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 1000));
    vault.snapshot();
    vault.clock.pass_hours(-30);
    let taken: Vec<_> =
        (0..6).map(|_| vault.try_snapshot(&vault.sources()).unwrap().snapshot).collect();
    assert!(taken.is_sorted(), "{taken:?}");
}

/// V-155
#[test]
fn a_record_on_its_way_is_no_damage_also_after_the_clock_went_back() {
    let mut vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 1000));
    vault.snapshot();
    vault.clock.pass_hours(-30);
    vault.try_snapshot(&vault.sources()).unwrap();
    vault.clock.pass_hours(1);
    let whole = std::mem::take(&mut vault.stores);
    let is_record = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerEvent(..)));
    let failing = FaultyStore::new(whole[0].clone()).fail_calls(Mode::NotDone, is_record);
    vault.stores = vec![Arc::new(failing)];
    vault.try_snapshot(&vault.sources()).unwrap_err();
    vault.stores = whole;
    let report = vault.verify(Level::Ledger);
    assert!(report.is_sound(), "{:?}", report.findings);
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        (codes, report.snapshot_count),
        (vec![Code::RecordPending, Code::RecordBackdated], 3)
    );
}

#[test]
fn a_store_that_does_not_say_whether_a_checkpoint_is_there_is_no_pending_record() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 1000));
    vault.snapshot();
    let is_asked = |call: &Call| matches!(call, Call::Stat(ObjectKey::LedgerCheckpoint(..)));
    let store = FaultyStore::new(vault.stores[0].clone()).fail_calls(Mode::NotDone, is_asked);
    let store: Arc<dyn Store> = Arc::new(store);
    let verified =
        verify::verify(&vault.auditor(&store), None, Level::Ledger, None, vault.events.as_ref());
    let report = verified.unwrap();
    assert!(!report.is_sound());
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&Code::ObjectUnreadable), "{codes:?}");
}

#[test]
fn what_a_run_warns_of_one_vault_is_not_kept_in_another() {
    let vaults = [TestVault::new(), TestVault::new()];
    vaults[0].write("a.jpg", &noise(1, 1000));
    vaults[0].snapshot();
    vaults[0].clock.pass_hours(-30);
    let job = |vault: &TestVault| {
        let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
        VaultJob { writer: vault.writer(), recipients }
    };
    let (jobs, observer) = (vaults.iter().map(job).collect(), vaults[0].events.clone());
    let observer: Arc<dyn Observer> = observer;
    let sources = vaults[0].sources();
    let report = snapshot::run(jobs, &sources, &[], &NoPassphrase, &observer).unwrap();
    let kept = |(vault, taken): (&TestVault, &SnapshotReport)| {
        let note = vault.auditor(&vault.stores[0]).snapshot(taken.snapshot).unwrap();
        vault.unlocked().body(&note).unwrap().warnings.len()
    };
    let kept: Vec<usize> = vaults.iter().zip(&report.taken).map(kept).collect();
    assert_eq!(kept, [1, 0]);
}

#[test]
fn a_note_that_the_store_does_not_give_is_not_left_out_of_a_rebuilt_manifest() {
    let mut vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 1000));
    let first = vault.snapshot().snapshot;
    vault.snapshot();
    let path = vault.path("state/nightly/manifest.sqlite");
    manifest::remove(&path, &OpenGate::shared()).unwrap();
    let is_asked = move |call: &Call| *call == Call::Get(ObjectKey::Note(first));
    let store = FaultyStore::new(vault.stores[0].clone()).fail_calls(Mode::NotDone, is_asked);
    vault.stores = vec![Arc::new(store)];
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let request = Rebuild {
        state: StateDir::new(&vault.path("state"), "nightly"),
        stores: vault.stores.clone(),
        recipients: &recipients,
        identities: None,
    };
    let rebuilt = rebuild::rebuild(request, &NoPassphrase, &vault.outside(), vault.events.as_ref());
    assert_eq!(rebuilt.unwrap_err().code(), Code::StoreUnavailable);
}

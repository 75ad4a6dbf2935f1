//! What fails, fails whole: mirrors that do not answer, stores that are full.

use std::fs;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Store;

use crate::support::vault::{TestVault, local, noise};
use crate::support::{Call, FaultyStore, Mode, RecordingStore};

fn fill(vault: &TestVault) {
    for index in 0..6 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 40_000));
    }
    vault.write_dump(&(0..2000).map(|row| format!("{row}\tx{row}")).collect::<Vec<_>>());
}

fn with_one(store: Arc<dyn Store>) -> TestVault {
    TestVault::with(|_| vec![store], Parameters::initial())
}

/// V-133, V-134
#[test]
fn objects_are_written_in_the_order_that_makes_a_crash_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Arc::new(RecordingStore::new(local(&dir.path().join("s"), "local")));
    let vault = with_one(recording.clone());
    fill(&vault);
    vault.snapshot();
    // V: I1 secrets before packs, I2 the note after what it names, I3 the event after the note.
    let rank = |key: &ObjectKey| match key {
        ObjectKey::Vault(_) => Some(0),
        ObjectKey::Generation(..) => Some(1),
        ObjectKey::LedgerEvent(_, 0 | 1) | ObjectKey::LedgerCheckpoint(_, 0 | 1) => Some(2),
        ObjectKey::Pack(_) | ObjectKey::Tree(_) => Some(3),
        ObjectKey::Segment(_) => Some(4),
        ObjectKey::Body(_) => Some(5),
        ObjectKey::List(_) => Some(6),
        ObjectKey::Note(_) => Some(7),
        ObjectKey::LedgerEvent(..) => Some(8),
        ObjectKey::LedgerCheckpoint(..) => Some(9),
        ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => None,
    };
    recording.assert_put_order(rank);
    recording.assert_nothing_sent_twice();
}

#[test]
fn taking_a_snapshot_reads_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Arc::new(RecordingStore::new(local(&dir.path().join("s"), "local")));
    let vault = with_one(recording.clone());
    fill(&vault);
    vault.snapshot();
    recording.clear();
    vault.snapshot();
    let reads = recording
        .calls()
        .into_iter()
        .filter(|recorded| !matches!(recorded.call, Call::PutNew(_) | Call::CleanStaging));
    let reads: Vec<Call> = reads.map(|recorded| recorded.call).collect();
    assert_eq!(reads, [Call::Get(ObjectKey::Vault(2))], "but for what an operator may have signed");
}

/// V-141
#[test]
fn a_mirror_that_does_not_answer_costs_a_warning_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = local(&dir.path().join("mirror"), "mirror");
    let stores = vec![local(&dir.path().join("s"), "local"), mirror.clone()];
    let mut vault = TestVault::with(|_| stores, Parameters::initial());
    fill(&vault);
    vault.snapshot();
    let silent = FaultyStore::new(mirror.clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    vault.write("documents/new.jpg", &noise(1000, 40_000));
    let report = vault.snapshot();
    assert_eq!(report.lagging, ["mirror"]);
    assert_eq!(vault.events.warnings(), [Code::MirrorLagging]);
    vault.stores[1] = mirror;
    let report = vault.snapshot();
    assert!(report.lagging.is_empty());
    let auditor = vault.auditor(&vault.stores[1]);
    let verified = idswyft_vault::ops::verify::verify(
        &auditor,
        None,
        Level::Bytes,
        None,
        vault.events.as_ref(),
    );
    let verified = verified.unwrap();
    assert_eq!((verified.findings, verified.snapshot_count), (vec![], 3));
    let spool = vault.path("state/nightly/spool");
    assert_eq!(fs::read_dir(spool).unwrap().count(), 0, "nothing waits any more");
}

/// V-143
#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let vault = TestVault::new();
    let lock = idswyft_vault::vault::state::StateLock::take(&vault.path("state")).unwrap();
    let second = idswyft_vault::vault::state::StateLock::take(&vault.path("state"));
    assert_eq!(second.err().unwrap().code(), Code::Locked);
    drop(lock);
}

#[test]
fn a_wrong_identity_opens_nothing_and_is_named_as_such() {
    use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
    let vault = TestVault::new();
    fill(&vault);
    let report = vault.snapshot();
    let stranger = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
    let identities = DataIdentities::parse("x", stranger.file.as_bytes(), &NoPassphrase).unwrap();
    let unlocked =
        idswyft_vault::vault::Unlocked::new(vault.auditor(&vault.stores[0]), identities).unwrap();
    let note = unlocked.auditor().snapshot(report.snapshot).unwrap();
    let error = unlocked.body(&note).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::IdentityWrong, 6));
}

/// V-147
#[test]
fn a_target_with_something_in_it_is_left_alone() {
    let vault = TestVault::new();
    fill(&vault);
    let report = vault.snapshot();
    let target = vault.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    let error = vault.try_restore(report.snapshot, &target).unwrap_err();
    assert_eq!(error.code(), Code::TargetNotEmpty);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
}

#[test]
fn a_store_that_the_vault_does_not_know_is_refused() {
    let mut vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 50_000));
    vault.snapshot();
    let other = local(&vault.path("other"), "other");
    other.prepare().unwrap();
    vault.stores.push(other);
    let outside = vault.outside();
    let state = idswyft_vault::vault::state::StateDir::new(&vault.path("state"), "nightly");
    let error =
        idswyft_vault::vault::Writer::open(state, vault.stores.clone(), outside).err().unwrap();
    assert_eq!(error.code(), Code::StoreForeign, "{error}");
}

//! What a reading of the whole code found: windows, races and lies that no other test had met.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Observer};
use idswyft_vault::crypto::identity::{NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::restore::{self, Existing, RestoreRequest};
use idswyft_vault::ops::snapshot::{self, SnapshotReport, VaultJob};
use idswyft_vault::ops::verify::{Level, verify};
use idswyft_vault::store::Store;

use crate::support::vault::{TestVault, assert_same_tree, local, noise};
use crate::support::{Call, FaultyStore, Mode};

const MANIFEST: &str = "state/nightly/manifest.sqlite";

fn filled() -> TestVault {
    let vault = TestVault::new();
    vault.write("documents/a.jpg", &noise(1, 70_000));
    vault.write_dump(&["1\tAda".to_owned()]);
    vault
}

fn with_mirror() -> TestVault {
    let stores = |dir: &Path| {
        let store = |name: &str| local(&dir.join(name), name);
        vec![store("primary"), store("mirror")]
    };
    TestVault::with(stores, Parameters::initial())
}

fn restored_is_the_same(vault: &TestVault, target: &str) {
    let report = vault.snapshot();
    let target = vault.path(target);
    assert!(vault.try_restore(report.snapshot, &target).unwrap().losses.is_empty());
    assert_same_tree(&vault.path("uploads"), &target.join("uploads"));
}

/// Renaming a directory changes no stat of what is in it, but it can change which name is first.
#[test]
fn hard_links_survive_the_renaming_of_a_directory_above_them() {
    let vault = TestVault::new();
    let path = |name: &str| vault.path("uploads").join(name);
    vault.write("b/first.jpg", &noise(1, 70_000));
    vault.write("c/other.jpg", &noise(2, 10));
    fs::hard_link(path("b/first.jpg"), path("c/second.jpg")).unwrap();
    restored_is_the_same(&vault, "out-1");
    fs::rename(path("b"), path("a")).unwrap();
    restored_is_the_same(&vault, "out-2");
    fs::rename(path("a"), path("z")).unwrap();
    restored_is_the_same(&vault, "out-3");
    fs::rename(path("z"), vault.path("elsewhere")).unwrap();
    restored_is_the_same(&vault, "out-4");
}

/// Lets a host's manifest refuse rows of the outbox, as a full disk would.
fn refuse_outgoing(vault: &TestVault, pattern: &str) {
    let trigger = format!(
        "CREATE TRIGGER refused BEFORE INSERT ON outbox WHEN NEW.key LIKE '{pattern}' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    manifest(vault).execute_batch(&trigger).unwrap();
}

fn manifest(vault: &TestVault) -> rusqlite::Connection {
    rusqlite::Connection::open(vault.path(MANIFEST)).unwrap()
}

#[test]
fn a_roll_that_fails_in_the_manifest_ends_the_run_and_leaves_no_gap_in_the_ledger() {
    let vault = filled();
    vault.snapshot();
    refuse_outgoing(&vault, "generations/%");
    vault.clock.pass_hours(24 * 366);
    let failed = vault.try_snapshot(&vault.sources());
    assert_eq!(failed.unwrap_err().code(), Code::StateUnavailable);
    manifest(&vault).execute_batch("DROP TRIGGER refused").unwrap();
    vault.snapshot();
    assert_eq!(vault.verify(Level::Contents).findings, []);
}

#[test]
fn an_event_that_was_not_journaled_takes_no_place_in_the_ledger() {
    use idswyft_vault::format::event::EventPayload;
    use idswyft_vault::format::event_fields::GenerationRef;
    let vault = filled();
    let mut writer = vault.writer();
    let generation = writer.generation().id;
    let event = || EventPayload::GenerationClosed(GenerationRef { generation });
    refuse_outgoing(&vault, "ledger/%");
    assert!(writer.record(event()).is_err());
    manifest(&vault).execute_batch("DROP TRIGGER refused").unwrap();
    writer.record(event()).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    assert_eq!(vault.verify(Level::Ledger).findings, []);
}

#[test]
fn a_crash_while_a_generation_is_erased_leaves_the_vault_usable() {
    let vault = filled();
    vault.snapshot();
    let next = vault.path("state/nightly/generation.next.json");
    fs::write(&next, [0; 300]).unwrap();
    vault.snapshot();
    assert!(!next.exists());
}

/// V-136
#[test]
fn whatever_is_planted_as_the_next_vault_note_stops_no_reader() {
    let vault = filled();
    let report = vault.snapshot();
    let planted = vault.path("store/vault/2.note");
    let nothing_stops = |what: &str| {
        let findings = vault.verify(Level::Stored).findings;
        assert!(findings.iter().any(|found| found.object == "vault/2.note"), "{what}");
        assert!(vault.try_restore(report.snapshot, &vault.path(what)).is_ok(), "{what}");
    };
    fs::write(&planted, vec![b'x'; 1_000_001]).unwrap();
    nothing_stops("long");
    fs::remove_file(&planted).unwrap();
    fs::create_dir(&planted).unwrap();
    nothing_stops("directory");
}

/// V-173, V-181
#[test]
fn the_empty_place_of_a_disk_that_is_not_mounted_is_no_store() {
    let vault = filled();
    vault.snapshot();
    let (store, disk) = (vault.path("store"), vault.path("disk"));
    fs::rename(&store, &disk).unwrap();
    fs::create_dir(&store).unwrap();
    vault.clock.pass_hours(1);
    let failed = vault.try_snapshot(&vault.sources());
    assert_eq!(failed.unwrap_err().code(), Code::StoreUnavailable);
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0, "nothing went to the wrong disk");
    fs::remove_dir(&store).unwrap();
    fs::rename(&disk, &store).unwrap();
    vault.snapshot();
    assert_eq!(vault.verify(Level::Contents).findings, []);
}

/// V-152
#[test]
fn a_generation_file_sealed_to_somebody_else_is_damage_and_no_wrong_identity() {
    let vault = filled();
    let report = vault.snapshot();
    let generations = vault.path("store/generations");
    let generation = fs::read_dir(generations).unwrap().next().unwrap().unwrap().path();
    let stranger = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH).recipient;
    let planted = DataRecipients::parse(&[stranger]).unwrap().seal(b"x", &NoPassphrase).unwrap();
    fs::write(generation.join("1.age"), &planted[0]).unwrap();
    let error = vault.try_restore(report.snapshot, &vault.path("out")).unwrap_err();
    assert_eq!(error.code(), Code::ObjectAltered);
    let findings = vault.verify(Level::Contents).findings;
    assert!(findings.iter().any(|found| found.object.ends_with("/1.age")), "{findings:?}");
}

#[test]
fn what_crashed_runs_left_in_mirrors_and_spool_goes_with_the_next_run() {
    let vault = with_mirror();
    vault.write("a.jpg", &noise(1, 1000));
    vault.snapshot();
    let left = vault.path("mirror/.idswyft-vault-staging/.idswyft-vault-99-1");
    let file = fs::File::create(&left).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let spooled = vault.path("state/nightly/spool/segment-20200101T000000Z-00000000");
    fs::write(&spooled, "half").unwrap();
    vault.snapshot();
    assert!(!left.exists() && !spooled.exists());
}

#[test]
fn an_init_that_died_in_its_first_transaction_can_be_repeated() {
    let stores = |dir: &Path| {
        let state = dir.join("state/nightly");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("manifest.sqlite"), "").unwrap();
        fs::write(state.join("manifest.sqlite-journal"), "").unwrap();
        vec![local(&dir.join("store"), "local")]
    };
    TestVault::with(stores, Parameters::initial()).snapshot();
}

#[test]
fn without_an_identity_contents_are_not_said_to_be_proven() {
    let vault = filled();
    vault.snapshot();
    let auditor = vault.auditor(&vault.stores[0]);
    let report = verify(&auditor, None, Level::Contents, None, vault.events.as_ref()).unwrap();
    assert_eq!(report.level, Level::Bytes);
    assert!(report.not_covered.iter().any(|gap| gap.contains("contents")));
}

/// V-83
#[test]
fn facts_are_for_their_owner_alone_and_lost_bytes_are_not_counted_as_restored() {
    use std::os::unix::fs::PermissionsExt;
    let vault = filled();
    let report = vault.snapshot();
    let target = vault.path("out");
    fs::create_dir(&target).unwrap();
    vault.try_restore(report.snapshot, &target).unwrap();
    let mode = fs::metadata(target.join("facts.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let packs = walkdir::WalkDir::new(vault.path("store/packs")).into_iter();
    let packs = packs.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    packs.for_each(|pack| fs::write(pack.path(), "gone").unwrap());
    let report = vault.try_restore(report.snapshot, &vault.path("lossy")).unwrap();
    assert_eq!((report.losses.len(), report.file_count, report.content_len), (2, 0, 0));
}

#[test]
fn a_further_name_without_a_first_one_costs_itself_alone() {
    use idswyft_vault::format::{Kind, Time, TreeEntry};
    use idswyft_vault::source::Target;
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(&dir.path().join("out"), Existing::Refuse).unwrap();
    let entry = TreeEntry {
        path: b"b".to_vec(),
        kind: Kind::Hardlink { link: b"a".to_vec() },
        mode: 0o600,
        uid: 0,
        gid: 0,
        mtime: Time { sec: 0, nsec: 0 },
        xattrs: std::collections::BTreeMap::new(),
    };
    assert_eq!(target.place(&entry).unwrap().problems.len(), 1);
}

#[test]
fn a_mirror_on_a_disk_that_is_not_mounted_lags_and_catches_up() {
    let vault = with_mirror();
    vault.write("a.jpg", &noise(1, 1000));
    let (mirror, disk) = (vault.path("mirror"), vault.path("disk"));
    fs::rename(&mirror, &disk).unwrap();
    fs::create_dir(&mirror).unwrap();
    assert_eq!(vault.snapshot().lagging, ["mirror"]);
    fs::remove_dir(&mirror).unwrap();
    fs::rename(&disk, &mirror).unwrap();
    assert!(vault.snapshot().lagging.is_empty());
    let auditor = vault.auditor(&Arc::clone(&vault.stores[1]));
    let report = verify(&auditor, None, Level::Bytes, None, vault.events.as_ref()).unwrap();
    assert_eq!((report.findings, report.snapshot_count), (vec![], 2));
}

/// Takes a snapshot of the first vault's sources for both.
fn snapshot_both(
    first: &TestVault,
    second: &TestVault,
) -> Result<Vec<SnapshotReport>, idswyft_vault::ops::Error> {
    let job = |vault: &TestVault| {
        vault.clock.pass_hours(1);
        let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
        VaultJob { writer: vault.writer(), recipients }
    };
    let observer: Arc<dyn Observer> = first.events.clone();
    let jobs = vec![job(first), job(second)];
    let mut report = snapshot::run(jobs, &first.sources(), &[], &NoPassphrase, &observer)?;
    match report.failed.pop() {
        Some((_, error)) => Err(error),
        None => Ok(report.taken),
    }
}

#[test]
fn a_vault_that_cannot_end_its_snapshot_keeps_no_other_from_its_own() {
    let (first, mut second) = (TestVault::new(), TestVault::new());
    first.write("a.jpg", &noise(1, 50_000));
    let sound = second.stores[0].clone();
    let is_note = |call: &Call| matches!(call, Call::PutNew(ObjectKey::Note(_)));
    let faulty = FaultyStore::new(sound.clone()).fail_calls(Mode::NotDone, is_note);
    second.stores[0] = Arc::new(faulty);
    for (one, other) in [(&first, &second), (&second, &first)] {
        assert!(snapshot_both(one, other).is_err());
    }
    second.stores[0] = sound;
    let count = |vault: &TestVault| vault.auditor(&vault.stores[0]).snapshots().unwrap();
    assert_eq!((count(&first).sound.len(), count(&second).sound.len()), (2, 0));
}

#[test]
fn a_store_that_fails_in_one_of_two_vaults_fails_it_and_never_hangs_the_run() {
    let (mut first, mut second) = (TestVault::with_small_packs(), TestVault::with_small_packs());
    for index in 0..400 {
        first.write(&format!("{index}.jpg"), &noise(index, 100_000));
    }
    first.write("large.bin", &noise(1000, 30_000_000));
    for failing in [&mut first, &mut second] {
        let is_pack = |call: &Call| matches!(call, Call::PutNew(key) if key.pack().is_some());
        let faulty = FaultyStore::new(failing.stores[0].clone());
        failing.stores[0] = Arc::new(faulty.fail_calls(Mode::NotDone, is_pack));
    }
    let sound = [local(&first.path("store"), "local"), local(&second.path("store"), "local")];
    let rounds = [(true, true), (true, false), (false, true)];
    for (round, (fails_first, fails_second)) in (2000..).zip(rounds) {
        // Something that each vault must store: what the other took before is not sent again.
        first.write(&format!("{round}.jpg"), &noise(round, 100_000));
        let faulty = (first.stores[0].clone(), second.stores[0].clone());
        if !fails_first {
            first.stores[0] = sound[0].clone();
        }
        if !fails_second {
            second.stores[0] = sound[1].clone();
        }
        let failed = snapshot_both(&first, &second).unwrap_err();
        assert_eq!(failed.code(), Code::StoreUnavailable, "{failed}");
        (first.stores[0], second.stores[0]) = faulty;
    }
    (first.stores[0], second.stores[0]) = (sound[0].clone(), sound[1].clone());
    let reports = snapshot_both(&first, &second).unwrap();
    for (vault, report) in [&first, &second].into_iter().zip(reports) {
        assert_eq!(vault.verify(Level::Contents).findings, []);
        let target = vault.path("out");
        assert!(vault.try_restore(report.snapshot, &target).unwrap().losses.is_empty());
        assert_same_tree(&first.path("uploads"), &target.join("uploads"));
    }
}

#[test]
fn a_second_name_of_a_socket_costs_itself_alone() {
    let vault = filled();
    let path = |name: &str| vault.path("uploads").join(name);
    let _socket = std::os::unix::net::UnixListener::bind(path("s1")).unwrap();
    fs::hard_link(path("s1"), path("s2")).unwrap();
    let report = vault.snapshot();
    let restored = vault.try_restore(report.snapshot, &vault.path("out")).unwrap();
    assert_eq!((restored.file_count, restored.losses), (1, vec![]));
}

#[test]
fn a_tree_merged_over_an_older_one_replaces_files_and_follows_no_link() {
    let vault = filled();
    vault.write("documents/b/c.txt", b"archived");
    let report = vault.snapshot();
    let (target, outside) = (vault.path("out"), vault.path("outside"));
    fs::create_dir_all(target.join("uploads/documents")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    fs::write(target.join("uploads/documents/a.jpg"), "older").unwrap();
    fs::write(target.join("uploads/documents/kept.jpg"), "kept").unwrap();
    std::os::unix::fs::symlink(&outside, target.join("uploads/documents/b")).unwrap();
    let request = RestoreRequest {
        snapshot: report.snapshot,
        target: &target,
        only: None,
        paths: None,
        existing: Existing::Replace,
    };
    let merged = restore::restore(&vault.unlocked(), &request, vault.events.as_ref());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    merged.unwrap();
    let read = |name: &str| fs::read(target.join("uploads/documents").join(name)).unwrap();
    assert_eq!(read("a.jpg"), noise(1, 70_000));
    assert_eq!((read("b/c.txt"), read("kept.jpg")), (b"archived".to_vec(), b"kept".to_vec()));
}

/// A store that fails while its objects are read, and is otherwise well.
fn unreadable(store: &Arc<dyn Store>) -> Arc<dyn Store> {
    let is_open = |call: &Call| matches!(call, Call::Open(_));
    Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::DoneButReported, is_open))
}

#[test]
fn a_mirror_that_fails_while_it_is_read_back_lags_and_ends_no_run() {
    let mut vault = with_mirror();
    vault.write("a.jpg", &noise(1, 1000));
    let mirror = vault.stores[1].clone();
    let is_body = |call: &Call| matches!(call, Call::PutNew(ObjectKey::Body(_)));
    let silent = FaultyStore::new(mirror.clone()).fail_calls(Mode::DoneButReported, is_body);
    vault.stores[1] = Arc::new(silent);
    assert_eq!(vault.snapshot().lagging, ["mirror"]);
    vault.stores[1] = unreadable(&mirror);
    assert_eq!(vault.snapshot().lagging, ["mirror"]);
    vault.stores[1] = mirror;
    assert!(vault.snapshot().lagging.is_empty());
}

/// V-151
#[test]
fn an_object_that_cannot_be_read_while_it_is_verified_is_a_finding_that_names_it() {
    let vault = filled();
    vault.snapshot();
    let auditor = vault.auditor(&unreadable(&vault.stores[0]));
    let report = verify(&auditor, None, Level::Bytes, None, vault.events.as_ref()).unwrap();
    assert!(!report.findings.is_empty());
    for finding in report.findings {
        assert_eq!(finding.code, Code::ObjectUnreadable);
        assert!(finding.object.parse::<ObjectKey>().is_ok(), "{}", finding.object);
    }
}

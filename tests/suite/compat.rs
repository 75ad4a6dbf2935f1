//! Frozen vaults: what a release wrote once, which every later one must read (§15).
//!
//! `tests/vaults/<format>/<name>` holds `store/`, the root key, an identity that opens it, and what
//! is in it. They are made once, by the ignored test below, and never edited.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::vault::{Auditor, Unlocked};

use crate::reference::{Reference, agrees, agrees_on};
use crate::support::Figure;
use crate::support::vault::{Events, TestVault, local, noise};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vaults/v1")
}

/// Copies the files of a store, and marks the copy as a place for one.
fn copy(store: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(store) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(store).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
    fs::create_dir_all(to.join(".idswyft-vault-staging")).unwrap();
}

/// Lists what the snapshots of a store hold: the database's digest, and the lines of the tree
/// without their places in packs.
fn listing(store: &Path, root_key: &str, identity: &str) -> String {
    let reference = Reference::open(store, root_key, Some(identity)).unwrap();
    let mut text = String::new();
    for id in reference.snapshots() {
        let contents = reference.snapshot(&id).unwrap();
        let b3 = blake3::hash(&contents.db).to_hex();
        text.push_str(&format!("{id} {} {b3}\n", contents.db.len()));
        for entry in contents.files.into_values() {
            let mut line = entry.line;
            line.as_object_mut().unwrap().remove("extents");
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// V-159
#[test]
fn every_frozen_vault_is_read_as_on_its_first_day() {
    let (mut names, mut snapshot_count) = (Vec::new(), 0);
    for frozen in fs::read_dir(directory()).unwrap() {
        let frozen = frozen.unwrap().path();
        let text = |name: &str| fs::read_to_string(frozen.join(name)).unwrap();
        let (root_key, identity) = (text("root.key"), text("identity"));
        let root_key = root_key.trim();
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        copy(&frozen.join("store"), &store);
        snapshot_count += agrees_on(&store, root_key, &identity);
        assert_eq!(listing(&store, root_key, &identity), text("expected"), "{}", frozen.display());
        let auditor = Auditor::open(local(&store, "frozen"), root_key.parse().unwrap()).unwrap();
        let identities = DataIdentities::parse("operator", identity.as_bytes(), &NoPassphrase);
        let unlocked = Unlocked::new(auditor, identities.unwrap()).unwrap();
        for level in [Level::Ledger, Level::Stored, Level::Bytes, Level::Contents] {
            let events = Events::default();
            let report =
                verify::verify(unlocked.auditor(), Some(&unlocked), level, None, &events).unwrap();
            assert_eq!(report.findings, [], "{}: {level:?}", frozen.display());
        }
        names.push(frozen.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["plain", "rolled"], "a vault is missing, or is not in this list");
    let test = "every_frozen_vault_is_read";
    Figure { what: "Snapshots of frozen vaults that are read as on their first day", test }
        .record(snapshot_count);
}

/// Freezes a vault under a name that is free.
fn freeze(vault: &TestVault, name: &str) {
    let frozen = directory().join(name);
    assert!(!frozen.exists(), "{name} is frozen, and what is frozen is never made again");
    agrees(vault);
    copy(&vault.path("store"), &frozen.join("store"));
    fs::remove_dir_all(frozen.join("store/.idswyft-vault-staging")).unwrap();
    let (root_key, identity) = (&vault.report.root_key, &vault.identity);
    fs::write(frozen.join("root.key"), format!("{root_key}\n")).unwrap();
    fs::write(frozen.join("identity"), identity).unwrap();
    let expected = listing(&vault.path("store"), root_key, identity);
    fs::write(frozen.join("expected"), expected).unwrap();
}

#[test]
#[ignore = "makes tests/vaults/v1, once and for all"]
fn freeze_the_vaults_of_version_1() {
    let vault = TestVault::new();
    vault.write_dump(&(0..500).map(|row| format!("{row}\tname {row}")).collect::<Vec<_>>());
    vault.write("documents/passport.jpg", &noise(1, 12_000));
    vault.write("documents/empty.pdf", b"");
    vault.write("selfies/text.txt", "all work and no play\n".repeat(500).as_bytes());
    vault.snapshot();
    vault.write_dump(&(0..520).map(|row| format!("{row}\tname {row}")).collect::<Vec<_>>());
    vault.write("documents/new.jpg", &noise(2, 9_000));
    fs::remove_file(vault.path("uploads/documents/empty.pdf")).unwrap();
    vault.snapshot();
    freeze(&vault, "plain");

    let vault = TestVault::new();
    let uploads = vault.path("uploads");
    vault.write("documents/1.jpg", &noise(3, 5_000));
    fs::hard_link(uploads.join("documents/1.jpg"), uploads.join("second name")).unwrap();
    symlink("documents/1.jpg", uploads.join("link")).unwrap();
    fs::write(uploads.join(std::ffi::OsStr::from_bytes(b"\xff name")), b"not UTF-8").unwrap();
    let sparse = fs::File::create(uploads.join("sparse.img")).unwrap();
    sparse.set_len(300_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"an island", 150_000).unwrap();
    xattr::set(uploads.join("documents/1.jpg"), "user.origin", b"scanner\0\xff").unwrap();
    vault.snapshot();
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let mut writer = vault.writer();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    vault.write("documents/2.jpg", &noise(4, 5_000));
    vault.snapshot();
    freeze(&vault, "rolled");
}

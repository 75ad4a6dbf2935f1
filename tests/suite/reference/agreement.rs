//! What the program and the reference reader say of the same store.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{Code, SnapshotId};
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::ops::restore::{self, Existing, RestoreRequest};
use idswyft_vault::ops::verify::{self, Level, VerifyReport};
use idswyft_vault::store::Store;
use idswyft_vault::vault::{Auditor, Unlocked};

use super::reader::{Contents, Reference};
use super::records::{Entry, int};
use super::structures::Refused;
use crate::support::vault::{TestVault, local};

/// What the reference reader refuses, by code and object.
pub type Refusals = BTreeSet<(String, String)>;

/// Asserts that program and reference reader find the vault's primary store sound, and every
/// snapshot in it the same; returns how many there are.
pub fn agrees(vault: &TestVault) -> usize {
    agrees_on(&vault.path("store"), &vault.report.root_key, &vault.identity)
}

/// Asserts the same of any store; what an interrupted delivery leaves is sound.
pub fn agrees_on(dir: &Path, root_key: &str, identity: &str) -> usize {
    let (count, mut refusals) = compare(dir, root_key, identity);
    refusals.retain(|(code, _)| code != "record-pending");
    assert_eq!(refusals, BTreeSet::new(), "{}", dir.display());
    count
}

/// Asserts that program and reference reader refuse the same in a store, and read the same in what
/// they do not refuse; returns how many snapshots both read, and what both refuse.
pub fn compare(dir: &Path, root_key: &str, identity: &str) -> (usize, Refusals) {
    let store = local(dir, "compared");
    let root = root_key.parse().unwrap();
    let reference = Reference::open(dir, root_key, Some(identity));
    let auditor = match Auditor::open(store.clone(), root) {
        Ok(auditor) => auditor,
        Err(error) => {
            let refused = reference.err().unwrap_or_else(|| panic!("only refused by us: {error}"));
            return (0, [split(refused)].into());
        }
    };
    let reference = reference.unwrap_or_else(|refused| panic!("refused: {refused:?}"));
    let identities = DataIdentities::parse("operator", identity.as_bytes(), &NoPassphrase);
    let unlocked = Unlocked::new(auditor, identities.unwrap()).unwrap();
    let (refusals, read) = read_all(&reference);
    for (id, contents) in &read {
        Restored::of(&unlocked, id.parse().unwrap()).assert_holds(contents, id);
    }
    assert_alike(findings(&store, &unlocked), &refusals);
    (read.len(), refusals)
}

/// Asserts that the reference reader refuses in a store what a verification of its contents found,
/// given by code and object.
pub fn confirms(dir: &Path, root_key: &str, identity: &str, found: Vec<(String, String)>) {
    let reference = Reference::open(dir, root_key, Some(identity));
    let reference = reference.unwrap_or_else(|refused| panic!("refused: {refused:?}"));
    assert_alike(found, &read_all(&reference).0);
}

/// Reads every snapshot; returns what is refused, and what is not.
fn read_all(reference: &Reference) -> (Refusals, BTreeMap<String, Contents>) {
    let mut refusals: Refusals = reference.findings.iter().cloned().map(split).collect();
    let mut read = BTreeMap::new();
    for id in reference.snapshots() {
        refusals.extend(reference.sealed_segment(&id).err().map(split));
        match reference.snapshot(&id) {
            Ok(contents) => drop(read.insert(id, contents)),
            Err(refused) => drop(refusals.insert(split(refused))),
        }
    }
    (refusals, read)
}

fn assert_alike(mut found: Vec<(String, String)>, refusals: &Refusals) {
    // The reference reader reads what is needed, and does not look for what is not.
    found.retain(|(code, _)| code != "object-unreferenced");
    assert_eq!(found.is_empty(), refusals.is_empty(), "{found:?}\n{refusals:?}");
    for refusal in refusals {
        let is_found = |(code, object): &(String, String)| {
            *code == refusal.0 && (object.starts_with(&refusal.1) || refusal.1.starts_with(object))
        };
        let is_told = found.iter().any(is_found) || follows(refusal, &found);
        assert!(is_told, "{refusal:?} is not in {found:?}");
    }
}

/// Tells whether the reference reader refuses what follows from something that was found. It looks
/// for no causes: of a log that breaks off it also says which notes that does not record, and of a
/// note that does not verify that it is not the one that is recorded.
fn follows((code, object): &(String, String), found: &[(String, String)]) -> bool {
    let is_of_note = object.starts_with("snapshots/") && object.ends_with(".note");
    let is_cause = |(cause, at): &(String, String)| {
        at == object || at.starts_with("ledger/") && cause != "record-pending"
    };
    let codes = ["note-mismatch", "record-pending", "object-missing"];
    is_of_note && codes.contains(&code.as_str()) && found.iter().any(is_cause)
}

fn split(refused: Refused) -> (String, String) {
    let object = refused.what.split(": ").next().unwrap_or_default().to_owned();
    (refused.code.to_owned(), object)
}

/// Returns what the program finds.
fn findings(store: &Arc<dyn Store>, unlocked: &Unlocked) -> Vec<(String, String)> {
    let events = crate::support::vault::Events::default();
    let report = verify::verify(unlocked.auditor(), Some(unlocked), Level::Contents, None, &events);
    let report = report.unwrap_or_else(|error| panic!("{}: {error}", store.name()));
    by_code(&report)
}

/// Returns a report's findings by code and object.
pub fn by_code(report: &VerifyReport) -> Vec<(String, String)> {
    let findings = report.findings.iter();
    findings.map(|finding| (finding.code.text().to_owned(), finding.object.clone())).collect()
}

/// What the program restores.
struct Restored {
    dir: tempfile::TempDir,
    is_whole: bool,
}

impl Restored {
    fn of(unlocked: &Unlocked, snapshot: SnapshotId) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("restored");
        let (only, paths, existing) = (None, None, Existing::Refuse);
        let request = RestoreRequest { snapshot, target: &target, only, paths, existing };
        let events = crate::support::vault::Events::default();
        let report = restore::restore(unlocked, &request, &events);
        Self {
            dir,
            is_whole: report.is_ok_and(|report| {
                report.losses.iter().all(|loss| loss.code == Code::MetadataNotRestored)
            }),
        }
    }

    fn assert_holds(&self, contents: &Contents, id: &str) {
        assert!(self.is_whole, "{id}: only the reference reader reads it");
        let target = self.dir.path().join("restored");
        let db = fs::read(target.join("db.sql")).unwrap_or_default();
        assert!(db == contents.db, "{id}: the database differs");
        assert_eq!(target.join("db.sql").exists(), !contents.body["database"].is_null());
        assert_same(&target.join("uploads"), contents);
    }
}

/// Asserts that a directory holds what a snapshot's uploads are.
pub fn assert_same(root: &Path, contents: &Contents) {
    let entries = contents.files.iter().filter(|(_, entry)| entry.line["kind"] != "socket");
    let expected: BTreeSet<PathBuf> =
        entries.clone().map(|(path, _)| root.join(OsStr::from_bytes(path))).collect();
    let found = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let found: BTreeSet<PathBuf> = found.map(|entry| entry.path().join("")).collect();
    let expected: BTreeSet<PathBuf> = expected.into_iter().map(|path| path.join("")).collect();
    assert_eq!(found, expected);
    for (path, entry) in entries {
        assert_entry(root, &root.join(OsStr::from_bytes(path)), entry);
    }
}

fn assert_entry(root: &Path, path: &Path, entry: &Entry) {
    let what = path.display();
    let metadata = fs::symlink_metadata(path.components().as_path()).unwrap();
    let kind = entry.line["kind"].as_str().unwrap();
    if kind == "hardlink" {
        let first = fs::symlink_metadata(root.join(OsStr::from_bytes(&entry.bytes))).unwrap();
        assert_eq!(first.ino(), metadata.ino(), "{what}");
    }
    let types = [("file", 0o10), ("dir", 0o4), ("symlink", 0o12), ("fifo", 0o1)];
    let types = [&types[..], &[("char", 0o2), ("block", 0o6)]].concat();
    if let Some((_, bits)) = types.iter().find(|(name, _)| *name == kind) {
        assert_eq!(metadata.mode() >> 12, *bits, "{what}");
    }
    // Only root gives files away, and bits that go with their owner.
    let is_root = rustix::process::geteuid().is_root();
    let bits = if is_root { 0o7777 } else { 0o777 };
    if kind != "symlink" {
        let mode = u32::try_from(int(&entry.line["mode"])).unwrap();
        assert_eq!(metadata.mode() & bits, mode & bits, "{what}");
    }
    let mtime = (&entry.line["mtime"][0], &entry.line["mtime"][1]);
    assert_eq!(mtime, (&metadata.mtime().into(), &metadata.mtime_nsec().into()), "{what}");
    let owner = (metadata.uid() as usize, metadata.gid() as usize);
    let expected = (int(&entry.line["uid"]), int(&entry.line["gid"]));
    assert!(!is_root || owner == expected, "{what}: {owner:?}, not {expected:?}");
    match kind {
        "symlink" => {
            let target = fs::read_link(path).unwrap();
            assert_eq!(target.as_os_str().as_bytes(), entry.bytes, "{what}");
        }
        "file" => assert!(fs::read(path).unwrap() == entry.bytes, "{what}"),
        _ => {}
    }
    for (name, value) in &entry.xattrs {
        let found = xattr::get(path, OsStr::from_bytes(name)).unwrap();
        assert_eq!(found.as_deref(), Some(value.as_slice()), "{what}");
    }
}

//! A vault in object storage alone: nothing local but an identity, and a cache that may be wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::Silent;
use idswyft_vault::base::limits::NOTE_LEN_MAX;
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::signing::VerificationKey;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::read;
use idswyft_vault::ops::retain::Survey;
use idswyft_vault::store::{CachedStore, StorageClass, Store};
use idswyft_vault::vault::{Auditor, Unlocked};
use tempfile::TempDir;

use super::shelf::Shelf;
use crate::support::Call;
use crate::support::vault::dump_of;

/// The look for a newer vault note, which finds none.
const NEXT_NOTE: Call = Call::Get(ObjectKey::Vault(2));

fn shelf() -> (Shelf, TempDir) {
    (Shelf::new(StorageClass::Standard, None), tempfile::tempdir().unwrap())
}

fn cached(shelf: &Shelf, dir: &Path) -> Arc<dyn Store> {
    Arc::new(CachedStore::open(Arc::new(shelf.bucket.clone()), dir.to_owned()).unwrap())
}

/// Lists snapshots as another machine does that has a key, a store and a cache.
fn list(shelf: &Shelf, dir: &Path) -> Vec<String> {
    let key = shelf.vault.report.root_key.parse().unwrap();
    let auditor = Auditor::open(cached(shelf, dir), key).unwrap();
    let checked = auditor.snapshots().unwrap();
    assert!(checked.problems.is_empty());
    checked.sound.keys().map(ToString::to_string).collect()
}

/// Reads the newest dump with an identity.
fn dump(shelf: &Shelf, dir: &Path) -> Vec<u8> {
    let key = shelf.vault.report.root_key.parse().unwrap();
    let auditor = Auditor::open(cached(shelf, dir), key).unwrap();
    let identity = shelf.vault.identity.as_bytes();
    let identities = DataIdentities::parse("operator", identity, &NoPassphrase).unwrap();
    let mut out = Vec::new();
    let unlocked = Unlocked::new(auditor, identities).unwrap();
    read::cat_database(&unlocked, shelf.newest, &mut out).unwrap();
    out
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// V-206
#[test]
fn a_second_listing_reads_no_object() {
    let (shelf, dir) = shelf();
    let first = list(&shelf, dir.path());
    assert_eq!(first.len(), 2);
    shelf.bucket.forget_calls();
    assert_eq!(list(&shelf, dir.path()), first);
    let calls = shelf.bucket.calls();
    let expected = [NEXT_NOTE, Call::List(Folder::Snapshots)];
    assert_eq!(calls, expected, "one for a newer vault note, one for the snapshots");
    // What the host adds is seen at once.
    shelf.vault.snapshot();
    assert_eq!(list(&shelf, dir.path()).len(), 3);
}

/// V-207
#[test]
fn packs_trees_and_keys_are_never_kept_and_files_are_the_owners_alone() {
    let (shelf, dir) = shelf();
    let place = dir.path().join("deep/cache");
    let expected = dump_of(&(0..100).map(|row| format!("{row}\tx{row}")).collect::<Vec<_>>());
    assert_eq!(dump(&shelf, &place), expected.as_bytes());
    assert_eq!(dump(&shelf, &place), expected.as_bytes());
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    let kept = files(&place);
    assert!(!kept.is_empty());
    for path in kept {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_small =
            ["vault_", "snapshots_", "ledger_"].iter().any(|kind| name.starts_with(kind));
        assert!(is_small, "{name}");
    }
}

/// V-205
#[test]
fn a_damaged_cache_harms_nothing() {
    let (shelf, dir) = shelf();
    let (listed, read) = (list(&shelf, dir.path()), dump(&shelf, dir.path()));
    for path in files(dir.path()) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(list(&shelf, dir.path()), listed);
    assert_eq!(dump(&shelf, dir.path()), read);
    for path in files(dir.path()) {
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
    }
    assert_eq!(list(&shelf, dir.path()), listed);
    for path in files(dir.path()) {
        let len = fs::symlink_metadata(&path).unwrap().len();
        fs::remove_file(&path).unwrap();
        fs::write(&path, &vec![0; usize::try_from(len).unwrap()][..5]).unwrap();
    }
    assert_eq!(dump(&shelf, dir.path()), read);
}

/// V-205
#[test]
fn what_somebody_planted_in_the_cache_is_dropped_and_read_again() {
    let (shelf, dir) = shelf();
    let (other, others) = self::shelf();
    let (listed, read) = (list(&shelf, dir.path()), dump(&shelf, dir.path()));
    list(&other, others.path());
    dump(&other, others.path());
    // Another vault's objects, whole and under names of this one.
    let kinds = |dir: &Path, start: &str, end: &str| -> Vec<PathBuf> {
        let is_kind = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(start) && name.ends_with(end)
        };
        let mut found: Vec<PathBuf> = files(dir).into_iter().filter(is_kind).collect();
        found.sort();
        found
    };
    let mut planted = 0;
    for (start, end) in
        [("vault_", ""), ("snapshots_", ".note"), ("snapshots_", ".age"), ("ledger_", "")]
    {
        for (own, foreign) in
            kinds(dir.path(), start, end).iter().zip(kinds(others.path(), start, end))
        {
            plant(own, &fs::read(foreign).unwrap()[32..]);
            planted += 1;
        }
    }
    assert!(planted > 6, "{planted}");
    assert_eq!(list(&shelf, dir.path()), listed);
    assert_eq!(dump(&shelf, dir.path()), read);
    list(&shelf, dir.path());
    shelf.bucket.forget_calls();
    list(&shelf, dir.path());
    let calls = shelf.bucket.calls();
    let reads = |call: &&Call| matches!(call, Call::Get(_)) && **call != NEXT_NOTE;
    assert_eq!(calls.iter().find(reads), None);
}

#[test]
fn who_looks_twice_in_one_run_reads_what_is_new() {
    let (shelf, _dir) = shelf();
    let key: VerificationKey = shelf.vault.report.root_key.parse().unwrap();
    let store: Arc<dyn Store> = Arc::new(CachedStore::in_memory(Arc::new(shelf.bucket.clone())));
    let look = || {
        let auditor = Auditor::open(Arc::clone(&store), key.clone()).unwrap();
        let survey = Survey::read(vec![auditor], &Silent).unwrap();
        (survey.candidates.len(), survey.logs[0].iter().map(|log| log.head.size).sum::<u64>())
    };
    let first = look();
    let is_get = |call: &Call| matches!(call, Call::Get(_)) && *call != NEXT_NOTE;
    assert!(first.0 == 2 && shelf.bucket.calls().iter().any(is_get));
    shelf.bucket.forget_calls();
    assert_eq!(look(), first);
    let calls = shelf.bucket.calls();
    assert!(!calls.iter().any(is_get), "{calls:?}");
    // What is deleted by way of it is gone from it as well.
    let note = ObjectKey::Note(shelf.newest);
    assert!(store.get(&note, NOTE_LEN_MAX).is_ok());
    store.delete(&note).unwrap();
    assert!(store.get(&note, NOTE_LEN_MAX).is_err());
    assert_eq!(look().0, 1);
}

/// Puts bytes into a cache as the program would.
fn plant(path: &Path, bytes: &[u8]) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let key: ObjectKey = match name.split('_').collect::<Vec<_>>()[..] {
        [folder, signer, rest] => format!("{folder}/{signer}/{rest}").parse().unwrap(),
        _ => name.replacen('_', "/", 1).parse().unwrap(),
    };
    let whole = [key.to_string().as_bytes(), b"\0", bytes].concat();
    let head = crate::support::sha256(&whole);
    fs::write(path, [&head.as_bytes()[..], bytes].concat()).unwrap();
}

#[test]
fn a_store_that_is_away_is_not_hidden_by_a_cache() {
    let (shelf, dir) = shelf();
    list(&shelf, dir.path());
    let key = shelf.vault.report.root_key.parse().unwrap();
    let auditor = Auditor::open(cached(&shelf, dir.path()), key).unwrap();
    shelf.bucket.set_down(true);
    let pack = shelf_pack(&auditor, &shelf);
    let error = auditor.check_name(ObjectKey::Pack(pack), pack).unwrap_err();
    assert_eq!(auditor.damage(&error), None, "it proves nothing about the pack");
}

fn shelf_pack(auditor: &Auditor, shelf: &Shelf) -> idswyft_vault::base::PackId {
    shelf.bucket.set_down(false);
    let note = auditor.snapshot(shelf.newest).unwrap();
    let list = auditor.list(&note).unwrap();
    shelf.bucket.set_down(true);
    list.iter().find_map(|entry| entry.key.pack()).unwrap()
}

#[test]
fn a_directory_of_somebody_else_is_no_cache() {
    let (shelf, dir) = shelf();
    let place = dir.path().join("cache");
    symlink(dir.path(), &place).unwrap();
    assert!(CachedStore::open(Arc::new(shelf.bucket.clone()), place).is_err());
}

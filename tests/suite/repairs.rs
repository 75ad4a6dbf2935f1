//! What is missing or damaged in one store is healed from another.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idswyft_vault::base::{Clock, Silent};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::repair::{self, Depth, Outcome, Remedy, Repair, RepairReport};
use idswyft_vault::store::{self, Content, StorageClass, Store};
use idswyft_vault::vault::signed::Signed;
use idswyft_vault::vault::{Auditor, Unlocked};

use crate::replicas::{assert_whole, bytes_in, copy, key, keys_in, memory, vault};
use crate::support::bucket::{Bucket, Rights};
use crate::support::forward::forward;
use crate::support::vault::{FixedClock, TestVault, local};
use crate::support::{Call, FaultyStore, Mode, names_in, sha256};

fn mend(
    vault: &TestVault,
    target: &Arc<dyn Store>,
    sources: &[Arc<dyn Store>],
    depth: Depth,
    remedy: Remedy,
) -> RepairReport {
    let every: Vec<Arc<dyn Store>> = sources.iter().chain([target]).cloned().collect();
    let signed = Signed::gather(&every, &key(vault)).unwrap();
    let scratch = tempfile::tempdir_in(vault.dir.path()).unwrap();
    let request = Repair {
        target,
        sources,
        signed: &signed,
        depth,
        remedy,
        scratch: scratch.path(),
        now: vault.clock.now(),
        settle: &|_, _| Ok(()),
    };
    let auditor = Auditor::open(every[0].clone(), key(vault)).unwrap();
    let unlocked = Unlocked::new(auditor, vault.identities()).unwrap();
    repair::repair(&request, Some(&unlocked), &Silent).unwrap()
}

/// H-1, H-10
#[test]
fn every_kind_of_object_that_is_missing_or_damaged_is_healed_and_set_aside() {
    let vault = vault();
    let mirror: Arc<dyn Store> = memory(&vault, "mirror");
    copy(&vault, &vault.stores[0], &mirror);
    let root = vault.path("store");
    let names: Vec<String> = names_in(vault.stores[0].as_ref()).into_iter().collect();
    for (at, name) in names.iter().enumerate() {
        let path = root.join(name);
        match at % 3 {
            0 => fs::remove_file(path).unwrap(),
            1 => fs::write(path, b"something else").unwrap(),
            _ => {
                let mut bytes = fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(path, bytes).unwrap();
            }
        }
    }
    let store = local(&root, "local");
    let (bytes, sources) = (Depth::Bytes, [mirror.clone()]);
    let looked = mend(&vault, &store, &sources, bytes, Remedy::Look);
    assert_eq!((looked.case_count, looked.unhealed_count), (names.len() as u64, 0));
    let healable = |case: &repair::Case| matches!(case.outcome, Outcome::Healable { .. });
    assert!(looked.cases.iter().all(healable), "{looked:?}");
    let healed = mend(&vault, &store, &sources, bytes, Remedy::Heal);
    assert_eq!((healed.healed_count, healed.unhealed_count), (names.len() as u64, 0));
    for case in &healed.cases {
        let Outcome::Healed { from, aside } = &case.outcome else { panic!("{case:?}") };
        assert_eq!(from, "mirror");
        let was_missing = case.code.text() == "object-missing";
        assert_eq!(aside.is_none(), was_missing, "{case:?}");
        assert!(aside.iter().all(|path| std::path::Path::new(path).is_file()));
    }
    assert_whole(&vault, &store);
    assert_eq!(names_in(store.as_ref()), names.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(mend(&vault, &store, &sources, bytes, Remedy::Heal).case_count, 0);
}

/// H-2, H-14
#[test]
fn sizes_find_what_is_cut_off_and_bytes_find_what_is_altered() {
    let vault = vault();
    let mirror: Arc<dyn Store> = memory(&vault, "mirror");
    copy(&vault, &vault.stores[0], &mirror);
    let packs = keys_in(vault.stores[0].as_ref(), Folder::Packs);
    let path = |key: &ObjectKey| vault.path("store").join(key.to_string());
    let mut bytes = fs::read(path(&packs[0])).unwrap();
    bytes[5000] ^= 1;
    fs::write(path(&packs[0]), bytes).unwrap();
    fs::OpenOptions::new().write(true).open(path(&packs[1])).unwrap().set_len(100).unwrap();
    let (store, sources) = (&vault.stores[0], [mirror]);
    let found = mend(&vault, store, &sources, Depth::Stored, Remedy::Look);
    let names = |report: &RepairReport| -> Vec<String> {
        report.cases.iter().map(|case| case.object.clone()).collect()
    };
    assert_eq!(names(&found), [packs[1].to_string()]);
    let found = mend(&vault, store, &sources, Depth::Bytes, Remedy::Heal);
    let mut both = [packs[0].to_string(), packs[1].to_string()];
    both.sort();
    assert_eq!(names(&found), both);
    assert_whole(&vault, store);
}

/// H-11
#[test]
fn what_no_store_has_is_named_with_the_snapshots_and_files_that_it_touches() {
    let vault = vault();
    let mirror = memory(&vault, "mirror");
    let mirror_store: Arc<dyn Store> = mirror.clone();
    copy(&vault, &vault.stores[0], &mirror_store);
    let store = &vault.stores[0];
    // The last pack holds what only the second snapshot needs.
    let auditor = Auditor::open(store.clone(), key(&vault)).unwrap();
    let notes = auditor.snapshots().unwrap().sound;
    let lists: Vec<BTreeSet<ObjectKey>> = notes
        .values()
        .map(|note| auditor.list(note).unwrap().iter().map(|entry| entry.key).collect())
        .collect();
    let is_pack = |key: &&ObjectKey| matches!(key, ObjectKey::Pack(_));
    let lost: Vec<ObjectKey> = lists[1].difference(&lists[0]).filter(is_pack).copied().collect();
    for key in &lost {
        fs::remove_file(vault.path("store").join(key.to_string())).unwrap();
        mirror.plant(&key.to_string(), b"damaged here too");
    }
    let report = mend(&vault, store, &[mirror_store], Depth::Stored, Remedy::Heal);
    assert_eq!(report.unhealed_count, lost.len() as u64);
    assert_eq!(report.touched.len(), 1, "{:?}", report.touched);
    let touched = &report.touched[0];
    assert_eq!(touched.snapshot, *notes.keys().next_back().unwrap());
    let files = touched.files.clone().unwrap();
    assert!(files.contains(&"uploads/documents/c.jpg".to_owned()), "{files:?}");
    assert!(!files.contains(&"uploads/documents/a.jpg".to_owned()), "{files:?}");
    assert_eq!(report.cases[0].object, lost[0].to_string());
    let Outcome::Unhealed { reason } = &report.cases[0].outcome else { panic!() };
    assert!(reason.contains("in store mirror it has 16 bytes"), "{reason}");
}

/// H-12, H-13
#[test]
fn a_bucket_keeps_what_is_damaged_unless_replacing_is_asked_for_and_allowed() {
    let vault = vault();
    let bucket = Bucket::new("bucket", vault.clock.clone(), StorageClass::Standard);
    let target: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &target);
    let packs = keys_in(&bucket, Folder::Packs);
    let (over, hidden, gone) = (packs[0], packs[1], keys_in(&bucket, Folder::Trees)[0]);
    bucket.plant(&over.to_string(), b"planted over a sound version");
    bucket.hide(&hidden.to_string());
    bucket.erase(&gone.to_string());
    bucket.plant(&gone.to_string(), b"no sound version");
    let sources = [vault.stores[0].clone()];
    let deleted = |bucket: &Bucket| {
        bucket.calls().iter().filter(|call| matches!(call, Call::Delete(_))).count()
    };
    let report = mend(&vault, &target, &sources, Depth::Bytes, Remedy::Heal);
    let outcome = |report: &RepairReport, key: &ObjectKey| {
        let mut cases = report.cases.iter();
        cases.find(|case| case.object == key.to_string()).unwrap().outcome.clone()
    };
    assert_eq!(outcome(&report, &over), Outcome::OlderVersionCounts);
    assert_eq!(outcome(&report, &hidden), Outcome::OlderVersionCounts);
    let Outcome::Unhealed { reason } = outcome(&report, &gone) else { panic!() };
    assert!(reason.contains("--replace"), "{reason}");
    assert_eq!((report.unhealed_count, deleted(&bucket)), (1, 0));
    let limited: Arc<dyn Store> = Arc::new(bucket.seen_by(Rights { delete: false, ..Rights::ALL }));
    let report = mend(&vault, &limited, &sources, Depth::Bytes, Remedy::Replace);
    let Outcome::Unhealed { reason } = outcome(&report, &gone) else { panic!() };
    assert!(reason.contains("cannot be deleted"), "{reason}");
    let report = mend(&vault, &target, &sources, Depth::Bytes, Remedy::Replace);
    assert_eq!(outcome(&report, &gone), Outcome::Replaced { from: "local".to_owned() });
    assert_eq!(report.unhealed_count, 0);
    assert_eq!(bytes_in(&bucket, &gone), bytes_in(sources[0].as_ref(), &gone));
}

/// H-15
#[test]
fn what_cannot_be_read_for_a_while_is_told_and_never_deleted() {
    let vault = vault();
    let bucket = Bucket::new("bucket", vault.clock.clone(), StorageClass::Standard);
    let target: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &target);
    let pack = keys_in(&bucket, Folder::Packs)[0];
    let sources = [vault.stores[0].clone()];
    // Not at all, cut off, and not even looked at.
    for (mode, call) in [
        (Mode::NotDone, Call::Open(pack)),
        (Mode::DoneButReported, Call::Open(pack)),
        (Mode::NotDone, Call::Stat(pack)),
    ] {
        let busy = FaultyStore::new(target.clone()).fail_calls(mode, move |it| *it == call);
        let busy: Arc<dyn Store> = Arc::new(busy);
        let report = mend(&vault, &busy, &sources, Depth::Bytes, Remedy::Replace);
        let [case] = &report.cases[..] else { panic!("{:?}", report.cases) };
        let Outcome::Unhealed { reason } = &case.outcome else { panic!("{case:?}") };
        assert!(reason.contains("run `repair` again"), "{reason}");
        assert_eq!((case.object.clone(), report.unhealed_count), (pack.to_string(), 1));
    }
    // Nor is what is damaged replaced while its older versions are not told.
    bucket.plant(&pack.to_string(), b"over a sound version");
    let busy = FaultyStore::new(target.clone())
        .fail_calls(Mode::NotDone, move |call| *call == Call::Versions(pack));
    let busy: Arc<dyn Store> = Arc::new(busy);
    let report = mend(&vault, &busy, &sources, Depth::Bytes, Remedy::Replace);
    assert!(matches!(report.cases[0].outcome, Outcome::Unhealed { .. }), "{:?}", report.cases);
    let is_delete = |call: &Call| matches!(call, Call::Delete(_));
    assert!(!bucket.calls().iter().any(is_delete));
    assert_eq!(mend(&vault, &target, &sources, Depth::Bytes, Remedy::Heal).unhealed_count, 0);
}

/// H-15
#[test]
fn what_cannot_be_read_for_a_while_in_a_source_is_told_and_not_called_damaged() {
    let vault = vault();
    let mirror: Arc<dyn Store> = memory(&vault, "mirror");
    copy(&vault, &vault.stores[0], &mirror);
    let pack = keys_in(mirror.as_ref(), Folder::Packs)[0];
    fs::remove_file(vault.path("store").join(pack.to_string())).unwrap();
    let busy = FaultyStore::new(mirror)
        .fail_calls(Mode::DoneButReported, move |call| *call == Call::Open(pack));
    let sources: [Arc<dyn Store>; 1] = [Arc::new(busy)];
    let report = mend(&vault, &vault.stores[0], &sources, Depth::Stored, Remedy::Heal);
    let Outcome::Unhealed { reason } = &report.cases[0].outcome else { panic!() };
    assert!(reason.contains("could not be read now"), "{reason}");
}

/// A bucket whose versions of one object have lost bytes that its checksums do not tell of.
struct Rotten {
    inner: Arc<dyn Store>,
    key: ObjectKey,
}

impl Store for Rotten {
    forward!(inner:
        name url prepare put_new get get_range stat list delete staging_dir clean_staging
        list_versions
    );

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, store::Error> {
        match *key == self.key {
            true => Ok(Box::new(&b"rotten"[..])),
            false => self.inner.open(key),
        }
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, store::Error> {
        let rotten = |inner| -> Arc<dyn Store> { Arc::new(Self { inner, key: self.key }) };
        Ok(self.inner.versions(key)?.into_iter().map(rotten).collect())
    }
}

/// A bucket that answers once with other bytes than it has.
struct TornOnce {
    inner: Arc<dyn Store>,
    key: ObjectKey,
    was_read: AtomicBool,
}

impl Store for TornOnce {
    forward!(inner:
        name url prepare put_new get get_range stat list delete staging_dir clean_staging
        list_versions versions
    );

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, store::Error> {
        match *key == self.key && !self.was_read.swap(true, Ordering::SeqCst) {
            true => Ok(Box::new(&b"torn"[..])),
            false => self.inner.open(key),
        }
    }
}

/// H-17
#[test]
fn what_is_sound_when_read_again_is_not_deleted() {
    let vault = vault();
    let bucket = Bucket::new("bucket", vault.clock.clone(), StorageClass::Standard);
    copy(&vault, &vault.stores[0], &(Arc::new(bucket.clone()) as Arc<dyn Store>));
    let key = keys_in(&bucket, Folder::Packs)[0];
    let (inner, was_read) = (Arc::new(bucket.clone()), AtomicBool::new(false));
    let torn: Arc<dyn Store> = Arc::new(TornOnce { inner, key, was_read });
    let sources = [vault.stores[0].clone()];
    let report = mend(&vault, &torn, &sources, Depth::Bytes, Remedy::Replace);
    let Outcome::Unhealed { reason } = &report.cases[0].outcome else { panic!("{report:?}") };
    assert!(reason.contains("run `repair` again"), "{reason}");
    assert!(!bucket.calls().iter().any(|call| matches!(call, Call::Delete(_))));
}

/// H-12
#[test]
fn an_older_version_counts_as_sound_only_if_its_bytes_are_where_bytes_are_read() {
    let vault = vault();
    let bucket = Bucket::new("bucket", vault.clock.clone(), StorageClass::Standard);
    let target: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &target);
    let key = keys_in(&bucket, Folder::Packs)[0];
    bucket.plant(&key.to_string(), b"over a version that was sound once");
    let target: Arc<dyn Store> = Arc::new(Rotten { inner: target, key });
    let sources = [vault.stores[0].clone()];
    let outcome = |depth| {
        let report = mend(&vault, &target, &sources, depth, Remedy::Look);
        report.cases[0].outcome.clone()
    };
    assert_eq!(outcome(Depth::Stored), Outcome::OlderVersionCounts);
    assert_eq!(outcome(Depth::Bytes), Outcome::Healable { from: "local".to_owned() });
}

/// H-3
#[test]
fn where_two_stores_have_different_histories_neither_is_written_over_the_other() {
    let vault = vault();
    let mirror = memory(&vault, "mirror");
    let mirror_store: Arc<dyn Store> = mirror.clone();
    copy(&vault, &vault.stores[0], &mirror_store);
    // The host goes on in one store, and once more, as a clone of it would, in the other.
    let state = vault.path("state");
    let clone = vault.path("clone");
    copy_tree(&state, &clone);
    vault.clock.pass_hours(24);
    vault.snapshot();
    fs::rename(vault.path("store"), vault.path("first")).unwrap();
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&clone, &state).unwrap();
    let other = local(&vault.path("store"), "local");
    other.prepare().unwrap();
    copy(&vault, &mirror_store, &other);
    vault.clock.pass_hours(24);
    vault.snapshot();
    let first = local(&vault.path("first"), "first");
    let before = names_in(first.as_ref());
    let report = mend(&vault, &first, &[other], Depth::Stored, Remedy::Heal);
    assert_eq!(report.forks.len(), 1, "{report:?}");
    let is_ledger = |name: &&String| name.starts_with("ledger/");
    let after = names_in(first.as_ref());
    assert_eq!(before.iter().filter(is_ledger).count(), after.iter().filter(is_ledger).count());
}

fn copy_tree(source: &std::path::Path, target: &std::path::Path) {
    for entry in walkdir::WalkDir::new(source) {
        let entry = entry.unwrap();
        let place = target.join(entry.path().strip_prefix(source).unwrap());
        match entry.file_type().is_dir() {
            true => fs::create_dir(place).unwrap(),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

/// H-1
#[test]
fn an_event_is_healed_from_a_mirror_that_has_not_got_its_checkpoint_yet() {
    let vault = vault();
    let (store, mirror) = (&vault.stores[0], memory(&vault, "mirror"));
    let mirror_store: Arc<dyn Store> = mirror.clone();
    copy(&vault, store, &mirror_store);
    let ledger = keys_in(store.as_ref(), Folder::Ledger);
    let last =
        |is_meant: fn(&ObjectKey) -> bool| *ledger.iter().rfind(|key| is_meant(key)).unwrap();
    let event = last(|key| matches!(key, ObjectKey::LedgerEvent(..)));
    mirror.delete(&last(|key| matches!(key, ObjectKey::LedgerCheckpoint(..)))).unwrap();
    fs::remove_file(vault.path("store").join(event.to_string())).unwrap();
    let report = mend(&vault, store, &[mirror_store], Depth::Stored, Remedy::Heal);
    assert_eq!((report.case_count, report.unhealed_count), (1, 0), "{report:?}");
    assert_whole(&vault, store);
}

/// H-9
#[test]
fn what_is_set_aside_stays_and_no_reader_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(&dir.path().join("store"), "local");
    store.prepare().unwrap();
    let key = ObjectKey::Vault(1);
    assert_eq!(store.set_aside(&key).unwrap(), None);
    let mut asides = Vec::new();
    for bytes in [b"one", b"two"] {
        store.put_new(&key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
        asides.push(store.set_aside(&key).unwrap().unwrap());
        assert!(store.stat(&key).unwrap().is_none());
        assert_eq!(store.list(Folder::Vault).unwrap().count(), 0);
    }
    let kept: Vec<Vec<u8>> = asides.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(kept, [b"one", b"two"]);
    store.clean_staging(FixedClock::new().now()).unwrap();
    assert!(asides.iter().all(|path| fs::exists(path).unwrap()));
}

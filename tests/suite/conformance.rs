//! The contract of stores, number by number, on every kind of store. See `src/store/mod.rs`.
//!
//! A new kind of store is one more entry in `fixtures`.

mod fixtures;
mod local;
mod s3;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use idswyft_vault::base::{Code, Coded, PackId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, Listed, Receipt, STAGING_PREFIX, Store};
use jiff::Timestamp;

use self::fixtures::{Fixture, fixtures};
use crate::support::sha256;

thread_local! {
    /// Makes the store of a test that runs the numbers on one kind only.
    static ONLY: RefCell<Option<Box<dyn Fn() -> Fixture>>> = const { RefCell::new(None) };
}

/// Runs a test on every kind of store, and names the kind if it fails.
fn on_every_store(test: impl Fn(&Fixture, &str)) {
    let only = ONLY.with_borrow(|only| only.as_ref().map(|make| make()));
    for fixture in only.map_or_else(fixtures, |only| vec![only]) {
        test(&fixture, fixture.label);
    }
}

fn note(number: u32) -> ObjectKey {
    ObjectKey::Vault(number)
}

fn pack(bytes: &[u8]) -> ObjectKey {
    ObjectKey::Pack(PackId::from_bytes(*sha256(bytes).as_bytes()))
}

fn put(store: &dyn Store, key: &ObjectKey, bytes: &[u8]) -> Result<Receipt, Error> {
    store.put_new(key, Content::Bytes(bytes), &sha256(bytes))
}

fn names(store: &dyn Store, folder: Folder) -> (BTreeSet<ObjectKey>, BTreeSet<String>) {
    let (mut ours, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    for listed in store.list(folder).expect("the folder can be listed") {
        let fresh = match listed.expect("the folder can be listed") {
            Listed::Object(key, _) => ours.insert(key),
            Listed::Foreign(name) => foreign.insert(name),
        };
        assert!(fresh, "a name was listed twice");
    }
    (ours, foreign)
}

/// V-160, V-161
#[test]
fn c1_put_new_refuses_an_existing_key() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"first").unwrap();
        for bytes in [&b"second"[..], b"first", b""] {
            let refused = put(store, &note(1), bytes).unwrap_err();
            assert!(matches!(refused, Error::Exists { key, .. } if key == note(1)), "{label}");
        }
        (fixture.plant)("vault/2.note", b"planted");
        assert_eq!(put(store, &note(2), b"ours").unwrap_err().code(), Code::ObjectExists);
        assert_eq!(store.get(&note(1), 100).unwrap(), b"first", "{label}");
        assert_eq!(store.get(&note(2), 100).unwrap(), b"planted", "{label}");
    });
}

/// V-162
#[test]
fn c2_an_object_is_never_seen_half_written() {
    on_every_store(|fixture, label| {
        let bytes = vec![7; 3 << 20];
        let (store, done) = (&*fixture.store, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let put =
                    (1..=4).try_for_each(|number| put(store, &note(number), &bytes).map(drop));
                // Also if it failed: who reads waits for it.
                done.store(true, Ordering::SeqCst);
                put.expect("the store works");
            });
            let mut last = false;
            while !last {
                last = done.load(Ordering::SeqCst);
                for number in 1..=4 {
                    let Some(stat) = store.stat(&note(number)).unwrap() else { continue };
                    assert_eq!(stat.len, 3 << 20, "{label}");
                    assert!(store.get(&note(number), u64::MAX).unwrap() == bytes, "{label}");
                }
            }
        });
    });
}

/// V-162
#[test]
fn c2_a_failed_put_new_leaves_nothing_visible() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        let missing = Content::File("/nonexistent/pack".as_ref());
        let refused = store.put_new(&note(1), missing, &sha256(b"")).unwrap_err();
        assert!(matches!(refused, Error::ContentUnreadable { .. }), "{label}: {refused}");
        let directory = Content::File("/".as_ref());
        assert!(store.put_new(&note(1), directory, &sha256(b"")).is_err(), "{label}");
        assert_eq!(store.stat(&note(1)).unwrap(), None, "{label}");
        assert_eq!(names(store, Folder::Vault), Default::default(), "{label}");
    });
}

/// V-163, V-164
#[test]
fn c3_put_new_refuses_content_with_another_digest() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("pack");
    fs::write(&path, vec![1; 700_000]).unwrap();
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        for content in [Content::Bytes(b"altered"), Content::File(&path)] {
            let refused = store.put_new(&note(1), content, &sha256(b"signed")).unwrap_err();
            let Error::DigestMismatch { expected, .. } = refused else { panic!("{label}") };
            assert_eq!(*expected, sha256(b"signed"));
            assert_eq!(store.stat(&note(1)).unwrap(), None, "{label}");
        }
        let receipt = store.put_new(&note(1), Content::File(&path), &sha256(&[1; 700_000]));
        let checksum = receipt.unwrap().checksum;
        assert!(checksum.is_some() || !fixture.checksums, "{label}");
        assert!(checksum.is_none_or(|said| said == sha256(&[1; 700_000])), "{label}");
    });
}

/// V-169
#[test]
fn c5_get_returns_the_whole_object_or_limit_exceeded() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"12345").unwrap();
        put(store, &note(2), b"").unwrap();
        assert_eq!(store.get(&note(1), 5).unwrap(), b"12345", "{label}");
        assert_eq!(store.get(&note(1), u64::MAX).unwrap(), b"12345", "{label}");
        assert_eq!(store.get(&note(2), 0).unwrap(), b"", "{label}");
        let refused = store.get(&note(1), 4).unwrap_err();
        assert!(matches!(refused, Error::LimitExceeded { len: 5, max: 4, .. }), "{label}");
        assert!(matches!(store.get(&note(3), 4), Err(Error::Missing { .. })), "{label}");
        let mut read = Vec::new();
        store.open(&note(1)).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"12345", "{label}");
        assert!(matches!(store.open(&note(3)).err(), Some(Error::Missing { .. })), "{label}");
    });
}

/// V-167, V-168
#[test]
fn c6_concurrent_put_new_has_one_winner() {
    const THREAD_COUNT: usize = 16;
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        for round in 1..=8 {
            let barrier = Barrier::new(THREAD_COUNT);
            let contents: Vec<_> =
                (0..THREAD_COUNT).map(|index| vec![index.to_le_bytes()[0]; 9000]).collect();
            let results: Vec<_> = std::thread::scope(|scope| {
                let race = |bytes| {
                    barrier.wait();
                    put(store, &note(round), bytes)
                };
                let threads: Vec<_> =
                    contents.iter().map(|bytes| scope.spawn(move || race(bytes))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let won: Vec<_> = results.iter().map(Result::is_ok).collect();
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "{label}");
            for result in results.iter().filter_map(|result| result.as_ref().err()) {
                assert_eq!(result.code(), Code::ObjectExists, "{label}: {result}");
            }
            let winner = won.iter().position(|won| *won).expect("one was counted");
            assert!(store.get(&note(round), 9000).unwrap() == contents[winner], "{label}");
        }
    });
}

/// V-170
#[test]
fn c7_get_range_is_exact_or_truncated() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"0123456789").unwrap();
        for (offset, len, bytes) in [
            (0, 10, &b"0123456789"[..]),
            (0, 1, b"0"),
            (9, 1, b"9"),
            (3, 4, b"3456"),
            (0, 0, b""),
            (10, 0, b""),
        ] {
            assert_eq!(store.get_range(&note(1), offset, len).unwrap(), bytes, "{label}");
        }
        for (offset, wanted, expected) in [
            (0, 11, 11),
            (10, 1, 11),
            (9, 2, 11),
            (11, 0, 11),
            (u64::MAX, 0, u64::MAX),
            (u64::MAX, usize::MAX, u64::MAX),
            (0, usize::MAX, u64::MAX),
        ] {
            let refused = store.get_range(&note(1), offset, wanted).unwrap_err();
            let Error::Truncated { len, need, .. } = refused else { panic!("{label}: {refused}") };
            assert_eq!((len, need), (10, expected), "{label}");
        }
        assert!(matches!(store.get_range(&note(2), 0, 0), Err(Error::Missing { .. })), "{label}");
    });
}

#[test]
fn c8_what_put_new_acknowledged_is_there_for_the_next_call() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        for (index, key) in one_key_of_each_kind().into_iter().enumerate() {
            assert_eq!(store.stat(&key).unwrap(), None, "{label}");
            let bytes = vec![3; index * 1000];
            let receipt = put(store, &key, &bytes).unwrap();
            let stat = store.stat(&key).unwrap().unwrap();
            assert_eq!(stat.len, bytes.len() as u64, "{label}");
            let modified = stat.modified.unwrap();
            assert!((modified - receipt.time).get_seconds().abs() <= fixture.slack, "{label}");
            assert!((Timestamp::now() - modified).get_hours() < 1, "{label}");
            assert!(store.get(&key, u64::MAX).unwrap() == bytes, "{label}");
            let mut listed = store.list(key.folder()).unwrap();
            let is_it = |listed: Listed| match listed {
                Listed::Object(name, seen) => {
                    name == key
                        && (seen.len, seen.modified.map(Timestamp::as_second))
                            == (stat.len, Some(modified.as_second()))
                }
                Listed::Foreign(_) => false,
            };
            assert!(listed.any(|listed| is_it(listed.unwrap())), "{label}: {key}");
        }
    });
}

fn one_key_of_each_kind() -> Vec<ObjectKey> {
    let id = "20261122T023000Z-1a2b3c4d";
    let digest = sha256(b"pack").to_string();
    let folded = format!("{}/{digest}", &digest[..2]);
    [
        "vault/1.note".to_owned(),
        format!("generations/{id}/1.age"),
        format!("packs/{folded}"),
        format!("trees/{folded}"),
        format!("segments/{id}"),
        format!("snapshots/{id}.age"),
        format!("snapshots/{id}.sha256"),
        format!("snapshots/{id}.note"),
        "ledger/0102030405060708/0000000000.json".to_owned(),
        "ledger/0102030405060708/0000000000.checkpoint".to_owned(),
    ]
    .iter()
    .map(|name| name.parse().expect("the name is well formed"))
    .collect()
}

/// V-171
#[test]
fn c9_list_shows_each_of_thousands_once_and_no_other_folder() {
    on_every_store(|fixture, label| {
        let packs: BTreeSet<_> =
            (0..fixture.many).map(|index| pack(&index.to_le_bytes())).collect();
        for key in &packs {
            (fixture.plant)(&key.to_string(), b"pack");
        }
        put(&*fixture.store, &note(1), b"note").unwrap();
        let (ours, foreign) = names(&*fixture.store, Folder::Packs);
        assert!(ours == packs && foreign.is_empty(), "{label}: {} listed", ours.len());
        let (ours, _) = names(&*fixture.store, Folder::Vault);
        assert_eq!(ours, [note(1)].into(), "{label}");
        for folder in [Folder::Trees, Folder::Segments, Folder::Ledger] {
            assert_eq!(names(&*fixture.store, folder), Default::default(), "{label}");
        }
    });
}

/// V-172
#[test]
fn c10_foreign_names_are_shown_and_hide_nothing() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        let key = pack(b"pack");
        put(store, &key, b"pack").unwrap();
        let digest = sha256(b"pack").to_string();
        let foreign: BTreeSet<String> = [
            "packs/README".to_owned(),
            "packs/zz/readme".to_owned(),
            format!("packs/{}/{}.bak", &digest[..2], digest),
            format!("packs/00/{}", digest.replace(&digest[..1], "f")),
            format!("packs/{}/{}", &digest[..2], digest.to_uppercase()),
            "packs/größe \u{1F980}".to_owned(),
        ]
        .into();
        for name in &foreign {
            (fixture.plant)(name, b"foreign");
        }
        let staged = format!("packs/{}/{STAGING_PREFIX}1-2", &digest[..2]);
        (fixture.plant)(&staged, b"half");
        assert_eq!(names(store, Folder::Packs), ([key].into(), foreign), "{label}");
    });
}

/// V-174
#[test]
fn c11_delete_removes_one_object_and_a_missing_one_is_an_error() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"one").unwrap();
        put(store, &note(2), b"two").unwrap();
        store.delete(&note(1)).unwrap();
        assert_eq!(store.stat(&note(1)).unwrap(), None, "{label}");
        assert!(matches!(store.get(&note(1), 9), Err(Error::Missing { .. })), "{label}");
        assert!(matches!(store.delete(&note(1)), Err(Error::Missing { .. })), "{label}");
        let nowhere = pack(b"never put");
        assert!(matches!(store.delete(&nowhere), Err(Error::Missing { .. })), "{label}");
        assert_eq!(names(store, Folder::Vault).0, [note(2)].into(), "{label}");
        put(store, &note(1), b"again").unwrap();
        assert_eq!(store.get(&note(1), 9).unwrap(), b"again", "{label}");
    });
}

#[test]
fn c14_the_callers_file_stays_where_it_is() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        let scratch = tempfile::tempdir().unwrap();
        let directory = store.staging_dir().unwrap_or_else(|| scratch.path().to_owned());
        for (number, directory) in [(1, directory.as_path()), (2, scratch.path())] {
            let path = directory.join(format!("{STAGING_PREFIX}caller-{number}"));
            fs::write(&path, b"sealed").unwrap();
            for expected in [Code::SystemFailed, Code::ObjectExists] {
                let result = store.put_new(&note(number), Content::File(&path), &sha256(b"sealed"));
                let code = result.err().map_or(Code::SystemFailed, |error| error.code());
                assert_eq!(code, expected, "{label}");
                assert_eq!(fs::read(&path).unwrap(), b"sealed", "{label}");
            }
            fs::remove_file(&path).unwrap();
            assert_eq!(store.get(&note(number), 9).unwrap(), b"sealed", "{label}");
        }
    });
}

#[test]
fn c15_prepare_may_be_repeated_and_changes_nothing() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"note").unwrap();
        store.prepare().unwrap();
        assert_eq!(store.get(&note(1), 9).unwrap(), b"note", "{label}");
        assert_eq!(store.clean_staging(Timestamp::MIN).unwrap(), 0, "{label}");
    });
}

#[test]
fn c19_c20_erase_leaves_nothing_of_what_remains_counts() {
    on_every_store(|fixture, label| {
        let store = &*fixture.store;
        put(store, &note(1), b"one").unwrap();
        put(store, &note(2), b"two").unwrap();
        assert_eq!(store.remains(&note(1)).unwrap().version_count, 1, "{label}");
        assert!(store.remains(&note(3)).unwrap().is_nothing(), "{label}");
        assert_eq!((store.erase(&note(1)).unwrap(), store.erase(&note(3)).unwrap()), (1, 0));
        assert!(store.remains(&note(1)).unwrap().is_nothing(), "{label}");
        assert!(store.stat(&note(1)).unwrap().is_none(), "{label}");
        assert_eq!(store.get(&note(2), 9).unwrap(), b"two", "{label}");
    });
}

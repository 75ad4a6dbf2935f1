//! What the stores of the tests promise themselves.

use idswyft_vault::base::{Code, Coded, SystemClock};
use idswyft_vault::store::{LocalStore, MemoryStore};

use super::*;
use crate::support::{Mode, RecordingStore, Then, sha256};

const BYTES: &[u8] = b"0123456789";

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new("memory", Arc::new(SystemClock)))
}

fn put(store: &dyn Store, number: u32) -> Result<Receipt, Error> {
    store.put_new(&ObjectKey::Vault(number), Content::Bytes(BYTES), &sha256(BYTES))
}

#[test]
fn a_faulty_store_fails_the_nth_call_in_its_mode_and_recovers() {
    for (mode, done) in [(Mode::NotDone, false), (Mode::Torn, false), (Mode::DoneButReported, true)]
    {
        let inner = memory();
        let store = FaultyStore::new(Arc::clone(&inner)).fail_nth(1, mode, Then::Recovers);
        put(&store, 1).unwrap();
        assert_eq!(put(&store, 2).unwrap_err().code(), Code::StoreUnavailable);
        assert_eq!(inner.stat(&ObjectKey::Vault(2)).unwrap().is_some(), done, "{mode:?}");
        put(&store, 3).unwrap();
        assert_eq!((store.call_count(), store.fault_count()), (3, 1));
    }
}

#[test]
fn a_faulty_store_that_died_does_nothing_any_more() {
    let inner = memory();
    let store =
        FaultyStore::new(Arc::clone(&inner)).fail_nth(0, Mode::DoneButReported, Then::IsDead);
    assert!(put(&store, 1).is_err() && put(&store, 2).is_err());
    assert!(store.stat(&ObjectKey::Vault(1)).is_err());
    assert!(inner.stat(&ObjectKey::Vault(1)).unwrap().is_some());
    assert!(inner.stat(&ObjectKey::Vault(2)).unwrap().is_none());
}

#[test]
fn a_faulty_store_tears_reads_of_chosen_objects() {
    let bad = ObjectKey::Vault(1);
    let store = FaultyStore::new(memory()).fail_calls(Mode::Torn, move |call| {
        call.key() == Some(bad) && !matches!(call, Call::PutNew(_))
            || *call == Call::List(Folder::Vault)
    });
    put(&store, 1).unwrap();
    put(&store, 2).unwrap();
    assert_eq!(store.get(&bad, 10).unwrap(), &BYTES[..5]);
    assert!(matches!(store.get_range(&bad, 2, 8), Err(Error::Truncated { len: 6, need: 10, .. })));
    let mut read = Vec::new();
    store.open(&bad).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, &BYTES[..5]);
    let names: Vec<_> = store.list(Folder::Vault).unwrap().collect();
    assert!(names.len() == 2 && names[0].is_ok() && names[1].is_err());
    assert_eq!(store.get(&ObjectKey::Vault(2), 10).unwrap(), BYTES);
}

#[test]
fn a_faulty_store_can_fail_where_an_object_ends() {
    let store = FaultyStore::new(memory())
        .fail_calls(Mode::DoneButReported, |call| matches!(call, Call::Open(_)));
    put(&store, 1).unwrap();
    let mut read = Vec::new();
    assert!(store.open(&ObjectKey::Vault(1)).unwrap().read_to_end(&mut read).is_err());
    assert_eq!(read, BYTES);
}

#[test]
fn a_torn_put_leaves_half_a_file_in_staging_only() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().to_owned();
    let inner: Arc<dyn Store> = Arc::new(LocalStore::new("local", "file:///scratch", root));
    inner.prepare().unwrap();
    let store = FaultyStore::new(Arc::clone(&inner)).fail_nth(0, Mode::Torn, Then::Recovers);
    assert!(put(&store, 1).is_err());
    let staging = inner.staging_dir().unwrap();
    let left: Vec<_> = fs::read_dir(staging).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].as_ref().unwrap().metadata().unwrap().len(), 5);
    assert!(inner.stat(&ObjectKey::Vault(1)).unwrap().is_none());
    put(&store, 1).unwrap();
}

#[test]
fn wrappers_refuse_a_staged_file_with_another_digest() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().to_owned();
    let inner: Arc<dyn Store> = Arc::new(LocalStore::new("local", "file:///scratch", root));
    inner.prepare().unwrap();
    let staged = inner.staging_dir().unwrap().join(format!("{STAGING_PREFIX}pack"));
    fs::write(&staged, BYTES).unwrap();
    let recording = RecordingStore::new(Arc::clone(&inner));
    let faulty = FaultyStore::new(inner);
    for store in [&recording as &dyn Store, &faulty] {
        let refused =
            store.put_new(&ObjectKey::Vault(1), Content::File(&staged), &sha256(b"other"));
        assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
    }
}

//! Small objects are read side by side, as many at a time as the store takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{Error, Stat, StorageClass, Store};
use idswyft_vault::vault::ledger;

use super::shelf::Shelf;
use crate::support::forward::forward;

/// A bucket far away: each read takes a while, and several may be under way.
pub struct Distant {
    inner: Arc<dyn Store>,
    calls_at_once: usize,
    reading: AtomicUsize,
    most: AtomicUsize,
}

impl Distant {
    pub fn new(inner: Arc<dyn Store>, calls_at_once: usize) -> Arc<Self> {
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { inner, calls_at_once, reading, most })
    }

    fn far<T>(&self, read: impl FnOnce() -> T) -> T {
        let now = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        let result = read();
        self.reading.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

impl Store for Distant {
    forward!(inner:
        name url prepare put_new get_range open list delete staging_dir clean_staging versions
        list_versions
    );

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.far(|| self.inner.get(key, len_max))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.far(|| self.inner.stat(key))
    }

    fn calls_at_once(&self) -> usize {
        self.calls_at_once
    }
}

#[test]
fn as_many_are_read_at_a_time_as_the_store_takes_and_the_report_is_the_same() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    shelf.bucket.hide(&ObjectKey::Note(shelf.newest).to_string());
    let read = |calls_at_once| {
        let distant = Distant::new(Arc::new(shelf.bucket.clone()), calls_at_once);
        let auditor = shelf.vault.auditor(&(Arc::clone(&distant) as Arc<dyn Store>));
        let logs = ledger::read_all(&auditor).unwrap();
        let heads: Vec<_> = logs.iter().map(|log| (log.head.size, log.head.root)).collect();
        let snapshots: Vec<_> = auditor.snapshots().unwrap().sound.into_keys().collect();
        let observer = shelf.vault.events.as_ref();
        let report = verify::verify(&auditor, None, Level::Stored, None, observer).unwrap();
        (distant.most.load(Ordering::SeqCst), (heads, snapshots, report))
    };
    let (one, alone) = read(1);
    let (most, together) = read(4);
    assert_eq!((one, alone), (1, together));
    assert!((2..=4).contains(&most), "{most}");
}

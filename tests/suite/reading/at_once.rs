//! Small objects are read side by side, as many at a time as the store takes.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use idswyft_vault::base::Digest;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{
    Content, Error, Listing, Receipt, Stat, StorageClass, Store, VersionListing,
};
use idswyft_vault::vault::ledger;
use jiff::Timestamp;

use super::shelf::Shelf;

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
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn url(&self) -> &str {
        self.inner.url()
    }

    fn prepare(&self) -> Result<(), Error> {
        self.inner.prepare()
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.inner.put_new(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.far(|| self.inner.get(key, len_max))
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.inner.get_range(key, offset, len)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.inner.open(key)
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.far(|| self.inner.stat(key))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.inner.list(folder)
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.inner.delete(key)
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        self.inner.staging_dir()
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.inner.clean_staging(before)
    }

    fn calls_at_once(&self) -> usize {
        self.calls_at_once
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.inner.versions(key)
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.inner.list_versions(folder)
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

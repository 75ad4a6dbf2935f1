//! A store that takes several calls at a time, takes its time, or hangs.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use idswyft_vault::base::Digest;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, Listing, Receipt, Stat, Store};
use jiff::Timestamp;

type OnPut = Box<dyn Fn(&ObjectKey) -> Result<(), Error> + Send + Sync>;

/// Wraps a store.
pub struct Tuned {
    pub inner: Arc<dyn Store>,
    pub at_once: usize,
    pub patience: Option<Duration>,
    /// What happens before each put.
    pub on_put: OnPut,
}

impl Tuned {
    pub fn new(
        inner: Arc<dyn Store>,
        on_put: impl Fn(&ObjectKey) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, at_once: 1, patience: None, on_put: Box::new(on_put) }
    }
}

impl Store for Tuned {
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
        (self.on_put)(key)?;
        self.inner.put_new(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.inner.get(key, len_max)
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.inner.get_range(key, offset, len)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.inner.open(key)
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.inner.stat(key)
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

    fn is_readable(&self) -> bool {
        self.inner.is_readable()
    }

    fn calls_at_once(&self) -> usize {
        self.at_once
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

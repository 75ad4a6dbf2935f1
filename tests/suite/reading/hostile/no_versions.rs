//! What a store does whose versions may not be listed.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::Digest;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, Listing, Receipt, Stat, Store, VersionListing};
use jiff::Timestamp;

use super::NoVersions;

impl NoVersions {
    fn denied(&self) -> Error {
        let (store, place) = (self.0.name().to_owned(), "its versions".to_owned());
        Error::Denied { store, action: "list", place, source: "AccessDenied".into() }
    }
}

impl Store for NoVersions {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn url(&self) -> &str {
        self.0.url()
    }

    fn prepare(&self) -> Result<(), Error> {
        self.0.prepare()
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.0.put_new(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.0.get(key, len_max)
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.0.get_range(key, offset, len)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.0.open(key)
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.0.stat(key)
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.0.list(folder)
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.0.delete(key)
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        self.0.staging_dir()
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.0.clean_staging(before)
    }

    fn versions(&self, _key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        Err(self.denied())
    }

    fn list_versions(&self, _folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        Err(self.denied())
    }
}

//! A store in memory, for tests and for trying things: stricter than any real one.
//!
//! It lists in descending order, so that nobody leans on an order, and reads every staged file
//! again (C3 without its exception).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Content, Error, Listed, Listing, Receipt, STAGING_PREFIX, Stat, Store, digest_of};
use crate::base::{Clock, Digest};
use crate::format::{Folder, ObjectKey};

// By full name, so that names which are not ours have a place too.
type Objects = BTreeMap<String, (Arc<[u8]>, Timestamp)>;

/// Holds objects in memory.
pub struct MemoryStore {
    name: String,
    url: String,
    clock: Arc<dyn Clock>,
    objects: Mutex<Objects>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        let url = format!("memory://{name}");
        Self { name: name.to_owned(), url, clock, objects: Mutex::default() }
    }

    /// Puts bytes under any name, over what is there: what a hostile or broken host could do.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        self.lock().insert(name.to_owned(), (bytes.into(), self.clock.now()));
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        // No code that holds the lock can leave the map half changed.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &ObjectKey) -> Result<Arc<[u8]>, Error> {
        let found = self.lock().get(&key.to_string()).map(|(bytes, _)| Arc::clone(bytes));
        found.ok_or_else(|| Error::Missing { store: self.name.clone(), key: *key })
    }

    fn read(&self, key: &ObjectKey, content: Content<'_>) -> Result<Vec<u8>, Error> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.to_vec()),
            Content::File(path) => fs::read(path).map_err(|source| Error::ContentUnreadable {
                store: self.name.clone(),
                key: *key,
                path: path.to_owned(),
                source: source.into(),
            }),
        }
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn prepare(&self) -> Result<(), Error> {
        Ok(())
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        let bytes = self.read(key, content)?;
        let actual = digest_of(&bytes);
        if actual != *digest {
            let store = self.name.clone();
            let (expected, actual) = (Box::new(*digest), Box::new(actual));
            return Err(Error::DigestMismatch { store, key: *key, expected, actual });
        }
        let time = self.clock.now();
        let mut objects = self.lock();
        let name = key.to_string();
        if objects.contains_key(&name) {
            return Err(Error::Exists { store: self.name.clone(), key: *key });
        }
        objects.insert(name, (bytes.into(), time));
        Ok(Receipt { time, version_id: None, checksum: Some(actual) })
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.find(key)?;
        let len = bytes.len() as u64;
        if len > len_max {
            let store = self.name.clone();
            return Err(Error::LimitExceeded { store, key: *key, len, max: len_max });
        }
        Ok(bytes.to_vec())
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let bytes = self.find(key)?;
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(len));
        let range = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
        range.map(<[u8]>::to_vec).ok_or_else(|| Error::Truncated {
            store: self.name.clone(),
            key: *key,
            len: bytes.len() as u64,
            need: offset.saturating_add(len as u64),
        })
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(Cursor::new(self.find(key)?)))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let objects = self.lock();
        let found = objects.get(&key.to_string());
        Ok(found.map(|(bytes, time)| Stat::plain(bytes.len() as u64, *time)))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let start = format!("{}/", folder.name());
        // '0' follows '/', so this is the first name after the folder's.
        let mut end = format!("{}0", folder.name());
        Ok(Box::new(std::iter::from_fn(move || {
            let objects = self.lock();
            let (name, (bytes, time)) = objects
                .range(start.clone()..end.clone())
                .rfind(|(name, _)| !name.contains(STAGING_PREFIX))?;
            end.clone_from(name);
            let stat = Stat::plain(bytes.len() as u64, *time);
            Some(Ok(match name.parse() {
                Ok(key) => Listed::Object(key, stat),
                Err(_) => Listed::Foreign(name.clone()),
            }))
        })))
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        match self.lock().remove(&key.to_string()) {
            Some(_) => Ok(()),
            None => Err(Error::Missing { store: self.name.clone(), key: *key }),
        }
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        None
    }

    fn clean_staging(&self, _before: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }
}

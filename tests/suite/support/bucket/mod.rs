//! A bucket in memory: versions, delete markers, archive classes, locks, principals.
//!
//! It does what S3 does, where that matters to this program, and is stricter where S3 leaves room:
//! it lists in descending order, and refuses every call that a principal has no right to.

mod locks;
mod planting;
#[cfg(test)]
mod tests;
mod thaw;
mod versions;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use idswyft_vault::base::{Clock, Digest};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Content, Error, Listing, Lock, LockMode, Prolonged, Readiness, Receipt, Remains, Stat,
    StorageClass, Store, ThawAnswer, ThawTier, VersionListing,
};
use jiff::Timestamp;

use super::{Call, sha256};

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub put: bool,
    pub read: bool,
    pub list: bool,
    pub delete: bool,
    pub thaw: bool,
    /// Whether it may delete past a lock under GOVERNANCE.
    pub bypass: bool,
}

impl Rights {
    pub const ALL: Self =
        Self { put: true, read: true, list: true, delete: true, thaw: true, bypass: true };
    pub const PUT_ONLY: Self =
        Self { put: true, read: false, list: false, delete: false, thaw: false, bypass: false };
}

/// One version of a name; a delete marker has no bytes.
#[derive(Clone)]
struct Version {
    id: String,
    bytes: Option<Arc<[u8]>>,
    time: Timestamp,
    class: StorageClass,
    lock: Option<Lock>,
    /// Whether a legal hold is on it.
    is_held: bool,
    /// From when to when a thawed copy can be read.
    thawed: Option<(Timestamp, Timestamp)>,
    /// Whether somebody else than the vault's own programs put it there.
    is_planted: bool,
}

#[derive(Clone, Default)]
struct Contents {
    names: BTreeMap<String, Vec<Version>>,
    version_count: u64,
    calls: Vec<Call>,
    down: bool,
}

struct Inner {
    name: String,
    clock: Arc<dyn Clock>,
    contents: Mutex<Contents>,
    pack_class: StorageClass,
    lock_mode: Option<LockMode>,
}

/// A principal's view of a bucket; clones share the bucket.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
    rights: Rights,
    calls_at_once: usize,
    lock_until: Option<Timestamp>,
    pinned: Option<(ObjectKey, String)>,
}

impl Bucket {
    /// Makes an empty bucket whose packs get a class, seen by its owner.
    pub fn new(name: &str, clock: Arc<dyn Clock>, pack_class: StorageClass) -> Self {
        Self::with_lock(name, clock, pack_class, None)
    }

    /// Makes an empty bucket that locks what is put through `locking`.
    pub fn with_lock(
        name: &str,
        clock: Arc<dyn Clock>,
        pack_class: StorageClass,
        lock_mode: Option<LockMode>,
    ) -> Self {
        let contents = Mutex::default();
        let inner = Inner { name: name.to_owned(), clock, contents, pack_class, lock_mode };
        let (rights, lock_until, pinned) = (Rights::ALL, None, None);
        Self { inner: Arc::new(inner), rights, calls_at_once: 1, lock_until, pinned }
    }

    /// Returns the same bucket as one that is far away, and takes so many calls at a time.
    pub fn taking(&self, calls_at_once: usize) -> Self {
        Self { calls_at_once, ..self.clone() }
    }

    /// Returns the same bucket as a principal with these rights sees it.
    pub fn seen_by(&self, rights: Rights) -> Self {
        Self { rights, ..self.clone() }
    }

    /// Returns the class that packs get.
    pub fn pack_class(&self) -> StorageClass {
        self.inner.pack_class
    }

    /// Lets every call fail from now on, or answer again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Returns every call so far, in order, whoever made it; refused ones too.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.inner.contents.lock().expect("no test panics while it holds the bucket")
    }

    fn add_version(
        &self,
        contents: &mut Contents,
        name: &str,
        bytes: Option<Arc<[u8]>>,
        lock: Option<Lock>,
    ) -> String {
        contents.version_count += 1;
        let id = format!("v{}", contents.version_count);
        let is_pack = name.starts_with("packs/") && bytes.is_some();
        let class = if is_pack { self.inner.pack_class } else { StorageClass::Standard };
        let time = self.inner.clock.now();
        let (thawed, is_held, is_planted) = (None, false, false);
        let version =
            Version { id: id.clone(), bytes, time, class, lock, is_held, thawed, is_planted };
        contents.names.entry(name.to_owned()).or_default().push(version);
        id
    }

    fn call(&self, call: Call, allowed: bool) -> Result<MutexGuard<'_, Contents>, Error> {
        let mut contents = self.lock();
        contents.calls.push(call);
        let (store, place) = (self.inner.name.clone(), format!("{call:?}"));
        if contents.down {
            let source = "the bucket is down".into();
            return Err(Error::Unavailable { store, action: "do", place, source });
        }
        if !allowed {
            let source = "AccessDenied".into();
            return Err(Error::Denied { store, action: "do", place, source });
        }
        Ok(contents)
    }

    /// Returns the version that this view sees of an object.
    fn version(&self, contents: &Contents, key: &ObjectKey) -> Result<Version, Error> {
        let missing = || Error::Missing { store: self.inner.name.clone(), key: *key };
        let versions = contents.names.get(&key.to_string()).ok_or_else(missing)?;
        let found = match &self.pinned {
            Some((pinned, id)) if pinned == key => versions.iter().find(|one| one.id == *id),
            _ => versions.last(),
        };
        found.filter(|version| version.bytes.is_some()).cloned().ok_or_else(missing)
    }

    fn readiness(&self, version: &Version) -> Readiness {
        let now = self.inner.clock.now();
        match version.thawed {
            _ if !version.class.is_archive() => Readiness::Ready,
            Some((ready, _)) if now < ready => Readiness::Thawing,
            Some((_, until)) if now < until => Readiness::Thawed(Some(until)),
            _ => Readiness::Frozen,
        }
    }

    fn stat_of(&self, version: &Version, bytes: &[u8]) -> Stat {
        let (len, modified, class) = (bytes.len() as u64, Some(version.time), version.class);
        let (checksum, readiness) = (Some(sha256(bytes)), self.readiness(version));
        Stat { len, modified, class, readiness, checksum, lock: version.lock }
    }

    fn read(&self, call: Call, key: &ObjectKey) -> Result<Arc<[u8]>, Error> {
        let contents = self.call(call, self.rights.read)?;
        let version = self.version(&contents, key)?;
        if matches!(self.readiness(&version), Readiness::Frozen | Readiness::Thawing) {
            let (store, class) = (self.inner.name.clone(), version.class);
            return Err(Error::Archived { store, key: *key, class });
        }
        Ok(version.bytes.expect("a delete marker is never found"))
    }
}

/// Tells whether all of a folder's versions are listed at once.
fn is_small(folder: Folder) -> bool {
    !matches!(folder, Folder::Packs | Folder::Trees)
}

impl Store for Bucket {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn url(&self) -> &str {
        "memory://bucket"
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
        let bytes = match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::File(path) => {
                std::fs::read(path).map_err(|source| Error::ContentUnreadable {
                    store: self.inner.name.clone(),
                    key: *key,
                    path: path.to_owned(),
                    source: source.into(),
                })?
            }
        };
        let mut contents = self.call(Call::PutNew(*key), self.rights.put)?;
        let (store, actual) = (self.inner.name.clone(), sha256(&bytes));
        if actual != *digest {
            let (expected, actual) = (Box::new(*digest), Box::new(actual));
            return Err(Error::DigestMismatch { store, key: *key, expected, actual });
        }
        let name = key.to_string();
        // As in S3, a name whose newest version is a delete marker is free again.
        let newest = contents.names.get(&name).and_then(|versions| versions.last());
        if newest.is_some_and(|version| version.bytes.is_some()) {
            return Err(Error::Exists { store, key: *key });
        }
        let mode = match key.folder() {
            Folder::Generations => self.inner.lock_mode.map(|_| LockMode::Governance),
            _ => self.inner.lock_mode,
        };
        let lock = self.lock_until.zip(mode).map(|(until, mode)| Lock { mode, until });
        let id = self.add_version(&mut contents, &name, Some(bytes.into()), lock);
        let versions = contents.names.get(&name).and_then(|versions| versions.last());
        let time = versions.expect("it was added").time;
        Ok(Receipt { time, version_id: Some(id), checksum: Some(actual) })
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.read(Call::Get(*key), key)?;
        let (len, store) = (bytes.len() as u64, self.inner.name.clone());
        if len > len_max {
            return Err(Error::LimitExceeded { store, key: *key, len, max: len_max });
        }
        Ok(bytes.to_vec())
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let bytes = self.read(Call::GetRange(*key, offset, len), key)?;
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(len));
        let range = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
        range.map(<[u8]>::to_vec).ok_or_else(|| Error::Truncated {
            store: self.inner.name.clone(),
            key: *key,
            len: bytes.len() as u64,
            need: offset.saturating_add(len as u64),
        })
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(Cursor::new(self.read(Call::Open(*key), key)?)))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let contents = self.call(Call::Stat(*key), self.rights.read)?;
        let version = match self.version(&contents, key) {
            Ok(version) => version,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(version.bytes.as_ref().map(|bytes| self.stat_of(&version, bytes)))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.names_in(folder)
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        let mut contents = self.call(Call::Delete(*key), self.rights.delete)?;
        self.version(&contents, key)?;
        let (now, name) = (self.inner.clock.now(), key.to_string());
        let mut versions = contents.names.get(&name).into_iter().flatten();
        if versions.any(|it| it.is_held || it.lock.is_some_and(|lock| now < lock.until)) {
            let (store, place) = (self.inner.name.clone(), name);
            let source = "the object is locked".into();
            return Err(Error::Denied { store, action: "delete", place, source });
        }
        contents.names.remove(&name);
        Ok(())
    }

    fn calls_at_once(&self) -> usize {
        self.calls_at_once
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        None
    }

    fn clean_staging(&self, _before: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }

    fn is_readable(&self) -> bool {
        self.rights.read
    }

    fn locking(&self, until: Timestamp) -> Option<Arc<dyn Store>> {
        self.inner.lock_mode?;
        Some(Arc::new(Self { lock_until: Some(until), ..self.clone() }))
    }

    fn tells_locks(&self, _key: &ObjectKey) -> Result<bool, Error> {
        Ok(self.rights.bypass)
    }

    fn seen_version(&self, key: &ObjectKey) -> Option<String> {
        self.pinned.as_ref().filter(|(pinned, _)| pinned == key).map(|(_, id)| id.clone())
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.views_of(key)
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        // As in S3, of what is small the plain listing tells all, and `versions` what is unusual.
        match is_small(folder) {
            true => Ok(None),
            false => self.versions_in(folder).map(Some),
        }
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.left_of(key)
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.erase_all(key)
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.extend_lock(key, until)
    }

    fn is_held(&self, key: &ObjectKey) -> Result<bool, Error> {
        let contents = self.call(Call::Hold(*key), self.rights.list)?;
        Ok(self.version(&contents, key)?.is_held)
    }

    fn set_held(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        self.put_hold(key, is_held)
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.ask_to_thaw(key, tier, days)
    }
}

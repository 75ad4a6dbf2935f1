//! Small immutable objects of a store that is far away, kept on this machine, or for one run. Spec:
//! `vault-v1.md` §12.4.
//!
//! - Listing, `stat` and every range go to the store, and so does everything that is put.
//! - What the cache returns is verified like what a store returns. If it is wrong, `versions` is
//!   asked next: that drops it, and the store is read.
//! - Packs and tree objects are never kept, as they are large; generation files are not, as erasing
//!   them has to make packs unreadable.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{
    Content, Error, Listing, Lock, Prolonged, Receipt, Remains, STAGING_PREFIX, Stat, Store, Terms,
    ThawAnswer, ThawTier, VersionListing,
};
use crate::base::Digest;
use crate::base::entropy::process_tag;
use crate::base::limits::{CACHE_LEN_MAX, CACHED_LEN_MAX};
use crate::format::{Folder, ObjectKey};

/// Bytes before an object's own: the SHA-256 of its name and its bytes.
const HEAD_LEN: usize = 32;
/// Makes the names of staged files differ within this process.
static STAGED_COUNT: AtomicU64 = AtomicU64::new(0);

/// Bytes that are kept in memory at most.
const MEMORY_LEN_MAX: u64 = CACHED_LEN_MAX;

/// Where a cache is.
enum Place {
    /// In a directory of the user's own: for every run.
    Directory(PathBuf),
    /// In memory: for this run, and only what is small.
    Memory(Mutex<BTreeMap<ObjectKey, Vec<u8>>>),
}

/// A store, with a cache in front of `get`.
pub struct CachedStore {
    inner: Arc<dyn Store>,
    place: Place,
    /// Bytes that still fit.
    room: AtomicU64,
    /// What the cache answered since it was opened.
    served: Mutex<BTreeSet<ObjectKey>>,
}

impl CachedStore {
    /// Puts a cache in front of a store, in a directory of the caller's own.
    ///
    /// # Errors
    /// If the directory cannot be made, or belongs to somebody else.
    pub fn open(inner: Arc<dyn Store>, directory: PathBuf) -> io::Result<Self> {
        make_own(&directory)?;
        let used = shrink(&directory)?;
        let room = AtomicU64::new(CACHE_LEN_MAX.saturating_sub(used));
        Ok(Self { inner, place: Place::Directory(directory), room, served: Mutex::default() })
    }

    /// Puts a cache in front of a store that remembers notes and the ledger for as long as it is
    /// there: whoever looks several times reads from the store what is new.
    pub fn in_memory(inner: Arc<dyn Store>) -> Self {
        let (place, room) = (Place::Memory(Mutex::default()), AtomicU64::new(MEMORY_LEN_MAX));
        Self { inner, place, room, served: Mutex::default() }
    }

    /// Tells whether objects of a kind are kept.
    const fn keeps(&self, key: &ObjectKey) -> bool {
        match self.place {
            Place::Directory(_) => is_kept(key),
            Place::Memory(_) => {
                is_kept(key) && !matches!(key, ObjectKey::Body(_) | ObjectKey::List(_))
            }
        }
    }

    /// Returns what the cache has of an object.
    fn kept(&self, key: &ObjectKey, len_max: u64) -> Option<Vec<u8>> {
        match &self.place {
            Place::Directory(directory) => read_kept(&path_of(directory, key), key, len_max),
            Place::Memory(objects) => {
                let object = locked(objects).get(key).cloned();
                object.filter(|bytes| bytes.len() as u64 <= len_max)
            }
        }
    }

    /// Drops what the cache has of an object; tells whether it had answered with it.
    fn forget(&self, key: &ObjectKey) -> bool {
        if self.keeps(key) {
            match &self.place {
                Place::Directory(directory) => drop(fs::remove_file(path_of(directory, key))),
                Place::Memory(objects) => drop(locked(objects).remove(key)),
            }
        }
        locked(&self.served).remove(key)
    }

    /// Keeps an object; that it cannot be kept costs a read the next time and nothing else.
    fn keep(&self, key: &ObjectKey, bytes: &[u8]) {
        let len = bytes.len() as u64;
        let take = |room: u64| room.checked_sub(len + HEAD_LEN as u64);
        if len > CACHED_LEN_MAX
            || self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err()
        {
            return;
        }
        let directory = match &self.place {
            Place::Directory(directory) => directory,
            Place::Memory(objects) => {
                locked(objects).insert(*key, bytes.to_vec());
                return;
            }
        };
        let number = STAGED_COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STAGING_PREFIX}{}-{number}", process_tag());
        let staged = directory.join(name);
        let write = || -> io::Result<()> {
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&staged)?;
            file.write_all(&head_of(key, bytes))?;
            file.write_all(bytes)?;
            fs::rename(&staged, path_of(directory, key))
        };
        if write().is_err() {
            drop(fs::remove_file(&staged));
        }
    }
}

fn path_of(directory: &Path, key: &ObjectKey) -> PathBuf {
    directory.join(key.to_string().replace('/', "_"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what a file has of an object; what is not whole is as good as nothing.
fn read_kept(path: &Path, key: &ObjectKey, len_max: u64) -> Option<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).ok()?;
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let most = len_max.min(CACHED_LEN_MAX) + HEAD_LEN as u64;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > most || bytes.len() < HEAD_LEN {
        return None;
    }
    let object = bytes.split_off(HEAD_LEN);
    (bytes == head_of(key, &object)).then_some(object)
}

/// Tells whether objects of a kind are kept.
const fn is_kept(key: &ObjectKey) -> bool {
    matches!(
        key,
        ObjectKey::Vault(_)
            | ObjectKey::Body(_)
            | ObjectKey::List(_)
            | ObjectKey::Note(_)
            | ObjectKey::LedgerEvent(..)
            | ObjectKey::LedgerCheckpoint(..)
    )
}

fn head_of(key: &ObjectKey, bytes: &[u8]) -> [u8; HEAD_LEN] {
    let mut hasher = Sha256::new();
    hasher.update(key.to_string());
    hasher.update([0]);
    hasher.update(bytes);
    hasher.finalize().into()
}

/// Makes a directory that only its owner can enter.
fn make_own(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it is not a directory of this user's own"));
    }
    match found.mode() & 0o077 {
        0 => Ok(()),
        _ => fs::set_permissions(directory, Permissions::from_mode(0o700)),
    }
}

/// Removes the oldest files of a cache that has grown too large; returns how long the others are.
fn shrink(directory: &Path) -> io::Result<u64> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        files.push((found.modified()?, found.len(), entry.path()));
    }
    let mut used: u64 = files.iter().map(|(_, len, _)| len).sum();
    if used <= CACHE_LEN_MAX {
        return Ok(used);
    }
    files.sort();
    for (_, len, path) in files {
        if used <= CACHE_LEN_MAX / 2 {
            break;
        }
        if fs::remove_file(path).is_ok() {
            used -= len;
        }
    }
    Ok(used)
}

impl Store for CachedStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn url(&self) -> &str {
        self.inner.url()
    }

    fn location(&self) -> String {
        self.inner.location()
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
        if !self.keeps(key) {
            return self.inner.get(key, len_max);
        }
        if let Some(bytes) = self.kept(key, len_max) {
            locked(&self.served).insert(*key);
            return Ok(bytes);
        }
        let bytes = self.inner.get(key, len_max)?;
        self.keep(key, &bytes);
        Ok(bytes)
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
        self.forget(key);
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
        self.inner.calls_at_once()
    }

    fn patience(&self) -> Option<Duration> {
        self.inner.patience()
    }

    fn locking(&self, until: Timestamp) -> Option<Arc<dyn Store>> {
        self.inner.locking(until)
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        // Who asks was not content with what is kept.
        let was_served = locked(&self.served).contains(key) && self.forget(key);
        let views = self.inner.versions(key)?;
        match views.is_empty() && was_served {
            true => Ok(vec![Arc::clone(&self.inner)]),
            false => Ok(views),
        }
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.inner.list_versions(folder)
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.inner.remains(key)
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.forget(key);
        self.inner.erase(key)
    }

    fn tells_locks(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.inner.tells_locks(key)
    }

    fn terms(&self) -> Terms {
        self.inner.terms()
    }

    fn seen_version(&self, key: &ObjectKey) -> Option<String> {
        self.inner.seen_version(key)
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.inner.prolong(key, until)
    }

    fn lock(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        self.inner.lock(key)
    }

    fn is_held(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.inner.is_held(key)
    }

    fn set_held(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        self.inner.set_held(key, is_held)
    }

    fn has_classes(&self) -> bool {
        self.inner.has_classes()
    }

    fn await_readable(&self, keys: &[ObjectKey]) -> Result<Vec<bool>, Error> {
        self.inner.await_readable(keys)
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.inner.thaw(key, tier, days)
    }
}

//! Layer 2: places that hold a vault's objects, behind one small trait. Spec: §16.
//!
//! Every store keeps this contract; `tests/suite/conformance.rs` tests each number on each kind:
//!
//! - C1 `put_new` refuses a key that is taken, and what is there stays as it was.
//! - C2 An object is visible under its name whole or not at all, also while it is written, and
//!   also when `put_new` fails.
//! - C3 `put_new` takes only content that has the given SHA-256. A file staged in the store's own
//!   staging directory is taken at the caller's word, because its bytes are not read again.
//! - C4 Once `put_new` answers, with a receipt or with `Exists`, the object survives a crash of the
//!   machine. Nothing else (not `stat`, not `list`) proves that.
//! - C5 `get` returns the whole object, or `LimitExceeded` without reading more than that.
//! - C6 Of any number of concurrent `put_new` of one key, exactly one wins.
//! - C7 `get_range` returns exactly the bytes asked for, or `Truncated` with both numbers.
//! - C8 What `put_new` acknowledged is there for the next call of any kind.
//! - C9 `list` shows every object of a folder once, in no particular order, in bounded memory.
//! - C10 A name that is not ours is shown as `Foreign`: it is no error and hides nothing. Staging
//!   names of this program are not shown.
//! - C11 `delete` removes one object and nothing else; a missing one is `Missing`.
//! - C12 Reading follows no link, waits for no other program and changes nothing; what is not a
//!   plain file under an object's name is `NotAnObject`.
//! - C13 A store that is full, out of reach or not there says so: it never looks empty.
//! - C14 The caller's file stays where it is, with its bytes.
//! - C15 `prepare` may be repeated, and changes nothing that is there.
//! - C16 `stat` never calls an object readable that `get` would refuse as `Archived`, and reading
//!   never thaws anything.
//! - C17 `versions` shows every version of an object that something was put over, or that a delete
//!   marker hides, the oldest first.
//! - C18 `list_versions` shows every name of a folder once, in bounded memory, with the number of
//!   its versions; also what `list` does not show because a delete marker hides it. A folder that
//!   is listed by versions anyway need not have it, and `versions` is answered from that listing.
//!   `delete`, of who may, leaves no version of an object.
//! - C19 `remains` looks anew and counts every version and delete marker of a name, and copies that
//!   were set aside; what it cannot see it says.
//! - C20 `erase` leaves nothing of what `remains` counts, also where there are only delete markers;
//!   what is not there is no error. It alone passes a lock that its credentials may bypass.
//! - C21 `prolong` never shortens a lock and never changes its mode.
//! - C22 `set_held` puts a legal hold on an object, which nobody deletes until it is taken off, or
//!   takes it off; a store that locks nothing has none. It changes no lock.

mod cache;
pub mod class;
pub mod error;
mod local;
mod memory;
mod open;
pub mod probe;
mod remains;
pub mod s3;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::Digest as _;

pub use cache::CachedStore;
pub use class::{Lock, LockMode, Readiness, StorageClass, Terms, ThawAnswer, ThawTier};
pub use error::Error;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use open::{bucket, directory, open, open_with};
pub use probe::{Probe, ProbeRequest};
pub use remains::{Prolonged, Remains, Sight};
pub use s3::{Fault, Quirks, S3Settings, S3Store};

use crate::base::Digest;
use crate::format::{Folder, ObjectKey};

/// What every file begins with that this program stages: in a store or anywhere else.
pub const STAGING_PREFIX: &str = ".idswyft-vault-";

/// How the name of a store begins that was given by its URL: it says nothing of which store it is.
pub const GIVEN: &str = "given";

/// What an object is to hold.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Bytes in memory: small objects.
    Bytes(&'a [u8]),
    /// A finished file, which nobody writes to any more. The store syncs it where it needs to.
    File(&'a Path),
}

/// What a store knows of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Stored length in bytes.
    pub len: u64,
    /// When the object was written, by the store's clock; none, if it does not tell.
    pub modified: Option<Timestamp>,
    /// Its storage class.
    pub class: StorageClass,
    /// Whether it can be read now.
    pub readiness: Readiness,
    /// The SHA-256 that the store keeps with it, where it keeps one and `stat` was asked.
    pub checksum: Option<Digest>,
    /// Its lock, where it has one and `stat` was asked by who may know.
    pub lock: Option<Lock>,
}

impl Stat {
    /// Makes what a store without classes, checksums and locks knows.
    pub const fn plain(len: u64, modified: Timestamp) -> Self {
        let (class, readiness) = (StorageClass::Standard, Readiness::Ready);
        Self { len, modified: Some(modified), class, readiness, checksum: None, lock: None }
    }

    /// Tells whether it must be thawed before it can be read.
    pub const fn is_cold(&self) -> bool {
        matches!(self.readiness, Readiness::Frozen | Readiness::Thawing)
    }
}

/// What a store said when it took an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When the object was written, by the store's clock.
    pub time: Timestamp,
    /// The object's version, in a store that has versions.
    pub version_id: Option<String>,
    /// The SHA-256 of what was written, if the store computed it.
    pub checksum: Option<Digest>,
}

/// One name in a folder of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// An object of ours, by its name.
    Object(ObjectKey, Stat),
    /// A name that is not ours; what is not UTF-8 in it is replaced, a directory ends with a slash.
    Foreign(String),
}

/// What [`Store::list`] returns. An error in it concerns one name; the others still follow.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<Listed, Error>> + Send + 'a>;

/// One name in a folder of a store that keeps versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The name; of what is hidden, the newest version that is no delete marker.
    pub listed: Listed,
    /// How many versions of it hold bytes.
    pub version_count: u64,
    /// Whether a delete marker is over them.
    pub is_hidden: bool,
}

/// What [`Store::list_versions`] returns. An error in it concerns one name; others still follow.
pub type VersionListing<'a> = Box<dyn Iterator<Item = Result<Versioned, Error>> + Send + 'a>;

/// One place that holds a vault's objects: the module's contract, C1 to C22.
pub trait Store: Send + Sync {
    /// Returns the store's name in the config, for messages.
    fn name(&self) -> &str;

    /// Returns the URL that the store was opened with.
    fn url(&self) -> &str;

    /// Returns what tells its place from others of the same URL, for whoever remembers something
    /// of it: of a bucket also the endpoint that serves it.
    fn location(&self) -> String {
        self.url().to_owned()
    }

    /// Makes the place that objects go to, such as the directory itself.
    ///
    /// Only `init` and whatever adds a mirror call it. A place that has vanished since is not
    /// made anew by writing to it: then its disk is not mounted, and every call says so (C13).
    fn prepare(&self) -> Result<(), Error>;

    /// Stores a new object: durably, atomically and never over another (C1 to C4, C6, C14).
    ///
    /// Fails with `Exists` if the key is taken, whatever bytes are there.
    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error>;

    /// Returns the whole object, at most `len_max` bytes (C5).
    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error>;

    /// Returns exactly `len` bytes from `offset` (C7).
    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error>;

    /// Opens the object for reading from its beginning.
    ///
    /// A reader that ends early looks like a shorter object: compare with the signed length.
    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error>;

    /// Returns length and time of the object, or nothing if it is missing.
    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error>;

    /// Lists a folder (C9, C10); a folder that nothing was put into is empty.
    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error>;

    /// Deletes the object (C11).
    fn delete(&self, key: &ObjectKey) -> Result<(), Error>;

    /// Returns the directory from which `put_new` takes a file without copying.
    ///
    /// Names in it must begin with [`STAGING_PREFIX`]. Nothing is returned by a store that has
    /// no such directory, or cannot open it now: stage elsewhere, and `put_new` tells the cause.
    fn staging_dir(&self) -> Option<PathBuf>;

    /// Removes staged files last written before a time, and returns how many.
    ///
    /// They were left by runs that crashed. `before` must precede the start of every run of this
    /// host; what a process of another is storing stays, where the file system has locks.
    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error>;

    /// Moves whatever is under a key out of the way, to a name that readers pass over, and returns
    /// where it is now; none, if the store moves nothing or nothing is there (H-9).
    ///
    /// Only `repair` calls it, for what it found to be damaged.
    fn set_aside(&self, _key: &ObjectKey) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Tells whether the credentials are meant to read. Where not, nothing but `put_new` is called.
    fn is_readable(&self) -> bool {
        true
    }

    /// Returns how many calls are worth making at a time.
    fn calls_at_once(&self) -> usize {
        1
    }

    /// Returns for how long in all the store may hold up a run, if it is a mirror.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Returns the same store, where whatever is put is locked until a time; none, if it locks
    /// nothing.
    fn locking(&self, _until: Timestamp) -> Option<Arc<dyn Store>> {
        None
    }

    /// Returns the same store with one version of an object in its place each, the oldest first
    /// (C17); none, if the object has one version at most and nothing hides it.
    fn versions(&self, _key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        Ok(Vec::new())
    }

    /// Lists a folder with the number of versions of each name, and with what is hidden (C18);
    /// none, if the store keeps no versions.
    fn list_versions(&self, _folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        Ok(None)
    }

    /// Looks anew at what is left of an object (C19).
    ///
    /// This one is for a store that keeps one version of a name, and no copies.
    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        let version_count = u64::from(self.stat(key)?.is_some());
        Ok(Remains { version_count, marker_count: 0, sight: Sight::Whole })
    }

    /// Deletes all that is left of an object, past a lock that the credentials may bypass (C20);
    /// returns how many versions held bytes.
    ///
    /// Only `shred` calls it, for what its event names.
    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        match self.delete(key) {
            Ok(()) => Ok(1),
            Err(Error::Missing { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Returns the lock of an object, for who may not be allowed to read it; none, if it has none.
    fn lock(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        Ok(self.stat(key)?.and_then(|stat| stat.lock))
    }

    /// Tells whether these credentials are told the lock of an object; where they are not, `stat`
    /// shows none.
    fn tells_locks(&self, _key: &ObjectKey) -> Result<bool, Error> {
        Ok(true)
    }

    /// Returns how the settings want objects to be kept.
    fn terms(&self) -> Terms {
        Terms::default()
    }

    /// Returns which version of an object is seen in a store that [`Self::versions`] returned.
    fn seen_version(&self, _key: &ObjectKey) -> Option<String> {
        None
    }

    /// Locks an object until a time, if it is not locked for as long (C21).
    fn prolong(&self, _key: &ObjectKey, _until: Timestamp) -> Result<Prolonged, Error> {
        Ok(Prolonged::Never)
    }

    /// Tells whether a legal hold of the store is on an object (C22).
    fn is_held(&self, _key: &ObjectKey) -> Result<bool, Error> {
        Ok(false)
    }

    /// Puts a legal hold of the store on an object, or takes it off (C22).
    fn set_held(&self, _key: &ObjectKey, _is_held: bool) -> Result<(), Error> {
        Ok(())
    }

    /// Tells whether objects may be in an archive class; where not, nobody asks whether they are.
    fn has_classes(&self) -> bool {
        true
    }

    /// Returns which of some objects are to be read first, having waited for one that can be, in a
    /// store that waits for a thaw.
    fn await_readable(&self, keys: &[ObjectKey]) -> Result<Vec<bool>, Error> {
        Ok(vec![true; keys.len()])
    }

    /// Finds out what the endpoint really does, by doing it under `probe/<name>/`; none, for a
    /// store that has nothing to find out, or whose credentials may only put.
    fn probe(&self, _request: &ProbeRequest<'_>) -> Result<Option<Probe>, Error> {
        Ok(None)
    }

    /// Asks for a copy of an archived object that can be read for `days` days once it is thawed.
    ///
    /// Fails with `NotThawable` if the object is in no archive class or the tier is not for it.
    fn thaw(&self, key: &ObjectKey, _tier: ThawTier, _days: u32) -> Result<ThawAnswer, Error> {
        let reason = "this kind of store has no archive classes";
        Err(Error::NotThawable { store: self.name().to_owned(), key: *key, reason })
    }
}

/// Returns the SHA-256 of bytes.
fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(bytes).into())
}

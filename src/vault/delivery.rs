//! Putting one object into one store, once. Spec: §9, `mirrors.md` §2.
//!
//! A delivery that is repeated finds its own bytes and goes on, so a crash or a lost answer at any
//! point changes nothing. Where the credentials may not read, a name that is taken is trusted: it
//! could only be known to this host.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::Error;
use crate::base::Digest;
use crate::crypto::digest::Sha256Hasher;
use crate::format::ObjectKey;
use crate::manifest::ReceiptRow;
use crate::store::{self, Content, Receipt, Store};

/// How it is known that a store has an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The store said so now, or holds the same bytes.
    Proven(Receipt),
    /// The name is taken, and the credentials may not look by what.
    Unproven,
}

impl Taken {
    /// Returns what the manifest keeps of it; `now` is the time of what the store did not date.
    pub fn receipt_row(&self, now: Timestamp) -> ReceiptRow<'_> {
        match self {
            Self::Proven(receipt) => receipt_row(receipt),
            Self::Unproven => {
                ReceiptRow { second: now.as_second(), version_id: None, checksum: None }
            }
        }
    }
}

/// An object with all that it takes to put it, for whichever thread does.
#[derive(Clone)]
pub struct Parcel {
    /// Its name.
    pub key: ObjectKey,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub load: Load,
    /// Until when it is to be locked, in a store that locks.
    pub locked_until: Option<Timestamp>,
}

/// Where a parcel's bytes are.
#[derive(Clone)]
pub enum Load {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file that nobody writes to any more.
    File(PathBuf),
    /// In other stores of the vault; they come by way of a file of this name.
    Elsewhere(Vec<Arc<dyn Store>>, PathBuf),
}

impl Parcel {
    /// Puts it into a store, locked if the store locks.
    ///
    /// # Errors
    /// If the store fails, or other bytes are there, or no other store has its bytes.
    pub fn put(&self, store: &Arc<dyn Store>) -> Result<Taken, Error> {
        let view = self.locked_until.and_then(|until| store.locking(until));
        let store = view.as_ref().unwrap_or(store).as_ref();
        let content = match &self.load {
            Load::Bytes(bytes) => Content::Bytes(bytes),
            Load::File(path) => Content::File(path),
            Load::Elsewhere(sources, path) => return self.bring(sources, path, store),
        };
        take_once(store, &self.key, content, &self.sha256)
    }

    /// Brings it from the first store that has its bytes, for which this one may do itself.
    fn bring(
        &self,
        sources: &[Arc<dyn Store>],
        path: &Path,
        store: &dyn Store,
    ) -> Result<Taken, Error> {
        let mut failure = None;
        for source in sources {
            match self.fetch(source.as_ref(), path) {
                Ok(()) => {
                    let content = Content::File(path);
                    let taken = take_once(store, &self.key, content, &self.sha256);
                    remove_file(path)?;
                    return taken;
                }
                Err(error) => failure = Some(error),
            }
            remove_file(path)?;
        }
        if let Some(receipt) = recognised(store, &self.key, &self.sha256)? {
            return Ok(Taken::Proven(receipt));
        }
        let owed = || Error::Owed { store: store.name().to_owned(), key: self.key };
        Err(failure.unwrap_or_else(owed))
    }

    /// Reads its bytes into a file: those that are there, else those of its oldest version that has
    /// them, whatever was put over it or hides it (I8).
    fn fetch(&self, source: &dyn Store, path: &Path) -> Result<(), Error> {
        let first = match self.fetch_version(source, path) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Where versions may not be listed, what is there is all that there is.
        for version in source.versions(&self.key).unwrap_or_default() {
            if self.fetch_version(version.as_ref(), path).is_ok() {
                return Ok(());
            }
        }
        Err(first)
    }

    fn fetch_version(&self, source: &dyn Store, path: &Path) -> Result<(), Error> {
        let found = fetch(source, &self.key, path)?;
        if found == self.sha256 {
            return Ok(());
        }
        let (found, expected) = (found.to_string(), self.sha256.to_string());
        Err(Error::Altered { key: self.key, found, expected })
    }
}

/// Puts an object; one that is there already with the same bytes was put by an earlier try.
///
/// # Errors
/// If the store fails, or other bytes are there, or bytes that may not be read.
pub fn put_or_recognise(
    store: &dyn Store,
    key: &ObjectKey,
    content: Content<'_>,
    sha256: &Digest,
) -> Result<Receipt, Error> {
    match take_once(store, key, content, sha256)? {
        Taken::Proven(receipt) => Ok(receipt),
        Taken::Unproven => {
            Err(store::Error::Exists { store: store.name().to_owned(), key: *key }.into())
        }
    }
}

/// As [`put_or_recognise`]; a name that is taken in a store that may not be read counts as well.
fn take_once(
    store: &dyn Store,
    key: &ObjectKey,
    content: Content<'_>,
    sha256: &Digest,
) -> Result<Taken, Error> {
    match store.put_new(key, content, sha256) {
        Err(store::Error::Exists { .. }) if !store.is_readable() => Ok(Taken::Unproven),
        Err(exists @ store::Error::Exists { .. }) => match look(store, key, sha256)? {
            Seen::Same(receipt) => Ok(Taken::Proven(receipt)),
            Seen::Unseen => Ok(Taken::Unproven),
            Seen::Other => Err(exists.into()),
        },
        other => Ok(Taken::Proven(other?)),
    }
}

/// Tells whether a store, if it can be read, has an object with these bytes.
fn recognised(
    store: &dyn Store,
    key: &ObjectKey,
    sha256: &Digest,
) -> Result<Option<Receipt>, Error> {
    if !store.is_readable() {
        return Ok(None);
    }
    Ok(match look(store, key, sha256)? {
        Seen::Same(receipt) => Some(receipt),
        Seen::Unseen | Seen::Other => None,
    })
}

/// What is under a name, compared with what should be.
enum Seen {
    /// The same bytes.
    Same(Receipt),
    /// Other bytes, or nothing.
    Other,
    /// The credentials may not look, or it is archived and the store keeps no checksum of it.
    Unseen,
}

/// Looks at what is under a name; the same bytes are there too in a version that something was put
/// over since, and readers take that (I8).
fn look(store: &dyn Store, key: &ObjectKey, sha256: &Digest) -> Result<Seen, Error> {
    let seen = look_at(store, key, sha256)?;
    if !matches!(seen, Seen::Other) {
        return Ok(seen);
    }
    for version in store.versions(key).unwrap_or_default() {
        if let same @ Seen::Same(_) = look_at(version.as_ref(), key, sha256)? {
            return Ok(same);
        }
    }
    Ok(seen)
}

fn look_at(store: &dyn Store, key: &ObjectKey, sha256: &Digest) -> Result<Seen, Error> {
    let stat = match store.stat(key) {
        Err(store::Error::Denied { .. }) => return Ok(Seen::Unseen),
        other => other?,
    };
    let Some(stat) = stat else { return Ok(Seen::Other) };
    let found = match hash_stored(store, key) {
        Err(store::Error::Archived { .. } | store::Error::Denied { .. }) => stat.checksum,
        other => Some(other?.0),
    };
    Ok(match found {
        None => Seen::Unseen,
        Some(found) if found == *sha256 => Seen::Same(receipt_of(&stat, sha256)),
        Some(_) => Seen::Other,
    })
}

fn receipt_of(stat: &store::Stat, sha256: &Digest) -> Receipt {
    let time = stat.modified.unwrap_or_default();
    Receipt { time, version_id: None, checksum: Some(*sha256) }
}

/// Reads an object whole; returns the SHA-256 and the number of its bytes.
///
/// # Errors
/// If it is missing or cannot be read.
pub fn hash_stored(store: &dyn Store, key: &ObjectKey) -> Result<(Digest, u64), store::Error> {
    let mut hasher = Sha256Hasher::new();
    let copied = io::copy(&mut store.open(key)?, &mut hasher);
    copied.map_err(|cause| unreadable(store, key, cause))?;
    let len = hasher.len();
    Ok((hasher.finish(), len))
}

/// Reads an object into a file; returns the SHA-256 of its bytes.
fn fetch(source: &dyn Store, key: &ObjectKey, path: &Path) -> Result<Digest, Error> {
    let file = File::create(path).map_err(|cause| Error::state("write", path, cause))?;
    Ok(copy_to(source, key, file, path)?.0)
}

/// Reads an object into an open file; returns the SHA-256 and the number of its bytes.
///
/// # Errors
/// If it is missing or cannot be read, or the file in `place` cannot be written.
pub(super) fn copy_to(
    source: &dyn Store,
    key: &ObjectKey,
    mut file: impl Write,
    place: &Path,
) -> Result<(Digest, u64), Error> {
    let failed = |cause| Error::state("write", place, cause);
    let mut reader = source.open(key)?;
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let len = reader.read(&mut buffer).map_err(|cause| unreadable(source, key, cause))?;
        if len == 0 {
            let len = hasher.len();
            return Ok((hasher.finish(), len));
        }
        hasher.write_all(&buffer[..len]).map_err(failed)?;
        file.write_all(&buffer[..len]).map_err(failed)?;
    }
}

fn unreadable(store: &dyn Store, key: &ObjectKey, cause: io::Error) -> store::Error {
    let (store, place) = (store.name().to_owned(), key.to_string());
    store::Error::Unavailable { store, action: "read", place, source: cause.into() }
}

/// Returns what the manifest keeps of a receipt.
pub fn receipt_row(receipt: &Receipt) -> ReceiptRow<'_> {
    ReceiptRow {
        second: receipt.time.as_second(),
        version_id: receipt.version_id.as_deref(),
        checksum: receipt.checksum,
    }
}

/// Removes a file that is not needed any more, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, cause))
        }
        _ => Ok(()),
    }
}

//! Carrying one object from one store to another, checked on the way. Spec: `repair.md` §2.
//!
//! The bytes rest in a scratch file between the two, and are put only once they are known to be
//! the signed ones: what is damaged or planted in one mirror never gets into another.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::base::entropy::process_tag;
use crate::base::{Digest, with_causes};
use crate::crypto::digest::Sha256Hasher;
use crate::format::ObjectKey;
use crate::store::{self, STAGING_PREFIX, Store};
use crate::vault::signed::{Expected, proves_damage, versions_of};

/// Bytes that are read at once.
const READ_LEN: usize = 256 * 1024;

/// What came of fetching an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The signed bytes are in the scratch file.
    Sound {
        /// Their SHA-256.
        sha256: Digest,
        /// How many there are.
        len: u64,
    },
    /// No version there has the signed bytes.
    Damaged(String),
    /// It is not there.
    Missing,
    /// It must be thawed first.
    Archived,
}

/// Returns the scratch file of a worker.
pub fn scratch_file(scratch: &Path, worker: usize) -> PathBuf {
    scratch.join(format!("{STAGING_PREFIX}copy-{}-{worker}", process_tag()))
}

/// Fetches an object into a file: as it is there, else its oldest version that is the signed one.
///
/// # Errors
/// If the store does not answer or the file cannot be written.
pub fn fetch(
    source: &Arc<dyn Store>,
    key: &ObjectKey,
    expected: &Expected,
    path: &Path,
) -> Result<Fetched, Error> {
    let first = fetch_version(source.as_ref(), key, expected, path)?;
    if matches!(first, Fetched::Sound { .. }) {
        return Ok(first);
    }
    for version in versions_of(source, key)? {
        let fetched = fetch_version(version.as_ref(), key, expected, path)?;
        if matches!(fetched, Fetched::Sound { .. }) {
            return Ok(fetched);
        }
    }
    Ok(first)
}

fn fetch_version(
    source: &dyn Store,
    key: &ObjectKey,
    expected: &Expected,
    path: &Path,
) -> Result<Fetched, Error> {
    let wrap = |cause| Error::file("write", path, cause);
    let judge = |error: store::Error| match error {
        store::Error::Missing { .. } => Ok(Fetched::Missing),
        store::Error::Archived { .. } => Ok(Fetched::Archived),
        error if proves_damage(source, &error) => Ok(Fetched::Damaged(with_causes(&error))),
        error => Err(error.into()),
    };
    let mut reader = match source.open(key) {
        Ok(reader) => reader,
        Err(error) => return judge(error),
    };
    // Never emptied and written again: a store may have taken the file of before as it is.
    remove_scratch(path)?;
    let mut options = std::fs::File::options();
    let mut file = options.write(true).create_new(true).open(path).map_err(wrap)?;
    let (mut hasher, mut buffer) = (Sha256Hasher::new(), vec![0; READ_LEN]);
    loop {
        let len = match read(&mut reader, &mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(cause) => {
                let (store, place) = (source.name().to_owned(), key.to_string());
                let source = cause.into();
                return judge(store::Error::Unavailable { store, action: "read", place, source });
            }
        };
        hasher.update(&buffer[..len]);
        file.write_all(&buffer[..len]).map_err(wrap)?;
    }
    let len = hasher.len();
    let sha256 = hasher.finish();
    match expected.is_met(&sha256, len) {
        true => Ok(Fetched::Sound { sha256, len }),
        false => Ok(Fetched::Damaged(format!("it has {len} bytes with the SHA-256 {sha256}"))),
    }
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Removes a worker's scratch file, if there is one.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_scratch(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path, cause))
        }
        _ => Ok(()),
    }
}

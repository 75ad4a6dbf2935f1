//! Giving one store what another has. Spec: §9.2.
//!
//! Objects go over in the order in which a writer would have put them, so I1 to I3 hold in the
//! copy at every moment; what is there already is left alone.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::Error;
use crate::base::{Digest, Event, Observer};
use crate::crypto::digest::Sha256Hasher;
use crate::format::{Folder, ObjectKey};
use crate::store::{Content, Listed, STAGING_PREFIX, Store};
use crate::vault::delivery::put_or_recognise;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replicated {
    /// Objects.
    pub object_count: u64,
    /// Their stored bytes.
    pub stored_len: u64,
}

/// Copies every object that `target` lacks; `scratch` is a directory for one of them at a time.
///
/// # Errors
/// If a store cannot be listed, read or written. What was copied stays.
pub fn replicate(
    source: &dyn Store,
    target: &dyn Store,
    scratch: &Path,
    observer: &dyn Observer,
) -> Result<Replicated, Error> {
    let there = objects(target)?;
    let mut missing: Vec<ObjectKey> = objects(source)?.difference(&there).copied().collect();
    missing.sort_by_key(written);
    let mut replicated = Replicated::default();
    for key in missing {
        let len = copy(source, target, &key, scratch)?;
        observer.observe(Event::Advanced { len });
        replicated.object_count += 1;
        replicated.stored_len += len;
    }
    Ok(replicated)
}

fn objects(store: &dyn Store) -> Result<BTreeSet<ObjectKey>, Error> {
    let mut keys = BTreeSet::new();
    for folder in Folder::ALL {
        for listed in store.list(folder)? {
            if let Listed::Object(key, _) = listed? {
                keys.insert(key);
            }
        }
    }
    Ok(keys)
}

/// Orders objects as a writer puts them: by kind, but an event and its checkpoint together.
fn written(key: &ObjectKey) -> (ObjectKey, bool) {
    match *key {
        ObjectKey::LedgerCheckpoint(signer, seq) => (ObjectKey::LedgerEvent(signer, seq), true),
        other => (other, false),
    }
}

fn copy(
    source: &dyn Store,
    target: &dyn Store,
    key: &ObjectKey,
    scratch: &Path,
) -> Result<u64, Error> {
    let path = scratch.join(format!("{STAGING_PREFIX}copy"));
    let (digest, len) = fetch(source, key, &path)?;
    if key.pack().is_some_and(|id| id.as_bytes() != digest.as_bytes()) {
        let (found, expected) = (digest.to_string(), key.to_string());
        return Err(crate::vault::Error::Altered { key: *key, found, expected }.into());
    }
    put_or_recognise(target, key, Content::File(&path), &digest)?;
    std::fs::remove_file(&path).map_err(|cause| Error::file("remove", &path, cause))?;
    Ok(len)
}

fn fetch(source: &dyn Store, key: &ObjectKey, path: &Path) -> Result<(Digest, u64), Error> {
    let wrap = |cause| Error::file("write", path, cause);
    let mut file = std::fs::File::create(path).map_err(wrap)?;
    let mut reader = source.open(key)?;
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let len = reader.read(&mut buffer).map_err(|cause| crate::store::Error::Unavailable {
            store: source.name().to_owned(),
            action: "read",
            place: key.to_string(),
            source: cause.into(),
        })?;
        if len == 0 {
            break;
        }
        hasher.write_all(&buffer[..len]).map_err(wrap)?;
        file.write_all(&buffer[..len]).map_err(wrap)?;
    }
    let len = hasher.len();
    Ok((hasher.finish(), len))
}

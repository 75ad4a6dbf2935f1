//! What the tests share: stores that fail and stores that remember.
//!
//! Both wrap any store, and are stricter than it: they read every content that is put, also a
//! staged file, and refuse one that does not have its digest.

mod assurance;
pub mod bucket;
pub mod crash;
mod faulty;
pub mod forward;
pub mod image;
pub mod invariants;
pub mod loopback;
pub mod lossy;
pub mod program;
mod random;
mod recording;
pub mod unread;
pub mod vault;

use std::collections::BTreeSet;
use std::fs;

use idswyft_vault::base::Digest;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, Listed, Store};
use sha2::{Digest as _, Sha256};

pub use assurance::Figure;
pub use faulty::{FaultyStore, Mode, Then};
pub use random::{Random, SeededEntropy};
pub use recording::RecordingStore;

/// One call of a store that reaches the place it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Prepare,
    PutNew(ObjectKey),
    Get(ObjectKey),
    GetRange(ObjectKey, u64, usize),
    Open(ObjectKey),
    Stat(ObjectKey),
    List(Folder),
    Delete(ObjectKey),
    SetAside(ObjectKey),
    CleanStaging,
    Versions(ObjectKey),
    ListVersions(Folder),
    Thaw(ObjectKey),
    Remains(ObjectKey),
    Erase(ObjectKey),
    Prolong(ObjectKey),
    Hold(ObjectKey),
}

impl Call {
    /// Returns the object that the call is about.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Self::PutNew(key)
            | Self::Get(key)
            | Self::GetRange(key, ..)
            | Self::Open(key)
            | Self::Stat(key)
            | Self::Delete(key)
            | Self::SetAside(key)
            | Self::Remains(key)
            | Self::Erase(key)
            | Self::Prolong(key)
            | Self::Hold(key)
            | Self::Versions(key)
            | Self::Thaw(key) => Some(*key),
            Self::Prepare | Self::List(_) | Self::ListVersions(_) | Self::CleanStaging => None,
        }
    }
}

/// Tells whether the long form of a test is wanted, which takes hours instead of seconds.
pub fn is_long() -> bool {
    std::env::var_os("IDSWYFT_VAULT_TEST_LONG").is_some()
}

/// Returns the name of every object in a store.
pub fn names_in(store: &dyn Store) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in Folder::ALL {
        for listed in store.list(folder).unwrap() {
            if let Listed::Object(key, _) = listed.unwrap() {
                names.insert(key.to_string());
            }
        }
    }
    names
}

/// Returns the SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Refuses content that does not have the digest, whatever the store would do.
fn check_content(
    store: &str,
    key: &ObjectKey,
    content: Content<'_>,
    digest: &Digest,
) -> Result<(), Error> {
    let actual = match content {
        Content::Bytes(bytes) => sha256(bytes),
        // What cannot be read is for the store to say.
        Content::File(path) => match fs::read(path) {
            Ok(bytes) => sha256(&bytes),
            Err(_) => return Ok(()),
        },
    };
    if actual == *digest {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        store: store.to_owned(),
        key: *key,
        expected: Box::new(*digest),
        actual: Box::new(actual),
    })
}

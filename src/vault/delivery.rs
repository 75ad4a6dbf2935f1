//! Delivering what was journaled, to each store in the order of the journal. Spec: §9.
//!
//! That order upholds I1 (secrets before packs), I2 (a list names only durable objects) and I3 (a
//! snapshot exists when its note exists), per store. A delivery that is repeated finds its own
//! bytes and goes on, so a crash or a lost answer at any point changes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::Error;
use crate::base::{Code, Digest, Event, Observer, with_causes};
use crate::crypto::digest::Sha256Hasher;
use crate::format::ObjectKey;
use crate::manifest::{Manifest, Outgoing, Payload, ReceiptRow};
use crate::store::{self, Content, Receipt, Store};

/// The stores of a vault, the primary first, and which of them answered last.
pub struct Mirrors {
    stores: Vec<Arc<dyn Store>>,
    lagging: BTreeSet<String>,
}

impl Mirrors {
    /// Takes the stores of a vault; the first one is the primary.
    pub const fn new(stores: Vec<Arc<dyn Store>>) -> Self {
        Self { stores, lagging: BTreeSet::new() }
    }

    /// Returns every store's name.
    pub fn names(&self) -> Vec<String> {
        self.stores.iter().map(|store| store.name().to_owned()).collect()
    }

    /// Returns the primary store.
    ///
    /// # Panics
    /// Never: a config without a store is refused.
    pub fn primary(&self) -> &Arc<dyn Store> {
        self.stores.first().expect("a config without a store is refused")
    }

    /// Returns the mirrors that still answer in this run.
    pub fn mirrors(&self) -> Vec<Arc<dyn Store>> {
        let answering = |store: &&Arc<dyn Store>| !self.lagging.contains(store.name());
        self.stores.iter().skip(1).filter(answering).cloned().collect()
    }

    /// Returns every mirror by name, answering or not.
    pub fn mirror_names(&self) -> Vec<String> {
        self.names().split_off(1)
    }

    /// Returns the mirrors that did not answer in this run.
    pub fn lagging(&self) -> Vec<String> {
        self.lagging.iter().cloned().collect()
    }

    /// Notes that a mirror does not answer, and tells once.
    pub fn note_lagging(&mut self, store: &str, cause: &store::Error, observer: &dyn Observer) {
        if self.lagging.insert(store.to_owned()) {
            let detail = format!("store {store}: {}", with_causes(cause));
            observer.observe(Event::Warning { code: Code::MirrorLagging, detail });
        }
    }

    /// Delivers everything journaled: all of it to the primary, or an error; to a mirror what it
    /// takes, or a warning.
    ///
    /// # Errors
    /// If the primary or the manifest fails.
    pub fn deliver(
        &mut self,
        manifest: &mut Manifest,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let primary = Arc::clone(self.primary());
        deliver_to(primary.as_ref(), manifest)?;
        for mirror in self.mirrors() {
            match deliver_to(mirror.as_ref(), manifest) {
                Ok(()) => {}
                Err(Error::Store(cause)) => {
                    self.note_lagging(mirror.name(), &cause, observer);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

fn deliver_to(store: &dyn Store, manifest: &mut Manifest) -> Result<(), Error> {
    while let Some((position, object)) = manifest.next_outgoing(store.name())? {
        let receipt = put_once(store, &object)?;
        manifest.delivered(position, store.name(), &object.key, &receipt_row(&receipt))?;
        if let Payload::File(path) = &object.payload
            && !manifest.is_spooled(path)?
        {
            remove_spooled(Path::new(path))?;
        }
    }
    Ok(())
}

fn put_once(store: &dyn Store, object: &Outgoing) -> Result<Receipt, Error> {
    let content = match &object.payload {
        Payload::Bytes(bytes) => Content::Bytes(bytes),
        Payload::File(path) => Content::File(Path::new(path)),
    };
    put_or_recognise(store, &object.key, content, &object.sha256)
}

/// Puts an object; one that is there already with the same bytes was put by an earlier try.
///
/// # Errors
/// If the store fails, or other bytes are there.
pub fn put_or_recognise(
    store: &dyn Store,
    key: &ObjectKey,
    content: Content<'_>,
    sha256: &Digest,
) -> Result<Receipt, Error> {
    match store.put_new(key, content, sha256) {
        Err(exists @ store::Error::Exists { .. }) => {
            let (found, _) = hash_stored(store, key)?;
            match store.stat(key)? {
                Some(stat) if found == *sha256 => {
                    Ok(Receipt { time: stat.modified, version_id: None, checksum: Some(*sha256) })
                }
                _ => Err(exists.into()),
            }
        }
        other => Ok(other?),
    }
}

/// Reads an object whole; returns the SHA-256 and the number of its bytes.
///
/// # Errors
/// If it is missing or cannot be read.
pub fn hash_stored(store: &dyn Store, key: &ObjectKey) -> Result<(Digest, u64), store::Error> {
    let mut hasher = Sha256Hasher::new();
    let copied = std::io::copy(&mut store.open(key)?, &mut hasher);
    copied.map_err(|cause| store::Error::Unavailable {
        store: store.name().to_owned(),
        action: "read",
        place: key.to_string(),
        source: cause.into(),
    })?;
    let len = hasher.len();
    Ok((hasher.finish(), len))
}

/// Returns what the manifest keeps of a receipt.
pub fn receipt_row(receipt: &Receipt) -> ReceiptRow<'_> {
    ReceiptRow {
        second: receipt.time.as_second(),
        version_id: receipt.version_id.as_deref(),
        checksum: receipt.checksum,
    }
}

fn remove_spooled(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, cause))
        }
        _ => Ok(()),
    }
}

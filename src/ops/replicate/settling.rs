//! What the host's manifest learns of objects that another way brought into a store.

use std::path::Path;
use std::sync::Mutex;

use crate::format::ObjectKey;
use crate::manifest::Manifest;
use crate::ops::Error;
use crate::store::Receipt;
use crate::vault::delivery::receipt_row;
use crate::vault::state::StateDir;

/// The manifest of this host, open while objects go over. The caller holds the lock of its state.
pub struct Settling {
    manifest: Mutex<Manifest>,
}

impl Settling {
    /// Opens the manifest of a vault's host; none, if this machine is not it.
    ///
    /// # Errors
    /// If there is one and it cannot be opened.
    pub fn open(state: &StateDir) -> Result<Option<Self>, Error> {
        if !state.exists() {
            return Ok(None);
        }
        let manifest = Manifest::open(&state.file("manifest.sqlite"), state.gate())?;
        Ok(Some(Self { manifest: Mutex::new(manifest) }))
    }

    /// Tells whether a store is one that the host writes to.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn knows(&self, store: &str) -> Result<bool, Error> {
        Ok(self.lock().knows_store(store)?)
    }

    /// Takes an object out of what waits for a store, and removes what was spooled for it alone.
    ///
    /// # Errors
    /// If the manifest or the spool cannot be written.
    pub fn settle(&self, store: &str, key: &ObjectKey, receipt: &Receipt) -> Result<(), Error> {
        let mut manifest = self.lock();
        for path in manifest.settle(store, key, &receipt_row(receipt))? {
            if manifest.is_spooled(&path)? {
                continue;
            }
            match std::fs::remove_file(Path::new(&path)) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

//! A store that waits for the packs that are read from it. Spec: `thaw.md` §4.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Need, Thaw, ThawError, Until};
use crate::base::Digest;
use crate::format::{Folder, ObjectKey};
use crate::ops;
use crate::store::{
    Content, Error, Listing, Lock, Prolonged, Receipt, Remains, Stat, Store, Terms, ThawAnswer,
    ThawTier, VersionListing,
};
use crate::vault;

/// How often a pack is read that the store calls ready, and then does not give.
const READS_MAX: u32 = 8;

/// Reads packs of a plan as they become ready; whatever is not in the plan it passes on.
pub struct WaitingStore {
    thaw: Thaw,
    need: Need,
}

impl WaitingStore {
    /// Stands before a thaw's own store.
    pub const fn new(thaw: Thaw, need: Need) -> Self {
        Self { thaw, need }
    }

    fn inner(&self) -> &dyn Store {
        self.thaw.store.as_ref()
    }

    /// Reads; where a copy has expired, asks for it again and waits (T-10).
    fn read<T>(
        &self,
        key: &ObjectKey,
        read: impl Fn(&dyn Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut place = Arc::clone(&self.thaw.store);
        for attempt in 1.. {
            let archived = match read(place.as_ref()) {
                Err(error @ Error::Archived { .. })
                    if self.need.contains(key) && attempt < READS_MAX =>
                {
                    error
                }
                other => return other,
            };
            if attempt > 1 {
                self.thaw.waiter.wait(super::INTERVAL_MIN);
            }
            match self.thaw.wait(&BTreeSet::from([*key]), Until::All) {
                Ok(_) => {}
                Err(ops::Error::Thaw(ThawError::Denied { source, .. })) => return Err(*source),
                // A pack that cannot be thawed now is archived still, and no more damaged by it.
                Err(_) => return Err(archived),
            }
            place = self.standing(key);
        }
        read(place.as_ref())
    }

    /// Returns the store that has the version of a pack in its place that was asked for (T-11).
    fn standing(&self, key: &ObjectKey) -> Arc<dyn Store> {
        let packs = self.thaw.survey(&BTreeSet::from([*key])).unwrap_or_default();
        packs.first().map_or_else(|| Arc::clone(&self.thaw.store), |pack| Arc::clone(&pack.view))
    }

    /// Makes an error of a store of what went wrong while waiting.
    fn wrap(&self, error: ops::Error) -> Error {
        match error {
            ops::Error::Vault(vault::Error::Store(error)) => error,
            ops::Error::Thaw(
                ThawError::Denied { source, .. } | ThawError::NotAsked { source, .. },
            ) => *source,
            other => {
                let (store, source) = (self.name().to_owned(), Box::new(other));
                Error::Unavailable { store, action: "thaw", place: "packs/".to_owned(), source }
            }
        }
    }
}

impl Store for WaitingStore {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn url(&self) -> &str {
        self.inner().url()
    }

    fn location(&self) -> String {
        self.inner().location()
    }

    fn prepare(&self) -> Result<(), Error> {
        self.inner().prepare()
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.inner().put_new(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.read(key, |store| store.get(key, len_max))
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.read(key, |store| store.get_range(key, offset, len))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.read(key, |store| store.open(key))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.inner().stat(key)
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.inner().list(folder)
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.inner().delete(key)
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        self.inner().staging_dir()
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.inner().clean_staging(before)
    }

    fn is_readable(&self) -> bool {
        self.inner().is_readable()
    }

    fn calls_at_once(&self) -> usize {
        self.inner().calls_at_once()
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        let views = self.inner().versions(key)?;
        // The copy of an older version expires as well.
        let waiting = |view| -> Arc<dyn Store> {
            let thaw = Thaw { store: view, ..self.thaw.clone() };
            Arc::new(Self { thaw, need: self.need.clone() })
        };
        Ok(views.into_iter().map(waiting).collect())
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.inner().list_versions(folder)
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.inner().remains(key)
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.inner().erase(key)
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.inner().prolong(key, until)
    }

    fn lock(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        self.inner().lock(key)
    }

    fn tells_locks(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.inner().tells_locks(key)
    }

    fn terms(&self) -> Terms {
        self.inner().terms()
    }

    fn seen_version(&self, key: &ObjectKey) -> Option<String> {
        self.inner().seen_version(key)
    }

    fn is_held(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.inner().is_held(key)
    }

    fn set_held(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        self.inner().set_held(key, is_held)
    }

    fn has_classes(&self) -> bool {
        self.inner().has_classes()
    }

    fn await_readable(&self, keys: &[ObjectKey]) -> Result<Vec<bool>, Error> {
        let need: Need = keys.iter().filter(|key| self.need.contains(key)).copied().collect();
        let packs = match self.thaw.wait(&need, Until::Any) {
            // Reading names the pack.
            Err(ops::Error::Thaw(ThawError::Archived { .. })) => Vec::new(),
            waited => waited.map_err(|error| self.wrap(error))?,
        };
        let cold = packs.iter().filter(|pack| pack.is_cold()).map(|pack| pack.key);
        let cold: BTreeSet<ObjectKey> = cold.collect();
        Ok(keys.iter().map(|key| !cold.contains(key)).collect())
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.inner().thaw(key, tier, days)
    }
}

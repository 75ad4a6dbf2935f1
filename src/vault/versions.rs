//! Which of several versions of an object counts: the oldest that verifies. Spec: §12.1 (I8).
//!
//! Where nothing forbids it, whoever can write to a store can put something over an object, or hide
//! it. What is signed by a key is then read in its oldest version that verifies: the same signer
//! may have signed another later. What is named by its own digest, or whose digest is signed, is
//! read as it is, and looked for among the versions only if it is not what it must be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use super::Error;
use super::delivery::hash_stored;
use crate::base::limits::VERSIONS_READ_MAX;
use crate::base::{Code, Coded, Digest, Family, PackId};
use crate::format::{Folder, ObjectKey};
use crate::store::{self, Listed, Stat, Store, Versioned};

/// Packs of which a version is remembered; the others are looked for again.
const PINNED_MAX: usize = 1000;

/// What somebody did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// How many versions of it hold bytes.
    pub version_count: u64,
    /// Whether a delete marker is over them.
    pub is_hidden: bool,
}

/// Reads the objects of a store in the version that counts, and remembers which had several.
pub struct Versions {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
    is_denied: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// Folders of which all that is rewritten is known.
    listed: BTreeSet<Folder>,
    rewritten: BTreeMap<ObjectKey, Rewritten>,
    pinned: BTreeMap<ObjectKey, Arc<dyn Store>>,
}

/// The version of a pack that is read.
pub struct Standing {
    /// The store that has it in the pack's place.
    pub view: Arc<dyn Store>,
    /// What the store says of it.
    pub stat: Stat,
    /// Whether it is one of several, and known to be the right one.
    is_right_version: bool,
}

impl Versions {
    /// Makes the reader of a store; nothing is read yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default(), is_denied: AtomicBool::new(false) }
    }

    /// Returns the same reader of another store, which stands before its own.
    #[must_use]
    pub fn through(self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self }
    }

    /// Returns what was put over an object or hides one, as far as it was met so far.
    pub fn rewritten(&self) -> BTreeMap<ObjectKey, Rewritten> {
        self.known().rewritten.clone()
    }

    /// Returns what was done to an object, as far as it was met so far.
    pub fn rewritten_of(&self, key: ObjectKey) -> Option<Rewritten> {
        self.known().rewritten.get(&key).copied()
    }

    /// Tells whether something was put over an object or hides it, as far as it was met so far.
    pub fn is_rewritten(&self, key: ObjectKey) -> bool {
        self.known().rewritten.contains_key(&key)
    }

    /// Tells whether an object may have several versions, or be hidden: where no listing told, its
    /// versions are asked for.
    pub fn may_be_rewritten(&self, key: ObjectKey) -> bool {
        let is_told = self.known().listed.contains(&key.folder());
        self.is_rewritten(key) || !is_told && !self.views(key).is_ok_and(|views| views.is_empty())
    }

    /// Tells whether the store has versions that these credentials may not list.
    pub fn is_denied(&self) -> bool {
        self.is_denied.load(Ordering::Relaxed)
    }

    /// Returns every object of a folder, with those that a delete marker hides; none, if the store
    /// keeps no versions that can be listed.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn list_all(&self, folder: Folder) -> Result<Option<BTreeSet<ObjectKey>>, Error> {
        let listing = match self.store.list_versions(folder) {
            Ok(Some(listing)) => listing,
            Ok(None) => return Ok(None),
            Err(error) => return self.denied(error).map(|()| None),
        };
        let mut keys = BTreeSet::new();
        for versioned in listing {
            let versioned = versioned?;
            self.meet(&versioned);
            if let Listed::Object(key, _) = versioned.listed {
                keys.insert(key);
            }
        }
        self.known().listed.insert(folder);
        Ok(Some(keys))
    }

    /// Returns every object of a folder, hidden or not, in the order of their names.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn list(&self, folder: Folder) -> Result<BTreeSet<ObjectKey>, Error> {
        if let Some(keys) = self.list_all(folder)? {
            return Ok(keys);
        }
        let mut keys = BTreeSet::new();
        for listed in self.store.list(folder)? {
            if let Listed::Object(key, _) = listed? {
                keys.insert(key);
            }
        }
        Ok(keys)
    }

    /// Takes note of what a listing says of a name.
    pub fn meet(&self, versioned: &Versioned) {
        let Versioned { listed, version_count, is_hidden } = versioned;
        if let Listed::Object(key, _) = listed
            && (*is_hidden || *version_count > 1)
        {
            let rewritten = Rewritten { version_count: *version_count, is_hidden: *is_hidden };
            self.known().rewritten.insert(*key, rewritten);
        }
    }

    /// Tells whether an object is there, hidden or not.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn has(&self, key: ObjectKey) -> Result<bool, Error> {
        Ok(self.store.stat(&key)?.is_some() || !self.views(key)?.is_empty())
    }

    /// Reads what a key signed: of several versions the oldest for which `read` succeeds.
    ///
    /// # Errors
    /// Why none of them is it, or that the store does not answer.
    pub fn signed<T>(
        &self,
        key: ObjectKey,
        mut read: impl FnMut(&Arc<dyn Store>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.is_rewritten(key) || !self.known().listed.contains(&key.folder()) {
            let found = first_sound(&self.views(key)?, is_silent, &mut read);
            if let Some(found) = found {
                return found;
            }
        }
        self.named(key, read)
    }

    /// Reads what is named by its digest, or whose digest is signed: what is there, and if that is
    /// not it, the oldest version for which `read` succeeds.
    ///
    /// # Errors
    /// Why what is there is not it and no version is, or that the store does not answer.
    pub fn named<T>(
        &self,
        key: ObjectKey,
        mut read: impl FnMut(&Arc<dyn Store>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Another version than one that is archived is no less the one that is named.
        let ends = |error: &Error| is_silent(error) && error.code() != Code::ObjectArchived;
        match read(&self.store) {
            Err(error) if !ends(&error) => match first_sound(&self.views(key)?, ends, &mut read) {
                Some(Ok(found)) => Ok(found),
                Some(Err(silent)) if ends(&silent) => Err(silent),
                _ => Err(error),
            },
            other => other,
        }
    }

    /// Returns the store in which a pack is read: itself, or where something was put over the pack
    /// or hides it, one that has its oldest version of the right SHA-256 in its place.
    ///
    /// What the store attests of the pack is believed here; opening it proves it.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn of_pack(&self, key: ObjectKey, id: PackId) -> Result<(Arc<dyn Store>, u64), Error> {
        if let Some(pinned) = self.known().pinned.get(&key).cloned() {
            let stat = pinned.stat(&key)?;
            return Ok((pinned, stat.map_or(0, |stat| stat.len)));
        }
        let Some(standing) = self.standing(key, id)? else {
            return Err(store::Error::Missing { store: self.store.name().to_owned(), key }.into());
        };
        if standing.is_right_version {
            let mut known = self.known();
            if known.pinned.len() >= PINNED_MAX {
                known.pinned.clear();
            }
            known.pinned.insert(key, Arc::clone(&standing.view));
        }
        Ok((standing.view, standing.stat.len))
    }

    /// Returns the version of a pack that is read, or thawed to be read, and what the store says of
    /// it; none, if there is no version at all (T-11).
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn standing(&self, key: ObjectKey, id: PackId) -> Result<Option<Standing>, Error> {
        let expected = Digest::from_bytes(*id.as_bytes());
        let seen = self.store.stat(&key)?;
        if seen.is_none_or(|stat| stat.checksum != Some(expected))
            && let Some(standing) = self.right_version(key, &expected)?
        {
            return Ok(Some(standing));
        }
        let view = Arc::clone(&self.store);
        Ok(seen.map(|stat| Standing { view, stat, is_right_version: false }))
    }

    /// Returns the oldest version of an object that has a SHA-256. Where none is known to have it,
    /// the oldest of those that cannot be read yet and of which the store tells none.
    fn right_version(&self, key: ObjectKey, expected: &Digest) -> Result<Option<Standing>, Error> {
        let mut unread = None;
        for view in self.views(key)? {
            let Some(stat) = view.stat(&key)? else { continue };
            let found = match stat.checksum {
                Some(checksum) => Ok(checksum),
                None if stat.is_cold() => Err(None),
                None => hash_stored(view.as_ref(), &key).map(|(found, _)| found).map_err(Some),
            };
            match found {
                Ok(found) if found == *expected => {
                    return Ok(Some(Standing { view, stat, is_right_version: true }));
                }
                Ok(_) => {}
                Err(error) if error.as_ref().is_none_or(|it| it.code() == Code::ObjectArchived) => {
                    unread.get_or_insert(Standing { view, stat, is_right_version: false });
                }
                Err(Some(error)) if error.code().family() == Family::Unavailable => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        Ok(unread)
    }

    /// Returns the versions of an object that are tried, the oldest first; none, if it has one at
    /// most and nothing hides it.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn views(&self, key: ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        let mut views = match self.store.versions(&key) {
            Ok(views) => views,
            Err(error) => {
                self.denied(error)?;
                return Ok(Vec::new());
            }
        };
        if !views.is_empty() {
            let version_count = views.len() as u64;
            let is_hidden = match self.store.stat(&key) {
                Ok(seen) => seen.is_none(),
                // Who prunes need not be allowed to look at what is pruned; a version that is alone
                // is a view only below a delete marker.
                Err(error) if error.code() == Code::StoreDenied => version_count == 1,
                Err(error) => return Err(error.into()),
            };
            if is_hidden || version_count > 1 {
                let rewritten = Rewritten { version_count, is_hidden };
                self.known().rewritten.entry(key).or_insert(rewritten);
            }
            views.truncate(VERSIONS_READ_MAX);
        }
        Ok(views)
    }

    /// Returns the versions of an object of which something is known, or can be asked for next to
    /// nothing: of packs and trees what a listing told, of the rest what the store knows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn known_views(&self, key: ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        let is_large = matches!(key.folder(), Folder::Packs | Folder::Trees);
        if is_large && !self.is_rewritten(key) { Ok(Vec::new()) } else { self.views(key) }
    }

    /// Returns until when any version of an object is locked.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn locked_until(&self, key: ObjectKey) -> Result<Option<Timestamp>, Error> {
        let views = self.known_views(key)?;
        if views.is_empty() {
            return Ok(self.store.lock(&key)?.map(|lock| lock.until));
        }
        // What hides an object is asked for no lock: of a delete marker a server tells none.
        let mut until = None;
        for view in views {
            until = until.max(view.lock(&key)?.map(|lock| lock.until));
        }
        Ok(until)
    }

    /// Takes note that versions may not be listed; any other error is one.
    fn denied(&self, error: store::Error) -> Result<(), Error> {
        if error.code() != Code::StoreDenied {
            return Err(error.into());
        }
        self.is_denied.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Returns what `read` made of the oldest version that it takes, or why it takes none; nothing, if
/// there is none. An error that `ends` ends the search.
fn first_sound<T>(
    views: &[Arc<dyn Store>],
    ends: impl Fn(&Error) -> bool,
    read: &mut impl FnMut(&Arc<dyn Store>) -> Result<T, Error>,
) -> Option<Result<T, Error>> {
    let mut last = None;
    for view in views {
        match read(view) {
            Err(error) if !ends(&error) => last = Some(Err(error)),
            other => return Some(other),
        }
    }
    last
}

/// Tells whether an error says nothing about the object.
fn is_silent(error: &Error) -> bool {
    error.code().family() == Family::Unavailable
}

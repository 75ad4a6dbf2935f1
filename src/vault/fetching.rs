//! Copying packs whole from a store that is far away. Spec: §12.5.
//!
//! A part of a pack costs a far store a request each, and so does asking how long the pack is. One
//! of which most is needed is read with one request, to a file that has no name, and proven by its
//! name before anything is opened.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Error;
use super::delivery::copy_to;
use super::pack_reader::{OpenPack, Source, TAIL_LEN};
use super::unlocked::Unlocked;
use super::writer::pack_key;
use crate::base::{GenerationId, PackId, Profile};
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::store::Store;

/// Decides which packs of a snapshot are copied, and copies them.
pub struct Fetching {
    /// Where the copies are.
    scratch: PathBuf,
    /// The stored lengths of the snapshot's packs; none are known of a store that is near.
    lens: BTreeMap<ObjectKey, u64>,
}

impl Fetching {
    /// Reads the list of a snapshot, if its store is far away: the length of every pack with one
    /// request. A list that cannot be read costs requests and nothing else.
    pub fn new(unlocked: &Unlocked, note: &SnapshotNote, scratch: &Path) -> Self {
        let auditor = unlocked.auditor();
        let list = match auditor.store().calls_at_once() {
            0 | 1 => Vec::new(),
            _ => auditor.list(note).unwrap_or_default(),
        };
        let lens = list.into_iter().map(|entry| (entry.key, entry.stored_len)).collect();
        Self { scratch: scratch.to_owned(), lens }
    }

    /// Opens a pack of which so many raw bytes are needed, as [`Unlocked::pack`] does.
    ///
    /// # Errors
    /// If it is missing, not authentic or of another owner.
    pub fn pack<'a>(
        &self,
        unlocked: &'a Unlocked,
        generation: GenerationId,
        profile: Profile,
        id: PackId,
        need: u64,
    ) -> Result<OpenPack<'a>, Error> {
        let key = pack_key(profile, id);
        let is_mostly_needed =
            |len: &u64| *len <= TAIL_LEN || need / usual_ratio(profile) >= len / 2;
        if self.lens.get(&key).is_some_and(is_mostly_needed) {
            match self.copied(unlocked, generation, profile, id) {
                // Where there is no room for a copy, the pack is read by its parts.
                Err(Error::State { .. }) => {}
                copied => return copied,
            }
        }
        unlocked.pack(generation, profile, id)
    }

    fn copied<'a>(
        &self,
        unlocked: &'a Unlocked,
        generation: GenerationId,
        profile: Profile,
        id: PackId,
    ) -> Result<OpenPack<'a>, Error> {
        let key = pack_key(profile, id);
        let (file, len) = unlocked.auditor().versions().named(key, |view| {
            match self.copy(view.as_ref(), key, id) {
                // What a network altered is as it was when it is read again.
                Err(Error::Altered { .. }) => self.copy(view.as_ref(), key, id),
                copied => copied,
            }
        })?;
        unlocked.pack_in(Source::Copied(file), len, generation, profile, id)
    }

    /// Copies a pack, and returns the copy if it is the one that its name says, and its length.
    fn copy(&self, store: &dyn Store, key: ObjectKey, id: PackId) -> Result<(File, u64), Error> {
        let file = tempfile::tempfile_in(&self.scratch)
            .map_err(|cause| Error::state("write", &self.scratch, cause))?;
        let (found, len) = copy_to(store, &key, &file, &self.scratch)?;
        if found.as_bytes() == id.as_bytes() {
            return Ok((file, len));
        }
        Err(Error::Altered { key, found: found.to_string(), expected: id.to_string() })
    }
}

/// Returns how many times longer than stored the content of a pack usually is.
const fn usual_ratio(profile: Profile) -> u64 {
    match profile {
        Profile::Stream | Profile::Meta => 3,
        Profile::File => 1,
    }
}

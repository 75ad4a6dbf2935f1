//! Whether there is room for a second copy, asked before anything is stopped. Spec: `apply.md` §1.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ApplyError;
use crate::ops::Error;

/// Bytes that stay free on every disk.
const MARGIN_LEN: u64 = 64 << 20;
/// A loaded database has indexes and free space beside its rows.
const DATABASE_FACTOR: u64 = 2;
/// What a file or directory takes beside its bytes.
const ENTRY_LEN: u64 = 4096;

/// Sums what is needed by disk.
#[derive(Default)]
pub struct Room {
    needed: BTreeMap<u64, (PathBuf, u64)>,
}

impl Room {
    /// Needs room for a dump.
    ///
    /// # Errors
    /// If the place cannot be looked at.
    pub fn dump(&mut self, place: &Path, len: u64) -> Result<(), Error> {
        self.add(place, len)
    }

    /// Needs room for the database that a dump makes.
    ///
    /// # Errors
    /// As [`dump`](Self::dump).
    pub fn database(&mut self, place: &Path, dump_len: u64) -> Result<(), Error> {
        self.add(place, dump_len.saturating_mul(DATABASE_FACTOR))
    }

    /// Needs room for a tree.
    ///
    /// # Errors
    /// As [`dump`](Self::dump).
    pub fn tree(&mut self, place: &Path, len: u64, entry_count: u64) -> Result<(), Error> {
        self.add(place, len.saturating_add(entry_count.saturating_mul(ENTRY_LEN)))
    }

    /// Refuses if a disk has less.
    ///
    /// # Errors
    /// Which disk, and both numbers.
    pub fn check(&self) -> Result<(), Error> {
        for (path, needed) in self.needed.values() {
            let disk = rustix::fs::statvfs(path)
                .map_err(|errno| Error::file("look at the disk of", path, errno.into()))?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let needed = needed.saturating_add(MARGIN_LEN);
            if free < needed {
                return Err(ApplyError::Room { path: path.clone(), needed, free }.into());
            }
        }
        Ok(())
    }

    fn add(&mut self, place: &Path, len: u64) -> Result<(), Error> {
        let metadata = std::fs::metadata(place);
        let device = metadata.map_err(|cause| Error::file("look at", place, cause))?.dev();
        let entry = self.needed.entry(device).or_insert_with(|| (place.to_owned(), 0));
        entry.1 = entry.1.saturating_add(len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    ///
    #[test]
    fn what_is_needed_on_one_disk_is_added_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut room = Room::default();
        room.dump(dir.path(), 1).unwrap();
        room.check().unwrap();
        let half = u64::MAX / 2;
        room.database(dir.path(), half / 2).unwrap();
        room.tree(dir.path(), half, 1).unwrap();
        let error = room.check().unwrap_err();
        assert_eq!(error.code(), Code::RoomMissing);
        assert!(error.to_string().contains("are free"));
    }
}

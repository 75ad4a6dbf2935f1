//! The uploads of the volume: aside, in, and back, entry by entry. Spec: `apply.md` §1.
//!
//! A volume's root is a mount point and cannot be renamed, so its entries are.

use std::fs::{self, DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use walkdir::WalkDir;

use super::journal::UploadsPlaces;
use crate::base::{Gate, Step};
use crate::ops::Error;
use crate::store::STAGING_PREFIX;
use crate::vault::directories::sync_dir;

/// Where a restore puts the uploads below its target.
const RESTORED: &str = "uploads";

/// Numbers of a user and a group.
type Owner = (u32, u32);

/// A volume whose contents are exchanged.
pub struct VolumeSwap<'a> {
    places: &'a UploadsPlaces,
    gate: Arc<dyn Gate>,
}

impl<'a> VolumeSwap<'a> {
    /// Takes the places from a journal.
    pub fn new(places: &'a UploadsPlaces, gate: Arc<dyn Gate>) -> Self {
        Self { places, gate }
    }

    /// Returns the directory to restore into.
    pub fn staged(&self) -> PathBuf {
        self.places.beside.join(&self.places.staged)
    }

    /// Returns the directory that is to become the volume's contents.
    pub fn restored(&self) -> PathBuf {
        self.staged().join(RESTORED)
    }

    /// Returns the directory with what was there before.
    pub fn previous(&self) -> PathBuf {
        self.places.beside.join(&self.places.previous)
    }

    /// Gives what was restored to the volume's owner, where the snapshot's has another number.
    ///
    /// The numbers are the image's, and a newer image may have others: what the api does not own
    /// it cannot write. Returns both numbers if they differed.
    ///
    /// # Errors
    /// If an owner cannot be set.
    pub fn adopt_owner(&self) -> Result<Option<[Owner; 2]>, Error> {
        let (uid, gid, _) = self.places.root_was;
        let restored = self.restored();
        let metadata = fs::symlink_metadata(&restored);
        let metadata = metadata.map_err(|cause| Error::file("read", &restored, cause))?;
        let (from, to) = ((metadata.uid(), metadata.gid()), (uid, gid));
        // Root owns a volume that no container has filled yet.
        if from == to || uid == 0 {
            return Ok(None);
        }
        for entry in WalkDir::new(&restored).follow_links(false) {
            let entry = entry.map_err(|e| Error::file("read", &restored, e.into()))?;
            let owner =
                entry.metadata().map_err(|e| Error::file("read", entry.path(), e.into()))?;
            let new = |had: u32, was: u32, is: u32| (had == was).then_some(is);
            let uid = new(owner.uid(), from.0, to.0).map(Uid::from_raw);
            let gid = new(owner.gid(), from.1, to.1).map(Gid::from_raw);
            rustix::fs::chownat(rustix::fs::CWD, entry.path(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| Error::file("give", entry.path(), errno.into()))?;
        }
        Ok(Some([from, to]))
    }

    /// Makes everything that was staged last: owners that were given, files that were erased.
    ///
    /// # Errors
    /// If the disk does not.
    pub fn sync(&self) -> Result<(), Error> {
        let restored = self.restored();
        let synced = File::open(&restored).and_then(|dir| Ok(rustix::fs::syncfs(&dir)?));
        synced.map_err(|cause| Error::file("sync", restored, cause))
    }

    /// Moves what is in the volume aside.
    ///
    /// # Errors
    /// If an entry cannot be moved.
    pub fn out(&self) -> Result<(), Error> {
        self.move_all(&self.places.root, &self.previous())
    }

    /// Moves what was staged in, and makes the root like the snapshot's.
    ///
    /// # Errors
    /// If an entry cannot be moved.
    pub fn move_in(&self) -> Result<(), Error> {
        let restored = self.restored();
        let wrap = |cause| Error::file("read", &restored, cause);
        let metadata = fs::symlink_metadata(&restored).map_err(wrap)?;
        self.move_all(&restored, &self.places.root)?;
        let mode = metadata.mode() & 0o7777;
        self.set_root((metadata.uid(), metadata.gid(), mode), metadata.modified().ok())
    }

    /// Moves what is in the volume back to where it was staged.
    ///
    /// # Errors
    /// If an entry cannot be moved.
    pub fn back_out(&self) -> Result<(), Error> {
        self.move_all(&self.places.root, &self.restored())?;
        self.set_root(self.places.root_was, None)
    }

    /// Moves what was there before in again.
    ///
    /// # Errors
    /// If an entry cannot be moved.
    pub fn back_in(&self) -> Result<(), Error> {
        if fs::symlink_metadata(self.previous()).is_err() {
            return Ok(());
        }
        self.move_all(&self.previous(), &self.places.root)
    }

    /// Moves every entry of a directory into another of the same volume; ours stay.
    fn move_all(&self, from: &Path, to: &Path) -> Result<(), Error> {
        if fs::symlink_metadata(to).is_err() {
            let make = || DirBuilder::new().recursive(true).mode(0o700).create(to);
            let made = self.gate.pass(Step::MakeDirectory(to), make);
            made.map_err(|cause| Error::file("create", to, cause))?;
        }
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::open(path, flags, Mode::empty());
            opened.map_err(|errno| Error::file("open", path, errno.into()))
        };
        let (from_dir, to_dir) = (open(from)?, open(to)?);
        let wrap = |cause| Error::file("read", from, cause);
        for entry in fs::read_dir(from).map_err(wrap)? {
            let name = entry.map_err(wrap)?.file_name();
            if name.as_bytes().starts_with(STAGING_PREFIX.as_bytes()) {
                continue;
            }
            let place = to.join(&name);
            let flags = RenameFlags::NOREPLACE;
            let rename = || {
                rustix::fs::renameat_with(&from_dir, &name, &to_dir, &name, flags)
                    .map_err(io::Error::from)
            };
            let moved = self.gate.pass(Step::Rename(&place), rename);
            moved.map_err(|cause| Error::file("move to", &place, cause))?;
        }
        for dir in [from, to] {
            sync_dir(dir, &self.gate).map_err(|cause| Error::file("sync", dir, cause))?;
        }
        Ok(())
    }

    fn set_root(
        &self,
        (uid, gid, mode): (u32, u32, u32),
        modified: Option<std::time::SystemTime>,
    ) -> Result<(), Error> {
        let root = &self.places.root;
        let set = || {
            let dir = File::open(root)?;
            rustix::fs::fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?;
            if let Some(modified) = modified {
                dir.set_times(FileTimes::new().set_modified(modified))?;
            }
            dir.sync_all()
        };
        let done = self.gate.pass(Step::SyncDirectory(root), set);
        done.map_err(|cause| Error::file("set owner and mode of", root, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OpenGate;

    fn volume() -> (tempfile::TempDir, UploadsPlaces) {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().to_owned();
        let metadata = fs::metadata(&root).unwrap();
        let root_was = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
        let (staged, previous) = (".idswyft-vault-s".to_owned(), ".idswyft-vault-p".to_owned());
        let beside = root.clone();
        fs::create_dir(root.join("documents")).unwrap();
        fs::write(root.join("documents/old"), "old").unwrap();
        fs::write(root.join(".hidden"), "old").unwrap();
        fs::create_dir_all(root.join(&staged).join("uploads/documents")).unwrap();
        fs::write(root.join(&staged).join("uploads/documents/new"), "new").unwrap();
        std::os::unix::fs::symlink("/", root.join(&staged).join("uploads/link")).unwrap();
        (scratch, UploadsPlaces { root, beside, staged, previous, root_was })
    }

    fn names(root: &Path) -> Vec<String> {
        let walk = WalkDir::new(root).sort_by_file_name().min_depth(1);
        let paths = walk.into_iter().map(|entry| entry.unwrap().path().to_owned());
        let names = paths.map(|path| path.strip_prefix(root).unwrap().display().to_string());
        names.filter(|name| !name.starts_with(".idswyft-vault-")).collect()
    }

    ///
    #[test]
    fn a_volume_is_exchanged_and_changed_back_from_wherever_it_stopped() {
        let (_scratch, places) = volume();
        let swap = VolumeSwap::new(&places, OpenGate::shared());
        let before = names(&places.root);
        swap.out().unwrap();
        assert_eq!(names(&places.root), [""; 0]);
        // As if the first time had stopped half-way.
        fs::rename(swap.previous().join(".hidden"), places.root.join(".hidden")).unwrap();
        swap.out().unwrap();
        swap.move_in().unwrap();
        swap.move_in().unwrap();
        assert_eq!(names(&places.root), ["documents", "documents/new", "link"]);
        swap.back_out().unwrap();
        swap.back_in().unwrap();
        swap.back_in().unwrap();
        assert_eq!(names(&places.root), before);
        assert!(swap.restored().join("documents/new").exists());
    }

    ///
    #[test]
    fn what_is_in_the_way_is_never_replaced() {
        let (_scratch, places) = volume();
        let swap = VolumeSwap::new(&places, OpenGate::shared());
        assert!(swap.move_in().is_err(), "the old documents are still there");
        assert_eq!(fs::read_to_string(places.root.join("documents/old")).unwrap(), "old");
    }

    ///
    #[test]
    fn files_go_to_the_owner_that_the_image_has_now() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_scratch, mut places) = volume();
        places.root_was = (4242, 4243, 0o755);
        let swap = VolumeSwap::new(&places, OpenGate::shared());
        let owned = swap.restored().join("documents/new");
        let other = swap.restored().join("other");
        fs::write(&other, "").unwrap();
        std::os::unix::fs::chown(&other, Some(7), Some(7)).unwrap();
        assert_eq!(swap.adopt_owner().unwrap(), Some([(0, 0), (4242, 4243)]));
        let owner = |path: &Path| {
            let metadata = fs::symlink_metadata(path).unwrap();
            (metadata.uid(), metadata.gid())
        };
        assert_eq!(owner(&owned), (4242, 4243));
        assert_eq!(owner(&swap.restored().join("link")), (4242, 4243));
        assert_eq!(owner(&other), (7, 7));
        assert_eq!(owner(Path::new("/")), (0, 0), "links are not followed");
    }
}

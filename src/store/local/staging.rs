//! Unfinished files of a local store: made, taken over, cleaned up.

use std::ffi::{CStr, CString};
use std::fs::{File, TryLockError};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::LocalStore;
use super::directory::{Directory, Found};
use crate::base::Digest;
use crate::base::entropy::process_tag;
use crate::store::{Error, STAGING_PREFIX, Stat};

/// Where a store's unfinished files are, in its root.
const STAGING_DIRECTORY: &str = ".idswyft-vault-staging";

/// Makes the names of staged files differ within this process.
static STAGED_COUNT: AtomicU64 = AtomicU64::new(0);

/// A finished file in the staging directory.
pub(super) struct Staged<'a> {
    directory: &'a Directory,
    name: String,
    owner: Owner,
    checksum: Option<Digest>,
    /// Locked as long as it is being stored, so that no other run takes it for a leftover.
    live: Option<File>,
}

/// Who removes a staged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The store wrote it and removes it.
    Store,
    /// The caller wrote it, and may need it for another store.
    Caller,
}

impl<'a> Staged<'a> {
    /// Writes a file of the store's own, and makes it durable.
    ///
    /// `fill` writes the content and returns its digest. On failure the file is gone again.
    pub(super) fn write(
        directory: &'a Directory,
        fill: impl FnOnce(&mut File) -> io::Result<Digest>,
    ) -> io::Result<Self> {
        let (mut file, name) = create(directory, &STAGED_COUNT)?;
        // A file system without locks has no protection from a sweep, and no less than before.
        let _ = file.try_lock();
        let mut staged = Self { directory, name, owner: Owner::Store, checksum: None, live: None };
        staged.checksum = Some(fill(&mut file)?);
        directory.settle_file(&file, &staged.name)?;
        staged.live = Some(file);
        Ok(staged)
    }

    /// Takes the caller's file, which is durable already, without reading it.
    pub(super) fn adopt(directory: &'a Directory, name: &str) -> Self {
        Self { directory, name: name.to_owned(), owner: Owner::Caller, checksum: None, live: None }
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the digest that the store computed while it wrote the file.
    pub(super) fn checksum(&self) -> Option<Digest> {
        self.checksum
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn directory(&self) -> &'a Directory {
        self.directory
    }

    /// Gives the file its name in `target` as well, unless that is taken.
    pub(super) fn link(&self, target: &Directory, name: &str) -> io::Result<()> {
        self.directory.link(&self.name, target, name)
    }

    /// Moves the store's own file to its name in `target`, unless that is taken.
    pub(super) fn rename(&mut self, target: &Directory, name: &str) -> io::Result<()> {
        self.directory.rename(&self.name, target, name)?;
        // The staged name is gone: nothing is left to remove.
        self.owner = Owner::Caller;
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if self.owner == Owner::Store {
            // If this fails, a later `clean_staging` removes the file.
            let _ = self.directory.remove(self.name.as_str());
        }
    }
}

impl LocalStore {
    /// Makes the staging directory, by which `put_new` knows the store's place again.
    pub(super) fn make_staging(&self) -> Result<(), Error> {
        let root = self.open_root()?;
        let made = match root.child(STAGING_DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                root.make_child(STAGING_DIRECTORY).and_then(|()| root.sync())
            }
            found => found.map(drop),
        };
        made.map_err(|error| self.failed("make", &root.path().join(STAGING_DIRECTORY), error))
    }

    /// Opens the staging directory. A root without one is not the store's place: where its disk
    /// is not mounted there still is the empty directory that it is mounted on (C13).
    pub(super) fn open_staging(&self) -> Result<Directory, Error> {
        let root = self.open_root()?;
        let path = root.path().join(STAGING_DIRECTORY);
        root.child(STAGING_DIRECTORY).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::PlaceMissing { store: self.name.clone(), place: path.display().to_string() }
            }
            _ => self.failed("open", &path, error),
        })
    }

    /// Removes staged files last written before a time that no process is storing, and nothing
    /// else.
    pub(super) fn remove_staged(&self, before: Timestamp) -> Result<u64, Error> {
        let staging = self.open_staging()?;
        let mut count = 0;
        for name in self.staged(&staging, |stat| stat.modified.is_some_and(|at| at < before))? {
            match staging.remove(name.as_c_str()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => {
                    removed.map_err(|error| self.failed("clean", staging.path(), error))?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Returns the staged files that no process is storing now, of those that are meant.
    pub(super) fn staged(
        &self,
        staging: &Directory,
        is_meant: impl Fn(&Stat) -> bool,
    ) -> Result<Vec<CString>, Error> {
        let failed = |error: io::Error| self.failed("list", staging.path(), error);
        let mut staged = Vec::new();
        for entry in staging.names().map_err(failed)? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            let name = entry.file_name();
            if !name.to_bytes().starts_with(STAGING_PREFIX.as_bytes()) {
                continue;
            }
            match staging.look(name) {
                Ok(Found::File(stat)) if is_meant(&stat) && !is_live(staging, name) => {
                    staged.push(name.to_owned());
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(staged)
    }
}

/// Tells whether a process is storing a staged file now: a janitor, say, beside a snapshot.
pub(super) fn is_live(staging: &Directory, name: &CStr) -> bool {
    let open = name.to_str().ok().and_then(|name| staging.open_file(name).ok());
    open.is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Creates a staging file under a name that nobody has.
pub(super) fn create(directory: &Directory, counter: &AtomicU64) -> io::Result<(File, String)> {
    let process = process_tag();
    loop {
        let count = counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STAGING_PREFIX}{process}-{count}");
        match directory.create_file(&name) {
            // Whoever has it, it is not ours.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, name)),
        }
    }
}

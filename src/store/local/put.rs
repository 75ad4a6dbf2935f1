//! How an object gets into a local store: staged, synced, named, its directory synced (I5).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::directory::{Directory, is_unsupported};
use super::staging::{Owner, Staged};
use super::{LocalStore, split};
use crate::base::Digest;
use crate::format::ObjectKey;
use crate::store::{Content, Error, Receipt, STAGING_PREFIX, digest_of};

/// Bytes that are copied and hashed at once.
const COPY_LEN: usize = 256 * 1024;

impl LocalStore {
    /// Stores a new object.
    pub(super) fn publish(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        let full_name = key.to_string();
        let (parts, name) = split(&full_name);
        let staging = self.open_staging()?;
        let target = self.make_directories(&parts)?;
        // A taken name is found again by `link`; this spares writing the bytes first.
        if self.is_taken(&target, name)? {
            return Err(self.exists(key, &target));
        }
        let staged = self.stage(&staging, key, content, digest)?;
        let checksum = self.name_staged(staged, key, digest, &target)?;
        target.sync().map_err(|error| self.failed("sync", target.path(), error))?;
        let stat = self.look(key, &target)?.ok_or_else(|| self.missing(key))?;
        let time = stat.modified.unwrap_or_default();
        Ok(Receipt { time, version_id: None, checksum })
    }

    /// Moves what has an object's name to a free one beside it that readers pass over.
    pub(super) fn move_aside(&self, key: &ObjectKey) -> Result<Option<String>, Error> {
        let full_name = key.to_string();
        let (_, name) = split(&full_name);
        let Some(directory) = self.open_directory(key)? else { return Ok(None) };
        for number in 1..u32::MAX {
            let aside = format!("{STAGING_PREFIX}aside-{number}-{name}");
            match directory.rename(name, &directory, &aside) {
                Ok(()) => {
                    directory
                        .sync()
                        .map_err(|error| self.failed("sync", directory.path(), error))?;
                    return Ok(Some(directory.path().join(aside).display().to_string()));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(self.failed("set aside", &directory.path().join(name), error));
                }
            }
        }
        Ok(None)
    }

    /// Gives the staged file the object's name, unless that is taken.
    fn name_staged(
        &self,
        mut staged: Staged<'_>,
        key: &ObjectKey,
        digest: &Digest,
        target: &Directory,
    ) -> Result<Option<Digest>, Error> {
        let full_name = key.to_string();
        let (_, name) = split(&full_name);
        let linked = match self.linkless.load(Ordering::Relaxed) {
            true => Err(Errno::OPNOTSUPP.into()),
            false => staged.link(target, name),
        };
        let error = match linked {
            Ok(()) => return Ok(staged.checksum()),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Err(self.exists(key, target));
        }
        if !is_unsupported(&error) {
            return Err(self.failed("link", &target.path().join(name), error));
        }
        self.linkless.store(true, Ordering::Relaxed);
        // A rename takes the file away, and the caller's must stay (C14).
        if staged.owner() == Owner::Caller {
            let path = staged.directory().path().join(staged.name());
            staged = self.copy(staged.directory(), key, &path, digest)?;
        }
        match staged.rename(target, name) {
            Ok(()) => Ok(staged.checksum()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(self.exists(key, target))
            }
            Err(error) if is_unsupported(&error) => Err(Error::NoExclusiveCreate {
                store: self.name.clone(),
                key: *key,
                place: target.path().display().to_string(),
                source: error.into(),
            }),
            Err(error) => Err(self.failed("rename", &target.path().join(name), error)),
        }
    }

    /// Brings the content into the staging directory, durably.
    fn stage<'a>(
        &self,
        staging: &'a Directory,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Staged<'a>, Error> {
        match content {
            Content::Bytes(bytes) => {
                let actual = digest_of(bytes);
                self.check(key, digest, actual)?;
                Staged::write(staging, |file| file.write_all(bytes).map(|()| actual))
                    .map_err(|error| self.failed("write", staging.path(), error))
            }
            Content::File(path) if path.parent() == Some(staging.path()) => {
                self.adopt(staging, key, path)
            }
            Content::File(path) => self.copy(staging, key, path, digest),
        }
    }

    /// Takes the caller's staged file as it is, at the caller's word for its bytes (C3).
    fn adopt<'a>(
        &self,
        staging: &'a Directory,
        key: &ObjectKey,
        path: &Path,
    ) -> Result<Staged<'a>, Error> {
        let unreadable = |error| self.content_unreadable(key, path, error);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unreadable(io::ErrorKind::InvalidFilename.into()))?;
        let file = staging.open_file(name).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(io::ErrorKind::InvalidInput.into()));
        }
        let settled = staging.settle_file(&file, name);
        settled.map_err(|error| self.failed("sync", path, error))?;
        Ok(Staged::adopt(staging, name))
    }

    /// Copies a file into the staging directory, and checks its digest on the way.
    fn copy<'a>(
        &self,
        staging: &'a Directory,
        key: &ObjectKey,
        path: &Path,
        digest: &Digest,
    ) -> Result<Staged<'a>, Error> {
        let mut source =
            open_content(path).map_err(|error| self.content_unreadable(key, path, error))?;
        // Told apart here, because one of them is the store's fault and the other is not.
        let mut read_failed = None;
        let staged = Staged::write(staging, |file| {
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; COPY_LEN];
            loop {
                let len = match source.read(&mut buffer) {
                    Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
                    Ok(len) => len,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        read_failed = Some(error);
                        return Err(io::ErrorKind::Other.into());
                    }
                };
                hasher.update(&buffer[..len]);
                file.write_all(&buffer[..len])?;
            }
        });
        if let Some(error) = read_failed {
            return Err(self.content_unreadable(key, path, error));
        }
        let staged = staged.map_err(|error| self.failed("write", staging.path(), error))?;
        if let Some(actual) = staged.checksum() {
            self.check(key, digest, actual)?;
        }
        Ok(staged)
    }

    /// Opens the directory of an object to be put, made and durable up to the root (C4).
    fn make_directories(&self, parts: &[&str]) -> Result<Directory, Error> {
        let mut directory = self.open_root()?;
        let mut place = String::new();
        for part in parts {
            place = format!("{place}/{part}");
            directory = self.make_directory(directory, part, &place)?;
        }
        Ok(directory)
    }

    fn make_directory(
        &self,
        parent: Directory,
        part: &str,
        place: &str,
    ) -> Result<Directory, Error> {
        let failed = |action, error| self.failed(action, &parent.path().join(part), error);
        let (child, made) = match parent.child(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                parent.make_child(part).map_err(|error| failed("make", error))?;
                (parent.child(part).map_err(|error| failed("open", error))?, true)
            }
            child => (child.map_err(|error| failed("open", error))?, false),
        };
        // One that was found may be a minute old, by another run that lost power since.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if made || !durable.contains(place) {
            parent.sync().map_err(|error| self.failed("sync", parent.path(), error))?;
            durable.insert(place.to_owned());
        }
        Ok(child)
    }

    pub(super) fn make_root(&self) -> Result<(), Error> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for ancestor in self.root.ancestors() {
            match Directory::open(ancestor, &self.gate) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(ancestor.to_owned());
                }
                Err(error) => return Err(self.failed("open", ancestor, error)),
            }
        }
        while let Some(path) = missing.pop() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { break };
            let made = Directory::open(parent, &self.gate).and_then(|parent| {
                parent.make_child(name)?;
                parent.sync()
            });
            made.map_err(|error| self.failed("make", &path, error))?;
        }
        Ok(())
    }

    fn is_taken(&self, target: &Directory, name: &str) -> Result<bool, Error> {
        match target.look(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("look at", &target.path().join(name), error)),
        }
    }

    /// Says that the key is taken, once that is as durable as if it had just been put (C4).
    fn exists(&self, key: &ObjectKey, target: &Directory) -> Error {
        match target.sync() {
            Ok(()) => Error::Exists { store: self.name.clone(), key: *key },
            Err(error) => self.failed("sync", target.path(), error),
        }
    }

    fn check(&self, key: &ObjectKey, expected: &Digest, actual: Digest) -> Result<(), Error> {
        if actual == *expected {
            return Ok(());
        }
        Err(Error::DigestMismatch {
            store: self.name.clone(),
            key: *key,
            expected: Box::new(*expected),
            actual: Box::new(actual),
        })
    }

    fn content_unreadable(&self, key: &ObjectKey, path: &Path, error: io::Error) -> Error {
        Error::ContentUnreadable {
            store: self.name.clone(),
            key: *key,
            path: path.to_owned(),
            source: error.into(),
        }
    }
}

/// Opens the caller's file, which must be a plain one.
fn open_content(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits())
        .expect("the system's open flags fit its own type for them");
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    Ok(file)
}

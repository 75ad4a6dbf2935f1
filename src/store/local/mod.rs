//! A store in a directory: `file://`. Spec: §16; invariant I5.
//!
//! An object is written to a staging file, synced, given its name by `link`, which never
//! overwrites, and its directory is synced. A directory made on the way is synced into its parent
//! first. Staging files lie in one directory of the store's root, so that what a crash leaves is
//! found without a walk; `prepare` makes it, and nothing is written to a root without it.
//! Directories are walked one name at a time and no link is followed, so a link planted in the
//! store leads nowhere; only the path of the root itself may hold links.
//!
//! None of this binds root, or whoever owns the directory: only another machine does.

mod directory;
mod listing;
mod put;
mod remains;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use self::directory::{Directory, Found};
use self::listing::Names;
use super::{Content, Error, Listing, Receipt, Remains, Stat, Store};
use crate::base::{Digest, Gate, OpenGate};
use crate::format::{Folder, ObjectKey};

/// Holds objects as files of a directory.
pub struct LocalStore {
    name: String,
    url: String,
    root: PathBuf,
    // Directories, as their names from the root, that this run knows to be durable.
    durable: Mutex<HashSet<String>>,
    // Whether the file system turned out to have no hard links.
    linkless: AtomicBool,
    gate: Arc<dyn Gate>,
}

impl LocalStore {
    /// Names the store in a directory; nothing is read or written yet.
    pub fn new(name: &str, url: &str, root: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            root,
            durable: Mutex::default(),
            linkless: AtomicBool::new(false),
            gate: OpenGate::shared(),
        }
    }

    /// Lets every change of the directory pass a gate.
    pub fn gated(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate, ..self }
    }

    fn open_root(&self) -> Result<Directory, Error> {
        Directory::open(&self.root, &self.gate).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::PlaceMissing {
                store: self.name.clone(),
                place: self.root.display().to_string(),
            },
            _ => self.failed("open", &self.root, error),
        })
    }

    /// Opens the directory of an object; nothing if there is none yet.
    fn open_directory(&self, key: &ObjectKey) -> Result<Option<Directory>, Error> {
        let mut directory = self.open_root()?;
        let name = key.to_string();
        for part in split(&name).0 {
            directory = match directory.child(part) {
                Ok(child) => child,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    return Err(self.not_an_object(key, "link or file instead of a directory"));
                }
                Err(error) => return Err(self.failed("open", &directory.path().join(part), error)),
            };
        }
        Ok(Some(directory))
    }

    /// Looks at an object in its directory.
    fn look(&self, key: &ObjectKey, directory: &Directory) -> Result<Option<Stat>, Error> {
        let name = key.to_string();
        let name = split(&name).1;
        match directory.look(name) {
            Ok(Found::File(stat)) => Ok(Some(stat)),
            Ok(Found::Directory) => Err(self.not_an_object(key, "directory")),
            Ok(Found::Other(found)) => Err(self.not_an_object(key, found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("look at", &directory.path().join(name), error)),
        }
    }

    /// Opens an object for reading, and returns its length too.
    fn open_object(&self, key: &ObjectKey) -> Result<(File, u64), Error> {
        let directory = self.open_directory(key)?.ok_or_else(|| self.missing(key))?;
        // Looked at first: to open a pipe or a device could already do something.
        self.look(key, &directory)?.ok_or_else(|| self.missing(key))?;
        let name = key.to_string();
        let opened = directory.open_file(split(&name).1).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match opened {
            Ok((file, metadata)) if metadata.is_file() => Ok((file, metadata.len())),
            Ok(_) => Err(self.not_an_object(key, "changing name")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.missing(key)),
            Err(error) => Err(self.unreadable(key, error)),
        }
    }

    fn missing(&self, key: &ObjectKey) -> Error {
        Error::Missing { store: self.name.clone(), key: *key }
    }

    fn not_an_object(&self, key: &ObjectKey, found: &'static str) -> Error {
        Error::NotAnObject { store: self.name.clone(), key: *key, found }
    }

    fn unreadable(&self, key: &ObjectKey, error: io::Error) -> Error {
        self.failed("read", &self.root.join(key.to_string()), error)
    }

    fn failed(&self, action: &'static str, path: &Path, error: io::Error) -> Error {
        let (store, place) = (self.name.clone(), path.display().to_string());
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let source = error.into();
        match full {
            true => Error::Full { store, action, place, source },
            false => Error::Unavailable { store, action, place, source },
        }
    }
}

impl Store for LocalStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn has_classes(&self) -> bool {
        false
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn prepare(&self) -> Result<(), Error> {
        self.make_root()?;
        self.make_staging()
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.publish(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        let (file, len) = self.open_object(key)?;
        let exceeded =
            |len| Error::LimitExceeded { store: self.name.clone(), key: *key, len, max: len_max };
        if len > len_max {
            return Err(exceeded(len));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        // Whoever wrote the file may still be adding to it.
        let mut limited = file.take(len_max.saturating_add(1));
        limited.read_to_end(&mut bytes).map_err(|error| self.unreadable(key, error))?;
        let len = bytes.len() as u64;
        if len > len_max { Err(exceeded(len)) } else { Ok(bytes) }
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let (file, file_len) = self.open_object(key)?;
        let need = offset.saturating_add(len as u64);
        let truncated =
            || Error::Truncated { store: self.name.clone(), key: *key, len: file_len, need };
        // Checked before the buffer is made: a damaged directory may ask for any length.
        if need > file_len {
            return Err(truncated());
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => truncated(),
            _ => self.unreadable(key, error),
        })?;
        Ok(bytes)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(self.open_object(key)?.0))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        match self.open_directory(key)? {
            Some(directory) => self.look(key, &directory),
            None => Ok(None),
        }
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let path = self.root.join(folder.name());
        let directory = match self.open_root()?.child(folder.name()) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Box::new(std::iter::empty()));
            }
            Err(error) => return Err(self.failed("list", &path, error)),
        };
        let names =
            Names::begin(folder, directory).map_err(|error| self.failed("list", &path, error))?;
        Ok(Box::new(names.map(|item| {
            item.map_err(|(place, error)| self.failed("list", &self.root.join(place), error))
        })))
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        let directory = self.open_directory(key)?.ok_or_else(|| self.missing(key))?;
        let name = key.to_string();
        directory.remove(split(&name).1).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(key),
            io::ErrorKind::IsADirectory => self.not_an_object(key, "directory"),
            _ => self.failed("delete", &self.root.join(&name), error),
        })?;
        directory.sync().map_err(|error| self.failed("sync", directory.path(), error))
    }

    fn set_aside(&self, key: &ObjectKey) -> Result<Option<String>, Error> {
        self.move_aside(key)
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.left_of(key)
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.erase_all(key)
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        // The cause is told by the `put_new` that needs the directory, if it still fails then.
        self.open_staging().ok().map(|directory| directory.path().to_owned())
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.remove_staged(before)
    }
}

/// Splits an object's full name into the directories on the way and the name in the last one.
fn split(name: &str) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = name.split('/').collect();
    let last = parts.pop().expect("splitting a string gives at least one part");
    (parts, last)
}

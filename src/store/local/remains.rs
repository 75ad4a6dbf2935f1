//! What is left of an object in a directory: its name, what a repair set aside beside it, and what
//! a crash left staged (C19, C20).

use std::ffi::CString;
use std::io;

use super::directory::Directory;
use super::{LocalStore, split};
use crate::base::limits::GENERATION_FILE_LEN_MAX;
use crate::format::ObjectKey;
use crate::store::{Error, Remains, STAGING_PREFIX, Sight};

impl LocalStore {
    /// Counts what is left.
    pub(super) fn left_of(&self, key: &ObjectKey) -> Result<Remains, Error> {
        let names = match self.open_directory(key)? {
            Some(directory) => self.names_of(key, &directory)?,
            None => Vec::new(),
        };
        let staged = match is_key_file(key) {
            true => self.staged_keys(&self.open_staging()?)?,
            false => Vec::new(),
        };
        let version_count = (names.len() + staged.len()) as u64;
        Ok(Remains { version_count, marker_count: 0, sight: Sight::Whole })
    }

    /// Removes what is left, the object itself last.
    pub(super) fn erase_all(&self, key: &ObjectKey) -> Result<u64, Error> {
        if is_key_file(key) {
            self.erase_staged()?;
        }
        let Some(directory) = self.open_directory(key)? else { return Ok(0) };
        let names = self.names_of(key, &directory)?;
        for name in names.iter().rev() {
            directory
                .remove(name.as_str())
                .map_err(|error| self.failed("erase", &directory.path().join(name), error))?;
        }
        directory.sync().map_err(|error| self.failed("sync", directory.path(), error))?;
        Ok(names.len() as u64)
    }

    /// Returns the object's name, if it is there, and those under which it was set aside.
    fn names_of(&self, key: &ObjectKey, directory: &Directory) -> Result<Vec<String>, Error> {
        let failed = |error: io::Error| self.failed("list", directory.path(), error);
        let full_name = key.to_string();
        let (_, name) = split(&full_name);
        let is_aside = |found: &str| {
            let rest = found.strip_prefix(STAGING_PREFIX).and_then(|it| it.strip_prefix("aside-"));
            let number = rest.and_then(|rest| rest.strip_suffix(name)?.strip_suffix('-'));
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut names = Vec::new();
        for entry in directory.names().map_err(failed)? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            let Ok(found) = entry.file_name().to_str() else { continue };
            if found == name {
                names.insert(0, found.to_owned());
            } else if is_aside(found) {
                names.push(found.to_owned());
            }
        }
        Ok(names)
    }

    /// Returns the staged files that may be key files, of whatever generation: what a crash left
    /// has no name that tells, and nobody needs it. What is being stored now is not among them.
    fn staged_keys(&self, staging: &Directory) -> Result<Vec<CString>, Error> {
        self.staged(staging, |stat| stat.len <= GENERATION_FILE_LEN_MAX)
    }

    fn erase_staged(&self) -> Result<(), Error> {
        let staging = self.open_staging()?;
        let failed = |error: io::Error| self.failed("clean", staging.path(), error);
        for name in self.staged_keys(&staging)? {
            match staging.remove(name.as_c_str()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        staging.sync().map_err(failed)
    }
}

const fn is_key_file(key: &ObjectKey) -> bool {
    matches!(key, ObjectKey::Generation(..))
}

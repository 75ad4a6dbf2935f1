//! What is left of an object in a directory: its name, what a repair set aside beside it, and what
//! a crash left staged (C19, C20).

use std::io::{self, Read};

use super::directory::{Directory, Found};
use super::{LocalStore, split};
use crate::base::limits::GENERATION_FILE_LEN_MAX;
use crate::format::{Folder, ObjectKey};
use crate::store::{Error, Remains, STAGING_PREFIX, Sight};

impl LocalStore {
    /// Counts what is left.
    pub(super) fn left_of(&self, key: &ObjectKey) -> Result<Remains, Error> {
        let names = match self.open_directory(key)? {
            Some(directory) => self.names_of(key, &directory)?,
            None => Vec::new(),
        };
        Ok(Remains { version_count: names.len() as u64, marker_count: 0, sight: Sight::Whole })
    }

    /// Removes what is left, the object itself last: by its bytes the staged copies are known.
    pub(super) fn erase_all(&self, key: &ObjectKey) -> Result<u64, Error> {
        let Some(directory) = self.open_directory(key)? else { return Ok(0) };
        let names = self.names_of(key, &directory)?;
        // Packs are staged too, and too long to be compared; no packs are erased.
        if key.folder() == Folder::Generations {
            for name in &names {
                self.erase_staged(&directory, name)?;
            }
        }
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

    /// Removes staged files with the bytes of a file.
    fn erase_staged(&self, directory: &Directory, name: &str) -> Result<(), Error> {
        let staging = self.open_staging()?;
        let failed = |error: io::Error| self.failed("clean", staging.path(), error);
        let Some(bytes) = small_file(directory, name).map_err(failed)? else { return Ok(()) };
        for entry in staging.names().map_err(failed)? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            let Ok(staged) = entry.file_name().to_str() else { continue };
            if staged.starts_with(STAGING_PREFIX)
                && small_file(&staging, staged).map_err(failed)?.as_ref() == Some(&bytes)
            {
                staging.remove(staged).map_err(failed)?;
            }
        }
        staging.sync().map_err(failed)
    }
}

/// Reads a plain file that is not longer than a key file; none, if it is something else or gone.
fn small_file(directory: &Directory, name: &str) -> io::Result<Option<Vec<u8>>> {
    match directory.look(name) {
        Ok(Found::File(stat)) if stat.len <= GENERATION_FILE_LEN_MAX => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    let file = match directory.open_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    file.take(GENERATION_FILE_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

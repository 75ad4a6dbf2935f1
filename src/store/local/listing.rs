//! Walks a folder of a local store without holding its names in memory (C9, C10).

use std::io;

use rustix::fs::Dir;

use super::directory::{Directory, Found};
use crate::format::{Folder, ObjectKey};
use crate::store::{Listed, STAGING_PREFIX};

/// The names of a folder, one after another.
pub(super) struct Names {
    levels: Vec<Level>,
    // How many levels the folder's objects lie deep: 1, or 2 where a directory groups them.
    depth: usize,
}

struct Level {
    directory: Directory,
    names: Dir,
    // Where the level is, ending with a slash.
    prefix: String,
}

impl Names {
    /// Begins to walk a folder that is open.
    pub(super) fn begin(folder: Folder, directory: Directory) -> io::Result<Self> {
        let depth = match folder {
            Folder::Vault | Folder::Segments | Folder::Snapshots | Folder::Escrow => 1,
            Folder::Generations | Folder::Packs | Folder::Trees | Folder::Ledger => 2,
        };
        let level = Level::begin(directory, format!("{}/", folder.name()))?;
        Ok(Self { levels: vec![level], depth })
    }

    /// Says what is under a name of the innermost level; nothing if it is gone by now.
    fn examine(&mut self, name: &std::ffi::CStr) -> io::Result<Option<Listed>> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last() else { return Ok(None) };
        let text = name.to_string_lossy();
        let full = format!("{}{text}", level.prefix);
        match level.directory.look(name) {
            Ok(Found::File(stat)) => Ok(Some(match full.parse::<ObjectKey>() {
                Ok(key) => Listed::Object(key, stat),
                Err(_) => Listed::Foreign(full),
            })),
            // A directory whose name is not UTF-8 groups no objects of ours.
            Ok(Found::Directory) if depth < self.depth && name.to_str().is_ok() => {
                let entered = level.directory.child(&text).and_then(|child| {
                    let prefix = format!("{full}/");
                    Level::begin(child, prefix)
                });
                match entered {
                    Ok(level) => self.levels.push(level),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                Ok(None)
            }
            Ok(Found::Directory) => Ok(Some(Listed::Foreign(format!("{full}/")))),
            Ok(Found::Other(_)) => Ok(Some(Listed::Foreign(full))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Level {
    fn begin(directory: Directory, prefix: String) -> io::Result<Self> {
        let names = directory.names()?;
        Ok(Self { directory, names, prefix })
    }
}

impl Iterator for Names {
    /// A name, or where it was and why it cannot be told.
    type Item = Result<Listed, (String, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.last_mut()?;
            let place = level.prefix.clone();
            match level.names.read() {
                None => {
                    self.levels.pop();
                }
                Some(Err(error)) => {
                    // A directory that failed to read would fail forever: its siblings go on.
                    self.levels.pop();
                    return Some(Err((place, error.into())));
                }
                Some(Ok(entry)) => {
                    let name = entry.file_name();
                    let ours = name.to_bytes().starts_with(STAGING_PREFIX.as_bytes());
                    if ours || matches!(name.to_bytes(), b"." | b"..") {
                        continue;
                    }
                    match self.examine(name) {
                        Ok(None) => {}
                        Ok(Some(listed)) => return Some(Ok(listed)),
                        Err(error) => {
                            let place = format!("{place}{}", name.to_string_lossy());
                            return Some(Err((place, error)));
                        }
                    }
                }
            }
        }
    }
}

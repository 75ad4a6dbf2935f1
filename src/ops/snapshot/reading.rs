//! Where the uploads come from, and how they are read. Spec: §7, `stack.md` §4.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use super::uploads::{UploadsLane, UploadsPath};
use super::warnings::Warnings;
use super::{archive_walk, uploads};
use crate::base::Observer;
use crate::ops::Error;
use crate::source::StreamSource;

/// The uploads of a snapshot.
pub struct Uploads {
    description: Value,
    reader: UploadsReader,
}

/// How the uploads are read.
pub enum UploadsReader {
    /// By walking a directory of this machine.
    Directory(UploadsPath),
    /// As a tar stream in the order of the tree.
    Archive(Box<dyn StreamSource>),
}

impl fmt::Debug for UploadsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Archive(source) => f.debug_tuple("Archive").field(&source.describe()).finish(),
        }
    }
}

impl Uploads {
    /// Makes the uploads of how they are read and how the snapshot describes that.
    pub fn new(description: Value, reader: UploadsReader) -> Self {
        Self { description, reader }
    }

    /// Describes them for the snapshot.
    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    /// Returns the directory that is walked; an archive is read without one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.reader {
            UploadsReader::Directory(path) => Some(&path.root),
            UploadsReader::Archive(_) => None,
        }
    }

    /// Reads them into every lane.
    pub(super) fn walk(
        &self,
        lanes: Vec<UploadsLane>,
        warnings: &Warnings,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        match &self.reader {
            UploadsReader::Directory(path) => uploads::walk(path, lanes, warnings, observer),
            UploadsReader::Archive(source) => archive_walk::walk(source.as_ref(), lanes, observer),
        }
    }
}

impl From<UploadsPath> for Uploads {
    fn from(path: UploadsPath) -> Self {
        let description = json!({"kind": "path", "path": path.root.to_string_lossy()});
        Self::new(description, UploadsReader::Directory(path))
    }
}

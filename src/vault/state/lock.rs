//! Locks that keep two runs apart, held until dropped.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::base::OpenGate;
use crate::vault::Error;
use crate::vault::directories::make_dir;

/// A lock on a file of a state directory, held until dropped.
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock of a state directory, making the directory if need be.
    ///
    /// # Errors
    /// If another run holds it.
    pub fn take(state_dir: &Path) -> Result<Self, Error> {
        Self::take_named(state_dir, "lock")
    }

    /// Takes the lock of this name in a directory, making the directory if need be.
    ///
    /// # Errors
    /// If another run holds it.
    pub fn take_named(directory: &Path, name: &str) -> Result<Self, Error> {
        let made = make_dir(directory, &OpenGate::shared());
        made.map_err(|cause| Error::state("create", directory, cause))?;
        let path = directory.join(name);
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|cause| Error::state("open", &path, cause))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked { path }),
            Err(cause) => Err(Error::state("lock", &path, cause.into())),
        }
    }
}

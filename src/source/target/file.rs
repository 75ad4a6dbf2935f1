//! A file that is being restored.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{FILE_MODE, TargetError};

/// Length and alignment of the runs of zeros that a sparse file leaves out.
const HOLE_LEN: usize = 4 * 1024;
const ZEROS: [u8; HOLE_LEN] = [0; HOLE_LEN];

/// A regular file at its full length; what has not been written is a hole.
#[derive(Debug)]
pub struct TargetFile {
    file: File,
    path: PathBuf,
    sparse: bool,
}

impl TargetFile {
    pub(super) fn new(file: File, path: PathBuf, sparse: bool) -> Self {
        Self { file, path, sparse }
    }

    /// Writes bytes at an offset; several threads may, at offsets of their own.
    ///
    /// In a sparse file, aligned runs of zeros are left out.
    ///
    /// # Errors
    /// When the operating system declines.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TargetError> {
        let written = match self.sparse {
            true => self.write_sparse(offset, bytes),
            false => self.file.write_all_at(bytes, offset),
        };
        written.map_err(|cause| self.error(cause))
    }

    /// Fills `bytes` from an offset.
    ///
    /// # Errors
    /// When the file is shorter or cannot be read.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), TargetError> {
        self.file.read_exact_at(bytes, offset).map_err(|cause| self.error(cause))
    }

    /// Writes everything but whole aligned blocks of zeros, in as few calls as there are runs.
    fn write_sparse(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut run_start, mut at) = (0, 0);
        while at < bytes.len() {
            let place = (offset + at as u64) % HOLE_LEN as u64;
            let to_boundary = HOLE_LEN - usize::try_from(place).unwrap_or(0);
            let len = to_boundary.min(bytes.len() - at);
            if len == HOLE_LEN && bytes[at..at + len] == ZEROS {
                self.file.write_all_at(&bytes[run_start..at], offset + run_start as u64)?;
                run_start = at + len;
            }
            at += len;
        }
        self.file.write_all_at(&bytes[run_start..], offset + run_start as u64)
    }

    fn error(&self, cause: io::Error) -> TargetError {
        TargetError::Unavailable { path: self.path.clone(), cause }
    }
}

impl AsFd for TargetFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

pub(super) fn create(parent: BorrowedFd<'_>, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(FILE_MODE)).map(File::from)
}

pub(super) fn reopen(parent: BorrowedFd<'_>, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::empty()).map(File::from)?;
    match file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        true => Ok(file),
        false => Err(Errno::INVAL),
    }
}

//! Reading a regular file that others may change, replace or remove meanwhile. Spec: §7.
//!
//! - What is not a regular file once it is open is not read, and opening it cannot hang.
//! - What was read is called stable only if the stat was the same before, after and at the walk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use super::stat::FileStat;
use crate::base::limits::WINDOW_LEN;
use crate::base::{Code, Coded};

/// How often a changing file is read before the last reading is taken as it is.
pub const READ_ATTEMPT_COUNT_MAX: usize = 3;

/// How reading a file went. What the buffer got is what was read in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The contents are those of one moment, that of this stat.
    Stable(FileStat),
    /// The file changed since it was found or while it was read; this is its stat now.
    Changed(FileStat),
    /// There is no regular file of that name any more.
    Vanished,
}

/// A file that cannot be read.
#[derive(Debug, Error)]
#[error("read the file {}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

impl Coded for ReadError {
    fn code(&self) -> Code {
        Code::FileUnreadable
    }
}

/// Reads a small file into `buf`, replacing what is in it.
///
/// At most as many bytes are read as `expected` says or one window has, whichever is more, so a
/// file that grew to any size costs no more memory; it is `Changed` then.
///
/// # Errors
/// When the file exists but cannot be opened or read.
pub fn read_whole(
    path: &Path,
    expected: &FileStat,
    buf: &mut Vec<u8>,
) -> Result<ReadOutcome, ReadError> {
    buf.clear();
    let Some(mut reader) = FileReader::open(path)? else { return Ok(ReadOutcome::Vanished) };
    let len_max = expected.size.max(WINDOW_LEN as u64).min(reader.left);
    reader.left = len_max;
    buf.reserve(usize::try_from(len_max).unwrap_or(0));
    while reader.read_window(buf, WINDOW_LEN)? > 0 {}
    reader.finish(expected)
}

/// Reads a large file by windows.
#[derive(Debug)]
pub struct FileReader {
    file: File,
    path: PathBuf,
    before: FileStat,
    left: u64,
    read_len: u64,
}

impl FileReader {
    /// Opens a file; none when there is no regular file of that name.
    ///
    /// # Errors
    /// When the file exists but cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, ReadError> {
        let error = |cause: io::Error| ReadError { path: path.to_owned(), cause };
        let file = match open_regular(path) {
            Ok(file) => file,
            // Gone, or a symbolic link or a socket has taken its name.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(error(errno.into())),
        };
        let metadata = file.metadata().map_err(error)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let before = FileStat::of(&metadata);
        Ok(Some(Self { file, path: path.to_owned(), before, left: before.size, read_len: 0 }))
    }

    /// Returns the stat at the time of opening.
    pub fn stat(&self) -> &FileStat {
        &self.before
    }

    /// Appends up to `len_max` bytes to `buf` and returns their number; 0 at the end.
    ///
    /// The end is where it was at opening, so a file that only grows is read to the end.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read_window(&mut self, buf: &mut Vec<u8>, len_max: usize) -> Result<usize, ReadError> {
        let len = self.left.min(len_max as u64);
        let read = (&self.file)
            .take(len)
            .read_to_end(buf)
            .map_err(|cause| ReadError { path: self.path.clone(), cause })?;
        self.left -= read as u64;
        self.read_len += read as u64;
        // A file that shrank has its end here.
        if (read as u64) < len {
            self.left = 0;
        }
        Ok(read)
    }

    /// Ends reading and tells whether the contents are those of one moment.
    ///
    /// # Errors
    /// When the file cannot be looked at any more.
    pub fn finish(self, expected: &FileStat) -> Result<ReadOutcome, ReadError> {
        let error = |cause| ReadError { path: self.path.clone(), cause };
        let after = FileStat::of(&self.file.metadata().map_err(error)?);
        let stable = after.is_unchanged_from(&self.before)
            && after.is_unchanged_from(expected)
            && self.read_len == after.size;
        Ok(if stable { ReadOutcome::Stable(after) } else { ReadOutcome::Changed(after) })
    }
}

fn open_regular(path: &Path) -> Result<File, Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Reading for an archive is not an access worth noting, but only the owner may say so.
    match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(path, flags, Mode::empty()).map(File::from),
        opened => opened.map(File::from),
    }
}

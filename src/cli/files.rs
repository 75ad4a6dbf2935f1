//! Files that a person names: read no further than they may be long, and written whole or not at
//! all.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::report::Failure;
use crate::base::{Code, Coded};
use crate::crypto::digest::Sha256Hasher;
use crate::format::report_note::ReportFile;
use crate::store::STAGING_PREFIX;

/// Bytes that are hashed at once.
const PIECE_LEN: usize = 64 * 1024;

/// Reads what a person named, of `what`, to its end.
///
/// # Errors
/// If it cannot be read, or is longer than it may be; then no more than that was read.
pub fn read(path: &Path, what: &'static str, len_max: u64) -> Result<Vec<u8>, Failure> {
    let wrap = |cause| Failure::system(format!("read the {what} {}", path.display()), cause);
    read_from(File::open(path).map_err(wrap)?, path, what, len_max)
}

/// Reads what somebody else may have put there, if it is there: a plain file, and nothing that
/// never ends.
///
/// # Errors
/// As [`read`], and if it is no plain file.
pub fn read_plain(
    path: &Path,
    what: &'static str,
    len_max: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let wrap = |cause| Failure::system(format!("read the {what} {}", path.display()), cause);
    let file = open_plain(path).map_err(wrap)?;
    file.map(|file| read_from(file, path, what, len_max)).transpose()
}

fn read_from(
    file: File,
    path: &Path,
    what: &'static str,
    len_max: u64,
) -> Result<Vec<u8>, Failure> {
    let wrap = |cause| Failure::system(format!("read the {what} {}", path.display()), cause);
    let mut bytes = Vec::new();
    file.take(len_max + 1).read_to_end(&mut bytes).map_err(wrap)?;
    match bytes.len() as u64 > len_max {
        true => Err(TooLong { what, path: path.to_owned(), len_max }.into()),
        false => Ok(bytes),
    }
}

/// A file that is longer than any of its kind; how long it is nobody looked.
#[derive(Debug, thiserror::Error)]
#[error("read the {what} {}: it is longer than {len_max} bytes", path.display())]
struct TooLong {
    what: &'static str,
    path: PathBuf,
    len_max: u64,
}

impl Coded for TooLong {
    fn code(&self) -> Code {
        Code::LimitExceeded
    }
}

/// Returns length and digest of a plain file of a directory, if it is there.
///
/// # Errors
/// If it cannot be read, or is no plain file.
pub fn digest_of(directory: &Path, name: &str) -> Result<Option<ReportFile>, Failure> {
    let path = directory.join(name);
    let wrap = |cause| Failure::system(format!("read {}", path.display()), cause);
    let Some(mut file) = open_plain(&path).map_err(wrap)? else { return Ok(None) };
    let (mut hasher, mut len, mut piece) = (Sha256Hasher::new(), 0u64, vec![0; PIECE_LEN]);
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
            Err(cause) => return Err(wrap(cause)),
        };
        hasher.update(&piece[..count]);
        len = len.saturating_add(count as u64);
    }
    Ok(Some(ReportFile { name: name.to_owned(), len, sha256: hasher.finish() }))
}

/// Opens a plain file, if it is there; a pipe or device would never end, or never begin.
fn open_plain(path: &Path) -> std::io::Result<Option<File>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(Error::other)?;
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(Error::other("it is no plain file")),
    }
}

/// Room for a file beside where it will be: what is not finished is removed with it.
pub struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Makes room for a file, so that it is known before any work that it can be written.
    ///
    /// # Errors
    /// If its directory cannot be written, or the path is that of a directory.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        if path.is_dir() {
            return Err(Error::from_raw_os_error(Errno::ISDIR.raw_os_error()));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(STAGING_PREFIX)
            // As any file: what the umask does not allow is not allowed.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .map_err(without_name)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes the file, in place of one that is there.
    ///
    /// # Errors
    /// If it cannot be written. Then what was there is there.
    pub fn put(mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.fill(bytes)?;
        self.file.persist(&self.path).map(drop).map_err(|error| error.error)
    }

    /// Writes the file, if there is none.
    ///
    /// # Errors
    /// If it cannot be written, or there is one.
    pub fn put_new(mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.fill(bytes)?;
        self.file.persist_noclobber(&self.path).map(drop).map_err(|error| error.error)
    }

    fn fill(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.as_file().sync_all()
    }
}

/// Returns what the system said, without the name of a file that nobody asked for.
fn without_name(error: Error) -> Error {
    let code = match error.kind() {
        ErrorKind::NotFound => Errno::NOENT,
        ErrorKind::PermissionDenied => Errno::ACCESS,
        ErrorKind::NotADirectory => Errno::NOTDIR,
        ErrorKind::ReadOnlyFilesystem => Errno::ROFS,
        ErrorKind::StorageFull => Errno::NOSPC,
        _ => return error,
    };
    Error::from_raw_os_error(code.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_read_no_further_than_it_may_be_long() {
        let failure = read(Path::new("/dev/zero"), "report", 1000).unwrap_err();
        assert_eq!(failure.code(), Code::LimitExceeded);
        let failure = read_plain(Path::new("/dev/zero"), "report", 1000).unwrap_err();
        assert!(failure.chain().concat().contains("no plain file"));
        assert!(digest_of(Path::new("/dev"), "zero").is_err());
    }

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.json");
        let names = || std::fs::read_dir(scratch.path()).unwrap().count();
        drop(Staged::at(&path).unwrap());
        assert_eq!(names(), 0, "what is not finished leaves nothing");
        Staged::at(&path).unwrap().put(b"one").unwrap();
        Staged::at(&path).unwrap().put(b"two").unwrap();
        let error = Staged::at(&path).unwrap().put_new(b"three").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), names()), (b"two".as_slice(), 1));
        assert!(Staged::at(scratch.path()).is_err());
        assert!(Staged::at(&scratch.path().join("none/a.json")).is_err());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert!(mode & 0o400 != 0 && mode & 0o111 == 0, "{mode:o}");
        let file = digest_of(scratch.path(), "a.json").unwrap().unwrap();
        assert_eq!((file.len, digest_of(scratch.path(), "b").unwrap()), (3, None));
    }
}

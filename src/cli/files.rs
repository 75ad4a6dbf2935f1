//! Files that a person names: read no further than they may be long, and found writable before any
//! work.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::report::Failure;
use crate::base::{Code, Coded};
use crate::crypto::digest::Sha256Hasher;
use crate::format::report_note::ReportFile;
use crate::ops::staged::Staged;

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

/// A file that is there already, and is not written over: it may be the only copy.
#[derive(Debug, thiserror::Error)]
#[error("write the {what} {}: it is there already", path.display())]
struct Exists {
    what: &'static str,
    path: PathBuf,
}

impl Coded for Exists {
    fn code(&self) -> Code {
        Code::FileExists
    }
}

/// Refuses a place for `what` that cannot be written, before any work.
///
/// # Errors
/// If its directory cannot be written, or it is that of a directory.
pub fn check_place(path: &Path, what: &'static str) -> Result<(), Failure> {
    let wrap = |cause| Failure::system(format!("write the {what} {}", path.display()), cause);
    Staged::at(path).map(drop).map_err(wrap)
}

/// Refuses a place for `what` as [`check_place`] does, and one where a file is already.
///
/// # Errors
/// As [`check_place`], and if something is there.
pub fn check_new(path: &Path, what: &'static str) -> Result<(), Failure> {
    check_place(path, what)?;
    match path.symlink_metadata() {
        Ok(_) => Err(Exists { what, path: path.to_owned() }.into()),
        Err(_) => Ok(()),
    }
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
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("a"), b"two").unwrap();
        let file = digest_of(scratch.path(), "a").unwrap().unwrap();
        assert_eq!((file.len, digest_of(scratch.path(), "b").unwrap()), (3, None));
    }
}

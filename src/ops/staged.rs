//! Files that a person names, written whole or not at all.

use std::fs::Permissions;
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::store::STAGING_PREFIX;

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

    /// Writes the file piece by piece, if there is none.
    ///
    /// # Errors
    /// If `fill` fails, or as [`Self::put_new`].
    pub fn put_new_by<T>(
        mut self,
        fill: impl FnOnce(&mut dyn Write) -> Result<T, super::Error>,
    ) -> Result<T, super::Error> {
        let path = self.path.clone();
        let mut out = BufWriter::new(self.file.as_file_mut());
        let filled = fill(&mut out).and_then(|filled| {
            out.flush().map_err(super::Error::Output)?;
            Ok(filled)
        });
        drop(out);
        let put = filled.and_then(|filled| {
            self.put_new(b"").map_err(super::Error::Output)?;
            Ok(filled)
        });
        put.map_err(|error| match error {
            super::Error::Output(cause) => super::Error::file("write", path, cause),
            other => other,
        })
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
        let put_by = |name: &str, is_cut: bool| {
            let staged = Staged::at(&scratch.path().join(name)).unwrap();
            staged.put_new_by(|out| {
                out.write_all(b"half").map_err(crate::ops::Error::Output)?;
                let cut = || crate::ops::Error::Output(ErrorKind::StorageFull.into());
                is_cut.then(cut).map_or(Ok(()), Err)
            })
        };
        for (name, is_cut) in [("b", true), ("a.json", false)] {
            let error = put_by(name, is_cut).unwrap_err().to_string();
            assert!(error.starts_with("write ") && error.ends_with(name), "{error}");
        }
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), names()), (b"two".as_slice(), 1));
        put_by("b", false).unwrap();
        assert_eq!(std::fs::read(scratch.path().join("b")).unwrap(), b"half");
        assert!(Staged::at(scratch.path()).is_err());
        assert!(Staged::at(&scratch.path().join("none/a.json")).is_err());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert!(mode & 0o400 != 0 && mode & 0o111 == 0, "{mode:o}");
    }
}

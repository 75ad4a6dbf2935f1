//! Directories of a local store, held open, so that no name in them is followed elsewhere.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::base::{Gate, Step};
use crate::store::Stat;

/// Access to objects: their owner's alone.
const FILE_MODE: u32 = 0o600;
/// Access to directories: their owner's alone.
const DIRECTORY_MODE: u32 = 0o700;

/// A directory that is open, its path for messages, and the gate that its changes pass.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    gate: Arc<dyn Gate>,
}

/// What is under a name, without following it.
pub(super) enum Found {
    /// A plain file.
    File(Stat),
    /// A directory.
    Directory,
    /// Anything else, in words.
    Other(&'static str),
}

impl Directory {
    /// Opens a directory that the operator named: here alone links are followed.
    pub(super) fn open(path: &Path, gate: &Arc<dyn Gate>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned(), gate: Arc::clone(gate) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name` in this one; a link in its place is `NotADirectory`.
    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: self.path.join(name), gate: Arc::clone(&self.gate) }),
            Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the directory `name`, unless another thread was faster. It is not durable yet.
    pub(super) fn make_child(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let mode = Mode::from_raw_mode(DIRECTORY_MODE);
        self.gate.pass(Step::MakeDirectory(&self.path.join(name)), || {
            match rustix::fs::mkdirat(&self.fd, name, mode) {
                // The mode given to mkdir is only an upper bound: the umask takes from it.
                Ok(()) => tolerate(rustix::fs::chmodat(&self.fd, name, mode, AtFlags::empty())),
                Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Makes durable which names this directory holds.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.gate.pass(Step::SyncDirectory(&self.path), || Ok(rustix::fs::fsync(&self.fd)?))
    }

    /// Looks at `name` without following it.
    pub(super) fn look(&self, name: impl Arg) -> io::Result<Found> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(Stat::plain(
                u64::try_from(stat.st_size).expect("the system reports no negative size"),
                timestamp(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            )),
            FileType::Directory => Found::Directory,
            FileType::Symlink => Found::Other("symbolic link"),
            _ => Found::Other("special file"),
        })
    }

    /// Opens the plain file `name` for reading; neither a link nor a pipe can lead it astray.
    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Creates the file `name`, which must not exist.
    pub(super) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        self.gate.pass(Step::CreateFile(&self.path.join(name)), || {
            Ok(File::from(rustix::fs::openat(&self.fd, name, flags, mode)?))
        })
    }

    /// Makes the finished file `name` private and durable.
    pub(super) fn settle_file(&self, file: &File, name: &str) -> io::Result<()> {
        match file.set_permissions(Permissions::from_mode(FILE_MODE)) {
            Err(error) if !is_unsupported(&error) => return Err(error),
            _ => {}
        }
        self.gate.pass(Step::SyncFile(&self.path.join(name)), || file.sync_all())
    }

    /// Gives the file `name` a second name in `target`, which must not be taken.
    pub(super) fn link(&self, name: &str, target: &Self, target_name: &str) -> io::Result<()> {
        self.gate.pass(Step::Link(&target.path.join(target_name)), || {
            Ok(rustix::fs::linkat(&self.fd, name, &target.fd, target_name, AtFlags::empty())?)
        })
    }

    /// Moves the file `name` to `target`, where its new name must not be taken.
    pub(super) fn rename(&self, name: &str, target: &Self, target_name: &str) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        self.gate.pass(Step::Rename(&target.path.join(target_name)), || {
            Ok(rustix::fs::renameat_with(&self.fd, name, &target.fd, target_name, flags)?)
        })
    }

    /// Removes the name of a file, a link or a pipe; a directory stays.
    pub(super) fn remove(&self, name: impl Arg) -> io::Result<()> {
        let path = self.path.join(name.to_string_lossy().as_ref());
        self.gate.pass(Step::Remove(&path), || {
            Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
        })
    }

    /// Reads the names in the directory, a buffer at a time.
    pub(super) fn names(&self) -> io::Result<Dir> {
        Ok(Dir::read_from(&self.fd)?)
    }
}

/// Whether the file system does not know what was asked for, such as modes or hard links.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::MLINK)
    )
}

// A file system without modes still may hold a store: everything private in it is sealed.
fn tolerate(result: rustix::io::Result<()>) -> io::Result<()> {
    match result.map_err(io::Error::from) {
        Err(error) if !is_unsupported(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Converts a file's time; one beyond the calendar, which anybody can set, becomes its end.
pub(super) fn timestamp(second: i64, nanosecond: i64) -> Timestamp {
    let nanosecond = i32::try_from(nanosecond).unwrap_or(0);
    let end = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(second, nanosecond).unwrap_or(end)
}

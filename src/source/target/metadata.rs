//! Owner, attributes, mode and time of what was restored, in the order in which each survives.
//!
//! The owner is first, because changing it clears setuid bits and capabilities; attributes are
//! next, because they need a writable file; then the mode, and last the time, which everything
//! else would change.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::base::{Code, Coded};
use crate::format::tree::{Kind, TreeEntry};

/// Bits that lend an owner's rights; they go only to a file that has the right owner.
const LENDING_BITS: u32 = 0o6000;

/// What of an entry could not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it, such as a socket, or a device where only root may make one.
    Entry(&'static str),
    /// Its owner or group.
    Owner,
    /// An extended attribute.
    Xattr(Vec<u8>),
    /// Its permission bits.
    Mode,
    /// Its modification time.
    Mtime,
}

/// Something that could not be restored, while the contents were.
#[derive(Debug, Error)]
#[error("restore {} of {:?}", part_text(part), String::from_utf8_lossy(path))]
pub struct NotRestored {
    /// Path in the tree.
    pub path: Vec<u8>,
    /// What.
    pub part: Part,
    /// Why.
    #[source]
    pub cause: io::Error,
}

impl NotRestored {
    pub(super) fn of_entry(entry: &TreeEntry, cause: io::Error) -> Self {
        Self { path: entry.path.clone(), part: Part::Entry(entry.kind.name()), cause }
    }
}

impl Coded for NotRestored {
    fn code(&self) -> Code {
        Code::MetadataNotRestored
    }
}

fn part_text(part: &Part) -> String {
    match part {
        Part::Entry(kind) => format!("the {kind}"),
        Part::Owner => "the owner".into(),
        Part::Xattr(name) => format!("the attribute {:?}", String::from_utf8_lossy(name)),
        Part::Mode => "the mode".into(),
        Part::Mtime => "the time".into(),
    }
}

/// Something whose metadata is restored: an open file or directory, or a name in a directory.
#[derive(Clone, Copy)]
pub(super) enum Handle<'a> {
    Open(BorrowedFd<'a>),
    Name(BorrowedFd<'a>, &'a [u8]),
}

impl Handle<'_> {
    /// Restores everything that can be and returns what cannot.
    pub(super) fn restore(self, entry: &TreeEntry) -> Vec<NotRestored> {
        let mut problems = Vec::new();
        let mut note = |part, result: Result<(), Errno>| {
            if let Err(errno) = result {
                problems.push(NotRestored { path: entry.path.clone(), part, cause: errno.into() });
            }
        };
        let owner = self.set_owner(entry.uid, entry.gid);
        let lent = if owner.is_err() { LENDING_BITS } else { 0 };
        note(Part::Owner, owner);
        for (name, value) in &entry.xattrs {
            note(Part::Xattr(name.clone()), self.set_xattr(name, value));
        }
        // Symbolic links have no mode of their own.
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            note(Part::Mode, self.set_mode(entry.mode & !lent));
        }
        note(Part::Mtime, self.set_mtime(entry));
        problems
    }

    fn set_owner(self, uid: u32, gid: u32) -> Result<(), Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let now = match self {
            Self::Open(fd) => rustix::fs::fstat(fd)?,
            Self::Name(dir, name) => rustix::fs::statat(dir, name, flags)?,
        };
        if (now.st_uid, now.st_gid) == (uid, gid) {
            return Ok(());
        }
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Self::Name(dir, name) => rustix::fs::chownat(dir, name, uid, gid, flags),
        }
    }

    fn set_xattr(self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let flags = XattrFlags::empty();
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, flags),
            Self::Name(dir, of) => {
                // The directory is given by its number, so only the last name is looked up.
                let dir = format!("/proc/self/fd/{}", dir.as_raw_fd());
                let path = Path::new(&dir).join(std::ffi::OsStr::from_bytes(of));
                rustix::fs::lsetxattr(&path, name, value, flags)
            }
        }
    }

    fn set_mode(self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Name(dir, name) => {
                // Opening a pipe or a device could have effects; a path handle has none.
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let handle = rustix::fs::openat(dir, name, flags, Mode::empty())?;
                let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
                rustix::fs::chmod(path, mode)
            }
        }
    }

    fn set_mtime(self, entry: &TreeEntry) -> Result<(), Errno> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: entry.mtime.sec,
                tv_nsec: entry.mtime.nsec.into(),
            },
        };
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Name(dir, name) => {
                rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}

//! Writing a tree back below a directory of our own. Spec: §7.
//!
//! - Nothing outside the root can be reached: paths are checked, and every directory on the way
//!   is opened by its name alone, never through a symbolic link.
//! - While it is being filled only its owner can read it; modes come last.
//! - Owners, attributes and the like that cannot be set are told, and never end a restore.

mod file;
mod metadata;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use thiserror::Error;

pub use self::file::TargetFile;
use self::metadata::Handle;
pub use self::metadata::{NotRestored, Part};
use crate::base::{Code, Coded};
use crate::format::tree::{self, Kind, TreeEntry, TreeError};

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What to do about something that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Refuse,
    /// Remove it, unless it is a directory; directories are shared.
    Replace,
}

/// A tree that cannot be written.
#[derive(Debug, Error)]
pub enum TargetError {
    /// There is something already.
    #[error("write to {}: something is there already", path.display())]
    NotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// The operating system declines.
    #[error("write to {}", path.display())]
    Unavailable {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The entry does not name a place below the root.
    #[error(transparent)]
    Path(#[from] TreeError),
}

impl Coded for TargetError {
    fn code(&self) -> Code {
        match self {
            Self::NotEmpty { .. } => Code::TargetNotEmpty,
            Self::Unavailable { .. } => Code::TargetUnavailable,
            Self::Path(error) => error.code(),
        }
    }
}

/// What placing an entry came to.
#[derive(Debug)]
#[must_use = "a file still wants its contents, and problems want to be told"]
pub struct Placed {
    /// The file to be written, for a regular file.
    pub file: Option<TargetFile>,
    /// What could not be restored.
    pub problems: Vec<NotRestored>,
}

/// A directory that a tree is written to.
#[derive(Debug)]
pub struct Target {
    root: Arc<OwnedFd>,
    path: PathBuf,
    existing: Existing,
    /// The directory that was used last; neighbours in a tree share it.
    parent: Mutex<Option<(Vec<u8>, Arc<OwnedFd>)>>,
    /// Directories whose metadata waits for their contents.
    dirs: Mutex<Vec<TreeEntry>>,
}

impl Target {
    /// Opens `path` to write a tree to, creating it and its parents if need be.
    ///
    /// # Errors
    /// When it is not a directory, not empty where that is refused, or cannot be written.
    pub fn open(path: &Path, existing: Existing) -> Result<Self, TargetError> {
        let unavailable = |cause| TargetError::Unavailable { path: path.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(unavailable)?;
        let is_empty = fs::read_dir(path).map_err(unavailable)?.next().is_none();
        if existing == Existing::Refuse && !is_empty {
            return Err(TargetError::NotEmpty { path: path.to_owned() });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| unavailable(errno.into()))?;
        Ok(Self {
            root: Arc::new(root),
            path: path.to_owned(),
            existing,
            parent: Mutex::new(None),
            dirs: Mutex::new(Vec::new()),
        })
    }

    /// Places an entry; its directory must have been placed before, and so the first name of a
    /// hard link. Files are empty, at their full length, until their contents are written.
    ///
    /// # Errors
    /// When something is in the way, or the operating system declines.
    pub fn place(&self, entry: &TreeEntry) -> Result<Placed, TargetError> {
        let mut placed = Placed { file: None, problems: Vec::new() };
        if entry.path.is_empty() {
            self.remember(entry);
            return Ok(placed);
        }
        let (parent, name) = self.locate(&entry.path)?;
        let error = |errno| self.error(&entry.path, errno);
        match &entry.kind {
            Kind::File(content) => {
                let place = || file::create(parent.as_fd(), name);
                let file = self.make(&parent, name, place).map_err(error)?;
                rustix::fs::ftruncate(&file, content.size).map_err(error)?;
                let path = self.place_of(&entry.path);
                placed.file = Some(TargetFile::new(file, path, content.sparse));
            }
            Kind::Dir => {
                self.make_dir(&parent, name).map_err(error)?;
                self.remember(entry);
            }
            Kind::Symlink { target } => {
                let place = || rustix::fs::symlinkat(target.as_slice(), &parent, name);
                self.make(&parent, name, place).map_err(error)?;
                placed.problems = Handle::Name(parent.as_fd(), name).restore(entry);
            }
            Kind::Hardlink { link } => {
                let (from, from_name) = self.locate(link)?;
                let place =
                    || rustix::fs::linkat(&from, from_name, &parent, name, AtFlags::empty());
                match self.make(&parent, name, place) {
                    // Its first name was not restored, such as that of a socket.
                    Err(errno @ Errno::NOENT) => {
                        placed.problems.push(NotRestored::of_entry(entry, errno.into()));
                    }
                    made => made.map_err(error)?,
                }
            }
            Kind::Fifo | Kind::Socket | Kind::Char { .. } | Kind::Block { .. } => {
                placed.problems = self.place_special(entry, &parent, name)?;
            }
        }
        Ok(placed)
    }

    /// Opens a file that was placed before, to write more of it or to read it.
    ///
    /// # Errors
    /// When there is no regular file of that name.
    pub fn reopen(&self, entry: &TreeEntry) -> Result<TargetFile, TargetError> {
        let (parent, name) = self.locate(&entry.path)?;
        let file =
            file::reopen(parent.as_fd(), name).map_err(|errno| self.error(&entry.path, errno))?;
        let sparse = matches!(&entry.kind, Kind::File(content) if content.sparse);
        Ok(TargetFile::new(file, self.place_of(&entry.path), sparse))
    }

    /// Ends a file whose contents are written: owner, attributes, mode and time.
    #[must_use = "problems want to be told"]
    pub fn finish_file(&self, file: &TargetFile, entry: &TreeEntry) -> Vec<NotRestored> {
        Handle::Open(file.as_fd()).restore(entry)
    }

    /// Ends the tree: metadata of the directories, deepest first, and everything made durable.
    ///
    /// # Errors
    /// When the file system cannot make it durable.
    pub fn finish(self) -> Result<Vec<NotRestored>, TargetError> {
        let mut dirs =
            std::mem::take(&mut *self.dirs.lock().unwrap_or_else(PoisonError::into_inner));
        dirs.sort_by(|a, b| tree::compare_paths(&b.path, &a.path));
        let mut problems = Vec::new();
        for entry in &dirs {
            match self.open_dir(&entry.path) {
                Ok(dir) => problems.extend(Handle::Open(dir.as_fd()).restore(entry)),
                Err(error) => problems.push(NotRestored::of_entry(entry, error.into())),
            }
        }
        rustix::fs::syncfs(&*self.root).map_err(|errno| self.error(b"", errno))?;
        Ok(problems)
    }

    /// Gives an entry another place, where nothing may be yet, and makes that durable.
    ///
    /// # Errors
    /// When something is there, or the operating system declines.
    pub fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<(), TargetError> {
        let (from_dir, from_name) = self.locate(from)?;
        let (to_dir, to_name) = self.locate(to)?;
        let flags = RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&from_dir, from_name, &to_dir, to_name, flags)
            .map_err(|errno| self.error(to, errno))?;
        self.forget_parent();
        self.sync_dir(tree_parent(from))?;
        self.sync_dir(tree_parent(to))
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// When the operating system declines.
    pub fn sync_dir(&self, path: &[u8]) -> Result<(), TargetError> {
        self.open_dir(path).and_then(rustix::fs::fsync).map_err(|errno| self.error(path, errno))
    }

    fn place_special(
        &self,
        entry: &TreeEntry,
        parent: &Arc<OwnedFd>,
        name: &[u8],
    ) -> Result<Vec<NotRestored>, TargetError> {
        let (file_type, device) = match &entry.kind {
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Char { major, minor } => {
                (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::Block { major, minor } => {
                (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
            // Its program makes a new one.
            _ => return Ok(vec![NotRestored::of_entry(entry, Errno::OPNOTSUPP.into())]),
        };
        let mode = Mode::from_raw_mode(FILE_MODE);
        let place = || rustix::fs::mknodat(&**parent, name, file_type, mode, device);
        match self.make(parent, name, place) {
            Ok(()) => Ok(Handle::Name(parent.as_fd(), name).restore(entry)),
            // Only root may make devices.
            Err(errno @ Errno::PERM) => Ok(vec![NotRestored::of_entry(entry, errno.into())]),
            Err(errno) => Err(self.error(&entry.path, errno)),
        }
    }

    fn make_dir(&self, parent: &Arc<OwnedFd>, name: &[u8]) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(DIR_MODE);
        match rustix::fs::mkdirat(&**parent, name, mode) {
            Err(Errno::EXIST) if self.existing == Existing::Replace => {
                match open_dir_at(parent, name) {
                    Ok(_) => Ok(()),
                    Err(_) => {
                        self.make(parent, name, || rustix::fs::mkdirat(&**parent, name, mode))
                    }
                }
            }
            made => made,
        }
    }

    /// Makes something under a name that is free, or is freed where that is wanted.
    fn make<T>(
        &self,
        parent: &Arc<OwnedFd>,
        name: &[u8],
        place: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match place() {
            Err(Errno::EXIST) if self.existing == Existing::Replace => {
                rustix::fs::unlinkat(&**parent, name, AtFlags::empty())?;
                place()
            }
            made => made,
        }
    }

    /// Returns the open directory of an entry and the entry's name in it.
    fn locate<'a>(&self, path: &'a [u8]) -> Result<(Arc<OwnedFd>, &'a [u8]), TargetError> {
        tree::check_path(path)?;
        let parent = tree_parent(path);
        let name = path.get(parent.len()..).unwrap_or_default();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        if name.is_empty() {
            return Err(TreeError::Path { path: path.to_vec(), reason: "it is the root" }.into());
        }
        let mut last = self.parent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, dir)) = &*last
            && known == parent
        {
            return Ok((Arc::clone(dir), name));
        }
        let dir = self.descend(parent).map_err(|errno| self.error(parent, errno))?;
        *last = Some((parent.to_vec(), Arc::clone(&dir)));
        Ok((dir, name))
    }

    fn descend(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let mut dir = Arc::clone(&self.root);
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            dir = Arc::new(open_dir_at(&dir, name)?);
        }
        Ok(dir)
    }

    fn open_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let parent = self.descend(tree_parent(path))?;
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let name = if name.is_empty() { b".".as_slice() } else { name };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&*parent, name, flags, Mode::empty())
    }

    fn remember(&self, entry: &TreeEntry) {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
    }

    fn forget_parent(&self) {
        *self.parent.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn place_of(&self, path: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(path))
    }

    fn error(&self, path: &[u8], errno: Errno) -> TargetError {
        let path = self.place_of(path);
        match errno {
            Errno::EXIST => TargetError::NotEmpty { path },
            errno => TargetError::Unavailable { path, cause: errno.into() },
        }
    }
}

fn tree_parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |at| &path[..at])
}

/// Opens one directory below another, to go on from; a symbolic link is not one.
fn open_dir_at(dir: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

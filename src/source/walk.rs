//! The walk over a directory, in exactly the order of the tree. Spec: §7.
//!
//! - One `lstat` an entry, no `open` but of directories; attributes only when asked for.
//! - Memory holds one directory's names at a time, and the first names of hard links.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;
use walkdir::WalkDir;

use super::stat::FileStat;
use crate::base::{Code, Coded};
use crate::format::tree::{FileContent, Kind, MODE_MAX, TreeEntry};

/// How the names begin that this program gives to what it stages; the walk leaves them out.
pub const STAGING_PREFIX: &str = ".idswyft-vault-";

/// Bytes of the blocks that `stat` counts, whatever the file system's own.
const STAT_BLOCK_LEN: u64 = 512;

/// A root that cannot be walked at all.
#[derive(Debug, Error)]
pub enum WalkError {
    /// The root cannot be listed.
    #[error("list the directory {}", path.display())]
    Unreadable {
        /// The root.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The root is something else.
    #[error("walk {}: it is not a directory", path.display())]
    NotDirectory {
        /// The root.
        path: PathBuf,
    },
    /// The root is where nothing may be read.
    #[error("walk {}: it lies within {}, which is left out", path.display(), exclusion.display())]
    Excluded {
        /// The root.
        path: PathBuf,
        /// The exclusion.
        exclusion: PathBuf,
    },
}

impl Coded for WalkError {
    fn code(&self) -> Code {
        Code::SourceFailed
    }
}

/// Something that the walk, or reading a file, had to leave out or take as it was.
#[derive(Debug, Error)]
pub enum Problem {
    /// It vanished after its directory was listed.
    #[error("read {:?}: it vanished", String::from_utf8_lossy(path))]
    Vanished {
        /// Path in the tree.
        path: Vec<u8>,
    },
    /// It kept changing while it was read.
    #[error("read {:?} at rest: it kept changing", String::from_utf8_lossy(path))]
    Changed {
        /// Path in the tree.
        path: Vec<u8>,
    },
    /// It cannot be read.
    #[error("read {:?}", String::from_utf8_lossy(path))]
    Unreadable {
        /// Path in the tree.
        path: Vec<u8>,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Problem {
    /// Returns the path in the tree.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Vanished { path } | Self::Changed { path } | Self::Unreadable { path, .. } => {
                path
            }
        }
    }

    /// Makes the problem that an error of the operating system is.
    pub fn of(path: Vec<u8>, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound => Self::Vanished { path },
            _ => Self::Unreadable { path, cause },
        }
    }
}

impl Coded for Problem {
    fn code(&self) -> Code {
        match self {
            Self::Vanished { .. } => Code::FileVanished,
            Self::Changed { .. } => Code::FileChanged,
            Self::Unreadable { .. } => Code::FileUnreadable,
        }
    }
}

/// One entry that the walk came to.
#[derive(Debug)]
pub struct Found {
    /// The entry; contents of files are unread and attributes are empty until asked for.
    pub entry: TreeEntry,
    /// Where it is.
    pub path: PathBuf,
    /// What `lstat` said.
    pub stat: FileStat,
}

impl Found {
    /// Reads the extended attributes; needed only when the ctime changed.
    ///
    /// # Errors
    /// When the entry vanished or an attribute that matters cannot be read.
    pub fn read_xattrs(&mut self) -> Result<(), Problem> {
        let problem = |cause| Problem::of(self.entry.path.clone(), cause);
        self.entry.xattrs = read_xattrs(&self.path).map_err(problem)?;
        Ok(())
    }

    /// Looks again, after the entry changed under the reader.
    ///
    /// # Errors
    /// When it vanished or is no longer of its kind, which comes to the same.
    pub fn look_again(&mut self) -> Result<(), Problem> {
        let problem = |cause| Problem::of(self.entry.path.clone(), cause);
        let metadata = fs::symlink_metadata(&self.path).map_err(problem)?;
        let kind = kind_of(&metadata, &self.path).map_err(problem)?;
        if kind.name() != self.entry.kind.name() {
            return Err(Problem::Vanished { path: self.entry.path.clone() });
        }
        self.entry = entry_of(std::mem::take(&mut self.entry.path), kind, &metadata);
        self.stat = FileStat::of(&metadata);
        Ok(())
    }

    /// Makes a further name of a regular file a file of its own, because the first name could
    /// not be stored.
    ///
    /// # Errors
    /// As [`look_again`](Self::look_again).
    pub fn promote(&mut self) -> Result<(), Problem> {
        self.entry.kind = Kind::File(FileContent::unread(self.stat.size, false));
        self.look_again()
    }
}

/// The walk over a tree.
#[derive(Debug)]
pub struct Walk {
    root: PathBuf,
    entries: walkdir::IntoIter,
    exclusions: Vec<PathBuf>,
    excluded_dirs: HashSet<(u64, u64)>,
    first_names: HashMap<(u64, u64), Vec<u8>>,
}

impl Walk {
    /// Begins a walk below `root`, which may be a symbolic link to a directory.
    ///
    /// `exclusions` and everything below them are left out, under whatever name they are met.
    ///
    /// # Errors
    /// When the root is missing, not a directory, cannot be listed or is itself excluded.
    pub fn new(root: &Path, exclusions: Vec<PathBuf>) -> Result<Self, WalkError> {
        let unreadable = |cause| WalkError::Unreadable { path: root.to_owned(), cause };
        let metadata = fs::metadata(root).map_err(unreadable)?;
        if !metadata.is_dir() {
            return Err(WalkError::NotDirectory { path: root.to_owned() });
        }
        fs::read_dir(root).map_err(unreadable)?;
        let real = fs::canonicalize(root).map_err(unreadable)?;
        let mut excluded_dirs = HashSet::new();
        for exclusion in &exclusions {
            if let Ok(metadata) = fs::metadata(exclusion)
                && metadata.is_dir()
            {
                excluded_dirs.insert((metadata.dev(), metadata.ino()));
            }
            let place = fs::canonicalize(exclusion).unwrap_or_else(|_| exclusion.clone());
            if real.starts_with(&place) {
                let (path, exclusion) = (root.to_owned(), exclusion.clone());
                return Err(WalkError::Excluded { path, exclusion });
            }
        }
        let entries = WalkDir::new(root)
            .follow_links(false)
            .follow_root_links(true)
            .sort_by_file_name()
            .into_iter();
        let (root, first_names) = (root.to_owned(), HashMap::new());
        Ok(Self { root, entries, exclusions, excluded_dirs, first_names })
    }

    fn tree_path(&self, path: &Path) -> Vec<u8> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.as_os_str().as_bytes().to_vec()
    }

    fn is_excluded(&self, path: &Path, metadata: &Metadata) -> bool {
        metadata.is_dir() && self.excluded_dirs.contains(&(metadata.dev(), metadata.ino()))
            || self.exclusions.iter().any(|exclusion| exclusion == path)
    }

    /// Returns what an entry of the directory walk is; none when it is left out.
    fn look_at(&mut self, entry: &walkdir::DirEntry) -> Option<Result<Found, Problem>> {
        let (path, depth) = (entry.path(), entry.depth());
        if depth > 0 && entry.file_name().as_bytes().starts_with(STAGING_PREFIX.as_bytes()) {
            self.skip_contents(entry);
            return None;
        }
        let tree_path = self.tree_path(path);
        let stat = if depth == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let metadata = match stat {
            Ok(metadata) => metadata,
            Err(cause) => {
                self.skip_contents(entry);
                return Some(Err(Problem::of(tree_path, cause)));
            }
        };
        if self.is_excluded(path, &metadata) {
            self.skip_contents(entry);
            return None;
        }
        // Replaced between the listing and the look at it: what was listed below it is not its.
        if depth > 0 && entry.file_type().is_dir() != metadata.is_dir() {
            self.skip_contents(entry);
            return Some(Err(Problem::Vanished { path: tree_path }));
        }
        let kind = match kind_of(&metadata, path) {
            Ok(kind) => self.link_or(kind, &metadata, &tree_path),
            Err(cause) => return Some(Err(Problem::of(tree_path, cause))),
        };
        let entry = entry_of(tree_path, kind, &metadata);
        // A slash behind the root means the directory, even if its name is a symbolic link.
        let path = if depth == 0 { path.join("") } else { path.to_owned() };
        Some(Ok(Found { entry, path, stat: FileStat::of(&metadata) }))
    }

    fn skip_contents(&mut self, entry: &walkdir::DirEntry) {
        // For anything but a directory it would skip the rest of the parent.
        if entry.file_type().is_dir() {
            self.entries.skip_current_dir();
        }
    }

    fn link_or(&mut self, kind: Kind, metadata: &Metadata, tree_path: &[u8]) -> Kind {
        if metadata.nlink() < 2 || metadata.is_dir() {
            return kind;
        }
        match self.first_names.entry((metadata.dev(), metadata.ino())) {
            std::collections::hash_map::Entry::Occupied(first) => {
                Kind::Hardlink { link: first.get().clone() }
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(tree_path.to_vec());
                kind
            }
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Found, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.entries.next()? {
                Ok(entry) => self.look_at(&entry),
                Err(error) => {
                    let path = error.path().map(|path| self.tree_path(path)).unwrap_or_default();
                    let cause = error.into_io_error().unwrap_or_else(|| Errno::LOOP.into());
                    Some(Err(Problem::of(path, cause)))
                }
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

fn entry_of(path: Vec<u8>, kind: Kind, metadata: &Metadata) -> TreeEntry {
    TreeEntry {
        path,
        kind,
        mode: metadata.mode() & MODE_MAX,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: FileStat::of(metadata).mtime,
        xattrs: BTreeMap::new(),
    }
}

fn kind_of(metadata: &Metadata, path: &Path) -> io::Result<Kind> {
    let file_type = metadata.file_type();
    let device = metadata.rdev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(if file_type.is_file() {
        let sparse = metadata.blocks().saturating_mul(STAT_BLOCK_LEN) < metadata.len();
        Kind::File(FileContent::unread(metadata.len(), sparse))
    } else if file_type.is_dir() {
        Kind::Dir
    } else if file_type.is_symlink() {
        Kind::Symlink { target: fs::read_link(path)?.into_os_string().into_vec() }
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else if file_type.is_socket() {
        Kind::Socket
    } else if file_type.is_char_device() {
        Kind::Char { major, minor }
    } else {
        Kind::Block { major, minor }
    })
}

fn read_xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    const PREFIXES: [&[u8]; 4] = [b"user.", b"security.", b"system.posix_acl_", b"trusted."];
    let mut xattrs = BTreeMap::new();
    let names = match xattr::list(path) {
        Ok(names) => names,
        // Not every file system has attributes.
        Err(cause) if Errno::from_io_error(&cause) == Some(Errno::OPNOTSUPP) => return Ok(xattrs),
        Err(cause) => return Err(cause),
    };
    for name in names {
        let bytes = name.as_bytes();
        if !PREFIXES.iter().any(|prefix| bytes.starts_with(prefix)) {
            continue;
        }
        match xattr::get(path, &name) {
            Ok(Some(value)) => drop(xattrs.insert(bytes.to_vec(), value)),
            Ok(None) => {}
            // Only root may read these; others do without.
            Err(_) if bytes.starts_with(b"trusted.") => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(xattrs)
}

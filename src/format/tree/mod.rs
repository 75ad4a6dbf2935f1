//! The tree of the uploads: one JSON line an entry, sorted by path. Spec: §7.
//!
//! - The order is by path components, compared bytewise; a directory precedes its contents.
//! - Any bytes that a file system can hold round-trip; what is not UTF-8 is base64.
//! - A line is at most `TREE_LINE_LEN_MAX` bytes, and reading a hostile one never panics.

mod line;
mod lines;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use thiserror::Error;

pub use self::lines::Lines;
use super::extent::Extent;
use crate::base::limits::{JSON_INTEGER_MAX, TREE_LINE_LEN_MAX};
use crate::base::{Code, Coded};

/// Largest permission bits of an entry: setuid, setgid, sticky and rwx three times.
pub const MODE_MAX: u32 = 0o7777;

/// A digest that no file has: the contents have not been read yet.
const B3_UNREAD: [u8; 32] = [0; 32];

/// A time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970-01-01, negative before.
    pub sec: i64,
    /// Nanoseconds of that second, less than 1,000,000,000.
    pub nsec: u32,
}

/// The contents of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// Length in bytes.
    pub size: u64,
    /// Plain BLAKE3 of the contents, as `b3sum` prints it.
    pub b3: blake3::Hash,
    /// Where the bytes are, in order.
    pub extents: Vec<Extent>,
    /// Whether the file had holes; restoring then leaves runs of zeros out.
    pub sparse: bool,
}

impl FileContent {
    /// Makes the contents of a file that has not been read; it has no line until it is.
    pub fn unread(size: u64, sparse: bool) -> Self {
        let b3 = blake3::Hash::from_bytes(B3_UNREAD);
        Self { size, b3, extents: Vec::new(), sparse }
    }
}

impl FileContent {
    /// Tells whether the extents add up to the size.
    pub fn extents_fill(&self) -> bool {
        let mut lens = self.extents.iter().map(|extent| extent.len);
        lens.try_fold(0u64, u64::checked_add) == Some(self.size)
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(FileContent),
    /// A directory.
    Dir,
    /// A symbolic link and the bytes it holds.
    Symlink {
        /// Where it points, verbatim.
        target: Vec<u8>,
    },
    /// A further name of an entry that came before.
    Hardlink {
        /// The path of the first entry with that inode.
        link: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket: listed, never restored.
    Socket,
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

impl Kind {
    /// Returns the kind's name as a line has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "dir",
            Self::Symlink { .. } => "symlink",
            Self::Hardlink { .. } => "hardlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Char { .. } => "char",
            Self::Block { .. } => "block",
        }
    }
}

/// One entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Path below the root, components joined by `/`; empty for the root itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `MODE_MAX` at most.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Time,
    /// Extended attributes, by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An entry or a line that the format does not allow.
#[derive(Debug, Error)]
pub enum TreeError {
    /// The line is too long.
    #[error("read a tree line of {len} bytes: at most {max} are allowed")]
    TooLong {
        /// Its length, or how much of it was read.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The last line has no newline.
    #[error("read a tree: its last line has no end")]
    Unfinished,
    /// The line is not the JSON that it must be.
    #[error("read a tree line as JSON")]
    Json(#[from] serde_json::Error),
    /// A path is not one.
    #[error("use {:?} as a path in a tree: {reason}", String::from_utf8_lossy(path))]
    Path {
        /// The path.
        path: Vec<u8>,
        /// What is wrong.
        reason: &'static str,
    },
    /// A field is missing, misplaced or out of range.
    #[error("use field {field} of a tree entry: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Coded for TreeError {
    fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::LimitExceeded,
            Self::Json(_) | Self::Path { .. } | Self::Field { .. } | Self::Unfinished => {
                Code::FormatInvalid
            }
        }
    }
}

impl TreeEntry {
    /// Returns the entry's line, newline included.
    ///
    /// # Errors
    /// When a reader would refuse the line; nothing that cannot be read back is ever written.
    pub fn to_line(&self) -> Result<Vec<u8>, TreeError> {
        let extents = match &self.kind {
            Kind::File(content) => content.extents.as_slice(),
            _ => &[],
        };
        to_line_with(&self.head()?, extents)
    }

    /// Returns the entry's line without extents and newline: a JSON object, to be kept for as
    /// long as the file does not change and given to [`to_line_with`].
    ///
    /// # Errors
    /// When a reader would refuse the entry, or its contents are still unread.
    pub fn head(&self) -> Result<Vec<u8>, TreeError> {
        check_entry(self)?;
        Ok(line::head_of(self))
    }

    /// Reads a line, with or without its newline.
    ///
    /// # Errors
    /// For anything that [`to_line`](Self::to_line) would not write, except that unknown fields
    /// are ignored.
    pub fn parse_line(line: &[u8]) -> Result<Self, TreeError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        check_line_len(line.len() as u64 + 1)?;
        let entry = line::parse(line)?;
        check_entry(&entry)?;
        Ok(entry)
    }
}

/// Joins a head and the extents of its file to a line, newline included.
///
/// # Errors
/// When the line would be longer than a reader accepts.
pub fn to_line_with(head: &[u8], extents: &[Extent]) -> Result<Vec<u8>, TreeError> {
    let line = line::join(head, extents);
    check_line_len(line.len() as u64)?;
    Ok(line)
}

/// Checks the length of a line, newline included.
///
/// # Errors
/// [`TreeError::TooLong`] if it is longer than the format allows.
pub fn check_line_len(len: u64) -> Result<(), TreeError> {
    let max = TREE_LINE_LEN_MAX as u64;
    if len <= max { Ok(()) } else { Err(TreeError::TooLong { len, max }) }
}

/// Compares paths as a tree is sorted: by components, each bytewise.
pub fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    a.split(|byte| *byte == b'/').cmp(b.split(|byte| *byte == b'/'))
}

/// Returns a key whose byte order is the order of [`compare_paths`].
pub fn sort_key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

/// Checks that `path` stays below the root: relative, no empty, `.` or `..` component, no NUL.
///
/// The empty path is the root and passes.
///
/// # Errors
/// [`TreeError::Path`] with what is wrong.
pub fn check_path(path: &[u8]) -> Result<(), TreeError> {
    let wrong = |reason| Err(TreeError::Path { path: path.to_vec(), reason });
    if path.is_empty() {
        return Ok(());
    }
    if path.contains(&0) {
        return wrong("it contains a NUL");
    }
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" => return wrong("it has an empty component"),
            b"." | b".." => return wrong("it has a component . or .."),
            _ => {}
        }
    }
    Ok(())
}

fn check_entry(entry: &TreeEntry) -> Result<(), TreeError> {
    let wrong = |field, reason| Err(TreeError::Field { field, reason });
    check_path(&entry.path)?;
    if entry.path.is_empty() && entry.kind != Kind::Dir {
        return wrong("kind", "the root is not a directory");
    }
    if entry.mode > MODE_MAX {
        return wrong("mode", "beyond 07777");
    }
    // The system calls read this number as "leave it".
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return wrong("uid or gid", "4294967295 names nobody");
    }
    if entry.mtime.nsec >= 1_000_000_000 || entry.mtime.sec.unsigned_abs() > JSON_INTEGER_MAX {
        return wrong("mtime", "out of range");
    }
    if entry.xattrs.keys().any(|name| name.is_empty() || name.contains(&0)) {
        return wrong("xattrs", "a name is empty or contains a NUL");
    }
    match &entry.kind {
        Kind::File(content) => check_content(content),
        Kind::Symlink { target } if target.is_empty() || target.contains(&0) => {
            wrong("target", "empty or with a NUL")
        }
        Kind::Hardlink { link } => {
            check_path(link)?;
            if link.is_empty() || compare_paths(link, &entry.path) != Ordering::Less {
                return wrong("link", "does not come before the entry");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_content(content: &FileContent) -> Result<(), TreeError> {
    let wrong = |field, reason| Err(TreeError::Field { field, reason });
    if content.size > JSON_INTEGER_MAX {
        return wrong("size", "beyond 2^53");
    }
    if content.b3.as_bytes() == &B3_UNREAD {
        return wrong("b3", "the contents have not been read");
    }
    if content.extents.iter().any(|extent| extent.end().is_none()) {
        return wrong("extents", "an extent ends beyond 2^53");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

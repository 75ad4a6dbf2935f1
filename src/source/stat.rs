//! What one `lstat` tells about a file; equal stats mean unchanged contents.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::format::Time;

/// Size, times and identity of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Last modification of the contents.
    pub mtime: Time,
    /// Last change of contents or metadata; no program can set it back.
    pub ctime: Time,
    /// Inode number.
    pub inode: u64,
    /// Device number of the file system.
    pub device: u64,
    /// Names of the inode.
    pub link_count: u64,
}

impl FileStat {
    /// Takes the stat out of `metadata`.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime: time(metadata.mtime(), metadata.mtime_nsec()),
            ctime: time(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
            link_count: metadata.nlink(),
        }
    }

    /// Returns whether both stats show the same inode with the same contents and metadata.
    ///
    /// The device is left out: overlay file systems may report another one for an open file.
    pub fn is_unchanged_from(&self, earlier: &Self) -> bool {
        let key = |stat: &Self| (stat.size, stat.mtime, stat.ctime, stat.inode);
        key(self) == key(earlier)
    }
}

fn time(sec: i64, nsec: i64) -> Time {
    // A file system that reports an impossible nanosecond gets a whole second.
    let nsec = u32::try_from(nsec).ok().filter(|nsec| *nsec < 1_000_000_000).unwrap_or(0);
    Time { sec, nsec }
}

//! Writing the tree: every entry of the cache as one line, through a lane of its own. Spec: §7.

use std::collections::HashMap;

use super::lane::{Feed, StreamEnd, Tag};
use super::rows::TreeCheck;
use crate::base::limits::WINDOW_LEN;
use crate::base::{Digest, PackId};
use crate::format::Extent;
use crate::format::tree::to_line_with;
use crate::manifest::{CachedKind, FileCache, PackNumber};
use crate::ops::Error;

/// What the tree holds, counted while it was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeCounts {
    /// Regular files, first names only.
    pub file_count: u64,
    /// Directories, the root included.
    pub dir_count: u64,
    /// Entries of other kinds.
    pub other_count: u64,
    /// Bytes of all regular files.
    pub content_len: u64,
}

/// Writes the tree into a feed; adds to `used` how much of each pack the files use, and compares
/// the files with the rows that name them.
pub fn write(
    cache: &FileCache,
    names: &HashMap<PackNumber, PackId>,
    used: &mut HashMap<PackNumber, u64>,
    rows: &mut TreeCheck<'_>,
    feed: &mut Feed,
) -> Result<TreeCounts, Error> {
    let mut counts = TreeCounts::default();
    let mut hasher = blake3::Hasher::new();
    let (mut window, mut len) = (Vec::with_capacity(WINDOW_LEN), 0u64);
    cache.visit::<Error>(|file| {
        rows.pass(&file);
        let mut extents = Vec::with_capacity(file.pieces.len());
        for piece in &file.pieces {
            *used.entry(piece.pack).or_default() += piece.len;
            counts.content_len += piece.len;
            let pack = *names.get(&piece.pack).ok_or(Error::Closed)?;
            extents.push(Extent { pack, offset: piece.offset, len: piece.len });
        }
        match file.kind {
            CachedKind::File => counts.file_count += 1,
            CachedKind::Dir => counts.dir_count += 1,
            CachedKind::Other => counts.other_count += 1,
        }
        window.extend_from_slice(&to_line_with(&file.head, &extents)?);
        if window.len() >= WINDOW_LEN {
            hasher.update(&window);
            len += window.len() as u64;
            feed.window(&window)?;
            window.clear();
        }
        Ok(())
    })?;
    hasher.update(&window);
    len += window.len() as u64;
    feed.window(&window)?;
    let b3 = Digest::from_bytes(*hasher.finalize().as_bytes());
    feed.end(StreamEnd { tag: Tag::Only, len, b3 })?;
    Ok(counts)
}

//! Files that are planned to be checked, and what is known of them.

use std::collections::BTreeMap;

use rusqlite::Row;

use crate::base::{Digest, PackId};
use crate::format::extent::Extent;

/// Bytes of an extent in a row.
const EXTENT_LEN: usize = 48;

/// Extents beyond which no further file is taken at the same time.
pub(super) const EXTENTS_AT_ONCE: usize = 64 * 1024;

/// A file to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its number in the plan.
    pub number: i64,
    /// The caller's number of its generation.
    pub generation: u32,
    /// What its bytes must hash to.
    pub b3: Digest,
    /// Where its bytes are.
    pub extents: Vec<Extent>,
    /// Where in the pack that it was asked for the first of its bytes is.
    pub(super) start: u64,
}

/// A file that is to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// What tells it from every other.
    pub identity: [u8; 32],
    /// What its bytes must hash to.
    pub b3: Digest,
    /// Where its bytes are.
    pub extents: Vec<Extent>,
}

/// A place among the files of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    pub(super) start: u64,
    pub(super) number: i64,
}

impl PlannedFile {
    /// Returns the place after it among the files of the pack that it was asked for.
    pub fn mark(&self) -> Mark {
        Mark { start: self.start, number: self.number }
    }
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It has its digest.
    Sound,
    /// It does not, or cannot be read.
    Failed(Cause),
}

/// Why a file is not sound. Nothing, if a pack that it needs is known to be damaged.
pub type Cause = Option<(String, String)>;

/// Takes files as long as they have few extents together, and one at least.
pub(super) fn few(
    rows: impl Iterator<Item = rusqlite::Result<PlannedFile>>,
) -> rusqlite::Result<Vec<PlannedFile>> {
    let (mut files, mut extent_count) = (Vec::new(), 0);
    for file in rows {
        let file = file?;
        extent_count += file.extents.len();
        files.push(file);
        if extent_count >= EXTENTS_AT_ONCE {
            break;
        }
    }
    Ok(files)
}

/// Returns the packs of extents, each once, with the first byte of them that is in it.
pub(super) fn starts(extents: &[Extent]) -> BTreeMap<PackId, u64> {
    let mut starts = BTreeMap::new();
    for extent in extents {
        let start = starts.entry(extent.pack).or_insert(extent.offset);
        *start = extent.offset.min(*start);
    }
    starts
}

/// Returns extents as a row has them.
pub(super) fn to_bytes(extents: &[Extent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(extents.len() * EXTENT_LEN);
    for extent in extents {
        bytes.extend_from_slice(extent.pack.as_bytes());
        bytes.extend_from_slice(&extent.offset.to_be_bytes());
        bytes.extend_from_slice(&extent.len.to_be_bytes());
    }
    bytes
}

/// Reads a file from a row with its number, generation, digest, extents and first byte in a pack.
pub(super) fn planned(row: &Row<'_>) -> rusqlite::Result<PlannedFile> {
    let bytes: Vec<u8> = row.get(3)?;
    let extents = bytes.chunks_exact(EXTENT_LEN).map(|bytes| {
        let number =
            |at: usize| bytes[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let mut pack = [0; 32];
        pack.copy_from_slice(&bytes[..32]);
        Extent { pack: PackId::from_bytes(pack), offset: number(32), len: number(40) }
    });
    Ok(PlannedFile {
        number: row.get(0)?,
        generation: row.get(1)?,
        b3: Digest::from_bytes(row.get(2)?),
        extents: extents.collect(),
        start: row.get(4)?,
    })
}

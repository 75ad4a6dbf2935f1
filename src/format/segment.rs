//! The chunk index of the packs that one snapshot names first, for the host alone. Spec: §9.
//!
//! ```text
//! header   magic "IDSWSEGM", version u16, requires u16, vault [16], generation [25],
//!          snapshot [25], pack_count u32
//! pack     id [32], profile u8, zero [3], stored_len u64, raw_len u64, chunk_count u32,
//!          chunk_count × { id [32], raw_len u32 }
//! ```
//!
//! As a zstd stream with padding, sealed to the index identity, it is one more age file.

use std::io::Read;

use thiserror::Error;

use super::pack::{CHUNK_ENTRY_LEN, ChunkEntry};
use super::wire::{Reader, put_u16, put_u32, put_u64};
use crate::base::limits::PACK_CHUNK_COUNT_MAX;
use crate::base::{ChunkId, Code, Coded, GenerationId, PackId, Profile, SnapshotId, VaultId};

const MAGIC: &[u8; 8] = b"IDSWSEGM";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 8 + 2 + 2 + 16 + 2 * SnapshotId::TEXT_LEN + 4;
const PACK_HEAD_LEN: usize = 32 + 4 + 8 + 8 + 4;

/// A segment that does not follow the format.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// Not a segment, or cut short.
    #[error("read an index segment: {0}")]
    Invalid(&'static str),
    /// A later format.
    #[error(
        "read an index segment: version {version}, requires {requires:#x} (known: {VERSION}, 0)"
    )]
    TooNew {
        /// The version found.
        version: u16,
        /// The required features found.
        requires: u16,
    },
    /// The bytes do not decompress.
    #[error("read an index segment")]
    Read(#[from] std::io::Error),
}

impl Coded for SegmentError {
    fn code(&self) -> Code {
        match self {
            Self::TooNew { .. } => Code::FormatTooNew,
            _ => Code::FormatInvalid,
        }
    }
}

/// What a segment begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The vault.
    pub vault: VaultId,
    /// The generation.
    pub generation: GenerationId,
    /// The snapshot that names the packs first.
    pub snapshot: SnapshotId,
    /// How many packs follow.
    pub pack_count: u32,
}

/// One pack and its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPack {
    /// The pack.
    pub id: PackId,
    /// Its profile.
    pub profile: Profile,
    /// Its stored length in bytes.
    pub stored_len: u64,
    /// Its raw length in bytes.
    pub raw_len: u64,
    /// Its chunks in order.
    pub chunks: Vec<ChunkEntry>,
}

impl SegmentHeader {
    /// Returns the header's bytes.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_u16(&mut out, VERSION);
        put_u16(&mut out, 0);
        out.extend_from_slice(self.vault.as_bytes());
        out.extend_from_slice(self.generation.to_string().as_bytes());
        out.extend_from_slice(self.snapshot.to_string().as_bytes());
        put_u32(&mut out, self.pack_count);
        out
    }

    /// Reads the header.
    ///
    /// # Errors
    /// If it is not one, or of a later format.
    pub fn read(source: &mut impl Read) -> Result<Self, SegmentError> {
        let mut bytes = [0; HEADER_LEN];
        source.read_exact(&mut bytes)?;
        let mut reader = Reader::new(&bytes);
        if reader.array() != *MAGIC {
            return Err(SegmentError::Invalid("the magic is missing"));
        }
        let (version, requires) = (reader.u16(), reader.u16());
        if version != VERSION || requires != 0 {
            return Err(SegmentError::TooNew { version, requires });
        }
        let vault = VaultId::from_bytes(reader.array());
        let text = |bytes: [u8; 25]| String::from_utf8_lossy(&bytes).into_owned();
        let malformed = SegmentError::Invalid("an id is malformed");
        let (generation, snapshot) = (text(reader.array()), text(reader.array()));
        let (Ok(generation), Ok(snapshot)) = (generation.parse(), snapshot.parse()) else {
            return Err(malformed);
        };
        Ok(Self { vault, generation, snapshot, pack_count: reader.u32() })
    }
}

impl SegmentPack {
    /// Returns the pack's bytes in a segment.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PACK_HEAD_LEN + self.chunks.len() * CHUNK_ENTRY_LEN);
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&[self.profile.code(), 0, 0, 0]);
        put_u64(&mut out, self.stored_len);
        put_u64(&mut out, self.raw_len);
        let count = u32::try_from(self.chunks.len()).expect("a pack's chunk count is bounded");
        put_u32(&mut out, count);
        for chunk in &self.chunks {
            out.extend_from_slice(chunk.id.as_bytes());
            put_u32(&mut out, chunk.raw_len);
        }
        out
    }

    /// Reads the next pack.
    ///
    /// # Errors
    /// If it is malformed, or its chunks do not add up to its raw length.
    pub fn read(source: &mut impl Read) -> Result<Self, SegmentError> {
        let mut head = [0; PACK_HEAD_LEN];
        source.read_exact(&mut head)?;
        let mut reader = Reader::new(&head);
        let id = PackId::from_bytes(reader.array());
        let [code, ..] = reader.array::<4>();
        let profile = Profile::from_code(code)
            .map_err(|_| SegmentError::Invalid("a profile is none of the three"))?;
        let (stored_len, raw_len, count) = (reader.u64(), reader.u64(), reader.u32());
        if count > PACK_CHUNK_COUNT_MAX {
            return Err(SegmentError::Invalid("a pack has more chunks than the format allows"));
        }
        let mut chunks = Vec::new();
        let mut sum = 0u64;
        for _ in 0..count {
            let mut bytes = [0; CHUNK_ENTRY_LEN];
            source.read_exact(&mut bytes)?;
            let mut reader = Reader::new(&bytes);
            let chunk =
                ChunkEntry { id: ChunkId::from_bytes(reader.array()), raw_len: reader.u32() };
            sum += u64::from(chunk.raw_len);
            chunks.push(chunk);
        }
        if sum != raw_len {
            return Err(SegmentError::Invalid("a pack's chunks do not add up to its length"));
        }
        Ok(Self { id, profile, stored_len, raw_len, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-130
    #[test]
    fn a_segment_reads_back_and_refuses_what_does_not_add_up() {
        let header = SegmentHeader {
            vault: VaultId::from_bytes([1; 16]),
            generation: "20261122T023000Z-00000001".parse().unwrap(),
            snapshot: "20261122T023000Z-00000002".parse().unwrap(),
            pack_count: 1,
        };
        let chunk = ChunkEntry { id: ChunkId::from_bytes([3; 32]), raw_len: 7 };
        let mut pack = SegmentPack {
            id: PackId::from_bytes([2; 32]),
            profile: Profile::File,
            stored_len: 70_000,
            raw_len: 14,
            chunks: vec![chunk, chunk],
        };
        let bytes = [header.compose(), pack.compose()].concat();
        let mut source = bytes.as_slice();
        assert_eq!(SegmentHeader::read(&mut source).unwrap(), header);
        assert_eq!(SegmentPack::read(&mut source).unwrap(), pack);
        assert!(SegmentPack::read(&mut source).is_err());
        pack.raw_len = 15;
        assert!(SegmentPack::read(&mut pack.compose().as_slice()).is_err());
    }
}

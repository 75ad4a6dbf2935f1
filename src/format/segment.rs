//! What the host keeps of one snapshot in the store, for itself alone. Spec: §9.
//!
//! ```text
//! header   magic "IDSWSEGM", version u16, requires u16, vault [16], generation [25],
//!          snapshot [25], pack_count u32, use_count u32, record_len u32
//! record   JSON: what the host lists of the snapshot
//! pack     id [32], profile u8, zero [3], stored_len u64, raw_len u64, chunk_count u32,
//!          chunk_count × { id [32], raw_len u32 }
//! use      id [32], used_len u64
//! ```
//!
//! - The packs are those that the snapshot names first, in the order in which they were made; the
//!   uses are of every pack that it names. From both a lost manifest is rebuilt.
//! - As a zstd stream with padding, sealed to the index identity, it is one more age file.

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::envelope::{self, FormatError};
use super::pack::{CHUNK_ENTRY_LEN, ChunkEntry};
use super::wire::{Reader, put_u16, put_u32, put_u64};
use crate::base::limits::{PACK_CHUNK_COUNT_MAX, SEGMENT_RECORD_LEN_MAX};
use crate::base::{ChunkId, Code, Coded, GenerationId, PackId, Profile, SnapshotId, VaultId};

const MAGIC: &[u8; 8] = b"IDSWSEGM";
const VERSION: u16 = 1;
const RECORD: &str = "segment record";
const HEADER_LEN: usize = 8 + 2 + 2 + 16 + 2 * SnapshotId::TEXT_LEN + 3 * 4;
const PACK_HEAD_LEN: usize = 32 + 4 + 8 + 8 + 4;
const USE_LEN: usize = 32 + 8;

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
    /// The record does not parse or is too long.
    #[error("read the record of an index segment")]
    Record(#[from] FormatError),
}

impl Coded for SegmentError {
    fn code(&self) -> Code {
        match self {
            Self::TooNew { .. } => Code::FormatTooNew,
            Self::Record(error) => error.code(),
            Self::Invalid(_) | Self::Read(_) => Code::FormatInvalid,
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
    /// How many packs follow the record.
    pub pack_count: u32,
    /// How many uses follow the packs.
    pub use_count: u32,
    /// Length of the record in bytes.
    pub record_len: u32,
}

/// What the host lists of a snapshot without a key, and no store may show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its tags.
    pub tags: Vec<String>,
    /// Counts and lengths.
    pub facts: Map<String, Value>,
}

impl SegmentRecord {
    /// Composes the record's JSON.
    ///
    /// # Errors
    /// [`FormatError::TooLong`] beyond the limit of a record.
    pub fn compose(&self) -> Result<Vec<u8>, FormatError> {
        let text = envelope::compose(RECORD, self)?;
        FormatError::check_len(RECORD, text.len(), SEGMENT_RECORD_LEN_MAX)?;
        Ok(text.into_bytes())
    }

    /// Reads the record that follows the header.
    ///
    /// # Errors
    /// If it is longer than the limit, cut short or malformed.
    pub fn read(source: &mut impl Read, record_len: u32) -> Result<Self, SegmentError> {
        let len = usize::try_from(record_len).unwrap_or(usize::MAX);
        FormatError::check_len(RECORD, len, SEGMENT_RECORD_LEN_MAX)?;
        let mut bytes = Vec::new();
        source.take(u64::from(record_len)).read_to_end(&mut bytes)?;
        if bytes.len() != len {
            return Err(SegmentError::Invalid("it ends within its record"));
        }
        Ok(envelope::parse(RECORD, &bytes)?)
    }
}

/// How much of a pack the snapshot uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackUse {
    /// The pack.
    pub id: PackId,
    /// Raw bytes that the snapshot's recipes take from it, repetitions counted.
    pub used_len: u64,
}

impl PackUse {
    /// Returns the use's bytes in a segment.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = self.id.as_bytes().to_vec();
        put_u64(&mut out, self.used_len);
        out
    }

    /// Reads the next use.
    ///
    /// # Errors
    /// If the segment ends before.
    pub fn read(source: &mut impl Read) -> Result<Self, SegmentError> {
        let mut bytes = [0; USE_LEN];
        source.read_exact(&mut bytes)?;
        let mut reader = Reader::new(&bytes);
        Ok(Self { id: PackId::from_bytes(reader.array()), used_len: reader.u64() })
    }
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
        put_u32(&mut out, self.use_count);
        put_u32(&mut out, self.record_len);
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
        let (pack_count, use_count, record_len) = (reader.u32(), reader.u32(), reader.u32());
        Ok(Self { vault, generation, snapshot, pack_count, use_count, record_len })
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

/// Reads a segment in its order, holding one pack at a time.
pub struct SegmentReader<R> {
    source: R,
    header: SegmentHeader,
    record: SegmentRecord,
    packs_left: u32,
    uses_left: u32,
}

impl<R: Read> SegmentReader<R> {
    /// Reads header and record.
    ///
    /// # Errors
    /// If they are malformed or of a later format.
    pub fn open(mut source: R) -> Result<Self, SegmentError> {
        let header = SegmentHeader::read(&mut source)?;
        let record = SegmentRecord::read(&mut source, header.record_len)?;
        let (packs_left, uses_left) = (header.pack_count, header.use_count);
        Ok(Self { source, header, record, packs_left, uses_left })
    }

    /// Returns whose segment it is.
    pub const fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Returns what the host lists of the snapshot.
    pub const fn record(&self) -> &SegmentRecord {
        &self.record
    }

    /// Returns the next pack, if there is another.
    ///
    /// # Errors
    /// If it is malformed or cut short.
    pub fn next_pack(&mut self) -> Result<Option<SegmentPack>, SegmentError> {
        if self.packs_left == 0 {
            return Ok(None);
        }
        self.packs_left -= 1;
        SegmentPack::read(&mut self.source).map(Some)
    }

    /// Returns the next use, if there is another; the packs must have been read.
    ///
    /// # Errors
    /// If it is cut short, or bytes follow the last one.
    pub fn next_use(&mut self) -> Result<Option<PackUse>, SegmentError> {
        debug_assert_eq!(self.packs_left, 0, "packs come before uses");
        if self.uses_left == 0 {
            return match self.source.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(SegmentError::Invalid("bytes follow its last use")),
            };
        }
        self.uses_left -= 1;
        PackUse::read(&mut self.source).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_whole(bytes: &[u8]) -> Result<(), SegmentError> {
        let mut reader = SegmentReader::open(bytes)?;
        while reader.next_pack()?.is_some() {}
        while reader.next_use()?.is_some() {}
        Ok(())
    }

    /// V-130, V-193
    #[test]
    fn a_segment_reads_back_and_refuses_what_does_not_add_up() {
        let header = SegmentHeader {
            vault: VaultId::from_bytes([1; 16]),
            generation: "20261122T023000Z-00000001".parse().unwrap(),
            snapshot: "20261122T023000Z-00000002".parse().unwrap(),
            pack_count: 1,
            use_count: 1,
            record_len: 0,
        };
        let tags = vec!["monthly".to_owned()];
        let facts = Map::from_iter([("file_count".to_owned(), Value::from(3))]);
        let record = SegmentRecord { tags, facts };
        let record_bytes = record.compose().unwrap();
        let header =
            SegmentHeader { record_len: u32::try_from(record_bytes.len()).unwrap(), ..header };
        let used = PackUse { id: PackId::from_bytes([2; 32]), used_len: 9 };
        let chunk = ChunkEntry { id: ChunkId::from_bytes([3; 32]), raw_len: 7 };
        let mut pack = SegmentPack {
            id: PackId::from_bytes([2; 32]),
            profile: Profile::File,
            stored_len: 70_000,
            raw_len: 14,
            chunks: vec![chunk, chunk],
        };
        let bytes = [header.compose(), record_bytes, pack.compose(), used.compose()].concat();
        let mut reader = SegmentReader::open(bytes.as_slice()).unwrap();
        assert_eq!((reader.header(), reader.record()), (&header, &record));
        assert_eq!(reader.next_pack().unwrap(), Some(pack.clone()));
        assert_eq!(reader.next_pack().unwrap(), None);
        assert_eq!(reader.next_use().unwrap(), Some(used));
        assert_eq!(reader.next_use().unwrap(), None);
        for len in 0..bytes.len() {
            assert!(read_whole(&bytes[..len]).is_err(), "cut at {len}");
        }
        assert!(read_whole(&[&bytes[..], b"x"].concat()).is_err());
        let cut = &record.compose().unwrap()[..4];
        assert!(SegmentRecord::read(&mut &*cut, header.record_len).is_err());
        let error = SegmentRecord::read(&mut &*cut, u32::MAX).unwrap_err();
        assert_eq!(error.code(), Code::LimitExceeded);
        pack.raw_len = 15;
        assert!(SegmentPack::read(&mut pack.compose().as_slice()).is_err());
    }
}

//! The plaintext of a pack: block frames, padding, directory. Spec: §4.
//!
//! ```text
//! frame …                      one zstd frame a block
//! padding frame                skippable, zeros
//! directory frame              skippable:
//!   { id [32], raw_len u32 } × chunk_count
//!   { frame_len u32, raw_len u32 } × block_count
//!   footer [104]
//! ```
//!
//! Offsets are sums of the lengths before. The footer is last so that it is found from the end, and
//! the directory is last so that a pack can be sealed before its contents are known.

use thiserror::Error;

use super::frame::{DIRECTORY_MAGIC, PADDING_MAGIC, SKIPPABLE_HEAD_LEN, padding_after};
use super::wire::{Reader, put_u16, put_u32, put_u64};
use crate::base::limits::{BLOCK_LEN_MAX, CHUNK_LEN_MAX, PACK_CHUNK_COUNT_MAX};
use crate::base::{ChunkId, Code, Coded, GenerationId, Profile, VaultId};

/// Bytes of the footer, the last of the plaintext.
pub const FOOTER_LEN: usize = 104;
/// Bytes of one chunk entry.
pub const CHUNK_ENTRY_LEN: usize = 36;
/// Bytes of one block entry.
pub const BLOCK_ENTRY_LEN: usize = 8;

const MAGIC: &[u8; 8] = b"IDSWPACK";
const VERSION: u16 = 1;

/// A pack plaintext that does not follow the format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackError {
    /// Not a pack, or cut short.
    #[error("read the pack's directory: {0}")]
    Invalid(String),
    /// A later format.
    #[error(
        "read the pack's directory: version {version}, requires {requires:#x} (known: {VERSION}, 0)"
    )]
    TooNew {
        /// The version found.
        version: u16,
        /// The required features found.
        requires: u16,
    },
    /// More entries than the format allows.
    #[error(
        "read the pack's directory: {count} entries, at most {PACK_CHUNK_COUNT_MAX} are allowed"
    )]
    TooMany {
        /// The count found.
        count: u32,
    },
}

impl Coded for PackError {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::FormatInvalid,
            Self::TooNew { .. } => Code::FormatTooNew,
            Self::TooMany { .. } => Code::LimitExceeded,
        }
    }
}

/// One chunk in a pack, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk's id.
    pub id: ChunkId,
    /// Its length in bytes.
    pub raw_len: u32,
}

/// One block in a pack, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Length of its zstd frame in bytes.
    pub frame_len: u32,
    /// Length of its content in bytes.
    pub raw_len: u32,
}

/// To whom a pack belongs and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOwner {
    /// The vault.
    pub vault: VaultId,
    /// The generation.
    pub generation: GenerationId,
    /// The profile of all its chunks.
    pub profile: Profile,
}

/// Collects the directory of a pack while its blocks are written.
pub struct DirectoryBuilder {
    owner: PackOwner,
    chunks: Vec<ChunkEntry>,
    blocks: Vec<BlockEntry>,
    raw_len: u64,
    frames_len: u64,
}

impl DirectoryBuilder {
    /// Starts an empty directory.
    pub const fn new(owner: PackOwner) -> Self {
        Self { owner, chunks: Vec::new(), blocks: Vec::new(), raw_len: 0, frames_len: 0 }
    }

    /// Records a block, which consists of `chunks`.
    pub fn push(&mut self, block: BlockEntry, chunks: &[ChunkEntry]) {
        self.raw_len += u64::from(block.raw_len);
        self.frames_len += u64::from(block.frame_len);
        self.blocks.push(block);
        self.chunks.extend_from_slice(chunks);
    }

    /// Returns the chunks recorded so far.
    pub fn chunks(&self) -> &[ChunkEntry] {
        &self.chunks
    }

    /// Returns the raw bytes recorded so far.
    pub const fn raw_len(&self) -> u64 {
        self.raw_len
    }

    /// Returns the plaintext bytes that the pack would have without padding.
    pub fn content_len(&self) -> u64 {
        self.frames_len + (2 * SKIPPABLE_HEAD_LEN + self.directory_len()) as u64
    }

    fn directory_len(&self) -> usize {
        self.chunks.len() * CHUNK_ENTRY_LEN + self.blocks.len() * BLOCK_ENTRY_LEN + FOOTER_LEN
    }

    /// Returns what follows the last frame: the padding frame and the directory frame.
    pub fn finish(&self) -> Vec<u8> {
        let directory_len = self.directory_len();
        let after_padding = (SKIPPABLE_HEAD_LEN + directory_len) as u64;
        let mut tail = padding_after(self.frames_len + after_padding);
        let padding_len = tail.len() - SKIPPABLE_HEAD_LEN;
        tail.reserve(SKIPPABLE_HEAD_LEN + directory_len);
        put_u32(&mut tail, DIRECTORY_MAGIC);
        put_u32(&mut tail, count(directory_len));
        for chunk in &self.chunks {
            tail.extend_from_slice(chunk.id.as_bytes());
            put_u32(&mut tail, chunk.raw_len);
        }
        for block in &self.blocks {
            put_u32(&mut tail, block.frame_len);
            put_u32(&mut tail, block.raw_len);
        }
        self.push_footer(&mut tail, directory_len, padding_len);
        tail
    }

    fn push_footer(&self, out: &mut Vec<u8>, directory_len: usize, padding_len: usize) {
        out.extend_from_slice(MAGIC);
        put_u16(out, VERSION);
        put_u16(out, 0);
        out.push(self.owner.profile.code());
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(self.owner.vault.as_bytes());
        out.extend_from_slice(self.owner.generation.to_string().as_bytes());
        out.extend_from_slice(&[0; 7]);
        put_u32(out, count(self.chunks.len()));
        put_u32(out, count(self.blocks.len()));
        put_u64(out, self.raw_len);
        put_u64(out, self.frames_len);
        put_u64(out, directory_len as u64);
        put_u32(out, count(padding_len));
        put_u32(out, 0);
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a pack is closed long before its directory reaches 4 GiB")
}

/// The footer of a pack: enough to find everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// To whom the pack belongs.
    pub owner: PackOwner,
    /// How many chunks it holds.
    pub chunk_count: u32,
    /// How many blocks it holds.
    pub block_count: u32,
    /// Bytes of all chunks.
    pub raw_len: u64,
    /// Bytes of all block frames.
    pub frames_len: u64,
    /// Bytes of the directory frame's content, the footer included.
    pub directory_len: u64,
}

impl Footer {
    /// Parses the footer from the end of a plaintext of `plain_len` bytes.
    ///
    /// # Errors
    /// If it is not one, is of a later format, or its lengths do not add up to `plain_len`.
    pub fn parse(tail: &[u8], plain_len: u64) -> Result<Self, PackError> {
        let invalid = |reason: &str| PackError::Invalid(reason.to_owned());
        let start = tail.len().checked_sub(FOOTER_LEN).ok_or_else(|| invalid("cut short"))?;
        let mut reader = Reader::new(&tail[start..]);
        if reader.array() != *MAGIC {
            return Err(invalid("the footer's magic is missing"));
        }
        let (version, requires) = (reader.u16(), reader.u16());
        if version != VERSION || requires != 0 {
            return Err(PackError::TooNew { version, requires });
        }
        let [profile, ..] = reader.array::<4>();
        let profile = Profile::from_code(profile).map_err(|e| PackError::Invalid(e.to_string()))?;
        let vault = VaultId::from_bytes(reader.array());
        let generation = std::str::from_utf8(&reader.array::<25>())
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| invalid("the generation id does not parse"))?;
        reader.array::<7>();
        let footer = Self {
            owner: PackOwner { vault, generation, profile },
            chunk_count: reader.u32(),
            block_count: reader.u32(),
            raw_len: reader.u64(),
            frames_len: reader.u64(),
            directory_len: reader.u64(),
        };
        let padding_len = u64::from(reader.u32());
        footer.check(padding_len, plain_len)?;
        Ok(footer)
    }

    fn check(&self, padding_len: u64, plain_len: u64) -> Result<(), PackError> {
        for count in [self.chunk_count, self.block_count] {
            if count > PACK_CHUNK_COUNT_MAX {
                return Err(PackError::TooMany { count });
            }
        }
        let directory_len = u64::from(self.chunk_count) * CHUNK_ENTRY_LEN as u64
            + u64::from(self.block_count) * BLOCK_ENTRY_LEN as u64
            + FOOTER_LEN as u64;
        let heads = 2 * SKIPPABLE_HEAD_LEN as u64;
        let sum = [self.frames_len, padding_len, self.directory_len, heads]
            .into_iter()
            .try_fold(0u64, u64::checked_add);
        if self.directory_len != directory_len || sum != Some(plain_len) {
            return Err(PackError::Invalid(format!(
                "its lengths do not add up to the pack's {plain_len} bytes"
            )));
        }
        Ok(())
    }

    /// Returns where the block entries start, counted back from the end of the plaintext.
    pub fn blocks_from_end(&self) -> usize {
        self.block_count as usize * BLOCK_ENTRY_LEN + FOOTER_LEN
    }

    /// Returns where the directory frame starts, counted back from the end of the plaintext.
    pub fn directory_from_end(&self) -> usize {
        SKIPPABLE_HEAD_LEN + self.chunk_count as usize * CHUNK_ENTRY_LEN + self.blocks_from_end()
    }
}

/// The blocks of a pack and where each starts: what a restore needs.
#[derive(Debug, Clone)]
pub struct Blocks {
    entries: Vec<BlockEntry>,
    frame_starts: Vec<u64>,
    raw_starts: Vec<u64>,
}

impl Blocks {
    /// Parses the block entries from the end of the plaintext.
    ///
    /// # Errors
    /// If a length is out of bounds or the sums differ from the footer's.
    pub fn parse(footer: &Footer, tail: &[u8]) -> Result<Self, PackError> {
        let invalid = |reason: String| PackError::Invalid(reason);
        let start = tail.len().checked_sub(footer.blocks_from_end());
        let start = start.ok_or_else(|| invalid("cut short".to_owned()))?;
        let mut reader = Reader::new(&tail[start..tail.len() - FOOTER_LEN]);
        let mut blocks = Self {
            entries: Vec::with_capacity(footer.block_count as usize),
            frame_starts: vec![0],
            raw_starts: vec![0],
        };
        let (mut frame_at, mut raw_at) = (0u64, 0u64);
        for index in 0..footer.block_count {
            let entry = BlockEntry { frame_len: reader.u32(), raw_len: reader.u32() };
            let BlockEntry { frame_len: len, raw_len: raw } = entry;
            if !(1..=BLOCK_LEN_MAX).contains(&(raw as usize)) || len > super::frame::len_max(raw) {
                return Err(invalid(format!("block {index} has {len} bytes for {raw} raw ones")));
            }
            frame_at += u64::from(entry.frame_len);
            raw_at += u64::from(entry.raw_len);
            blocks.entries.push(entry);
            blocks.frame_starts.push(frame_at);
            blocks.raw_starts.push(raw_at);
        }
        if frame_at != footer.frames_len || raw_at != footer.raw_len {
            return Err(invalid("its blocks do not add up to the footer's lengths".to_owned()));
        }
        Ok(blocks)
    }

    /// Returns how many blocks there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the length of all blocks' content.
    pub fn raw_len(&self) -> u64 {
        self.raw_starts[self.entries.len()]
    }

    /// Returns the index of the block that holds a raw offset below [`Self::raw_len`].
    pub fn at_raw(&self, offset: u64) -> usize {
        self.raw_starts.partition_point(|&start| start <= offset) - 1
    }

    /// Returns the raw offsets where a block starts and ends.
    pub fn raw_range(&self, index: usize) -> std::ops::Range<u64> {
        self.raw_starts[index]..self.raw_starts[index + 1]
    }

    /// Returns the plaintext offsets where a block's frame starts and ends.
    pub fn frame_range(&self, index: usize) -> std::ops::Range<u64> {
        self.frame_starts[index]..self.frame_starts[index + 1]
    }
}

/// Parses the chunk entries and checks the whole directory frame.
///
/// # Errors
/// If the frame is not where the footer says, a length is out of bounds, a chunk spans two blocks,
/// or the sums differ.
pub fn parse_chunks(
    footer: &Footer,
    blocks: &Blocks,
    tail: &[u8],
) -> Result<Vec<ChunkEntry>, PackError> {
    let invalid = |reason: String| PackError::Invalid(reason);
    let start = tail.len().checked_sub(footer.directory_from_end());
    let start = start.ok_or_else(|| invalid("cut short".to_owned()))?;
    let mut reader = Reader::new(&tail[start..]);
    if reader.u32() != DIRECTORY_MAGIC || u64::from(reader.u32()) != footer.directory_len {
        return Err(invalid("the directory frame is not where the footer says".to_owned()));
    }
    let mut chunks = Vec::with_capacity(footer.chunk_count as usize);
    let (mut raw_at, mut block) = (0u64, 0usize);
    for index in 0..footer.chunk_count {
        let id = ChunkId::from_bytes(reader.array());
        let raw_len = reader.u32();
        if raw_len == 0 || raw_len as usize > CHUNK_LEN_MAX || block >= blocks.len() {
            return Err(invalid(format!("chunk {index} has a length of {raw_len} bytes")));
        }
        raw_at += u64::from(raw_len);
        let block_end = blocks.raw_range(block).end;
        if raw_at > block_end {
            return Err(invalid(format!("chunk {index} spans two blocks")));
        }
        block += usize::from(raw_at == block_end);
        chunks.push(ChunkEntry { id, raw_len });
    }
    if raw_at != footer.raw_len {
        return Err(invalid("its chunks do not add up to the footer's length".to_owned()));
    }
    Ok(chunks)
}

/// Checks the padding frame at the start of `tail`, which begins where the last block frame ends.
///
/// # Errors
/// If it is not a padding frame of zeros: nothing may hide in a pack.
pub fn check_padding(footer: &Footer, tail: &[u8]) -> Result<(), PackError> {
    let invalid = |reason: &str| PackError::Invalid(reason.to_owned());
    let end = tail.len().checked_sub(footer.directory_from_end());
    let frame = end.map(|end| &tail[..end]).ok_or_else(|| invalid("cut short"))?;
    let (head, zeros) = frame
        .split_at_checked(SKIPPABLE_HEAD_LEN)
        .ok_or_else(|| invalid("the padding frame is cut short"))?;
    let mut reader = Reader::new(head);
    if reader.u32() != PADDING_MAGIC || reader.u32() as usize != zeros.len() {
        return Err(invalid("the padding frame is not where it must be"));
    }
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(invalid("the padding is not all zeros"));
    }
    Ok(())
}

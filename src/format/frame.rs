//! zstd frames: compressed blocks, raw blocks, padding, and whole small documents. Spec: §4.
//!
//! A sealed object's plaintext is a valid zstd stream, so `zstd -d` alone reads it: skippable
//! frames carry what is not content (RFC 8878, §3.1.2).

use std::cell::RefCell;
use std::io::{Read, Write};

use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

use super::padme::padded_len;
use crate::base::limits::BLOCK_LEN_MAX;
use crate::base::{Code, Coded};

/// Magic number of the skippable frame that holds padding.
pub const PADDING_MAGIC: u32 = 0x184D_2A50;
/// Magic number of the skippable frame that holds a pack's directory.
pub const DIRECTORY_MAGIC: u32 = 0x184D_2A51;
/// Bytes in front of a skippable frame's content: magic number and length.
pub const SKIPPABLE_HEAD_LEN: usize = 8;

const ZSTD_MAGIC: u32 = 0xFD2F_B528;
/// Single segment, four-byte content size, no checksum, no dictionary (RFC 8878, §3.1.1.1.1).
const RAW_FRAME_DESCRIPTOR: u8 = 0xA0;
/// Largest raw block in a frame (RFC 8878, §3.1.1.2.3).
const RAW_BLOCK_LEN_MAX: usize = 128 * 1024;

/// Bytes of a raw frame's header, and of the header of each block in it.
const RAW_FRAME_HEAD_LEN: u32 = 9;
const RAW_BLOCK_HEAD_LEN: u32 = 3;

/// A zstd frame that cannot be read.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The frame does not decompress.
    #[error("decompress: {0}")]
    Zstd(#[source] std::io::Error),
    /// The frame, or what came out of it, has another length than was recorded.
    #[error("decompress: {got} bytes were found, {expected} were recorded")]
    Len {
        /// Bytes that came out.
        got: usize,
        /// Bytes recorded.
        expected: usize,
    },
    /// The frame is not of the one kind that the format has.
    #[error("decompress: the frame has a checksum or a dictionary, or no content size")]
    Header,
    /// The content is larger than the format allows.
    #[error("decompress: more than the {max} bytes that the format allows came out")]
    TooLong {
        /// The limit in bytes.
        max: u64,
    },
}

impl Coded for FrameError {
    fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::LimitExceeded,
            _ => Code::FormatInvalid,
        }
    }
}

/// How a block becomes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Compressed at a zstd level.
    Level(i32),
    /// Stored as raw blocks, because it does not compress.
    Raw,
}

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Returns the length of the longest frame of a block: that of one that does not compress.
pub const fn len_max(raw_len: u32) -> u32 {
    let blocks = raw_len.div_ceil(128 * 1024);
    raw_len + RAW_FRAME_HEAD_LEN + blocks * RAW_BLOCK_HEAD_LEN
}

/// Returns the zstd frame of a block.
pub fn encode_block(raw: &[u8], compression: Compression) -> Vec<u8> {
    debug_assert!(raw.len() <= BLOCK_LEN_MAX);
    let Compression::Level(level) = compression else {
        return raw_frame(raw);
    };
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(have, _)| *have != level) {
            let new = Compressor::new(level).expect("zstd has memory for a context");
            *slot = Some((level, new));
        }
        let (_, compressor) = slot.as_mut().expect("the slot was filled above");
        let mut frame = compressor.compress(raw).expect("the buffer has zstd's own bound");
        frame.shrink_to_fit();
        if frame.len() < raw.len() { frame } else { raw_frame(raw) }
    })
}

/// Writes the frame of raw blocks that zstd would write for content it cannot compress.
fn raw_frame(raw: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(raw.len() + 9 + 3 * raw.len().div_ceil(RAW_BLOCK_LEN_MAX));
    frame.extend_from_slice(&ZSTD_MAGIC.to_le_bytes());
    frame.push(RAW_FRAME_DESCRIPTOR);
    frame.extend_from_slice(&len_u32(raw.len()).to_le_bytes());
    let mut rest = raw;
    loop {
        let (block, tail) = rest.split_at(rest.len().min(RAW_BLOCK_LEN_MAX));
        let last = u32::from(tail.is_empty());
        let head = (len_u32(block.len()) << 3) | last;
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
        if tail.is_empty() {
            return frame;
        }
        rest = tail;
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("lengths in a pack are bounded by its limits")
}

/// Decodes one block's frame into exactly `raw_len` bytes, in the place of what `raw` held.
///
/// # Errors
/// If it does not decompress, or not to that length; never more memory than the block limit.
pub fn decode_block(frame: &[u8], raw_len: usize, raw: &mut Vec<u8>) -> Result<(), FrameError> {
    if raw_len > BLOCK_LEN_MAX {
        return Err(FrameError::TooLong { max: BLOCK_LEN_MAX as u64 });
    }
    // One frame and nothing after it: nothing may hide in a pack.
    let frame_len = zstd::zstd_safe::find_frame_compressed_size(frame).unwrap_or(0);
    if frame_len != frame.len() {
        return Err(FrameError::Len { got: frame_len, expected: frame.len() });
    }
    // RFC 8878, §3.1.1.1.1: content size flag and single segment flag, checksum and dictionary.
    let flags = frame.get(4).copied().unwrap_or(0);
    if flags & 0b1110_0000 == 0 || flags & 0b111 != 0 {
        return Err(FrameError::Header);
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().expect("zstd has memory for a context")),
        };
        raw.clear();
        raw.reserve_exact(raw_len);
        let got = decompressor.decompress_to_buffer(frame, raw).map_err(FrameError::Zstd)?;
        if got == raw_len { Ok(()) } else { Err(FrameError::Len { got, expected: raw_len }) }
    })
}

/// Appends a skippable frame.
pub fn push_skippable(out: &mut Vec<u8>, magic: u32, content: &[u8]) {
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&len_u32(content.len()).to_le_bytes());
    out.extend_from_slice(content);
}

/// Returns the padding frame that brings `len` bytes and itself to a padded length.
pub fn padding_after(len: u64) -> Vec<u8> {
    let bare = len + SKIPPABLE_HEAD_LEN as u64;
    let zeros = usize::try_from(padded_len(bare) - bare).expect("padding is at most 12 %");
    let mut frame = Vec::with_capacity(SKIPPABLE_HEAD_LEN + zeros);
    push_skippable(&mut frame, PADDING_MAGIC, &vec![0; zeros]);
    frame
}

/// Compresses a document and pads it: the plaintext of a snapshot body.
pub fn encode_document(document: &[u8], level: i32) -> Vec<u8> {
    let in_memory = "compressing into memory does not fail";
    let mut encoder = zstd::Encoder::new(Vec::new(), level).expect(in_memory);
    encoder.write_all(document).expect(in_memory);
    let mut plain = encoder.finish().expect(in_memory);
    let padding = padding_after(plain.len() as u64);
    plain.extend(padding);
    plain
}

/// Decompresses a document, skipping its padding.
///
/// # Errors
/// If it does not decompress or is longer than `len_max` bytes.
pub fn decode_document(plain: &[u8], len_max: u64) -> Result<Vec<u8>, FrameError> {
    let decoder = zstd::Decoder::with_buffer(plain).map_err(FrameError::Zstd)?;
    let mut document = Vec::new();
    decoder.take(len_max + 1).read_to_end(&mut document).map_err(FrameError::Zstd)?;
    if document.len() as u64 > len_max {
        return Err(FrameError::TooLong { max: len_max });
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn decode(frame: &[u8], raw_len: usize) -> Result<Vec<u8>, FrameError> {
        let mut raw = b"what was there before".to_vec();
        decode_block(frame, raw_len, &mut raw).map(|()| raw)
    }

    /// V-40
    #[test]
    fn blocks_come_back_whether_compressed_or_raw() {
        for len in [1, 1000, RAW_BLOCK_LEN_MAX, RAW_BLOCK_LEN_MAX + 1, 1024 * 1024] {
            for raw in [noise(len), vec![b'a'; len]] {
                for compression in [Compression::Level(3), Compression::Raw] {
                    let frame = encode_block(&raw, compression);
                    assert_eq!(decode(&frame, len).unwrap(), raw);
                    let streamed = zstd::decode_all(frame.as_slice()).unwrap();
                    assert_eq!(streamed, raw);
                }
            }
        }
    }

    /// V-61
    #[test]
    fn noise_is_stored_raw_with_three_bytes_a_block_and_nine_a_frame() {
        let raw = noise(1024 * 1024);
        assert_eq!(encode_block(&raw, Compression::Level(3)).len(), raw.len() + 9 + 3 * 8);
    }

    /// V-29, V-42
    #[test]
    fn a_bomb_ends_at_the_recorded_length() {
        let bomb = zstd::encode_all(vec![0; 64 * 1024 * 1024].as_slice(), 3).unwrap();
        assert!(decode(&bomb, 1024).is_err());
        assert!(decode(&bomb, 64 * 1024 * 1024).is_err());
        assert!(matches!(decode_document(&bomb, 1024), Err(FrameError::TooLong { max: 1024 })));
    }

    /// V-27
    #[test]
    fn a_block_is_one_frame_and_nothing_else() {
        let raw = noise(1000);
        let (head, tail) = raw.split_at(500);
        let level = Compression::Level(3);
        let two = [encode_block(head, level), encode_block(tail, level)].concat();
        assert!(decode(&two, raw.len()).is_err());
        let mut hidden = encode_block(&raw, level);
        push_skippable(&mut hidden, PADDING_MAGIC, b"hidden");
        assert!(decode(&hidden, raw.len()).is_err());
    }

    #[test]
    fn documents_are_padded_and_come_back() {
        let plain = encode_document(&noise(100_000), 3);
        assert_eq!(plain.len() as u64, padded_len(plain.len() as u64));
        assert_eq!(decode_document(&plain, 100_000).unwrap(), noise(100_000));
        assert!(decode_document(&plain[..50_000], 100_000).is_err());
    }
}

//! Reading a pack: its directory, and any blocks by the pieces that hold them. Spec: §4.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rayon::prelude::*;

use super::Error;
use super::sealed_reader::{Run, read_plain};
use crate::base::limits::{PACK_STORED_LEN_MAX, SEALED_HEADER_LEN, SEALED_PIECE_LEN};
use crate::crypto::identity::GenerationIdentity;
use crate::crypto::seal::{self, PayloadKey};
use crate::format::frame::{SKIPPABLE_HEAD_LEN, decode_block};
use crate::format::pack::{self, Blocks, ChunkEntry, FOOTER_LEN, Footer, PackOwner};
use crate::format::{FormatError, ObjectKey};
use crate::store::Store;

/// Plaintext read from a pack's end at first: the whole directory of most packs.
pub(super) const TAIL_LEN: u64 = 4 * SEALED_PIECE_LEN as u64;

/// Where a pack is read from.
pub enum Source<'a> {
    /// Somebody else's store.
    Lent(&'a dyn Store),
    /// A store that has a version of the pack in its place.
    Shared(Arc<dyn Store>),
    /// A copy of the pack on this machine.
    Copied(File),
    /// All of its bytes.
    Whole(Vec<u8>),
}

impl Source<'_> {
    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Lent(store) => Ok(store.get_range(key, offset, len)?.into()),
            Self::Shared(store) => Ok(store.get_range(key, offset, len)?.into()),
            Self::Copied(file) => {
                let mut bytes = vec![0; len];
                let read = file.read_exact_at(&mut bytes, offset);
                read.map_err(|cause| Error::state("read the copy of", key.to_string(), cause))?;
                Ok(bytes.into())
            }
            Self::Whole(bytes) => {
                let part = usize::try_from(offset).ok().and_then(|at| {
                    let end = at.checked_add(len)?;
                    bytes.get(at..end)
                });
                let (have, need) = (bytes.len() as u64, offset.saturating_add(len as u64));
                part.map(Cow::Borrowed).ok_or(Error::Len { key: *key, len: have, need })
            }
        }
    }
}

/// A pack whose header and footer verified.
pub struct OpenPack<'a> {
    source: Source<'a>,
    key: ObjectKey,
    payload: PayloadKey,
    plain_len: u64,
    footer: Footer,
    blocks: Blocks,
    /// The plaintext, if looking for the directory had to read all of it.
    whole: Option<Run>,
}

impl<'a> OpenPack<'a> {
    /// Opens a pack of `owner`, whose profile is checked too.
    ///
    /// # Errors
    /// If it is missing, not authentic, malformed or of another owner.
    pub fn open(
        store: &'a dyn Store,
        key: ObjectKey,
        identity: &GenerationIdentity,
        owner: PackOwner,
    ) -> Result<Self, Error> {
        let Some(stat) = store.stat(&key)? else {
            let store = store.name().to_owned();
            return Err(crate::store::Error::Missing { store, key }.into());
        };
        Self::open_in(Source::Lent(store), key, stat.len, identity, owner)
    }

    /// Opens a pack of a stored length, as [`Self::open`] does.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(
        source: Source<'a>,
        key: ObjectKey,
        stored_len: u64,
        identity: &GenerationIdentity,
        owner: PackOwner,
    ) -> Result<Self, Error> {
        let plain_len = plain_len_of(&key, stored_len)?;
        let get = |offset, len| source.get_range(&key, offset, len);
        let header = get(0, SEALED_HEADER_LEN)?;
        let payload = seal::open_header(&key.to_string(), &header, identity)?;
        let tail_start = plain_len.saturating_sub(TAIL_LEN);
        let mut tail = Run::default();
        read_plain(get, &key, &payload, plain_len, tail_start..plain_len, &mut tail)?;
        let footer = Footer::parse(&tail, plain_len).map_err(|e| Error::format(key, e))?;
        check_owner(&key, &owner, &footer.owner)?;
        let need = footer.blocks_from_end() as u64;
        if tail.len() < footer.blocks_from_end() {
            read_plain(get, &key, &payload, plain_len, plain_len - need..plain_len, &mut tail)?;
        }
        let blocks = Blocks::parse(&footer, &tail).map_err(|e| Error::format(key, e))?;
        let whole = (plain_len <= TAIL_LEN).then_some(tail);
        Ok(Self { source, key, payload, plain_len, footer, blocks, whole })
    }

    /// Returns the pack's blocks.
    pub const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Returns the pack's chunks in order, having checked directory and padding whole.
    ///
    /// # Errors
    /// If they are not authentic or malformed.
    pub fn chunks(&self) -> Result<Vec<ChunkEntry>, Error> {
        let start = self.footer.frames_len;
        let mut tail = Run::default();
        self.read(start..self.plain_len, &mut tail)?;
        let format = |e| Error::format(self.key, e);
        pack::check_padding(&self.footer, &tail).map_err(format)?;
        pack::parse_chunks(&self.footer, &self.blocks, &tail).map_err(format)
    }

    /// Returns the content of consecutive blocks; several are decompressed on all cores.
    ///
    /// # Errors
    /// If a piece is not authentic or a frame does not decompress.
    pub fn read_blocks(&self, range: Range<usize>) -> Result<Vec<Vec<u8>>, Error> {
        let mut room = Room::default();
        self.read_blocks_to(range, &mut room)?;
        Ok(room.blocks)
    }

    /// Returns the content of consecutive blocks as [`Self::read_blocks`] does, in the place of
    /// what was read to the same room before.
    ///
    /// # Errors
    /// As [`Self::read_blocks`].
    pub fn read_blocks_to<'r>(
        &self,
        range: Range<usize>,
        room: &'r mut Room,
    ) -> Result<&'r [Vec<u8>], Error> {
        let Room { frames, blocks } = room;
        blocks.resize_with(range.len(), Vec::new);
        if range.is_empty() {
            return Ok(blocks);
        }
        let start = self.blocks.frame_range(range.start).start;
        let end = self.blocks.frame_range(range.end - 1).end;
        self.read(start..end, frames)?;
        let slice = |at: u64| usize::try_from(at - start).expect("the range was read to memory");
        let decode = |(index, block): (usize, &mut Vec<u8>)| {
            let frame = self.blocks.frame_range(index);
            let raw = self.blocks.raw_range(index);
            let raw_len = usize::try_from(raw.end - raw.start).expect("blocks are bounded");
            decode_block(&frames[slice(frame.start)..slice(frame.end)], raw_len, block)
                .map_err(|e| Error::format(self.key, e))
        };
        match blocks.as_mut_slice() {
            [one] => decode((range.start, one))?,
            many => range.into_par_iter().zip(many).try_for_each(decode)?,
        }
        Ok(blocks)
    }

    fn read(&self, range: Range<u64>, into: &mut Run) -> Result<(), Error> {
        if let Some(whole) = &self.whole {
            let at = |offset: u64| usize::try_from(offset).expect("it is in memory");
            into.set(&whole[at(range.start)..at(range.end)]);
            return Ok(());
        }
        let get = |offset, len| self.source.get_range(&self.key, offset, len);
        read_plain(get, &self.key, &self.payload, self.plain_len, range, into)
    }
}

/// Memory that blocks are read to, again and again.
#[derive(Default)]
pub struct Room {
    frames: Run,
    blocks: Vec<Vec<u8>>,
}

fn plain_len_of(key: &ObjectKey, stored_len: u64) -> Result<u64, Error> {
    let least = (FOOTER_LEN + 2 * SKIPPABLE_HEAD_LEN) as u64;
    seal::plain_len(stored_len)
        .filter(|&len| len >= least && stored_len <= PACK_STORED_LEN_MAX)
        .ok_or_else(|| {
            let detail = format!("no pack has {stored_len} bytes");
            Error::format(*key, FormatError::invalid("pack", detail))
        })
}

fn check_owner(key: &ObjectKey, expected: &PackOwner, found: &PackOwner) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let text = |owner: &PackOwner| {
        format!("vault {}, generation {}, profile {}", owner.vault, owner.generation, owner.profile)
    };
    Err(Error::Foreign { key: *key, found: text(found), expected: text(expected) })
}

//! Reading a stream by its recipe, in order and with bounded memory. Spec: §7.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, mpsc};

use super::Error;
use super::fetching::Fetching;
use super::pack_reader::OpenPack;
use super::unlocked::Unlocked;
use super::writer::pack_key;
use crate::base::{Digest, GenerationId, PackId, Profile};
use crate::format::body::Stream;
use crate::format::recipe::Piece;

/// Packs kept open, and blocks kept decompressed: what a stream after much churn goes back to.
const OPEN_PACKS_MAX: usize = 64;
const CACHED_BLOCKS_MAX: usize = 24;
/// Blocks that are read ahead where a recipe goes straight on.
const READ_AHEAD_MAX: usize = 8;
/// Parts of a stream that wait for who takes them.
const PARTS_AHEAD: usize = 8;

/// A block, by its pack's index and its own.
type CachedBlock = ((u32, usize), Arc<Vec<u8>>);

/// A part of a block.
struct Part {
    block: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Part {
    fn bytes(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }
}

/// Reads pieces of the packs of one profile.
pub struct PieceReader<'a> {
    unlocked: &'a Unlocked,
    generation: GenerationId,
    profile: Profile,
    packs: &'a [PackId],
    fetching: Option<&'a Fetching>,
    open: VecDeque<(u32, Arc<OpenPack<'a>>)>,
    blocks: VecDeque<CachedBlock>,
}

impl<'a> PieceReader<'a> {
    /// Makes a reader over a table of packs.
    pub fn new(
        unlocked: &'a Unlocked,
        generation: GenerationId,
        profile: Profile,
        packs: &'a [PackId],
    ) -> Self {
        let (open, blocks) = (VecDeque::new(), VecDeque::new());
        Self { unlocked, generation, profile, packs, fetching: None, open, blocks }
    }

    /// Returns the same reader, which copies packs of a store that is far away.
    #[must_use]
    pub fn fetching(self, fetching: &'a Fetching) -> Self {
        Self { fetching: Some(fetching), ..self }
    }

    /// Gives every byte of a piece to `take`, in order.
    ///
    /// # Errors
    /// If a pack is damaged or too short, or `take` fails.
    pub fn read<E: From<Error>>(
        &mut self,
        piece: Piece,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_part(piece, |part| take(part.bytes()))
    }

    fn each_part<E: From<Error>>(
        &mut self,
        piece: Piece,
        mut take: impl FnMut(Part) -> Result<(), E>,
    ) -> Result<(), E> {
        let pack = self.pack(piece.pack)?;
        let end = piece.offset + piece.len;
        if end > pack.blocks().raw_len() {
            let key = pack_key(self.profile, self.packs[piece.pack as usize]);
            return Err(Error::Extent { key, len: pack.blocks().raw_len(), need: end }.into());
        }
        let mut at = piece.offset;
        while at < end {
            let index = pack.blocks().at_raw(at);
            let range = pack.blocks().raw_range(index);
            let block = self.block(&pack, piece.pack, index, end)?;
            let slice = |at: u64| usize::try_from(at - range.start).expect("blocks are bounded");
            let stop = end.min(range.end);
            take(Part { block, range: slice(at)..slice(stop) })?;
            at = stop;
        }
        Ok(())
    }

    fn pack(&mut self, number: u32) -> Result<Arc<OpenPack<'a>>, Error> {
        if let Some(at) = self.open.iter().position(|(open, _)| *open == number) {
            let entry = self.open.remove(at).expect("the position was just found");
            self.open.push_back(entry);
        } else {
            let id = self.packs[number as usize];
            let (generation, profile) = (self.generation, self.profile);
            let pack = match self.fetching {
                Some(fetching) => {
                    fetching.pack(self.unlocked, generation, profile, id, u64::MAX)?
                }
                None => self.unlocked.pack(generation, profile, id)?,
            };
            self.open.push_back((number, Arc::new(pack)));
            if self.open.len() > OPEN_PACKS_MAX {
                self.open.pop_front();
            }
        }
        let (_, pack) = self.open.back().expect("a pack was pushed above");
        Ok(Arc::clone(pack))
    }

    fn block(
        &mut self,
        pack: &OpenPack<'_>,
        number: u32,
        index: usize,
        end: u64,
    ) -> Result<Arc<Vec<u8>>, Error> {
        if let Some((_, block)) = self.blocks.iter().find(|(key, _)| *key == (number, index)) {
            return Ok(Arc::clone(block));
        }
        let last = pack.blocks().at_raw(end - 1).min(index + READ_AHEAD_MAX - 1);
        for (offset, raw) in pack.read_blocks(index..last + 1)?.into_iter().enumerate() {
            self.blocks.push_back(((number, index + offset), Arc::new(raw)));
        }
        while self.blocks.len() > CACHED_BLOCKS_MAX {
            self.blocks.pop_front();
        }
        let (_, block) = self
            .blocks
            .iter()
            .find(|(key, _)| *key == (number, index))
            .expect("fewer blocks are read ahead than the cache holds");
        Ok(Arc::clone(block))
    }
}

/// Why no further part is read: an error, or who takes them has one.
struct Ended(Option<Error>);

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self(Some(error))
    }
}

/// Reads a whole stream to `take` and checks its digest, a few blocks ahead of `take`.
///
/// What `take` got is proven only once this returns: keep it staged until then.
///
/// # Errors
/// If a pack is damaged, the digest differs, or `take` fails.
pub fn read_stream<E: From<Error>>(
    reader: &mut PieceReader<'_>,
    stream: &Stream,
    what: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, parts) = mpsc::sync_channel(PARTS_AHEAD);
    let found = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let send = |part| sender.send(part).map_err(|_| Ended(None));
            let read =
                stream.recipe.pieces().iter().try_for_each(|piece| reader.each_part(*piece, send));
            drop(sender);
            read
        });
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part.bytes());
            take(part.bytes())?;
        }
        match reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Err(Ended(Some(error))) => Err(E::from(error)),
            Err(Ended(None)) | Ok(()) => Ok(Digest::from_bytes(*hasher.finalize().as_bytes())),
        }
    })?;
    if found == stream.b3 {
        return Ok(());
    }
    let (what, expected) = (what.to_owned(), stream.b3);
    let error = Error::Contents { what, found: Box::new(found), expected: Box::new(expected) };
    let packs = stream.recipe.pieces().iter().map(|piece| reader.packs[piece.pack as usize]);
    Err(reader.unlocked.blame(error, reader.profile, packs).into())
}

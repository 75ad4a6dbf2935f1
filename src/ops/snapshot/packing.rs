//! The lane's last CPU stage: frames become packs, and offsets in the lane become extents of them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::Sender;

use super::lane::StreamEnd;
use super::ordered::{Closed, Results};
use crate::base::limits::PACK_CHUNK_COUNT_MAX;
use crate::base::{Entropy, entropy};
use crate::crypto::seal::SealingRecipient;
use crate::format::pack::{ChunkEntry, PackOwner};
use crate::format::recipe::{Piece, Recipe};
use crate::manifest::PackNumber;
use crate::ops::Error;
use crate::store::STAGING_PREFIX;
use crate::vault::pack_writer::{FinishedPack, PackWriter};

/// Stands for the pack of a piece whose offset is one in the lane.
pub const LANE: PackNumber = PackNumber::MAX;

/// What the packer is given, in order.
pub enum Packable {
    /// A block's frame and the chunks in it.
    Block(Vec<u8>, Vec<ChunkEntry>),
    /// A stream ended; its pieces may lie in the lane.
    Stream(StreamEnd, Recipe),
    /// A file is no longer in the tree.
    Remove(Vec<u8>),
}

/// Takes the streams of a lane, once every piece has a pack.
pub trait Sink: Send {
    /// Takes a stream and the recipe over pack numbers.
    fn stream(&mut self, end: StreamEnd, recipe: Recipe) -> Result<(), Error>;

    /// Takes note that a file is no longer in the tree.
    fn remove(&mut self, key: &[u8]) -> Result<(), Error>;
}

/// Starts packs.
pub struct PackFactory {
    /// Where their files are staged.
    pub staging_dir: PathBuf,
    /// To whom they belong.
    pub owner: PackOwner,
    /// To whom they are sealed.
    pub recipient: SealingRecipient,
    /// Plaintext bytes at which a pack is closed.
    pub pack_len: u64,
    /// The next pack's number.
    pub next_number: Arc<AtomicU32>,
    /// Draws file keys.
    pub entropy: Arc<dyn Entropy>,
}

impl PackFactory {
    fn start(&self) -> Result<(PackNumber, PackWriter), Error> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let random: [u8; 8] = entropy::draw(self.entropy.as_ref());
        let name = format!("{STAGING_PREFIX}{}", hex::encode(random));
        let path = self.staging_dir.join(name);
        let pack = PackWriter::create(path, self.owner, &self.recipient, self.entropy.as_ref())?;
        Ok((number, pack))
    }
}

/// Packs one lane.
pub struct Packer<S> {
    factory: PackFactory,
    packs: Sender<(PackNumber, FinishedPack)>,
    sink: S,
    open: Option<(PackNumber, PackWriter)>,
    /// Where in the lane each pack starts.
    starts: Vec<(u64, PackNumber)>,
    lane_len: u64,
    waiting: VecDeque<(StreamEnd, Recipe)>,
}

impl<S: Sink> Packer<S> {
    /// Makes a packer that passes finished packs on to `packs`.
    pub const fn new(
        factory: PackFactory,
        packs: Sender<(PackNumber, FinishedPack)>,
        sink: S,
    ) -> Self {
        Self {
            factory,
            packs,
            sink,
            open: None,
            starts: Vec::new(),
            lane_len: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Runs until the deduplicator is done; returns the sink.
    pub fn run(mut self, blocks: &Results<Packable>) -> Result<S, Error> {
        while let Some(packable) = blocks.next() {
            match packable {
                Packable::Block(frame, chunks) => {
                    self.push(&frame, &chunks)?;
                    self.release()?;
                }
                Packable::Stream(end, recipe) => {
                    self.waiting.push_back((end, recipe));
                    self.release()?;
                }
                Packable::Remove(key) => self.sink.remove(&key)?,
            }
        }
        self.close()?;
        if self.waiting.is_empty() { Ok(self.sink) } else { Err(Closed.into()) }
    }

    fn push(&mut self, frame: &[u8], chunks: &[ChunkEntry]) -> Result<(), Error> {
        let full = self.open.as_ref().is_some_and(|(_, pack)| {
            pack.content_len() + frame.len() as u64 > self.factory.pack_len
                || pack.chunk_count() + chunks.len() > PACK_CHUNK_COUNT_MAX as usize
        });
        if full {
            self.close()?;
        }
        if self.open.is_none() {
            let (number, pack) = self.factory.start()?;
            self.starts.push((self.lane_len, number));
            self.open = Some((number, pack));
        }
        let (_, pack) = self.open.as_mut().expect("a pack was opened above");
        pack.push(frame, chunks)?;
        self.lane_len += chunks.iter().map(|chunk| u64::from(chunk.raw_len)).sum::<u64>();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some((number, pack)) = self.open.take() {
            let finished = pack.finish()?;
            self.packs.send((number, finished)).map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Gives the sink every stream in order whose last block has its pack.
    fn release(&mut self) -> Result<(), Error> {
        while let Some((_, recipe)) = self.waiting.front() {
            let in_lane = recipe.pieces().iter().filter(|piece| piece.pack == LANE);
            if in_lane.map(|piece| piece.offset + piece.len).max() > Some(self.lane_len) {
                return Ok(());
            }
            let (end, recipe) = self.waiting.pop_front().expect("the front was looked at");
            let recipe = resolve(&self.starts, &recipe);
            self.sink.stream(end, recipe)?;
        }
        Ok(())
    }
}

/// Turns pieces in the lane into pieces of packs; one that spans packs is split.
fn resolve(starts: &[(u64, PackNumber)], recipe: &Recipe) -> Recipe {
    let mut resolved = Recipe::default();
    for piece in recipe.pieces() {
        if piece.pack != LANE {
            resolved.push(*piece);
            continue;
        }
        let (mut at, end) = (piece.offset, piece.offset + piece.len);
        while at < end {
            let index = starts.partition_point(|&(start, _)| start <= at) - 1;
            let (start, pack) = starts[index];
            let pack_end = starts.get(index + 1).map_or(end, |&(next, _)| next.min(end));
            resolved.push(Piece { pack, offset: at - start, len: pack_end - at });
            at = pack_end;
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_spans_packs_is_split_at_their_starts() {
        let starts = [(0, 7), (100, 8), (250, 9)];
        let recipe: Recipe = [(LANE, 90, 200), (3, 5, 6)].map(Piece::from).into_iter().collect();
        let resolved = resolve(&starts, &recipe);
        let expected = [(7, 90, 10), (8, 0, 150), (9, 0, 40), (3, 5, 6)].map(Piece::from);
        assert_eq!(resolved.pieces(), expected);
    }
}

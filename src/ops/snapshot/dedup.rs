//! The lane's middle: chunks that are known become references, new ones fill blocks.

use std::sync::Arc;

use super::lane::{CutChunk, Pending, Step, StreamEnd, UsablePacks};
use super::ordered::{Closed, Results, Submitter};
use super::packing::{LANE, Packable};
use crate::base::{ChunkId, Profile};
use crate::format::frame::{Compression, encode_block};
use crate::format::pack::ChunkEntry;
use crate::format::recipe::{Piece, Recipe};
use crate::manifest::ChunkReader;
use crate::ops::Error;

/// Bytes of each sample, and how many, that tell whether a block of uploads compresses.
const SAMPLE_LEN: usize = 2 * 1024;
const SAMPLE_COUNT: usize = 8;
/// A sample that keeps more than this percentage of its length does not compress.
const SAMPLE_KEPT_PERCENT_MAX: usize = 95;

/// Streams that end while a block fills: each waits for the block's pack, and so in memory.
const STREAMS_PER_BLOCK_MAX: usize = 4096;

/// Deduplicates one lane.
pub struct Deduplicator {
    reader: ChunkReader,
    usable: Arc<UsablePacks>,
    pending: Pending,
    profile: Profile,
    level: i32,
    block_len: usize,
    blocks: Submitter<Packable>,
    block: Vec<u8>,
    block_chunks: Vec<ChunkEntry>,
    /// Streams that ended since the block began.
    ended_count: usize,
    lane_len: u64,
    recipe: Recipe,
}

impl Deduplicator {
    /// Makes a deduplicator that passes blocks on to `blocks`.
    pub fn new(
        reader: ChunkReader,
        usable: Arc<UsablePacks>,
        pending: Pending,
        profile: Profile,
        level: i32,
        block_len: usize,
        blocks: Submitter<Packable>,
    ) -> Self {
        Self {
            reader,
            usable,
            pending,
            profile,
            level,
            block_len,
            blocks,
            block: Vec::with_capacity(block_len),
            block_chunks: Vec::new(),
            ended_count: 0,
            lane_len: 0,
            recipe: Recipe::default(),
        }
    }

    /// Runs until the feed is dropped.
    pub fn run(mut self, steps: &Results<Step>) -> Result<(), Error> {
        while let Some(step) = steps.next() {
            match step {
                Step::Chunks(data, chunks) => self.take(&data, &chunks)?,
                Step::End(end) => self.end(end)?,
                Step::Whole(data, chunks, end) => {
                    self.take(&data, &chunks)?;
                    self.end(end)?;
                }
                Step::Abandon => self.recipe = Recipe::default(),
                Step::Remove(key) => self.blocks.push(Packable::Remove(key))?,
            }
        }
        Ok(self.flush()?)
    }

    fn take(&mut self, data: &[u8], chunks: &[CutChunk]) -> Result<(), Error> {
        for chunk in chunks {
            let piece = match self.find(chunk)? {
                Some(piece) => piece,
                None => self.add(chunk.id, &data[chunk.start..chunk.start + chunk.len])?,
            };
            self.recipe.push(piece);
        }
        Ok(())
    }

    fn find(&self, chunk: &CutChunk) -> Result<Option<Piece>, Error> {
        let len = chunk.len as u64;
        if let Some(&offset) = self.pending.lock().get(&chunk.id) {
            return Ok(Some(Piece { pack: LANE, offset, len }));
        }
        let found = self.reader.find(&chunk.id)?;
        let usable = found.filter(|found| self.usable.contains(found.pack));
        Ok(usable.map(|found| Piece { pack: found.pack, offset: found.offset, len }))
    }

    fn add(&mut self, id: ChunkId, bytes: &[u8]) -> Result<Piece, Closed> {
        if self.block.len() + bytes.len() > self.block_len {
            self.flush()?;
        }
        let piece = Piece { pack: LANE, offset: self.lane_len, len: bytes.len() as u64 };
        self.lane_len += piece.len;
        self.block.extend_from_slice(bytes);
        let raw_len = u32::try_from(bytes.len()).expect("a chunk is at most 1 MiB");
        self.block_chunks.push(ChunkEntry { id, raw_len });
        self.pending.lock().insert(id, piece.offset);
        Ok(piece)
    }

    fn end(&mut self, end: StreamEnd) -> Result<(), Closed> {
        let recipe = std::mem::take(&mut self.recipe);
        self.blocks.push(Packable::Stream(end, recipe))?;
        self.ended_count += 1;
        // A million files that are all known must not wait for one new chunk before them.
        if self.ended_count >= STREAMS_PER_BLOCK_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Closed> {
        self.ended_count = 0;
        if self.block.is_empty() {
            return Ok(());
        }
        let raw = std::mem::replace(&mut self.block, Vec::with_capacity(self.block_len));
        let chunks = std::mem::take(&mut self.block_chunks);
        let (profile, level) = (self.profile, self.level);
        self.blocks.submit(move || {
            let frame = encode_block(&raw, choose(profile, level, &raw));
            Packable::Block(frame, chunks)
        })
    }
}

/// Chooses how a block is compressed: uploads are mostly JPEG, PNG, PDF or envelopes of the stack,
/// and a sample tells in a hundredth of the time that they do not compress.
fn choose(profile: Profile, level: i32, raw: &[u8]) -> Compression {
    if profile != Profile::File || raw.len() <= SAMPLE_LEN * SAMPLE_COUNT {
        return Compression::Level(level);
    }
    let stride = raw.len() / SAMPLE_COUNT;
    let compresses = raw.chunks(stride).any(|part| {
        let sample = &part[..part.len().min(SAMPLE_LEN)];
        let kept = encode_block(sample, Compression::Level(1)).len();
        kept * 100 < sample.len() * SAMPLE_KEPT_PERCENT_MAX
    });
    if compresses { Compression::Level(level) } else { Compression::Raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digest, OpenGate};
    use crate::manifest::Manifest;
    use crate::ops::snapshot::lane::Tag;
    use crate::ops::snapshot::ordered::ordered;

    #[test]
    fn a_block_does_not_keep_any_number_of_streams_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let reader = Manifest::create(&dir.path().join("manifest.sqlite"), &OpenGate::shared())
            .unwrap()
            .chunk_reader()
            .unwrap();
        let (step_sender, steps) = ordered(4);
        let (block_sender, blocks) = ordered(4);
        let usable = Arc::new(UsablePacks::new([], 0));
        let pending = Pending::default();
        let profile = Profile::File;
        let dedup =
            Deduplicator::new(reader, usable, pending, profile, 3, 1024 * 1024, block_sender);
        let stream_count = 3 * STREAMS_PER_BLOCK_MAX;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..stream_count {
                    let chunk = CutChunk { id: ChunkId::from_bytes([1; 32]), start: 0, len: 1 };
                    let b3 = Digest::from_bytes([0; 32]);
                    let end = StreamEnd { tag: Tag::Only, len: 1, b3 };
                    step_sender.push(Step::Whole(Arc::new(vec![7]), vec![chunk], end)).unwrap();
                }
            });
            scope.spawn(move || dedup.run(&steps).unwrap());
            let packables = std::iter::from_fn(|| blocks.next());
            let block_at = packables
                .enumerate()
                .filter(|(_, packable)| matches!(packable, Packable::Block(..)))
                .map(|(at, _)| at)
                .collect::<Vec<_>>();
            assert_eq!(block_at, [STREAMS_PER_BLOCK_MAX]);
        });
    }
}

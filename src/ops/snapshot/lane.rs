//! One lane of the pipeline: the chunks of one profile for one vault. Spec: §6.
//!
//! ```text
//! feed ──ordered──▶ deduplicate ──ordered──▶ pack ──bounded──▶ store
//!  cut, hash         look up, fill blocks     seal, name        put, record
//!  (all cores)       (compress on all cores)  (all cores)
//! ```
//!
//! A lane's new bytes get an offset in the lane before it is known which pack they end up in, so
//! the lookup never waits for compression; `packing` turns those offsets into packs in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::bounded;
use rayon::prelude::*;

use super::dedup::Deduplicator;
use super::ordered::{Closed, Submitter, ordered};
use super::packing::{PackFactory, Packer, Sink};
use super::storing;
use crate::base::limits::WINDOWS_IN_FLIGHT_MAX;
use crate::base::{ChunkId, ChunkParameters, Digest, Observer, Profile};
use crate::chunk::{Cutter, Ending, GearTable};
use crate::crypto::keys::{ChunkIdKey, DedupSecret};
use crate::manifest::{CachedKind, ChunkReader, FileStamp, PackNumber};
use crate::ops::Error;
use crate::vault::Writer;

/// Finished packs that may wait for the store: their bytes are in files, not in memory.
const FINISHED_PACKS_MAX: usize = 2;

/// A chunk in a window.
#[derive(Debug, Clone, Copy)]
pub struct CutChunk {
    /// Its id.
    pub id: ChunkId,
    /// Where it starts in the window.
    pub start: usize,
    /// Its length in bytes.
    pub len: usize,
}

/// Whose bytes a stream is.
#[derive(Debug, Clone)]
pub enum Tag {
    /// The lane's only stream: a dump or a tree.
    Only,
    /// A file of the uploads.
    File {
        /// Sort key of its path.
        key: Vec<u8>,
        /// What it counts as.
        kind: CachedKind,
        /// What tells whether it changes; none if it changed while it was read.
        stamp: Option<FileStamp>,
        /// Its tree entry without extents.
        head: Vec<u8>,
    },
}

/// The end of a stream.
#[derive(Debug, Clone)]
pub struct StreamEnd {
    /// Whose bytes it was.
    pub tag: Tag,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 of its bytes.
    pub b3: Digest,
}

/// What a lane is fed with, in order.
pub enum Step {
    /// The next bytes of the current stream, cut and hashed.
    Chunks(Vec<u8>, Vec<CutChunk>),
    /// The current stream ends.
    End(StreamEnd),
    /// A whole stream at once.
    Whole(Arc<Vec<u8>>, Vec<CutChunk>, StreamEnd),
    /// The current stream is read again from its start.
    Abandon,
    /// The file with this key is no longer in the tree.
    Remove(Vec<u8>),
}

/// How a lane cuts and names chunks.
pub struct LaneKeys {
    cutter: Cutter,
    ids: ChunkIdKey,
}

impl LaneKeys {
    /// Derives what one profile needs.
    pub fn new(secret: &DedupSecret, profile: Profile, parameters: ChunkParameters) -> Self {
        let table = Arc::new(GearTable::from_material(&secret.gear_material()));
        Self { cutter: Cutter::new(parameters, table), ids: secret.chunk_id_key(profile) }
    }

    /// Cuts and names the chunks of a whole stream.
    pub fn cut_whole(&self, data: &[u8]) -> Vec<CutChunk> {
        self.name(data, &self.cutter.cut(data, Ending::Last))
    }

    fn name(&self, data: &[u8], lens: &[usize]) -> Vec<CutChunk> {
        let mut start = 0;
        let starts = lens.iter().map(|len| {
            start += len;
            start - len
        });
        let ranges: Vec<(usize, usize)> = starts.zip(lens.iter().copied()).collect();
        let name = |&(start, len): &(usize, usize)| CutChunk {
            id: self.ids.id(&data[start..start + len]),
            start,
            len,
        };
        ranges.par_iter().with_min_len(64).map(name).collect()
    }
}

/// The feeding end of a lane.
///
/// When the lane fails, what it is fed with is dropped from then on, so that the lanes of other
/// vaults go on; only the last one's failure ends the reading.
pub struct Feed {
    keys: Arc<LaneKeys>,
    steps: Submitter<Step>,
    carry: Vec<u8>,
    has_failed: AtomicBool,
    /// Lanes of the phase that have not failed.
    going_count: Arc<AtomicUsize>,
}

impl Feed {
    /// Returns how the lane cuts, for work that is submitted whole.
    pub fn keys(&self) -> Arc<LaneKeys> {
        Arc::clone(&self.keys)
    }

    /// Feeds the next bytes of the current stream.
    pub fn window(&mut self, window: &[u8]) -> Result<(), Closed> {
        self.pass_on(window, Ending::More)
    }

    /// Ends the current stream.
    pub fn end(&mut self, end: StreamEnd) -> Result<(), Closed> {
        self.pass_on(&[], Ending::Last)?;
        self.push(Step::End(end))
    }

    /// Starts the current stream again.
    pub fn abandon(&mut self) -> Result<(), Closed> {
        self.carry.clear();
        self.push(Step::Abandon)
    }

    /// Feeds what `work` makes, on any core.
    pub fn submit(&self, work: impl FnOnce() -> Step + Send + 'static) -> Result<(), Closed> {
        self.give(|steps| steps.submit(work))
    }

    /// Feeds a step that needs no work.
    pub fn push(&self, step: Step) -> Result<(), Closed> {
        self.give(|steps| steps.push(step))
    }

    /// Tells that a file is no longer in the tree.
    pub fn remove(&self, key: Vec<u8>) -> Result<(), Closed> {
        self.push(Step::Remove(key))
    }

    fn pass_on(&mut self, window: &[u8], ending: Ending) -> Result<(), Closed> {
        if self.has_failed.load(Ordering::SeqCst) {
            return self.unless_last();
        }
        let mut data = std::mem::take(&mut self.carry);
        data.extend_from_slice(window);
        let lens = self.keys.cutter.cut(&data, ending);
        self.carry = data.split_off(lens.iter().sum());
        if data.is_empty() {
            return Ok(());
        }
        let keys = Arc::clone(&self.keys);
        self.submit(move || {
            let chunks = keys.name(&data, &lens);
            Step::Chunks(data, chunks)
        })
    }

    fn give(
        &self,
        give: impl FnOnce(&Submitter<Step>) -> Result<(), Closed>,
    ) -> Result<(), Closed> {
        if !self.has_failed.load(Ordering::SeqCst) {
            if give(&self.steps).is_ok() {
                return Ok(());
            }
            if !self.has_failed.swap(true, Ordering::SeqCst) {
                self.going_count.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.unless_last()
    }

    /// Lets the reading go on as long as some lane does.
    fn unless_last(&self) -> Result<(), Closed> {
        if self.going_count.load(Ordering::SeqCst) > 0 { Ok(()) } else { Err(Closed) }
    }
}

/// Chunks of this run that the manifest does not find yet, by their offset in the lane.
#[derive(Clone, Default)]
pub struct Pending(Arc<Mutex<HashMap<ChunkId, u64>>>);

impl Pending {
    /// Gives access to the map; a thread that panicked left it whole, since each change is one.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<ChunkId, u64>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Which packs may be leaned on, by number (I9, `retire_below`).
pub struct UsablePacks {
    usable: Vec<bool>,
    first_new: PackNumber,
}

impl UsablePacks {
    /// Records the packs that may be leaned on; those from `first_new` on are of this run.
    pub fn new(numbers: impl IntoIterator<Item = PackNumber>, first_new: PackNumber) -> Self {
        let mut usable = vec![false; first_new as usize];
        for number in numbers {
            usable[number as usize] = true;
        }
        Self { usable, first_new }
    }

    /// Tells whether new snapshots may lean on a pack.
    pub fn contains(&self, number: PackNumber) -> bool {
        number >= self.first_new || self.usable.get(number as usize).copied().unwrap_or(false)
    }
}

/// What a lane works with.
pub struct LaneSettings<'a> {
    /// The profile.
    pub profile: Profile,
    /// How it cuts and names.
    pub keys: LaneKeys,
    /// How it is cut and compressed.
    pub parameters: ChunkParameters,
    /// Raw bytes of a block.
    pub block_len: usize,
    /// Looks chunks up.
    pub reader: ChunkReader,
    /// Which packs may be leaned on.
    pub usable: Arc<UsablePacks>,
    /// Makes packs.
    pub factory: PackFactory,
    /// Takes finished packs.
    pub writer: &'a Mutex<Writer>,
    /// Is told of every pack.
    pub observer: &'a dyn Observer,
    /// Lanes of the phase that have not failed.
    pub going_count: Arc<AtomicUsize>,
}

/// A running lane.
pub struct Lane<'scope, S> {
    dedup: ScopedJoinHandle<'scope, Result<(), Error>>,
    packer: ScopedJoinHandle<'scope, Result<S, Error>>,
    store: ScopedJoinHandle<'scope, Result<(), Error>>,
}

/// Starts a lane's threads.
pub fn open<'scope, 'env, S: Sink + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    settings: LaneSettings<'env>,
    sink: S,
) -> (Feed, Lane<'scope, S>) {
    let capacity = (2 * rayon::current_num_threads()).clamp(2, WINDOWS_IN_FLIGHT_MAX);
    let (step_sender, steps) = ordered(capacity);
    let (block_sender, blocks) = ordered(capacity);
    let (pack_sender, packs) = bounded(FINISHED_PACKS_MAX);
    let pending = Pending::default();
    let deduplicator = Deduplicator::new(
        settings.reader,
        settings.usable,
        pending.clone(),
        settings.profile,
        settings.parameters.level(),
        settings.block_len,
        block_sender,
    );
    let packer = Packer::new(settings.factory, pack_sender, sink);
    let (writer, observer) = (settings.writer, settings.observer);
    let lane = Lane {
        dedup: scope.spawn(move || deduplicator.run(&steps)),
        packer: scope.spawn(move || packer.run(&blocks)),
        store: scope.spawn(move || storing::run(&packs, &pending, writer, observer)),
    };
    let feed = Feed {
        keys: Arc::new(settings.keys),
        steps: step_sender,
        carry: Vec::new(),
        has_failed: AtomicBool::new(false),
        going_count: settings.going_count,
    };
    (feed, lane)
}

impl<S> Lane<'_, S> {
    /// Waits for the lane's end, after its feed was dropped, and returns its sink.
    ///
    /// # Errors
    /// The error furthest down the lane: those above it only saw a closed queue.
    pub fn join(self) -> Result<S, Error> {
        let (dedup, packer, store) = (join(self.dedup), join(self.packer), join(self.store));
        store?;
        let sink = packer?;
        dedup?;
        Ok(sink)
    }
}

fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

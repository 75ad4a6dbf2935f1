//! One vault while its snapshot is being taken, and the phases of a run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::lane::{self, Lane, LaneKeys, LaneSettings, StreamEnd, UsablePacks};
use super::packing::{PackFactory, Sink};
use super::tree::TreeCounts;
use super::warnings::Warnings;
use crate::base::{Event, Observer, PackId, Profile, SnapshotId};
use crate::format::pack::PackOwner;
use crate::format::recipe::Recipe;
use crate::manifest::{ChunkReader, FileCache, PackNumber};
use crate::ops::Error;
use crate::ops::rows::RowsReport;
use crate::source::DumpFacts;
use crate::vault::Writer;

/// A vault while its snapshot is being taken.
pub struct Run {
    /// The vault.
    pub writer: Mutex<Writer>,
    /// The snapshot to be.
    pub snapshot: SnapshotId,
    /// The packs that it may lean on (I9).
    pub usable: Arc<UsablePacks>,
    /// The next pack's number.
    pub next_number: Arc<AtomicU32>,
    /// The dump, once it is taken.
    pub database: Option<(Value, DumpFacts, StreamEnd, Recipe)>,
    /// The tree, once it is written.
    pub uploads: Option<(Value, TreeCounts, StreamEnd, Recipe)>,
    /// How the tree fits the rows of the dump, if there are any that name files.
    pub rows: Option<RowsReport>,
    /// How much of each pack is used.
    pub used: HashMap<PackNumber, u64>,
    /// The file cache, until it is committed.
    pub cache: Option<FileCache>,
    /// What concerns this vault alone.
    pub warnings: Warnings,
}

/// What may fail before a lane starts.
struct Opening {
    reader: ChunkReader,
    staging_dir: PathBuf,
}

/// The vaults that failed on their own, and why.
pub type Failed = Vec<(String, Error)>;

impl Run {
    fn prepare(&mut self) -> Result<Opening, Error> {
        let writer = self.writer();
        let staging_dir = writer.staging_dir()?;
        Ok(Opening { reader: writer.manifest().chunk_reader()?, staging_dir })
    }

    /// Starts a lane of this vault.
    fn open<'scope, 'env, S: Sink + 'scope>(
        &'env self,
        scope: &'scope std::thread::Scope<'scope, 'env>,
        (opening, sink): (Opening, S),
        profile: Profile,
        going_count: &Arc<AtomicUsize>,
        observer: &'env dyn Observer,
    ) -> (lane::Feed, Lane<'scope, S>) {
        let writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let parameters = writer.note().parameters.clone();
        let generation = writer.generation();
        let settings = LaneSettings {
            profile,
            keys: LaneKeys::new(&generation.dedup_secret, profile, parameters.chunks(profile)),
            parameters: parameters.chunks(profile),
            block_len: parameters.fields().block_len,
            reader: opening.reader,
            usable: Arc::clone(&self.usable),
            factory: PackFactory {
                staging_dir: opening.staging_dir,
                owner: PackOwner { vault: writer.vault(), generation: generation.id, profile },
                recipient: generation.recipient.clone(),
                pack_len: parameters.fields().pack_len,
                next_number: Arc::clone(&self.next_number),
                entropy: Arc::clone(&writer.outside().entropy),
            },
            writer: &self.writer,
            observer,
            going_count: Arc::clone(going_count),
        };
        drop(writer);
        lane::open(scope, settings, sink)
    }

    /// Returns the vault's name.
    pub fn name(&mut self) -> String {
        self.writer().name().to_owned()
    }

    /// Returns the vault, between phases.
    pub fn writer(&mut self) -> &mut Writer {
        self.writer.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Counts what a stream uses of its packs.
    pub fn use_recipe(&mut self, recipe: &Recipe) {
        for piece in recipe.pieces() {
            *self.used.entry(piece.pack).or_default() += piece.len;
        }
    }

    /// Returns the names of all packs.
    pub fn pack_names(&mut self) -> Result<HashMap<PackNumber, PackId>, Error> {
        let packs = self.writer().manifest().packs()?;
        Ok(packs.into_iter().map(|pack| (pack.number, pack.id)).collect())
    }
}

/// Goes on with the vaults for which a step goes well.
pub fn each<T>(
    runs: Vec<(Run, T)>,
    failed: &mut Failed,
    mut step: impl FnMut(&mut Run, T) -> Result<(), Error>,
) -> Vec<Run> {
    let mut kept = Vec::new();
    for (mut run, item) in runs {
        match step(&mut run, item) {
            Ok(()) => kept.push(run),
            Err(error) => failed.push((run.name(), error)),
        }
    }
    kept
}

/// Runs one phase: a lane for every vault, all fed by `feed`; returns each vault whose lane came
/// to its end, and its sink. The others failed on their own, and kept none from going on.
///
/// # Errors
/// If the reading itself fails.
pub fn phase<S: Sink, E>(
    name: &'static str,
    runs: Vec<(Run, S, E)>,
    failed: &mut Failed,
    profile: Profile,
    observer: &dyn Observer,
    feed: impl FnOnce(Vec<(lane::Feed, E)>) -> Result<(), Error>,
) -> Result<Vec<(Run, S)>, Error> {
    let (mut ready, mut openings, mut extras) = (Vec::new(), Vec::new(), Vec::new());
    for (mut run, sink, extra) in runs {
        match run.prepare() {
            Ok(opening) => {
                ready.push(run);
                openings.push((opening, sink));
                extras.push(extra);
            }
            Err(error) => failed.push((run.name(), error)),
        }
    }
    if ready.is_empty() {
        return Ok(Vec::new());
    }
    observer.observe(Event::PhaseStarted { phase: name, total_len: None });
    let going_count = Arc::new(AtomicUsize::new(ready.len()));
    let sinks = std::thread::scope(|scope| {
        let (mut feeds, mut lanes) = (Vec::new(), Vec::new());
        for ((run, opening), extra) in ready.iter().zip(openings).zip(extras) {
            let (feed, lane) = run.open(scope, opening, profile, &going_count, observer);
            feeds.push((feed, extra));
            lanes.push(lane);
        }
        let fed = feed(feeds);
        let joined: Vec<Result<S, Error>> = lanes.into_iter().map(Lane::join).collect();
        match fed {
            // A feed that only saw closed queues did not fail itself.
            Ok(()) | Err(Error::Closed) => Ok(joined),
            Err(error) => Err(error),
        }
    })?;
    observer.observe(Event::PhaseFinished { phase: name });
    let mut ended = Vec::new();
    for (mut run, sink) in ready.into_iter().zip(sinks) {
        match sink {
            Ok(sink) => ended.push((run, sink)),
            Err(error) => failed.push((run.name(), error)),
        }
    }
    Ok(ended)
}

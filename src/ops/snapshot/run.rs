//! One vault while its snapshot is being taken, and the phases of a run.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::lane::{self, Lane, LaneKeys, LaneSettings, StreamEnd, UsablePacks};
use super::packing::{PackFactory, Sink};
use super::tree::TreeCounts;
use super::warnings::Warnings;
use crate::base::{Event, Observer, PackId, Profile, SnapshotId};
use crate::format::pack::PackOwner;
use crate::format::recipe::Recipe;
use crate::manifest::{FileCache, PackNumber};
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

impl Run {
    /// Starts a lane of this vault.
    fn open<'scope, 'env, S: Sink + 'scope>(
        &'env self,
        scope: &'scope std::thread::Scope<'scope, 'env>,
        profile: Profile,
        sink: S,
        observer: &'env dyn Observer,
    ) -> Result<(lane::Feed, Lane<'scope, S>), Error> {
        let writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let parameters = writer.note().parameters.clone();
        let generation = writer.generation();
        let settings = LaneSettings {
            profile,
            keys: LaneKeys::new(&generation.dedup_secret, profile, parameters.chunks(profile)),
            parameters: parameters.chunks(profile),
            block_len: parameters.fields().block_len,
            reader: writer.manifest().chunk_reader()?,
            usable: Arc::clone(&self.usable),
            factory: PackFactory {
                staging_dir: writer.staging_dir()?,
                owner: PackOwner { vault: writer.vault(), generation: generation.id, profile },
                recipient: generation.recipient.clone(),
                pack_len: parameters.fields().pack_len,
                next_number: Arc::clone(&self.next_number),
                entropy: Arc::clone(&writer.outside().entropy),
            },
            writer: &self.writer,
            observer,
        };
        drop(writer);
        Ok(lane::open(scope, settings, sink))
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

/// Runs one phase: a lane for every vault, fed by `feed`; returns the lanes' sinks.
pub fn phase<S: Sink>(
    name: &'static str,
    runs: &[Run],
    sinks: Vec<S>,
    profile: Profile,
    observer: &dyn Observer,
    feed: impl FnOnce(Vec<lane::Feed>) -> Result<(), Error>,
) -> Result<Vec<S>, Error> {
    observer.observe(Event::PhaseStarted { phase: name, total_len: None });
    let sinks = std::thread::scope(|scope| {
        let (mut feeds, mut lanes) = (Vec::new(), Vec::new());
        for (run, sink) in runs.iter().zip(sinks) {
            let (feed, lane) = run.open(scope, profile, sink, observer)?;
            feeds.push(feed);
            lanes.push(lane);
        }
        let fed = feed(feeds);
        let joined: Result<Vec<S>, Error> = lanes.into_iter().map(Lane::join).collect();
        match (fed, joined) {
            // A feed that only saw a closed queue did not fail itself.
            (Ok(()) | Err(Error::Closed), joined) => joined,
            (Err(error), _) => Err(error),
        }
    })?;
    observer.observe(Event::PhaseFinished { phase: name });
    Ok(sinks)
}

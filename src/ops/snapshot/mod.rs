//! Taking a snapshot, in the order that keeps every promise. Spec: §9.
//!
//! Sources are read once, in the order in which every file that a row names is there: the database
//! first, then the uploads. Each vault that is due gets its own lanes, so no two vaults ever share
//! a key, a chunk or a pack.

mod archive_walk;
mod commit;
mod database;
mod dedup;
mod files;
mod lane;
mod ordered;
mod packing;
mod reading;
mod rows;
mod run;
mod storing;
mod tree;
mod uploads;
mod warnings;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

pub use commit::SnapshotReport;
pub use ordered::Closed;
pub use reading::{Uploads, UploadsReader};
pub use uploads::UploadsPath;

use commit::Contents;
use database::OnlyStream;
use lane::{Feed, UsablePacks};
use rows::Rows;
use run::{Failed, Run, each, phase};
use tree::TreeCounts;
use uploads::{CacheSink, UploadsLane};
use warnings::Warnings;

use super::Error;
use crate::base::{Code, Event, Observer, Profile, SnapshotId, entropy};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::format::event_fields::SecretSealed;
use crate::manifest::{FileCache, FilePages};
use crate::ops::rows::FACT;
use crate::policy::Policy;
use crate::source::{DumpFacts, StreamSource};
use crate::vault::{self, Writer};

/// What is archived.
pub struct Sources {
    /// The database, if there is one.
    pub database: Option<Box<dyn StreamSource>>,
    /// The uploads, if there are any.
    pub uploads: Option<Uploads>,
    /// What else is recorded of the stack; never a secret (V-65).
    pub facts: Map<String, Value>,
    /// The escrow objects that the snapshot needs; each vault records those that it has not yet.
    pub sealed: Vec<SecretSealed>,
}

/// One vault of a run.
pub struct VaultJob {
    /// The vault.
    pub writer: Writer,
    /// To whom a new generation is sealed.
    pub recipients: DataRecipients,
}

/// What became of a run.
pub struct RunReport {
    /// The snapshots that were taken.
    pub taken: Vec<SnapshotReport>,
    /// The vaults that failed on their own, and why; the others went on.
    pub failed: Vec<(String, Error)>,
}

/// Takes a snapshot for every vault that is due.
///
/// Sources are read once. A vault that fails does not keep the others from their snapshots, whether
/// it cannot begin, its store or state fails while sources are read, or it cannot end.
///
/// # Errors
/// If a source fails. No snapshot exists then that
/// did not before, but for those of an earlier run that were completed; what became durable is
/// reused.
pub fn run(
    jobs: Vec<VaultJob>,
    sources: &Sources,
    tags: &[String],
    ask: &impl AskPassphrase,
    observer: &Arc<dyn Observer>,
) -> Result<RunReport, Error> {
    let warnings = Warnings::new(Arc::clone(observer));
    let mut report = RunReport { taken: Vec::new(), failed: Vec::new() };
    let mut runs = Vec::new();
    for job in jobs {
        let name = job.writer.name().to_owned();
        match ready(job, ask, observer) {
            Ok(run) => runs.extend(run),
            Err(error) => report.failed.push((name, error)),
        }
    }
    if runs.is_empty() {
        return Ok(report);
    }
    let uploads = sources.uploads.as_ref().filter(|_| sources.database.is_some());
    // Without a directory to look at, no file is known to have been erased meanwhile.
    let root = uploads.map(|uploads| uploads.directory().unwrap_or(Path::new("")));
    let mut rows = Rows::before(root, runs[0].writer().state().path());
    let failed = &mut report.failed;
    if let Some(source) = &sources.database {
        let facts;
        (runs, facts) = take_database(runs, failed, source.as_ref(), &mut rows, observer)?;
        facts.iter().for_each(|facts| rows.finish(facts, &warnings));
    }
    if let Some(uploads) = &sources.uploads {
        runs = take_uploads(runs, failed, uploads, &warnings, observer)?;
        runs = take_trees(runs, failed, uploads, (&rows, &warnings), observer);
    }
    for mut run in runs {
        let name = run.writer().name().to_owned();
        match finish(run, sources, tags, &warnings, observer.as_ref()) {
            Ok(taken) => report.taken.push(taken),
            Err(error) => report.failed.push((name, error)),
        }
    }
    Ok(report)
}

/// Takes up what an operator signed, completes what an earlier run committed, then readies the
/// vault if it is due.
fn ready(
    mut job: VaultJob,
    ask: &impl AskPassphrase,
    observer: &Arc<dyn Observer>,
) -> Result<Option<Run>, Error> {
    job.writer.adopt_notes(observer.as_ref())?;
    job.writer.check_standing(observer.as_ref())?;
    let store = job.writer.mirrors().primary().name().to_owned();
    let undelivered = job.writer.manifest().undelivered(&store)?;
    job.writer.deliver(observer.as_ref())?;
    for snapshot in undelivered {
        observer.observe(Event::SnapshotCompleted { snapshot, store: store.clone() });
    }
    tell_completed(&mut job.writer, observer.as_ref())?;
    match is_due(&job.writer)? {
        true => begin(job, ask, observer).map(Some), // I1, I9
        false => Ok(None),
    }
}

/// Tells whether the vault admits a snapshot now.
fn is_due(writer: &Writer) -> Result<bool, Error> {
    let policy = Policy::from_json(&writer.note().policy)?;
    let last = writer.newest_snapshot()?.map(|id| id.time());
    Ok(policy.due(last, writer.outside().clock.now()))
}

/// Readies a vault: its generation open and delivered (I1), what it may lean on known (I9).
fn begin(
    job: VaultJob,
    ask: &impl AskPassphrase,
    observer: &Arc<dyn Observer>,
) -> Result<Run, Error> {
    let VaultJob { mut writer, recipients } = job;
    let warnings = Warnings::new(Arc::clone(observer));
    let time = writer.outside().clock.now();
    let newest = writer.newest_snapshot()?;
    if let Some(last) = newest.map(|id| id.time())
        && last > time
    {
        let detail = format!("the newest snapshot is of {last}, the clock says {time}");
        warnings.warn(Code::ClockAnomaly, detail);
    }
    writer.clean_staging(time, observer.as_ref())?;
    let can_go_on = writer.generation_is_recorded(); // I1
    if !can_go_on || writer.generation_is_over() || writer.roll_is_due()? {
        match writer.roll(&recipients, ask) {
            Ok(generation) => observer.observe(Event::GenerationOpened { generation }),
            // The old generation goes on: a missing plugin must not cost a night. Any other failure
            // may have come after the roll was journaled, and then the old one is closed.
            Err(error @ (vault::Error::Crypto(_) | vault::Error::RecipientsDiffer))
                if can_go_on =>
            {
                warnings.warn_of(&error);
            }
            Err(error) => return Err(error.into()),
        }
        writer.deliver(observer.as_ref())?;
    }
    writer.give_up_what_is_ahead()?;
    let first_new = writer.manifest().next_pack_number()?;
    let usable = writer.usable_packs()?.into_iter().map(|pack| pack.number);
    let usable = Arc::new(UsablePacks::new(usable, first_new));
    let random = entropy::draw(writer.outside().entropy.as_ref());
    // After a clock went back, the newest of all is of another second.
    let known = writer.manifest().snapshots()?.into_iter().map(|snapshot| snapshot.id);
    let before = known.chain(newest).filter(|id| id.time() <= time).max();
    Ok(Run {
        snapshot: SnapshotId::following(before, time, random),
        usable,
        next_number: Arc::new(AtomicU32::new(first_new)),
        database: None,
        uploads: None,
        rows: None,
        used: HashMap::new(),
        cache: None,
        warnings,
        writer: Mutex::new(writer),
    })
}

/// Reads the database for every vault; there are no facts if every vault failed meanwhile.
fn take_database(
    runs: Vec<Run>,
    failed: &mut Failed,
    source: &dyn StreamSource,
    rows: &mut Rows,
    observer: &Arc<dyn Observer>,
) -> Result<(Vec<Run>, Option<DumpFacts>), Error> {
    let runs = runs.into_iter().map(|run| (run, OnlyStream::new(), ())).collect();
    let mut facts = None;
    let read = |feeds: Vec<(Feed, ())>| {
        let mut feeds: Vec<Feed> = feeds.into_iter().map(|(feed, ())| feed).collect();
        facts = Some(database::read(source, &mut feeds, rows, observer.as_ref())?);
        Ok(())
    };
    let runs = phase("database", runs, failed, Profile::Stream, observer.as_ref(), read)?;
    let runs = each(runs, failed, |run, sink| {
        let (end, recipe) = sink.take()?;
        let facts = facts.clone().ok_or(Error::Closed)?;
        run.use_recipe(&recipe);
        run.database = Some((source.describe(), facts, end, recipe));
        Ok(())
    });
    Ok((runs, facts))
}

fn take_uploads(
    runs: Vec<Run>,
    failed: &mut Failed,
    uploads: &Uploads,
    warnings: &Warnings,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Run>, Error> {
    let mut opened = Vec::new();
    for mut run in runs {
        match open_cache(&mut run) {
            Ok((cache, view)) => opened.push((run, CacheSink(cache), view)),
            Err(error) => failed.push((run.name(), error)),
        }
    }
    let walk = |feeds: Vec<(Feed, (FilePages, Arc<UsablePacks>))>| {
        let lanes = feeds.into_iter();
        let lanes = lanes.map(|(feed, (pages, usable))| UploadsLane { feed, pages, usable });
        uploads.walk(lanes.collect(), warnings, observer.as_ref())
    };
    let runs = phase("uploads", opened, failed, Profile::File, observer.as_ref(), walk)?;
    Ok(each(runs, failed, |run, sink| {
        run.cache = Some(sink.0);
        Ok(())
    }))
}

/// Opens what a vault knows of the files of its newest tree, and a view of it.
fn open_cache(run: &mut Run) -> Result<(FileCache, (FilePages, Arc<UsablePacks>)), Error> {
    let usable = Arc::clone(&run.usable);
    let writer = run.writer();
    let owner = writer.manifest_identity()?;
    let cache = FileCache::open(&writer.state().file("files.sqlite"), &owner)?;
    let pages = cache.pages()?;
    Ok((cache, (pages, usable)))
}

/// Writes each vault's tree, now that every file's packs have names, and compares it with rows.
fn take_trees(
    runs: Vec<Run>,
    failed: &mut Failed,
    uploads: &Uploads,
    checks: (&Rows, &Warnings),
    observer: &Arc<dyn Observer>,
) -> Vec<Run> {
    let mut kept = Vec::new();
    for mut run in runs {
        let name = run.name();
        match take_tree(run, failed, uploads, checks, observer) {
            Ok(run) => kept.extend(run),
            Err(error) => failed.push((name, error)),
        }
    }
    kept
}

fn take_tree(
    mut run: Run,
    failed: &mut Failed,
    uploads: &Uploads,
    (rows, warnings): (&Rows, &Warnings),
    observer: &Arc<dyn Observer>,
) -> Result<Option<Run>, Error> {
    let names = run.pack_names()?;
    let cache = run.cache.take().ok_or(Error::Closed)?;
    let mut used = std::mem::take(&mut run.used);
    let mut counts = TreeCounts::default();
    let mut check = rows.compare(&cache, warnings);
    let write = |mut feeds: Vec<(Feed, ())>| {
        let feed = &mut feeds[0].0;
        counts = tree::write(&cache, &names, &mut used, &mut check, feed)?;
        Ok(())
    };
    let runs = vec![(run, OnlyStream::new(), ())];
    let mut runs = phase("tree", runs, failed, Profile::Meta, observer.as_ref(), write)?;
    let Some((mut run, sink)) = runs.pop() else { return Ok(None) };
    let (end, recipe) = sink.take()?;
    run.rows = check.finish(&run.warnings);
    run.used = used;
    run.use_recipe(&recipe);
    run.uploads = Some((uploads.describe(), counts, end, recipe));
    run.cache = Some(cache);
    Ok(Some(run))
}

/// Commits and delivers a vault's snapshot (I2, I3).
fn finish(
    mut run: Run,
    sources: &Sources,
    tags: &[String],
    warnings: &Warnings,
    observer: &dyn Observer,
) -> Result<SnapshotReport, Error> {
    let mut facts = sources.facts.clone();
    facts.extend(run.rows.as_ref().map(|rows| (FACT.to_owned(), rows.to_fact())));
    let contents = Contents {
        database: run.database.take(),
        uploads: run.uploads.take(),
        used: std::mem::take(&mut run.used),
        facts,
        warnings: [run.warnings.kept(), warnings.kept()].concat(),
    };
    let (snapshot, cache, rows) = (run.snapshot, run.cache.take(), run.rows.take());
    let writer = run.writer();
    check_duration(writer, snapshot)?; // I9
    writer.record_sealed(&sources.sealed)?;
    let mut report = commit::commit(writer, snapshot, snapshot.time(), tags, contents)?;
    writer.deliver(observer)?;
    tell_completed(writer, observer)?;
    report.rows = rows.map(|rows| rows.counts);
    report.lagging = writer.mirrors().lagging();
    if let Some(Err(error)) = cache.map(FileCache::commit) {
        // The snapshot is there; the next one only reads more than it would have to.
        warnings.warn_of(&error);
    }
    Ok(report)
}

/// Records what each store has whole since the last time, and delivers that at once.
fn tell_completed(writer: &mut Writer, observer: &dyn Observer) -> Result<(), Error> {
    if writer.record_completed()? {
        writer.deliver(observer)?;
    }
    Ok(())
}

/// Refuses a run that took longer than prune waits for what it leans on.
fn check_duration(writer: &Writer, snapshot: SnapshotId) -> Result<(), Error> {
    let started: Timestamp = snapshot.time();
    let took = writer.outside().clock.now().duration_since(started);
    let days = writer.note().parameters.fields().grace_days;
    let grace = SignedDuration::from_hours(24 * i64::from(days));
    if took <= grace {
        return Ok(());
    }
    Err(Error::TooLong { snapshot, hours: took.as_hours(), max: grace.as_hours() })
}

//! A step that takes snapshots, and what must have become of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Family, OpenGate, SnapshotId};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::manifest::Manifest;
use idswyft_vault::ops::snapshot::{
    self, RunReport, SnapshotReport, Sources, UploadsPath, VaultJob,
};
use idswyft_vault::ops::{self};
use idswyft_vault::source::StreamSource;
use jiff::Timestamp;

use super::dump::{Database, Ending, MemoryDump};
use super::faults::{Crash, Scope};
use super::place::Place;
use super::uploads::Uploads;
use super::world::{Expected, Met, World};
use crate::support::names_in;

/// One run over one vault, or over all of them at once.
#[derive(Debug)]
pub struct Snapshot {
    vaults: Vec<usize>,
    crash: Option<Crash>,
    dump: Ending,
    tags: Vec<String>,
}

/// What a vault's part of a run was, as the run and the stores told it.
struct Part<'a> {
    vault: usize,
    met: &'a Met,
    /// Whether the vault admitted a snapshot.
    is_due: bool,
    /// The newest snapshot before it was taken.
    newest: Option<SnapshotId>,
    taken: Option<&'a SnapshotReport>,
    failed: Option<String>,
}

impl Snapshot {
    /// Draws a run.
    pub fn draw(world: &mut World) -> Self {
        let World { random, faults, vaults, database, .. } = world;
        let vaults = match random.below(3) {
            0 => vec![random.index(vaults.len())],
            _ => (0..vaults.len()).collect(),
        };
        let fails = database.is_some() && random.below(100) < faults.dump_percent;
        let dump = match (fails, random.below(2)) {
            (false, _) => Ending::Whole,
            (true, 0) => Ending::Failed,
            (true, _) => Ending::Cut,
        };
        let tags = ["before-upgrade", "Ä"].map(str::to_owned);
        let tags = tags.into_iter().filter(|_| random.below(6) == 0).collect();
        Self { vaults, crash: Crash::draw(faults.crash_percent, random), dump, tags }
    }

    /// Runs, and compares what became of each vault with what had to.
    pub fn apply(&self, world: &mut World) -> String {
        let scope = if self.vaults.len() > 1 { Scope::InOrder } else { Scope::Every };
        let attempt = world.attempt(self.crash, scope);
        let met: Vec<_> = self.vaults.iter().map(|&at| world.meet(at, &attempt)).collect();
        let before: Vec<_> = self.vaults.iter().map(|&at| is_due(world, at)).collect();
        let now = world.clock.now();
        let ran = self.run(world, &met);
        let told = world.events.warnings();
        let faults = met.iter().map(|met| met.fatal_count() + met.reading_count()).sum();
        let mut outcomes = Vec::new();
        let mut expected = Vec::new();
        for ((&vault, met), (newest, is_due)) in self.vaults.iter().zip(&met).zip(before) {
            let part = Part::of(world, vault, met, (newest, is_due), &ran);
            part.check_outcome(self.dump, faults, &ran);
            expected.extend(part.expected_warnings(now));
            let outcome = part.settle(world, self);
            outcomes.push(format!("{}: {outcome}", world.vaults[vault].name));
        }
        if attempt.is_dead() {
            outcomes.push("it died".to_owned());
        }
        let is_clear = met.iter().all(|met| met.reading_count() == 0);
        if is_clear && ran.as_ref().is_ok_and(|report| report.failed.is_empty()) {
            let sorted = |codes: Vec<Code>| {
                let mut texts: Vec<_> = codes.iter().map(|code| code.text()).collect();
                texts.sort_unstable();
                texts
            };
            // A name that is taken where nobody may look is told of, and nothing else follows; no
            // more does anything from a vault note that somebody planted.
            let is_expected =
                |code: &Code| *code != Code::DeliveryUnproven && code.family() != Family::Damaged;
            let told = told.into_iter().filter(is_expected).collect();
            assert_eq!(sorted(told), sorted(expected), "warnings");
        }
        outcomes.join("; ")
    }

    fn run(&self, world: &World, met: &[Met]) -> Result<RunReport, ops::Error> {
        let job = |(&vault, met): (&usize, &Met)| {
            let writer = world.writer(vault, met)?;
            Ok(VaultJob { writer, recipients: world.recipients() })
        };
        let jobs = self.vaults.iter().zip(met).map(job).collect::<Result<_, ops::Error>>()?;
        let dump = |database: &Database| -> Box<dyn StreamSource> {
            Box::new(MemoryDump::new(database.dump(), self.dump))
        };
        let path =
            |uploads: &Uploads| UploadsPath { root: uploads.root.clone(), exclusions: Vec::new() };
        let sources = Sources {
            database: world.database.as_ref().map(dump),
            uploads: world.uploads.as_ref().map(path).map(Into::into),
            facts: serde_json::Map::new(),
            sealed: Vec::new(),
        };
        snapshot::run(jobs, &sources, &self.tags, &NoPassphrase, &world.observer())
    }

    /// Returns what a snapshot of now is to hold.
    fn expected(&self, world: &World, warnings: Vec<Code>) -> Expected {
        let database = world.database.as_ref();
        Expected {
            dump: database.map(Database::dump),
            row_count: database.map_or(0, |database| database.rows.len() as u64),
            uploads: world.uploads.as_ref().map(|uploads| Arc::new(uploads.tree.clone())),
            tags: self.tags.clone(),
            warnings,
        }
    }
}

/// Returns the newest snapshot, and whether the policy admits one now.
fn is_due(world: &World, vault: usize) -> (Option<SnapshotId>, bool) {
    let vault = &world.vaults[vault];
    let newest = vault.archive.newest();
    let format = match vault.every {
        Some("hour") => "%Y-%m-%d %H",
        Some("day") => "%Y-%m-%d",
        Some("month") => "%Y-%m",
        _ => return (newest, true),
    };
    let period = |time: Timestamp| time.strftime(format).to_string();
    let is_due = newest.is_none_or(|newest| period(newest.time()) < period(world.clock.now()));
    (newest, is_due)
}

impl<'a> Part<'a> {
    fn of(
        world: &World,
        vault: usize,
        met: &'a Met,
        (newest, is_due): (Option<SnapshotId>, bool),
        ran: &'a Result<RunReport, ops::Error>,
    ) -> Self {
        let name = world.vaults[vault].name;
        let (taken, failed) = match ran {
            Ok(report) => (
                report.taken.iter().find(|taken| taken.vault == name),
                report.failed.iter().find(|(failed, _)| failed == name),
            ),
            Err(_) => (None, None),
        };
        let failed = failed.map(|(_, error)| error.to_string());
        Self { vault, met, is_due, newest, taken, failed }
    }

    /// A run says that all went well exactly if it did.
    fn check_outcome(&self, dump: Ending, faults_of_all: u64, ran: &Result<RunReport, ops::Error>) {
        let faults = self.met.fatal_count();
        match ran {
            Ok(_) => {
                let is_clear = self.met.reading_count() == 0 || faults > 0;
                let has_failed = self.failed.is_some();
                assert!(!is_clear || has_failed == (faults > 0), "{:?}, {faults}", self.failed);
                let is_taken = self.is_due && self.failed.is_none();
                assert_eq!(self.taken.is_some(), is_taken, "the policy admits it: {}", self.is_due);
                assert!(self.taken.is_none() || dump == Ending::Whole, "half a dump was taken");
            }
            Err(error) => {
                assert!(dump != Ending::Whole || faults_of_all > 0, "it failed by itself: {error}");
            }
        }
    }

    fn expected_warnings(&self, now: Timestamp) -> Vec<Code> {
        let mirrors = self.met.stores[1..].iter().filter(|store| store.fault_count() > 0);
        let lagging = mirrors.map(|_| Code::MirrorLagging);
        self.anomalies(now).into_iter().chain(lagging).collect()
    }

    fn anomalies(&self, now: Timestamp) -> Vec<Code> {
        let is_back = self.newest.is_some_and(|newest| newest.time() > now);
        if self.is_due && is_back { vec![Code::ClockAnomaly] } else { Vec::new() }
    }

    /// Adopts what became durable, and what will.
    fn settle(&self, world: &mut World, step: &Snapshot) -> String {
        let expected = step.expected(world, self.anomalies(world.clock.now()));
        let (new, listed) = (newly_committed(world, self.vault), listed(world, self.vault));
        let all_well = self.met.fatal_count() + self.met.reading_count() == 0;
        let vault = &mut world.vaults[self.vault];
        // What a source that failed left is in packs that nothing names.
        self.met.mark(&mut vault.places, self.taken.is_some() || !self.is_due);
        assert!(new.len() <= 1, "one run committed {new:?}");
        if let Some(id) = new.first() {
            vault.archive.commit(*id, expected.clone());
        }
        if vault.archive.pending.as_ref().is_some_and(|(id, _)| listed.contains(id)) {
            vault.archive.settle();
        }
        let Some(taken) = self.taken else {
            // Whoever fails in reading a source has delivered what was on its way.
            let is_settled = !all_well || vault.archive.pending.is_none();
            assert!(is_settled, "nothing failed, and {:?} waits", vault.archive.pending);
            let adopted = new.iter().map(|id| format!("{id} committed"));
            let why = if self.is_due { "failed" } else { "not due" };
            return [why.to_owned()].into_iter().chain(adopted).collect::<Vec<_>>().join(", ");
        };
        assert_eq!(new.into_iter().collect::<Vec<_>>(), [taken.snapshot]);
        self.check_report(taken, &expected);
        for place in vault.places.iter().skip(1) {
            let lags = taken.lagging.iter().any(|name| name == place.name);
            assert!(lags == place.lags || self.met.reading_count() > 0);
        }
        check_same(&vault.places);
        let (stored, new) = (taken.stored_len, taken.new_len);
        format!("{}, {stored} bytes, {new} of them new", taken.snapshot)
    }

    fn check_report(&self, taken: &SnapshotReport, expected: &Expected) {
        let (file_count, content_len) =
            expected.uploads.as_ref().map_or((0, 0), |tree| tree.totals());
        let dump_len = expected.dump.as_ref().map_or(0, |dump| dump.len() as u64);
        assert_eq!(
            (taken.row_count, taken.file_count, taken.content_len),
            (expected.row_count, file_count, content_len + dump_len),
        );
        assert!(self.newest.is_none_or(|newest| newest != taken.snapshot));
    }
}

/// A mirror that caught up has what the primary store has, but for what failed runs left there.
fn check_same(places: &[Place]) {
    let names = |place: &Place| names_in(place.written_store().as_ref());
    // A snapshot whose note was never put is lost with the manifest that had it.
    let has_note = |names: &BTreeSet<String>, name: &str| {
        let id = name.strip_prefix("segments/").or_else(|| {
            let own = name.strip_prefix("snapshots/")?;
            Some(own.split('.').next().unwrap_or(own))
        });
        id.is_none_or(|id| names.contains(&format!("snapshots/{id}.note")))
    };
    let journaled = |names: &BTreeSet<String>| -> Vec<String> {
        let is_pack = |name: &&String| name.starts_with("packs/") || name.starts_with("trees/");
        let own = names.iter().filter(|name| !is_pack(name) && has_note(names, name));
        own.cloned().collect()
    };
    let there = names(&places[0]);
    for mirror in places[1..].iter().filter(|mirror| !mirror.lags) {
        let here = names(mirror);
        assert_eq!(journaled(&here), journaled(&there), "{}", mirror.name);
        assert!(here.is_subset(&there), "{}", mirror.name);
        assert!(!places[0].is_clean || here == there, "{}", mirror.name);
    }
}

/// Returns the snapshots that a vault's manifest has and the model does not.
fn newly_committed(world: &World, vault: usize) -> BTreeSet<SnapshotId> {
    let archive = &world.vaults[vault].archive;
    let known = |id: &SnapshotId| {
        archive.durable.contains_key(id)
            || archive.pending.as_ref().is_some_and(|(pending, _)| pending == id)
    };
    let manifest =
        Manifest::open(&world.state(vault).file("manifest.sqlite"), &OpenGate::shared()).unwrap();
    let snapshots = manifest.snapshots().unwrap().into_iter().map(|snapshot| snapshot.id);
    snapshots.filter(|id| !known(id)).collect()
}

/// Returns the snapshots that a vault's primary store has.
fn listed(world: &World, vault: usize) -> BTreeSet<SnapshotId> {
    let auditor = world.auditor(vault, world.store(vault, 0)).unwrap();
    auditor.snapshots().unwrap().sound.into_keys().collect()
}

//! Rehearsing a restore: everything that a bad day needs, on a machine where nothing hangs on it.
//! Spec: `drill.md`.
//!
//! What does not match is a finding and ends nothing that can still be tried; what the drill itself
//! lacks, such as a database server, is an error. The report says what was not covered.

mod checks;
mod load;
pub mod record;
pub mod rto;
pub mod scratch;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

pub use load::Constraints;
pub use scratch::{Scratch, ScratchPlace};

use load::ScratchDatabase;
use rto::{Measured, OtherStore, Projection, since};

use super::Error;
use super::restore::{self, Existing, Loss, Part, RestoreRequest};
use super::rows::RowsCounts;
use crate::base::{Clock, Code, Coded, Event, Observer, SnapshotId};
use crate::crypto::identity::DataIdentities;
use crate::format::body::{Body, DatabaseStream};
use crate::format::envelope;
use crate::format::event_fields::{Drilled, DrilledResult, Outcome};
use crate::format::snapshot_note::SnapshotNote;
use crate::store::Store;
use crate::vault::Unlocked;

/// What to drill.
pub struct DrillRequest<'a> {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Where it is restored to.
    pub scratch: &'a Scratch,
    /// The vault's other stores, from which a restore is projected.
    pub others: &'a [OtherStore],
    /// How many seconds a restore may take.
    pub target_s: u64,
    /// Where the sealed secrets are and what opens them, if their keys are to be tried.
    pub escrow: Option<(&'a dyn Store, &'a DataIdentities)>,
}

/// One phase and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseTime {
    /// Its name.
    pub phase: &'static str,
    /// Milliseconds.
    pub ms: u64,
}

/// Something that did not come back as it was archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrillFinding {
    /// What kind of thing.
    pub code: &'static str,
    /// In which phase.
    pub phase: &'static str,
    /// What.
    pub detail: String,
}

/// What came of a drill.
#[derive(Debug, Clone, Serialize)]
pub struct DrillReport {
    /// The program's version.
    pub version: &'static str,
    /// The vault's name.
    pub vault: String,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The store that it was read from.
    pub store: String,
    /// When the drill began.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// Whether everything came back.
    pub outcome: Outcome,
    /// What did not.
    pub findings: Vec<DrillFinding>,
    /// What was not tried, and why.
    pub not_covered: Vec<String>,
    /// How long everything took, in seconds.
    pub duration_s: u64,
    /// How long each phase took, in their order.
    pub phases: Vec<PhaseTime>,
    /// The scratch server.
    pub server: Option<String>,
    /// Bytes of the dump.
    pub database_len: u64,
    /// Tables whose rows were counted.
    pub table_count: u64,
    /// Rows that they have.
    pub row_count: u64,
    /// What holds the tables together.
    pub constraints: Option<Constraints>,
    /// Files that came back.
    pub file_count: u64,
    /// Their bytes.
    pub content_len: u64,
    /// How the files that rows name were found.
    pub files_of_rows: Option<RowsCounts>,
    /// How many seconds a restore may take.
    pub target_s: u64,
    /// How long it takes from each store.
    pub projections: Vec<Projection>,
}

impl DrillReport {
    /// Returns what the ledger says of it.
    pub fn to_event(&self) -> Drilled {
        Drilled {
            store: self.store.clone(),
            snapshot: self.snapshot,
            result: DrilledResult {
                outcome: self.outcome,
                duration_s: self.duration_s,
                finding_count: self.findings.len() as u64,
            },
        }
    }
}

/// A drill while it runs.
struct Drill<'a> {
    unlocked: &'a Unlocked,
    request: &'a DrillRequest<'a>,
    clock: &'a dyn Clock,
    observer: &'a dyn Observer,
    report: DrillReport,
}

/// Restores a snapshot into scratch directories and a scratch server, and compares.
///
/// # Errors
/// If the drill cannot be done: no server, no room, no identity, a store that does not answer.
/// Damage and differences are in the report.
pub fn drill(
    unlocked: &Unlocked,
    request: &DrillRequest<'_>,
    clock: &dyn Clock,
    observer: &dyn Observer,
) -> Result<DrillReport, Error> {
    let begun = clock.now();
    let report = DrillReport {
        version: env!("CARGO_PKG_VERSION"),
        vault: unlocked.auditor().note().name.clone(),
        snapshot: request.snapshot,
        store: unlocked.auditor().store().name().to_owned(),
        time: begun,
        outcome: Outcome::Failed,
        findings: Vec::new(),
        not_covered: Vec::new(),
        duration_s: 0,
        phases: Vec::new(),
        server: None,
        database_len: 0,
        table_count: 0,
        row_count: 0,
        constraints: None,
        file_count: 0,
        content_len: 0,
        files_of_rows: None,
        target_s: request.target_s,
        projections: Vec::new(),
    };
    let mut drill = Drill { unlocked, request, clock, observer, report };
    if let Some((note, body)) = drill.open()? {
        drill.restore(&body)?;
        drill.database(&body)?;
        drill.files_of_rows(&body);
        drill.keys();
        drill.project(&note)?;
    }
    let mut report = drill.report;
    report.duration_s = since(begun, clock).div_ceil(1000);
    if report.findings.is_empty() {
        report.outcome = Outcome::Passed;
    }
    Ok(report)
}

impl Drill<'_> {
    /// Opens the note and the body; damage of those ends the drill, as there is nothing to restore.
    fn open(&mut self) -> Result<Option<(SnapshotNote, Body)>, Error> {
        let (unlocked, snapshot) = (self.unlocked, self.request.snapshot);
        self.damageable("open", || {
            let note = unlocked.auditor().snapshot(snapshot)?;
            let body = unlocked.body(&note)?;
            Ok((note, body))
        })
    }

    /// Restores both parts, each on its own so that each has its time.
    fn restore(&mut self, body: &Body) -> Result<(), Error> {
        let parts = [
            (Part::Database, "database", body.database.is_some()),
            (Part::Uploads, "uploads", body.uploads.is_some()),
        ];
        for (part, phase, is_there) in parts {
            if !is_there {
                self.report.not_covered.push(format!("{phase}: the snapshot has none"));
                continue;
            }
            let target = self.request.scratch.place().restored().join(phase);
            let request = RestoreRequest {
                snapshot: self.request.snapshot,
                target: &target,
                only: Some(part),
                paths: None,
                existing: Existing::Refuse,
            };
            let (unlocked, observer) = (self.unlocked, self.observer);
            let restored =
                self.damageable(phase, || restore::restore(unlocked, &request, observer))?;
            let Some(restored) = restored else { continue };
            for Loss { what, code, detail } in &restored.losses {
                self.find(*code, phase, format!("{what}: {detail}"));
            }
            self.report.database_len += restored.database_len;
            self.report.file_count += restored.file_count;
            self.report.content_len += restored.content_len;
            if part == Part::Uploads {
                self.count_files(body);
            }
        }
        Ok(())
    }

    fn count_files(&mut self, body: &Body) {
        let Some(uploads) = &body.uploads else { return };
        let (found, expected) = (self.report.file_count, uploads.file_count);
        if found != expected && self.report.findings.is_empty() {
            let detail = format!("{found} files came back, {expected} were archived");
            self.find(Code::DrillMismatch, "uploads", detail);
        }
    }

    /// Loads the dump and compares what the server has with what was archived.
    fn database(&mut self, body: &Body) -> Result<(), Error> {
        let Some(database) = &body.database else { return Ok(()) };
        let dump = self.request.scratch.place().restored().join("database/db.sql");
        if !dump.exists() {
            self.report.not_covered.push("load: the dump did not come back".to_owned());
            return Ok(());
        }
        let version = database.server_version.as_deref();
        let dir = self.request.scratch.place().server();
        let server = self.timed("start", || ScratchDatabase::start(&dir, version))?;
        self.report.server = Some(server.describe());
        if let Err(said) = self.timed("load", || server.load(&dump))? {
            self.find(Code::DrillLoadFailed, "load", said);
            return Ok(());
        }
        self.rows(&server, database)?;
        self.constraints(&server, &dump)
    }

    fn rows(&mut self, server: &ScratchDatabase, database: &DatabaseStream) -> Result<(), Error> {
        let differing = self.timed("rows", || server.differing_rows(&database.rows))?;
        self.report.table_count = database.rows.len() as u64;
        self.report.row_count = database.rows.values().sum();
        for detail in differing {
            self.find(Code::DrillMismatch, "rows", detail);
        }
        Ok(())
    }

    fn constraints(&mut self, server: &ScratchDatabase, dump: &Path) -> Result<(), Error> {
        let (found, expected) = self.timed("constraints", || {
            let expected = load::foreign_keys_in(dump);
            let expected = expected.map_err(|cause| Error::file("read", dump, cause))?;
            Ok((server.constraints()?, expected))
        })?;
        if found.foreign_keys != expected {
            let detail = format!("{} foreign keys, the dump adds {expected}", found.foreign_keys);
            self.find(Code::DrillMismatch, "constraints", detail);
        }
        self.report.constraints = Some(found);
        Ok(())
    }

    /// Projects a restore from every store, if there was a whole one to go by.
    fn project(&mut self, note: &SnapshotNote) -> Result<(), Error> {
        if !self.report.findings.is_empty() {
            let reason = "projections: not everything came back, so its time means nothing";
            self.report.not_covered.push(reason.to_owned());
            return Ok(());
        }
        let time = |names: &[&str]| {
            let phases = self.report.phases.iter().filter(|time| names.contains(&time.phase));
            phases.map(|time| time.ms).sum()
        };
        let measured = Measured {
            restore_ms: time(&["open", "database", "uploads"]),
            // A scratch server starts anew and is not part of a bad day.
            after_ms: time(&["load", "rows", "constraints", "files-of-rows"]),
            stored_len: note.stored_len,
        };
        let (target_s, clock) = (self.request.target_s, self.clock);
        let needed = self.unlocked.auditor().list(note)?;
        let mut projections = vec![measured.drilled(&self.report.store, target_s)];
        for other in self.request.others {
            projections.push(measured.other(other, &needed, target_s, clock));
        }
        for late in projections.iter().filter(|projection| !projection.within) {
            let detail = match (&late.reason, late.projected_s) {
                (Some(reason), _) => format!("store {}: {reason}", late.store),
                (None, s) => format!(
                    "store {}: {} s, at most {target_s} s are allowed",
                    late.store,
                    s.unwrap_or(0)
                ),
            };
            self.observer.observe(Event::Warning { code: Code::RtoExceeded, detail });
        }
        self.report.projections = projections;
        Ok(())
    }

    fn find(&mut self, code: Code, phase: &'static str, detail: String) {
        self.report.findings.push(DrillFinding { code: code.text(), phase, detail });
    }

    /// Runs a phase and keeps its time.
    fn timed<T>(
        &mut self,
        phase: &'static str,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.observer.observe(Event::PhaseStarted { phase, total_len: None });
        let begun = self.clock.now();
        let value = work();
        self.report.phases.push(PhaseTime { phase, ms: since(begun, self.clock) });
        self.observer.observe(Event::PhaseFinished { phase });
        value
    }

    /// Runs a phase in which damage of the archive is a finding and not an error.
    fn damageable<T>(
        &mut self,
        phase: &'static str,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.timed(phase, work) {
            Ok(value) => Ok(Some(value)),
            Err(error) => match self.unlocked.auditor().damage(&error) {
                Some(code) => {
                    self.find(code, phase, format!("{error} ({})", error.code()));
                    Ok(None)
                }
                None => Err(error),
            },
        }
    }
}

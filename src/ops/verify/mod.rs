//! Proving what a store holds, by levels that each prove more. Spec: §12.
//!
//! | level | needs | reads |
//! |---|---|---|
//! | ledger | root verification key | vault notes, snapshot notes, lists, ledgers |
//! | stored | the same | of every object that lists name the size, and what the store attests |
//! | bytes | the same | every byte: what is stored is what was signed |
//! | contents | a data identity | every chunk and every file digest |
//!
//! Damage is a finding, never an end: everything else is still looked at.

mod barred;
mod books;
mod contents;
mod ledger;
mod meanwhile;
mod memory;
mod part;
mod record;
mod rewritten;
mod sample;
mod since;
mod stored;
mod touched;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

pub use part::{Method, Part, PartError, PublicValue, Reading, reading};
pub use sample::rank;

use super::Error;
pub use super::history::Kept;
use super::report::{FileCounts, SinceRow, TouchedRow, Verdict};
pub use super::report::{Finding, LedgerHead, Level, StoredCounts, VerifyReport};
pub use record::Rpo;

use crate::base::limits::FINDINGS_MAX;
use crate::base::{Code, Coded, Event, GenerationId, Observer, SnapshotId};
use crate::format::ObjectKey;
use crate::format::list::ListEntry;
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::Needed;
use crate::store::Stat;
use crate::vault::{self, Auditor, Unlocked};

/// What is to be verified, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How much is proven.
    pub level: Level,
    /// Only these snapshots, if given.
    pub only: Option<&'a [SnapshotId]>,
    /// The time, where what is too old and what is missing until now is looked for.
    pub now: Option<Timestamp>,
    /// Only this part, if given, and where what was looked at is remembered.
    pub part: Option<&'a Part>,
    /// How long the vault may go without a snapshot.
    pub rpo: Rpo,
    /// What somebody kept of the ledgers: they must extend it.
    pub since: &'a [Kept],
}

impl Request<'_> {
    /// Asks for a level of everything, at no time.
    pub const fn of(level: Level) -> Self {
        Self { level, only: None, now: None, rpo: Rpo::Derived, since: &[], part: None }
    }
}

/// What is said of an object that is missing.
const NOT_THERE: &str = "it is named by a signed list, and not there";

/// The findings, and of each code how many there are beside those that are named.
#[derive(Default)]
struct Findings {
    named: BTreeSet<Finding>,
    named_counts: BTreeMap<Code, usize>,
    unnamed_counts: BTreeMap<Code, u64>,
}

impl Findings {
    fn add(&mut self, finding: Finding) {
        let count = self.named_counts.entry(finding.code).or_default();
        if *count >= FINDINGS_MAX && !self.named.contains(&finding) {
            *self.unnamed_counts.entry(finding.code).or_default() += 1;
        } else {
            *count += usize::from(self.named.insert(finding));
        }
    }

    fn gaps(&self) -> Vec<String> {
        let gap = |(code, count)| format!("{count} more findings, {code}, that are not named here");
        self.unnamed_counts.iter().map(gap).collect()
    }
}

/// Collects findings and counts from several threads.
struct Collector<'a> {
    auditor: &'a Auditor,
    observer: &'a dyn Observer,
    findings: Mutex<Findings>,
    gaps: Mutex<BTreeSet<String>>,
    level: Level,
    barred: Mutex<BTreeMap<barred::Kind, bool>>,
    counts: Mutex<StoredCounts>,
    touched: Mutex<BTreeMap<SnapshotId, TouchedRow>>,
    files: Mutex<FileCounts>,
    object_count: std::sync::atomic::AtomicU64,
    read_len: std::sync::atomic::AtomicU64,
}

impl<'a> Collector<'a> {
    fn new(auditor: &'a Auditor, level: Level, observer: &'a dyn Observer) -> Self {
        Self {
            auditor,
            observer,
            findings: Mutex::default(),
            gaps: Mutex::default(),
            level,
            barred: Mutex::default(),
            counts: Mutex::default(),
            touched: Mutex::default(),
            files: Mutex::default(),
            object_count: 0.into(),
            read_len: 0.into(),
        }
    }

    fn add(&self, code: Code, object: impl ToString, detail: impl ToString) {
        let finding = Finding { code, object: object.to_string(), detail: detail.to_string() };
        held(&self.findings).add(finding);
    }

    /// Records what an error says about an object; trouble with reaching the store is passed on,
    /// since it proves nothing about the object.
    fn add_error(&self, object: impl ToString, error: vault::Error) -> Result<(), Error> {
        let object = object.to_string();
        let is_signed = object.parse().is_ok_and(|key| {
            use ObjectKey::{LedgerCheckpoint, LedgerEvent, Note, Vault};
            matches!(key, Vault(_) | Note(_) | LedgerEvent(..) | LedgerCheckpoint(..))
        });
        let code = match is_signed {
            true => self.auditor.damage_of_signed(&error),
            false => self.auditor.damage(&error),
        };
        let Some(code) = code else {
            return match object.parse().is_ok_and(|key: ObjectKey| self.is_barred(&key, &error)) {
                true => Ok(()),
                false => Err(error.into()),
            };
        };
        self.add(code, object, with_causes(&error));
        Ok(())
    }

    /// Tells whether an error says that these credentials may look at no object of a kind, and then
    /// records that this was left out (N-17). One object that is refused and others that are not is
    /// another matter: somebody may have made it so.
    fn is_barred(&self, key: &ObjectKey, error: &vault::Error) -> bool {
        let Some(kind) = barred::Kind::of(key).filter(|_| self.level <= Level::Stored) else {
            return false;
        };
        if error.code() != Code::StoreDenied {
            return false;
        }
        let mut barred = held(&self.barred);
        let store = self.auditor.store().as_ref();
        let is_barred = *barred.entry(kind).or_insert_with(|| kind.is_barred_in(store));
        drop(barred);
        if is_barred {
            self.leave_out(kind.gap());
        }
        is_barred
    }

    /// Tells whether it is known that objects like this one may not be looked at.
    fn is_known_barred(&self, key: &ObjectKey) -> bool {
        barred::Kind::of(key).is_some_and(|kind| held(&self.barred).get(&kind) == Some(&true))
    }

    /// Records what this run could not look at.
    fn leave_out(&self, gap: String) {
        held(&self.gaps).insert(gap);
    }

    /// Counts what the store says of an object.
    fn count_stored(&self, stat: &Stat) {
        held(&self.counts).count(stat);
    }

    /// Takes note of what damage touches in a snapshot.
    fn touch(&self, snapshot: SnapshotId, note: impl FnOnce(&mut TouchedRow)) {
        let mut touched = held(&self.touched);
        note(touched.entry(snapshot).or_insert_with(|| TouchedRow::new(snapshot)));
    }

    /// Counts a file, and whether it is compared with its digest.
    fn count_file(&self, is_compared: bool) {
        let mut files = held(&self.files);
        files.file_count += 1;
        files.checked_file_count += u64::from(is_compared);
    }

    /// Counts a dump, and whether it is compared with its digest.
    fn count_dump(&self, is_compared: bool) {
        let mut files = held(&self.files);
        files.dump_count += 1;
        files.checked_dump_count += u64::from(is_compared);
    }

    /// Returns how many objects were looked at so far, and how many bytes read.
    fn seen(&self) -> (u64, u64) {
        use std::sync::atomic::Ordering::Relaxed;
        (self.object_count.load(Relaxed), self.read_len.load(Relaxed))
    }

    fn saw(&self, count: u64, read_len: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        self.object_count.fetch_add(count, Relaxed);
        self.read_len.fetch_add(read_len, Relaxed);
        self.observer.observe(Event::Advanced { len: read_len });
    }
}

/// Returns an error with what caused it, on one line.
fn with_causes(error: &vault::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    format!("{error}{causes}")
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What is looked at.
struct Scope {
    /// The snapshots.
    notes: BTreeMap<SnapshotId, SnapshotNote>,
    /// Generations whose files are gone because a ledger says so.
    shredded: BTreeSet<GenerationId>,
    /// Snapshots that a ledger says are forgotten: what their lists name waits to be pruned.
    forgotten: BTreeSet<SnapshotId>,
    /// Every pack and tree object that the lists of `notes` name.
    needed: Needed,
    /// The lists, as far as they fit in little memory; the others are read again.
    lists: BTreeMap<SnapshotId, Vec<ListEntry>>,
    /// What of all that is looked at.
    chosen: part::Chosen,
}

impl Scope {
    fn new(notes: BTreeMap<SnapshotId, SnapshotNote>, needed: Needed) -> Self {
        Self {
            notes,
            shredded: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            needed,
            lists: BTreeMap::new(),
            chosen: part::Chosen::default(),
        }
    }

    /// Tells whether an object that is neither pack nor tree is one of what is looked at.
    fn names(&self, key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Vault(_) | ObjectKey::LedgerEvent(..) | ObjectKey::LedgerCheckpoint(..) => {
                true
            }
            ObjectKey::Generation(id, _) => !self.shredded.contains(id),
            ObjectKey::Note(id)
            | ObjectKey::Body(id)
            | ObjectKey::List(id)
            | ObjectKey::Segment(id) => self.notes.contains_key(id),
            _ => false,
        }
    }
}

/// Verifies a store at a level; of `only` these snapshots, if given: as [`verify_as`], at no time.
///
/// # Errors
/// As [`verify_as`].
pub fn verify(
    auditor: &Auditor,
    unlocked: Option<&Unlocked>,
    level: Level,
    only: Option<&[SnapshotId]>,
    observer: &dyn Observer,
) -> Result<VerifyReport, Error> {
    verify_as(auditor, unlocked, &Request { only, ..Request::of(level) }, observer)
}

/// Verifies a store. Without identities, which `unlocked` holds, at most level `bytes` is reached,
/// and the report says so.
///
/// # Errors
/// If the store cannot be read at all, or the identities open nothing. Damage is in the report.
pub fn verify_as(
    auditor: &Auditor,
    unlocked: Option<&Unlocked>,
    request: &Request<'_>,
    observer: &dyn Observer,
) -> Result<VerifyReport, Error> {
    let Request { level, only, .. } = *request;
    let level = if unlocked.is_some() { level } else { level.min(Level::Bytes) };
    observer.observe(Event::PhaseStarted { phase: "verify", total_len: None });
    let collector = Collector::new(auditor, level, observer);
    let checked = ledger::check(auditor, request, &collector)?;
    let ledger::Checked { heads, notes, shredded, deleted, forgotten, since, mut record } = checked;
    let wanted = |id: &SnapshotId| only.is_none_or(|only| only.contains(id));
    let notes = notes.into_iter().filter(|(id, _)| wanted(id)).collect();
    let needed = Needed::new().map_err(vault::Error::from)?;
    let mut scope = Scope { shredded, forgotten, ..Scope::new(notes, needed) };
    stored::read_lists(auditor, &mut scope, &collector)?;
    let choice = part::choose(&mut scope, request, level, &heads, &collector)?;
    deleted.check(auditor, &scope, &collector)?;
    if level >= Level::Stored {
        stored::check_sizes(auditor, &scope, &collector, only.is_none())?;
        if held(&collector.counts).locked_count > 0 {
            record.add_locks(auditor)?;
        }
    }
    if level >= Level::Bytes {
        stored::check_bytes(auditor, &scope, &collector)?;
    }
    if let Some(unlocked) = unlocked.filter(|_| level == Level::Contents) {
        contents::check(unlocked, &scope, &collector)?;
    }
    rewritten::report_met(auditor, &scope, &collector)?;
    meanwhile::withdraw(auditor, &scope, &collector)?;
    touched::gather(auditor, &scope, &collector);
    observer.observe(Event::PhaseFinished { phase: "verify" });
    let told = Told { ledgers: heads, since, record };
    let mut report = collector.report(level, only.is_some(), scope.notes.len() as u64, told);
    choice.describe(&mut report, &scope, request, observer);
    Ok(report)
}

/// What the ledgers tell.
struct Told {
    ledgers: Vec<LedgerHead>,
    since: Vec<SinceRow>,
    record: record::Record,
}

impl Collector<'_> {
    /// Makes the report of what was collected.
    fn report(
        self,
        level: Level,
        is_partial: bool,
        snapshot_count: u64,
        told: Told,
    ) -> VerifyReport {
        let Told { ledgers, since, record } = told;
        let (auditor, mut gaps) = (self.auditor, own(self.gaps));
        let counts = held(&self.counts).clone();
        let files = *held(&self.files);
        let findings = std::mem::take(&mut *held(&self.findings));
        gaps.extend(findings.gaps());
        if level == Level::Stored {
            gaps.extend(counts.gap(auditor.store().url()));
        }
        let findings: Vec<Finding> = findings.named.into_iter().collect();
        let reached = Level::ALL.into_iter().filter(|one| *one <= level);
        VerifyReport {
            vault: auditor.vault().to_string(),
            store: auditor.store().name().to_owned(),
            level,
            verdict: Verdict::of(&findings),
            proves: reached.map(|one| one.proves().to_owned()).collect(),
            snapshot_count,
            object_count: self.object_count.into_inner(),
            read_len: self.read_len.into_inner(),
            stored: (level >= Level::Stored).then_some(counts),
            record: record.finish(findings.iter()),
            findings,
            touched: own(self.touched).into_values().collect(),
            scope_sha256: None,
            sample: None,
            shard: None,
            files: (level == Level::Contents).then_some(files),
            coverage: None,
            joined: None,
            not_covered: gaps
                .into_iter()
                .chain(not_covered(level, is_partial))
                .chain(since::not_covered(&since, &ledgers))
                .collect(),
            ledgers,
            since,
        }
    }
}

fn own<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn not_covered(level: Level, partial: bool) -> impl Iterator<Item = String> {
    let mut gaps = Vec::new();
    if partial {
        gaps.push("snapshots that were not named");
    }
    if level < Level::Stored {
        gaps.push("whether the objects that the notes name exist");
    }
    if level < Level::Bytes {
        gaps.push("whether stored bytes are what was signed");
    }
    if level < Level::Contents {
        gaps.push("whether contents open and match their digests");
    }
    gaps.into_iter().map(str::to_owned)
}

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
mod batch;
mod books;
mod contents;
mod evidence;
mod items;
mod keeping;
mod ledger;
mod meanwhile;
mod provider;
mod receipts;
mod rewritten;
mod stored;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use super::Error;
pub use super::report::{Finding, LedgerHead, Level, StoredCounts, VerifyReport};
use super::report::{ProviderCounts, RecordReport, Verdict};
pub use evidence::{Evidence, EvidenceError, ReceiptsFrom};

use crate::base::limits::FINDINGS_MAX;
use crate::base::{Code, Coded, Digest, Event, GenerationId, Observer, SnapshotId};
use crate::format::ObjectKey;
use crate::format::list::ListEntry;
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::{Claims, Floor, Needed};
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
    /// What is known of the store from elsewhere.
    pub evidence: Evidence<'a>,
}

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
    tallies: Mutex<BTreeMap<barred::Kind, receipts::Tally>>,
    keeping: keeping::Keeping,
    counts: Mutex<StoredCounts>,
    object_count: std::sync::atomic::AtomicU64,
    read_len: std::sync::atomic::AtomicU64,
}

impl<'a> Collector<'a> {
    fn new(
        auditor: &'a Auditor,
        level: Level,
        keeping: keeping::Keeping,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            auditor,
            observer,
            findings: Mutex::default(),
            gaps: Mutex::default(),
            level,
            barred: Mutex::default(),
            tallies: Mutex::default(),
            keeping,
            counts: Mutex::default(),
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
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let causes: String = causes.map(|cause| format!(": {cause}")).collect();
        self.add(code, object, format!("{error}{causes}"));
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
        *barred.entry(kind).or_insert_with(|| kind.is_barred_in(store))
    }

    /// Tells whether it is known that objects like this one may not be looked at.
    fn is_known_barred(&self, key: &ObjectKey) -> bool {
        barred::Kind::of(key).is_some_and(|kind| held(&self.barred).get(&kind) == Some(&true))
    }

    /// Records what this run could not look at.
    fn leave_out(&self, gap: String) {
        held(&self.gaps).insert(gap);
    }

    /// Tells whether a finding names an object.
    fn names(&self, object: &str) -> bool {
        held(&self.findings).named.iter().any(|finding| finding.object == object)
    }

    /// Counts what the store says of an object.
    fn count_stored(&self, stat: &Stat) {
        held(&self.counts).count(stat);
    }

    /// Counts the lock of an object that is read.
    fn count_lock(&self, stat: &Stat) {
        held(&self.counts).count_lock(stat);
    }

    fn saw(&self, count: u64, read_len: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        self.object_count.fetch_add(count, Relaxed);
        self.read_len.fetch_add(read_len, Relaxed);
        self.observer.observe(Event::Advanced { len: read_len });
    }
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
    /// The floors of those that must stay for some time still.
    floors: BTreeMap<SnapshotId, Floor>,
    /// The files of generations, with their digests.
    generation_files: BTreeMap<ObjectKey, Digest>,
    /// What the store acknowledged, where that is known.
    receipts: Option<Claims>,
}

impl Scope {
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
    verify_as(
        auditor,
        unlocked,
        &Request { level, only, now: None, evidence: Evidence::default() },
        observer,
    )
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
    let Request { level, only, now, evidence } = *request;
    let level = if unlocked.is_some() { level } else { level.min(Level::Bytes) };
    observer.observe(Event::PhaseStarted { phase: "verify", total_len: None });
    let keeping = keeping::Keeping::new(auditor, &evidence, now)?;
    let collector = Collector::new(auditor, level, keeping, observer);
    let checked = ledger::check(auditor, &collector)?;
    let ledger::Checked { heads, notes, shredded, deleted, forgotten, .. } = checked;
    let wanted = |id: &SnapshotId| only.is_none_or(|only| only.contains(id));
    let notes: BTreeMap<SnapshotId, SnapshotNote> =
        notes.into_iter().filter(|(id, _)| wanted(id)).collect();
    let mut scope = Scope {
        floors: collector.keeping.floors(auditor, &notes, |id| forgotten.contains(id)),
        notes,
        shredded,
        forgotten,
        needed: Needed::new().map_err(vault::Error::from)?,
        lists: BTreeMap::new(),
        generation_files: checked.generation_files,
        receipts: receipts::read(auditor, evidence.receipts, &checked.completed, &collector)?,
    };
    stored::read_lists(auditor, &mut scope, &collector)?;
    deleted.check(auditor, &scope, &collector)?;
    if let Some(path) = evidence.batch_manifest {
        batch::write(auditor, &scope, path)?;
    }
    let provided = provider::read(auditor, evidence.provider_reports, &scope)?;
    if level >= Level::Stored {
        stored::check_sizes(auditor, &scope, &collector, only.is_none())?;
        keeping::report(auditor, &collector)?;
    }
    if let Some(provided) = provided {
        provider::compare(auditor, provided, &scope, &collector)?;
    }
    if level >= Level::Bytes {
        stored::check_bytes(auditor, &scope, &collector)?;
    }
    if let Some(unlocked) = unlocked.filter(|_| level == Level::Contents) {
        contents::check(unlocked, &scope, &collector)?;
    }
    rewritten::report_met(auditor, &scope, &collector)?;
    meanwhile::withdraw(auditor, &scope, &collector)?;
    observer.observe(Event::PhaseFinished { phase: "verify" });
    Ok(collector.report(level, only.is_some(), scope.notes.len() as u64, heads))
}

impl Collector<'_> {
    /// Makes the report of what was collected.
    fn report(
        self,
        level: Level,
        is_partial: bool,
        snapshot_count: u64,
        ledgers: Vec<LedgerHead>,
    ) -> VerifyReport {
        let own = |mutex: Mutex<_>| mutex.into_inner().unwrap_or_else(|error| error.into_inner());
        let (auditor, mut gaps) = (self.auditor, own(self.gaps));
        let tallies = held(&self.tallies).clone();
        for (kind, _) in held(&self.barred).iter().filter(|(_, is_barred)| **is_barred) {
            gaps.insert(kind.gap(tallies.get(kind).and_then(receipts::Tally::text)));
        }
        let mut counts = held(&self.counts).clone();
        counts.receipts = receipts::counts_of(&tallies);
        let findings = std::mem::take(&mut *held(&self.findings));
        gaps.extend(findings.gaps());
        if level == Level::Stored {
            gaps.extend(counts.gap(auditor.store().url()));
        }
        let provider = counts.provider.clone();
        gaps.extend(provider.as_ref().and_then(ProviderCounts::gap));
        let findings: Vec<Finding> = findings.named.into_iter().collect();
        let reached = Level::ALL.into_iter().filter(|one| *one <= level);
        VerifyReport {
            vault: auditor.vault().to_string(),
            store: auditor.store().name().to_owned(),
            level,
            verdict: Verdict::of(&findings),
            proves: reached
                .map(|one| one.proves().to_owned())
                .chain(provider.as_ref().map(ProviderCounts::proves))
                .collect(),
            snapshot_count,
            object_count: self.object_count.into_inner(),
            read_len: self.read_len.into_inner(),
            stored: (level >= Level::Stored).then_some(counts),
            ledgers,
            findings,
            not_covered: gaps
                .into_iter()
                .chain(not_covered(level, is_partial, provider.is_some()))
                .collect(),
            record: RecordReport::default(),
        }
    }
}

fn not_covered(level: Level, partial: bool, is_provided: bool) -> impl Iterator<Item = String> {
    let mut gaps = Vec::new();
    if partial {
        gaps.push("snapshots that were not named");
    }
    if level < Level::Stored {
        gaps.push("whether the objects that the notes name exist");
    }
    if level < Level::Bytes {
        gaps.push(match is_provided {
            true => "whether stored bytes are what was signed, but for the provider's word on some",
            false => "whether stored bytes are what was signed",
        });
    }
    if level < Level::Contents {
        gaps.push("whether contents open and match their digests");
    }
    gaps.push(
        "events after the newest checkpoint that you kept yourself, if a store was rolled back",
    );
    gaps.into_iter().map(str::to_owned)
}

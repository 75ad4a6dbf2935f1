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
mod changed;
mod collector;
mod contents;
mod each;
mod evidence;
mod items;
mod keeping;
mod ledger;
mod meanwhile;
mod memory;
mod part;
mod provider;
mod receipts;
mod record;
mod rewritten;
mod sample;
mod since;
mod stored;
mod touched;
mod tree;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

pub use evidence::{Evidence, EvidenceError, ReceiptsFrom};
pub use part::{Method, Part, PartError, PublicValue, Reading, reading};
pub use sample::rank;

use super::Error;
pub use super::history::Kept;
pub use super::report::{BarredCounts, Finding, LedgerHead, Level, StoredCounts, VerifyReport};
pub use record::Rpo;

use collector::{Collector, Told, held, with_causes};

use crate::base::{Code, Coded as _, Digest, Event, GenerationId, Observer, SnapshotId};
use crate::format::ObjectKey;
use crate::format::list::ListEntry;
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::{Claims, Floor, Needed};
use crate::vault::{self, Auditor, Unlocked};

/// What is to be verified, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How much is proven.
    pub level: Level,
    /// Only these snapshots, if given.
    pub only: Option<&'a [SnapshotId]>,
    /// Whether what came of each of these is told apart.
    pub is_each: bool,
    /// The time, where what is too old and what is missing until now is looked for.
    pub now: Option<Timestamp>,
    /// Only this part, if given, and where what was looked at is remembered.
    pub part: Option<&'a Part>,
    /// How long the vault may go without a snapshot.
    pub rpo: Rpo,
    /// What somebody kept of the ledgers: they must extend it.
    pub since: &'a [Kept],
    /// What is known of the store from elsewhere.
    pub evidence: Evidence<'a>,
}

impl Request<'_> {
    /// Asks for a level of everything, at no time.
    pub const fn of(level: Level) -> Self {
        let (only, is_each, now, rpo) = (None, false, None, Rpo::Derived);
        Self { level, only, is_each, now, rpo, since: &[], part: None, evidence: Evidence::NONE }
    }
}

/// What is said of an object that is missing.
const NOT_THERE: &str = "it is named by a signed list, and not there";

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
    /// From when the age of each is counted, where it is known what time it is.
    begins: BTreeMap<SnapshotId, Timestamp>,
    /// The floors of those that must stay for some time still.
    floors: BTreeMap<SnapshotId, Floor>,
    /// The files of generations, with their digests.
    generation_files: BTreeMap<ObjectKey, Digest>,
    /// What the store acknowledged, where that is known.
    receipts: Option<Claims>,
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
            begins: BTreeMap::new(),
            floors: BTreeMap::new(),
            generation_files: BTreeMap::new(),
            receipts: None,
        }
    }

    /// Returns what the list of a snapshot names.
    ///
    /// # Errors
    /// If it is not in memory, and cannot be read again.
    fn list_of(
        &self,
        auditor: &Auditor,
        note: &SnapshotNote,
    ) -> Result<Cow<'_, [ListEntry]>, vault::Error> {
        match self.lists.get(&note.snapshot) {
            Some(list) => Ok(Cow::Borrowed(list)),
            None => auditor.list(note).map(Cow::Owned),
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
    let Request { level, only, now, evidence, .. } = *request;
    let (reopened, unread) = match reopened(auditor) {
        Ok(reopened) => (reopened, None),
        Err(error) => (None, Some(error)),
    };
    let auditor = reopened.as_ref().unwrap_or(auditor);
    let level = if unlocked.is_some() { level } else { level.min(Level::Bytes) };
    observer.observe(Event::PhaseStarted { phase: "verify", total_len: None });
    let keeping = keeping::Keeping::new(auditor, &evidence, now)?;
    let mut collector = Collector::new(auditor, level, keeping, observer);
    if let Some(error) = unread {
        collector.add_error(next_note(auditor), error)?;
    }
    let ledger::Checked {
        heads,
        notes,
        shredded,
        deleted,
        forgotten,
        begins,
        since,
        mut record,
        generation_files,
        completed,
    } = ledger::check(auditor, request, &collector)?;
    let wanted = |id: &SnapshotId| only.is_none_or(|only| only.contains(id));
    let notes = notes.into_iter().filter(|(id, _)| wanted(id)).collect();
    let receipts = receipts::read(auditor, evidence.receipts, &completed, &collector)?;
    let needed = Needed::new().map_err(vault::Error::from)?;
    let scope = Scope::new(notes, needed);
    let mut scope = Scope { shredded, forgotten, begins, receipts, generation_files, ..scope };
    scope.floors = collector.keeping.floors(auditor, &scope);
    stored::read_lists(auditor, &mut scope, &collector)?;
    if let Some(path) = evidence.batch_manifest {
        batch::write(auditor, &scope, path)?;
    }
    if let Some(provided) = provider::read(auditor, evidence.provider_reports, &scope)? {
        collector.provided = Some(provided);
    }
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
    // What reading told is not told again.
    if level >= Level::Stored {
        keeping::report(auditor, &collector)?;
    }
    if let Some(provided) = &collector.provided {
        provider::compare(auditor, provided, &scope, &collector)?;
    }
    for (key, detail) in collector.barred.withheld() {
        collector.add(Code::ObjectUnreadable, key, detail);
    }
    rewritten::report_met(auditor, &scope, &collector)?;
    meanwhile::withdraw(auditor, &scope, &collector)?;
    touched::gather(auditor, &scope, &collector)?;
    let named = only.filter(|_| request.is_each).unwrap_or_default();
    let each = each::gather(auditor, &scope, named, &collector)?;
    observer.observe(Event::PhaseFinished { phase: "verify" });
    let told = Told { ledgers: heads, since, record };
    let (barred_pack_count, barred_other_count) = *held(&collector.barred_counts);
    let barred = (barred_pack_count > 0 || barred_other_count > 0).then(|| {
        let pack_count = scope.needed.packs().map_err(vault::Error::from)?.count;
        Ok::<_, Error>(BarredCounts { pack_count, barred_pack_count, barred_other_count })
    });
    let barred = barred.transpose()?;
    let mut report = collector.report(level, only.is_some(), scope.notes.len() as u64, told);
    (report.barred, report.each) = (barred, each);
    choice.describe(&mut report, &scope, request, observer);
    Ok(report)
}

fn next_note(auditor: &Auditor) -> ObjectKey {
    ObjectKey::Vault(auditor.note().number.saturating_add(1))
}

/// Opens a vault again whose next note is there by now: the ledgers that are read from here on may
/// rest on it.
fn reopened(auditor: &Auditor) -> Result<Option<Auditor>, vault::Error> {
    match auditor.versions().has(next_note(auditor)) {
        Ok(true) => Auditor::open(Arc::clone(auditor.store()), auditor.root().clone()).map(Some),
        // Who may not list is refused what is not there.
        Err(error) if error.code() != Code::StoreDenied => Err(error),
        Ok(false) | Err(_) => Ok(None),
    }
}

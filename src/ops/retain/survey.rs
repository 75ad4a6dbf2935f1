//! Everything that a retention plan is made of, read from all stores of a vault. Spec:
//! `retention.md` §1.
//!
//! - What verifies in any store counts: a mirror that lost something forgets nothing by it.
//! - A log that may hold a hold must be readable to its end, or nothing goes.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;

use super::chain;
use super::notes::{self, Notes};
use super::sight::check_sight;
use crate::base::{Observer, SignerId, SnapshotId};
use crate::format::event::{EventKind, EventPayload};
use crate::format::event_fields::{Outcome, Verified};
use crate::format::ledger::LedgerEvent;
use crate::format::role::Role;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::vault_note::VaultNote;
use crate::format::{Folder, ObjectKey};
use crate::ops::Error;
use crate::policy::guard::Known;
use crate::policy::plan::SKEW_MAX;
use crate::policy::{Candidate, HoldRef, PolicyHistory};
use crate::store::{self, Listed, Store};
use crate::vault::ledger::SignerLog;
use crate::vault::ledger::holds::holds_of;
use crate::vault::ledger::too_late::TooLate;
use crate::vault::{Auditor, ledger, locking};

/// Percent of the objects that a verification must have looked at to count as one of all.
const WHOLE_PERCENT: u8 = 100;

/// That a ledger says a snapshot is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Who said so first.
    pub signer: SignerId,
    /// Under which rule.
    pub rule: String,
    /// Everybody who said so.
    pub signers: BTreeSet<SignerId>,
    /// The numbers of the stores whose own logs say so.
    pub stores: BTreeSet<usize>,
}

impl Forgotten {
    const fn by(signer: SignerId, rule: String) -> Self {
        Self { signer, rule, signers: BTreeSet::new(), stores: BTreeSet::new() }
    }
}

/// What all stores of a vault say of its snapshots.
pub struct Survey {
    /// One for each store, the primary first.
    pub auditors: Vec<Auditor>,
    /// The logs of each store.
    pub logs: Vec<Vec<SignerLog>>,
    /// The policies of the vault.
    pub history: PolicyHistory,
    /// Every snapshot that stands: its note verifies, and no ledger says that it is forgotten.
    pub candidates: Vec<Candidate>,
    /// Every note that counts, also of what is forgotten.
    pub notes: Notes,
    /// What a ledger says is forgotten.
    pub forgotten: BTreeMap<SnapshotId, Forgotten>,
    /// What stores and ledgers know of the time.
    pub known: Option<Known>,
    holds: BTreeMap<SnapshotId, Vec<HoldRef>>,
    verified: BTreeSet<SnapshotId>,
    written: BTreeMap<ObjectKey, Option<Timestamp>>,
    too_late: TooLate,
}

impl Survey {
    /// Reads all stores. What does not verify is a warning, and stays.
    ///
    /// # Errors
    /// If a store does not answer, the policy is one of a newer program, or a log that may hold a
    /// hold is not whole.
    pub fn read(auditors: Vec<Auditor>, observer: &dyn Observer) -> Result<Self, Error> {
        let newest = chain::newest_of(&auditors)?;
        // A mirror that lags does not know who was retired, or what was taken from whom.
        let judge = |auditor: Auditor| auditor.by_chain(newest.clone());
        let auditors: Vec<Auditor> = auditors.into_iter().map(judge).collect();
        let logs = auditors.iter().map(read_logs).collect::<Result<Vec<_>, _>>()?;
        chain::check_recorded(&newest, &logs)?;
        newest.last().map_or(Ok(()), |link| check_sight(&link.note, &logs))?;
        let history = chain::history_of(&newest)?;
        let mut written = BTreeMap::new();
        for auditor in &auditors {
            for folder in [Folder::Snapshots, Folder::Ledger] {
                add_written(auditor, folder, &mut written)?;
            }
        }
        let notes = notes::gather(&auditors, &logs, observer)?;
        let mut survey = Self {
            auditors,
            logs,
            history,
            candidates: Vec::new(),
            notes,
            forgotten: BTreeMap::new(),
            known: None,
            holds: BTreeMap::new(),
            verified: BTreeSet::new(),
            written,
            too_late: TooLate::default(),
        };
        let written = |key: &ObjectKey| Ok::<_, Infallible>(survey.written(key));
        let Ok(too_late) = TooLate::of(survey.note(), survey.events(), written);
        survey.too_late = too_late;
        survey.take_up();
        Ok(survey)
    }

    /// Returns the newest vault note of any store.
    ///
    /// # Panics
    /// Never: a vault without a note is refused.
    pub fn note(&self) -> &VaultNote {
        self.auditors.first().expect("a vault without a note is refused").note()
    }

    /// Returns every note that counts, of an id that has several all of them.
    pub fn signed(&self) -> impl Iterator<Item = &SnapshotNote> {
        self.notes.values().flatten()
    }

    /// Returns the stores, the primary first.
    pub fn stores(&self) -> Vec<Arc<dyn Store>> {
        self.auditors.iter().map(|auditor| Arc::clone(auditor.store())).collect()
    }

    /// Returns a snapshot as the plan sees it, also one that is forgotten or whose note is gone.
    pub fn candidate(&self, id: SnapshotId) -> Candidate {
        let notes = || self.notes.get(&id).into_iter().flatten();
        let keys = [ObjectKey::Note(id), ObjectKey::List(id), ObjectKey::Body(id)];
        Candidate {
            id,
            time: notes().map(|note| note.time).max().unwrap_or_else(|| id.time()),
            observed: keys.iter().find_map(|key| self.written(key)),
            floor: notes().filter_map(|note| note.floor).max(),
            keep_tag: notes().any(|note| note.keep_tag),
            holds: self.holds.get(&id).cloned().unwrap_or_default(),
            locked_until: None,
            is_verified: self.verified.contains(&id),
        }
    }

    /// Returns when a store first had a note, a list, a body or an event, if one tells.
    pub fn written(&self, key: &ObjectKey) -> Option<Timestamp> {
        self.written.get(key).copied().flatten()
    }

    /// Tells whether any store has a note, a list, a body or an event.
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.written.contains_key(key)
    }

    /// Returns the snapshots of which a store has a note, whether it verifies or not.
    pub(super) fn noted(&self) -> impl Iterator<Item = SnapshotId> {
        self.written.keys().filter_map(|key| match key {
            ObjectKey::Note(id) => Some(*id),
            _ => None,
        })
    }

    /// Returns until when an event that is put now is locked, in a store that locks.
    ///
    /// # Errors
    /// If the policy is one of a newer program.
    pub fn event_locked_until(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let opened = self.events().filter_map(|event| match event.payload {
            EventPayload::GenerationOpened(_) => Some(event.time),
            _ => None,
        });
        let (opened, note) = (opened.max().unwrap_or(now).min(now), self.note());
        Ok(locking::locked_until(&note.policy, &note.parameters, opened, now)?)
    }

    /// Returns every event that verifies in any store, once.
    pub fn distinct_events(&self) -> impl Iterator<Item = &LedgerEvent> + Clone {
        let mut longest: BTreeMap<SignerId, &SignerLog> = BTreeMap::new();
        for log in self.logs.iter().flatten() {
            let known = longest.entry(log.signer).or_insert(log);
            if log.head.size >= known.head.size {
                *known = log;
            }
        }
        let longest: Vec<&SignerLog> = longest.into_values().collect();
        longest.into_iter().flat_map(|log| &log.events)
    }

    /// Returns every event with the number of the store that has it.
    fn events_by_store(&self) -> impl Iterator<Item = (usize, &LedgerEvent)> {
        self.logs.iter().enumerate().flat_map(|(number, logs)| {
            let events = logs.iter().flat_map(|log| &log.events);
            events.map(move |event| (number, event))
        })
    }

    /// Tells whether an event counts: what a retired signer said too late takes nothing away.
    pub(super) fn counts(&self, event: &LedgerEvent) -> bool {
        self.too_late.counts(event)
    }

    fn events(&self) -> impl Iterator<Item = &LedgerEvent> + Clone {
        self.logs.iter().flatten().flat_map(|log| &log.events)
    }

    /// Derives what the events say, once all of them are there.
    fn take_up(&mut self) {
        let (mut verified, mut all_verified): (BTreeSet<SnapshotId>, _) = (BTreeSet::new(), None);
        let mut forgotten: BTreeMap<SnapshotId, Forgotten> = BTreeMap::new();
        for (number, event) in self.events_by_store().filter(|(_, event)| self.counts(event)) {
            match &event.payload {
                EventPayload::SnapshotForgotten(said) => {
                    let signer = event.signer;
                    let first = || Forgotten::by(signer, said.rule.clone());
                    let there = forgotten.entry(said.snapshot).or_insert_with(first);
                    there.signers.insert(signer);
                    there.stores.insert(number);
                }
                EventPayload::Drilled(said) if said.result.outcome == Outcome::Passed => {
                    verified.insert(said.snapshot);
                }
                EventPayload::Verified(said) if self.is_whole(event.signer, said) => {
                    match said.scope.snapshot {
                        Some(id) => drop(verified.insert(id)),
                        None => {
                            let until = said.scope.until.unwrap_or(event.time).min(event.time);
                            all_verified = all_verified.max(Some(until));
                        }
                    }
                }
                _ => {}
            }
        }
        let was_there = |note: &&SnapshotNote| {
            all_verified.is_some_and(|until| note.time <= until && self.was_put(note, until))
        };
        verified.extend(self.signed().filter(was_there).map(|note| note.snapshot));
        let written = self.written.values().flatten().copied();
        let of_event = |event: &LedgerEvent| {
            let key = ObjectKey::LedgerEvent(event.signer, event.seq);
            Some((event.time, self.written(&key)?))
        };
        let accepted = self.events().filter_map(|event| match &event.payload {
            EventPayload::ClockAnomaly(anomaly) if self.may_delete(event.signer) => {
                Some((anomaly.known, anomaly.found))
            }
            _ => None,
        });
        let (accepted, policy) = (accepted.collect::<Vec<_>>(), self.history.in_force());
        self.known = Known::of(policy, written, self.events().filter_map(of_event), &accepted);
        let holds = holds_of(self.events(), |event| self.counts(event));
        for hold in holds.into_values().filter(|hold| hold.released.is_none()) {
            let (placed_by, placed_seq, until) = (hold.signer, hold.seq, hold.until);
            let held = self.holds.entry(hold.snapshot).or_default();
            held.push(HoldRef { placed_by, placed_seq, until });
        }
        (self.forgotten, self.verified) = (forgotten, verified);
        let standing = self.notes.keys().filter(|id| !self.forgotten.contains_key(id));
        self.candidates = standing.map(|id| self.candidate(*id)).collect();
    }

    /// Tells whether a note was in a store at a time, where its store tells; one that was copied
    /// since tells only that.
    fn was_put(&self, note: &SnapshotNote, until: Timestamp) -> bool {
        let put = self.written(&ObjectKey::Note(note.snapshot));
        put.is_none_or(|put| put <= until || put.duration_since(note.time) > SKEW_MAX)
    }

    /// Tells whether a verification passed that looked at every byte, of a signer that is no host:
    /// a host cannot vouch for what it puts.
    fn is_whole(&self, signer: SignerId, said: &Verified) -> bool {
        self.note().delegate(signer).is_some_and(|one| one.role != Role::Writer)
            && said.result.outcome == Outcome::Passed
            && said.scope.sample_percent == WHOLE_PERCENT
            && matches!(said.scope.level.as_str(), "bytes" | "contents")
    }

    /// Tells whether a signer may delete, so that what it accepted of the clock counts.
    fn may_delete(&self, signer: SignerId) -> bool {
        let kinds =
            [EventKind::SnapshotForgotten, EventKind::PacksDeleted, EventKind::GenerationShredded];
        let delegate = self.note().delegate(signer);
        delegate.is_some_and(|one| kinds.into_iter().any(|kind| one.may_append(kind)))
    }
}

/// Reads every log of a store. What somebody planted where only the store can read it is no more
/// than damage: it must not keep others from applying the policy (I8).
fn read_logs(auditor: &Auditor) -> Result<Vec<SignerLog>, Error> {
    let mut logs = ledger::read_all(auditor)?;
    for log in &mut logs {
        let silent = |(_, error): &(ObjectKey, _)| auditor.damage_of_signed(error).is_none();
        if let Some(at) = log.problems.iter().position(silent) {
            return Err(log.problems.swap_remove(at).1.into());
        }
    }
    Ok(logs)
}

/// Adds when a store first had each object of a folder: of several versions the oldest.
fn add_written(
    auditor: &Auditor,
    folder: Folder,
    written: &mut BTreeMap<ObjectKey, Option<Timestamp>>,
) -> Result<(), Error> {
    let store = auditor.store();
    let mut found: Vec<(ObjectKey, Option<Timestamp>)> = Vec::new();
    let mut add = |listed| {
        if let Listed::Object(key, stat) = listed {
            found.push((key, stat.modified));
        }
    };
    match store.list_versions(folder) {
        Ok(Some(listing)) => {
            for versioned in listing {
                let versioned = versioned?;
                auditor.versions().meet(&versioned);
                add(versioned.listed);
            }
        }
        Ok(None) | Err(store::Error::Denied { .. }) => {
            for listed in store.list(folder)? {
                add(listed?);
            }
        }
        Err(error) => return Err(error.into()),
    }
    for (key, mut at) in found {
        // A listing does not tell every store's versions; of a name with one this asks nothing.
        if let Some(oldest) = auditor.versions().views(key)?.first() {
            at = first(at, written_of(oldest.as_ref(), &key)?);
        }
        let there = written.entry(key).or_default();
        *there = first(*there, at);
    }
    Ok(())
}

/// Returns when a version was put, if who asks may look at it: a janitor may not look at bodies.
fn written_of(view: &dyn Store, key: &ObjectKey) -> Result<Option<Timestamp>, Error> {
    match view.stat(key) {
        Ok(stat) => Ok(stat.and_then(|stat| stat.modified)),
        Err(store::Error::Denied { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn first(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

//! What the books say of one another, and whether what they record was allowed. Spec: §8.8,
//! `retention.md` §6.
//!
//! - No log may be shorter than, or other than, what another one quotes of it.
//! - No record may be dated before what it follows, unless a clock is known to have been wrong.
//! - What was forgotten was past its floor and under no hold; what was deleted, nobody needs.
//!   What a retired signer says too late lets nothing go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::Notes;
use super::{Collector, Scope};
use crate::base::{Code, SnapshotId};
use crate::crypto::merkle::Log;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::ClockAnomaly;
use crate::format::ledger::LedgerEvent;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::ops::report::GoneRow;
use crate::policy::plan::SKEW_MAX;
use crate::policy::{Period, Policy, PolicyError, PolicyTimes};
use crate::vault::ledger::SignerLog;
use crate::vault::ledger::holds::{Hold, holds_of};
use crate::vault::ledger::quotes::{Quote, closed_logs, quotes_of};
use crate::vault::ledger::too_late::{TooLate, written_events};
use crate::vault::{self, Auditor};

/// Notes and ledgers of a store, and what follows from them.
pub struct Books<'a> {
    /// Who reads the store.
    pub auditor: &'a Auditor,
    /// The ledgers.
    pub logs: &'a [SignerLog],
    /// The notes that verify.
    pub notes: &'a Notes,
    /// The snapshots whose notes are there and do not verify.
    pub unread: BTreeSet<SnapshotId>,
    too_late: TooLate,
    /// None, where a newer program wrote one.
    policies: Option<PolicyTimes>,
    /// What logs quote of one another.
    quotes: Vec<Quote>,
    /// When the store first had each event, where it tells.
    written: BTreeMap<ObjectKey, Timestamp>,
    /// When each snapshot was recorded, by the clock of who took it.
    taken: BTreeMap<SnapshotId, Timestamp>,
    holds: BTreeMap<SnapshotId, Vec<Hold>>,
    /// The events by which snapshots went, each the first that counts.
    forgotten: BTreeMap<SnapshotId, (ObjectKey, GoneRow)>,
}

impl<'a> Books<'a> {
    /// Derives what follows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn of(
        auditor: &'a Auditor,
        logs: &'a [SignerLog],
        notes: &'a Notes,
        unread: BTreeSet<SnapshotId>,
    ) -> Result<Self, Error> {
        let too_late = TooLate::in_store(auditor, logs)?;
        let links = auditor.chain().iter();
        let dated = links.map(|link| Ok((link.note.time, Policy::from_json(&link.note.policy)?)));
        let policies: Result<_, PolicyError> = dated.collect();
        let events = logs.iter().flat_map(|log| &log.events);
        let mut holds: BTreeMap<SnapshotId, Vec<Hold>> = BTreeMap::new();
        for hold in holds_of(events.clone(), |event| too_late.counts(event)).into_values() {
            holds.entry(hold.snapshot).or_default().push(hold);
        }
        let mut forgotten: BTreeMap<SnapshotId, (ObjectKey, GoneRow)> = BTreeMap::new();
        for event in events.filter(|event| too_late.counts(event)) {
            let EventPayload::SnapshotForgotten(said) = &event.payload else { continue };
            let (time, signer) = (event.time, event.signer);
            if forgotten.get(&said.snapshot).is_none_or(|(_, known)| time < known.time) {
                let gone = GoneRow { time, rule: said.rule.clone(), by: said.by.clone(), signer };
                let key = ObjectKey::LedgerEvent(signer, event.seq);
                forgotten.insert(said.snapshot, (key, gone));
            }
        }
        let mut taken = BTreeMap::new();
        for event in logs.iter().flat_map(|log| &log.events) {
            if let EventPayload::SnapshotTaken(said) = &event.payload {
                taken.entry(said.snapshot).or_insert(event.time);
            }
        }
        let policies = policies.ok().map(PolicyTimes::new);
        let (quotes, written) = (quotes_of(auditor.note(), logs), written_events(auditor)?);
        Ok(Self {
            auditor,
            logs,
            notes,
            unread,
            too_late,
            policies,
            quotes,
            written,
            taken,
            holds,
            forgotten,
        })
    }

    /// Compares the logs with one another, with the notes, with the policy and, where it is known,
    /// with the time.
    pub fn check(&self, now: Option<Timestamp>, collector: &Collector<'_>) {
        let Self { auditor, logs, .. } = *self;
        check_quotes(&self.quotes, logs, collector);
        check_closed(auditor, logs, collector);
        check_times(logs, self.notes, now, collector);
        self.check_forgotten(collector);
    }

    /// Returns every event.
    pub fn events(&self) -> impl Iterator<Item = &'a LedgerEvent> + use<'a> {
        self.logs.iter().flat_map(|log| &log.events)
    }

    /// Returns every snapshot that an event which counts says is forgotten, with that event.
    pub fn forgotten(&self) -> impl Iterator<Item = (&SnapshotId, &ObjectKey)> {
        self.forgotten.iter().map(|(id, (key, _))| (id, key))
    }

    /// Returns how a snapshot went, if it did.
    pub fn gone(&self, id: SnapshotId) -> Option<GoneRow> {
        self.forgotten.get(&id).map(|(_, gone)| gone.clone())
    }

    /// Returns the holds that there ever were on a snapshot.
    pub fn holds(&self, id: SnapshotId) -> &[Hold] {
        self.holds.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Returns the policy that was in force at a time.
    pub fn policy_at(&self, time: Timestamp) -> Option<&Policy> {
        self.policies.as_ref()?.at(time)
    }

    /// Returns the period of which one snapshot was admitted at a time.
    pub fn every_at(&self, time: Timestamp) -> Option<Period> {
        self.policy_at(time).and_then(Policy::every)
    }

    /// Returns the floor of a snapshot as it was at a time.
    pub fn floor_of(&self, id: SnapshotId, at: Timestamp) -> Option<Timestamp> {
        let promised = self.notes.get(&id).map(|note| note.floor);
        self.policies.as_ref()?.floor_of(self.begins(id, at), promised, at)
    }

    /// Returns the time from which the age of a snapshot is counted (F-28): of its id and its note,
    /// and of its record where that is so much later that the others were dated back. What is dated
    /// after the time at which that is asked does not count.
    pub fn begins(&self, id: SnapshotId, at: Timestamp) -> Timestamp {
        let note = self.notes.get(&id).map(|note| note.time);
        let said = note.map_or(id.time(), |time| time.max(id.time()));
        let recorded = self.taken.get(&id).filter(|taken| taken.duration_since(said) > SKEW_MAX);
        let all = [id.time()].into_iter().chain(note).chain(recorded.copied());
        let past = all.filter(|time| time.duration_since(at) <= SKEW_MAX);
        past.max().unwrap_or(said)
    }

    /// Returns when a snapshot was taken at the latest, by the clock of who took it and recorded
    /// that (L-14).
    pub fn taken_at(&self, id: SnapshotId) -> Timestamp {
        let is_off = |taken: &&Timestamp| taken.duration_since(id.time()).abs() > SKEW_MAX;
        self.taken.get(&id).filter(is_off).copied().unwrap_or(id.time())
    }

    /// Tells whether the store got the record of a snapshot more than a day after its time.
    pub fn came_late(&self, event: &LedgerEvent, id: SnapshotId) -> bool {
        let written = self.written.get(&ObjectKey::LedgerEvent(event.signer, event.seq));
        written.is_some_and(|at| at.duration_since(self.taken_at(id)) > SKEW_MAX)
    }

    /// Returns when an event on a snapshot was recorded at the latest, as far as others tell: who
    /// quoted it, and the store that had it, each by a clock that may be a day off (F-44).
    fn recorded_by(&self, event: &LedgerEvent, id: SnapshotId) -> Timestamp {
        let log = self.logs.iter().find(|log| log.signer == event.signer);
        let size = log.map_or(0, |log| log.head.size);
        let is_of = |quote: &&Quote| {
            quote.signer == event.signer && event.seq < quote.head.size && quote.head.size <= size
        };
        let quoted = self.quotes.iter().filter(is_of).map(|quote| quote.seen_by);
        let written = self.written.get(&ObjectKey::LedgerEvent(event.signer, event.seq));
        // A clock by which it was there before its snapshot is wrong.
        let others = quoted.chain(written.copied()).filter(|at| *at >= id.time());
        let latest = others.min().and_then(|at| at.checked_add(SKEW_MAX).ok());
        latest.map_or(event.time, |at| at.min(event.time))
    }

    /// Returns since when a snapshot that stands is past its ceiling and nothing has kept it.
    pub fn over_age_since(
        &self,
        note: &SnapshotNote,
        begins: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let over = self.policies.as_ref()?.over_age_since(begins, now)?;
        let floor = self.policies.as_ref()?.floor_of(begins, Some(note.floor), now);
        let mut since = over.max(floor.unwrap_or(over));
        for hold in self.holds(note.snapshot) {
            since = since.max(hold.end()?);
        }
        Some(since)
    }
}

/// Finds logs that were cut or rewritten since another signer saw them (V-211).
fn check_quotes(quotes: &[Quote], logs: &[SignerLog], collector: &Collector<'_>) {
    let mut broken = BTreeSet::new();
    for quote in quotes {
        let log = logs.iter().find(|log| log.signer == quote.signer);
        // Of one that breaks off it is found why.
        if log.is_some_and(|log| !log.problems.is_empty()) {
            continue;
        }
        let empty = Log::empty();
        let hashes = log.map_or(&empty, |log| &log.hashes);
        let Err(error) = hashes.check_extends(&quote.head) else { continue };
        // One finding a log: the first that shows it names who saw what.
        if broken.insert(quote.signer) {
            let (event, size) = (quote.event, quote.head.size);
            let detail = format!(
                "{event} quotes {size} events of this log: it was cut or rewritten since, or the \
                 quote is invented, and then its signer is to be retired: {error}"
            );
            let key = ObjectKey::LedgerEvent(quote.signer, size.saturating_sub(1));
            collector.add(Code::LedgerBroken, key, detail);
        }
    }
}

/// Finds what the log of a retired signer got since a vault note closed it (V-213).
fn check_closed(auditor: &Auditor, logs: &[SignerLog], collector: &Collector<'_>) {
    let closed = closed_logs(logs);
    let is_retired =
        |id| auditor.note().delegate(id).is_some_and(|delegate| delegate.retired.is_some());
    for log in logs.iter().filter(|log| is_retired(log.signer)) {
        let size = closed.get(&log.signer).copied().filter(|size| *size < log.head.size);
        if let Some(size) = size {
            let detail = format!(
                "its signer was retired when the log had {size} events: it waited on its host, or \
                 is dated back"
            );
            collector.add(Code::RecordBackdated, ObjectKey::LedgerEvent(log.signer, size), detail);
        }
    }
}

/// Finds what is dated more than a day before what it follows (V-212), and what is dated more than
/// a day after now (V-218).
fn check_times(
    logs: &[SignerLog],
    notes: &Notes,
    now: Option<Timestamp>,
    collector: &Collector<'_>,
) {
    let events = || logs.iter().flat_map(|log| &log.events);
    let anomalies: Vec<&ClockAnomaly> = events()
        .filter_map(|event| match &event.payload {
            EventPayload::ClockAnomaly(anomaly) => Some(anomaly),
            _ => None,
        })
        .collect();
    let is_before = |said: Timestamp, after: Timestamp| after.duration_since(said) > SKEW_MAX;
    let is_explained = |said: Timestamp, after: Timestamp| {
        let knows = |one: &&&ClockAnomaly| {
            !is_before(one.known, after) && !is_before(said, one.found) && one.found < one.known
        };
        anomalies.iter().find(knows).is_some()
    };
    let report = |key: ObjectKey, said, after| {
        if is_before(said, after) && !is_explained(said, after) {
            let detail = format!("it is dated {said}, and what it follows {after}");
            collector.add(Code::RecordBackdated, key, detail);
        }
    };
    for log in logs {
        let mut newest = Timestamp::MIN;
        for event in &log.events {
            let key = ObjectKey::LedgerEvent(event.signer, event.seq);
            let is_ahead =
                |now: &Timestamp| is_before(*now, event.time) && !is_explained(*now, event.time);
            match now.filter(is_ahead) {
                Some(_) => {
                    let detail = format!("it is dated {}, more than a day after now", event.time);
                    collector.add(Code::RecordBackdated, key, detail);
                }
                None => report(key, event.time, newest.max(follows(event))),
            }
            newest = newest.max(event.time);
        }
    }
    for (id, note) in notes {
        report(ObjectKey::Note(*id), note.time, id.time());
    }
}

/// Returns the time of what an event records, where its id says it.
fn follows(event: &LedgerEvent) -> Timestamp {
    match &event.payload {
        EventPayload::SnapshotTaken(taken) => taken.snapshot.time(),
        EventPayload::SnapshotForgotten(forgotten) => forgotten.snapshot.time(),
        EventPayload::GenerationOpened(opened) => opened.generation.time(),
        _ => Timestamp::MIN,
    }
}

impl Books<'_> {
    /// Finds snapshots that were forgotten before their floor, or under a hold (F-37, F-44).
    fn check_forgotten(&self, collector: &Collector<'_>) {
        if self.policies.is_none() {
            let gap = "whether floors had passed when snapshots were forgotten, and which stand \
                       past their ceiling: a newer program wrote the policy";
            collector.leave_out(gap.to_owned());
        }
        for event in self.events().filter(|event| self.too_late.counts(event)) {
            let EventPayload::SnapshotForgotten(said) = &event.payload else { continue };
            let (id, key) = (said.snapshot, ObjectKey::LedgerEvent(event.signer, event.seq));
            let at = self.recorded_by(event, id);
            let dated = match at < event.time {
                true => format!(": it is dated {}, and was recorded by {at}", event.time),
                false => String::new(),
            };
            if let Some(hold) = self.holds(id).iter().find(|hold| hold.stood_at(event, at)) {
                let placed = ObjectKey::LedgerEvent(hold.signer, hold.seq);
                let detail =
                    format!("it lets {id} go, which was under the hold of {placed}{dated}");
                collector.add(Code::ForgottenEarly, key, detail);
            }
            if let Some(floor) = self.floor_of(id, at).filter(|floor| at < *floor) {
                let detail = format!("it lets {id} go before its floor, {floor}{dated}");
                collector.add(Code::ForgottenEarly, key, detail);
            }
        }
    }
}

/// What ledgers say was deleted, and which event says it.
pub struct Deleted(BTreeMap<ObjectKey, ObjectKey>);

impl Deleted {
    /// Gathers it.
    pub fn of(logs: &[SignerLog]) -> Self {
        let mut deleted = BTreeMap::new();
        for event in logs.iter().flat_map(|log| &log.events) {
            if let EventPayload::PacksDeleted(said) = &event.payload {
                let key = ObjectKey::LedgerEvent(event.signer, event.seq);
                deleted.extend(said.objects.iter().map(|object| (*object, key)));
            }
        }
        Self(deleted)
    }

    /// Finds what was deleted and what a snapshot that stands needs (F-38).
    pub fn check(
        &self,
        auditor: &Auditor,
        scope: &Scope,
        collector: &Collector<'_>,
    ) -> Result<(), Error> {
        let mut hits = Vec::new();
        for (object, event) in &self.0 {
            if scope.needed.contains(object).map_err(vault::Error::from)? {
                hits.push((object, event));
            }
        }
        if hits.is_empty() {
            return Ok(());
        }
        let mut needing: BTreeMap<&ObjectKey, (&ObjectKey, SnapshotId, u64)> = BTreeMap::new();
        for (id, note) in scope.notes.iter().filter(|(id, _)| !scope.forgotten.contains(id)) {
            let needed: BTreeSet<ObjectKey> = match scope.list_of(auditor, note) {
                Ok(list) => list.iter().map(|entry| entry.key).collect(),
                Err(error) => {
                    collector.add_error(ObjectKey::List(*id), error)?;
                    continue;
                }
            };
            for (object, event) in hits.iter().filter(|(object, _)| needed.contains(object)) {
                needing.entry(object).or_insert((event, *id, 0)).2 += 1;
            }
        }
        for (object, (event, id, count)) in needing {
            let whose = match count {
                1 => format!("{id} needs it"),
                _ => format!("{count} snapshots need it, {id} first"),
            };
            let detail = format!("{event} says that it was deleted, and {whose}");
            collector.add(Code::NeededDeleted, object, detail);
        }
        Ok(())
    }
}

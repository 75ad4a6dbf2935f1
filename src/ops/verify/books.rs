//! What the books say of one another, and whether what they record was allowed. Spec: §8.8,
//! `retention.md` §6.
//!
//! - No log may be shorter than, or other than, what another one quotes of it.
//! - No record may be dated before what it follows, unless a clock is known to have been wrong.
//! - What was forgotten was past its floor and under no hold; what was deleted, nobody needs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::Notes;
use super::{Collector, Scope};
use crate::base::{Code, SignerId, SnapshotId};
use crate::crypto::merkle::Log;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::ClockAnomaly;
use crate::format::ledger::LedgerEvent;
use crate::ops::Error;
use crate::policy::Policy;
use crate::policy::plan::SKEW_MAX;
use crate::vault::ledger::SignerLog;
use crate::vault::ledger::quotes::{closed_logs, quotes_of};
use crate::vault::{self, Auditor};

/// Compares the logs with one another, with the notes and with the policy.
pub fn check(auditor: &Auditor, logs: &[SignerLog], notes: &Notes, collector: &Collector<'_>) {
    check_quotes(auditor, logs, collector);
    check_closed(auditor, logs, collector);
    check_times(logs, notes, collector);
    check_forgotten(auditor, logs, notes, collector);
}

/// Finds logs that were cut or rewritten since another signer saw them (V-211).
fn check_quotes(auditor: &Auditor, logs: &[SignerLog], collector: &Collector<'_>) {
    let mut broken = BTreeSet::new();
    for quote in quotes_of(auditor.note(), logs) {
        let log = logs.iter().find(|log| log.signer == quote.signer);
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

/// Finds what is dated more than a day before what it follows (V-212).
fn check_times(logs: &[SignerLog], notes: &Notes, collector: &Collector<'_>) {
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
            report(key, event.time, newest.max(follows(event)));
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

/// A hold, and until when it stood.
struct Hold {
    signer: SignerId,
    seq: u64,
    from: Timestamp,
    until: Option<Timestamp>,
    released: Option<Release>,
}

/// Where and when a hold was released.
#[derive(Clone, Copy)]
struct Release {
    signer: SignerId,
    seq: u64,
    at: Timestamp,
}

impl Hold {
    /// Tells whether it stood when an event was recorded, by what that follows or quotes; else by
    /// time, and then only where no clock that is a day off can have made it so.
    fn stood_at(&self, event: &LedgerEvent) -> bool {
        let follows = |signer: SignerId, seq: u64| match event.signer == signer {
            true => seq < event.seq,
            false => event.seen.iter().any(|seen| seen.signer == signer && seen.size > seq),
        };
        let is_long_after =
            event.signer != self.signer && event.time.duration_since(self.from) >= SKEW_MAX;
        let is_placed = follows(self.signer, self.seq) || is_long_after;
        let is_released = self.released.is_some_and(|release| {
            follows(release.signer, release.seq)
                || event.signer != release.signer
                    && release.at.duration_since(event.time) <= SKEW_MAX
        });
        is_placed && !is_released && self.until.is_none_or(|until| event.time < until)
    }
}

/// Returns the holds of each snapshot.
fn holds_of(logs: &[SignerLog]) -> BTreeMap<SnapshotId, Vec<Hold>> {
    let events = || logs.iter().flat_map(|log| &log.events);
    let mut released: BTreeMap<(SignerId, u64), Release> = BTreeMap::new();
    for event in events() {
        if let EventPayload::HoldReleased(said) = &event.payload {
            let release = Release { signer: event.signer, seq: event.seq, at: event.time };
            released.entry((said.placed_by, said.placed_seq)).or_insert(release);
        }
    }
    let mut holds: BTreeMap<SnapshotId, Vec<Hold>> = BTreeMap::new();
    for event in events() {
        let EventPayload::HoldPlaced(said) = &event.payload else { continue };
        let (signer, seq, from) = (event.signer, event.seq, event.time);
        let (until, released) = (said.until, released.get(&(signer, seq)).copied());
        holds.entry(said.snapshot).or_default().push(Hold { signer, seq, from, until, released });
    }
    holds
}

/// Finds snapshots that were forgotten before their floor, or under a hold (F-37).
fn check_forgotten(
    auditor: &Auditor,
    logs: &[SignerLog],
    notes: &Notes,
    collector: &Collector<'_>,
) {
    let holds = holds_of(logs);
    let links = auditor.chain().iter();
    let policies = links.map(|link| Ok((link.note.time, Policy::from_json(&link.note.policy)?)));
    let policies: Result<Vec<(Timestamp, Policy)>, crate::policy::PolicyError> = policies.collect();
    if policies.is_err() {
        let gap = "whether floors had passed when snapshots were forgotten: a newer program wrote \
                   the policy";
        collector.leave_out(gap.to_owned());
    }
    let policies = policies.unwrap_or_default();
    for event in logs.iter().flat_map(|log| &log.events) {
        let EventPayload::SnapshotForgotten(said) = &event.payload else { continue };
        let (id, key) = (said.snapshot, ObjectKey::LedgerEvent(event.signer, event.seq));
        let held = holds.get(&id).into_iter().flatten().find(|hold| hold.stood_at(event));
        if let Some(hold) = held {
            let placed = ObjectKey::LedgerEvent(hold.signer, hold.seq);
            let detail = format!("it lets {id} go, which was under the hold of {placed}");
            collector.add(Code::ForgottenEarly, key, detail);
        }
        let promised = notes.get(&id).map(|note| note.floor);
        if let Some(floor) = floor_of(&policies, id, promised, event.time)
            && event.time < floor
        {
            let detail = format!("it lets {id} go before its floor, {floor}");
            collector.add(Code::ForgottenEarly, key, detail);
        }
    }
}

/// Returns the floor of a snapshot at a time: what the policy in force gives, and what its note
/// says, or where that is gone what the policy gave when it was taken.
fn floor_of(
    policies: &[(Timestamp, Policy)],
    id: SnapshotId,
    promised: Option<Option<Timestamp>>,
    now: Timestamp,
) -> Option<Timestamp> {
    let (_, first) = policies.first()?;
    let at = |time: Timestamp| {
        let in_force = policies.iter().rev().find(|(since, _)| *since < time);
        in_force.map_or(first, |(_, policy)| policy).floor_at(id.time())
    };
    let longest = policies.iter().filter_map(|(_, policy)| policy.floor_at(id.time())).max();
    let promised = promised.unwrap_or_else(|| at(id.time()));
    at(now).max(promised.zip(longest).map(|(floor, longest)| floor.min(longest)))
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
        for (id, note) in scope.notes.iter().filter(|(id, _)| !scope.forgotten.contains(id)) {
            // A list that cannot be read is a finding already.
            let Ok(list) = auditor.list(note) else { continue };
            let needed: BTreeSet<ObjectKey> = list.into_iter().map(|entry| entry.key).collect();
            for (object, event) in hits.iter().filter(|(object, _)| needed.contains(object)) {
                let detail = format!("{event} says that it was deleted, and {id} needs it");
                collector.add(Code::NeededDeleted, object, detail);
            }
        }
        Ok(())
    }
}

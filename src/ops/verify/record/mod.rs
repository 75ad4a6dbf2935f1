//! What the books say of every snapshot that ever was. Spec: `compliance.md`.
//!
//! - A row for each snapshot is all that is kept in memory.
//! - Nothing is asked of the store but what it says of a note that is too old, and of locks.

mod ages;
mod gaps;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use gaps::Rpo;

use super::Collector;
use super::books::Books;
use crate::base::{Code, Coded, SignerId, SnapshotId};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::SnapshotTaken;
use crate::ops::Error;
use crate::ops::report::{
    DrillRow, Finding, HoldRow, PolicyRow, RecordReport, SnapshotRow, SnapshotState, VerifiedRow,
    snapshot_of,
};
use crate::vault::Auditor;
use crate::vault::at_once::map_at_once;
use crate::vault::ledger::holds::Hold;

/// The record of a vault while it is made.
#[derive(Default)]
pub struct Record {
    report: RecordReport,
    rows: BTreeMap<SnapshotId, SnapshotRow>,
    /// The events by which snapshots went.
    went: BTreeMap<ObjectKey, SnapshotId>,
}

impl Record {
    /// Makes it of notes and ledgers; where the time is known, finds what is too old and what is
    /// missing.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn of(
        books: &Books<'_>,
        rpo: Rpo,
        now: Option<Timestamp>,
        collector: &Collector<'_>,
    ) -> Result<Self, Error> {
        let policies = policies_of(books.auditor);
        let rows = rows_of(books, &policies);
        let went = books.forgotten().map(|(id, event)| (*event, *id)).collect();
        let (drills, verifications) = proofs_of(books);
        let mut report = RecordReport { policies, drills, verifications, ..Default::default() };
        if let Some(now) = now {
            report.judged = Some(now);
            report.rpo = Some(rpo.row(books.every_at(now)));
            ages::check(books, rpo, now, collector)?;
            let found = gaps::find(books, &rows.keys().copied().collect(), rpo, now);
            found.not_covered.into_iter().for_each(|gap| collector.leave_out(gap));
            for (after, gap) in found.gaps {
                let (hours, allowed) = (gap.hours, gap.allowed_hours);
                // When this was found is in the report: parts of one verification find it once.
                let detail = gap.to.map_or_else(
                    || format!("there is none until now, and {allowed} h are allowed"),
                    |to| {
                        format!("there is none until {to}: {hours} h, and {allowed} h are allowed")
                    },
                );
                collector.add(Code::NightMissing, format!("snapshots after {after}"), detail);
                report.gaps.push(gap);
            }
        }
        Ok(Self { report, rows, went })
    }

    /// Adds until when the store locks the notes that are there; what it does not tell is left out.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn add_locks(&mut self, auditor: &Auditor) -> Result<(), Error> {
        let standing = self.rows.values_mut().filter(|row| row.state == SnapshotState::Standing);
        let mut standing: Vec<&mut SnapshotRow> = standing.collect();
        let ids: Vec<SnapshotId> = standing.iter().map(|row| row.id).collect();
        let locks = map_at_once(auditor.store().calls_at_once(), &ids, |id| {
            auditor.versions().locked_until(ObjectKey::Note(*id))
        });
        for (row, locked) in standing.iter_mut().zip(locks) {
            row.locked_until = match locked {
                Err(error) if auditor.damage_of_signed(&error).is_some() => None,
                Err(error) if error.code() == Code::StoreDenied => None,
                other => other?,
            };
        }
        Ok(())
    }

    /// Returns the whole record, with the findings on each snapshot counted.
    pub fn finish<'a>(mut self, findings: impl Iterator<Item = &'a Finding>) -> RecordReport {
        for finding in findings {
            let went = || self.went.get(&finding.object.parse().ok()?).copied();
            let id = snapshot_of(finding).or_else(went);
            let row = id.and_then(|id| self.rows.get_mut(&id));
            row.into_iter().for_each(|row| row.finding_count += 1);
        }
        self.report.snapshots = self.rows.into_values().collect();
        self.report.snapshots.sort_by_key(|row| (row.time, row.id));
        self.report
    }
}

/// Returns every policy with the vault note that put it in force.
fn policies_of(auditor: &Auditor) -> Vec<PolicyRow> {
    let mut rows: Vec<PolicyRow> = Vec::new();
    for link in auditor.chain() {
        if rows.last().is_none_or(|last| last.policy != link.note.policy) {
            let (number, since, policy) =
                (link.note.number, link.note.time, link.note.policy.clone());
            rows.push(PolicyRow { number, since, policy });
        }
    }
    rows
}

/// Returns a row for every snapshot that was ever taken.
fn rows_of(books: &Books<'_>, policies: &[PolicyRow]) -> BTreeMap<SnapshotId, SnapshotRow> {
    let mut taken: BTreeMap<SnapshotId, (SignerId, &SnapshotTaken)> = BTreeMap::new();
    for event in books.events() {
        if let EventPayload::SnapshotTaken(said) = &event.payload {
            taken.entry(said.snapshot).or_insert((event.signer, said));
        }
    }
    let forgotten = books.forgotten().map(|(id, _)| *id);
    let ever: BTreeSet<SnapshotId> =
        taken.keys().chain(books.notes.keys()).copied().chain(forgotten).collect();
    let row = |id: SnapshotId| (id, row_of(books, policies, id, taken.get(&id).copied()));
    ever.into_iter().map(row).collect()
}

fn row_of(
    books: &Books<'_>,
    policies: &[PolicyRow],
    id: SnapshotId,
    taken: Option<(SignerId, &SnapshotTaken)>,
) -> SnapshotRow {
    let (note, gone) = (books.notes.get(&id), books.gone(id));
    let time = note.map_or(id.time(), |note| note.time);
    let begins = time.max(id.time());
    let in_force = policies.iter().rev().find(|row| row.since < time).or(policies.first());
    let judged = gone.as_ref().map_or(Timestamp::MAX, |gone| gone.time);
    let is_there = note.is_some() || books.unread.contains(&id);
    let hold = |hold: &Hold| HoldRow {
        signer: hold.signer,
        from: hold.placed,
        until: hold.until,
        released: hold.released.map(|release| release.at),
    };
    SnapshotRow {
        id,
        time,
        signer: note.map(|note| note.signer).or(taken.map(|(signer, _)| signer)),
        state: match (&gone, is_there) {
            (Some(_), _) => SnapshotState::Forgotten,
            (None, true) => SnapshotState::Standing,
            (None, false) => SnapshotState::Missing,
        },
        policy: in_force.map(|row| row.number),
        floor: books.floor_of(id, judged),
        ceiling: books.policy_at(judged).and_then(|policy| policy.ceiling_at(begins)),
        locked_until: None,
        holds: books.holds(id).iter().map(hold).collect(),
        gone,
        stored_len: note.map(|note| note.stored_len).or(taken.map(|(_, said)| said.stored_len)),
        new_len: note.map(|note| note.new_len).or(taken.map(|(_, said)| said.new_len)),
        finding_count: 0,
    }
}

/// Returns every drill and every verification that a ledger records, the oldest first.
fn proofs_of(books: &Books<'_>) -> (Vec<DrillRow>, Vec<VerifiedRow>) {
    let (mut drills, mut verifications) = (Vec::new(), Vec::new());
    for event in books.events() {
        let (time, signer) = (event.time, event.signer);
        match &event.payload {
            EventPayload::Drilled(said) => drills.push(DrillRow {
                time,
                signer,
                store: said.store.clone(),
                snapshot: said.snapshot,
                outcome: said.result.outcome,
                duration_s: said.result.duration_s,
                finding_count: said.result.finding_count,
            }),
            EventPayload::Verified(said) => verifications.push(VerifiedRow {
                time,
                signer,
                store: said.scope.store.clone(),
                level: said.scope.level.clone(),
                snapshot: said.scope.snapshot,
                sample_percent: said.scope.sample_percent,
                outcome: said.result.outcome,
                object_count: said.result.object_count,
                finding_count: said.result.finding_count,
            }),
            _ => {}
        }
    }
    drills.sort_by_key(|row| row.time);
    verifications.sort_by_key(|row| row.time);
    (drills, verifications)
}

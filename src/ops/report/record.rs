//! What the books say of every snapshot, every policy and every proof before this one. Spec:
//! `compliance.md`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Finding;
use crate::base::{SignerId, SnapshotId};
use crate::format::event_fields::Outcome;
use crate::format::{ObjectKey, envelope};

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    /// Its note is there.
    Standing,
    /// A ledger says that it was forgotten.
    Forgotten,
    /// A ledger says that it was taken; its note is not there, and none says that it was forgotten.
    Missing,
}

/// A hold on a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// Who placed it.
    pub signer: SignerId,
    /// When.
    #[serde(with = "envelope::time")]
    pub from: Timestamp,
    /// Until when at most, if it was placed so.
    #[serde(with = "envelope::optional_time")]
    pub until: Option<Timestamp>,
    /// When it was released, if it was.
    #[serde(with = "envelope::optional_time")]
    pub released: Option<Timestamp>,
}

/// That a snapshot was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneRow {
    /// When.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// By which rule.
    pub rule: String,
    /// Who or what asked for it.
    pub by: String,
    /// Who signed for it.
    pub signer: SignerId,
}

/// One snapshot that ever was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRow {
    /// Its id.
    pub id: SnapshotId,
    /// When it was taken.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// Its host, if note or ledger tell.
    pub signer: Option<SignerId>,
    /// What became of it.
    pub state: SnapshotState,
    /// The number of the vault note whose policy was in force when it was taken.
    pub policy: Option<u32>,
    /// Until when it must stay, or had to.
    #[serde(with = "envelope::optional_time")]
    pub floor: Option<Timestamp>,
    /// When it must go, by the policy in force; of one that went, by the one in force then.
    #[serde(with = "envelope::optional_time")]
    pub ceiling: Option<Timestamp>,
    /// Until when the store locks its note, if it tells of a lock.
    #[serde(with = "envelope::optional_time")]
    pub locked_until: Option<Timestamp>,
    /// The holds on it, also those that are over.
    pub holds: Vec<HoldRow>,
    /// How it went, if it did.
    pub gone: Option<GoneRow>,
    /// Stored bytes of all that it needs or needed, if a note or ledger tells.
    pub stored_len: Option<u64>,
    /// Stored bytes of what it was the first to name.
    pub new_len: Option<u64>,
    /// Findings on its note, body, list or segment, and on the event by which it went: whether it
    /// is kept and went as the policy said is told by their absence.
    pub finding_count: u64,
}

/// A policy that was ever in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRow {
    /// The vault note's number.
    pub number: u32,
    /// Since when.
    #[serde(with = "envelope::time")]
    pub since: Timestamp,
    /// What it says.
    pub policy: Map<String, Value>,
}

/// A time without a snapshot that is longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRow {
    /// Its beginning: the time of a snapshot.
    #[serde(with = "envelope::time")]
    pub from: Timestamp,
    /// Its end: the time of the next one; none, if there is none yet.
    #[serde(with = "envelope::optional_time")]
    pub to: Option<Timestamp>,
    /// How long it is, in hours.
    pub hours: u64,
    /// How long it may be at most, in hours.
    pub allowed_hours: u64,
}

/// Who said how long a vault may go without a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RpoSource {
    /// Whoever asked for the verification.
    Given,
    /// The config of the host.
    Config,
    /// The signed policy, which admits a snapshot a period.
    Policy,
    /// Nobody: a night and some slack.
    Default,
}

/// How long a vault may go without a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpoRow {
    /// In hours.
    pub hours: u64,
    /// Who said so.
    pub source: RpoSource,
}

/// What was kept of a ledger, and what that has become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceRow {
    /// The file that was kept.
    pub file: String,
    /// Whose ledger.
    pub signer: SignerId,
    /// Its events then.
    pub size_then: u64,
    /// Its events now.
    pub size_now: u64,
    /// What is wrong, if it does not extend what it was.
    pub problem: Option<String>,
}

/// A restore that was rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRow {
    /// When.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// Who signed for it.
    pub signer: SignerId,
    /// The store.
    pub store: String,
    /// What was restored.
    pub snapshot: SnapshotId,
    /// Whether it passed.
    pub outcome: Outcome,
    /// How long it took, in seconds: the time to recover that was reached.
    pub duration_s: u64,
    /// Findings.
    pub finding_count: u64,
}

/// A verification that a ledger records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedRow {
    /// When.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// Who signed for it.
    pub signer: SignerId,
    /// The store.
    pub store: String,
    /// The level's name.
    pub level: String,
    /// The one snapshot, or none for every snapshot.
    pub snapshot: Option<SnapshotId>,
    /// Percent of the objects that were looked at.
    pub sample_percent: u8,
    /// Whether it passed.
    pub outcome: Outcome,
    /// Objects looked at.
    pub object_count: u64,
    /// Findings.
    pub finding_count: u64,
}

/// What the books say of a vault, from its first day on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordReport {
    /// Every policy, the first one first.
    pub policies: Vec<PolicyRow>,
    /// For which time what is too old and what is missing was looked for, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "envelope::optional_time")]
    pub judged: Option<Timestamp>,
    /// How long the vault may go without a snapshot; none, where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<RpoRow>,
    /// Every snapshot, the oldest first.
    pub snapshots: Vec<SnapshotRow>,
    /// The times without a snapshot.
    pub gaps: Vec<GapRow>,
    /// Every drill, the oldest first.
    pub drills: Vec<DrillRow>,
    /// Every verification before this one, the oldest first.
    pub verifications: Vec<VerifiedRow>,
}

impl RecordReport {
    /// Unites what parts of one verification say: of each snapshot the worst, with the findings on
    /// it that the joined report has, and of each gap the longest.
    pub(super) fn unite<'a>(
        parts: impl Iterator<Item = (&'a Self, &'a [Finding])> + Clone,
        joined: &[Finding],
    ) -> Self {
        let mut rows: BTreeMap<SnapshotId, SnapshotRow> = BTreeMap::new();
        let mut gaps: BTreeMap<Timestamp, GapRow> = BTreeMap::new();
        for (record, findings) in parts.clone() {
            let own = counts_of(findings);
            for row in &record.snapshots {
                let known = own.get(&row.id).copied().unwrap_or(0);
                // Every part looks at all events: what is found on one by each is found once.
                let of_event = row.finding_count.saturating_sub(known);
                let row = SnapshotRow { finding_count: of_event, ..row.clone() };
                rows.entry(row.id).and_modify(|there| there.join(&row)).or_insert(row);
            }
            for gap in &record.gaps {
                let there = gaps.entry(gap.from).or_insert_with(|| gap.clone());
                if gap.hours > there.hours {
                    *there = gap.clone();
                }
            }
        }
        for (id, count) in counts_of(joined) {
            if let Some(row) = rows.get_mut(&id) {
                row.finding_count = row.finding_count.saturating_add(count);
            }
        }
        let mut snapshots: Vec<SnapshotRow> = rows.into_values().collect();
        snapshots.sort_by_key(|row| (row.time, row.id));
        // Of events the one knows the fewest that was made first, and they all know those.
        let earliest = parts.map(|(record, _)| record).min_by_key(|record| record.judged);
        let gaps = gaps.into_values().collect();
        Self { snapshots, gaps, ..earliest.cloned().unwrap_or_default() }
    }
}

impl SnapshotRow {
    /// Takes what another part says of the same snapshot, where that is worse.
    fn join(&mut self, other: &Self) {
        let finding_count = self.finding_count.max(other.finding_count);
        let told = [self.locked_until, other.locked_until].into_iter().flatten();
        let locked_until = told.min();
        if other.state > self.state {
            *self = other.clone();
        }
        (self.finding_count, self.locked_until) = (finding_count, locked_until);
    }
}

/// Returns the snapshot of which a finding's object is the note, body, list or segment.
pub(in crate::ops) fn snapshot_of(finding: &Finding) -> Option<SnapshotId> {
    use ObjectKey::{Body, List, Note, Segment};
    match finding.object.parse() {
        Ok(Note(id) | Body(id) | List(id) | Segment(id)) => Some(id),
        _ => None,
    }
}

fn counts_of(findings: &[Finding]) -> BTreeMap<SnapshotId, u64> {
    let mut counts = BTreeMap::new();
    for id in findings.iter().filter_map(snapshot_of) {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

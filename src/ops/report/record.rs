//! What the books say of every snapshot, every policy and every proof before this one. Spec:
//! `compliance.md`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{SignerId, SnapshotId};
use crate::format::envelope;
use crate::format::event_fields::Outcome;

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

//! Which snapshots stay, which go, and how: `retention.md`.

mod ages;
mod applying;
mod attested;
pub mod bench;
mod buckets;
mod crashes;
mod doubts;
mod dying;
mod erasing;
mod guards;
pub mod holds;
mod laws;
mod leftovers;
mod legal;
mod locks;
mod logs;
mod policies;
mod races;
mod shredding;
mod tables;

use idswyft_vault::base::{SignerId, SnapshotId};
use idswyft_vault::policy::{Candidate, HoldRef, Policy, PolicyHistory, RetentionPlan, Verdict};
use jiff::Timestamp;

/// Reads a policy as a config has it.
fn policy(text: &str) -> Policy {
    Policy::new(toml::from_str(text).unwrap()).unwrap()
}

/// Returns the history of a vault that never had another policy.
fn only(policy: Policy) -> PolicyHistory {
    PolicyHistory::new(policy, Vec::new())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no time"))
}

/// Makes a snapshot of a time, of which nothing else is special.
fn candidate(time: Timestamp, number: u8) -> Candidate {
    Candidate {
        id: SnapshotId::new(time, [0, 0, 0, number]),
        time,
        observed: Some(time),
        floor: None,
        keep_tag: false,
        holds: Vec::new(),
        locked_until: None,
        is_verified: false,
    }
}

const fn hold() -> HoldRef {
    HoldRef { placed_by: SignerId::from_bytes([7; 8]), placed_seq: 3, until: None }
}

/// Writes a verdict as the tables have it.
fn text_of(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Drop(reason) => format!("drop: {reason}"),
        Verdict::Keep(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("keep: {}", reasons.join("; "))
        }
    }
}

/// Returns what becomes of each snapshot, in the order of the plan.
fn verdicts(plan: &RetentionPlan) -> Vec<(SnapshotId, String)> {
    let planned = plan.planned().iter();
    planned.map(|one| (one.candidate.id, text_of(&one.verdict))).collect()
}

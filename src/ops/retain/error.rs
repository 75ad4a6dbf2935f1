//! Why nothing is forgotten.

use thiserror::Error;

use crate::base::{Code, Coded, SignerId, SnapshotId};
use crate::policy::{Guard, KeepReason};

/// A retention that is not applied; nothing was changed.
#[derive(Debug, Error)]
pub enum RetainError {
    /// Something about the plan or the clock is alarming.
    #[error("forget snapshots: {}", told(guards))]
    Guarded {
        /// What.
        guards: Vec<Guard>,
    },
    /// A snapshot that was named must stay.
    #[error("forget {snapshot}: it stays by {}", listed(reasons))]
    Promised {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why.
        reasons: Vec<KeepReason>,
    },
    /// A snapshot was forgotten while a hold was placed on it.
    #[error(
        "keep {}: forgotten while the hold was placed, and of {gone_count} of {} no note is left",
        ids(snapshots),
        snapshots.len()
    )]
    HoldLate {
        /// The snapshots.
        snapshots: Vec<SnapshotId>,
        /// How many of them no store has any more.
        gone_count: usize,
    },
    /// The signer may not record it.
    #[error("sign as {signer}: {reason}")]
    Signer {
        /// The signer.
        signer: SignerId,
        /// Why not.
        reason: String,
    },
    /// A reason is none, or too long to be sealed into an event.
    #[error("seal the reason: it has {len} bytes, 1 to {max} are allowed")]
    Reason {
        /// Its length in bytes.
        len: usize,
        /// The greatest length.
        max: usize,
    },
    /// A reason is not the one whose digest is in clear.
    #[error("open {name}: it is not the one whose digest is signed")]
    ReasonAltered {
        /// Of which hold.
        name: String,
    },
    /// Nobody knows to whom a reason is to be sealed.
    #[error("seal the reason: the recipients given are not those of the signed vault note")]
    RecipientsDiffer,
    /// The policy that verifies may not be the one in force.
    #[error("find the policy in force: {reason}")]
    NoteUnsure {
        /// What is wrong with a newer one.
        reason: String,
    },
    /// A ledger that may hold a hold cannot be read to its end.
    #[error("read the ledger of {signer} to its end, for it may place holds: {reason}")]
    Blind {
        /// Whose.
        signer: SignerId,
        /// Why not.
        reason: String,
    },
}

fn told(guards: &[Guard]) -> String {
    let told = guards.iter().map(|guard| format!("{guard} ({})", guard.acceptance().flag()));
    told.collect::<Vec<_>>().join("; ")
}

fn ids(snapshots: &[SnapshotId]) -> String {
    snapshots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn listed(reasons: &[KeepReason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Coded for RetainError {
    fn code(&self) -> Code {
        match self {
            Self::Guarded { .. } => Code::RetentionGuarded,
            Self::Promised { .. } => Code::SnapshotPromised,
            Self::HoldLate { .. } => Code::HoldLate,
            Self::Signer { .. } => Code::SignerRefused,
            Self::Blind { .. } | Self::NoteUnsure { .. } => Code::LedgerBroken,
            Self::Reason { .. } => Code::UsageInvalid,
            Self::ReasonAltered { .. } => Code::NoteMismatch,
            Self::RecipientsDiffer => Code::RecipientsRefused,
        }
    }
}

//! Why nothing is pruned.

use thiserror::Error;

use crate::base::{Code, Coded, SnapshotId};
use crate::policy::{Acceptance, Guard};

/// A prune that is not applied; nothing was changed.
#[derive(Debug, Error)]
pub enum PruneError {
    /// Something about the vault or the clock is alarming.
    #[error("prune packs: {}", told(guards))]
    Guarded {
        /// What.
        guards: Vec<Guard>,
    },
    /// A hold covers a snapshot whose list is in no store: what it keeps is not known.
    #[error(
        "prune packs: {snapshot} is under a hold, and no store has its list as it was signed; \
         bring it back from a copy of a store, or let an operator release the hold"
    )]
    Held {
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

fn told(guards: &[Guard]) -> String {
    let told = guards.iter().map(|guard| format!("{guard} ({})", accepting(guard.acceptance())));
    told.collect::<Vec<_>>().join("; ")
}

/// Returns how a guard is accepted, also after `retain`, which has no flag for what is missing.
const fn accepting(acceptance: Acceptance) -> &'static str {
    match acceptance {
        Acceptance::Missing => "`prune --apply --accept-missing`",
        _ => acceptance.flag(),
    }
}

impl Coded for PruneError {
    fn code(&self) -> Code {
        match self {
            Self::Guarded { .. } => Code::RetentionGuarded,
            Self::Held { .. } => Code::SnapshotPromised,
        }
    }
}

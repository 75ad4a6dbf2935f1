//! Why nothing is pruned.

use thiserror::Error;

use crate::base::{Code, Coded};
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
        }
    }
}

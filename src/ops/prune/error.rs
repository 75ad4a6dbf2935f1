//! Why nothing is pruned.

use thiserror::Error;

use crate::base::{Code, Coded};
use crate::policy::Guard;

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
    let told = guards.iter().map(|guard| format!("{guard} ({})", guard.acceptance().flag()));
    told.collect::<Vec<_>>().join("; ")
}

impl Coded for PruneError {
    fn code(&self) -> Code {
        match self {
            Self::Guarded { .. } => Code::RetentionGuarded,
        }
    }
}

//! What a policy can be refused for.

use thiserror::Error;

use crate::base::{Code, Coded};

/// A policy that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Two settings cannot both hold.
    #[error("reconcile {first} with {second}: {reason}")]
    Contradiction {
        /// The first setting, as `name = value`.
        first: String,
        /// The second setting, as `name = value`.
        second: String,
        /// Why not.
        reason: &'static str,
    },
    /// A setting's value is not one.
    #[error("use {name} = {value:?}: expected {expected}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A signed policy has a rule that only a newer program knows how to apply.
    #[error("apply the signed policy: this program does not know {name:?}")]
    TooNew {
        /// The unknown setting.
        name: String,
    },
    /// A signed policy is not one.
    #[error("read the signed policy: {reason}")]
    Signed {
        /// Why not.
        reason: String,
    },
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        match self {
            Self::Contradiction { .. } => Code::PolicyContradiction,
            Self::Value { .. } => Code::ConfigInvalid,
            Self::TooNew { .. } => Code::FormatTooNew,
            Self::Signed { .. } => Code::FormatInvalid,
        }
    }
}

//! What only the command can tell is wrong with its arguments.

use crate::base::{Code, Coded};

/// An argument that clap accepts and the command does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct UsageError {
    /// What was to be done, as a verb with its object.
    pub action: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl UsageError {
    /// Makes an error of what was to be done and why it cannot be.
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into() }
    }
}

impl Coded for UsageError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

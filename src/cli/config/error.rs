//! What a config can be refused for.

use std::path::PathBuf;

use thiserror::Error;

use crate::base::{Code, Coded};
use crate::policy::PolicyError;
use crate::{crypto, store};

/// Why there is no usable config.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// None of the places holds one.
    #[error("find a config: looked for {}", looked_for.join(", "))]
    Missing {
        /// Where it was looked for, in that order.
        looked_for: Vec<String>,
    },
    /// The file cannot be read.
    #[error("read config {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than any config.
    #[error("read config {}: it has {len} bytes, at most {max} are allowed", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
        /// The greatest length that is read.
        max: u64,
    },
    /// A line is wrong.
    #[error("read config {}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The 1-based line.
        line: usize,
        /// The key, and what is wrong with it.
        reason: String,
    },
    /// A vault's policy is not accepted.
    #[error("read config {}: line {line}: vault {vault}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// The line on which the vault begins.
        line: usize,
        /// The vault's name.
        vault: String,
        /// The two keys, or the one.
        source: Box<PolicyError>,
    },
    /// A recipient does not parse.
    #[error("read config {}: line {line}: {key}", path.display())]
    Recipient {
        /// The file.
        path: PathBuf,
        /// The recipient's line.
        line: usize,
        /// The key that holds it.
        key: String,
        /// Which, and why not.
        source: Box<crypto::Error>,
    },
    /// A store's URL is not one.
    #[error("read config {}: line {line}: url", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// The URL's line.
        line: usize,
        /// Which, and what would be right.
        source: Box<store::Error>,
    },
    /// No vault has the name that was asked for.
    #[error("find vault {name:?} in config {}: it has {}", path.display(), names.join(", "))]
    VaultUnknown {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that it has.
        names: Vec<String>,
    },
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::ConfigMissing,
            Self::Unreadable { .. } | Self::TooLong { .. } | Self::Line { .. } => {
                Code::ConfigInvalid
            }
            Self::Policy { source, .. } => source.code(),
            Self::Recipient { source, .. } => source.code(),
            Self::Store { source, .. } => source.code(),
            Self::VaultUnknown { .. } => Code::UsageInvalid,
        }
    }
}

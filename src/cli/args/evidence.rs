//! What `verify` is told of a store beyond what the store says.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::UsageError;
use crate::store::{LockMode, StorageClass};

/// How objects must be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LockArg {
    /// Whoever has the right to bypass can remove them
    Governance,
    /// Nobody can remove them before their date
    Compliance,
}

impl LockArg {
    /// Returns the mode.
    pub const fn mode(self) -> LockMode {
        match self {
            Self::Governance => LockMode::Governance,
            Self::Compliance => LockMode::Compliance,
        }
    }
}

/// What is known of a store from elsewhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Evidence")]
pub struct EvidenceArgs {
    /// Storage class that packs must have, such as DEEP_ARCHIVE [else the config's, if it has one]
    #[arg(long, value_name = "CLASS", value_parser = parse_class)]
    pub class: Option<StorageClass>,
    /// How objects must be locked until their floors [else as the config, or the store, says]
    #[arg(long, value_name = "MODE")]
    pub lock: Option<LockArg>,
    /// Receipts of `store receipts`, for what these credentials may not look at
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
    /// Write the manifest of an S3 Batch Operations job that computes every needed digest at rest
    #[arg(long, value_name = "FILE")]
    pub write_batch_manifest: Option<PathBuf>,
    /// Completion report of such a job (CSV), to compare; may be given several times
    #[arg(long, value_name = "FILE")]
    pub provider_report: Vec<PathBuf>,
}

fn parse_class(name: &str) -> Result<StorageClass, UsageError> {
    StorageClass::parse(name).ok_or_else(|| {
        let known = StorageClass::ALL.map(StorageClass::name).join(", ");
        UsageError::new("choose a storage class", format!("expected one of {known}"))
    })
}

//! What an auditor brings along to `verify`.

use std::path::PathBuf;

use clap::Args;

/// What the ledgers are compared with.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditArgs {
    /// What was kept of the ledgers, which must extend it: a file of checkpoints, or the report of
    /// an earlier verification; may be given several times
    #[arg(long, value_name = "FILE")]
    pub since: Vec<PathBuf>,
    /// How long a vault may go without a snapshot, such as 26h or 8d [else what the config says, or
    /// the signed policy]
    #[arg(long, value_name = "TIME")]
    pub rpo: Option<String>,
}

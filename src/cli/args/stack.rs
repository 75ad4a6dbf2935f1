//! Arguments that name a compose stack.

use std::path::{Path, PathBuf};

use clap::Args;

use super::UsageError;
use crate::cli::config::EscrowFlags;

/// The variable by which compose is told a project's name.
pub const PROJECT_VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// The stack that a first config archives, and where its secrets go.
#[derive(Debug, Clone, Default, Args)]
pub struct StackArgs {
    /// Directory of the compose stack [else the working directory, /root/idswyft-community or
    /// /opt/idswyft, whichever has one]
    #[arg(long, value_name = "DIR", help_heading = "Options of a first config")]
    pub dir: Option<PathBuf>,
    /// Compose project, where several come from that directory
    #[arg(long, value_name = "NAME", env = PROJECT_VARIABLE, hide_env_values = true)]
    #[arg(help_heading = "Options of a first config")]
    pub project: Option<String>,
    /// URL of the store for sealed secrets, on another disk or bucket than --store
    #[arg(long, value_name = "URL", requires = "escrow_recipient")]
    #[arg(help_heading = "Options of a first config")]
    pub escrow_store: Option<String>,
    /// Who can open the sealed secrets, none of the archive's recipients; may be given several
    /// times
    #[arg(long, value_name = "AGE1…", requires = "escrow_store")]
    #[arg(help_heading = "Options of a first config")]
    pub escrow_recipient: Vec<String>,
}

impl StackArgs {
    /// Returns the directory in full.
    ///
    /// # Errors
    /// If the working directory is gone.
    pub fn full_dir(&self, action: &'static str) -> Result<Option<PathBuf>, UsageError> {
        let full = |dir: &Path| {
            dir.canonicalize().or_else(|_| std::path::absolute(dir)).map_err(|error| {
                UsageError::new(action, format!("{} has no full path: {error}", dir.display()))
            })
        };
        self.dir.as_deref().map(full).transpose()
    }

    /// Returns the escrow that was asked for.
    pub fn escrow(&self) -> Option<EscrowFlags> {
        let recipients = self.escrow_recipient.clone();
        self.escrow_store.clone().map(|store| EscrowFlags { store, recipients })
    }
}

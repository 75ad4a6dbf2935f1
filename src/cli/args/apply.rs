//! `restore --apply` and what follows it.

use std::path::PathBuf;

use clap::Args;

/// Options of a restore into the running stack.
#[derive(Debug, Clone, Default, Args)]
pub struct ApplyArgs {
    /// Put the snapshot into the running stack instead of a directory
    #[arg(long, help_heading = "Into service", conflicts_with_all = ["target", "only", "path"])]
    pub apply: bool,
    /// Bring back what the stack served before
    #[arg(long, help_heading = "Into service")]
    #[arg(conflicts_with_all = ["apply", "target", "id", "at"])]
    pub undo: bool,
    /// Remove for good what the stack served before
    #[arg(long, help_heading = "Into service")]
    #[arg(conflicts_with_all = ["apply", "undo", "target", "id", "at"])]
    pub drop_previous: bool,
    /// Directory of the stack's compose file [else that of the config's sources]
    #[arg(long, value_name = "DIR", help_heading = "Into service")]
    pub dir: Option<PathBuf>,
    /// Project of the stack, where its directory does not tell
    #[arg(long, value_name = "NAME", help_heading = "Into service")]
    pub project: Option<String>,
    /// Identity file of a custodian: opens the sealed `.env`, which takes its place; may be given
    /// several times
    #[arg(long, value_name = "FILE", help_heading = "Into service")]
    pub escrow_identity: Vec<PathBuf>,
    /// Store of the sealed secrets [else that of the config]
    #[arg(long, value_name = "URL", requires = "escrow_identity", help_heading = "Into service")]
    pub escrow_store: Option<String>,
    /// Leave `.env` and its like as they are
    #[arg(long, help_heading = "Into service", conflicts_with = "escrow_identity")]
    pub keep_env: bool,
    /// Erase people again who were erased after the snapshot was taken
    #[arg(long, requires = "apply", help_heading = "Into service")]
    pub erase_again: bool,
    /// Take no snapshot of what the stack serves now
    #[arg(long, requires = "apply", help_heading = "Into service")]
    pub no_snapshot: bool,
    /// Start the api although its keys do not fit what was restored
    #[arg(long, requires = "apply", help_heading = "Into service")]
    pub accept_other_keys: bool,
}

impl ApplyArgs {
    /// Tells whether the stack is meant, not a directory.
    pub const fn is_service(&self) -> bool {
        self.apply || self.undo || self.drop_previous
    }
}

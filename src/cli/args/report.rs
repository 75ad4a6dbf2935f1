//! `report`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault report show 2026-11.json")]
pub struct ReportArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ReportCommand,
}

/// What `report` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ReportCommand {
    /// Print a saved report in words
    #[command(after_help = "\
Example:
  idswyft-vault report show 2026-11.json")]
    Show {
        /// Report, as `verify --report` wrote it as JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

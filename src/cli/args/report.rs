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
    /// Join the parts of one verification, made with `verify --shard`
    ///
    /// All parts are needed, each once, of the same vaults, level, sample and snapshots. It ends as
    /// the verification would have ended.
    #[command(after_help = "\
Example:
  idswyft-vault report merge part-1.json part-2.json --report whole.json")]
    Merge {
        /// Reports of the parts, as `verify --report` wrote them as JSON
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Write the joined report to this file as well, as JSON; may be given several times
        #[arg(long, value_name = "FILE")]
        report: Vec<PathBuf>,
    },
}

//! `diff`.

use clap::Args;

use super::ThawingArgs;
use crate::cli::access::AccessArgs;

/// Arguments of `diff`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault diff 20260301 latest
  idswyft-vault diff 20260301 latest --rows --identity operator.key")]
pub struct DiffArgs {
    /// The earlier snapshot: an id, a unique prefix of one, or `latest`
    #[arg(value_name = "FIRST")]
    pub first: String,
    /// The later snapshot
    #[arg(value_name = "SECOND")]
    pub second: String,
    /// Read both dumps, and tell of every table whether its rows are the same
    #[arg(long)]
    pub rows: bool,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

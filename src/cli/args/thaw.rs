//! `thaw`, and what every command that reads packs takes about archived ones.

use clap::{Args, ValueEnum};

use super::PartArg;
use super::selection::SelectionArgs;
use crate::cli::access::AccessArgs;
use crate::ops::thaw::{DAYS_DEFAULT, DAYS_MAX};
use crate::store::ThawTier;

/// How fast, and how dear, a thaw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TierArg {
    /// Hours to days; the cheapest
    Bulk,
    /// Hours
    Standard,
    /// Minutes; not from DEEP_ARCHIVE
    Expedited,
}

impl From<TierArg> for ThawTier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::Bulk => Self::Bulk,
            TierArg::Standard => Self::Standard,
            TierArg::Expedited => Self::Expedited,
        }
    }
}

/// What to do about packs in an archive class.
#[derive(Debug, Clone, Args)]
pub struct ThawingArgs {
    /// Thaw archived packs at this tier: bulk, standard or expedited; without it nothing is asked
    /// for
    #[arg(long, value_name = "TIER", help_heading = "Archived packs", hide_possible_values = true)]
    pub thaw: Option<TierArg>,
    /// Days for which thawed copies are kept
    #[arg(long, value_name = "N", help_heading = "Archived packs", default_value_t = DAYS_DEFAULT)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub days: u32,
    /// Stay until packs are thawed [else end with 8]
    #[arg(long, help_heading = "Archived packs")]
    pub wait: bool,
}

/// Arguments of `thaw`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Exit codes:
  0 the plan, or with --thaw: everything is ready  8 packs are being thawed

Example:
  idswyft-vault thaw latest --store glacier
  idswyft-vault thaw latest --store glacier --thaw bulk
  idswyft-vault thaw 20260301 --path selfies/3f2a.jpg --thaw standard --identity operator.key")]
pub struct ThawArgs {
    /// Which snapshot.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only this part; needs an identity
    #[arg(long, value_name = "PART")]
    pub only: Option<PartArg>,
    /// Only files whose path below uploads/ matches, as 'selfies/*'; may be given several times,
    /// and needs an identity
    #[arg(long, value_name = "GLOB")]
    pub path: Vec<String>,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

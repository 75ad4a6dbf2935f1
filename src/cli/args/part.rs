//! Which part of a vault `verify` looks at.

use std::path::PathBuf;

use clap::Args;

use crate::policy::{Confidence, Loss, Rolling, Shard, Share};

/// What of all packs is looked at.
#[derive(Debug, Clone, Default, Args)]
pub struct PartArgs {
    /// Look at so many packs that damage is met with this probability, such as 99%
    #[arg(long, value_name = "C", requires = "loss", help_heading = "A part of the packs")]
    #[arg(conflicts_with_all = ["sample", "rolling"])]
    pub confidence: Option<Confidence>,
    /// ... if this share of the packs or more is damaged, such as 0.1%
    #[arg(long, value_name = "L", requires = "confidence", help_heading = "A part of the packs")]
    pub loss: Option<Loss>,
    /// Look at this share of the packs, such as 5%
    #[arg(long, value_name = "N%", conflicts_with = "rolling")]
    #[arg(help_heading = "A part of the packs")]
    pub sample: Option<Share>,
    /// Look at the packs whose turn it is, such as 1/12 each month: the ones never looked at, then
    /// the ones looked at longest ago
    #[arg(long, value_name = "1/N", help_heading = "A part of the packs")]
    pub rolling: Option<Rolling>,
    /// Choose by this text, which nobody could know before [else by the heads of the ledgers]
    #[arg(long, value_name = "TEXT", help_heading = "A part of the packs")]
    pub public: Option<String>,
    /// Only snapshots up to this one: newer ones change no sample
    #[arg(long, value_name = "ID", conflicts_with = "ids", help_heading = "A part of the packs")]
    pub until: Option<String>,
    /// Only one of N equal parts, which several machines look at; `report merge` joins them
    #[arg(long, value_name = "I/N", help_heading = "A part of the packs")]
    pub shard: Option<Shard>,
    /// Remember here when each pack was found sound [else with the vault's state, on its host]
    #[arg(long, value_name = "FILE", help_heading = "A part of the packs")]
    pub memory: Option<PathBuf>,
}

//! `prune`.

use clap::Args;

use super::retain::SiteArgs;
use crate::policy::Acceptance;

/// Arguments of `prune`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault prune
  idswyft-vault prune --apply --signer janitor.key
  idswyft-vault prune --apply --signer janitor.key --store s3://bucket/x --vault-key vault.key")]
pub struct PruneArgs {
    /// Record what goes, then delete it
    #[arg(long)]
    pub apply: bool,
    /// Delete what its storage class is paid for anyway, too; that saves nothing
    #[arg(long)]
    pub early: bool,
    /// Where, and who signs.
    #[command(flatten)]
    pub site: SiteArgs,
    /// What is accepted.
    #[command(flatten)]
    pub accept: PruneAcceptArgs,
}

/// What is accepted though a guard would stop it.
#[derive(Debug, Clone, Default, Args)]
pub struct PruneAcceptArgs {
    /// The clock is right, though it is behind what the stores have seen, or far ahead of it
    #[arg(long)]
    pub accept_clock: bool,
    /// What only lost or damaged snapshots need may go; first try `repair`
    #[arg(long)]
    pub accept_missing: bool,
}

impl PruneAcceptArgs {
    /// Returns what is accepted.
    pub fn accepted(&self) -> Vec<Acceptance> {
        let flags =
            [(self.accept_clock, Acceptance::Clock), (self.accept_missing, Acceptance::Missing)];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, what)| what).collect()
    }
}

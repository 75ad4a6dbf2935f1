//! `manifest`: the host's own state.

use clap::{Args, Subcommand};

/// Arguments of `manifest`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault manifest rebuild --vault nightly")]
pub struct ManifestArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ManifestCommand,
}

/// What `manifest` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ManifestCommand {
    /// Rebuild a lost or damaged manifest from the stores
    ///
    /// Needs the rest of the host's state, read access to every store of the vault, and no
    /// identity; with one, tags and counts of snapshots of closed generations come back as well.
    /// It also ends what an interrupted delivery left half done. A host that cannot read its
    /// stores, or has lost its whole state, goes on with `init --rejoin`.
    #[command(after_help = "\
Example:
  idswyft-vault manifest rebuild
  idswyft-vault manifest rebuild --vault kyc --identity operator.key")]
    Rebuild,
}

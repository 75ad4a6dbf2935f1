//! `retain`, `forget` and `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::change::KitArgs;
use crate::cli::access::AccessArgs;
use crate::policy::Acceptance;

/// Arguments of `retain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault retain
  idswyft-vault retain --apply --signer janitor.key
  idswyft-vault retain --apply --signer janitor.key --store s3://bucket/x --vault-key vault.key")]
pub struct RetainArgs {
    /// Record what goes, then delete it
    #[arg(long)]
    pub apply: bool,
    /// Where, and who signs.
    #[command(flatten)]
    pub site: SiteArgs,
    /// What is accepted.
    #[command(flatten)]
    pub accept: AcceptArgs,
}

/// Arguments of `forget`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault forget 20260301T0230 --signer janitor.key
  idswyft-vault forget 20260301T0230 20260302T0230 --dry-run")]
pub struct ForgetArgs {
    /// Snapshots: ids, or unique prefixes of them
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Tell what would go, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where, and who signs.
    #[command(flatten)]
    pub site: SiteArgs,
    /// What is accepted.
    #[command(flatten)]
    pub accept: AcceptArgs,
}

/// Which stores are meant, and who signs what is done there.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteArgs {
    /// Store, without a config: its URL; every store of the vault must be given
    #[arg(long, value_name = "URL", requires = "vault_key")]
    pub store: Vec<String>,
    /// Root verification key, or a file that holds it, as in the recovery kit
    #[arg(long, value_name = "KEY|FILE")]
    pub vault_key: Option<String>,
    /// Key of a signer that may record it, as `signer add` wrote it; one for each vault
    #[arg(long, value_name = "FILE", conflicts_with = "kit")]
    pub signer: Vec<PathBuf>,
    /// Recovery kit: sign as the operator, whose key --identity opens in it
    #[arg(long, value_name = "DIR")]
    pub kit: Option<PathBuf>,
}

/// What is accepted though a guard would stop it.
#[derive(Debug, Clone, Default, Args)]
pub struct AcceptArgs {
    /// The clock is right, though it is behind what the stores have seen, or far ahead of it
    #[arg(long)]
    pub accept_clock: bool,
    /// The last snapshot that was verified or drilled may go
    #[arg(long)]
    pub accept_last_verified: bool,
    /// More than half of the snapshots may go
    #[arg(long)]
    pub accept_many: bool,
}

impl AcceptArgs {
    /// Returns what is accepted.
    pub fn accepted(&self) -> Vec<Acceptance> {
        let flags = [
            (self.accept_clock, Acceptance::Clock),
            (self.accept_last_verified, Acceptance::LastVerified),
            (self.accept_many, Acceptance::Many),
        ];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, what)| what).collect()
    }
}

/// Arguments of `policy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault policy show
  idswyft-vault policy set --kit /media/usb/kit --identity operator.key")]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What `policy` does.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy that is signed, and how the config differs
    #[command(after_help = "\
Example:
  idswyft-vault policy show --store file:///media/copy --vault-key vault.key")]
    Show {
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Sign the policy of the config
    ///
    /// It is in force from then on, on every machine. What earlier snapshots were promised stays: a
    /// shorter floor lets none of them go sooner. Run it again if it was interrupted.
    #[command(after_help = "\
Example:
  idswyft-vault policy set --vault nightly --kit /media/usb/kit --identity operator.key")]
    Set {
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
}

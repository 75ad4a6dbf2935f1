//! `ledger`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::retain::SiteArgs;
use crate::cli::access::AccessArgs;

/// Arguments of `ledger`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault ledger show --json | jq -r '.events[].event'")]
pub struct LedgerArgs {
    /// What to show.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// Which logs.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Only the log of this signer
    #[arg(long, value_name = "ID")]
    pub signer: Option<String>,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// What `ledger` shows.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Print the vault's root verification key
    ///
    /// Keep it, on paper too: with it anyone can check the archive without trusting this host.
    #[command(after_help = "\
Example:
  idswyft-vault ledger key --vault nightly")]
    Key,
    /// List events and the latest checkpoint of each log
    #[command(after_help = "\
Example:
  idswyft-vault ledger show --signer 0011223344556677")]
    Show(LogArgs),
    /// Print the latest checkpoint of each log, as it is signed
    ///
    /// Keep it somewhere else: with it `ledger check --since` shows later that nothing before it
    /// was rewritten. Witnesses can cosign it.
    #[command(after_help = "\
Example:
  idswyft-vault ledger checkpoint --signer 0011223344556677 > 2026-11.checkpoint")]
    Checkpoint(LogArgs),
    /// Print a proof that a snapshot was taken
    ///
    /// The proof is a C2SP tlog-proof, with the event as its extra data: whoever has the key of the
    /// signer checks it without the archive. Forgotten snapshots are proven as well.
    #[command(after_help = "\
Example:
  idswyft-vault ledger prove latest > snapshot.tlog-proof")]
    Prove {
        /// Snapshot: an id, a unique prefix of one, or `latest`
        #[arg(value_name = "ID")]
        id: String,
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Check that each log is whole, extends a checkpoint that was kept, and is one in every store
    ///
    /// Without --store, and with a store of the config, the logs are compared with those of all
    /// other stores of the vault that can be read: two histories of one log are damage, and a
    /// shorter one lags or was rolled back.
    #[command(after_help = "\
Example:
  idswyft-vault ledger check --since 2026-11.checkpoint --store s3://bucket/x --vault-key KEY")]
    Check {
        /// A checkpoint that was kept; may be given several times
        #[arg(long, value_name = "FILE")]
        since: Vec<PathBuf>,
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Add the record of a verification whose signer may only read
    ///
    /// FILE is what `verify --attestation` wrote. It is added to every store, once it is found to
    /// be signed by whoever may and to be the next event of that signer's log in each. Adding it
    /// twice is harmless.
    #[command(after_help = "\
Example:
  idswyft-vault ledger add 2026-11.attestation")]
    Add {
        /// Attestation
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which stores.
        #[command(flatten)]
        site: AddArgs,
    },
}

/// The stores to which something is added that is signed already.
#[derive(Debug, Clone, Default, Args)]
pub struct AddArgs {
    /// Store, without a config: its URL; every store of the vault must be given
    #[arg(long, value_name = "URL", requires = "vault_key")]
    pub store: Vec<String>,
    /// Root verification key, or a file that holds it, as in the recovery kit
    #[arg(long, value_name = "KEY|FILE")]
    pub vault_key: Option<String>,
}

impl AddArgs {
    /// Returns the same, of a site at which nobody signs.
    pub fn site(&self) -> SiteArgs {
        let (store, vault_key) = (self.store.clone(), self.vault_key.clone());
        SiteArgs { store, vault_key, ..SiteArgs::default() }
    }
}

//! `replicate`, `repair` and `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `replicate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault replicate
  idswyft-vault replicate --from local --to glacier --vault kyc")]
pub struct ReplicateArgs {
    /// Store to copy from: a name in the config, or a URL [else the vault's first]
    #[arg(long, value_name = "NAME|URL")]
    pub from: Option<String>,
    /// Store to copy to: a name in the config, or a URL [else every other one of the vault]
    #[arg(long, value_name = "NAME|URL")]
    pub to: Option<String>,
    /// Root verification key, or a file that holds it, where this is not the vault's host
    #[arg(long, value_name = "KEY|FILE")]
    pub vault_key: Option<String>,
}

/// How closely `repair` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DepthArg {
    /// Sizes, and checksums where the store keeps them; notes, lists and ledgers are read
    Stored,
    /// Every byte
    Bytes,
}

/// Arguments of `repair`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault repair --dry-run
  idswyft-vault repair --store local --from bucket --level bytes --identity operator.key")]
pub struct RepairArgs {
    /// Store to repair: a name in the config, or a URL [else the vault's first]
    #[arg(long, value_name = "NAME|URL")]
    pub store: Option<String>,
    /// Store to take sound copies from [else every other one of the vault]
    #[arg(long, value_name = "NAME|URL")]
    pub from: Option<String>,
    /// How closely the store is looked at
    #[arg(long, value_name = "LEVEL", default_value = "stored")]
    pub level: DepthArg,
    /// Tell what would be healed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where a store cannot set a damaged object aside, delete it and put the sound one
    #[arg(long, conflicts_with = "dry_run")]
    pub replace: bool,
    /// Root verification key, or a file that holds it, where this is not the vault's host
    #[arg(long, value_name = "KEY|FILE")]
    pub vault_key: Option<String>,
}

/// Arguments of `store`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault store list
  idswyft-vault store check glacier")]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What `store` does.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// List the stores of the config, what waits for each, and what `store check` found
    ///
    /// Asks no store: everything it tells is in the config and in the host's state.
    #[command(after_help = "\
Example:
  idswyft-vault store list
  idswyft-vault store list --json | jq -r '.stores[] | select(.waiting > 0).name'")]
    List,
    /// Find out what a store really does, by doing it
    ///
    /// Puts small objects under `probe/`, and deletes them again where it may. Run it with the
    /// operator's credentials: with those of a host that can only put, most of it stays unknown.
    /// What was found is kept for the host's next runs.
    #[command(after_help = "\
Example:
  idswyft-vault store check
  idswyft-vault store check glacier --json")]
    Check {
        /// Stores to check, by their names in the config [else all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Hand out what a store said when it took each object
    ///
    /// Where nobody may look at packs, as with credentials that can only put, `verify --receipts`
    /// takes this file: the host's ledger covers what is in it. It holds names, times, versions and
    /// digests, and no secret. Asks no store.
    #[command(after_help = "\
Example:
  idswyft-vault store receipts --store glacier --out receipts.txt")]
    Receipts {
        /// The store, by its name in the config
        #[arg(long, value_name = "NAME")]
        store: String,
        /// New file for the receipts
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

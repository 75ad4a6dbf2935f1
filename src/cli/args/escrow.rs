//! `escrow`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::selection::SelectionArgs;
use crate::cli::access::AccessArgs;

/// Arguments of `escrow`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault escrow seal
  idswyft-vault escrow open --target /root/secrets --escrow-identity custodian.key")]
pub struct EscrowArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EscrowCommand,
}

/// What `escrow` does.
#[derive(Debug, Clone, Subcommand)]
pub enum EscrowCommand {
    /// Seal what changed since it was sealed last
    ///
    /// Every `snapshot` does so too. What is unchanged is not sealed again, and nothing that was
    /// ever sealed is removed.
    #[command(after_help = "\
Example:
  idswyft-vault escrow seal --json | jq -r '.sealed[].object'")]
    Seal,
    /// List what is sealed
    ///
    /// Needs no identity. Which snapshots need an object is sealed in the snapshots: with
    /// --identity that is shown as well.
    #[command(after_help = "\
Example:
  idswyft-vault escrow list
  idswyft-vault escrow list --identity operator.key")]
    List {
        /// Which store to read.
        #[command(flatten)]
        store: EscrowStoreArgs,
    },
    /// Write what was sealed into a new directory that nobody else can enter
    ///
    /// The files get their names below it, the keys go to keys/. Where the key was cut out of the
    /// files for a second person, it is put back if the identities of both are given; with one of
    /// them, what it opens is written and what that lacks is said (exit 4). What is sealed as
    /// `latest` is what the store says; with --snapshot it is what that snapshot names, and
    /// nothing else is taken for it.
    #[command(after_help = "\
Example:
  idswyft-vault escrow open --target /root/secrets --escrow-identity custodian.key
  idswyft-vault escrow open --target /root/secrets --escrow-identity custodian.key \\
      --snapshot latest --identity operator.key")]
    Open {
        /// Bundle: its id as `escrow list` prints it, a unique prefix of it, or `latest`
        #[arg(value_name = "ID", default_value = "latest", conflicts_with = "snapshot")]
        id: String,
        /// What this snapshot needs: its id, a unique prefix of it, or `latest`; needs --identity
        #[arg(long, value_name = "ID")]
        snapshot: Option<String>,
        /// Directory to write to; it must be new or empty
        #[arg(long, value_name = "DIR")]
        target: PathBuf,
        /// Who opens it.
        #[command(flatten)]
        who: CustodianArgs,
        /// Which store to read.
        #[command(flatten)]
        store: EscrowStoreArgs,
    },
    /// Prove that the keys which a snapshot names open what it holds
    ///
    /// Opens an encrypted file of the uploads and values of identity_vault, and compares the
    /// fingerprint of API_KEY_SECRET. It needs both identities and writes no secret. Exit 3 means
    /// that a key does not fit, 4 that there was nothing to prove it with.
    #[command(after_help = "\
Example:
  idswyft-vault escrow check latest --identity operator.key --escrow-identity custodian.key")]
    Check {
        /// The snapshot.
        #[command(flatten)]
        selection: SelectionArgs,
        /// Who opens the secrets.
        #[command(flatten)]
        who: CustodianArgs,
        /// Which escrow store to read.
        #[command(flatten)]
        escrow: EscrowStoreArgs,
        /// Which copy of the vault to read.
        #[command(flatten)]
        access: AccessArgs,
    },
}

/// Which escrow store is read.
#[derive(Debug, Clone, Args)]
pub struct EscrowStoreArgs {
    /// URL of the escrow store [else that of the config]
    #[arg(long, value_name = "URL")]
    pub escrow_store: Option<String>,
}

/// Who opens what is sealed.
#[derive(Debug, Clone, Args)]
pub struct CustodianArgs {
    /// Identity file that opens the escrow; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    pub escrow_identity: Vec<PathBuf>,
}

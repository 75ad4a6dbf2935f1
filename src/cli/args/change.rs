//! `recipients`, `signer` and `generation`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::access::AccessArgs;
use crate::format::role::Role;

/// Arguments of `recipients`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault recipients list
  idswyft-vault recipients add age1… --kit /media/usb/kit --identity operator.key")]
pub struct RecipientsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RecipientsCommand,
}

/// What `recipients` does.
#[derive(Debug, Clone, Subcommand)]
pub enum RecipientsCommand {
    /// List who can open the vault, as its newest note has it
    ///
    /// A note holds digests only; the text is shown where the config has it.
    #[command(after_help = "\
Example:
  idswyft-vault recipients list --json | jq -r '.vaults[].recipients[].sha256'")]
    List {
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Let more recipients open the vault, everything in it included
    ///
    /// Seals each generation's secrets again, signs the new set, and seals the kit's root key
    /// again. No pack is written. Then add them to `recipients` in the config. Run it again if it
    /// was interrupted.
    #[command(after_help = "\
Example:
  idswyft-vault recipients add age1… --kit /media/usb/kit --identity operator.key")]
    Add {
        /// Recipients, as printed by keygen
        #[arg(value_name = "AGE1…", required = true)]
        recipients: Vec<String>,
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
    /// Let recipients open nothing that is sealed from now on
    ///
    /// It takes nothing back: whoever was a recipient can open what was sealed before, from any
    /// copy of a store, and may have kept the root key from an old kit. The generation is rolled:
    /// at once on the host itself, else by its next snapshot. Then remove them from `recipients`
    /// in the config. Run it again if it was interrupted.
    #[command(after_help = "\
Example:
  idswyft-vault recipients remove 3f2a9c01 --kit /media/usb/kit --identity operator.key")]
    Remove {
        /// Recipients, or the beginnings of their digests
        #[arg(value_name = "AGE1…|DIGEST", required = true)]
        recipients: Vec<String>,
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
}

/// Where the root key is.
#[derive(Debug, Clone, Args)]
pub struct KitArgs {
    /// Recovery kit that `init` wrote; its root key is opened with --identity
    #[arg(long, value_name = "DIR")]
    pub kit: PathBuf,
}

/// Arguments of `signer`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault signer list
  idswyft-vault signer retire 0011223344556677 --kit /media/usb/kit --identity operator.key")]
pub struct SignerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SignerCommand,
}

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Takes snapshots
    Writer,
    /// Forgets and deletes what the policy lets go
    Janitor,
    /// Restores and verifies
    Operator,
    /// Proves, and reads no content
    Auditor,
}

impl RoleArg {
    /// Returns the role.
    pub const fn role(self) -> Role {
        match self {
            Self::Writer => Role::Writer,
            Self::Janitor => Role::Janitor,
            Self::Operator => Role::Operator,
            Self::Auditor => Role::Auditor,
        }
    }
}

/// What `signer` does.
#[derive(Debug, Clone, Subcommand)]
pub enum SignerCommand {
    /// List who signs for the vault, retired signers included
    #[command(after_help = "\
Example:
  idswyft-vault signer list --store file:///media/copy --vault-key vault.key")]
    List {
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Delegate to a new signer
    ///
    /// Makes a key in a new file that only you can read, or takes a verification key that was made
    /// elsewhere. What it may append to its log is what is usual for the role, and what --event
    /// adds within the role's bound. Run it again if it was interrupted.
    #[command(after_help = "\
Example:
  idswyft-vault signer add --role janitor -o janitor.key --kit /media/usb/kit -i operator.key")]
    #[command(group = clap::ArgGroup::new("whose").required(true).args(["output", "key"]))]
    Add {
        /// What the signer is for
        #[arg(long, value_name = "ROLE")]
        role: RoleArg,
        /// File for the new key; it must not exist
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Verification key of a signer that has its key already
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
        /// A further event that it may append; may be given several times
        #[arg(long, value_name = "EVENT")]
        event: Vec<String>,
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
    /// Delegate otherwise to a signer that is there, such as a host that may forget
    ///
    /// It may append what is usual for its role and what --event adds, and nothing else: without
    /// --event, what was added before ends. A host that may append snapshot.forgotten applies the
    /// policy after each snapshot; with packs.deleted it prunes as well.
    #[command(after_help = "\
Example:
  idswyft-vault signer set 0011223344556677 --event snapshot.forgotten --event packs.deleted \\
    --kit /media/usb/kit --identity operator.key")]
    Set {
        /// The signer's id, as `signer list` prints it
        #[arg(value_name = "ID")]
        id: String,
        /// A further event that it may append; may be given several times
        #[arg(long, value_name = "EVENT")]
        event: Vec<String>,
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
    /// End a delegation: what the signer signs from now on does not verify
    ///
    /// What it signed before stays valid. Retire the signer of a host that was lost or stolen; the
    /// host that takes its place gets a new one by `init --rejoin`.
    #[command(after_help = "\
Example:
  idswyft-vault signer retire 0011223344556677 --kit /media/usb/kit --identity operator.key")]
    Retire {
        /// The signer's id, as `signer list` prints it
        #[arg(value_name = "ID")]
        id: String,
        /// What is needed to sign.
        #[command(flatten)]
        kit: KitArgs,
    },
}

/// Arguments of `generation`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault generation list
  idswyft-vault generation roll")]
pub struct GenerationArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GenerationCommand,
}

/// What `generation` does.
#[derive(Debug, Clone, Subcommand)]
pub enum GenerationCommand {
    /// List generations, with their snapshots and stored bytes
    #[command(after_help = "\
Example:
  idswyft-vault generation list --json | jq -r '.generations[].id'")]
    List {
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Close the open generation and open a new one, on the host
    ///
    /// The next snapshot stores everything anew: no chunk is shared between generations.
    #[command(after_help = "\
Example:
  idswyft-vault generation roll --vault nightly")]
    Roll,
    /// Write an identity file that opens one generation, and no more
    ///
    /// Whoever gets it can restore and verify that generation's snapshots. It is not protected and
    /// cannot be taken back. It holds no dedup secret, so it cannot recompute the ids of chunks.
    #[command(after_help = "\
Example:
  idswyft-vault generation export 20260301 -o march.key --identity operator.key")]
    Export {
        /// The generation's id, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
        /// File to write; it must not exist
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Which copy to read.
        #[command(flatten)]
        access: AccessArgs,
    },
}

//! `verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::evidence::EvidenceArgs;
use super::{AuditArgs, PartArgs, ThawingArgs, VouchArgs};
use crate::cli::access::AccessArgs;

/// How much is read, and so how much is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LevelArg {
    /// Signed histories: append-only, every deletion allowed. Reads notes; needs no key
    Ledger,
    /// Every needed object is there with its signed size. Reads metadata; needs no key
    Stored,
    /// The bytes of every needed object have their signed digest. Reads all; needs no key
    Bytes,
    /// Everything opens, and every chunk and file has its digest. Reads all; needs an identity
    Contents,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault verify
  idswyft-vault verify --level bytes --confidence 99% --loss 0.1%
  idswyft-vault verify latest --level contents --identity operator.key --report report.html
  idswyft-vault verify --store s3://bucket/x --vault-key vault.key --report r.json --report r.html \
    --sign --attest --signer auditor.key")]
pub struct VerifyArgs {
    /// Snapshots, by id, unique prefix or `latest` [else all]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// How much is read and proven
    #[arg(long, value_name = "LEVEL", default_value = "stored")]
    pub level: LevelArg,
    /// What of all packs is looked at.
    #[command(flatten)]
    pub part: PartArgs,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Which copy to verify.
    #[command(flatten)]
    pub access: AccessArgs,
    /// What the ledgers are compared with.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// Write the whole report to this file as well, .json or .html; may be given several times
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Who vouches for it.
    #[command(flatten)]
    pub vouch: VouchArgs,
    /// Tell the `ping` URL of the config if this fails or finds damage
    #[arg(long)]
    pub ping: bool,
    /// What is known of the store from elsewhere.
    #[command(flatten)]
    pub evidence: EvidenceArgs,
}

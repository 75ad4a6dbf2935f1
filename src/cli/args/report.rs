//! `report`, and what `verify` does with a report once it is complete.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::retain::SiteArgs;
use crate::cli::access::AccessArgs;

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault report show 2026-11.json --report 2026-11.html
  idswyft-vault report check 2026-11.json --store s3://bucket/x --vault-key vault.key")]
pub struct ReportArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ReportCommand,
}

/// What `report` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ReportCommand {
    /// Print a saved report in words, or make a page of it
    #[command(after_help = "\
Example:
  idswyft-vault report show 2026-11.json
  idswyft-vault report show 2026-11.json --report 2026-11.html")]
    Show {
        /// Report, as `verify --report` wrote it as JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Write it to this file as well, .html or .json; may be given several times
        #[arg(long, value_name = "FILE")]
        report: Vec<PathBuf>,
    },
    /// Sign a report, and the pages made of it
    ///
    /// Writes FILE.sig beside the report: who vouches for it, when, and length and SHA-256 of each
    /// file. The signer is an auditor's or the operator's; a host cannot vouch for itself.
    #[command(after_help = "\
Example:
  idswyft-vault report sign 2026-11.json 2026-11.html --signer auditor.key \\
    --store s3://bucket/x --vault-key vault.key")]
    Sign {
        /// Report as JSON, and other files to sign with it, all in one directory
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Where the vault is, and who signs.
        #[command(flatten)]
        site: SiteArgs,
    },
    /// Check who signed a report, and that the ledgers still go on from it
    ///
    /// Reads FILE.sig and every file that it names, beside it. Exit 3 means that a file is not the
    /// one that was signed, or that a ledger was rewritten since.
    #[command(after_help = "\
Example:
  idswyft-vault report check 2026-11.json --store s3://bucket/x --vault-key vault.key")]
    Check {
        /// Report, as `verify --report` wrote it as JSON
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which copy of the vault to read.
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Join the parts of one verification, made with `verify --shard`
    ///
    /// All parts are needed, each once, of the same vaults, level, sample and snapshots. It ends as
    /// the verification would have ended.
    #[command(after_help = "\
Example:
  idswyft-vault report merge part-1.json part-2.json --report whole.json")]
    Merge {
        /// Reports of the parts, as `verify --report` wrote them as JSON
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Write it to this file as well, .html or .json; may be given several times
        #[arg(long, value_name = "FILE")]
        report: Vec<PathBuf>,
    },
}

/// What a verifier vouches for, and as whom.
#[derive(Debug, Clone, Default, Args)]
pub struct VouchArgs {
    /// Sign the files of --report: FILE.sig goes beside the one in JSON
    #[arg(long, requires = "report")]
    pub sign: bool,
    /// Record the result in the signer's own ledger, in every store of the vault
    #[arg(long)]
    pub attest: bool,
    /// Write that record to this new file, for `ledger add`: who only reads cannot put it
    #[arg(long, value_name = "FILE")]
    pub attestation: Option<PathBuf>,
    /// Key of the signer, as `signer add` wrote it; one for each vault
    #[arg(long, value_name = "FILE", conflicts_with = "kit")]
    pub signer: Vec<PathBuf>,
    /// Recovery kit: sign as the operator, whose key --identity opens in it
    #[arg(long, value_name = "DIR")]
    pub kit: Option<PathBuf>,
}

impl VouchArgs {
    /// Tells whether the result is to be recorded.
    pub const fn attests(&self) -> bool {
        self.attest || self.attestation.is_some()
    }
}

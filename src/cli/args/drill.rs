//! `drill`.

use std::path::PathBuf;

use clap::Args;

use super::ThawingArgs;
use super::selection::SelectionArgs;
use crate::cli::access::AccessArgs;

/// Arguments of `drill`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Exit codes:
  0 passed  1 the drill could not be done  3 something did not come back as it was archived
  4 passed, and a restore would take longer than `rto` allows

Example:
  idswyft-vault drill latest --identity operator.key
  idswyft-vault drill latest --identity operator.key --kit /media/usb/kit --report drill.json")]
pub struct DrillArgs {
    /// Which snapshot.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Recovery kit: its root key signs the result
    #[arg(long, value_name = "DIR")]
    pub kit: Option<PathBuf>,
    /// Identity file of a custodian: tries the sealed keys on the snapshot; may be given several
    /// times
    #[arg(long, value_name = "FILE")]
    pub escrow_identity: Vec<PathBuf>,
    /// Write the report to this new file as well, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Directory in which the scratch directories are made [else that of temporary files]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

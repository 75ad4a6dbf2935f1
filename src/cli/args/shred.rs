//! `shred`.

use clap::Args;

use super::retain::SiteArgs;

/// Arguments of `shred`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault shred 20251122
  idswyft-vault shred 20251122 --apply --signer janitor.key
  idswyft-vault shred 20251122 --apply --kit /media/usb/kit --identity operator.key")]
pub struct ShredArgs {
    /// Generation: its id, or a unique prefix of it
    #[arg(value_name = "ID")]
    pub generation: String,
    /// Record it, then destroy every key file; nothing brings them back
    #[arg(long)]
    pub apply: bool,
    /// The clock is right, though it is behind what the stores have seen, or far ahead of it
    #[arg(long)]
    pub accept_clock: bool,
    /// Where, and who signs.
    #[command(flatten)]
    pub site: SiteArgs,
}

//! `hold`.

use clap::{Args, Subcommand};

use super::retain::SiteArgs;

/// Arguments of `hold`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault hold list
  idswyft-vault hold add 20260301 --reason 'case 12/26' --kit /media/usb/kit -i operator.key")]
pub struct HoldArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: HoldCommand,
}

/// What `hold` does.
#[derive(Debug, Clone, Subcommand)]
pub enum HoldCommand {
    /// Keep snapshots, whatever the policy says
    ///
    /// A hold is recorded in every store. Its reason is sealed to the recipients of the vault; the
    /// ledger has a salted digest of it in clear, so that what it was can be shown later. Signed by
    /// the operator (--kit), or by an auditor to whom that is delegated (--signer).
    #[command(after_help = "\
Example:
  idswyft-vault hold add 20260301T0230 --reason 'case 12/26' --kit /media/usb/kit -i operator.key
  idswyft-vault hold add --before 2026-03-01 --until 2030-01-01 --reason 'audit' --signer a.key")]
    Add {
        /// Snapshots: ids, or unique prefixes of them
        #[arg(value_name = "ID", required_unless_present = "before")]
        ids: Vec<String>,
        /// Every snapshot not younger than TIME: a date (until its end), a local time, or RFC 3339
        #[arg(long, value_name = "TIME", conflicts_with = "ids")]
        before: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Until when it counts at most; else until it is released
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Where, and who signs.
        #[command(flatten)]
        site: SiteArgs,
    },
    /// End every hold on snapshots
    ///
    /// Only the operator can: no host, janitor or auditor is ever delegated that.
    #[command(after_help = "\
Example:
  idswyft-vault hold release 20260301T0230 --reason settled --kit /media/kit -i operator.key")]
    Release {
        /// Snapshots: ids, or unique prefixes of them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Where, and who signs.
        #[command(flatten)]
        site: SiteArgs,
    },
    /// Put the legal holds of stores that lock where holds stand, and take the others off
    ///
    /// `add` and `release` do that too. This is for what they could not do, for holds that ended by
    /// themselves, and for a mirror that came later. It signs nothing, and opens nothing.
    #[command(after_help = "\
Example:
  idswyft-vault hold settle")]
    Settle {
        /// Where.
        #[command(flatten)]
        site: SiteArgs,
    },
    /// List holds, released ones included; with an identity, their reasons
    #[command(after_help = "\
Example:
  idswyft-vault hold list --json --identity operator.key | jq -r '.holds[].reason'")]
    List {
        /// Where.
        #[command(flatten)]
        site: SiteArgs,
    },
}

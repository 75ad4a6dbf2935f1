//! `schedule` and `status`: the nights, and whether they do what they should.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::ops::schedule::TimeOfDay;

/// Arguments of `schedule`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault schedule install --dry-run
  idswyft-vault schedule install --at 04:45")]
pub struct ScheduleArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ScheduleCommand,
}

/// What `schedule` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ScheduleCommand {
    /// Install the nightly run: a snapshot, then a check that needs no key
    ///
    /// A systemd service and timer where systemd runs, else a file in /etc/cron.d, else lines in
    /// your own crontab; every other line of that stays as it is. A time at which the stack deletes
    /// or restarts is refused. Installing again replaces what an earlier call installed.
    #[command(after_help = "\
Example:
  idswyft-vault schedule install --dry-run     # only show what would be written
  idswyft-vault schedule install --at 04:45    # in the time zone of this host")]
    Install(ScheduleInstallArgs),
    /// Show the schedule that is installed
    #[command(after_help = "\
Example:
  idswyft-vault schedule show --json")]
    Show(ScheduleRootArgs),
    /// Remove the schedule that `schedule install` wrote, and nothing else
    #[command(after_help = "\
Example:
  idswyft-vault schedule remove")]
    Remove(ScheduleRootArgs),
}

/// Arguments of `schedule install`.
#[derive(Debug, Clone, Args)]
pub struct ScheduleInstallArgs {
    /// When to begin, in the time zone of this host [else 02:40 UTC]
    #[arg(long, value_name = "HH:MM")]
    pub at: Option<TimeOfDay>,
    /// Only show what would be written
    #[arg(long)]
    pub dry_run: bool,
    /// What runs the night, if it is not to be found out
    #[arg(long, hide = true, value_name = "NAME")]
    pub scheduler: Option<SchedulerArg>,
    /// Where.
    #[command(flatten)]
    pub root: ScheduleRootArgs,
}

/// Where the files of a schedule are.
#[derive(Debug, Clone, Args)]
pub struct ScheduleRootArgs {
    /// Root of another tree, for packages and images
    #[arg(long, hide = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// What runs the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchedulerArg {
    /// A service and a timer.
    Systemd,
    /// A file in /etc/cron.d.
    CronD,
    /// Lines in a crontab.
    Crontab,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Exit codes:
  0 all is well  1 a vault has no snapshot that is new enough  4 something needs attention

Example:
  idswyft-vault status
  idswyft-vault status --json --quiet          # for a monitor")]
pub struct StatusArgs {}

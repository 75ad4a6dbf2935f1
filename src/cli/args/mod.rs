//! The command line, as clap reads it. Design §15.
//!
//! Here is only what can be said; what is done with it is in `cli::commands`, one file a command.
//! Every help text ends with an example.

mod archive;
mod check;
mod keys;
mod read;
pub mod selection;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use archive::{InitArgs, SnapshotArgs};
pub use check::{LedgerArgs, LedgerCommand, LevelArg, VerifyArgs};
pub use keys::{CompletionsArgs, DemoArgs, KeygenArgs};
pub use read::{CatArgs, CatWhat, PartArg, RestoreArgs, ShowArgs, SnapshotsArgs};

use super::config::CONFIG_VARIABLE;
use crate::base::{Code, Coded};

/// The environment variable that names an identity file.
pub const IDENTITY_VARIABLE: &str = "IDSWYFT_VAULT_IDENTITY";

/// Encrypted, deduplicating archives of a self-hosted Idswyft installation.
#[derive(Debug, Parser)]
#[command(
    name = "idswyft-vault",
    version,
    about,
    long_about = "Encrypted, deduplicating archives of a self-hosted Idswyft installation: the \
                  PostgreSQL database and the uploaded documents, taken together, sealed so that \
                  the machine which makes the backup cannot read it back.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = false,
)]
pub struct CommandLine {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Exit codes:
  0 done  1 failed  2 usage  3 verify found damage  4 done with warnings
  5 locked by another run  6 no matching identity  7 format too new  8 waiting for thaw

Example:
  idswyft-vault demo                                # see it work, in a temporary directory
  idswyft-vault keygen -o operator.key              # on the operator's machine
  idswyft-vault init --kit /media/usb/kit           # on the host, with a config
  idswyft-vault snapshot                            # every night
  idswyft-vault restore latest --target /srv/out --identity operator.key";

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Config file [else ./idswyft-vault.toml, then /etc/idswyft-vault/config.toml]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE, hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Only this vault of the config
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub vault: Option<String>,
    /// Identity file that opens the archive; may be given several times
    #[arg(long, short, global = true, value_name = "FILE", env = IDENTITY_VARIABLE)]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub identity: Vec<PathBuf>,
    /// Write the result, or the error, as one JSON object to standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// No progress bars and no words on success; warnings and errors stay
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the vaults of a config, or write a first config
    Init(InitArgs),
    /// Make an identity that opens archives, and print its recipient
    Keygen(KeygenArgs),
    /// Take a snapshot: database and uploads, into every vault that is due
    Snapshot(SnapshotArgs),
    /// List snapshots
    Snapshots(SnapshotsArgs),
    /// Show what is in a snapshot
    Show(ShowArgs),
    /// Restore a snapshot into a new directory
    Restore(RestoreArgs),
    /// Write the dump or one file of a snapshot to standard output
    Cat(CatArgs),
    /// Check that snapshots are there, unaltered and readable
    Verify(VerifyArgs),
    /// Show the signed record of what happened
    Ledger(LedgerArgs),
    /// Try everything on a small made-up installation
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// Returns the command as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Keygen(_) => "keygen",
            Self::Snapshot(_) => "snapshot",
            Self::Snapshots(_) => "snapshots",
            Self::Show(_) => "show",
            Self::Restore(_) => "restore",
            Self::Cat(_) => "cat",
            Self::Verify(_) => "verify",
            Self::Ledger(_) => "ledger",
            Self::Demo(_) => "demo",
            Self::Completions(_) => "completions",
        }
    }
}

/// An argument that clap accepts and the command does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct UsageError {
    /// What was to be done, as a verb with its object.
    pub action: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl UsageError {
    /// Makes an error of what was to be done and why it cannot be.
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into() }
    }
}

impl Coded for UsageError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_help_ends_with_an_example() {
        fn check(command: &clap::Command) {
            let help = command.clone().render_long_help().to_string();
            let (_, example) = help.rsplit_once("\nExample:\n").unwrap_or_else(|| {
                panic!("the help of {} has no example", command.get_name());
            });
            assert!(example.trim_start().starts_with("idswyft-vault "), "{example}");
            command.get_subcommands().for_each(check);
        }
        check(&CommandLine::command());
    }

    #[test]
    fn names_are_what_clap_knows() {
        let parse = |words: &[&str]| {
            CommandLine::try_parse_from(["idswyft-vault"].iter().chain(words)).unwrap().command
        };
        for words in [
            &["init"][..],
            &["keygen"],
            &["snapshot", "--tag", "a", "--tag", "b", "--no-retain"],
            &["snapshots", "--json", "--quiet"],
            &["show", "latest", "--files"],
            &["restore", "--at", "2026-03-01", "--target", "x", "--only", "uploads", "--path", "a"],
            &["cat", "latest", "db"],
            &["verify", "--level", "bytes", "--store", "local", "--report", "r.json"],
            &["ledger", "show", "--signer", "0011223344556677"],
            &["demo"],
            &["completions", "bash"],
        ] {
            assert_eq!(parse(words).name(), words[0]);
        }
    }
}

//! `snapshots`, `show`, `restore` and `cat`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ApplyArgs;
use super::ThawingArgs;
use super::UsageError;
use super::selection::{SelectError, SelectionArgs, Selector};
use crate::cli::access::AccessArgs;

/// Arguments of `snapshots`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault snapshots
  idswyft-vault snapshots --json | jq -r '.snapshots[].id'")]
pub struct SnapshotsArgs {
    /// Which copy to list.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Arguments of `show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault show latest --identity operator.key
  idswyft-vault show 20260301 --files | grep selfies/")]
pub struct ShowArgs {
    /// Which snapshot.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// List every file with its mode, size and time
    #[arg(long)]
    pub files: bool,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// A part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartArg {
    /// The dump
    Database,
    /// The uploaded files
    Uploads,
}

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("id", |id| id.required_unless_present_any(["undo", "drop_previous"])))]
#[command(after_help = "\
Example:
  idswyft-vault restore latest --target /srv/restored --identity operator.key
  idswyft-vault restore --at 2026-03-01 --only uploads --path 'selfies/*' --target /srv/some
  idswyft-vault restore latest --apply --dir /opt/idswyft --identity operator.key \\
      --escrow-identity custodian.key
  psql --single-transaction -v ON_ERROR_STOP=1 -d new_database -f /srv/restored/db.sql")]
pub struct RestoreArgs {
    /// Which snapshot.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Directory to write to; it must be new or empty
    #[arg(long, value_name = "DIR")]
    #[arg(required_unless_present_any = ["apply", "undo", "drop_previous"])]
    pub target: Option<PathBuf>,
    /// Only this part
    #[arg(long, value_name = "PART")]
    pub only: Option<PartArg>,
    /// Only files whose path below uploads/ matches, as 'selfies/*'; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub path: Vec<String>,
    /// Write into a directory that is not empty, over files of the same names
    #[arg(long, requires = "target")]
    pub overwrite: bool,
    /// Into the running stack.
    #[command(flatten)]
    pub service: ApplyArgs,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Do not look up who was erased since; that reads the newest snapshot's dump
    #[arg(long)]
    pub no_erased_check: bool,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Arguments of `cat`.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "\
idswyft-vault cat [OPTIONS] <ID> <db|PATH>
       idswyft-vault cat [OPTIONS] --at <TIME> <db|PATH>")]
#[command(after_help = "\
Example:
  idswyft-vault cat latest db | psql --single-transaction -v ON_ERROR_STOP=1 new_database
  idswyft-vault cat --at '2026-03-01 12:00' selfies/3f2a.jpg > selfie.jpg")]
pub struct CatArgs {
    /// Snapshot (an id, a unique prefix or `latest`; not with --at), then `db` or a file's path
    #[arg(value_name = "ID> <db|PATH", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// Newest snapshot not younger than TIME: a date (until its end), a local time, or RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What to do about archived packs.
    #[command(flatten)]
    pub thawing: ThawingArgs,
    /// Which copy to read.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// What `cat` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatWhat {
    /// The dump.
    Database,
    /// The file with this path below the uploads.
    File(String),
}

impl CatArgs {
    /// Returns which snapshot is meant.
    ///
    /// # Errors
    /// If there are too few or too many words, or the snapshot's is neither an id nor a time.
    pub fn selector(&self) -> Result<Selector, SelectError> {
        let usage = |reason| SelectError::Usage(UsageError::new("choose what to write", reason));
        let id = match (&self.at, &self.words[..]) {
            (Some(_), [_]) => None,
            (None, [id, _]) => Some(id.clone()),
            (Some(_), _) => return Err(usage("with --at, give db or a path and no id")),
            (None, _) => return Err(usage("give a snapshot, then db or a path")),
        };
        SelectionArgs { id, at: self.at.clone() }.selector()
    }

    /// Returns what is to be written.
    pub fn what(&self) -> CatWhat {
        match self.words.last().map(String::as_str) {
            Some("db") | None => CatWhat::Database,
            Some(path) => CatWhat::File(path.trim_start_matches("./").to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Command, CommandLine};
    use super::*;
    use crate::base::{Code, Coded};

    fn cat(words: &[&str]) -> CatArgs {
        let words = ["idswyft-vault", "cat"].iter().chain(words);
        match CommandLine::try_parse_from(words).unwrap().command {
            Command::Cat(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cat_takes_a_snapshot_and_a_thing_or_a_time_and_a_thing() {
        let args = cat(&["latest", "db"]);
        assert_eq!((args.selector().unwrap(), args.what()), (Selector::Latest, CatWhat::Database));
        let args = cat(&["20260301", "./db"]);
        assert_eq!(args.selector().unwrap(), Selector::Prefix("20260301".into()));
        assert_eq!(args.what(), CatWhat::File("db".into()));
        let args = cat(&["--at", "2026-03-01T00:00:00Z", "selfies/a.jpg"]);
        assert!(matches!(args.selector().unwrap(), Selector::At(_)));
        for words in [&["db"][..], &["--at", "2026-03-01", "latest", "db"]] {
            assert_eq!(cat(words).selector().unwrap_err().code(), Code::UsageInvalid);
        }
    }
}

//! `init` and `snapshot`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::UsageError;
use super::stack::StackArgs;
use crate::cli::config::{ConfigFlags, StackFlags, parse_len};
use crate::store::s3::UPLOAD_LIMIT_MIN;

/// The vault's name if none is given.
const VAULT_NAME_DEFAULT: &str = "nightly";
/// Most bytes of a tag.
const TAG_LEN_MAX: usize = 128;

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault init --kit /media/usb/kit
  idswyft-vault init --kit /media/usb/kit --dir /opt/idswyft --recipient age1… \\
      --store file:///var/backups/idswyft \\
      --escrow-store file:///mnt/escrow --escrow-recipient age1…
  idswyft-vault --config ./vault.toml init --kit /media/usb/kit --recipient age1… \\
      --state-dir /var/lib/idswyft-vault --store file:///var/backups/idswyft \\
      --uploads /srv/idswyft/uploads -- docker exec idswyft-community-postgres-1 \\
      pg_dump -U idswyft --clean --if-exists --no-owner --no-acl --no-tablespaces idswyft
  idswyft-vault init --rejoin --vault-key /media/usb/kit/nightly-4f1c22aa/vault.key")]
pub struct InitArgs {
    /// Directory for the recovery kit, on removable media [else ./idswyft-vault-kit, to be moved
    /// there]
    #[arg(long, value_name = "DIR")]
    pub kit: Option<PathBuf>,
    /// Go on with a vault whose state on this host was lost: as a new signer, to whom the operator
    /// then delegates with `signer add`
    #[arg(long, requires = "vault_key", conflicts_with_all = ["kit", "recipient", "store"])]
    pub rejoin: bool,
    /// Root verification key of the vault to rejoin, or a file that holds it, as in the kit
    #[arg(long, value_name = "KEY|FILE", requires = "rejoin")]
    pub vault_key: Option<String>,
    /// Who can restore, as printed by keygen; may be given several times
    #[arg(long, value_name = "AGE1…", help_heading = "Options of a first config")]
    pub recipient: Vec<String>,
    /// Where keys and manifests of this host are
    #[arg(long, value_name = "DIR", default_value = "/var/lib/idswyft-vault")]
    #[arg(help_heading = "Options of a first config")]
    pub state_dir: PathBuf,
    /// URL of the store, such as file:///var/backups/idswyft
    #[arg(long, value_name = "URL", help_heading = "Options of a first config")]
    pub store: Option<String>,
    /// How many daily snapshots are kept [else all]
    #[arg(long, value_name = "COUNT", help_heading = "Options of a first config")]
    pub keep_daily: Option<u32>,
    /// Directory of the uploads
    #[arg(long, value_name = "DIR", help_heading = "Options of a first config")]
    pub uploads: Option<PathBuf>,
    /// URL of the database, for this host's pg_dump
    #[arg(long, value_name = "URL", conflicts_with = "dump_argv")]
    #[arg(help_heading = "Options of a first config")]
    pub database_url: Option<String>,
    /// The stack, where nothing else is named.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Command that writes a plain dump to its standard output
    #[arg(last = true, value_name = "DUMP COMMAND", help_heading = "Options of a first config")]
    pub dump_argv: Vec<String>,
}

impl InitArgs {
    /// Returns what a first config is to say; the vault is named as `--vault` says.
    ///
    /// # Errors
    /// If there is no store, nothing to archive, or the working directory is gone.
    pub fn config_flags(
        &self,
        vault: Option<&str>,
        stack: Option<StackFlags>,
    ) -> Result<ConfigFlags, UsageError> {
        const ACTION: &str = "write a first config";
        let Some(store) = self.store.clone() else {
            return Err(UsageError::new(ACTION, "there is no config yet and no --store"));
        };
        let has_database = self.database_url.is_some() || !self.dump_argv.is_empty();
        if !has_database && self.uploads.is_none() && stack.is_none() {
            let reason = "no stack is in its usual places: name its --dir, or --uploads, and \
                          --database-url or a dump command after --";
            return Err(UsageError::new(ACTION, reason));
        }
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| {
                UsageError::new(ACTION, format!("{} has no full path: {error}", path.display()))
            })
        };
        Ok(ConfigFlags {
            state_dir: absolute(&self.state_dir)?,
            recipients: self.recipient.clone(),
            vault: vault.unwrap_or(VAULT_NAME_DEFAULT).to_owned(),
            store,
            keep_daily: self.keep_daily,
            dump_argv: self.dump_argv.clone(),
            database_url: self.database_url.clone(),
            uploads: self.uploads.as_deref().map(absolute).transpose()?,
            stack,
            escrow: self.stack.escrow(),
        })
    }
}

/// Arguments of `snapshot`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault snapshot --tag pre-update
  30 2 * * * root idswyft-vault --quiet snapshot       # in /etc/cron.d")]
pub struct SnapshotArgs {
    /// A word to find the snapshot by; may be given several times
    #[arg(long, value_name = "TAG", value_parser = parse_tag)]
    pub tag: Vec<String>,
    /// Do not apply the retention policy afterwards
    #[arg(long)]
    pub no_retain: bool,
    /// Most bytes a second that are sent to each store in a bucket, such as 10MiB
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub limit_upload: Option<u64>,
}

fn parse_rate(text: &str) -> Result<u64, String> {
    parse_len(text).filter(|rate| *rate >= UPLOAD_LIMIT_MIN).ok_or_else(|| {
        format!("expected bytes a second such as 10MiB, {UPLOAD_LIMIT_MIN} at least")
    })
}

fn parse_tag(text: &str) -> Result<String, String> {
    let sound = (1..=TAG_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    sound
        .then(|| text.to_owned())
        .ok_or_else(|| format!("a tag has 1 to {TAG_LEN_MAX} bytes and no control characters"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Command, CommandLine};
    use super::*;

    fn init(words: &[&str]) -> InitArgs {
        let words = ["idswyft-vault", "init"].iter().chain(words);
        match CommandLine::try_parse_from(words).unwrap().command {
            Command::Init(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_config_needs_a_store_and_a_source() {
        assert!(init(&[]).config_flags(None, None).unwrap_err().to_string().contains("--store"));
        let error = init(&["--store", "file:///b"]).config_flags(None, None).unwrap_err();
        assert!(error.to_string().contains("--uploads"));
        let words = ["--store", "file:///b", "--uploads", "u", "--", "pg_dump", "--clean"];
        let flags = init(&words).config_flags(None, None).unwrap();
        assert_eq!((flags.vault.as_str(), flags.dump_argv.len()), ("nightly", 2));
        assert!(flags.uploads.unwrap().is_absolute());
    }

    #[test]
    fn a_rate_is_a_length_and_not_too_small() {
        assert_eq!(parse_rate("10MiB"), Ok(10 << 20));
        assert_eq!(parse_rate("1024"), Ok(1024));
        for wrong in ["", "1023", "0", "10MB", "fast"] {
            assert!(parse_rate(wrong).unwrap_err().contains("10MiB"), "{wrong}");
        }
    }

    #[test]
    fn a_tag_is_a_word() {
        assert!(parse_tag("pre-update").is_ok() && parse_tag("é").is_ok());
        assert!(parse_tag("").is_err() && parse_tag("a\nb").is_err());
        assert!(parse_tag(&"a".repeat(TAG_LEN_MAX + 1)).is_err());
    }
}

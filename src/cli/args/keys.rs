//! `keygen`, `demo` and `completions`.

use std::path::PathBuf;

use clap::Args;

/// Make an identity that opens archives, and print its recipient.
///
/// The identity is written to a new file that only you can read, protected by a passphrase: typed
/// twice, or taken from IDSWYFT_VAULT_PASSPHRASE. Standard output gets the recipient, age1…, which
/// goes into the config. Keep the identity away from the host that makes the backups, and keep a
/// copy: without it nothing can ever be restored.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault keygen -o operator.key
  idswyft-vault keygen -o /media/usb/operator.key --json | jq -r .recipient")]
pub struct KeygenArgs {
    /// File to write; it must not exist
    #[arg(long, short, value_name = "FILE", default_value = "operator.key")]
    pub output: PathBuf,
    /// Write the identity in clear: whoever reads the file can open the archive
    #[arg(long)]
    pub no_passphrase: bool,
}

/// Try everything on a small made-up installation.
///
/// Makes a few hundred uploads and a private PostgreSQL (a generated dump where no server is
/// installed), takes two snapshots with a day of changes between them, verifies them, restores
/// both and compares every byte. It touches nothing outside its directory and needs no config.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault demo
  idswyft-vault demo --dir /tmp/look")]
pub struct DemoArgs {
    /// Work in this new directory and leave it there [else a temporary one that is removed]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Print completions for a shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault completions bash > /etc/bash_completion.d/idswyft-vault
  idswyft-vault completions zsh > ~/.zfunc/_idswyft-vault")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

//! `keygen`, `demo` and `completions`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `keygen`.
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

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  idswyft-vault demo
  idswyft-vault demo --dir /tmp/look")]
pub struct DemoArgs {
    /// New directory to work in [else a temporary one]; it stays, to look at
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `completions`.
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

//! What every command takes.

use std::path::PathBuf;

use clap::Args;

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Config file [else $IDSWYFT_VAULT_CONFIG, ./idswyft-vault.toml,
    /// /etc/idswyft-vault/config.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Only this vault of the config
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub vault: Option<String>,
    /// Identity file that opens the archive; may be given several times
    /// [else $IDSWYFT_VAULT_IDENTITY]
    #[arg(long, short, global = true, value_name = "FILE", help_heading = "Global options")]
    pub identity: Vec<PathBuf>,
    /// Write the result, or the error, as one JSON object to standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// No progress bars and no words on success; warnings and errors stay
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

//! What the commands that change a vault begin with: identity, kit, stores, and the host's state
//! where this machine has it.

use std::path::Path;

use super::access;
use super::args::UsageError;
use super::config::{Config, VaultConfig};
use super::report::Failure;
use super::session::Session;
use crate::ops::desk::Desk;
use crate::vault::Writer;
use crate::vault::state::{StateDir, StateLock};

/// A vault that is open for a change, locked where this machine is its host.
pub struct OpenDesk {
    /// The config.
    pub config: Config,
    /// What it says of the vault.
    pub vault: VaultConfig,
    /// What the change works with.
    pub desk: Desk,
    _lock: Option<StateLock>,
}

/// Opens the one vault that is meant for a change.
///
/// # Errors
/// If no identity is given, several vaults are meant, or the kit or a store cannot be used.
pub fn open(session: &Session, kit: &Path, action: &'static str) -> Result<OpenDesk, Failure> {
    let config = session.config()?;
    let vault = only(&config, session)?.clone();
    let identities = session.identities(action)?;
    let state = StateDir::new(&config.state_dir, &vault.name);
    let stores = access::stores(&vault)?;
    let (lock, host) = match state.exists() {
        true => {
            let lock = StateLock::take(&config.state_dir)?;
            let writer = Writer::open(state, access::stores(&vault)?, session.outside())?;
            (Some(lock), Some(writer))
        }
        false => (None, None),
    };
    let (name, observer) = (&vault.name, session.progress.as_ref());
    let desk = Desk::open(name, kit, identities, stores, host, session.outside(), observer)?;
    Ok(OpenDesk { config, vault, desk, _lock: lock })
}

/// Returns the one vault of a config that is meant.
///
/// # Errors
/// If there are several and none is named.
pub fn only<'a>(config: &'a Config, session: &Session) -> Result<&'a VaultConfig, Failure> {
    match config.select(session.global.vault.as_deref())?[..] {
        [one] => Ok(one),
        ref all => {
            let reason = format!("the config has {} vaults: name one with --vault", all.len());
            Err(UsageError::new("choose a vault", reason).into())
        }
    }
}

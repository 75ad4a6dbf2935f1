//! Getting at a vault: by the config, or with a store and a verification key alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::UsageError;
use super::config::{Config, StoreConfig, VaultConfig};
use super::files;
use super::report::Failure;
use super::session::Session;
use crate::base::limits::NOTE_LEN_MAX;
use crate::base::{Event, Observer};
use crate::crypto::signing::VerificationKey;
use crate::ops::probing;
use crate::store::{self, CachedStore, Store};
use crate::vault::state::{Anchor, StateDir};
use crate::vault::{Auditor, Unlocked};

/// The environment variable with the directory of what a service manager handed over.
const HANDED_OVER_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Which copy of a vault is read, and whose word counts.
#[derive(Debug, Clone, Default, Args)]
pub struct AccessArgs {
    /// Store to read: a name in the config, or a URL such as file:///media/copy
    #[arg(long, value_name = "NAME|URL")]
    pub store: Option<String>,
    /// Root verification key, or a file that holds it, as in the recovery kit
    #[arg(long, value_name = "KEY|FILE")]
    pub vault_key: Option<String>,
    /// Read all from the store and nothing that this machine kept; `verify` always does
    #[arg(long)]
    pub no_cache: bool,
}

/// Opens the stores of a vault, the primary first.
///
/// # Errors
/// If one cannot be opened.
pub fn stores(vault: &VaultConfig) -> Result<Vec<Arc<dyn Store>>, Failure> {
    stores_sending_at(vault, None)
}

/// Opens the stores of a vault, of which those in buckets are sent no more than so many bytes a
/// second.
///
/// # Errors
/// As [`stores`].
pub fn stores_sending_at(
    vault: &VaultConfig,
    limit: Option<u64>,
) -> Result<Vec<Arc<dyn Store>>, Failure> {
    let stores = vault.stores.iter();
    stores.map(|config| open_store(&config.clone().sending_at(limit))).collect()
}

/// Opens one store of a config.
///
/// # Errors
/// If it cannot be opened.
pub fn open_store(config: &StoreConfig) -> Result<Arc<dyn Store>, Failure> {
    let mut settings = config.s3.clone();
    if let Some(settings) = &mut settings {
        if let Some(probe) = probing::recorded(&config.record, &config.url)? {
            settings.quirks = probe.quirks();
        }
        let handed_over = std::env::var_os(HANDED_OVER_VARIABLE).map(PathBuf::from);
        settings.credentials_file = config.credentials(handed_over.as_deref());
    }
    Ok(store::open_with(&config.url, &config.name, settings.as_ref())?)
}

/// What came of opening the auditor's side of a vault.
pub type Opened = Result<Auditor, Failure>;

/// Opens the auditor's side of the vaults that are meant: of one store and key, or of the config.
///
/// # Errors
/// If the store, the key or the first vault note is missing or wrong.
pub fn auditors(session: &Session, args: &AccessArgs) -> Result<Vec<Auditor>, Failure> {
    each_auditor(session, args)?.into_iter().map(|(_, auditor)| auditor).collect()
}

/// Opens what [`auditors`] does, each vault with its name, whatever comes of the others.
///
/// # Errors
/// If it is not known which vaults are meant.
pub fn each_auditor(
    session: &Session,
    args: &AccessArgs,
) -> Result<Vec<(String, Opened)>, Failure> {
    if let Some((url, key)) = standalone(args)? {
        let store = store::open_with(&url, store::GIVEN, None)?;
        let (name, store) = (key.vault().to_string(), cached(store, &key, args));
        return Ok(vec![(name, Auditor::open(store, key).map_err(Failure::from))]);
    }
    let config = session.config()?;
    let mut vaults = config.select(session.global.vault.as_deref())?;
    if vaults.len() > 1 {
        vaults.retain(|vault| match &args.store {
            Some(name) => vault.stores.iter().any(|store| store.name == *name),
            None => vault.stores.iter().any(StoreConfig::is_readable),
        });
    }
    if vaults.is_empty() {
        let reason = "no vault of the config has such a store that its credentials may read";
        return Err(UsageError::new("choose a store", reason).into());
    }
    let open = |vault: &VaultConfig| (vault.name.clone(), auditor_of(&config, vault, args));
    Ok(vaults.into_iter().map(open).collect())
}

/// Opens the auditor's side of the one vault that is meant.
///
/// # Errors
/// As [`auditors`], and if the config has several vaults and none is named.
pub fn auditor(session: &Session, args: &AccessArgs) -> Result<Auditor, Failure> {
    let mut all = auditors(session, args)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        count => {
            let reason = format!("the config has {count} vaults: name one with --vault");
            Err(UsageError::new("choose a vault", reason).into())
        }
    }
}

/// Opens the operator's side of the one vault that is meant.
///
/// # Errors
/// As [`auditor`], and if no identity is given or it does not parse.
pub fn unlocked(
    session: &Session,
    args: &AccessArgs,
    action: &'static str,
) -> Result<Unlocked, Failure> {
    // The identity first: without it nothing else matters, and a wrong passphrase shows early.
    let identities = session.identities(action)?;
    Ok(Unlocked::new(auditor(session, args)?, identities)?)
}

/// Tells whether a store and a key are given, so that no config counts.
///
/// # Errors
/// If the key does not parse.
pub fn is_standalone(args: &AccessArgs) -> Result<bool, Failure> {
    Ok(standalone(args)?.is_some())
}

/// Returns the store and the key, if both are given and no config is needed.
fn standalone(args: &AccessArgs) -> Result<Option<(String, VerificationKey)>, Failure> {
    match (&args.store, &args.vault_key) {
        (Some(url), Some(key)) if url.contains("://") => Ok(Some((url.clone(), read_key(key)?))),
        _ => Ok(None),
    }
}

fn auditor_of(config: &Config, vault: &VaultConfig, args: &AccessArgs) -> Result<Auditor, Failure> {
    let key = match &args.vault_key {
        Some(key) => read_key(key)?,
        None => anchor(config, vault)?.root_key.parse()?,
    };
    let store = match &args.store {
        None => {
            let readable = vault.stores.iter().find(|store| store.is_readable());
            open_store(readable.unwrap_or(&vault.stores[0]))?
        }
        Some(given) => named_store(vault, given)?,
    };
    Ok(Auditor::open(cached(store, &key, args), key)?)
}

/// Opens the auditor's side of every other store of the one vault that is meant that can be read;
/// one that cannot be opened now is a warning.
///
/// # Errors
/// As [`auditor`].
pub fn others(session: &Session, args: &AccessArgs) -> Result<Vec<Auditor>, Failure> {
    if standalone(args)?.is_some() {
        return Ok(Vec::new());
    }
    let (config, chosen) = (session.config()?, auditor(session, args)?);
    let mut others = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        let readable = vault.stores.iter().filter(|store| store.is_readable());
        for store in readable.filter(|store| store.name != chosen.store().name()) {
            let args = AccessArgs { store: Some(store.name.clone()), ..args.clone() };
            match auditor_of(&config, vault, &args) {
                Ok(other) => others.extend((other.vault() == chosen.vault()).then_some(other)),
                Err(failure) => {
                    let why = failure.chain().join(": ");
                    let detail = format!("store {} is not compared: failed to {why}", store.name);
                    session.progress.observe(Event::Warning { code: failure.code(), detail });
                }
            }
        }
    }
    Ok(others)
}

/// Returns a store with a cache in front of it, where that is worth it and wanted.
fn cached(store: Arc<dyn Store>, key: &VerificationKey, args: &AccessArgs) -> Arc<dyn Store> {
    if args.no_cache || store::directory(store.url()).is_some() {
        return store;
    }
    let Some(caches) = cache_directory() else { return store };
    let directory = caches.join("idswyft-vault").join(key.vault().to_string());
    match CachedStore::open(Arc::clone(&store), directory) {
        Ok(cached) => Arc::new(cached),
        // Without a cache everything is read from the store, and nothing else differs.
        Err(_) => store,
    }
}

/// Returns stores that remember for this run what was read of them, where that is worth it.
///
/// Nothing of another run counts: what goes is decided by what each store has today.
pub fn remembering(stores: &[Arc<dyn Store>]) -> Vec<Arc<dyn Store>> {
    let remember = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        match store::directory(store.url()) {
            Some(_) => Arc::clone(store),
            None => Arc::new(CachedStore::in_memory(Arc::clone(store))),
        }
    };
    stores.iter().map(remember).collect()
}

/// Returns where this user keeps caches, by the rules of XDG.
fn cache_directory() -> Option<PathBuf> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let is_absolute = |path: &PathBuf| path.is_absolute();
    let own = || named("HOME").filter(is_absolute).map(|home| home.join(".cache"));
    named("XDG_CACHE_HOME").filter(is_absolute).or_else(own)
}

/// Opens a store of a vault by its name, or any by its URL.
///
/// # Errors
/// If the vault has no such store, or it cannot be opened.
pub fn named_store(vault: &VaultConfig, given: &str) -> Result<Arc<dyn Store>, Failure> {
    if given.contains("://") {
        return Ok(store::open_with(given, "given", None)?);
    }
    match vault.stores.iter().find(|store| store.name == given) {
        Some(store) => open_store(store),
        None => {
            let names: Vec<&str> = vault.stores.iter().map(|s| s.name.as_str()).collect();
            let names = names.join(", ");
            let reason = format!("vault {} has no store {given}, it has {names}", vault.name);
            Err(UsageError::new("choose a store", reason).into())
        }
    }
}

/// Reads which vault the state directory holds.
///
/// # Errors
/// If it holds none: then `init` was not run here, and --vault-key is needed.
pub fn anchor(config: &Config, vault: &VaultConfig) -> Result<Anchor, Failure> {
    Ok(StateDir::new(&config.state_dir, &vault.name).anchor()?)
}

/// Reads a verification key: its text, or a file that holds it.
///
/// # Errors
/// If it is neither.
pub fn read_key(text: &str) -> Result<VerificationKey, Failure> {
    if Path::new(text).is_file() {
        let bytes = files::read(Path::new(text), "verification key", NOTE_LEN_MAX)?;
        let line = std::str::from_utf8(&bytes).unwrap_or_default();
        return line.trim().parse().map_err(|_| not_a_key(text, "the file holds none"));
    }
    let reason = "it is neither a file nor <name>+<hash>+<key>, as `ledger key` prints it";
    text.trim().parse().map_err(|_| not_a_key(text, reason))
}

fn not_a_key(text: &str, reason: &str) -> Failure {
    let shown: String = text.chars().take(100).collect();
    UsageError::new(format!("read {shown:?} as a verification key"), reason).into()
}

//! What `replicate` and `repair` begin with: the stores of a vault, its key, and the host's state
//! where this machine has it.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::access;
use super::args::UsageError;
use super::config::{Config, VaultConfig};
use super::report::Failure;
use super::session::Session;
use crate::base::{Code, Coded, Event, Observer, with_causes};
use crate::crypto::signing::VerificationKey;
use crate::format::{Folder, ObjectKey};
use crate::ops;
use crate::ops::replicate::Settling;
use crate::store::{Listed, Receipt, STAGING_PREFIX, Store};
use crate::vault::Writer;
use crate::vault::signed::refuse_foreign;
use crate::vault::state::{StateDir, StateLock};

/// Returns the vaults that have every one of the stores that are named; URLs are of any vault.
///
/// # Errors
/// If none has.
pub fn vaults_with<'a>(
    config: &'a Config,
    session: &Session,
    named: &[Option<&String>],
) -> Result<Vec<&'a VaultConfig>, Failure> {
    let named: Vec<&String> = named.iter().copied().flatten().collect();
    let has_all = |vault: &&VaultConfig| {
        named.iter().all(|name| {
            name.contains("://") || vault.stores.iter().any(|store| store.name == **name)
        })
    };
    let selected = config.select(session.global.vault.as_deref())?;
    let is_mirrored = |vault: &&VaultConfig| {
        let readable = vault.stores.iter().filter(|store| store.is_readable());
        !named.is_empty() || selected.len() == 1 || readable.count() > 1
    };
    let found = selected.iter().copied().filter(has_all).filter(is_mirrored);
    let found: Vec<&VaultConfig> = found.collect();
    if found.is_empty() {
        let names: Vec<&str> =
            selected.iter().flat_map(|v| &v.stores).map(|s| s.name.as_str()).collect();
        let reason = format!("no vault has what was named; the stores are {}", names.join(", "));
        return Err(UsageError::new("choose a store", reason).into());
    }
    if named.iter().any(|name| name.contains("://")) && found.len() > 1 {
        let reason = format!("the config has {} vaults: name one with --vault", found.len());
        return Err(UsageError::new("choose a vault", reason).into());
    }
    Ok(found)
}

/// A vault whose mirrors are worked on.
pub struct Bench<'a> {
    vault: &'a VaultConfig,
    state: StateDir,
    /// The root verification key.
    pub key: VerificationKey,
    settling: Option<Settling>,
    scratch: TempDir,
    session: &'a Session,
    _lock: Option<StateLock>,
}

impl<'a> Bench<'a> {
    /// Opens it; where this machine is the vault's host, its state is locked, and what waits is
    /// delivered first.
    ///
    /// # Errors
    /// If the state is locked or damaged, or there is no key.
    pub fn open(
        config: &Config,
        vault: &'a VaultConfig,
        vault_key: Option<&str>,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        let state = StateDir::new(&config.state_dir, &vault.name);
        let key = match vault_key {
            Some(key) => access::read_key(key)?,
            None => access::anchor(config, vault)?.root_key.parse()?,
        };
        let lock = match state.exists() {
            true => Some(StateLock::take(&config.state_dir)?),
            false => None,
        };
        let settling = Settling::open(&state)?;
        let made = tempfile::Builder::new().prefix(STAGING_PREFIX).tempdir();
        let scratch = made.map_err(|e| Failure::system("make a temporary directory", e))?;
        let bench = Self { vault, state, key, settling, scratch, session, _lock: lock };
        bench.deliver()?;
        Ok(bench)
    }

    /// Delivers what the host still has for the stores that it knows; what it cannot, waits.
    ///
    /// # Errors
    /// If the state is damaged.
    pub fn deliver(&self) -> Result<(), Failure> {
        let Some(settling) = &self.settling else { return Ok(()) };
        let mut known = Vec::new();
        for store in access::stores(self.vault)? {
            if settling.knows(store.name())? {
                known.push(store);
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        let observer = self.session.progress.as_ref();
        let mut writer = Writer::open(self.state.clone(), known, self.session.outside())?;
        if let Err(error) = writer.deliver(observer) {
            let detail = format!("deliver what waits: {}", with_causes(&error));
            observer.observe(Event::Warning { code: error.code(), detail });
        }
        Ok(())
    }

    /// Opens the store that is named, else the vault's first.
    ///
    /// # Errors
    /// If there is no such store, or it holds another vault.
    pub fn store(&self, given: Option<&str>) -> Result<Arc<dyn Store>, Failure> {
        let name = given.unwrap_or(&self.vault.stores[0].name);
        access::named_store(self.vault, name)
    }

    /// Opens the store that is named, else every store of the vault but one.
    ///
    /// # Errors
    /// As [`Self::store`], and if there is no other.
    pub fn others(
        &self,
        given: Option<&str>,
        but: &Arc<dyn Store>,
    ) -> Result<Vec<Arc<dyn Store>>, Failure> {
        let stores = match given {
            Some(_) => vec![self.store(given)?],
            None => access::stores(self.vault)?,
        };
        let is_other = |store: &Arc<dyn Store>| store.url() != but.url();
        let mut others: Vec<Arc<dyn Store>> = stores.into_iter().filter(is_other).collect();
        if given.is_none() {
            others.retain(|store| {
                if !store.is_readable() {
                    let reason = "its credentials may only put: run this with the operator's";
                    self.warn(Code::StoreUnprobed, store.name(), reason);
                }
                store.is_readable()
            });
        }
        if others.is_empty() {
            let reason = format!("vault {} has no store besides {}", self.vault.name, but.name());
            return Err(UsageError::new("choose a store", reason).into());
        }
        Ok(others)
    }

    /// Makes the place of a store that the host never wrote to, and refuses another vault's.
    ///
    /// # Errors
    /// If it holds another vault, or does not answer.
    pub fn admit(&self, target: &Arc<dyn Store>, is_named: bool) -> Result<(), Failure> {
        let is_new = match &self.settling {
            Some(settling) => self.is_own(target) && !settling.knows(target.name())?,
            None => false,
        };
        // A place that the host knows and that is gone is a disk that is not mounted.
        if is_new || (is_named && !self.is_own(target)) {
            target.prepare()?;
        }
        Ok(refuse_foreign(target.as_ref(), self.key.vault())?)
    }

    /// Returns where objects rest on their way into a store.
    pub fn scratch(&self, target: &Arc<dyn Store>) -> PathBuf {
        target.staging_dir().unwrap_or_else(|| self.scratch.path().to_owned())
    }

    /// Keeps in the host's manifest, if it is here, that a store that it knows has an object.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn settle(
        &self,
        target: &Arc<dyn Store>,
        key: &ObjectKey,
        receipt: &Receipt,
    ) -> Result<(), ops::Error> {
        match self.settling.as_ref().filter(|_| self.is_own(target)) {
            Some(settling) if settling.knows(target.name())? => {
                settling.settle(target.name(), key, receipt)
            }
            _ => Ok(()),
        }
    }

    /// Tells whether a store of the config is new to the host, which must not take it for a mirror
    /// before it has everything.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn joins(&self, target: &Arc<dyn Store>) -> Result<bool, ops::Error> {
        match self.settling.as_ref().filter(|_| self.is_own(target)) {
            Some(settling) => Ok(!settling.knows(target.name())?),
            None => Ok(false),
        }
    }

    /// Makes the host know a store that has everything.
    ///
    /// # Errors
    /// If the store or the manifest does not answer.
    pub fn welcome(&self, target: &Arc<dyn Store>) -> Result<(), ops::Error> {
        let Some(settling) = &self.settling else { return Ok(()) };
        for folder in Folder::ALL {
            for listed in target.list(folder)? {
                if let Listed::Object(key, stat) = listed? {
                    let time = stat.modified.unwrap_or_default();
                    let receipt = Receipt { time, version_id: None, checksum: None };
                    settling.settle(target.name(), &key, &receipt)?;
                }
            }
        }
        Ok(())
    }

    fn is_own(&self, store: &Arc<dyn Store>) -> bool {
        self.vault.stores.iter().any(|own| own.name == store.name())
    }

    /// Tells that a mirror cannot be reached now.
    pub fn warn_lagging(&self, store: &str, error: &(dyn std::error::Error + 'static)) {
        self.warn(Code::MirrorLagging, store, &with_causes(error));
    }

    fn warn(&self, code: Code, store: &str, reason: &str) {
        let detail = format!("store {store}: {reason}");
        self.session.progress.observe(Event::Warning { code, detail });
    }
}

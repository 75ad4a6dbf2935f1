//! `[[vault]]` tables: recipients, policy, parameters and stores, checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::buckets;
use super::error::ConfigError;
use super::tables::{ProfileTable, StoreTable, VaultTable};
use super::text::ConfigText;
use crate::base::limits::{GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT, REUSE_DAYS_MONTHLY_DEFAULT};
use crate::base::profile::ChunkParametersFields;
use crate::base::{ChunkParameters, Profile};
use crate::format::parameters::Parameters;
use crate::format::vault_note::is_vault_name;
use crate::policy::{Period, Policy, PolicyError};
use crate::store::{self, S3Settings};

/// Says for a generation that it never closes by age.
const NEVER: &str = "never";

/// One vault of a config.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// Its name, unique in the config, and a sound directory name.
    pub name: String,
    /// To whom it is sealed: its own recipients, else the config's; at least one.
    pub recipients: Vec<String>,
    /// Its retention policy.
    pub policy: Policy,
    /// How it is written, if it is made with this config.
    pub parameters: Parameters,
    /// The names of those parameters that the config itself sets; the others are defaults.
    pub set_parameters: BTreeSet<&'static str>,
    /// Its stores, the primary one first; at least one.
    pub stores: Vec<StoreConfig>,
}

/// One store of a vault.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Its name, unique in the config.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What an `s3://` store needs besides; `None` for any other.
    pub s3: Option<S3Settings>,
    /// Where `store check` keeps what it saw of it.
    pub record: PathBuf,
}

impl StoreConfig {
    /// Returns the same store, to which no more than so many bytes a second are sent.
    pub fn sending_at(mut self, limit: Option<u64>) -> Self {
        if let (Some(s3), Some(limit)) = (&mut self.s3, limit) {
            s3.upload_limit = Some(s3.upload_limit.map_or(limit, |own| own.min(limit)));
        }
        self
    }

    /// Tells whether its credentials are meant to read.
    pub fn is_readable(&self) -> bool {
        self.s3.as_ref().is_none_or(|s3| !s3.put_only)
    }

    /// Returns the name under which a service manager hands over the store's credentials.
    pub fn credential_name(&self) -> String {
        format!("store-{}", self.name)
    }

    /// Returns the file with the store's credentials, if it needs one: what the service manager
    /// handed over in its directory, else what the config names.
    pub fn credentials(&self, handed_over: Option<&Path>) -> Option<PathBuf> {
        let named = self.s3.as_ref()?.credentials_file.clone()?;
        let given = handed_over.map(|dir| dir.join(self.credential_name()));
        Some(given.filter(|path| path.exists()).unwrap_or(named))
    }
}

/// Checks all vaults; `shared` are the recipients of those that name none.
pub fn check(
    text: &ConfigText,
    tables: &[Spanned<VaultTable>],
    shared: &[String],
) -> Result<Vec<VaultConfig>, ConfigError> {
    if tables.is_empty() {
        return Err(text.wrong(&(0..0), "vault: there is no [[vault]]"));
    }
    let (mut vaults, mut stores) = (BTreeSet::new(), BTreeSet::new());
    tables.iter().map(|table| check_vault(text, table, shared, &mut vaults, &mut stores)).collect()
}

fn check_vault<'a>(
    text: &ConfigText,
    table: &'a Spanned<VaultTable>,
    shared: &[String],
    vault_names: &mut BTreeSet<&'a str>,
    store_names: &mut BTreeSet<&'a str>,
) -> Result<VaultConfig, ConfigError> {
    let (vault, whole) = (table.get_ref(), table.span());
    let name = check_name(text, "a vault's name", &vault.name, vault_names)?;
    let recipients = match &vault.recipients {
        Some(own) => text.recipients("recipients", own)?,
        None => shared.to_vec(),
    };
    if recipients.is_empty() {
        let reason = format!("recipients: vault {name} has none of its own and the config none");
        return Err(text.wrong(&whole, reason));
    }
    let refused = |source: PolicyError| ConfigError::Policy {
        path: text.path.clone(),
        line: text.line(&whole),
        vault: name.clone(),
        source: Box::new(source),
    };
    let policy = Policy::new(vault.policy_fields()).map_err(refused)?;
    let parameters = check_parameters(text, table, &policy)?;
    if vault.store.is_empty() {
        let reason = format!("store: vault {name} has no [[vault.store]]");
        return Err(text.wrong(&whole, reason));
    }
    let stores: Vec<StoreConfig> = vault
        .store
        .iter()
        .map(|store| check_store(text, store.get_ref(), store_names))
        .collect::<Result<_, _>>()?;
    let is_locked =
        |store: &StoreConfig| store.s3.as_ref().is_some_and(|s3| s3.object_lock.is_some());
    if stores.iter().any(is_locked) {
        let max_age = parameters.fields().generation_max_age_days;
        policy.check_locked(max_age).map_err(refused)?;
    }
    let set_parameters = vault.set_parameters();
    Ok(VaultConfig { name, recipients, policy, parameters, set_parameters, stores })
}

fn check_name<'a>(
    text: &ConfigText,
    what: &str,
    name: &'a Spanned<String>,
    taken: &mut BTreeSet<&'a str>,
) -> Result<String, ConfigError> {
    let value = name.get_ref();
    if !is_vault_name(value) {
        let reason = format!(
            "name = {value:?}: {what} has at most 64 lowercase letters, digits, - and _, and \
             begins with a letter or digit"
        );
        return Err(text.wrong(&name.span(), reason));
    }
    if !taken.insert(value) {
        return Err(text.wrong(&name.span(), format!("name = {value:?} is there twice")));
    }
    Ok(value.clone())
}

fn check_parameters(
    text: &ConfigText,
    table: &Spanned<VaultTable>,
    policy: &Policy,
) -> Result<Parameters, ConfigError> {
    let vault = table.get_ref();
    let mut fields = Parameters::initial().fields().clone();
    let chunks = &vault.chunks;
    for (profile, own, place) in [
        (Profile::Stream, &chunks.stream, &mut fields.stream),
        (Profile::File, &chunks.file, &mut fields.file),
        (Profile::Meta, &chunks.meta, &mut fields.meta),
    ] {
        if let Some(own) = own {
            *place = check_profile(text, profile, own)?;
        }
    }
    if let Some(len) = &vault.pack_len {
        fields.pack_len = text.len("pack_len", len)?;
    }
    if let Some(len) = &vault.block_len {
        let wide = text.len("block_len", len)?;
        fields.block_len = usize::try_from(wide).unwrap_or(usize::MAX);
    }
    fields.retire_below_percent = match &vault.retire_below {
        Some(percent) => *percent.get_ref(),
        // Where everything is kept, a retired pack would be kept as well: nothing is won.
        None if policy.keeps_everything() && policy.ceiling().is_none() => 0,
        None => fields.retire_below_percent,
    };
    fields.reuse_days = match &vault.reuse {
        Some(age) => text.days("reuse", age)?,
        // After a month of 31 days nothing would be leaned on, and all of it stored again.
        None if policy.every() == Some(Period::Month) => REUSE_DAYS_MONTHLY_DEFAULT,
        None => fields.reuse_days,
    };
    if let Some(age) = &vault.grace {
        fields.grace_days = text.days("grace", age)?;
    }
    match &vault.generation_max_age {
        Some(age) if age.get_ref() == NEVER => fields.generation_max_age_days = None,
        Some(age) => {
            fields.generation_max_age_days = Some(text.days("generation_max_age", age)?);
        }
        // No generation ever goes, and each has a copy of its own of all that is still there. What
        // is locked would be so for all of that time: nobody gets that unasked.
        None if policy.keeps_everything() && policy.ceiling().is_none() && !vault.locks() => {
            fields.generation_max_age_days = Some(GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT);
        }
        None => {}
    }
    Parameters::try_from(fields).map_err(|error| {
        let name = vault.name.get_ref();
        text.wrong(&table.span(), format!("vault {name}: {error}"))
    })
}

fn check_profile(
    text: &ConfigText,
    profile: Profile,
    table: &Spanned<ProfileTable>,
) -> Result<ChunkParameters, ConfigError> {
    let mut fields = ChunkParametersFields::from(ChunkParameters::default_for(profile));
    let own = table.get_ref();
    for (key, value, place) in [
        ("min", &own.min, &mut fields.min),
        ("avg", &own.avg, &mut fields.avg),
        ("max", &own.max, &mut fields.max),
    ] {
        if let Some(value) = value {
            *place = usize::try_from(text.len(key, value)?).unwrap_or(usize::MAX);
        }
    }
    fields.level = own.level.unwrap_or(fields.level);
    ChunkParameters::try_from(fields)
        .map_err(|error| text.wrong(&table.span(), format!("chunks.{profile}: {error}")))
}

fn check_store<'a>(
    text: &ConfigText,
    table: &'a StoreTable,
    taken: &mut BTreeSet<&'a str>,
) -> Result<StoreConfig, ConfigError> {
    let name = check_name(text, "a store's name", &table.name, taken)?;
    let url = table.url.get_ref().clone();
    let s3 = match url.starts_with("s3://") {
        true => Some(buckets::check(text, table)?),
        false => None,
    };
    store::open_with(&url, &name, s3.as_ref()).map_err(|source| ConfigError::Store {
        path: text.path.clone(),
        line: text.line(&table.url.span()),
        source: Box::new(source),
    })?;
    if s3.is_none() {
        buckets::refuse(text, table)?;
    }
    Ok(StoreConfig { name, url, s3, record: PathBuf::new() })
}

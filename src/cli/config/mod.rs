//! The config: one TOML file that names sources, vaults and stores.
//!
//! - A value of [`Config`] is usable as it stands: names are unique, no policy contradicts itself,
//!   every recipient parses, and no store is inside another or inside the state directory.
//! - Whatever is refused is refused with its line and its key; nothing is silently ignored.

mod buckets;
mod compose;
mod error;
mod escrow;
mod nights;
mod place;
mod prices;
mod sources;
mod tables;
mod text;
mod vaults;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use compose::{ConfigFlags, EscrowFlags, StackFlags, compose_config};
pub use error::ConfigError;
pub use escrow::EscrowConfig;
pub use nights::NightsConfig;
pub use sources::{DATABASE_SERVICE, DatabaseConfig, SourcesConfig, UploadsConfig};
pub use text::parse_len;
pub use vaults::{StoreConfig, VaultConfig};

use self::place::Place;
use self::tables::ConfigTable;
use self::text::ConfigText;
use crate::base::limits::{CONFIG_LEN_MAX, SPOOL_LEN_MAX_DEFAULT};
use crate::ops::probing;
use crate::ops::thaw::PriceTable;

/// The environment variable that names the config.
pub const CONFIG_VARIABLE: &str = "IDSWYFT_VAULT_CONFIG";
/// Where a config is looked for when none is named, in this order.
pub const CONFIG_PLACES: [&str; 2] = ["./idswyft-vault.toml", "/etc/idswyft-vault/config.toml"];

/// A checked config.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The directory of keys and manifests on this host; absolute.
    pub state_dir: PathBuf,
    /// The vaults, in the order of the file; at least one, with distinct names.
    pub vaults: Vec<VaultConfig>,
    /// What is archived.
    pub sources: SourcesConfig,
    /// Where the sealed secrets go, if anywhere.
    pub escrow: Option<EscrowConfig>,
    /// What is expected of the nights, and who is told.
    pub nights: NightsConfig,
    /// Bytes that may wait on this host for mirrors.
    pub spool_max: u64,
    /// What thawing costs.
    pub prices: PriceTable,
}

impl Config {
    /// Reads the config that is named, or the first that is found in [`CONFIG_PLACES`].
    ///
    /// # Errors
    /// If there is none, it cannot be read, or a line of it is wrong.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        match locate(named) {
            Some(path) => Self::read(&path),
            None => {
                let looked_for = CONFIG_PLACES.iter().map(|place| (*place).to_owned()).collect();
                Err(ConfigError::Missing { looked_for })
            }
        }
    }

    /// Reads one config file.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let len = std::fs::metadata(path).map_err(unreadable)?.len();
        if len > CONFIG_LEN_MAX {
            let (path, max) = (path.to_owned(), CONFIG_LEN_MAX);
            return Err(ConfigError::TooLong { path, len, max });
        }
        Self::parse(path, std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Parses and checks the text of a config; `path` is for messages.
    ///
    /// # Errors
    /// If a line is wrong.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let text = ConfigText { path: path.to_owned(), text };
        let table: ConfigTable =
            toml::from_str(&text.text).map_err(|error| text.unreadable(&error))?;
        let state_dir = text.absolute("state_dir", &table.state_dir)?;
        let shared = text.recipients("recipients", &table.recipients)?;
        let mut vaults = vaults::check(&text, &table.vault, &shared)?;
        for vault in &mut vaults {
            for store in &mut vault.stores {
                store.record = probing::record_of(&state_dir, &vault.name, &store.name);
            }
        }
        check_places(&text, &table, &state_dir)?;
        let nights = nights::check(&text, &table)?;
        let spool_max = table.spool_max.as_ref().map(|len| text.len("spool_max", len));
        let spool_max = spool_max.transpose()?.unwrap_or(SPOOL_LEN_MAX_DEFAULT);
        let sources = sources::check(&text, table.sources)?;
        let archive = vaults.iter().flat_map(|vault| vault.recipients.iter());
        let escrow = match table.escrow {
            Some(table) => {
                Some(escrow::check(&text, table, &archive.collect::<Vec<_>>(), &sources)?)
            }
            None => None,
        };
        let prices = prices::check(&text, table.prices.as_ref())?;
        Ok(Self { path: text.path, state_dir, vaults, sources, escrow, nights, spool_max, prices })
    }

    /// Returns the vault of that name, or all if none is named.
    ///
    /// # Errors
    /// If no vault has that name.
    pub fn select(&self, name: Option<&str>) -> Result<Vec<&VaultConfig>, ConfigError> {
        let Some(name) = name else { return Ok(self.vaults.iter().collect()) };
        match self.vaults.iter().find(|vault| vault.name == name) {
            Some(vault) => Ok(vec![vault]),
            None => Err(ConfigError::VaultUnknown {
                path: self.path.clone(),
                name: name.chars().take(80).collect(),
                names: self.vaults.iter().map(|vault| vault.name.clone()).collect(),
            }),
        }
    }
}

/// Returns the config to read: the one that is named, else the first place that has one.
pub fn locate(named: Option<&Path>) -> Option<PathBuf> {
    let places = CONFIG_PLACES.iter().map(PathBuf::from);
    named.map(Path::to_owned).or_else(|| places.into_iter().find(|place| place.exists()))
}

/// Refuses a store that is another one, inside another one, or in the way of the state.
fn check_places(
    text: &ConfigText,
    table: &ConfigTable,
    state_dir: &Path,
) -> Result<(), ConfigError> {
    let mut places = vec![Place::directory("the state directory", state_dir)];
    let mut add = |what: String, url: &toml::Spanned<String>, endpoint: Option<&str>| {
        let place = Place::url(what, url.get_ref(), endpoint);
        match places.iter().find_map(|earlier| place.collision(earlier)) {
            Some(reason) => Err(text.wrong(&url.span(), format!("url: {reason}"))),
            None => {
                places.push(place);
                Ok(())
            }
        }
    };
    let stores = table.vault.iter().flat_map(|vault| &vault.get_ref().store);
    for store in stores.map(toml::Spanned::get_ref) {
        let endpoint = store.endpoint.as_ref().map(|endpoint| endpoint.get_ref().as_str());
        add(format!("store {}", store.name.get_ref()), &store.url, endpoint)?;
    }
    let escrow = table.escrow.as_ref();
    escrow.map_or(Ok(()), |it| add("the escrow store".to_owned(), &it.store, None))
}

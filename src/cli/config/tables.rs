//! The config as it is written: every key, none of them checked yet.
//!
//! Each table is one struct with every key in it, whichever `kind` or URL it belongs to, and not
//! an enum: only so does an unknown key give the line on which it stands.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::prices::PricesTable;
use crate::policy::PolicyFields;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigTable {
    pub state_dir: Spanned<String>,
    #[serde(default)]
    pub recipients: Vec<Spanned<String>>,
    pub rpo: Option<Spanned<String>>,
    pub rto: Option<Spanned<String>>,
    pub ping: Option<Spanned<String>>,
    pub spool_max: Option<Spanned<String>>,
    #[serde(default)]
    pub vault: Vec<Spanned<VaultTable>>,
    #[serde(default)]
    pub sources: SourcesTable,
    pub escrow: Option<EscrowTable>,
    pub prices: Option<PricesTable>,
}

/// `[[vault]]`: name, policy, parameters and stores.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultTable {
    pub name: Spanned<String>,
    pub recipients: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub store: Vec<Spanned<StoreTable>>,

    pub keep_last: Option<u32>,
    pub keep_hourly: Option<u32>,
    pub keep_daily: Option<u32>,
    pub keep_weekly: Option<u32>,
    pub keep_monthly: Option<u32>,
    pub keep_yearly: Option<u32>,
    pub keep_within: Option<String>,
    pub keep_tags: Option<Vec<String>>,
    pub every: Option<String>,
    pub floor: Option<String>,
    pub ceiling: Option<String>,
    pub time_zone: Option<String>,

    pub pack_len: Option<Spanned<String>>,
    pub block_len: Option<Spanned<String>>,
    pub retire_below: Option<Spanned<u8>>,
    pub reuse: Option<Spanned<String>>,
    pub grace: Option<Spanned<String>>,
    pub generation_max_age: Option<Spanned<String>>,
    #[serde(default)]
    pub chunks: ChunksTable,
}

impl VaultTable {
    /// Picks the settings of the policy out of the others.
    pub fn policy_fields(&self) -> PolicyFields {
        PolicyFields {
            keep_last: self.keep_last,
            keep_hourly: self.keep_hourly,
            keep_daily: self.keep_daily,
            keep_weekly: self.keep_weekly,
            keep_monthly: self.keep_monthly,
            keep_yearly: self.keep_yearly,
            keep_within: self.keep_within.clone(),
            keep_tags: self.keep_tags.clone(),
            every: self.every.clone(),
            floor: self.floor.clone(),
            ceiling: self.ceiling.clone(),
            time_zone: self.time_zone.clone(),
        }
    }

    /// Returns which parameters it sets, by their names in a vault note.
    pub fn set_parameters(&self) -> BTreeSet<&'static str> {
        let chunks = &self.chunks;
        let all = [
            ("stream", chunks.stream.is_some()),
            ("file", chunks.file.is_some()),
            ("meta", chunks.meta.is_some()),
            ("pack_len", self.pack_len.is_some()),
            ("block_len", self.block_len.is_some()),
            ("retire_below_percent", self.retire_below.is_some()),
            ("reuse_days", self.reuse.is_some()),
            ("grace_days", self.grace.is_some()),
            ("generation_max_age_days", self.generation_max_age.is_some()),
        ];
        all.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect()
    }

    /// Tells whether a store of it locks what is put.
    pub fn locks(&self) -> bool {
        self.store.iter().any(|store| store.get_ref().object_lock.is_some())
    }
}

/// `[vault.chunks]`: how the profiles are cut, for who has measured.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunksTable {
    pub stream: Option<Spanned<ProfileTable>>,
    pub file: Option<Spanned<ProfileTable>>,
    pub meta: Option<Spanned<ProfileTable>>,
}

/// `[vault.chunks.stream]` and its like: what differs from the profile's own values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileTable {
    pub min: Option<Spanned<String>>,
    pub avg: Option<Spanned<String>>,
    pub max: Option<Spanned<String>>,
    pub level: Option<i32>,
}

/// `[[vault.store]]`: a URL, and what only an `s3://` store needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreTable {
    pub name: Spanned<String>,
    pub url: Spanned<String>,
    pub region: Option<Spanned<String>>,
    pub endpoint: Option<Spanned<String>>,
    pub path_style: Option<Spanned<bool>>,
    pub ca_file: Option<Spanned<String>>,
    pub credentials_file: Option<Spanned<String>>,
    pub profile: Option<Spanned<String>>,
    pub pack_class: Option<Spanned<String>>,
    pub sse: Option<Spanned<String>>,
    pub sse_kms_key: Option<Spanned<String>>,
    pub object_lock: Option<Spanned<String>>,
    pub legal_hold: Option<Spanned<bool>>,
    pub put_only: Option<Spanned<bool>>,
    pub requests_in_flight: Option<Spanned<u16>>,
    pub timeout: Option<Spanned<String>>,
    pub upload_limit: Option<Spanned<String>>,
}

/// `[sources]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesTable {
    pub database: Option<DatabaseTable>,
    pub uploads: Option<UploadsTable>,
}

/// `[sources.database]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseTable {
    pub kind: Spanned<String>,
    pub argv: Option<Spanned<Vec<String>>>,
    pub url: Option<Spanned<String>>,
    pub dir: Option<Spanned<String>>,
    pub project: Option<Spanned<String>>,
    pub service: Option<Spanned<String>>,
}

/// `[sources.uploads]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadsTable {
    pub kind: Spanned<String>,
    pub path: Option<Spanned<String>>,
    pub dir: Option<Spanned<String>>,
    pub project: Option<Spanned<String>>,
    pub volume: Option<Spanned<String>>,
    pub read: Option<Spanned<String>>,
}

/// `[escrow]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowTable {
    pub store: Spanned<String>,
    pub recipients: Vec<Spanned<String>>,
    #[serde(default)]
    pub key_recipients: Vec<Spanned<String>>,
    pub dir: Option<Spanned<String>>,
    #[serde(default)]
    pub allow_same_mount: bool,
}

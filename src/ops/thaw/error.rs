//! Why packs cannot be read yet, or cannot be asked for.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use crate::base::{Code, Coded};
use crate::store::{self, StorageClass, ThawTier};

/// A failure of a thaw.
#[derive(Debug, Error)]
pub enum ThawError {
    /// Packs are frozen, and nobody said that they may be thawed.
    #[error(
        "read packs from store {store}: {frozen_count} of {pack_count} ({len} bytes) are archived \
         and must be thawed first; nothing was asked for"
    )]
    Archived {
        /// The store's name.
        store: String,
        /// How many are frozen.
        frozen_count: u64,
        /// Of how many that are needed.
        pack_count: u64,
        /// Bytes of those that are frozen.
        len: u64,
    },
    /// Packs are being thawed.
    #[error(
        "read packs from store {store}: {ready_count} of {pack_count} are ready{}",
        by(*expected)
    )]
    Waiting {
        /// The store's name.
        store: String,
        /// How many can be read.
        ready_count: u64,
        /// Of how many that are needed.
        pack_count: u64,
        /// When the others can be at the latest, as far as it is known.
        expected: Option<Timestamp>,
    },
    /// The tier is not for the packs' class.
    #[error("thaw packs by {}: class {class} has {}", tier.name(), names(offered))]
    TierNotOffered {
        /// The tier that was asked for.
        tier: ThawTier,
        /// The class.
        class: StorageClass,
        /// The tiers that it has.
        offered: &'static [ThawTier],
    },
    /// The credentials may not thaw.
    #[error("thaw packs in store {store}: the credentials need s3:RestoreObject on packs/")]
    Denied {
        /// The store's name.
        store: String,
        /// What the store said.
        source: Box<store::Error>,
    },
    /// Some requests failed, however often they were made.
    #[error(
        "thaw packs in store {store}: {failed_count} of {pack_count} requests failed; the others \
         stand, and the same command asks for these again"
    )]
    NotAsked {
        /// The store's name.
        store: String,
        /// How many failed.
        failed_count: usize,
        /// Of how many.
        pack_count: usize,
        /// Why the last one did.
        source: Box<store::Error>,
    },
    /// The list of requests cannot be kept.
    #[error(
        "keep the list of requests {}: nothing was asked for that is not on it",
        path.display()
    )]
    List {
        /// The list.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no place to keep the list.
    #[error("find a place for the list of requests: set XDG_CACHE_HOME or HOME")]
    NoPlace,
}

fn by(expected: Option<Timestamp>) -> String {
    let text = |time: Timestamp| time.strftime(", the others by %Y-%m-%d %H:%M:%SZ").to_string();
    expected.map_or_else(String::new, text)
}

fn names(tiers: &[ThawTier]) -> String {
    tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(" and ")
}

impl Coded for ThawError {
    fn code(&self) -> Code {
        match self {
            Self::Archived { .. } => Code::ObjectArchived,
            Self::Waiting { .. } => Code::ThawWaiting,
            Self::TierNotOffered { .. } => Code::UsageInvalid,
            Self::Denied { .. } => Code::StoreDenied,
            Self::NotAsked { source, .. } => source.code(),
            Self::List { .. } | Self::NoPlace => Code::StateUnavailable,
        }
    }
}

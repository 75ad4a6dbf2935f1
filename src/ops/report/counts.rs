//! What a store says of the objects of a vault, counted. Spec: §12.3.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::envelope;
use crate::store::{self, Stat, StorageClass};

/// How the objects of a vault are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCounts {
    /// Objects by storage class.
    pub classes: BTreeMap<StorageClass, u64>,
    /// Objects with a lock.
    pub locked_count: u64,
    /// Until when every one of them is locked at least.
    #[serde(with = "envelope::optional_time")]
    pub locked_until: Option<Timestamp>,
    /// Objects without a lock, as far as the store tells of locks.
    pub not_locked_count: u64,
    /// Objects whose SHA-256 the store keeps: it is the signed one.
    pub attested_count: u64,
    /// Objects of which the store tells the size alone.
    pub not_attested_count: u64,
}

impl StoredCounts {
    pub(in crate::ops) fn count(&mut self, stat: &Stat) {
        *self.classes.entry(stat.class).or_default() += 1;
        match stat.lock {
            Some(lock) => {
                self.locked_count += 1;
                let until = self.locked_until.map_or(lock.until, |until| until.min(lock.until));
                self.locked_until = Some(until);
            }
            None => self.not_locked_count += 1,
        }
        match stat.checksum {
            Some(_) => self.attested_count += 1,
            None => self.not_attested_count += 1,
        }
    }

    /// Adds what was counted of other objects.
    pub(super) fn add(&mut self, other: &Self) {
        for (class, count) in &other.classes {
            let own = self.classes.entry(*class).or_default();
            *own = own.saturating_add(*count);
        }
        self.locked_count = self.locked_count.saturating_add(other.locked_count);
        self.locked_until = match (self.locked_until, other.locked_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.not_locked_count = self.not_locked_count.saturating_add(other.not_locked_count);
        self.attested_count = self.attested_count.saturating_add(other.attested_count);
        self.not_attested_count = self.not_attested_count.saturating_add(other.not_attested_count);
    }

    /// Returns what the store did not attest. A directory attests nothing, and that bytes were not
    /// read is said anyway.
    pub(in crate::ops) fn gap(&self, url: &str) -> Option<String> {
        let count = self.not_attested_count;
        let is_worth_it = count > 0 && store::directory(url).is_none();
        is_worth_it.then(|| {
            format!("more than the size of {count} objects, whose SHA-256 the store does not tell")
        })
    }
}

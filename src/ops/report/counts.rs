//! What a store says of the objects of a vault, counted. Spec: §12.3.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::envelope;
use crate::store::{LockMode, Stat, StorageClass};

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
    /// Objects with a lock, by its mode.
    #[serde(default)]
    pub locks: BTreeMap<LockMode, u64>,
    /// Objects with more than one version, or hidden by a delete marker.
    #[serde(default)]
    pub rewritten_count: u64,
    /// What is known of objects that nobody was allowed to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<ReceiptCounts>,
    /// What the provider computed at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderCounts>,
}

/// Objects that nobody was allowed to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCounts {
    /// Those that the store once acknowledged with the signed SHA-256.
    pub object_count: u64,
    /// Those of which there is no such receipt.
    pub without_count: u64,
    /// When the oldest receipt was given.
    #[serde(with = "envelope::time")]
    pub first: Timestamp,
    /// When the newest was.
    #[serde(with = "envelope::time")]
    pub last: Timestamp,
    /// The store that gave them, by its name in the ledger of whoever put the objects there; none,
    /// where parts have receipts of several.
    #[serde(default)]
    pub store: Option<String>,
}

/// Objects whose SHA-256 the provider computed from what is at rest, and it is the signed one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderCounts {
    /// Packs that are needed.
    pub pack_count: u64,
    /// Those of them that were computed.
    pub computed_pack_count: u64,
    /// Trees, bodies and segments that are needed.
    pub other_count: u64,
    /// Those of them that were computed.
    pub computed_other_count: u64,
    /// When the oldest of the reports was made, if that is known of all.
    #[serde(with = "envelope::optional_time")]
    pub reported: Option<Timestamp>,
}

/// Objects that these credentials may not look at, of those that were to be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarredCounts {
    /// Packs that are needed.
    pub pack_count: u64,
    /// Those of them that were not looked at.
    pub barred_pack_count: u64,
    /// Trees, bodies and segments that were not looked at.
    pub barred_other_count: u64,
}

impl BarredCounts {
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            // Every part counts all packs that there are.
            pack_count: self.pack_count.max(other.pack_count),
            barred_pack_count: self.barred_pack_count.saturating_add(other.barred_pack_count),
            barred_other_count: self.barred_other_count.saturating_add(other.barred_other_count),
        }
    }
}

impl ReceiptCounts {
    fn join(self, other: Self) -> Self {
        Self {
            object_count: self.object_count.saturating_add(other.object_count),
            without_count: self.without_count.saturating_add(other.without_count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            store: self.store.filter(|name| other.store.as_ref() == Some(name)),
        }
    }

    /// Returns what they do not prove, and of how many objects they prove nothing.
    pub(in crate::ops) fn gap(&self) -> String {
        let Self { object_count, without_count, first, last, store } = self;
        let store =
            store.as_ref().map_or_else(|| "the store".to_owned(), |name| format!("store {name}"));
        let (first, last) = (first.strftime("%Y-%m-%d"), last.strftime("%Y-%m-%d"));
        let known = format!(
            "what became of {object_count} objects that nobody looked at since {store} \
             acknowledged the signed SHA-256 between {first} and {last}"
        );
        match without_count {
            0 => known,
            _ => format!("{known}; of {without_count} more there is no receipt"),
        }
    }

    /// Returns what is not known of the store that gave them, where one of this name is looked at.
    pub(in crate::ops) fn gap_of_name(&self, name: &str) -> Option<String> {
        let store = self.store.as_deref().filter(|store| *store != name)?;
        Some(format!(
            "whether this is store {store}, which gave the receipts: a store that is given by its \
             URL has no name to compare"
        ))
    }
}

/// Joins what two parts know, where both know something.
pub(super) fn join<T>(one: Option<T>, other: Option<T>, both: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

impl ProviderCounts {
    fn join(self, other: Self) -> Self {
        Self {
            pack_count: self.pack_count.saturating_add(other.pack_count),
            computed_pack_count: self.computed_pack_count.saturating_add(other.computed_pack_count),
            other_count: self.other_count.saturating_add(other.other_count),
            computed_other_count: self
                .computed_other_count
                .saturating_add(other.computed_other_count),
            reported: self.reported.zip(other.reported).map(|(one, other)| one.min(other)),
        }
    }

    pub(in crate::ops) fn add(&mut self, is_pack: bool, is_computed: bool) {
        let (count, computed) = match is_pack {
            true => (&mut self.pack_count, &mut self.computed_pack_count),
            false => (&mut self.other_count, &mut self.computed_other_count),
        };
        *count += 1;
        *computed += u64::from(is_computed);
    }

    /// Tells whether every pack was computed, and there is one.
    pub const fn is_whole(&self) -> bool {
        self.pack_count > 0 && self.computed_pack_count == self.pack_count
    }

    /// Returns what it proves, for somebody who is not a programmer.
    pub fn proves(&self) -> String {
        let Self { pack_count, computed_pack_count, other_count, computed_other_count, .. } = self;
        let when = self.reported.map_or_else(
            || "it is not known when".to_owned(),
            |time| format!("by a report of {}", time.strftime("%Y-%m-%d")),
        );
        format!(
            "The provider computed the fingerprint of {computed_pack_count} of {pack_count} packs \
             and of {computed_other_count} of {other_count} smaller objects anew from what is \
             stored ({when}), and it is the recorded one. That is the provider's word: nobody else \
             read them."
        )
    }

    /// Returns what was not computed.
    pub(in crate::ops) fn gap(&self) -> Option<String> {
        let packs = self.pack_count.saturating_sub(self.computed_pack_count);
        let others = self.other_count.saturating_sub(self.computed_other_count);
        (packs > 0 || others > 0).then(|| {
            format!(
                "{packs} of {} packs and {others} of {} smaller objects: in no provider report \
                 with their digest",
                self.pack_count, self.other_count
            )
        })
    }
}

impl StoredCounts {
    pub(in crate::ops) fn count(&mut self, stat: &Stat) {
        *self.classes.entry(stat.class).or_default() += 1;
        self.count_lock(stat);
        match stat.checksum {
            Some(_) => self.attested_count += 1,
            None => self.not_attested_count += 1,
        }
    }

    pub(in crate::ops) fn count_lock(&mut self, stat: &Stat) {
        match stat.lock {
            Some(lock) => {
                self.locked_count += 1;
                *self.locks.entry(lock.mode).or_default() += 1;
                let until = self.locked_until.map_or(lock.until, |until| until.min(lock.until));
                self.locked_until = Some(until);
            }
            None => self.not_locked_count += 1,
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
        for (mode, count) in &other.locks {
            let own = self.locks.entry(*mode).or_default();
            *own = own.saturating_add(*count);
        }
        // Every part lists folders whole.
        self.rewritten_count = self.rewritten_count.max(other.rewritten_count);
        self.receipts = join(self.receipts.take(), other.receipts.clone(), ReceiptCounts::join);
        self.provider = join(self.provider.take(), other.provider.clone(), ProviderCounts::join);
    }

    /// Returns what the store did not attest.
    pub(in crate::ops) fn gap(&self) -> Option<String> {
        let count = self.not_attested_count;
        (count > 0).then(|| {
            format!("more than the size of {count} objects, whose SHA-256 the store does not tell")
        })
    }

    /// Returns what is not covered and follows from these counts, each in its place.
    pub(super) fn gaps(&self) -> [Option<String>; 3] {
        let receipts = self.receipts.as_ref().map(ReceiptCounts::gap);
        [self.gap(), receipts, self.provider.as_ref().and_then(ProviderCounts::gap)]
    }
}

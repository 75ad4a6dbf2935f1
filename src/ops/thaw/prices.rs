//! What thawing costs and how long it takes. Spec: `thaw.md` §2.
//!
//! Money is a whole number of millionths of a unit: a sum is never less than what it stands for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::store::{StorageClass, ThawTier};

/// Millionths in a unit of money, and the decimals that write them.
const MICROS: u64 = 1_000_000;
const DECIMALS: usize = 6;
/// Greatest price of anything, in units: beyond it sums would not fit.
const UNITS_MAX: u64 = 10_000;
/// Bytes of what a provider bills as a GB.
const GB_LEN: u128 = 1 << 30;
/// Days of what a provider bills as a month.
const MONTH_DAYS: u128 = 30;

/// An amount of money, in millionths of the currency's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// Returns the price of bytes at this price a GB.
    pub fn of_bytes(self, len: u64) -> Self {
        self.times(u128::from(len), GB_LEN)
    }

    /// Returns the price of storing bytes for days at this price a GB and month.
    pub fn of_storing(self, len: u64, days: u32) -> Self {
        self.times(u128::from(len) * u128::from(days), GB_LEN * MONTH_DAYS)
    }

    /// Returns the price of requests at this price a thousand.
    pub fn of_requests(self, count: u64) -> Self {
        self.times(u128::from(count), 1000)
    }

    /// Returns the sum of two amounts.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn times(self, count: u128, per: u128) -> Self {
        let whole = (u128::from(self.0) * count).div_ceil(per);
        Self(u64::try_from(whole).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Micros {
    /// Writes at least two decimals and no zero after them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % MICROS);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / MICROS, &decimals[..kept])
    }
}

impl FromStr for Micros {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected a price such as \"0.0025\", in quotes, at most six decimals";
        let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(units) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(EXPECTED);
        }
        let units: u64 = units.parse().map_err(|_| EXPECTED)?;
        if units > UNITS_MAX {
            return Err("no such thing costs more than 10,000");
        }
        let decimals: u64 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| EXPECTED)?;
        Ok(Self(units * MICROS + decimals))
    }
}

/// What a tier costs and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierPrice {
    /// For a GB.
    pub gb: Micros,
    /// For a thousand requests.
    pub requests: Micros,
    /// Minutes until a pack is ready, at the latest.
    pub minutes: u32,
}

/// What a class costs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassPrice {
    /// For reading a GB of a class that is read at once.
    pub read_gb: Micros,
    /// For storing a GB for a month.
    pub storage_gb: Micros,
    /// Days that are paid for, however soon an object is deleted.
    pub days_min: u32,
    /// For thawing.
    pub tiers: BTreeMap<ThawTier, TierPrice>,
}

/// A table of prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    /// The currency, such as `USD`.
    pub currency: String,
    /// From where and when it is.
    pub source: String,
    /// For keeping a GB of thawed copies for a month.
    pub copy_gb: Micros,
    /// For moving a GB out of the provider's network.
    pub egress_gb: Micros,
    /// By class; what is not there has no price.
    pub classes: BTreeMap<StorageClass, ClassPrice>,
}

impl PriceTable {
    /// Returns a tier's price from a class, if it is known.
    pub fn tier(&self, class: StorageClass, tier: ThawTier) -> Option<&TierPrice> {
        self.classes.get(&class)?.tiers.get(&tier)
    }

    /// Returns how many minutes a tier takes from a class at the latest.
    pub fn minutes(&self, class: StorageClass, tier: ThawTier) -> u32 {
        self.tier(class, tier).map_or_else(|| usual_minutes(class, tier), |price| price.minutes)
    }
}

impl Default for PriceTable {
    /// Returns the built-in table.
    fn default() -> Self {
        let class = |read_gb, storage_gb, days_min, tiers: &[(ThawTier, u64, u64)], class| {
            let tier = |&(tier, gb, requests): &(ThawTier, u64, u64)| {
                let minutes = usual_minutes(class, tier);
                (tier, TierPrice { gb: Micros(gb), requests: Micros(requests), minutes })
            };
            let (read_gb, storage_gb) = (Micros(read_gb), Micros(storage_gb));
            let tiers = tiers.iter().map(tier).collect();
            (class, ClassPrice { read_gb, storage_gb, days_min, tiers })
        };
        let flexible = [
            (ThawTier::Bulk, 0, 0),
            (ThawTier::Standard, 10_000, 50_000),
            (ThawTier::Expedited, 30_000, 10_000_000),
        ];
        let deep = [(ThawTier::Bulk, 2_500, 25_000), (ThawTier::Standard, 20_000, 100_000)];
        let classes = [
            class(0, 23_000, 0, &[], StorageClass::Standard),
            class(10_000, 12_500, 30, &[], StorageClass::StandardIa),
            class(10_000, 10_000, 30, &[], StorageClass::OnezoneIa),
            class(30_000, 4_000, 90, &[], StorageClass::GlacierIr),
            class(0, 3_600, 90, &flexible, StorageClass::Glacier),
            class(0, 990, 180, &deep, StorageClass::DeepArchive),
        ];
        Self {
            currency: "USD".to_owned(),
            source: "list prices of AWS, us-east-1, 2026-06".to_owned(),
            copy_gb: Micros(23_000),
            egress_gb: Micros(90_000),
            classes: classes.into(),
        }
    }
}

/// Returns the tiers of a class, the cheapest first.
pub const fn tiers_of(class: StorageClass) -> &'static [ThawTier] {
    match class {
        StorageClass::Glacier => &ThawTier::ALL,
        _ => &[ThawTier::Bulk, ThawTier::Standard],
    }
}

/// Returns how many minutes a tier takes from a class at the latest, as providers say.
pub const fn usual_minutes(class: StorageClass, tier: ThawTier) -> u32 {
    match (class, tier) {
        (_, ThawTier::Expedited) => 5,
        (StorageClass::Glacier, ThawTier::Standard) => 5 * 60,
        (StorageClass::Glacier, ThawTier::Bulk) | (_, ThawTier::Standard) => 12 * 60,
        (_, ThawTier::Bulk) => 48 * 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_whole_millionths_and_sums_are_rounded_up() {
        for (text, micros) in [("0", 0), ("0.0025", 2500), ("10", 10_000_000), ("0.000001", 1)] {
            assert_eq!(text.parse::<Micros>(), Ok(Micros(micros)), "{text}");
        }
        for text in
            ["", ".5", "1.", "-1", "1e3", "0.0000001", "1,5", "10001", "99999999999999999999"]
        {
            assert!(text.parse::<Micros>().is_err(), "{text}");
        }
        assert_eq!(Micros(2500).of_bytes(1), Micros(1));
        assert_eq!(Micros(2500).of_bytes(100 << 30), Micros(250_000));
        assert_eq!(Micros(25_000).of_requests(3), Micros(75));
        assert_eq!(Micros(23_000).of_storing(1 << 30, 30), Micros(23_000));
        assert_eq!(Micros(1).of_storing(0, 7), Micros(0));
        // The greatest archive at the greatest price still has a sum.
        assert!(Micros(UNITS_MAX * MICROS).of_storing(1 << 53, 365).0 < u64::MAX);
        let texts = [0, 10, 2500, 1_234_567, 5_000_000].map(|micros| Micros(micros).to_string());
        assert_eq!(texts, ["0.00", "0.00001", "0.0025", "1.234567", "5.00"]);
    }

    /// T-4
    #[test]
    fn the_built_in_table_has_every_tier_of_an_archive_class_and_no_other() {
        let table = PriceTable::default();
        for class in StorageClass::ALL.into_iter().filter(|class| class.is_archive()) {
            let priced: Vec<ThawTier> = table.classes[&class].tiers.keys().copied().collect();
            assert_eq!(priced, tiers_of(class), "{class}");
        }
        assert!(!tiers_of(StorageClass::DeepArchive).contains(&ThawTier::Expedited));
        assert!(table.source.contains("2026"));
    }
}

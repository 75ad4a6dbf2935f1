//! `[prices]`: what the provider of the cold stores asks, instead of the built-in table.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::text::ConfigText;
use crate::ops::thaw::PriceTable;
use crate::ops::thaw::prices::{ClassPrice, Micros, TierPrice, tiers_of, usual_minutes};
use crate::store::{StorageClass, ThawTier};

/// Where prices are from that the config gives.
const SOURCE: &str = "the config";
/// Longest currency.
const CURRENCY_LEN_MAX: usize = 8;

/// `[prices]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesTable {
    pub currency: Spanned<String>,
    pub source: Option<String>,
    pub copy: Option<Spanned<String>>,
    pub egress: Option<Spanned<String>>,
    #[serde(rename = "STANDARD")]
    pub standard: Option<Spanned<ClassTable>>,
    #[serde(rename = "STANDARD_IA")]
    pub standard_ia: Option<Spanned<ClassTable>>,
    #[serde(rename = "ONEZONE_IA")]
    pub onezone_ia: Option<Spanned<ClassTable>>,
    #[serde(rename = "INTELLIGENT_TIERING")]
    pub intelligent_tiering: Option<Spanned<ClassTable>>,
    #[serde(rename = "GLACIER_IR")]
    pub glacier_ir: Option<Spanned<ClassTable>>,
    #[serde(rename = "GLACIER")]
    pub glacier: Option<Spanned<ClassTable>>,
    #[serde(rename = "DEEP_ARCHIVE")]
    pub deep_archive: Option<Spanned<ClassTable>>,
}

/// `[prices.DEEP_ARCHIVE]` and its like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTable {
    pub storage: Option<Spanned<String>>,
    pub read: Option<Spanned<String>>,
    pub days_min: Option<u32>,
    pub bulk: Option<Spanned<TierTable>>,
    pub standard: Option<Spanned<TierTable>>,
    pub expedited: Option<Spanned<TierTable>>,
}

/// `[prices.DEEP_ARCHIVE.bulk]` and its like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierTable {
    pub gb: Option<Spanned<String>>,
    pub requests: Option<Spanned<String>>,
    pub time: Option<Spanned<String>>,
}

/// Checks the table; the built-in one if there is none.
pub fn check(text: &ConfigText, table: Option<&PricesTable>) -> Result<PriceTable, ConfigError> {
    let Some(table) = table else { return Ok(PriceTable::default()) };
    let currency = table.currency.get_ref();
    let is_plain = currency.chars().all(|letter| letter.is_alphabetic() || "$€£¥".contains(letter));
    if currency.is_empty() || currency.chars().count() > CURRENCY_LEN_MAX || !is_plain {
        let reason = format!("currency = {currency:?}: expected letters such as EUR");
        return Err(text.wrong(&table.currency.span(), reason));
    }
    let mut classes = BTreeMap::new();
    for (class, own) in [
        (StorageClass::Standard, &table.standard),
        (StorageClass::StandardIa, &table.standard_ia),
        (StorageClass::OnezoneIa, &table.onezone_ia),
        (StorageClass::IntelligentTiering, &table.intelligent_tiering),
        (StorageClass::GlacierIr, &table.glacier_ir),
        (StorageClass::Glacier, &table.glacier),
        (StorageClass::DeepArchive, &table.deep_archive),
    ] {
        if let Some(own) = own {
            classes.insert(class, check_class(text, class, own.get_ref())?);
        }
    }
    Ok(PriceTable {
        currency: currency.clone(),
        source: table.source.clone().unwrap_or_else(|| SOURCE.to_owned()),
        copy_gb: price(text, "copy", table.copy.as_ref())?,
        egress_gb: price(text, "egress", table.egress.as_ref())?,
        classes,
    })
}

fn check_class(
    text: &ConfigText,
    class: StorageClass,
    table: &ClassTable,
) -> Result<ClassPrice, ConfigError> {
    let mut tiers = BTreeMap::new();
    for (tier, own) in [
        (ThawTier::Bulk, &table.bulk),
        (ThawTier::Standard, &table.standard),
        (ThawTier::Expedited, &table.expedited),
    ] {
        let Some(own) = own else { continue };
        let is_archive = class.is_archive() || class == StorageClass::IntelligentTiering;
        if !is_archive || !tiers_of(class).contains(&tier) {
            let reason = format!("{}: class {class} has no such tier", tier.name());
            return Err(text.wrong(&own.span(), reason));
        }
        let own = own.get_ref();
        let price = TierPrice {
            gb: price(text, "gb", own.gb.as_ref())?,
            requests: price(text, "requests", own.requests.as_ref())?,
            minutes: match &own.time {
                Some(time) => minutes(text, time)?,
                None => usual_minutes(class, tier),
            },
        };
        tiers.insert(tier, price);
    }
    Ok(ClassPrice {
        read_gb: price(text, "read", table.read.as_ref())?,
        storage_gb: price(text, "storage", table.storage.as_ref())?,
        days_min: table.days_min.unwrap_or(0),
        tiers,
    })
}

/// Parses a price; none is nothing to pay.
fn price(
    text: &ConfigText,
    key: &str,
    value: Option<&Spanned<String>>,
) -> Result<Micros, ConfigError> {
    let Some(value) = value else { return Ok(Micros::default()) };
    value.get_ref().parse().map_err(|reason| {
        text.wrong(&value.span(), format!("{key} = {:?}: {reason}", value.get_ref()))
    })
}

fn minutes(text: &ConfigText, time: &Spanned<String>) -> Result<u32, ConfigError> {
    let parsed = time.get_ref().parse::<jiff::SignedDuration>().ok();
    let minutes = parsed.and_then(|time| u32::try_from(time.as_mins()).ok());
    minutes.filter(|minutes| (1..=60 * 24 * 30).contains(minutes)).ok_or_else(|| {
        let reason = format!("time = {:?}: expected a time such as 5m or 12h", time.get_ref());
        text.wrong(&time.span(), reason)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    const VAULT: &str = "state_dir = \"/s\"\nrecipients = [\"RECIPIENT\"]\n\
                         [[vault]]\nname = \"n\"\n[[vault.store]]\nname = \"l\"\n\
                         url = \"file:///b\"\n";

    fn prices(tail: &str) -> Result<PriceTable, String> {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let new = crate::crypto::identity::NewIdentity::generate(now);
        let vault = VAULT.replace("RECIPIENT", &new.recipient);
        let config = Config::parse(Path::new("c.toml"), format!("{vault}{tail}"));
        config.map(|config| config.prices).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_of_the_config_takes_the_place_of_the_built_in_one() {
        assert_eq!(prices("").unwrap(), PriceTable::default());
        let table = prices(
            "[prices]\ncurrency = \"EUR\"\nsource = \"offer of 2026-10\"\negress = \"0.05\"\n\
             [prices.GLACIER]\nstorage = \"0.004\"\ndays_min = 90\n\
             [prices.GLACIER.bulk]\ngb = \"0.001\"\nrequests = \"0.03\"\ntime = \"8h\"\n",
        )
        .unwrap();
        assert_eq!((table.currency.as_str(), table.egress_gb), ("EUR", Micros(50_000)));
        assert_eq!(table.source, "offer of 2026-10");
        let bulk = table.tier(StorageClass::Glacier, ThawTier::Bulk).unwrap();
        let expected = TierPrice { gb: Micros(1000), requests: Micros(30_000), minutes: 480 };
        assert_eq!(*bulk, expected);
        // What it does not name has no price, and takes as long as it takes.
        assert!(table.tier(StorageClass::DeepArchive, ThawTier::Bulk).is_none());
        assert_eq!(table.minutes(StorageClass::DeepArchive, ThawTier::Bulk), 48 * 60);
    }

    #[test]
    fn a_price_that_does_not_parse_is_refused_on_its_line() {
        for (tail, line, reason) in [
            ("[prices]\ncurrency = \"\"\n", 9, "letters such as EUR"),
            (
                "[prices]\ncurrency = \"EUR\"\ncopy = \"dear\"\n",
                10,
                "copy = \"dear\": expected a price",
            ),
            ("[prices]\ncurrency = \"EUR\"\ncopy = 0.023\n", 10, "floating point"),
            ("[prices]\ncurrency = \"EUR\"\n[prices.ICE]\n", 10, "unknown field ICE"),
            (
                "[prices]\ncurrency = \"E\"\n[prices.DEEP_ARCHIVE.expedited]\ngb = \"1\"\n",
                10,
                "expedited: class DEEP_ARCHIVE has no such tier",
            ),
            (
                "[prices]\ncurrency = \"E\"\n[prices.GLACIER.bulk]\ntime = \"soon\"\n",
                11,
                "such as 5m or 12h",
            ),
        ] {
            let error = prices(tail).unwrap_err();
            assert!(error.contains(reason) && error.contains(&format!("line {line}")), "{error}");
        }
    }
}

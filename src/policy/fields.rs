//! A policy as it is written, in a config or a vault note, before it is checked.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::age::{self, AGE_EXPECTED, Age};
use super::error::PolicyError;
use super::keep_rule::KeepRule;
use super::period::Period;

/// Largest number in a keep rule.
const KEEP_COUNT_MAX: u32 = 100_000;

/// The settings of a policy; the names are those of the config and of the signed policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFields {
    /// Keep the newest so many snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Keep a snapshot of each of the newest so many hours that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// The same by days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// The same by weeks, which begin on Monday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// The same by months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// The same by years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
    /// Keep every snapshot younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<String>,
    /// Keep every snapshot that was taken with one of these tags, up to the ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_tags: Option<Vec<String>>,
    /// Admit only the first snapshot of every `hour`, `day`, `week` or `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// No snapshot goes before this age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// Every snapshot goes at this age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<String>,
    /// IANA name of the time zone whose calendar counts; `UTC` if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl PolicyFields {
    /// The names of all settings, for whoever picks them out of a larger table.
    pub const NAMES: [&str; 12] = [
        "keep_last",
        "keep_hourly",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
        "keep_yearly",
        "keep_within",
        "keep_tags",
        "every",
        "floor",
        "ceiling",
        "time_zone",
    ];
}

pub(super) fn parse_keep_rules(fields: &PolicyFields) -> Result<Vec<KeepRule>, PolicyError> {
    let mut rules = Vec::new();
    rules.extend(parse_count("keep_last", fields.keep_last)?.map(KeepRule::Last));
    for (name, period, count) in [
        ("keep_hourly", Period::Hour, fields.keep_hourly),
        ("keep_daily", Period::Day, fields.keep_daily),
        ("keep_weekly", Period::Week, fields.keep_weekly),
        ("keep_monthly", Period::Month, fields.keep_monthly),
        ("keep_yearly", Period::Year, fields.keep_yearly),
    ] {
        rules.extend(parse_count(name, count)?.map(|count| KeepRule::Each(period, count)));
    }
    rules.extend(parse_age("keep_within", fields.keep_within.as_deref())?.map(KeepRule::Within));
    Ok(rules)
}

fn parse_count(name: &'static str, count: Option<u32>) -> Result<Option<NonZeroU32>, PolicyError> {
    let Some(value) = count else { return Ok(None) };
    let sound = NonZeroU32::new(value).filter(|count| count.get() <= KEEP_COUNT_MAX);
    sound.map(Some).ok_or_else(|| PolicyError::Value {
        name,
        value: value.to_string(),
        expected: "1 to 100000; leave it out to have no such rule",
    })
}

pub(super) fn parse_age(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<Age>, PolicyError> {
    let Some(text) = text else { return Ok(None) };
    age::parse(text).map(Some).ok_or_else(|| PolicyError::Value {
        name,
        value: text.chars().take(40).collect(),
        expected: AGE_EXPECTED,
    })
}

pub(super) fn parse_keep_tags(tags: Option<&[String]>) -> Result<Vec<String>, PolicyError> {
    let Some(tags) = tags else { return Ok(Vec::new()) };
    let distinct: BTreeSet<&String> = tags.iter().collect();
    if tags.is_empty() || distinct.len() < tags.len() || tags.iter().any(String::is_empty) {
        return Err(PolicyError::Value {
            name: "keep_tags",
            value: tags.join(", ").chars().take(80).collect(),
            expected: "at least one tag, none twice, none empty; leave it out to have none",
        });
    }
    Ok(tags.to_vec())
}

pub(super) fn parse_every(text: &str) -> Result<Period, PolicyError> {
    let period = text.parse().ok().filter(|period| *period != Period::Year);
    period.ok_or_else(|| PolicyError::Value {
        name: "every",
        value: text.chars().take(40).collect(),
        expected: "hour, day, week or month",
    })
}

pub(super) fn parse_zone(name: Option<&str>) -> Result<(String, TimeZone), PolicyError> {
    let name = name.unwrap_or("UTC");
    let invalid = || PolicyError::Value {
        name: "time_zone",
        value: name.chars().take(80).collect(),
        expected: "a time zone of the IANA database, such as UTC or Europe/Berlin",
    };
    let zone = TimeZone::get(name).map_err(|_| invalid())?;
    let name = zone.iana_name().ok_or_else(invalid)?.to_owned();
    Ok((name, zone))
}

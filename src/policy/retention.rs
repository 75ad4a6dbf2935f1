//! The retention policy of a vault: parsed, free of contradictions. Spec: §8.6.
//!
//! - Two settings that cannot both hold are refused by name; nothing is silently preferred.
//! - A policy without a keep rule keeps everything, up to its ceiling if it has one.
//! - An unknown setting in a signed policy is an error: half a policy must never be applied.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::age::Age;
use super::error::PolicyError;
use super::fields::{
    PolicyFields, parse_age, parse_every, parse_keep_rules, parse_keep_tags, parse_zone,
};
use super::keep_rule::KeepRule;
use super::period::{self, Period};

const HOURS_A_DAY: u64 = 24;

/// A vault's retention policy; every value of this type is usable.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    keep_rules: Vec<KeepRule>,
    keep_tags: Vec<String>,
    every: Option<Period>,
    floor: Option<Age>,
    ceiling: Option<Age>,
    zone_name: String,
    zone: TimeZone,
}

impl Policy {
    /// Checks settings and makes a policy of them.
    ///
    /// # Errors
    /// [`PolicyError::Contradiction`] with the two settings that cannot both hold, or
    /// [`PolicyError::Value`].
    pub fn new(fields: PolicyFields) -> Result<Self, PolicyError> {
        let keep_rules = parse_keep_rules(&fields)?;
        let keep_tags = parse_keep_tags(fields.keep_tags.as_deref())?;
        let (zone_name, zone) = parse_zone(fields.time_zone.as_deref())?;
        let every = fields.every.as_deref().map(parse_every).transpose()?;
        let floor = parse_age("floor", fields.floor.as_deref())?;
        let ceiling = parse_age("ceiling", fields.ceiling.as_deref())?;
        let policy = Self { keep_rules, keep_tags, every, floor, ceiling, zone_name, zone };
        policy.check()?;
        Ok(policy)
    }

    /// Parses the policy that a vault note carries.
    ///
    /// # Errors
    /// [`PolicyError::TooNew`] if it has a setting that this program does not know, else as
    /// [`Self::new`], or [`PolicyError::Signed`].
    pub fn from_json(map: &Map<String, Value>) -> Result<Self, PolicyError> {
        if let Some(name) = map.keys().find(|name| !PolicyFields::NAMES.contains(&name.as_str())) {
            return Err(PolicyError::TooNew { name: name.chars().take(80).collect() });
        }
        let fields = serde_json::from_value(Value::Object(map.clone()))
            .map_err(|error| PolicyError::Signed { reason: error.to_string() })?;
        Self::new(fields)
    }

    /// Returns the policy as a vault note carries it: what is set, and always the time zone.
    ///
    /// # Panics
    /// Never: the settings are numbers and strings under names.
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self.to_fields()) {
            Ok(Value::Object(map)) => map,
            _ => unreachable!("a struct of numbers and strings is a JSON object"),
        }
    }

    /// Returns the settings in their canonical spelling.
    pub fn to_fields(&self) -> PolicyFields {
        let count = |name| {
            self.keep_rules.iter().find(|rule| rule.name() == name).and_then(|rule| match rule {
                KeepRule::Last(count) | KeepRule::Each(_, count) => Some(count.get()),
                KeepRule::Within(_) => None,
            })
        };
        let within = self.keep_rules.iter().find_map(|rule| match rule {
            KeepRule::Within(age) => Some(age.to_string()),
            _ => None,
        });
        PolicyFields {
            keep_last: count("keep_last"),
            keep_hourly: count("keep_hourly"),
            keep_daily: count("keep_daily"),
            keep_weekly: count("keep_weekly"),
            keep_monthly: count("keep_monthly"),
            keep_yearly: count("keep_yearly"),
            keep_within: within,
            keep_tags: Some(self.keep_tags.clone()).filter(|tags| !tags.is_empty()),
            every: self.every.map(|every| every.to_string()),
            floor: self.floor.map(|floor| floor.to_string()),
            ceiling: self.ceiling.map(|ceiling| ceiling.to_string()),
            time_zone: Some(self.zone_name.clone()),
        }
    }

    /// Returns the keep rules; a snapshot that any of them keeps stays.
    pub fn keep_rules(&self) -> &[KeepRule] {
        &self.keep_rules
    }

    /// Returns the tags of which one keeps a snapshot that is taken with it, up to the ceiling.
    pub fn keep_tags(&self) -> &[String] {
        &self.keep_tags
    }

    /// Tells whether there is no keep rule, so that nothing goes before the ceiling.
    pub const fn keeps_everything(&self) -> bool {
        self.keep_rules.is_empty()
    }

    /// Returns the period of which only the first snapshot is admitted.
    pub const fn every(&self) -> Option<Period> {
        self.every
    }

    /// Returns the least age at which a snapshot goes.
    pub const fn floor(&self) -> Option<Age> {
        self.floor
    }

    /// Returns the greatest age at which a snapshot goes.
    pub const fn ceiling(&self) -> Option<Age> {
        self.ceiling
    }

    /// Returns the time zone whose calendar counts.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Tells whether a snapshot at `now` is admitted after the newest one from `last`.
    pub fn due(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        period::due(self.every, last, now, &self.zone)
    }

    /// Returns before which time a snapshot of `time` may not go, if there is a floor.
    pub fn floor_at(&self, time: Timestamp) -> Option<Timestamp> {
        self.floor.map(|floor| floor.after(time, &self.zone))
    }

    /// Returns at which time a snapshot of `time` goes at the latest, if there is a ceiling.
    pub fn ceiling_at(&self, time: Timestamp) -> Option<Timestamp> {
        self.ceiling.map(|ceiling| ceiling.after(time, &self.zone))
    }

    /// Accepts the policy for stores that lock packs until their generation's last day + floor.
    ///
    /// # Errors
    /// [`PolicyError::Contradiction`] if a pack could be locked beyond the ceiling.
    pub fn check_locked(&self, generation_max_age_days: Option<u32>) -> Result<(), PolicyError> {
        let Some(ceiling) = self.ceiling else { return Ok(()) };
        let floor_hours = self.floor.map_or(0, Age::hours_max);
        let locked = |days: u32| u64::from(days) * HOURS_A_DAY + floor_hours;
        if generation_max_age_days.is_some_and(|days| locked(days) <= ceiling.hours_min()) {
            return Ok(());
        }
        let days = generation_max_age_days.map_or("never".to_owned(), |days| days.to_string());
        Err(PolicyError::Contradiction {
            first: format!("generation_max_age_days = {days}"),
            second: format!("ceiling = {ceiling}"),
            reason: "a locked pack stays for the generation's age plus the floor",
        })
    }

    /// Returns the most days for which anything that was once stored can be read, if there is a
    /// bound: holds aside, and while snapshots and prunes keep coming.
    ///
    /// A pack goes as a whole, and what else is in it may be needed until its generation closes:
    /// so the generation's age comes on top of the longest stay of a snapshot, which is never
    /// less than the floor or `reuse_and_grace_days` (I9).
    pub fn longest_readable_days(
        &self,
        generation_max_age_days: Option<u32>,
        reuse_and_grace_days: u32,
    ) -> Option<u32> {
        let reaches: Option<Vec<Age>> = match self.ceiling {
            Some(ceiling) => Some(vec![ceiling]),
            None if self.keeps_everything() || !self.keep_tags.is_empty() => None,
            None => self.keep_rules.iter().map(|rule| rule.reach(self.every)).collect(),
        };
        let ages = reaches?.into_iter().chain(self.floor);
        let stay = ages.map(Age::days_max).fold(reuse_and_grace_days, u32::max);
        Some(stay.saturating_add(generation_max_age_days?))
    }

    fn check(&self) -> Result<(), PolicyError> {
        let conflict = |first: String, second: String, reason| {
            Err(PolicyError::Contradiction { first, second, reason })
        };
        for rule in &self.keep_rules {
            if let (KeepRule::Each(period, _), Some(every)) = (rule, self.every)
                && *period < every
            {
                let reason = "no more snapshots than that are admitted";
                return conflict(format!("every = {every}"), rule.to_string(), reason);
            }
        }
        let Some(ceiling) = self.ceiling else { return Ok(()) };
        if let Some(floor) = self.floor
            && !floor.never_exceeds(ceiling)
        {
            let reason = "nothing may go before the floor, everything must by the ceiling";
            return conflict(format!("floor = {floor}"), format!("ceiling = {ceiling}"), reason);
        }
        let reaches = |rule: &&KeepRule| {
            rule.reach(self.every).is_some_and(|reach| !reach.never_exceeds(ceiling))
        };
        match self.keep_rules.iter().find(reaches) {
            Some(rule) => {
                let reason = "the rule keeps snapshots beyond the ceiling";
                conflict(rule.to_string(), format!("ceiling = {ceiling}"), reason)
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Policy {
    /// Writes the settings in words of the config, such as `keep_daily = 30, time_zone = UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keeps_everything() {
            f.write_str("keep everything, ")?;
        }
        self.keep_rules.iter().try_for_each(|rule| write!(f, "{rule}, "))?;
        if !self.keep_tags.is_empty() {
            write!(f, "keep_tags = {}, ", self.keep_tags.join(" "))?;
        }
        self.every.iter().try_for_each(|every| write!(f, "every = {every}, "))?;
        self.floor.iter().try_for_each(|floor| write!(f, "floor = {floor}, "))?;
        self.ceiling.iter().try_for_each(|ceiling| write!(f, "ceiling = {ceiling}, "))?;
        write!(f, "time_zone = {}", self.zone_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    fn policy(text: &str) -> Result<Policy, PolicyError> {
        Policy::new(toml::from_str(text).unwrap())
    }

    const KYC: &str = "every = 'month'\nkeep_monthly = 84\nfloor = '5y'\n";

    #[test]
    fn the_two_policies_of_the_design_are_accepted_and_survive_the_vault_note() {
        let tagged = "keep_last = 1\nkeep_tags = ['audit', 'b']";
        for text in
            ["keep_daily = 30", KYC, tagged, "keep_within = '18mo'\ntime_zone = 'Europe/Berlin'"]
        {
            let policy = policy(text).unwrap();
            let map = policy.to_json();
            assert!(map.contains_key("time_zone"));
            assert_eq!(Policy::from_json(&map).unwrap(), policy);
            assert_eq!(Policy::new(policy.to_fields()).unwrap(), policy);
        }
        let json = serde_json::to_string(&policy(KYC).unwrap().to_json()).unwrap();
        let expected = r#"{"every":"month","floor":"5y","keep_monthly":84,"time_zone":"UTC"}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_policy_without_rules_keeps_everything_and_says_so() {
        let policy = policy("").unwrap();
        assert!(policy.keeps_everything());
        assert_eq!(policy.to_string(), "keep everything, time_zone = UTC");
        assert_eq!(policy.longest_readable_days(Some(365), 44), None);
    }

    /// V-128
    #[test]
    fn two_settings_that_cannot_both_hold_are_refused_by_their_names() {
        for (text, first, second) in [
            ("floor = '5y'\nceiling = '1y'", "floor = 5y", "ceiling = 1y"),
            ("floor = '1mo'\nceiling = '30d'", "floor = 1mo", "ceiling = 30d"),
            ("keep_daily = 31\nceiling = '30d'", "keep_daily = 31", "ceiling = 30d"),
            ("keep_within = '2y'\nceiling = '1y'", "keep_within = 2y", "ceiling = 1y"),
            ("keep_yearly = 8\nceiling = '7y'", "keep_yearly = 8", "ceiling = 7y"),
            ("every = 'month'\nkeep_last = 9\nceiling = '8mo'", "keep_last = 9", "ceiling = 8mo"),
            ("every = 'month'\nkeep_daily = 3", "every = month", "keep_daily = 3"),
            ("every = 'day'\nkeep_hourly = 3", "every = day", "keep_hourly = 3"),
        ] {
            let error = policy(text).unwrap_err();
            assert_eq!(error.code(), Code::PolicyContradiction);
            let begin = format!("reconcile {first} with {second}: ");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
        for text in [
            "floor = '7y'\nceiling = '84mo'\nkeep_monthly = 84",
            "every = 'day'\nkeep_daily = 30\nceiling = '30d'",
            "keep_last = 1000\nceiling = '1d'",
        ] {
            assert!(policy(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for text in [
            "keep_daily = 0",
            "keep_last = 100001",
            "keep_within = '0d'",
            "keep_tags = []",
            "keep_tags = ['a', 'a']",
            "keep_tags = ['']",
            "every = 'year'",
            "every = 'fortnight'",
            "floor = '5 years'",
            "ceiling = ''",
            "time_zone = 'Mars/Olympus'",
            "time_zone = ''",
        ] {
            let error = policy(text).unwrap_err();
            assert_eq!(error.code(), Code::ConfigInvalid, "{text}");
            let name = text.split(' ').next().unwrap();
            assert!(error.to_string().starts_with(&format!("use {name} = ")), "{error}");
        }
        assert!(toml::from_str::<PolicyFields>("keep_dialy = 30").is_err());
        assert!(toml::from_str::<PolicyFields>("keep_daily = -1").is_err());
    }

    /// V-124
    #[test]
    fn a_signed_policy_with_an_unknown_rule_is_never_half_applied() {
        let parse = |text: &str| Policy::from_json(&serde_json::from_str(text).unwrap());
        let error = parse(r#"{"keep_daily":30,"keep_moons":3}"#).unwrap_err();
        assert_eq!(error.code(), Code::FormatTooNew);
        let error = parse(r#"{"keep_daily":"30"}"#).unwrap_err();
        assert_eq!(error.code(), Code::FormatInvalid);
    }

    #[test]
    fn the_names_of_all_settings_are_those_that_are_read() {
        let table: String = PolicyFields::NAMES
            .iter()
            .map(|name| match *name {
                "keep_tags" => "keep_tags = ['x']\n".to_owned(),
                name if name.starts_with("keep_") && name != "keep_within" => {
                    format!("{name} = 1\n")
                }
                name => format!("{name} = 'x'\n"),
            })
            .collect();
        let fields: PolicyFields = toml::from_str(&table).unwrap();
        assert_eq!(serde_json::to_value(&fields).unwrap().as_object().unwrap().len(), 12);
    }

    /// V-129
    #[test]
    fn locked_stores_need_a_generation_that_ends_before_the_ceiling() {
        let both = policy("floor = '5y'\nceiling = '7y'").unwrap();
        assert!(both.check_locked(Some(728)).is_ok());
        assert_eq!(both.check_locked(Some(731)).unwrap_err().code(), Code::PolicyContradiction);
        let error = both.check_locked(None).unwrap_err().to_string();
        let expected = "reconcile generation_max_age_days = never with ceiling = 7y: ";
        assert!(error.starts_with(expected), "{error}");
        assert!(policy("floor = '5y'").unwrap().check_locked(None).is_ok());
    }

    #[test]
    fn the_longest_readable_time_counts_the_generation_on_top() {
        let days = |text, max_age| policy(text).unwrap().longest_readable_days(max_age, 44);
        assert_eq!(days("keep_daily = 90", Some(365)), Some(90 + 365));
        assert_eq!(days("keep_daily = 7", Some(365)), Some(44 + 365));
        assert_eq!(days("ceiling = '1y'", Some(30)), Some(366 + 30));
        assert_eq!(days("keep_daily = 7\nfloor = '5y'", Some(365)), Some(1827 + 365));
        assert_eq!(days("keep_last = 7", Some(365)), None);
        assert_eq!(days("keep_last = 7\nevery = 'week'", Some(365)), Some(49 + 365));
        assert_eq!(days("ceiling = '1y'", None), None);
        assert_eq!(days("keep_daily = 7\nkeep_tags = ['a']", Some(365)), None);
    }

    #[test]
    fn floor_and_ceiling_fall_on_a_day_of_the_calendar() {
        let policy = policy("floor = '1mo'\nceiling = '1y'").unwrap();
        let time = "2027-01-31T02:30:00Z".parse().unwrap();
        assert_eq!(policy.floor_at(time).unwrap().to_string(), "2027-02-28T02:30:00Z");
        assert_eq!(policy.ceiling_at(time).unwrap().to_string(), "2028-01-31T02:30:00Z");
        assert!(policy.due(None, time) && policy.due(Some(time), time));
        assert!(super::Policy::new(PolicyFields::default()).unwrap().floor_at(time).is_none());
    }
}

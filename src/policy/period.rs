//! Calendar periods: which snapshot is the first of its hour, day, week, month. Spec: §8.6.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::age::AgeUnit;
use super::error::PolicyError;

/// A calendar period in a time zone, from the shortest to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// An hour of the wall clock.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns the period's name in `every`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Returns the hours after which the next snapshot of a vault is missing that admits one a
    /// period: the period and some slack, for a run that takes its time or is made up for.
    pub const fn hours_with_slack(self) -> u64 {
        match self {
            Self::Hour => 2,
            Self::Day => 26,
            Self::Week => 8 * 24,
            Self::Month => 32 * 24,
            Self::Year => 367 * 24,
        }
    }

    pub(super) const fn age_unit(self) -> AgeUnit {
        match self {
            Self::Hour => AgeUnit::Hour,
            Self::Day => AgeUnit::Day,
            Self::Week => AgeUnit::Week,
            Self::Month => AgeUnit::Month,
            Self::Year => AgeUnit::Year,
        }
    }

    /// Returns when the period that `time` lies in began.
    ///
    /// Two times lie in the same period exactly if this is the same for both.
    pub fn start(self, time: Timestamp, zone: &TimeZone) -> Timestamp {
        let zoned = time.to_zoned(zone.clone());
        // A period that began before the calendar began with it.
        self.zoned_start(&zoned).map_or(Timestamp::MIN, |start| start.timestamp())
    }

    fn zoned_start(self, time: &Zoned) -> Result<Zoned, jiff::Error> {
        match self {
            Self::Hour => {
                let seconds = i64::from(time.minute()) * 60 + i64::from(time.second());
                time.checked_sub(SignedDuration::new(seconds, time.subsec_nanosecond()))
            }
            Self::Day => time.start_of_day(),
            Self::Week => {
                let days = i64::from(time.weekday().to_monday_zero_offset());
                time.checked_sub(days.days())?.start_of_day()
            }
            Self::Month => time.first_of_month()?.start_of_day(),
            Self::Year => time.first_of_year()?.start_of_day(),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Period {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::ALL.into_iter().find(|period| period.name() == text).ok_or_else(|| {
            PolicyError::Value {
                name: "period",
                value: text.chars().take(40).collect(),
                expected: "hour, day, week, month or year",
            }
        })
    }
}

/// Tells whether a snapshot at `now` is the first of its period, and so is admitted to a vault
/// whose newest snapshot is from `last`.
///
/// With no period every snapshot is admitted. A `last` that lies in the future admits none: a
/// clock that went back must not fill a vault.
pub fn due(
    every: Option<Period>,
    last: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
) -> bool {
    match (every, last) {
        (Some(period), Some(last)) => last < period.start(now, zone),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn start(period: Period, time: &str, zone: &TimeZone) -> String {
        period.start(at(time), zone).to_string()
    }

    /// V-126
    #[test]
    fn a_period_starts_on_the_hour_day_monday_first_or_new_year() {
        let utc = TimeZone::UTC;
        // A Sunday.
        let time = "2026-11-22T02:30:15.5Z";
        for (period, expected) in [
            (Period::Hour, "2026-11-22T02:00:00Z"),
            (Period::Day, "2026-11-22T00:00:00Z"),
            (Period::Week, "2026-11-16T00:00:00Z"),
            (Period::Month, "2026-11-01T00:00:00Z"),
            (Period::Year, "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(start(period, time, &utc), expected);
        }
    }

    /// V-126
    #[test]
    fn days_are_those_of_the_time_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(start(Period::Day, "2026-11-21T23:30:00Z", &berlin), "2026-11-21T23:00:00Z");
        assert_eq!(
            start(Period::Day, "2026-11-21T23:30:00Z", &TimeZone::UTC),
            "2026-11-21T00:00:00Z"
        );
        // Clocks went back at 01:00 UTC on 2026-10-25: 02:30 came twice, and is two hours.
        let hour = |time| start(Period::Hour, time, &berlin);
        assert_eq!(hour("2026-10-25T00:30:00Z"), "2026-10-25T00:00:00Z");
        assert_eq!(hour("2026-10-25T01:30:00Z"), "2026-10-25T01:00:00Z");
    }

    /// V-127
    #[test]
    fn the_first_snapshot_of_a_period_is_due_and_the_second_is_not() {
        let is_due = |every, last: &str, now: &str| {
            due(Some(every), Some(at(last)), at(now), &TimeZone::UTC)
        };
        assert!(is_due(Period::Month, "2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z"));
        assert!(!is_due(Period::Month, "2026-11-01T00:00:00Z", "2026-11-30T23:59:59Z"));
        assert!(is_due(Period::Week, "2026-11-22T02:30:00Z", "2026-11-23T02:30:00Z"));
        assert!(!is_due(Period::Day, "2026-11-22T02:30:00Z", "2026-11-22T23:00:00Z"));
        assert!(is_due(Period::Hour, "2026-11-22T02:59:59Z", "2026-11-22T03:00:00Z"));
        assert!(due(Some(Period::Month), None, at("2026-11-22T02:30:00Z"), &TimeZone::UTC));
        let now = at("2026-11-22T02:30:00Z");
        assert!(due(None, Some(now), now, &TimeZone::UTC));
    }

    #[test]
    fn nothing_is_due_while_the_newest_snapshot_lies_in_the_future() {
        let (last, now) = (at("2027-01-01T00:00:00Z"), at("2026-11-22T02:30:00Z"));
        for every in Period::ALL {
            assert!(!due(Some(every), Some(last), now, &TimeZone::UTC));
        }
    }

    proptest! {
        #[test]
        fn periods_nest_and_begin_with_themselves(second in -60_000_000_000_i64..250_000_000_000) {
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            let time = Timestamp::from_second(second).unwrap();
            for period in Period::ALL {
                let start = period.start(time, &zone);
                prop_assert!(start <= time);
                prop_assert_eq!(period.start(start, &zone), start);
            }
            let year = Period::Year.start(time, &zone);
            prop_assert!(year <= Period::Month.start(time, &zone));
            prop_assert!(Period::Week.start(time, &zone) <= Period::Day.start(time, &zone));
        }
    }

    #[test]
    fn the_ends_of_the_calendar_have_periods_too() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for period in Period::ALL {
            assert!(period.start(Timestamp::MIN, &berlin) <= Timestamp::MIN);
            assert!(period.start(Timestamp::MAX, &berlin) <= Timestamp::MAX);
        }
    }
}

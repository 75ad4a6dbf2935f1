//! Ages of snapshots, such as `30d` or `5y`, and what they mean in a calendar. Spec: §8.6.
//!
//! ```text
//! age = count ( "h" | "d" | "w" | "mo" | "y" )
//! ```
//!
//! - `h` is 3600 seconds. All others are counted in the calendar of the policy's time zone: `1d`
//!   ends at the same wall-clock time on the next day, `1mo` on the same day of the next month (on
//!   its last day where it has no such day), `1y` after twelve months.
//! - So ages in months and ages in days cannot always be ordered: [`Age::never_exceeds`] asks
//!   whether one is at most the other *whenever* they begin.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use super::error::PolicyError;

/// Longest age in years.
const YEARS_MAX: u32 = 100;
const HOURS_A_DAY: u64 = 24;

/// The unit of an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgeUnit {
    /// 3600 seconds.
    Hour,
    /// A calendar day.
    Day,
    /// Seven calendar days.
    Week,
    /// A calendar month.
    Month,
    /// Twelve calendar months.
    Year,
}

impl AgeUnit {
    const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    const fn text(self) -> &'static str {
        match self {
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
            Self::Year => "y",
        }
    }

    /// Largest count: some hundred years of any unit.
    const fn count_max(self) -> u32 {
        match self {
            Self::Hour => YEARS_MAX * 365 * 24,
            Self::Day => YEARS_MAX * 365,
            Self::Week => YEARS_MAX * 52,
            Self::Month => YEARS_MAX * 12,
            Self::Year => YEARS_MAX,
        }
    }
}

/// How long after a snapshot's time something happens: from one hour to a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Age {
    count: u32,
    unit: AgeUnit,
}

/// An age in one of the two measures that are each ordered in themselves.
enum Measure {
    Hours(u64),
    Months(u32),
}

impl Age {
    /// Makes an age of at least one unit; the longest possible where `count` is more.
    pub(super) fn saturating(count: u32, unit: AgeUnit) -> Self {
        Self { count: count.clamp(1, unit.count_max()), unit }
    }

    /// Returns the time at which something from `time` reaches this age.
    ///
    /// Beyond the end of the calendar it is the last time there is: such a thing never gets there.
    pub fn after(self, time: Timestamp, zone: &TimeZone) -> Timestamp {
        let count = i64::from(self.count);
        let span = match self.unit {
            AgeUnit::Hour => Span::new().hours(count),
            AgeUnit::Day => Span::new().days(count),
            AgeUnit::Week => Span::new().weeks(count),
            AgeUnit::Month => Span::new().months(count),
            AgeUnit::Year => Span::new().years(count),
        };
        let end = time.to_zoned(zone.clone()).checked_add(span);
        end.map_or(Timestamp::MAX, |end| end.timestamp())
    }

    /// Tells whether this age is at most `other`, from whatever day both are counted.
    pub fn never_exceeds(self, other: Self) -> bool {
        match (self.measure(), other.measure()) {
            (Measure::Months(ours), Measure::Months(theirs)) => ours <= theirs,
            _ => self.hours_max() <= other.hours_min(),
        }
    }

    /// Returns the most calendar days that the age can take, rounded up.
    pub fn days_max(self) -> u32 {
        u32::try_from(self.hours_max().div_ceil(HOURS_A_DAY)).unwrap_or(u32::MAX)
    }

    /// Returns the most hours that the age can take, where every day has 24.
    pub fn hours_max(self) -> u64 {
        match self.measure() {
            Measure::Hours(hours) => hours,
            Measure::Months(months) => month_days(months).1 * HOURS_A_DAY,
        }
    }

    /// Returns the fewest hours that the age can take, where every day has 24.
    pub(super) fn hours_min(self) -> u64 {
        match self.measure() {
            Measure::Hours(hours) => hours,
            Measure::Months(months) => month_days(months).0 * HOURS_A_DAY,
        }
    }

    fn measure(self) -> Measure {
        let hours = u64::from(self.count);
        match self.unit {
            AgeUnit::Hour => Measure::Hours(hours),
            AgeUnit::Day => Measure::Hours(hours * HOURS_A_DAY),
            AgeUnit::Week => Measure::Hours(hours * 7 * HOURS_A_DAY),
            AgeUnit::Month => Measure::Months(self.count),
            AgeUnit::Year => Measure::Months(self.count * 12),
        }
    }
}

/// Returns the fewest and the most days that so many months can take.
///
/// Looks at the first and the last day of every month of two spans of four years: one that a
/// century without a skipped leap day follows, and one that leads up to such a skip.
fn month_days(months: u32) -> (u64, u64) {
    let span = Span::new().months(i64::from(months));
    let (mut fewest, mut most) = (u64::MAX, 0);
    for year in (1901..=1904).chain(2097..=2100) {
        for month in 1..=12 {
            let first = civil::date(year, month, 1);
            for begin in [first, first.last_of_month()] {
                let days = begin.duration_until(begin.saturating_add(span)).as_hours() / 24;
                let days = u64::try_from(days).unwrap_or(0);
                (fewest, most) = (fewest.min(days), most.max(days));
            }
        }
    }
    (fewest, most)
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.text())
    }
}

impl FromStr for Age {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        parse(text).ok_or_else(|| PolicyError::Value {
            name: "age",
            value: text.chars().take(40).collect(),
            expected: AGE_EXPECTED,
        })
    }
}

/// What errors say of a value that is no age.
pub(super) const AGE_EXPECTED: &str = "an age such as 12h, 30d, 6w, 18mo or 5y, at most 100 years";

pub(super) fn parse(text: &str) -> Option<Age> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let unit = AgeUnit::ALL.into_iter().find(|candidate| candidate.text() == unit)?;
    let age = Age { count: count.parse().ok()?, unit };
    // Printing is the only authority on the form: no leading zero.
    let sound = (1..=unit.count_max()).contains(&age.count) && age.to_string() == text;
    sound.then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(text: &str) -> Age {
        text.parse().unwrap()
    }

    fn after(text: &str, time: &str, zone: &TimeZone) -> String {
        age(text).after(time.parse().unwrap(), zone).to_string()
    }

    #[test]
    fn ages_print_and_parse_back() {
        for text in ["1h", "12h", "30d", "6w", "18mo", "5y", "100y", "36500d"] {
            assert_eq!(age(text).to_string(), text);
        }
        for text in [
            "",
            "5",
            "y",
            "0d",
            "05d",
            "+5d",
            "-5d",
            "5 d",
            "5D",
            "5m",
            "5min",
            "1y6mo",
            "1.5y",
            "101y",
            "36501d",
            "99999999999y",
            "５d",
        ] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }

    /// V-125
    #[test]
    fn months_and_years_follow_the_calendar() {
        let utc = TimeZone::UTC;
        assert_eq!(after("1mo", "2027-01-31T02:30:00Z", &utc), "2027-02-28T02:30:00Z");
        assert_eq!(after("1y", "2028-02-29T02:30:00Z", &utc), "2029-02-28T02:30:00Z");
        assert_eq!(after("5y", "2026-11-22T02:30:00Z", &utc), "2031-11-22T02:30:00Z");
        assert_eq!(after("18mo", "2026-11-22T02:30:00Z", &utc), "2028-05-22T02:30:00Z");
        assert_eq!(after("36h", "2026-11-22T02:30:00Z", &utc), "2026-11-23T14:30:00Z");
    }

    /// V-125
    #[test]
    fn a_day_ends_at_the_same_time_of_the_wall_clock() {
        // Clocks went forward on 2026-03-29 in Berlin: that day has 23 hours.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(after("1d", "2026-03-28T12:00:00Z", &berlin), "2026-03-29T11:00:00Z");
        assert_eq!(after("24h", "2026-03-28T12:00:00Z", &berlin), "2026-03-29T12:00:00Z");
    }

    #[test]
    fn an_age_beyond_the_calendar_is_never_reached() {
        let utc = TimeZone::UTC;
        assert_eq!(age("100y").after(Timestamp::MAX, &utc), Timestamp::MAX);
        let late = "9990-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(age("100y").after(late, &utc), Timestamp::MAX);
    }

    #[test]
    fn ages_are_ordered_only_where_no_calendar_can_reverse_them() {
        for (less, more) in [
            ("84mo", "7y"),
            ("7y", "84mo"),
            ("30d", "30d"),
            ("28d", "1mo"),
            ("1mo", "31d"),
            ("365d", "1y"),
            ("1y", "366d"),
            ("4w", "28d"),
            ("24h", "1d"),
            ("7y", "2557d"),
            ("36500d", "100y"),
        ] {
            assert!(age(less).never_exceeds(age(more)), "{less} {more}");
        }
        for (more, less) in [
            ("85mo", "7y"),
            ("29d", "1mo"),
            ("1mo", "30d"),
            ("366d", "1y"),
            ("1y", "365d"),
            ("7y", "2556d"),
            ("25h", "1d"),
        ] {
            assert!(!age(more).never_exceeds(age(less)), "{more} {less}");
        }
    }

    #[test]
    fn days_of_an_age_are_the_most_that_it_can_take() {
        let days = [("1h", 1), ("25h", 2), ("30d", 30), ("1mo", 31), ("2mo", 62), ("5y", 1827)];
        for (text, expected) in days {
            assert_eq!(age(text).days_max(), expected, "{text}");
        }
    }
}

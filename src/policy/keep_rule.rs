//! The reasons to keep snapshots that a policy can name. Spec: §8.6.

use std::fmt;
use std::num::NonZeroU32;

use super::age::Age;
use super::period::Period;

/// One reason to keep snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepRule {
    /// The newest so many.
    Last(NonZeroU32),
    /// One of each of the newest so many periods that have any.
    Each(Period, NonZeroU32),
    /// Every one younger than this.
    Within(Age),
}

impl KeepRule {
    /// Returns the rule's name in config and policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last(_) => "keep_last",
            Self::Each(Period::Hour, _) => "keep_hourly",
            Self::Each(Period::Day, _) => "keep_daily",
            Self::Each(Period::Week, _) => "keep_weekly",
            Self::Each(Period::Month, _) => "keep_monthly",
            Self::Each(Period::Year, _) => "keep_yearly",
            Self::Within(_) => "keep_within",
        }
    }

    /// Returns the age up to which the rule keeps a snapshot while new ones keep coming; nothing
    /// for `keep_last` where nobody knows how often they come.
    pub fn reach(self, every: Option<Period>) -> Option<Age> {
        match self {
            Self::Last(count) => every.map(|every| Age::saturating(count.get(), every.age_unit())),
            Self::Each(period, count) => Some(Age::saturating(count.get(), period.age_unit())),
            Self::Within(age) => Some(age),
        }
    }
}

impl fmt::Display for KeepRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(count) | Self::Each(_, count) => write!(f, "{} = {count}", self.name()),
            Self::Within(age) => write!(f, "{} = {age}", self.name()),
        }
    }
}

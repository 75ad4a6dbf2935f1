//! How many packs must be looked at for a sample to mean something. Spec: `sampling.md` §1.
//!
//! Sampling is without replacement, so the chance of missing all damage is hypergeometric: of `N`
//! packs of which `D` are damaged, `n` that nobody chose miss every damaged one with probability
//! C(N−D, n) ⁄ C(N, n).
//!
//! - Shares are decimal fractions of a percent and are kept exactly: nothing here is rounded down.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::base::{Code, Coded};

/// Millionths of a percent in the whole.
const WHOLE: u64 = 100_000_000;
/// Digits behind the point of a percentage at most.
const FRACTION_LEN_MAX: usize = 6;
/// Parts of a rolling verification at most.
const PARTS_MAX: u32 = 10_000;

/// Text that is not the share, probability or part that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("use {text:?} as {what}: expected {expected}")]
pub struct ParseShareError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

impl ParseShareError {
    pub(super) fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), what, expected }
    }
}

impl Coded for ParseShareError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

/// Parses `99.9%` into millionths of a percent, 0 and 100 % included.
fn parse_percent(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > FRACTION_LEN_MAX {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<FRACTION_LEN_MAX$}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    let parts = whole.checked_mul(WHOLE / 100)?.checked_add(fraction)?;
    (parts <= WHOLE).then_some(parts)
}

/// Writes millionths of a percent, such as `99.9 %`.
fn write_percent(parts: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, fraction) = (parts / (WHOLE / 100), parts % (WHOLE / 100));
    let digits = format!("{fraction:06}");
    match digits.trim_end_matches('0') {
        "" => write!(f, "{whole} %"),
        digits => write!(f, "{whole}.{digits} %"),
    }
}

macro_rules! percent_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(u64);

        impl FromStr for $name {
            type Err = ParseShareError;

            fn from_str(text: &str) -> Result<Self, ParseShareError> {
                let parts = parse_percent(text).filter(|parts| (1..=$max).contains(parts));
                parts.map(Self).ok_or_else(|| ParseShareError::new(text, $what, $expected))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_percent(self.0, f)
            }
        }
    };
}

percent_type!(
    /// How likely a sample meets damage that is there: more than 0 and less than 100 %.
    Confidence, "a probability", WHOLE - 1,
    "a percentage above 0% and below 100%, such as 99% or 99.9%"
);
percent_type!(
    /// The share of packs whose damage is not to be missed: more than 0 and less than 100 %.
    Loss, "a share of packs", WHOLE - 1,
    "a percentage above 0% and below 100%, such as 0.1%"
);
percent_type!(
    /// The share of packs that is looked at: more than 0, and 100 % at most.
    Share, "a share of packs", WHOLE,
    "a percentage above 0% and up to 100%, such as 5% or 0.5%"
);

impl Confidence {
    /// The one with which samples are described whose size was given otherwise.
    pub const USUAL: Self = Self(99 * (WHOLE / 100));

    /// Returns the probability of missing all damage that is left.
    fn miss_max(self) -> f64 {
        (WHOLE - self.0) as f64 / WHOLE as f64
    }
}

impl Loss {
    /// Returns how many of some packs it is: rounded up, and one at least.
    pub fn of(self, pack_count: u64) -> u64 {
        share_of(self.0, pack_count).max(1)
    }
}

impl Share {
    /// Returns how many of some packs it is: rounded up.
    pub fn of(self, pack_count: u64) -> u64 {
        share_of(self.0, pack_count)
    }
}

fn share_of(parts: u64, pack_count: u64) -> u64 {
    let share = (u128::from(parts) * u128::from(pack_count)).div_ceil(u128::from(WHOLE));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Into how many parts a verification is divided that goes round: `1/12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rolling(u32);

impl Rolling {
    /// Returns the number of parts.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Returns how many of some packs one part is: rounded up.
    pub fn of(self, pack_count: u64) -> u64 {
        pack_count.div_ceil(u64::from(self.0))
    }
}

impl FromStr for Rolling {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let digits =
            text.strip_prefix("1/").filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let parts = digits.and_then(|digits| digits.parse().ok());
        let parts = parts.filter(|parts| (1..=PARTS_MAX).contains(parts));
        let expected = "1/N, with N from 1 to 10000, such as 1/12";
        parts.map(Self).ok_or_else(|| ParseShareError::new(text, "one part of many", expected))
    }
}

impl fmt::Display for Rolling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.0)
    }
}

/// Returns the least number of packs of which a sample meets one of `damaged_count` damaged packs
/// with this confidence: the smallest `n` with C(N−D, n) ⁄ C(N, n) ≤ 1 − C.
///
/// As that is symmetric in `n` and `D`, it also returns the least number of damaged packs of which
/// a sample of `damaged_count` meets one.
///
/// The quotient is built factor by factor, each of them at most 1: so nothing overflows, and each
/// adds no more than two roundings, which the comparison allows for.
pub fn sample_count(pack_count: u64, damaged_count: u64, confidence: Confidence) -> u64 {
    let sound_count = pack_count.saturating_sub(damaged_count);
    let miss_max = confidence.miss_max();
    let (mut missed, mut slack) = (1.0, 1.0);
    let mut count = 0;
    while missed > miss_max * slack && count < pack_count {
        missed *= sound_count.saturating_sub(count) as f64 / (pack_count - count) as f64;
        slack += 2.0 * f64::EPSILON;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confidence(text: &str) -> Confidence {
        text.parse().unwrap()
    }

    /// Counts subsets: the smallest sample of which at most `1 − C` of all choices miss, by whole
    /// numbers alone.
    fn by_counting(pack_count: u64, damaged_count: u64, confidence: Confidence) -> u64 {
        let choose = |of: u64, count: u64| -> u128 {
            if count > of {
                return 0;
            }
            (0..u128::from(count)).fold(1, |all, i| all * (u128::from(of) - i) / (i + 1))
        };
        let misses = |count: u64| {
            let missed = choose(pack_count - damaged_count, count) * u128::from(WHOLE);
            missed <= choose(pack_count, count) * u128::from(WHOLE - confidence.0)
        };
        (0..=pack_count).find(|count| misses(*count)).unwrap()
    }

    /// Y-1
    #[test]
    fn the_size_of_a_sample_is_what_counting_every_choice_gives() {
        for text in ["50%", "90%", "95%", "99%", "99.9%", "0.000001%", "99.999999%"] {
            let confidence = confidence(text);
            for pack_count in 1..=40 {
                for damaged_count in 1..=pack_count {
                    let found = sample_count(pack_count, damaged_count, confidence);
                    let counted = by_counting(pack_count, damaged_count, confidence);
                    assert_eq!(found, counted, "{damaged_count} of {pack_count}, {text}");
                }
            }
        }
        // Where the probability is met exactly, no pack more is taken: 99 of 100 miss one in 100.
        for pack_count in [100, 1000, 100_000, 1_000_000] {
            let count = sample_count(pack_count, 1, confidence("99%"));
            assert_eq!(count, pack_count / 100 * 99);
        }
    }

    /// Y-1
    #[test]
    fn a_sample_grows_with_confidence_and_shrinks_with_damage() {
        let counts = |damaged| {
            ["80%", "99%", "99.99%"].map(|text| sample_count(1_000_000, damaged, confidence(text)))
        };
        let mut before = [u64::MAX; 3];
        for damaged in [1, 2, 10, 1000, 5000, 100_000, 999_999, 1_000_000] {
            let now = counts(damaged);
            assert!(now.is_sorted() && now.iter().zip(before).all(|(now, before)| *now <= before));
            before = now;
        }
        assert_eq!(before, [1; 3], "of packs that are all damaged one is enough");
        for (packs, damaged) in [(500, 7), (41_203, 42), (41_203, 4497)] {
            let found = sample_count(packs, damaged, Confidence::USUAL);
            assert!(sample_count(packs, found, Confidence::USUAL) <= damaged, "it is symmetric");
        }
        assert_eq!(sample_count(0, 1, Confidence::USUAL), 0);
    }

    /// Y-1
    #[test]
    fn shares_are_rounded_up_and_a_loss_is_one_pack_at_least() {
        let loss: Loss = "0.1%".parse().unwrap();
        assert_eq!([1, 999, 1000, 1001, 41_203].map(|count| loss.of(count)), [1, 1, 1, 2, 42]);
        assert_eq!(loss.of(0), 1);
        let share: Share = "10%".parse().unwrap();
        assert_eq!([0, 1, 10, 11].map(|count| share.of(count)), [0, 1, 1, 2]);
        assert_eq!("100%".parse::<Share>().unwrap().of(u64::MAX), u64::MAX);
        let rolling: Rolling = "1/12".parse().unwrap();
        assert_eq!([0, 1, 12, 13].map(|count| rolling.of(count)), [0, 1, 1, 2]);
        assert_eq!(rolling.to_string(), "1/12");
    }

    /// Y-2
    #[test]
    fn what_is_no_share_is_refused_with_what_would_be_one() {
        for text in ["99%", "99.9%", "0.1%", "0.000001%", "1 %", "99.999999%"] {
            assert!(text.parse::<Confidence>().is_ok() && text.parse::<Loss>().is_ok(), "{text}");
        }
        let wrong = [
            "0%",
            "0.0%",
            "100%",
            "100.1%",
            "-1%",
            "1.5",
            "NaN",
            "NaN%",
            "inf%",
            "%",
            "",
            "1e1%",
            "1,5%",
            ".5%",
            "5.%",
            "0.0000001%",
            "99999999999999999999%",
            "+1%",
            "1%%",
            "１%",
        ];
        for text in wrong {
            assert!(text.parse::<Confidence>().is_err() && text.parse::<Loss>().is_err(), "{text}");
        }
        let error = "1.5".parse::<Loss>().unwrap_err();
        let expected = "a percentage above 0% and below 100%, such as 0.1%";
        assert_eq!(
            error.to_string(),
            format!("use \"1.5\" as a share of packs: expected {expected}")
        );
        for text in ["1/0", "2/12", "12", "1/", "1/-1", "1/10001", "0/1", "1/1.5", "1/ 2"] {
            assert!(text.parse::<Rolling>().is_err(), "{text}");
        }
        assert_eq!(confidence("99.90%").to_string(), "99.9 %");
        assert_eq!("7%".parse::<Loss>().unwrap().to_string(), "7 %");
    }
}

//! Which snapshot is meant: an id, a unique prefix of one, `latest`, or a time.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use thiserror::Error;

use super::UsageError;
use crate::base::{Code, Coded, SnapshotId};

/// The word for the newest snapshot.
const LATEST: &str = "latest";
/// Length of a date alone, as in 2026-03-01.
const DATE_LEN: usize = 10;

/// One snapshot, by id or by time.
#[derive(Debug, Clone, Args)]
pub struct SelectionArgs {
    /// Snapshot: an id, a unique prefix of one, or `latest`
    #[arg(value_name = "ID", required_unless_present = "at")]
    pub id: Option<String>,
    /// Newest snapshot not younger than TIME: a date (until its end), a local time, or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub at: Option<String>,
}

impl SelectionArgs {
    /// Parses what was given.
    ///
    /// # Errors
    /// If it is neither an id nor a time.
    pub fn selector(&self) -> Result<Selector, SelectError> {
        match (&self.at, &self.id) {
            (Some(time), _) => parse_time(time, &TimeZone::system()).map(Selector::At),
            (None, Some(id)) => Selector::parse(id),
            (None, None) => Ok(Selector::Latest),
        }
    }
}

/// Which snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The newest.
    Latest,
    /// The newest that is not younger than a time.
    At(Timestamp),
    /// The only one whose id begins so.
    Prefix(String),
}

/// Why it is not clear which snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// The text cannot begin an id.
    #[error(
        "read {text:?} as a snapshot: expected latest, or the beginning of an id such as \
         20260301T023000Z-1a2b3c4d"
    )]
    NotAnId {
        /// The text.
        text: String,
    },
    /// The text is no time, or the words do not fit together.
    #[error(transparent)]
    Usage(UsageError),
    /// There is no such snapshot.
    #[error("find snapshot {wanted}: {}", none_of(*count))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// How many snapshots there are.
        count: usize,
    },
    /// Several ids begin so.
    #[error("find snapshot {prefix}: {} match: {}", ids.len(), list(ids))]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// The ids that begin with it.
        ids: Vec<SnapshotId>,
    },
}

impl Coded for SelectError {
    fn code(&self) -> Code {
        match self {
            Self::NotAnId { .. } => Code::IdInvalid,
            Self::Usage(error) => error.code(),
            Self::Unknown { .. } => Code::SnapshotUnknown,
            Self::Ambiguous { .. } => Code::SnapshotAmbiguous,
        }
    }
}

impl Selector {
    /// Parses an id, the beginning of one, or `latest`.
    ///
    /// # Errors
    /// If no id can begin so.
    pub fn parse(text: &str) -> Result<Self, SelectError> {
        if text == LATEST {
            return Ok(Self::Latest);
        }
        let fits = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            16 => byte == b'-',
            0..=14 => byte.is_ascii_digit(),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        let sound = (1..=SnapshotId::TEXT_LEN).contains(&text.len());
        if !sound || !text.bytes().enumerate().all(fits) {
            return Err(SelectError::NotAnId { text: text.chars().take(80).collect() });
        }
        Ok(Self::Prefix(text.to_owned()))
    }

    /// Returns the snapshot that is meant among those that exist, in any order.
    ///
    /// # Errors
    /// If none is meant, or it is not clear which.
    pub fn choose(&self, ids: &[SnapshotId]) -> Result<SnapshotId, SelectError> {
        let found = match self {
            Self::Latest => ids.iter().max().copied(),
            Self::At(time) => ids.iter().filter(|id| id.time() <= *time).max().copied(),
            Self::Prefix(prefix) => {
                let begins = |id: &&SnapshotId| id.to_string().starts_with(prefix.as_str());
                let matching: Vec<SnapshotId> = ids.iter().filter(begins).copied().collect();
                if matching.len() > 1 {
                    let prefix = prefix.clone();
                    return Err(SelectError::Ambiguous { prefix, ids: matching });
                }
                matching.first().copied()
            }
        };
        found.ok_or_else(|| SelectError::Unknown { wanted: self.to_string(), count: ids.len() })
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => f.write_str(LATEST),
            Self::At(time) => write!(f, "at {time}"),
            Self::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

/// Says that none of so many matches.
fn none_of(count: usize) -> String {
    match count {
        0 => "there is none yet".to_owned(),
        1 => "the one that there is does not match".to_owned(),
        _ => format!("none of the {count} that there are matches"),
    }
}

/// Writes the first few ids.
fn list(ids: &[SnapshotId]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = ids.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if ids.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Parses a time; a date alone means its end, so that the snapshots of that day count.
pub fn parse_time(text: &str, zone: &TimeZone) -> Result<Timestamp, SelectError> {
    let read = || -> Result<Timestamp, jiff::Error> {
        if text.len() == DATE_LEN {
            let next: civil::Date = text.parse::<civil::Date>()?.tomorrow()?;
            let end = next.to_zoned(zone.clone())?.timestamp();
            return end.checked_sub(jiff::SignedDuration::from_nanos(1));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(time);
        }
        Ok(text.parse::<civil::DateTime>()?.to_zoned(zone.clone())?.timestamp())
    };
    read().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        SelectError::Usage(UsageError::new(
            format!("read {shown:?} as a time"),
            "expected 2026-03-01, '2026-03-01 02:30' or 2026-03-01T02:30:00Z",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<SnapshotId> {
        ["20260301T023000Z-1a2b3c4d", "20260302T023000Z-00000001", "20260302T023000Z-00000002"]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect()
    }

    fn choose(text: &str) -> Result<String, SelectError> {
        Ok(Selector::parse(text)?.choose(&ids())?.to_string())
    }

    fn choose_at(text: &str) -> Result<String, SelectError> {
        let time = parse_time(text, &TimeZone::UTC)?;
        Ok(Selector::At(time).choose(&ids())?.to_string())
    }

    #[test]
    fn a_snapshot_is_found_by_id_unique_prefix_and_latest() {
        assert_eq!(choose("latest").unwrap(), "20260302T023000Z-00000002");
        assert_eq!(choose("20260301").unwrap(), "20260301T023000Z-1a2b3c4d");
        assert_eq!(choose("20260302T023000Z-00000001").unwrap(), "20260302T023000Z-00000001");
    }

    #[test]
    fn an_ambiguous_or_unknown_prefix_is_refused() {
        let error = choose("20260302").unwrap_err();
        assert_eq!(error.code(), Code::SnapshotAmbiguous);
        assert!(error.to_string().contains("2 match: 20260302T023000Z-00000001, "));
        assert_eq!(choose("2025").unwrap_err().code(), Code::SnapshotUnknown);
        assert_eq!(Selector::Latest.choose(&[]).unwrap_err().code(), Code::SnapshotUnknown);
    }

    #[test]
    fn text_that_cannot_begin_an_id_is_refused() {
        let long = "20260302T023000Z-000000011";
        for text in ["", "Latest", "20260302-", "20260302T023000Z-0000000G", "..", "é", long] {
            assert_eq!(choose(text).unwrap_err().code(), Code::IdInvalid, "{text}");
        }
    }

    #[test]
    fn a_time_selects_the_newest_that_is_not_younger() {
        assert_eq!(choose_at("2026-03-01").unwrap(), "20260301T023000Z-1a2b3c4d");
        assert_eq!(choose_at("2026-03-02 02:29").unwrap(), "20260301T023000Z-1a2b3c4d");
        assert_eq!(choose_at("2026-03-02T02:30:00Z").unwrap(), "20260302T023000Z-00000002");
        assert_eq!(choose_at("2026-03-02T03:29:59+01:00").unwrap(), "20260301T023000Z-1a2b3c4d");
        assert_eq!(choose_at("2026-02-28").unwrap_err().code(), Code::SnapshotUnknown);
        for text in ["", "yesterday", "2026-13-01", "03/01/2026", "2026-03-01T25:00"] {
            assert_eq!(choose_at(text).unwrap_err().code(), Code::UsageInvalid, "{text}");
        }
    }
}

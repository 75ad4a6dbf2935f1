//! Finding the snapshot that a person means. Spec: §2.

use jiff::Timestamp;

use super::Error;
use crate::base::SnapshotId;

/// How a person names a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its id, a unique beginning of it, or `latest`.
    Text(String),
    /// The newest one not after a time.
    At(Timestamp),
}

/// Returns the one snapshot of `ids`, sorted, that is meant.
///
/// # Errors
/// If none or several match.
pub fn select(ids: &[SnapshotId], selector: &Selector) -> Result<SnapshotId, Error> {
    let unknown = |text: &str| Error::SnapshotUnknown { text: text.to_owned(), count: ids.len() };
    let text = match selector {
        Selector::At(time) => {
            let before = ids.iter().rev().find(|id| id.time() <= *time);
            return before.copied().ok_or_else(|| unknown(&format!("at {time}")));
        }
        Selector::Text(text) if text == "latest" => {
            return ids.last().copied().ok_or_else(|| unknown(text));
        }
        Selector::Text(text) => text,
    };
    let matches: Vec<SnapshotId> =
        ids.iter().copied().filter(|id| id.to_string().starts_with(text.as_str())).collect();
    match matches[..] {
        [] => Err(unknown(text)),
        [only] => Ok(only),
        [first, .., last] => {
            Err(Error::SnapshotAmbiguous { text: text.clone(), count: matches.len(), first, last })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_beginning_latest_or_a_time_names_a_snapshot() {
        let ids: Vec<SnapshotId> = ["20261121T023000Z-00000001", "20261122T023000Z-00000002"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let find = |text: &str| select(&ids, &Selector::Text(text.to_owned()));
        assert_eq!(find("latest").unwrap(), ids[1]);
        assert_eq!(find("20261121").unwrap(), ids[0]);
        assert!(matches!(find("2026"), Err(Error::SnapshotAmbiguous { count: 2, .. })));
        assert!(matches!(find("2025"), Err(Error::SnapshotUnknown { count: 2, .. })));
        let at = |text: &str| select(&ids, &Selector::At(text.parse().unwrap()));
        assert_eq!(at("2026-11-22T00:00:00Z").unwrap(), ids[0]);
        assert!(at("2026-11-01T00:00:00Z").is_err());
    }
}

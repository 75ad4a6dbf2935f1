//! Receipts as text: what a store said when it took each object. Spec: `evidence.md` §3.
//!
//! ```text
//! # idswyft-vault/v1 receipts <vault> <store>
//! ## <snapshot>                                  of a `store.completed` event; its lines follow
//! <name> <time> <version-id> <sha256>            what was not told is "-"
//! ```
//!
//! The lines of a group are those whose SHA-256 the event has, byte for byte.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::base::{SnapshotId, VaultId};
use crate::format::ObjectKey;
use crate::manifest::KeptReceipt;

/// What the first line begins with.
const HEAD: &str = "# idswyft-vault/v1 receipts ";
/// What the line of a group begins with.
const GROUP: &str = "## ";
/// Most bytes of a line: a name, a time, a version id of S3 (at most 1024) and a digest.
pub const LINE_LEN_MAX: usize = 4096;

/// Returns the line of a receipt.
pub fn line(receipt: &KeptReceipt) -> String {
    let time = Timestamp::from_second(receipt.second);
    let time = time.map_or_else(|_| "-".to_owned(), |time| time.to_string());
    let version = receipt.version_id.as_deref().unwrap_or("-");
    let mut line = format!("{} {time} {version} ", receipt.key);
    match receipt.checksum {
        Some(digest) => writeln!(line, "{digest}"),
        None => writeln!(line, "-"),
    }
    .expect("a string takes what is written to it");
    line
}

/// Parses a line with its line feed; none, if [`line`] would not write it so.
pub fn parse_line(text: &str) -> Option<KeptReceipt> {
    let told = |word: &str| (word != "-").then(|| word.to_owned());
    let mut words = text.strip_suffix('\n')?.split(' ');
    let key: ObjectKey = words.next()?.parse().ok()?;
    let time: Timestamp = words.next()?.parse().ok()?;
    let version_id = told(words.next()?);
    let checksum = match words.next()? {
        "-" => None,
        digest => Some(digest.parse().ok()?),
    };
    let receipt = KeptReceipt { key, second: time.as_second(), version_id, checksum };
    (line(&receipt) == text).then_some(receipt)
}

/// Returns the first line.
pub fn head(vault: VaultId, store: &str) -> String {
    format!("{HEAD}{vault} {store}\n")
}

/// Parses the first line: of which vault and store the receipts are.
pub fn parse_head(text: &str) -> Option<(VaultId, String)> {
    let (vault, store) = text.strip_prefix(HEAD)?.strip_suffix('\n')?.split_once(' ')?;
    let is_name = !store.is_empty() && !store.chars().any(char::is_control);
    let store = Some(store).filter(|_| is_name)?;
    Some((vault.parse().ok()?, store.to_owned()))
}

/// Returns the line that begins a group.
pub fn group(snapshot: SnapshotId) -> String {
    format!("{GROUP}{snapshot}\n")
}

/// Parses the line that begins a group.
pub fn parse_group(text: &str) -> Option<SnapshotId> {
    text.strip_prefix(GROUP)?.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digest, PackId};

    fn receipt() -> KeptReceipt {
        KeptReceipt {
            key: ObjectKey::Pack(PackId::from_bytes([0xab; 32])),
            second: 1_795_314_600,
            version_id: Some("v.1".to_owned()),
            checksum: Some(Digest::from_bytes([0xab; 32])),
        }
    }

    /// W-9
    #[test]
    fn a_line_is_read_as_it_is_written_and_in_no_other_way() {
        let silent = KeptReceipt { version_id: None, checksum: None, ..receipt() };
        for receipt in [receipt(), silent] {
            assert_eq!(parse_line(&line(&receipt)), Some(receipt));
        }
        let sound = line(&receipt());
        for wrong in [
            sound.trim_end().to_owned(),
            sound.replace(' ', "  "),
            sound.replace("02:30:00Z", "02:30:00.0Z"),
            sound.replace("abab", "ABAB"),
            sound.replace("packs/", "pucks/"),
            format!("{} more\n", sound.trim_end()),
            "\n".to_owned(),
        ] {
            assert_eq!(parse_line(&wrong), None, "{wrong}");
        }
    }
}

//! The list of a snapshot: every pack and tree object that it needs. Spec: §8.3.
//!
//! ```text
//! # idswyft-vault/v1 list <vault-id> <snapshot-id>
//! # <stored length>
//! <sha256>  packs/<2 hex>/<sha256>
//! ```
//!
//! - It is a file for `sha256sum -c`; what that tool must skip is a comment.
//! - Objects stand in the order of their names, each once, so a list has exactly one spelling.
//! - Composed and parsed line by line: nothing but the caller's own buffer grows with it.

use super::envelope::FormatError;
use super::key::ObjectKey;
use super::note::{MAGIC, check_first_line};
use crate::base::limits::{JSON_INTEGER_MAX, LIST_LEN_MAX, PACK_STORED_LEN_MAX};
use crate::base::{SnapshotId, VaultId};

const WHAT: &str = "list";
const KIND: &str = "list";

/// Longest line of a list in bytes, its newline left out.
pub const LINE_LEN_MAX: usize = 160;

/// One object that the snapshot needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListEntry {
    /// A pack or tree object.
    pub key: ObjectKey,
    /// Its stored length in bytes.
    pub stored_len: u64,
}

/// What the snapshot note repeats of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTotals {
    /// Packs in the list.
    pub pack_count: u64,
    /// Tree objects in the list.
    pub tree_count: u64,
    /// Their stored bytes.
    pub stored_len: u64,
}

/// Holds the rules between entries, for composing and parsing alike.
struct Order {
    last: Option<ObjectKey>,
    totals: ListTotals,
}

impl Order {
    const fn new() -> Self {
        let totals = ListTotals { pack_count: 0, tree_count: 0, stored_len: 0 };
        Self { last: None, totals }
    }

    fn accept(&mut self, entry: &ListEntry) -> Result<(), FormatError> {
        let ListEntry { key, stored_len } = *entry;
        let invalid = |detail: String| Err(FormatError::invalid(WHAT, detail));
        if let Some(last) = self.last.filter(|last| *last >= key) {
            return invalid(format!("{key} does not come after {last}"));
        }
        if stored_len == 0 || stored_len > PACK_STORED_LEN_MAX {
            return invalid(format!("{key} has the length {stored_len}"));
        }
        match key {
            ObjectKey::Pack(_) => self.totals.pack_count += 1,
            ObjectKey::Tree(_) => self.totals.tree_count += 1,
            _ => return invalid(format!("{key} is neither a pack nor a tree object")),
        }
        self.last = Some(key);
        self.totals.stored_len += stored_len;
        if self.totals.stored_len > JSON_INTEGER_MAX {
            return invalid("the sum of lengths is above 2^53".into());
        }
        Ok(())
    }
}

/// Composes a list, one entry after the other.
pub struct ListComposer {
    order: Order,
}

impl ListComposer {
    /// Begins a list and returns its first line.
    pub fn new(vault: VaultId, snapshot: SnapshotId) -> (Self, String) {
        (Self { order: Order::new() }, format!("# {MAGIC} {KIND} {vault} {snapshot}\n"))
    }

    /// Returns the two lines of the next object.
    ///
    /// # Errors
    /// If the object is neither a pack nor a tree object, or does not come after the last one.
    pub fn entry(&mut self, entry: &ListEntry) -> Result<String, FormatError> {
        self.order.accept(entry)?;
        let ListEntry { key, stored_len } = entry;
        let id = key.pack().expect("only packs and tree objects are accepted above");
        Ok(format!("# {stored_len}\n{id}  {key}\n"))
    }

    /// Ends the list and returns what the note repeats of it.
    pub const fn finish(self) -> ListTotals {
        self.order.totals
    }
}

/// Composes a whole list of objects in the order of their names.
///
/// # Errors
/// As [`ListComposer::entry`], and if the list is too long.
pub fn compose(
    vault: VaultId,
    snapshot: SnapshotId,
    entries: impl IntoIterator<Item = ListEntry>,
) -> Result<(String, ListTotals), FormatError> {
    let (mut composer, mut text) = ListComposer::new(vault, snapshot);
    for entry in entries {
        text.push_str(&composer.entry(&entry)?);
        FormatError::check_len(WHAT, text.len(), LIST_LEN_MAX)?;
    }
    Ok((text, composer.finish()))
}

enum Expected {
    FirstLine,
    Length,
    Object(u64),
}

/// Parses a list, one line after the other.
pub struct ListParser {
    ids: String,
    expected: Expected,
    order: Order,
}

impl ListParser {
    /// Expects the list of this snapshot.
    pub fn new(vault: VaultId, snapshot: SnapshotId) -> Self {
        let ids = format!("{vault} {snapshot}");
        Self { ids, expected: Expected::FirstLine, order: Order::new() }
    }

    /// Takes the next line, without its newline; every second one completes an entry.
    ///
    /// # Errors
    /// [`FormatError::Foreign`] for the list of another snapshot, [`FormatError::TooNew`] for one
    /// of a newer format, else [`FormatError::Invalid`].
    pub fn line(&mut self, line: &[u8]) -> Result<Option<ListEntry>, FormatError> {
        let bad = || FormatError::invalid(WHAT, "a line is not as lists have it");
        let line = std::str::from_utf8(line).map_err(|_| bad())?;
        if line.len() > LINE_LEN_MAX {
            return Err(bad());
        }
        match self.expected {
            Expected::FirstLine => {
                let line = line.strip_prefix("# ").ok_or_else(bad)?;
                check_first_line(WHAT, line, KIND, &self.ids)?;
                self.expected = Expected::Length;
                Ok(None)
            }
            Expected::Length => {
                let digits = line.strip_prefix("# ").ok_or_else(bad)?;
                let len: u64 = digits.parse().map_err(|_| bad())?;
                if len.to_string() != digits {
                    return Err(bad());
                }
                self.expected = Expected::Object(len);
                Ok(None)
            }
            Expected::Object(stored_len) => {
                let (digest, name) = line.split_once("  ").ok_or_else(bad)?;
                let key: ObjectKey = name.parse().map_err(|_| bad())?;
                if key.pack().is_none_or(|id| id.to_string() != digest) {
                    return Err(bad());
                }
                let entry = ListEntry { key, stored_len };
                self.order.accept(&entry)?;
                self.expected = Expected::Length;
                Ok(Some(entry))
            }
        }
    }

    /// Ends the list: proves that no line is missing from its last entry.
    ///
    /// # Errors
    /// If the list has no first line or ends within an entry.
    pub fn finish(self) -> Result<ListTotals, FormatError> {
        match self.expected {
            Expected::Length => Ok(self.order.totals),
            _ => Err(FormatError::invalid(WHAT, "the list ends too early")),
        }
    }
}

/// Parses a whole list.
///
/// # Errors
/// As [`ListParser::line`] and [`ListParser::finish`], and if the list is too long.
pub fn parse(
    bytes: &[u8],
    vault: VaultId,
    snapshot: SnapshotId,
) -> Result<(Vec<ListEntry>, ListTotals), FormatError> {
    FormatError::check_len(WHAT, bytes.len(), LIST_LEN_MAX)?;
    let mut parser = ListParser::new(vault, snapshot);
    let mut entries = Vec::new();
    let lines = bytes
        .strip_suffix(b"\n")
        .ok_or_else(|| FormatError::invalid(WHAT, "the last line has no end"))?;
    for line in lines.split(|byte| *byte == b'\n') {
        entries.extend(parser.line(line)?);
    }
    Ok((entries, parser.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded, PackId};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::collections::BTreeMap;
    use std::process::Command;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn snapshot() -> SnapshotId {
        "20261122T023000Z-1a2b3c4d".parse().unwrap()
    }

    fn pack(byte: u8, stored_len: u64) -> ListEntry {
        ListEntry { key: ObjectKey::Pack(PackId::from_bytes([byte; 32])), stored_len }
    }

    fn tree(byte: u8, stored_len: u64) -> ListEntry {
        ListEntry { key: ObjectKey::Tree(PackId::from_bytes([byte; 32])), stored_len }
    }

    fn sample() -> String {
        compose(VAULT, snapshot(), [pack(1, 10), pack(2, 20), tree(1, 5)]).unwrap().0
    }

    fn parse_text(text: &str) -> Result<(Vec<ListEntry>, ListTotals), FormatError> {
        parse(text.as_bytes(), VAULT, snapshot())
    }

    proptest! {
        #[test]
        fn a_list_parses_back(
            objects in any::<BTreeMap<(bool, [u8; 32]), u32>>()
        ) {
            let entries: Vec<_> = objects.iter().map(|((is_tree, id), len)| {
                let id = PackId::from_bytes(*id);
                let key = if *is_tree { ObjectKey::Tree(id) } else { ObjectKey::Pack(id) };
                ListEntry { key, stored_len: u64::from(*len % 1_000_000) + 1 }
            }).collect();
            let (text, totals) = compose(VAULT, snapshot(), entries.clone()).unwrap();
            prop_assert_eq!(parse_text(&text).unwrap(), (entries, totals));
        }

        /// V-114
        #[test]
        fn another_byte_anywhere_is_an_error_or_another_list(at in 0_usize..500, byte: u8) {
            let mut bytes = sample().into_bytes();
            let at = at % bytes.len();
            if bytes[at] != byte {
                bytes[at] = byte;
                let parsed = parse(&bytes, VAULT, snapshot());
                assert!(parsed.is_err() || parsed.unwrap() != parse_text(&sample()).unwrap());
            }
        }
    }

    #[test]
    fn totals_count_packs_trees_and_bytes() {
        let totals = parse_text(&sample()).unwrap().1;
        assert_eq!(totals, ListTotals { pack_count: 2, tree_count: 1, stored_len: 35 });
        let (text, totals) = compose(VAULT, snapshot(), []).unwrap();
        assert_eq!(parse_text(&text).unwrap(), (vec![], totals));
    }

    /// V-111
    #[test]
    fn only_packs_and_trees_in_order_and_once_are_composed() {
        for entries in [
            [pack(2, 1), pack(1, 1)],
            [pack(1, 1), pack(1, 1)],
            [tree(1, 1), pack(2, 1)],
            [pack(1, 1), pack(2, 0)],
            [pack(1, 1), pack(2, PACK_STORED_LEN_MAX + 1)],
            [pack(1, 1), ListEntry { key: ObjectKey::Body(snapshot()), stored_len: 1 }],
        ] {
            assert!(compose(VAULT, snapshot(), entries).is_err());
        }
    }

    #[test]
    fn the_list_of_another_snapshot_or_version_is_told_apart() {
        let other = "20261122T023000Z-00000000".parse().unwrap();
        let error = parse(sample().as_bytes(), VAULT, other).unwrap_err();
        assert_eq!(error.code(), Code::ObjectForeign);
        let error = parse_text(&sample().replace("vault/v1", "vault/v2")).unwrap_err();
        assert_eq!(error.code(), Code::FormatTooNew);
    }

    /// V-112, V-113
    #[test]
    fn hostile_lists_are_refused() {
        let text = sample();
        let lines: Vec<&str> = text.lines().collect();
        let without = |skip: usize| {
            let kept = lines.iter().enumerate().filter(|(index, _)| *index != skip);
            kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
        };
        for bad in [
            String::new(),
            "\n".into(),
            without(0),
            without(1),
            without(2),
            without(6),
            text.trim_end().into(),
            format!("{text}\n"),
            format!("{text}# 7\n"),
            format!("{text}# comment\n"),
            text.replace("# 10", "# 010"),
            text.replace("# 10", "# +10"),
            text.replace("# 10", "# -1"),
            text.replace("  packs", " *packs"),
            text.replace("  packs", "  ./packs"),
            text.replace("packs/01", "packs/02"),
            text.replace("packs/", "packs/../"),
            text.replace('\n', "\r\n"),
            text.replacen(&"01".repeat(32), &"02".repeat(32), 1),
        ] {
            assert!(parse_text(&bad).is_err(), "{bad}");
        }
        let long = format!("# {}\n", "1".repeat(100_000));
        assert!(parse_text(&long).is_err());
    }

    /// V-110
    #[test]
    fn stock_sha256sum_checks_a_store_by_its_list() {
        use sha2::{Digest, Sha256};
        let store = tempfile::tempdir().unwrap();
        let mut entries: Vec<ListEntry> = ["pack one", "pack two", "tree"]
            .iter()
            .enumerate()
            .map(|(index, content)| {
                let id = PackId::from_bytes(Sha256::digest(content).into());
                let key = if index == 2 { ObjectKey::Tree(id) } else { ObjectKey::Pack(id) };
                let path = store.path().join(key.to_string());
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
                ListEntry { key, stored_len: content.len() as u64 }
            })
            .collect();
        entries.sort();
        let (text, _) = compose(VAULT, snapshot(), entries.clone()).unwrap();
        std::fs::write(store.path().join("list"), text).unwrap();
        let check = || {
            let mut command = Command::new("sha256sum");
            command.args(["--check", "--strict", "list"]).current_dir(store.path());
            command.output().unwrap()
        };
        let output = check();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).matches(": OK").count(), 3);
        std::fs::write(store.path().join(entries[0].key.to_string()), "altered").unwrap();
        assert!(!check().status.success());
    }
}

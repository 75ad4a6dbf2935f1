//! Reading the list of a snapshot line by line: however long it is, little of it is in memory.
//! Spec: §8.3.

use std::io::{BufRead, BufReader, Read};

use super::Error;
use crate::base::limits::LIST_LEN_MAX;
use crate::base::{SnapshotId, VaultId};
use crate::crypto::digest::Sha256Hasher;
use crate::format::list::{LINE_LEN_MAX, ListEntry, ListParser, ListTotals};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{FormatError, ObjectKey};
use crate::store::{self, Store};

/// Gives every object of a snapshot's list to `take`, in order.
///
/// What `take` got is proven only once this returns: the list's digest is known at its end.
///
/// # Errors
/// If the list is not the one that was signed, contradicts the note, or `take` fails.
pub fn read_list(
    store: &dyn Store,
    note: &SnapshotNote,
    take: &mut dyn FnMut(ListEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let key = ObjectKey::List(note.snapshot);
    // One byte more than was signed shows that it is longer.
    let reader = store.open(&key)?.take(note.list.len + 1);
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    let (mut hasher, mut len) = (Sha256Hasher::new(), 0);
    let mut parser = ListParser::new(note.vault, note.snapshot);
    let mut parsed: Result<(), Error> = Ok(());
    loop {
        line.clear();
        let bounded = reader.by_ref().take(LINE_LEN_MAX as u64 + 1).read_until(b'\n', &mut line);
        let read = bounded.map_err(|cause| unreadable(store, key, cause))?;
        if read == 0 {
            break;
        }
        hasher.update(&line);
        len += read as u64;
        // A list that is not the signed one is that first, whatever else is wrong with it.
        if parsed.is_ok() {
            parsed = take_line(&mut parser, &line, key, take);
        }
    }
    super::auditor::check_digest(key, &note.list, len, hasher.finish())?;
    parsed?;
    let totals = parser.finish().map_err(|error| Error::format(key, error))?;
    check_totals(note, totals)
}

/// Gives every object of a list to `take`, though nothing says that it is the one that was signed.
///
/// For whoever only keeps what is named: its note is gone, and with it what proves the list.
///
/// # Errors
/// If it is no list of that snapshot, or `take` fails.
pub fn read_unproven_list(
    store: &dyn Store,
    vault: VaultId,
    snapshot: SnapshotId,
    take: &mut dyn FnMut(ListEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let key = ObjectKey::List(snapshot);
    let mut reader = BufReader::new(store.open(&key)?.take(LIST_LEN_MAX));
    let (mut parser, mut line) = (ListParser::new(vault, snapshot), Vec::new());
    loop {
        line.clear();
        let bounded = reader.by_ref().take(LINE_LEN_MAX as u64 + 1).read_until(b'\n', &mut line);
        if bounded.map_err(|cause| unreadable(store, key, cause))? == 0 {
            break;
        }
        take_line(&mut parser, &line, key, take)?;
    }
    parser.finish().map(drop).map_err(|error| Error::format(key, error))
}

fn take_line(
    parser: &mut ListParser,
    line: &[u8],
    key: ObjectKey,
    take: &mut dyn FnMut(ListEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let whole = line.strip_suffix(b"\n");
    let whole = whole.ok_or_else(|| FormatError::invalid("list", "a line is not as lists have it"));
    let entry = whole.and_then(|line| parser.line(line));
    match entry.map_err(|error| Error::format(key, error))? {
        Some(entry) => take(entry),
        None => Ok(()),
    }
}

/// Checks that a list has what its note says.
///
/// # Errors
/// If it has not.
pub fn check_totals(note: &SnapshotNote, totals: ListTotals) -> Result<(), Error> {
    let agrees = totals.pack_count == note.pack_count
        && totals.tree_count == note.tree_count
        && totals.stored_len == note.stored_len;
    if agrees {
        return Ok(());
    }
    let (key, reason) =
        (ObjectKey::List(note.snapshot), "its totals are not the note's".to_owned());
    Err(Error::Mismatch { key, reason })
}

fn unreadable(store: &dyn Store, key: ObjectKey, cause: std::io::Error) -> Error {
    let (name, place) = (store.name().to_owned(), key.to_string());
    let source = cause.into();
    store::Error::Unavailable { store: name, action: "read", place, source }.into()
}

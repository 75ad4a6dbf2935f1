//! What two snapshots of a vault have in common, and what not.
//!
//! - Without an identity: packs and bytes, by the signed lists.
//! - With one: files, by merging the two trees as they are read, and tables, by the rows that were
//!   counted when they were archived; or by the rows themselves, if the dumps are read.
//!
//! Memory is bounded, however many files there are.

mod tables;
mod trees;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use trees::{Change, ChangeKind};

use super::Error;
use crate::base::{PackId, SnapshotId};
use crate::format::ObjectKey;
use crate::format::body::Body;
use crate::format::snapshot_note::SnapshotNote;
use crate::vault::{Auditor, Unlocked};

/// Some things, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub len: u64,
}

impl Amount {
    const fn add(&mut self, len: u64) {
        self.count += 1;
        self.len = self.len.saturating_add(len);
    }
}

/// Packs and tree objects, with their stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PacksDiff {
    /// Those that both need.
    pub shared: Amount,
    /// Those that only the first needs.
    pub only_first: Amount,
    /// Those that only the second needs.
    pub only_second: Amount,
}

/// Entries of the trees, with the bytes of their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FilesDiff {
    /// Those that only the second has.
    pub added: Amount,
    /// Those that only the first has.
    pub removed: Amount,
    /// Those whose contents differ; bytes of the second.
    pub changed: Amount,
    /// Those of which only owner, mode, time or attributes differ.
    pub touched: Amount,
    /// Those that are alike.
    pub alike: Amount,
}

/// A table of the dumps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDiff {
    /// Its name, spelled as in the dump.
    pub table: String,
    /// Its rows in the first, if it is there.
    pub first_rows: Option<u64>,
    /// Its rows in the second, if it is there.
    pub second_rows: Option<u64>,
    /// Whether the rows are the same, in any order; none, if they were not read.
    pub same_rows: Option<bool>,
}

impl TableDiff {
    /// Tells whether anything is known to differ.
    pub fn differs(&self) -> bool {
        self.first_rows != self.second_rows || self.same_rows == Some(false)
    }
}

/// What an identity tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentsDiff {
    /// The entries of the trees.
    pub files: FilesDiff,
    /// Whether the dumps are the same, byte for byte; none, if one has no dump.
    pub same_dump: Option<bool>,
    /// Every table of either dump.
    pub tables: Vec<TableDiff>,
}

/// What two snapshots have in common, and what not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// The first snapshot.
    pub first: SnapshotId,
    /// The second.
    pub second: SnapshotId,
    /// The packs that they need.
    pub packs: PacksDiff,
    /// Files and tables, if an identity was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<ContentsDiff>,
}

/// Compares the packs that two snapshots need.
///
/// # Errors
/// If a note or list cannot be read.
pub fn compare(
    auditor: &Auditor,
    first: SnapshotId,
    second: SnapshotId,
) -> Result<DiffReport, Error> {
    let one = lens_of(auditor, &auditor.snapshot(first)?)?;
    let other = lens_of(auditor, &auditor.snapshot(second)?)?;
    let mut packs = PacksDiff::default();
    for (id, len) in &one {
        let of = if other.contains_key(id) { &mut packs.shared } else { &mut packs.only_first };
        of.add(*len);
    }
    let only = other.iter().filter(|(id, _)| !one.contains_key(*id));
    only.for_each(|(_, len)| packs.only_second.add(*len));
    Ok(DiffReport { first, second, packs, contents: None })
}

fn lens_of(auditor: &Auditor, note: &SnapshotNote) -> Result<BTreeMap<PackId, u64>, Error> {
    let list = auditor.list(note)?;
    let len = |entry: &crate::format::list::ListEntry| Some((entry.key.pack()?, entry.stored_len));
    Ok(list.iter().filter_map(len).collect())
}

/// How closely the dumps are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dumps {
    /// By the rows that were counted; no dump is read.
    Counted,
    /// Row by row.
    Read,
}

/// Compares two snapshots, and what is in them; `take` gets every entry that differs, in the order
/// of the trees.
///
/// # Errors
/// As [`compare`], and if a snapshot does not open or `take` fails.
pub fn compare_contents(
    unlocked: &Unlocked,
    first: SnapshotId,
    second: SnapshotId,
    dumps: Dumps,
    take: &mut dyn FnMut(&Change) -> Result<(), Error>,
) -> Result<DiffReport, Error> {
    let auditor = unlocked.auditor();
    let mut report = compare(auditor, first, second)?;
    let one = unlocked.body(&auditor.snapshot(first)?)?;
    let other = unlocked.body(&auditor.snapshot(second)?)?;
    let files = trees::compare(unlocked, &one, &other, take)?;
    let dump = |body: &Body| body.database.as_ref().map(|database| database.stream.b3);
    let same_dump = dump(&one).zip(dump(&other)).map(|(one, other)| one == other);
    let mut tables = counted(&one, &other);
    if dumps == Dumps::Read {
        tables::read(unlocked, &one, &other, &mut tables)?;
    }
    report.contents = Some(ContentsDiff { files, same_dump, tables });
    Ok(report)
}

/// Returns the packs that comparing two snapshots reads, beside metadata: those of the dumps, if
/// they are read.
///
/// # Errors
/// If a snapshot does not open.
pub fn need(
    unlocked: &Unlocked,
    snapshots: [SnapshotId; 2],
    dumps: Dumps,
) -> Result<BTreeSet<ObjectKey>, Error> {
    let mut need = BTreeSet::new();
    if dumps == Dumps::Read {
        for snapshot in snapshots {
            let part = Some(super::restore::Part::Database);
            need.extend(super::thaw::need::of_snapshot(unlocked, snapshot, part, None)?);
        }
    }
    Ok(need)
}

fn counted(first: &Body, second: &Body) -> Vec<TableDiff> {
    let rows = |body: &Body| {
        body.database.as_ref().map(|database| database.rows.clone()).unwrap_or_default()
    };
    let (one, other) = (rows(first), rows(second));
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let table = |name: &String| TableDiff {
        table: name.clone(),
        first_rows: one.get(name).copied(),
        second_rows: other.get(name).copied(),
        same_rows: None,
    };
    names.into_iter().map(table).collect()
}

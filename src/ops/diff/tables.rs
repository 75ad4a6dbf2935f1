//! The rows of two dumps, table by table and in any order.

use std::collections::BTreeMap;

use super::TableDiff;
use crate::base::Profile;
use crate::format::body::Body;
use crate::ops::Error;
use crate::source::dump::copied_table;
use crate::vault::stream::{PieceReader, read_stream};
use crate::vault::{self, Unlocked};

/// Longest line outside of rows that is looked at.
const LINE_LEN_MAX: usize = 64 * 1024;

/// The sum of the digests of some rows, which their order does not change.
type Sum = [u64; 4];

/// Reads both dumps and says of every table whether its rows are the same.
pub(super) fn read(
    unlocked: &Unlocked,
    first: &Body,
    second: &Body,
    tables: &mut [TableDiff],
) -> Result<(), Error> {
    let (one, other) = (sums_of(unlocked, first)?, sums_of(unlocked, second)?);
    for table in tables {
        // Of a table whose rows are in no COPY nothing is known.
        table.same_rows = match (one.get(&table.table), other.get(&table.table)) {
            (Some(one), Some(other)) => Some(one == other),
            _ => None,
        };
    }
    Ok(())
}

fn sums_of(unlocked: &Unlocked, body: &Body) -> Result<BTreeMap<String, Sum>, Error> {
    let Some(database) = &body.database else { return Ok(BTreeMap::new()) };
    let mut reader = PieceReader::new(unlocked, body.generation, Profile::Stream, &body.packs);
    let mut rows = RowSums::default();
    read_stream::<vault::Error>(&mut reader, &database.stream, "db.sql", |bytes| {
        rows.feed(bytes);
        Ok(())
    })?;
    Ok(rows.sums)
}

/// Sums the rows of every table that a dump copies.
#[derive(Default)]
struct RowSums {
    sums: BTreeMap<String, Sum>,
    table: Option<String>,
    /// The line that has begun, outside of rows; of a row what could end them.
    line: Vec<u8>,
    row: blake3::Hasher,
}

impl RowSums {
    fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() < LINE_LEN_MAX {
                self.line.extend_from_slice(part);
            }
            if self.table.is_some() {
                self.row.update(part);
            }
            if part.ends_with(b"\n") {
                self.end_line();
                self.line.clear();
            }
        }
    }

    fn end_line(&mut self) {
        let Some(table) = &self.table else {
            self.table = copied_table(&self.line);
            if let Some(table) = &self.table {
                self.sums.entry(table.clone()).or_default();
            }
            return;
        };
        let digest = self.row.finalize();
        self.row.reset();
        if self.line == b"\\.\n" {
            self.table = None;
            return;
        }
        let sum = self.sums.entry(table.clone()).or_default();
        for (word, bytes) in sum.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
            let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            *word = word.wrapping_add(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(dump: &str, part_len: usize) -> BTreeMap<String, Sum> {
        let mut rows = RowSums::default();
        dump.as_bytes().chunks(part_len).for_each(|part| rows.feed(part));
        rows.sums
    }

    #[test]
    fn rows_in_another_order_are_the_same_and_other_rows_are_not() {
        let dump = |rows: &str| {
            format!("--\nCOPY a (x) FROM stdin;\n{rows}\\.\nCOPY b (x) FROM stdin;\n\\.\n")
        };
        let one = sums(&dump("1\n2\n2\n"), 1000);
        for part_len in 1..9 {
            assert_eq!(sums(&dump("2\n1\n2\n"), part_len), one);
        }
        for rows in ["1\n2\n", "1\n1\n2\n", "1\n2\n3\n", "12\n2\n", ""] {
            assert_ne!(sums(&dump(rows), 7)["a"], one["a"], "{rows}");
        }
        assert_eq!(one["b"], Sum::default());
    }

    #[test]
    fn a_long_row_counts_whole() {
        let dump = |end: &str| {
            format!("COPY a (x) FROM stdin;\n{}{end}\n\\.\n", "x".repeat(3 * LINE_LEN_MAX))
        };
        assert_ne!(sums(&dump("1"), 8192), sums(&dump("2"), 8192));
        assert_eq!(sums(&dump("1"), 8192), sums(&dump("1"), 100));
    }
}

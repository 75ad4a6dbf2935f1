//! The dumps: each is read to its end, has its digest and its trailer; of one that does not, the
//! tables that cannot be told to be whole.

use std::collections::{BTreeMap, BTreeSet};

use super::Reading;
use crate::base::{Coded, PackId, Profile, SnapshotId};
use crate::format::ObjectKey;
use crate::format::body::{Body, DatabaseStream};
use crate::format::recipe::Piece;
use crate::ops::Error;
use crate::ops::verify::held;
use crate::source::dump::{DumpScanner, copied_table};
use crate::vault;
use crate::vault::pack_reader::OpenPack;
use crate::vault::stream::{PieceReader, read_stream};

/// Bytes of a damaged dump that are read, or given up, at once.
const STEP_LEN: u64 = 256 * 1024;

/// Longest line that is looked at whole; none that begins or ends the rows of a table is longer.
const LINE_LEN_MAX: usize = 64 * 1024;

/// The dumps that are compared: each once, whichever snapshots have it.
#[derive(Default)]
pub(super) struct Plan(BTreeMap<[u8; 32], BTreeSet<SnapshotId>>);

/// Plans the dump of a body.
pub(super) fn plan(reading: &Reading<'_>, body: &Body) -> Result<(), Error> {
    let Some(database) = &body.database else { return Ok(()) };
    let pieces = database.stream.recipe.pieces().iter();
    let packs = pieces.map(|piece| body.packs[piece.pack as usize]);
    let is_compared = reading.scope.is_compared(packs)?;
    reading.collector.count_dump(is_compared);
    if is_compared {
        let identity = identity_of(database, body);
        held(&reading.dumps).0.entry(identity).or_default().insert(body.snapshot);
    }
    Ok(())
}

/// Checks the dump of a body, if no older snapshot has the same one.
pub(super) fn check(reading: &Reading<'_>, body: &Body) -> Result<(), Error> {
    let Some(database) = &body.database else { return Ok(()) };
    let identity = identity_of(database, body);
    let having = held(&reading.dumps).0.get(&identity).cloned().unwrap_or_default();
    if having.first() != Some(&body.snapshot) {
        return Ok(());
    }
    let Some(tables) = read(reading, body, database)? else { return Ok(()) };
    for snapshot in having {
        reading.collector.touch(snapshot, |touched| {
            touched.add_file("db.sql".to_owned());
            touched.tables.extend(tables.iter().cloned());
        });
    }
    Ok(())
}

fn identity_of(database: &DatabaseStream, body: &Body) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(body.generation.to_string().as_bytes());
    hasher.update(database.stream.b3.as_bytes());
    for piece in database.stream.recipe.pieces() {
        hasher.update(body.packs[piece.pack as usize].as_bytes());
        hasher.update(&piece.offset.to_le_bytes());
        hasher.update(&piece.len.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Reads a dump; returns the tables that are touched, if it is not sound.
fn read(
    reading: &Reading<'_>,
    body: &Body,
    database: &DatabaseStream,
) -> Result<Option<Vec<String>>, Error> {
    let object = format!("{} (db.sql)", ObjectKey::Body(body.snapshot));
    let mut reader =
        PieceReader::new(reading.unlocked, body.generation, Profile::Stream, &body.packs);
    let mut scanner = DumpScanner::new();
    let read = read_stream::<vault::Error>(&mut reader, &database.stream, "db.sql", |bytes| {
        scanner.feed(bytes);
        Ok(())
    });
    drop(reader);
    let Err(error) = read else {
        if let Err(error) = scanner.finish() {
            let detail = format!("it has its digest, and is no whole dump: failed to {error}");
            reading.collector.add(error.code(), object, detail);
        }
        return Ok(None);
    };
    let pieces = database.stream.recipe.pieces();
    let packs = pieces.iter().map(|piece| body.packs[piece.pack as usize]);
    if let Some((code, detail)) = reading.cause_of(error, packs)? {
        reading.collector.add(code, object, detail);
    }
    let (mut tables, mut broken) = (Tables::default(), BTreeMap::new());
    for piece in pieces {
        read_piece(reading, body, *piece, &mut tables, &mut broken)?;
    }
    Ok(Some(tables.touched(database)))
}

/// Reads what can be read of a piece of a damaged dump.
fn read_piece(
    reading: &Reading<'_>,
    body: &Body,
    piece: Piece,
    tables: &mut Tables,
    broken: &mut BTreeMap<PackId, bool>,
) -> Result<(), Error> {
    let id = body.packs[piece.pack as usize];
    let is_blamed = reading.plan().is_blamed([id]).map_err(vault::Error::from)?;
    let mut is_broken = || *broken.entry(id).or_insert_with(|| is_broken(reading, body, id));
    if is_blamed && !is_broken() {
        // Another pack stands in its place: what it holds opens, and is something else.
        tables.gap();
        return Ok(());
    }
    let open = || PieceReader::new(reading.unlocked, body.generation, Profile::Stream, &body.packs);
    let (mut reader, end, mut offset) = (open(), piece.offset + piece.len, piece.offset);
    while offset < end {
        let len = STEP_LEN.min(end - offset);
        let mut bytes = Vec::new();
        let read = reader.read::<vault::Error>(Piece { offset, len, ..piece }, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        });
        match read {
            Ok(()) => tables.feed(&bytes),
            Err(error) if reading.unlocked.auditor().damage(&error).is_none() => {
                return Err(error.into());
            }
            Err(_) => {
                tables.gap();
                reader = open();
            }
        }
        offset += len;
    }
    Ok(())
}

/// Tells whether some part of a pack cannot be read, so that every other part is what was sealed.
fn is_broken(reading: &Reading<'_>, body: &Body, id: PackId) -> bool {
    let read = |pack: OpenPack<'_>| {
        let count = pack.blocks().len();
        (0..count).try_for_each(|at| pack.read_blocks(at..at + 1).map(drop))
    };
    reading.unlocked.pack(body.generation, Profile::Stream, id).and_then(read).is_err()
}

/// Finds the tables of a dump whose rows are all there, from the line that begins them to the one
/// that ends them.
#[derive(Default)]
struct Tables {
    line: Vec<u8>,
    is_long: bool,
    /// The table whose rows come now, if nothing was lost since they began.
    open: Option<String>,
    /// Something was lost: whether rows come now is known again where some end.
    is_lost: bool,
    whole: BTreeSet<String>,
    lost_any: bool,
}

impl Tables {
    fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match self.line.len() + part.len() <= LINE_LEN_MAX {
                true => self.line.extend_from_slice(part),
                false => self.is_long = true,
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.is_long) {
                    self.take(&line);
                }
            }
        }
    }

    /// Takes note that bytes are missing here.
    fn gap(&mut self) {
        self.line.clear();
        (self.open, self.is_lost, self.lost_any) = (None, true, true);
        // What is left of the line that was cut is no line.
        self.is_long = true;
    }

    fn take(&mut self, line: &[u8]) {
        if line == b"\\.\n" {
            self.is_lost = false;
            self.whole.extend(self.open.take());
        } else if self.open.is_none() && !self.is_lost {
            self.open = copied_table(line);
        }
    }

    /// Returns the tables of the dump that are not known to be whole.
    fn touched(self, database: &DatabaseStream) -> Vec<String> {
        let all = database.rows.keys();
        let is_touched = |table: &&String| !self.lost_any || !self.whole.contains(*table);
        all.filter(is_touched).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\nCOPY public.users (id) FROM stdin;\n1\n2\n\\.\n\
                        COPY public.\"a b\" (id) FROM stdin;\nCOPY x (y) FROM stdin;\n\\.\n\
                        COPY logs FROM stdin;\n1\n\\.\n-- end\n";

    /// Returns the tables that are whole when the bytes in a range are lost.
    fn whole_without(lost: std::ops::Range<usize>) -> Vec<String> {
        let mut tables = Tables::default();
        for (at, byte) in DUMP.bytes().enumerate() {
            match lost.contains(&at) {
                true => tables.gap(),
                false => tables.feed(&[byte]),
            }
        }
        tables.whole.into_iter().collect()
    }

    #[test]
    fn a_table_is_whole_from_its_first_line_to_its_last() {
        assert_eq!(whole_without(0..0), ["logs", "public.\"a b\"", "public.users"]);
        let place = |text: &str| DUMP.find(text).unwrap();
        let row = place("2\n");
        assert_eq!(whole_without(row..row + 1), ["logs", "public.\"a b\""]);
        let end = place("\\.\nCOPY public.\"a b\"");
        assert_eq!(whole_without(end..end + 2), ["logs"]);
        let begin = place("COPY logs");
        assert_eq!(whole_without(begin..begin + 1), ["public.\"a b\"", "public.users"]);
    }

    /// What stands in a row as if it began a table is a row, also after a loss.
    #[test]
    fn no_table_that_lost_a_byte_is_ever_called_whole() {
        let spans = [("public.users", "COPY public.users"), ("public.\"a b\"", "COPY public.\"")];
        for (table, begin) in spans {
            let from = DUMP.find(begin).unwrap();
            let to = from + DUMP[from..].find("\\.\n").unwrap() + 3;
            for at in from..to {
                let whole = whole_without(at..at + 1);
                assert!(!whole.contains(&table.to_owned()), "{table} without {at}");
                assert!(!whole.contains(&"x".to_owned()));
            }
        }
    }
}

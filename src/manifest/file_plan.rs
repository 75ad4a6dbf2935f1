//! Which files have their bytes in which pack, kept on disk for as long as somebody checks them.
//! Spec: §12.3.
//!
//! - Each pack is asked for the files that have bytes in it, while it is read. What is left once
//!   all were is looked at one by one.
//! - What several snapshots of a generation have alike is one file here.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::planned::{Cause, Known, Mark, NewFile, PlannedFile, few, planned, starts, to_bytes};
use crate::base::PackId;

const SCHEMA: &str = "
    PRAGMA cache_size = -8192;
    CREATE TABLE packs (
        id BLOB PRIMARY KEY,
        generation INTEGER NOT NULL,
        profile INTEGER NOT NULL,
        damaged INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE files (
        number INTEGER PRIMARY KEY,
        identity BLOB NOT NULL UNIQUE,
        generation INTEGER NOT NULL,
        b3 BLOB NOT NULL,
        extents BLOB NOT NULL,
        state INTEGER NOT NULL DEFAULT 0,
        code TEXT,
        detail TEXT
    );
    CREATE INDEX files_of_state ON files (state, number);
    CREATE TABLE bytes (
        pack BLOB NOT NULL,
        start INTEGER NOT NULL,
        file INTEGER NOT NULL,
        PRIMARY KEY (pack, start, file)
    ) WITHOUT ROWID;
";

const OPEN: u8 = 0;
const LATER: u8 = 1;
const SOUND: u8 = 2;
const FAILED: u8 = 3;

/// The plan.
pub struct FilePlan {
    pub(super) connection: Connection,
}

impl FilePlan {
    /// Makes an empty plan, in the directory for temporary files.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn new() -> Result<Self, Error> {
        let connection = super::in_passing(&[SCHEMA]).map_err(|cause| wrap("make", cause))?;
        Ok(Self { connection })
    }

    /// Adds files of a generation, but for those that are there already.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn add(&self, generation: u32, files: &[NewFile]) -> Result<(), Error> {
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            files.iter().try_for_each(|file| insert(&transaction, generation, file))?;
            transaction.commit()
        };
        write().map_err(|cause| wrap("write", cause))
    }

    /// Returns the files of a generation that have bytes in a pack and of which nothing is known,
    /// in the order in which they begin there, after a place among them: at most `count`, and fewer
    /// of many extents. None is the end.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn of_pack(
        &self,
        id: PackId,
        generation: u32,
        after: Mark,
        count: u32,
    ) -> Result<Vec<PlannedFile>, Error> {
        let sql = "SELECT number, generation, b3, extents, start FROM bytes JOIN files
                   ON number = file WHERE pack = ?1 AND (start, file) > (?2, ?3)
                   AND state = ?4 AND generation = ?5 ORDER BY start, file LIMIT ?6";
        let read = || {
            let mut select = self.connection.prepare_cached(sql)?;
            let (start, number) = (after.start, after.number);
            let place = params![id.as_bytes(), start, number, OPEN, generation, count];
            few(select.query_map(place, planned)?)
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Says what was found of some files.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn settle(&self, found: &[(i64, Result<(), Cause>)]) -> Result<(), Error> {
        let write = || {
            let sql = "UPDATE files SET state = ?2, code = ?3, detail = ?4 WHERE number = ?1";
            let transaction = self.connection.unchecked_transaction()?;
            for (number, found) in found {
                let (state, cause) = match found {
                    Ok(()) => (SOUND, &None),
                    Err(cause) => (FAILED, cause),
                };
                let (code, detail) = parts(cause);
                let mut update = transaction.prepare_cached(sql)?;
                update.execute(params![number, state, code, detail])?;
            }
            transaction.commit()
        };
        write().map_err(|cause| wrap("write", cause))
    }

    /// Puts off a file: it is looked at later, and no further pack is asked for it.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn put_off(&self, number: i64) -> Result<(), Error> {
        let sql = "UPDATE files SET state = ?2 WHERE number = ?1";
        let update = || self.connection.prepare_cached(sql)?.execute(params![number, LATER]);
        update().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Puts off every file of which nothing is known.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn put_off_rest(&self) -> Result<(), Error> {
        let sql = "UPDATE files SET state = ?2 WHERE state = ?1";
        let update = self.connection.execute(sql, params![OPEN, LATER]);
        update.map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns the files after a number that wait to be looked at one by one: at most `count`, and
    /// fewer of many extents. None is the end.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn later(&self, after: i64, count: u32) -> Result<Vec<PlannedFile>, Error> {
        let sql = "SELECT number, generation, b3, extents, 0 FROM files
                   WHERE state = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let read = || {
            let mut select = self.connection.prepare_cached(sql)?;
            few(select.query_map(params![LATER, after, count], planned)?)
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Returns what is known of a file; nothing, if it is not in the plan or was not looked at.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn known(&self, identity: &[u8; 32]) -> Result<Option<Known>, Error> {
        let sql = "SELECT state, code, detail FROM files WHERE identity = ?1 AND state >= 2";
        let read = |row: &Row<'_>| -> rusqlite::Result<Known> {
            let (code, detail): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok(match row.get(0)? {
                FAILED => Known::Failed(code.zip(detail)),
                _ => Known::Sound,
            })
        };
        let find = || self.connection.prepare_cached(sql)?.query_row([identity], read);
        find().optional().map_err(|cause| wrap("read", cause))
    }

    /// Counts the files that are not sound.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn failed_count(&self) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM files WHERE state = ?1";
        let count = self.connection.query_row(sql, [FAILED], |row| row.get(0));
        count.map_err(|cause| wrap("read", cause))
    }
}

fn insert(connection: &Connection, generation: u32, file: &NewFile) -> rusqlite::Result<()> {
    let NewFile { identity, b3, extents } = file;
    // That an extent without bytes is in its pack is seen by looking for it alone.
    let state = if extents.iter().all(|extent| extent.len > 0) { OPEN } else { LATER };
    let sql = "INSERT OR IGNORE INTO files (identity, generation, b3, extents, state)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![identity, generation, b3.as_bytes(), to_bytes(extents), state];
    if connection.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(());
    }
    let number = connection.last_insert_rowid();
    let mut insert =
        connection.prepare_cached("INSERT INTO bytes (pack, start, file) VALUES (?1, ?2, ?3)")?;
    for (pack, start) in starts(extents) {
        insert.execute(params![pack.as_bytes(), start, number])?;
    }
    Ok(())
}

fn parts(cause: &Cause) -> (Option<&str>, Option<&str>) {
    let part = cause.as_ref().map(|(code, detail)| (code.as_str(), detail.as_str()));
    part.unzip()
}

pub(super) fn wrap(action: &'static str, cause: rusqlite::Error) -> Error {
    Error::new(Path::new("the plan of files"), action, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::format::extent::Extent;
    use crate::manifest::planned::EXTENTS_AT_ONCE;

    fn pack(byte: u8) -> PackId {
        PackId::from_bytes([byte; 32])
    }

    fn add(plan: &FilePlan, number: u8, generation: u32, extents: &[Extent]) {
        let b3 = Digest::from_bytes([9; 32]);
        let file = NewFile { identity: [number; 32], b3, extents: extents.to_vec() };
        plan.add(generation, &[file]).unwrap();
    }

    fn extent(byte: u8, offset: u64, len: u64) -> Extent {
        Extent { pack: pack(byte), offset, len }
    }

    #[test]
    fn a_file_is_found_by_each_of_its_packs_until_it_is_put_off() {
        let plan = FilePlan::new().unwrap();
        let b3 = Digest::from_bytes([9; 32]);
        let files: [&[Extent]; 5] = [
            &[extent(1, 9, 5), extent(2, 7, 5), extent(1, 5, 4)],
            &[extent(2, 0, 5)],
            &[],
            &[extent(1, 0, 0), extent(1, 4, 5)],
            &[extent(1, 3, 5)],
        ];
        for (number, extents) in (0..).zip(files) {
            add(&plan, number, 7, extents);
            add(&plan, number, 7, extents);
            add(&plan, 100 + number, 8, extents);
        }
        let numbers = |byte, generation| {
            let found = plan.of_pack(pack(byte), generation, Mark::default(), 9).unwrap();
            found.iter().map(|file| file.number).collect::<Vec<_>>()
        };
        assert_eq!(
            (numbers(1, 7), numbers(1, 8), numbers(1, 9)),
            (vec![9, 1], vec![10, 2], vec![])
        );
        assert_eq!((numbers(2, 7), numbers(3, 7)), (vec![3, 1], vec![]));
        let found = plan.of_pack(pack(1), 7, Mark { start: 3, number: 9 }, 9).unwrap();
        let one =
            PlannedFile { number: 1, generation: 7, b3, extents: files[0].to_vec(), start: 5 };
        assert_eq!(found, [one]);
        let later = |after, count| {
            let later = plan.later(after, count).unwrap();
            later.iter().map(|file| file.number).collect::<Vec<_>>()
        };
        // What has an extent without bytes is looked at alone.
        assert_eq!(later(0, 9), [7, 8]);
        plan.put_off(1).unwrap();
        assert_eq!((later(0, 1), numbers(1, 7), numbers(2, 7)), (vec![1], vec![9], vec![3]));
        plan.settle(&[(9, Ok(()))]).unwrap();
        plan.put_off_rest().unwrap();
        assert_eq!(later(0, 20), [1, 2, 3, 4, 5, 6, 7, 8, 10]);
        assert_eq!((numbers(1, 7), numbers(1, 8)), (vec![], vec![]));
    }

    #[test]
    fn what_was_found_of_a_file_is_kept_with_its_cause() {
        let plan = FilePlan::new().unwrap();
        (1..=3).for_each(|byte| add(&plan, byte, 0, &[extent(byte, 0, 1)]));
        let cause = Some(("contents-altered".to_owned(), "why".to_owned()));
        plan.settle(&[(1, Ok(())), (2, Err(cause.clone())), (3, Err(None))]).unwrap();
        add(&plan, 4, 0, &[extent(4, 0, 1)]);
        assert_eq!(plan.known(&[1; 32]).unwrap(), Some(Known::Sound));
        assert_eq!(plan.known(&[2; 32]).unwrap(), Some(Known::Failed(cause)));
        assert_eq!(plan.known(&[3; 32]).unwrap(), Some(Known::Failed(None)));
        assert_eq!(plan.known(&[4; 32]).unwrap(), None);
        assert_eq!(plan.known(&[5; 32]).unwrap(), None);
        assert_eq!(plan.failed_count().unwrap(), 2);
    }

    #[test]
    fn no_more_files_and_extents_are_taken_at_once_than_few_and_every_file_is_taken() {
        let plan = FilePlan::new().unwrap();
        // Backwards, and each place twice: the order is that of the pack.
        for number in (0..50u8).rev() {
            let start = u64::from(number / 2);
            add(&plan, number, 0, &[extent(1, start, 1)]);
        }
        let long: Vec<Extent> = (0..EXTENTS_AT_ONCE as u64).map(|at| extent(1, at, 1)).collect();
        add(&plan, 99, 0, &long[1..]);
        let pages = |take: &dyn Fn(Mark) -> Vec<PlannedFile>| {
            let (mut pages, mut after) = (Vec::new(), Mark::default());
            loop {
                let page = take(after);
                let Some(last) = page.last() else { return pages };
                after = last.mark();
                pages.push(page);
            }
        };
        let by_pack = pages(&|after| plan.of_pack(pack(1), 0, after, 10).unwrap());
        plan.put_off_rest().unwrap();
        let later = pages(&|after| plan.later(after.number, 10).unwrap());
        for pages in [&by_pack, &later] {
            assert!(pages.iter().all(|page| page.len() <= 10));
            let few = |page: &Vec<PlannedFile>| {
                let before: usize = page.iter().rev().skip(1).map(|file| file.extents.len()).sum();
                before < EXTENTS_AT_ONCE
            };
            assert!(pages.iter().all(few));
            let mut numbers: Vec<i64> = pages.iter().flatten().map(|file| file.number).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=51).collect::<Vec<_>>(), "each once");
        }
        let starts: Vec<u64> = by_pack.iter().flatten().map(|file| file.mark().start).collect();
        assert!(starts.is_sorted());
        assert!(
            by_pack
                .iter()
                .any(|page| page.len() < 10 && page.last() != by_pack[by_pack.len() - 1].last()),
            "one page ended early"
        );
    }
}

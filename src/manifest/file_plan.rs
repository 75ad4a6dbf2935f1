//! Which files have their bytes in which pack, kept on disk for as long as somebody checks them.
//! Spec: §12.3.
//!
//! - A file whose bytes lie in one pack, in order, is checked while that pack is read. Any other
//!   waits until all packs are known.
//! - What several snapshots have alike is one file here.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::planned::{Cause, Known, Mark, PlannedFile, few, one_pack, planned, to_bytes};
use crate::base::{Digest, PackId};
use crate::format::extent::Extent;

const SCHEMA: &str = "
    PRAGMA cache_size = -8192;
    CREATE TABLE packs (
        id BLOB PRIMARY KEY,
        generation INTEGER NOT NULL,
        profile INTEGER NOT NULL,
        damaged INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE files (
        number INTEGER PRIMARY KEY,
        identity BLOB NOT NULL UNIQUE,
        generation INTEGER NOT NULL,
        b3 BLOB NOT NULL,
        extents BLOB NOT NULL,
        pack BLOB,
        start INTEGER,
        state INTEGER NOT NULL,
        code TEXT,
        detail TEXT
    );
    CREATE INDEX files_of_pack ON files (pack, start) WHERE pack IS NOT NULL;
    CREATE INDEX files_of_state ON files (state, number);
";

const IN_PACK: u8 = 0;
const LATER: u8 = 1;
const SOUND: u8 = 2;
const FAILED: u8 = 3;

/// Where a pack belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackPlace {
    /// The caller's number of its generation.
    pub generation: u32,
    /// The caller's number of its profile.
    pub profile: u8,
}

/// How many files there are, and what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileCounts {
    /// Files that have their digest.
    pub sound: u64,
    /// Files that do not, or cannot be read.
    pub failed: u64,
    /// Files that were not looked at.
    pub unseen: u64,
}

/// The plan.
pub struct FilePlan {
    connection: Connection,
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

    /// Says where a pack belongs; what was said first counts.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn place(&self, id: PackId, place: PackPlace) -> Result<(), Error> {
        let sql = "INSERT OR IGNORE INTO packs (id, generation, profile) VALUES (?1, ?2, ?3)";
        let place = params![id.as_bytes(), place.generation, place.profile];
        let insert = || self.connection.prepare_cached(sql)?.execute(place);
        insert().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns where a pack belongs; none, if nothing that opened names it.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn place_of(&self, id: PackId) -> Result<Option<PackPlace>, Error> {
        let sql = "SELECT generation, profile FROM packs WHERE id = ?1";
        let read = |row: &Row<'_>| Ok(PackPlace { generation: row.get(0)?, profile: row.get(1)? });
        let find = || self.connection.prepare_cached(sql)?.query_row([id.as_bytes()], read);
        find().optional().map_err(|cause| wrap("read", cause))
    }

    /// Takes note that a pack is damaged.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn blame(&self, id: PackId) -> Result<(), Error> {
        let sql = "UPDATE packs SET damaged = 1 WHERE id = ?1";
        let update = || self.connection.prepare_cached(sql)?.execute([id.as_bytes()]);
        update().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Tells whether any of these packs is known to be damaged.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn is_blamed(&self, ids: impl IntoIterator<Item = PackId>) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM packs WHERE id = ?1 AND damaged = 1";
        for id in ids {
            let exists = || self.connection.prepare_cached(sql)?.exists([id.as_bytes()]);
            if exists().map_err(|cause| wrap("read", cause))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a file, unless it is there already.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn add(
        &self,
        identity: &[u8; 32],
        generation: u32,
        b3: Digest,
        extents: &[Extent],
    ) -> Result<(), Error> {
        let pack = one_pack(extents);
        let state = if pack.is_some() { IN_PACK } else { LATER };
        let bytes = to_bytes(extents);
        let sql = "INSERT OR IGNORE INTO files
                   (identity, generation, b3, extents, pack, start, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let start = extents.first().map(|extent| extent.offset);
        let pack = pack.as_ref().map(PackId::as_bytes);
        let row = params![identity, generation, b3.as_bytes(), bytes, pack, start, state];
        let insert = || self.connection.prepare_cached(sql)?.execute(row);
        insert().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns the files whose bytes are all in one pack, in the order in which they begin there,
    /// after a place among them: at most `count`, and fewer of many extents. None is the end.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn of_pack(&self, id: PackId, after: Mark, count: u32) -> Result<Vec<PlannedFile>, Error> {
        let sql = "SELECT number, generation, b3, extents FROM files
                   WHERE pack = ?1 AND state = 0 AND (start, number) > (?2, ?3)
                   ORDER BY start, number LIMIT ?4";
        let read = || {
            let mut select = self.connection.prepare_cached(sql)?;
            let place = params![id.as_bytes(), after.start, after.number, count];
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

    /// Puts off the files of a pack: they are looked at one by one.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn put_off(&self, id: PackId) -> Result<(), Error> {
        let sql = "UPDATE files SET state = 1 WHERE pack = ?1 AND state = 0";
        let update = || self.connection.prepare_cached(sql)?.execute([id.as_bytes()]);
        update().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns the files after a number that wait to be looked at one by one: at most `count`, and
    /// fewer of many extents. None is the end.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn later(&self, after: i64, count: u32) -> Result<Vec<PlannedFile>, Error> {
        let sql = "SELECT number, generation, b3, extents FROM files
                   WHERE state = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let read = || {
            let mut select = self.connection.prepare_cached(sql)?;
            few(select.query_map(params![LATER, after, count], planned)?)
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Returns what is known of a file; nothing, if it is not in the plan.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn known(&self, identity: &[u8; 32]) -> Result<Option<Known>, Error> {
        let sql = "SELECT state, code, detail FROM files WHERE identity = ?1";
        let read = |row: &Row<'_>| -> rusqlite::Result<Known> {
            let (code, detail): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok(match row.get(0)? {
                SOUND => Known::Sound,
                FAILED => Known::Failed(code.zip(detail)),
                _ => Known::Unseen,
            })
        };
        let find = || self.connection.prepare_cached(sql)?.query_row([identity], read);
        find().optional().map_err(|cause| wrap("read", cause))
    }

    /// Counts the files.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn counts(&self) -> Result<FileCounts, Error> {
        let sql = "SELECT coalesce(sum(state = 2), 0), coalesce(sum(state = 3), 0),
                   coalesce(sum(state < 2), 0) FROM files";
        let read = |row: &Row<'_>| {
            Ok(FileCounts { sound: row.get(0)?, failed: row.get(1)?, unseen: row.get(2)? })
        };
        self.connection.query_row(sql, [], read).map_err(|cause| wrap("read", cause))
    }
}

fn parts(cause: &Cause) -> (Option<&str>, Option<&str>) {
    let part = cause.as_ref().map(|(code, detail)| (code.as_str(), detail.as_str()));
    part.unzip()
}

fn wrap(action: &'static str, cause: rusqlite::Error) -> Error {
    Error::new(Path::new("the plan of files"), action, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::planned::EXTENTS_AT_ONCE;

    fn pack(byte: u8) -> PackId {
        PackId::from_bytes([byte; 32])
    }

    fn extent(byte: u8, offset: u64, len: u64) -> Extent {
        Extent { pack: pack(byte), offset, len }
    }

    #[test]
    fn a_file_in_one_pack_is_found_by_it_and_any_other_later() {
        let plan = FilePlan::new().unwrap();
        let b3 = Digest::from_bytes([9; 32]);
        let files: [&[Extent]; 4] = [
            &[extent(1, 0, 5), extent(1, 5, 5), extent(1, 20, 1)],
            &[extent(1, 0, 5), extent(2, 0, 5)],
            &[extent(1, 9, 5), extent(1, 0, 5)],
            &[extent(1, 0, 5), extent(1, 4, 5)],
        ];
        for (number, extents) in (0..).zip(files) {
            plan.add(&[number; 32], 7, b3, extents).unwrap();
            plan.add(&[number; 32], 8, b3, &[]).unwrap();
        }
        let found = plan.of_pack(pack(1), Mark::default(), 9).unwrap();
        let one = PlannedFile { number: 1, generation: 7, b3, extents: files[0].to_vec() };
        assert_eq!(found, [one]);
        let numbers = |after, count| {
            let later = plan.later(after, count).unwrap();
            later.iter().map(|file| file.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(0, 2), [2, 3]);
        assert_eq!(numbers(3, 9), [4]);
        plan.put_off(pack(1)).unwrap();
        assert_eq!(numbers(0, 9), [1, 2, 3, 4]);
    }

    #[test]
    fn what_was_found_of_a_file_is_kept_with_its_cause() {
        let plan = FilePlan::new().unwrap();
        let b3 = Digest::from_bytes([9; 32]);
        (1..=3).for_each(|byte| plan.add(&[byte; 32], 0, b3, &[extent(byte, 0, 1)]).unwrap());
        let cause = Some(("contents-altered".to_owned(), "why".to_owned()));
        plan.settle(&[(1, Ok(())), (2, Err(cause.clone())), (3, Err(None))]).unwrap();
        plan.add(&[4; 32], 0, b3, &[extent(4, 0, 1)]).unwrap();
        assert_eq!(plan.known(&[1; 32]).unwrap(), Some(Known::Sound));
        assert_eq!(plan.known(&[2; 32]).unwrap(), Some(Known::Failed(cause)));
        assert_eq!(plan.known(&[3; 32]).unwrap(), Some(Known::Failed(None)));
        assert_eq!(plan.known(&[4; 32]).unwrap(), Some(Known::Unseen));
        assert_eq!(plan.known(&[5; 32]).unwrap(), None);
        assert_eq!(plan.counts().unwrap(), FileCounts { sound: 1, failed: 2, unseen: 1 });
    }

    #[test]
    fn no_more_files_and_extents_are_taken_at_once_than_few_and_every_file_is_taken() {
        let plan = FilePlan::new().unwrap();
        let b3 = Digest::from_bytes([9; 32]);
        // Backwards, and each place twice: the order is that of the pack.
        for number in (0..50u8).rev() {
            let start = u64::from(number / 2);
            plan.add(&[number; 32], 0, b3, &[extent(1, start, 1)]).unwrap();
        }
        let long: Vec<Extent> = (0..EXTENTS_AT_ONCE as u64).map(|at| extent(1, at, 1)).collect();
        plan.add(&[99; 32], 0, b3, &long[1..]).unwrap();
        let pages = |take: &dyn Fn(Mark) -> Vec<PlannedFile>| {
            let (mut pages, mut after) = (Vec::new(), Mark::default());
            loop {
                let page = take(after);
                let Some(last) = page.last() else { return pages };
                after = last.mark();
                pages.push(page);
            }
        };
        let by_pack = pages(&|after| plan.of_pack(pack(1), after, 10).unwrap());
        plan.put_off(pack(1)).unwrap();
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

    #[test]
    fn a_pack_that_is_blamed_is_known() {
        let plan = FilePlan::new().unwrap();
        let place = PackPlace { generation: 3, profile: 1 };
        plan.place(pack(1), place).unwrap();
        plan.place(pack(1), PackPlace { generation: 4, profile: 2 }).unwrap();
        assert_eq!(plan.place_of(pack(1)).unwrap(), Some(place));
        assert_eq!(plan.place_of(pack(2)).unwrap(), None);
        assert!(!plan.is_blamed([pack(1), pack(2)]).unwrap());
        plan.blame(pack(1)).unwrap();
        assert!(plan.is_blamed([pack(2), pack(1)]).unwrap());
    }
}

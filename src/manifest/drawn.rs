//! A sample of the needed packs, and what was proven of packs, kept on disk beside them. Spec:
//! `sampling.md` §2.
//!
//! - Every pack is ranked once; the sample is the beginning of that order.
//! - What was proven is kept by pack, so that nothing is remembered of one that was passed over.

use rusqlite::params;

use super::Error;
use super::needed::{Needed, wrap};
use crate::base::PackId;
use crate::format::ObjectKey;

/// What is kept beside the needed objects.
pub(super) const SCHEMA: &str = "
    CREATE TABLE drawn (id BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE proven (level INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (level, id))
        WITHOUT ROWID;
";

/// The order in which packs are drawn, for as long as it takes.
const RANKED: &str = "CREATE TEMP TABLE ranked (turn INTEGER, rank BLOB, id BLOB)";

/// Packs that are ranked before they are written.
const PAGE_COUNT: u32 = 4096;

/// Some packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their stored bytes.
    pub len: u64,
}

/// Where a pack stands in the order in which packs are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Its turn: those of a lower one come first.
    pub turn: i64,
    /// Its place among those of the same turn.
    pub rank: [u8; 32],
}

impl Needed {
    /// Returns how many packs there are, tree objects aside.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn packs(&self) -> Result<Amount, Error> {
        self.amount(
            "SELECT count(*), sum(len) FROM \
                     (SELECT max(len) AS len FROM needed WHERE tree = 0 GROUP BY id)",
        )
    }

    /// Returns how many packs were drawn.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn drawn(&self) -> Result<Amount, Error> {
        self.amount(
            "SELECT count(*), sum(len) FROM (SELECT max(needed.len) AS len FROM drawn \
                     JOIN needed ON needed.tree = 0 AND needed.id = drawn.id GROUP BY drawn.id)",
        )
    }

    fn amount(&self, sql: &str) -> Result<Amount, Error> {
        let read = || {
            self.held().query_row(sql, [], |row| {
                let len: Option<u64> = row.get(1)?;
                Ok(Amount { count: row.get(0)?, len: len.unwrap_or(0) })
            })
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Returns the packs after one, in the order of their names; at most `count`.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn pack_page(&self, after: Option<PackId>, count: u32) -> Result<Vec<PackId>, Error> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let read = || {
            let connection = self.held();
            let sql = "SELECT DISTINCT id FROM needed WHERE tree = 0 AND id > ?1 \
                       ORDER BY id LIMIT ?2";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select
                .query_map(params![after, count], |row| Ok(PackId::from_bytes(row.get(0)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Draws the first packs in the order that `standing` gives: as many as `count` says once each
    /// has its place, or as there are.
    ///
    /// # Errors
    /// If it fails, or the set cannot be written.
    pub fn draw<E: From<Error>>(
        &self,
        mut standing: impl FnMut(&PackId) -> Result<Standing, E>,
        count: impl FnOnce() -> u64,
    ) -> Result<(), E> {
        self.attempt(|needed| {
            let run = |sql| needed.held().execute_batch(sql).map_err(|cause| wrap("write", cause));
            run(RANKED)?;
            let mut after = None;
            loop {
                let page = needed.pack_page(after, PAGE_COUNT)?;
                let Some(last) = page.last() else { break };
                after = Some(*last);
                let ranked: Result<Vec<Standing>, E> = page.iter().map(&mut standing).collect();
                needed.rank(&page, &ranked?)?;
            }
            needed.take(count())?;
            Ok(run("DROP TABLE ranked")?)
        })
    }

    fn rank(&self, page: &[PackId], ranked: &[Standing]) -> Result<(), Error> {
        let write = || {
            let connection = self.held();
            let mut insert = connection.prepare_cached("INSERT INTO ranked VALUES (?1, ?2, ?3)")?;
            for (id, Standing { turn, rank }) in page.iter().zip(ranked) {
                insert.execute(params![turn, rank, id.as_bytes()])?;
            }
            Ok(())
        };
        write().map_err(|cause| wrap("write", cause))
    }

    fn take(&self, count: u64) -> Result<(), Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let sql = "INSERT INTO drawn SELECT id FROM \
                   (SELECT id FROM ranked ORDER BY turn, rank LIMIT ?1) ORDER BY id";
        self.held().execute(sql, [count]).map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Tells whether a pack was drawn.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn is_drawn(&self, id: &PackId) -> Result<bool, Error> {
        self.exists("SELECT 1 FROM drawn WHERE id = ?1", params![id.as_bytes()])
    }

    /// Takes note that a pack was proven, at a level by its number; no other object is kept.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn prove(&self, key: &ObjectKey, level: u8) -> Result<(), Error> {
        let ObjectKey::Pack(id) = key else { return Ok(()) };
        let write = || {
            let connection = self.held();
            let sql = "INSERT OR IGNORE INTO proven VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute(params![level, id.as_bytes()])
        };
        write().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Tells whether a pack was proven at a level.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn is_proven(&self, id: &PackId, level: u8) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM proven WHERE level = ?1 AND id = ?2";
        self.exists(sql, params![level, id.as_bytes()])
    }

    fn exists(&self, sql: &str, params: impl rusqlite::Params) -> Result<bool, Error> {
        let read = || self.held().prepare_cached(sql)?.exists(params);
        read().map_err(|cause| wrap("read", cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> PackId {
        PackId::from_bytes([byte; 32])
    }

    #[test]
    fn the_first_in_turn_are_drawn_and_ties_go_by_rank() {
        let needed = Needed::new().unwrap();
        for byte in 0..10 {
            needed.add(&ObjectKey::Pack(id(byte)), 10).unwrap();
            needed.add(&ObjectKey::Tree(id(byte)), 7).unwrap();
        }
        needed.add(&ObjectKey::Pack(id(9)), 30).unwrap();
        assert_eq!(needed.packs().unwrap(), Amount { count: 10, len: 120 });
        let standing = |id: &PackId| -> Result<Standing, Error> {
            let byte = id.as_bytes()[0];
            Ok(Standing { turn: i64::from(byte.is_multiple_of(2)), rank: [255 - byte; 32] })
        };
        needed.draw(standing, || 6).unwrap();
        let drawn: Vec<u8> = (0..10).filter(|byte| needed.is_drawn(&id(*byte)).unwrap()).collect();
        assert_eq!(drawn, [1, 3, 5, 7, 8, 9], "the odd ones, then the even one of the lowest rank");
        assert_eq!(needed.drawn().unwrap(), Amount { count: 6, len: 80 });
    }

    #[test]
    fn only_packs_are_proven_and_each_at_its_level() {
        let needed = Needed::new().unwrap();
        needed.prove(&ObjectKey::Pack(id(1)), 2).unwrap();
        needed.prove(&ObjectKey::Pack(id(1)), 2).unwrap();
        needed.prove(&ObjectKey::Tree(id(2)), 2).unwrap();
        assert!(needed.is_proven(&id(1), 2).unwrap() && !needed.is_proven(&id(1), 3).unwrap());
        assert!(!needed.is_proven(&id(2), 2).unwrap());
    }
}

//! Until when what lists name must be locked, beside the names. Spec: `evidence.md` §2.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::Error;
use super::needed::{Needed, is_tree, wrap};
use crate::format::ObjectKey;

/// The floor of a snapshot that needs an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Until when the snapshot must stay.
    pub until: Timestamp,
    /// Whether locks had time to be extended since it was taken.
    pub is_old: bool,
}

impl Needed {
    /// Keeps that a snapshot with a floor needs a pack or tree object.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn keep_floor(&self, key: &ObjectKey, floor: Floor) -> Result<(), Error> {
        let Some(id) = key.pack() else { return Ok(()) };
        let second = floor.until.as_second();
        let (old, young) = match floor.is_old {
            true => (Some(second), None),
            false => (None, Some(second)),
        };
        let keep = || {
            let sql = "INSERT INTO floor VALUES (?1, ?2, ?3, ?4) ON CONFLICT (tree, id) DO UPDATE
                       SET old = max(ifnull(old, excluded.old), ifnull(excluded.old, old)),
                       young = min(ifnull(young, excluded.young), ifnull(excluded.young, young))";
            let connection = self.held();
            let mut insert = connection.prepare_cached(sql)?;
            insert.execute(params![is_tree(key), id.as_bytes(), old, young])
        };
        keep().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns until when a pack or tree object must be locked: until the latest floor of the
    /// snapshots whose locks had time to be extended; of one that only younger ones need, until the
    /// floor of the first of them, which put it.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn floor_of(&self, key: &ObjectKey) -> Result<Option<Timestamp>, Error> {
        let Some(id) = key.pack() else { return Ok(None) };
        let find = || {
            let sql = "SELECT ifnull(old, young) FROM floor WHERE tree = ?1 AND id = ?2";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            select.query_row(params![is_tree(key), id.as_bytes()], |row| row.get(0)).optional()
        };
        let second: Option<i64> = find().map_err(|cause| wrap("read", cause))?;
        Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PackId;

    #[test]
    fn the_latest_floor_of_old_snapshots_counts_and_else_the_first_of_young_ones() {
        let needed = Needed::new().unwrap();
        let pack = |byte: u8| ObjectKey::Pack(PackId::from_bytes([byte; 32]));
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (key, second, is_old) in [
            (pack(1), 50, true),
            (pack(1), 70, true),
            (pack(1), 60, true),
            (pack(1), 90, false),
            (pack(2), 90, false),
            (pack(2), 80, false),
            (pack(2), 85, false),
        ] {
            needed.keep_floor(&key, Floor { until: at(second), is_old }).unwrap();
        }
        assert_eq!(needed.floor_of(&pack(1)).unwrap(), Some(at(70)));
        assert_eq!(needed.floor_of(&pack(2)).unwrap(), Some(at(80)));
        assert_eq!(needed.floor_of(&pack(3)).unwrap(), None);
    }
}

//! Where packs belong, and whether they are damaged: a part of the plan of files.

use rusqlite::{OptionalExtension, Row, params};

use super::Error;
use super::file_plan::{FilePlan, wrap};
use crate::base::PackId;

/// Where a pack belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackPlace {
    /// The caller's number of its generation.
    pub generation: u32,
    /// The caller's number of its profile.
    pub profile: u8,
}

impl FilePlan {
    /// Says where a pack belongs, and returns where it was said to belong first: that counts.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn place(&self, id: PackId, place: PackPlace) -> Result<PackPlace, Error> {
        if let Some(known) = self.place_of(id)? {
            return Ok(known);
        }
        let sql = "INSERT INTO packs (id, generation, profile) VALUES (?1, ?2, ?3)";
        let row = params![id.as_bytes(), place.generation, place.profile];
        let insert = || self.connection.prepare_cached(sql)?.execute(row);
        insert().map(|_| place).map_err(|cause| wrap("write", cause))
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

    /// Takes note whether a pack is damaged.
    ///
    /// # Errors
    /// If the plan cannot be written.
    pub fn judge(&self, id: PackId, is_damaged: bool) -> Result<(), Error> {
        let sql = "UPDATE packs SET damaged = ?2 WHERE id = ?1";
        let row = params![id.as_bytes(), is_damaged];
        let update = || self.connection.prepare_cached(sql)?.execute(row);
        update().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Tells whether a pack was judged.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn is_judged(&self, id: PackId) -> Result<bool, Error> {
        self.exists("SELECT 1 FROM packs WHERE id = ?1 AND damaged IS NOT NULL", id)
    }

    /// Tells whether any of these packs is known to be damaged.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn is_blamed(&self, ids: impl IntoIterator<Item = PackId>) -> Result<bool, Error> {
        for id in ids {
            if self.exists("SELECT 1 FROM packs WHERE id = ?1 AND damaged = 1", id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn exists(&self, sql: &str, id: PackId) -> Result<bool, Error> {
        let exists = || self.connection.prepare_cached(sql)?.exists([id.as_bytes()]);
        exists().map_err(|cause| wrap("read", cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_that_is_judged_is_known() {
        let plan = FilePlan::new().unwrap();
        let pack = |byte| PackId::from_bytes([byte; 32]);
        let place = PackPlace { generation: 3, profile: 1 };
        assert_eq!(plan.place(pack(1), place).unwrap(), place);
        let other = PackPlace { generation: 4, profile: 2 };
        assert_eq!(plan.place(pack(1), other).unwrap(), place);
        assert_eq!(plan.place_of(pack(1)).unwrap(), Some(place));
        assert_eq!(plan.place_of(pack(2)).unwrap(), None);
        assert!(!plan.is_judged(pack(1)).unwrap());
        plan.judge(pack(1), false).unwrap();
        assert!(plan.is_judged(pack(1)).unwrap() && !plan.is_judged(pack(2)).unwrap());
        assert!(!plan.is_blamed([pack(1), pack(2)]).unwrap());
        plan.judge(pack(1), true).unwrap();
        assert!(plan.is_blamed([pack(2), pack(1)]).unwrap());
    }
}

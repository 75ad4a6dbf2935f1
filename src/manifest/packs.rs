//! Packs that this writer made for the open generation.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{Error, IDENTITY, Manifest};
use crate::base::{ChunkId, PackId, Profile};
use crate::format::ObjectKey;

/// A pack's number on this host: recipes use it until the pack has its name.
pub type PackNumber = u32;

/// A pack that has become durable.
pub struct NewPack<'a> {
    /// Its number.
    pub number: PackNumber,
    /// Its name.
    pub id: PackId,
    /// Its profile.
    pub profile: Profile,
    /// Stored length in bytes.
    pub stored_len: u64,
    /// Raw length in bytes.
    pub raw_len: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// Its chunks in order: id and length.
    pub chunks: &'a [(ChunkId, u32)],
    /// Its entry of the next segment.
    pub segment_entry: &'a [u8],
}

/// A pack as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRow {
    /// Its number.
    pub number: PackNumber,
    /// Its name.
    pub id: PackId,
    /// Its profile.
    pub profile: Profile,
    /// Stored length in bytes.
    pub stored_len: u64,
    /// Raw length in bytes.
    pub raw_len: u64,
    /// When a snapshot last named it; until one does, when it was made.
    pub used_at: Timestamp,
    /// Whether a snapshot ever named it.
    pub is_named: bool,
    /// Whether the newest snapshot uses too little of it to lean on it further.
    pub retired: bool,
}

fn invalid<E: std::error::Error + Send + Sync + 'static>(
    column: usize,
    cause: E,
) -> rusqlite::Error {
    let boxed = Box::new(cause);
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, boxed)
}

fn row_to_pack(row: &Row<'_>) -> rusqlite::Result<PackRow> {
    Ok(PackRow {
        number: row.get(0)?,
        id: PackId::from_bytes(row.get(1)?),
        profile: Profile::from_code(row.get(2)?).map_err(|e| invalid(2, e))?,
        stored_len: row.get(3)?,
        raw_len: row.get(4)?,
        used_at: Timestamp::from_second(row.get(5)?).map_err(|e| invalid(5, e))?,
        is_named: row.get(6)?,
        retired: row.get(7)?,
    })
}

impl Manifest {
    /// Records a durable pack and where its chunks are.
    ///
    /// A chunk that an older pack holds too is found here from now on.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn add_pack(&mut self, pack: &NewPack<'_>) -> Result<(), Error> {
        self.write("record a pack in", |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO pack (number, id, profile, stored_len, raw_len, used_at, chunks) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    pack.number,
                    pack.id.as_bytes(),
                    pack.profile.code(),
                    pack.stored_len,
                    pack.raw_len,
                    pack.made_at.as_second(),
                    pack.segment_entry,
                ])?;
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO chunk (id, pack, offset, raw_len) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut offset = 0u64;
            for (id, raw_len) in pack.chunks {
                insert.execute(params![id.as_bytes().as_slice(), pack.number, offset, raw_len])?;
                offset += u64::from(*raw_len);
            }
            Ok(())
        })
    }

    /// Returns every pack, by number.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn packs(&self) -> Result<Vec<PackRow>, Error> {
        self.run("list the packs of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, id, profile, stored_len, raw_len, used_at, chunks IS NULL, \
                 retired FROM pack ORDER BY number",
            )?;
            statement.query_map([], row_to_pack)?.collect()
        })
    }

    /// Forgets packs that are about to be deleted, and where their chunks are. What stores said
    /// when they took them stays: events cover it.
    ///
    /// Numbers never come again in one manifest: if that of the newest pack is free now, the
    /// manifest gets another identity, for the cache of files goes by numbers.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing of it is.
    pub fn drop_packs(&mut self, packs: &[ObjectKey]) -> Result<(), Error> {
        self.write("forget packs in", |transaction| {
            let newest = "SELECT MAX(number) FROM pack";
            let number = |row: &Row<'_>| row.get::<_, Option<PackNumber>>(0);
            let before = transaction.query_row(newest, [], number)?;
            transaction.execute_batch("CREATE TEMP TABLE gone (number INTEGER PRIMARY KEY)")?;
            for key in packs {
                if let Some(id) = key.pack() {
                    let sql = "INSERT OR IGNORE INTO gone SELECT number FROM pack WHERE id = ?1";
                    transaction.prepare_cached(sql)?.execute([id.as_bytes()])?;
                }
            }
            // Nothing says where the chunks of a pack are but a look at all of them.
            let is_any = "SELECT EXISTS (SELECT 1 FROM gone)";
            if !transaction.query_row(is_any, [], |row| row.get(0))? {
                transaction.execute_batch("DROP TABLE gone")?;
                return Ok(());
            }
            let of_gone = "IN (SELECT number FROM gone)";
            transaction.execute(&format!("DELETE FROM chunk WHERE pack {of_gone}"), [])?;
            transaction.execute(&format!("DELETE FROM pack WHERE number {of_gone}"), [])?;
            transaction.execute_batch("DROP TABLE gone")?;
            if transaction.query_row(newest, [], number)? != before {
                transaction.execute("DELETE FROM meta WHERE name = ?1", [IDENTITY])?;
            }
            Ok(())
        })
    }

    /// Lets no snapshot lean any more on packs that were last named, or made, after a time.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn give_up_packs(&mut self, used_after: Timestamp) -> Result<(), Error> {
        self.write("give up packs of", |transaction| {
            let sql = "UPDATE pack SET used_at = 0 WHERE used_at > ?1";
            transaction.execute(sql, [used_after.as_second()]).map(drop)
        })
    }

    /// Returns the number that the next pack gets.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn next_pack_number(&self) -> Result<PackNumber, Error> {
        self.run("read", |connection| {
            connection
                .query_row("SELECT COALESCE(MAX(number) + 1, 0) FROM pack", [], |row| row.get(0))
        })
    }

    /// Returns the segment entry of a pack that no snapshot has named yet.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn segment_entry(&self, number: PackNumber) -> Result<Option<Vec<u8>>, Error> {
        self.run("read", |connection| {
            connection
                .prepare_cached("SELECT chunks FROM pack WHERE number = ?1")?
                .query_row([number], |row| row.get(0))
        })
    }
}

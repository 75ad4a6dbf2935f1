//! Snapshots, and the one transaction that commits one.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::outbox::{Outgoing, journal};
use super::{Error, Manifest, PackNumber};
use crate::base::{GenerationId, SnapshotId};
use crate::format::ObjectKey;

/// A snapshot as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its id.
    pub id: SnapshotId,
    /// When its run began.
    pub time: Timestamp,
    /// Its generation.
    pub generation: GenerationId,
    /// Its tags, as a JSON array.
    pub tags: String,
    /// Its signed note.
    pub note: Vec<u8>,
    /// Counts and lengths, as a JSON object.
    pub facts: String,
}

/// Everything that makes a snapshot, to be committed at once.
pub struct Commit<'a> {
    /// The snapshot.
    pub snapshot: &'a SnapshotRow,
    /// Every pack it names, with the bytes of it that it uses.
    pub named: &'a [(PackNumber, u64)],
    /// Percent of a pack's bytes below which it is retired.
    pub retire_below_percent: u8,
    /// The stores that get the objects.
    pub stores: &'a [String],
    /// The objects in the order of I2 and I3.
    pub objects: &'a [Outgoing],
    /// Values to keep by name, such as the state of the ledger.
    pub notes: &'a [(&'a str, Vec<u8>)],
}

fn row_to_snapshot(row: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    let text = |column: usize| -> rusqlite::Result<String> { row.get(column) };
    let invalid = |column| {
        rusqlite::Error::InvalidColumnType(
            column,
            "snapshot".to_owned(),
            rusqlite::types::Type::Text,
        )
    };
    Ok(SnapshotRow {
        id: text(0)?.parse().map_err(|_| invalid(0))?,
        time: Timestamp::from_second(row.get(1)?).map_err(|_| invalid(1))?,
        generation: text(2)?.parse().map_err(|_| invalid(2))?,
        tags: row.get(3)?,
        note: row.get(4)?,
        facts: row.get(5)?,
    })
}

impl Manifest {
    /// Commits a snapshot: its row, what it names, and its objects on their way.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing of it is.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Error> {
        let snapshot = commit.snapshot;
        self.write("commit a snapshot to", |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO snapshot (id, time, generation, tags, note, facts) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    snapshot.id.to_string(),
                    snapshot.time.as_second(),
                    snapshot.generation.to_string(),
                    snapshot.tags,
                    snapshot.note,
                    snapshot.facts,
                ])?;
            // A pack that this snapshot does not name has nothing of it: it is used to 0 percent.
            transaction.execute(
                "UPDATE pack SET retired = ?1 WHERE chunks IS NULL",
                [commit.retire_below_percent > 0],
            )?;
            let mut name = transaction.prepare_cached(
                "UPDATE pack SET used_at = ?2, chunks = NULL, \
                 retired = (?3 * 100 < raw_len * ?4) WHERE number = ?1",
            )?;
            for (number, used_len) in commit.named {
                name.execute(params![
                    number,
                    snapshot.time.as_second(),
                    used_len,
                    commit.retire_below_percent,
                ])?;
            }
            journal(transaction, commit.stores, commit.objects, commit.notes)
        })
    }

    /// Drops snapshots that are forgotten for good; their packs stay until they are pruned.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing of it is.
    pub fn drop_snapshots(&mut self, ids: &[SnapshotId]) -> Result<(), Error> {
        self.write("forget snapshots in", |transaction| {
            let mut drop = transaction.prepare_cached("DELETE FROM snapshot WHERE id = ?1")?;
            ids.iter().try_for_each(|id| drop.execute([id.to_string()]).map(|_| ()))
        })
    }

    /// Returns the snapshots whose notes `store` does not have yet.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn undelivered(&self, store: &str) -> Result<Vec<SnapshotId>, Error> {
        let keys: Vec<String> = self.run("read the outbox of", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT key FROM outbox WHERE store = ?1")?;
            statement.query_map([store], |row| row.get(0))?.collect()
        })?;
        let note = |key: String| match key.parse() {
            Ok(ObjectKey::Note(id)) => Some(id),
            _ => None,
        };
        Ok(keys.into_iter().filter_map(note).collect())
    }

    /// Returns every snapshot, oldest first.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn snapshots(&self) -> Result<Vec<SnapshotRow>, Error> {
        self.run("list the snapshots of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, time, generation, tags, note, facts FROM snapshot ORDER BY id",
            )?;
            statement.query_map([], row_to_snapshot)?.collect()
        })
    }
}

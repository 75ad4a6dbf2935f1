//! Objects on their way to a store. Spec: §9.
//!
//! I1, I2 and I3 are orders of writing, each per store. They hold because objects are journaled
//! here in that order, in the transaction that commits what they say, and leave in that order.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{Error, IDENTITY, Manifest, set_note};
use crate::base::{Digest, SnapshotId};
use crate::format::ObjectKey;

/// Where the bytes of an outgoing object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// In the outbox itself.
    Bytes(Vec<u8>),
    /// In a spooled file.
    File(String),
    /// In other stores of the vault only.
    Elsewhere,
}

/// An object on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub key: ObjectKey,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub payload: Payload,
    /// Until when it is to be locked at least, in a store that locks.
    pub locked_until: Option<Timestamp>,
}

/// A receipt, by the object that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReceipt {
    /// The object.
    pub key: ObjectKey,
    /// When the store took it, in seconds since 1970.
    pub second: i64,
    /// The version id, where the store has versions.
    pub version_id: Option<String>,
    /// The SHA-256 that the store computed itself.
    pub checksum: Option<Digest>,
}

/// What a store said when it took an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow<'a> {
    /// When, in seconds since 1970.
    pub second: i64,
    /// The version id, where the store has versions.
    pub version_id: Option<&'a str>,
    /// The SHA-256 that the store computed itself.
    pub checksum: Option<Digest>,
}

fn row_to_outgoing(row: &Row<'_>) -> rusqlite::Result<(i64, Outgoing)> {
    let key = key_at(row, 1)?;
    let (bytes, path): (Option<Vec<u8>>, Option<String>) = (row.get(3)?, row.get(4)?);
    let payload = match (bytes, path) {
        (_, Some(path)) => Payload::File(path),
        (Some(bytes), None) => Payload::Bytes(bytes),
        (None, None) => Payload::Elsewhere,
    };
    let sha256 = Digest::from_bytes(row.get(2)?);
    let second: Option<i64> = row.get(5)?;
    let locked_until = second.and_then(|second| Timestamp::from_second(second).ok());
    Ok((row.get(0)?, Outgoing { key, sha256, payload, locked_until }))
}

fn key_at(row: &Row<'_>, column: usize) -> rusqlite::Result<ObjectKey> {
    let key: String = row.get(column)?;
    key.parse().map_err(|cause| {
        let boxed = Box::<crate::format::key::ParseKeyError>::new(cause);
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, boxed)
    })
}

fn row_to_receipt(row: &Row<'_>) -> rusqlite::Result<KeptReceipt> {
    let checksum: Option<[u8; 32]> = row.get(3)?;
    Ok(KeptReceipt {
        key: key_at(row, 0)?,
        second: row.get(1)?,
        version_id: row.get(2)?,
        checksum: checksum.map(Digest::from_bytes),
    })
}

pub(super) fn journal(
    connection: &rusqlite::Connection,
    stores: &[String],
    objects: &[Outgoing],
    notes: &[(&str, Vec<u8>)],
) -> rusqlite::Result<()> {
    for store in stores {
        for object in objects {
            push(connection, store, object)?;
        }
    }
    notes.iter().try_for_each(|(name, value)| set_note(connection, name, value))
}

fn push(connection: &rusqlite::Connection, store: &str, object: &Outgoing) -> rusqlite::Result<()> {
    let (bytes, path) = match &object.payload {
        Payload::Bytes(bytes) => (Some(bytes), None),
        Payload::File(path) => (None, Some(path)),
        Payload::Elsewhere => (None, None),
    };
    let locked_until = object.locked_until.map(Timestamp::as_second);
    connection
        .prepare_cached(
            "INSERT INTO outbox (store, key, sha256, bytes, path, locked_until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            store,
            object.key.to_string(),
            object.sha256.as_bytes(),
            bytes,
            path,
            locked_until
        ])?;
    Ok(())
}

impl Manifest {
    /// Journals objects for every one of `stores`, in this order, and keeps values by name.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing is.
    pub fn enqueue(
        &mut self,
        stores: &[String],
        objects: &[Outgoing],
        notes: &[(&str, Vec<u8>)],
    ) -> Result<(), Error> {
        self.write("journal objects in", |transaction| journal(transaction, stores, objects, notes))
    }

    /// Journals what opens a generation, and erases the packs and chunks of the one before.
    ///
    /// Pack numbers begin anew, so the manifest gets another identity: the cache of files goes by
    /// the old numbers.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing is.
    pub fn roll(
        &mut self,
        stores: &[String],
        objects: &[Outgoing],
        notes: &[(&str, Vec<u8>)],
    ) -> Result<(), Error> {
        self.write("roll the generation in", |transaction| {
            journal(transaction, stores, objects, notes)?;
            transaction.execute("DELETE FROM chunk", [])?;
            transaction.execute("DELETE FROM pack", [])?;
            transaction.execute("DELETE FROM meta WHERE name = ?1", [IDENTITY])?;
            Ok(())
        })
    }

    /// Returns the next object that `store` must get, and its position.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn next_outgoing(&self, store: &str) -> Result<Option<(i64, Outgoing)>, Error> {
        use rusqlite::OptionalExtension;
        self.run("read the outbox of", |connection| {
            connection
                .prepare_cached(
                    "SELECT position, key, sha256, bytes, path, locked_until FROM outbox \
                     WHERE store = ?1 ORDER BY position LIMIT 1",
                )?
                .query_row([store], row_to_outgoing)
                .optional()
        })
    }

    /// Returns how many objects wait for `store`.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn outgoing_count(&self, store: &str) -> Result<u64, Error> {
        self.run("read the outbox of", |connection| {
            connection.query_row("SELECT COUNT(*) FROM outbox WHERE store = ?1", [store], |row| {
                row.get(0)
            })
        })
    }

    /// Tells whether a store ever got an object of the vault, or waits for one.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn knows_store(&self, store: &str) -> Result<bool, Error> {
        self.run("read", |connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM receipt WHERE store = ?1) \
                 OR EXISTS (SELECT 1 FROM outbox WHERE store = ?1)",
                [store],
                |row| row.get(0),
            )
        })
    }

    /// Tells whether a store took an object, as far as is known.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn has_receipt(&self, store: &str, key: &ObjectKey) -> Result<bool, Error> {
        self.run("read the receipts of", |connection| {
            connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM receipt WHERE store = ?1 AND key = ?2)",
                )?
                .query_row(params![store, key.to_string()], |row| row.get(0))
        })
    }

    /// Returns the receipts of a store that the event of a snapshot covers, by name; without a
    /// snapshot, those that no event covers yet.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn receipts_of(
        &self,
        store: &str,
        completed: Option<SnapshotId>,
    ) -> Result<Vec<KeptReceipt>, Error> {
        self.run("read the receipts of", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, time, version_id, checksum FROM receipt \
                 WHERE store = ?1 AND completed IS ?2 ORDER BY key",
            )?;
            let completed = completed.map(|snapshot| snapshot.to_string());
            statement.query_map(params![store, completed], row_to_receipt)?.collect()
        })
    }

    /// Journals objects, and keeps that an event of a snapshot covers every receipt of each of
    /// some stores that none covered before.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing is.
    pub fn complete(
        &mut self,
        stores: &[String],
        objects: &[Outgoing],
        notes: &[(&str, Vec<u8>)],
        completed: &[(String, SnapshotId)],
    ) -> Result<(), Error> {
        self.write("journal objects in", |transaction| {
            journal(transaction, stores, objects, notes)?;
            completed.iter().try_for_each(|(store, snapshot)| {
                transaction.execute(
                    "UPDATE receipt SET completed = ?2 WHERE store = ?1 AND completed IS NULL",
                    params![store, snapshot.to_string()],
                )?;
                Ok(())
            })
        })
    }

    /// Returns whether any store still waits for the spooled file `path`.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn is_spooled(&self, path: &str) -> Result<bool, Error> {
        self.run("read the outbox of", |connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM outbox WHERE path = ?1)",
                [path],
                |row| row.get(0),
            )
        })
    }

    /// Takes an object that `store` acknowledged out of the outbox and keeps the receipt.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn delivered(
        &mut self,
        position: i64,
        store: &str,
        key: &ObjectKey,
        receipt: &ReceiptRow<'_>,
    ) -> Result<(), Error> {
        self.write("keep a receipt in", |transaction| {
            transaction
                .prepare_cached("DELETE FROM outbox WHERE position = ?1")?
                .execute([position])?;
            insert_receipt(transaction, store, key, receipt)
        })
    }

    /// Takes an object that a store got by another way out of what waits for it, and keeps the
    /// receipt; returns the spooled files that stood for it, which others may still wait for.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn settle(
        &mut self,
        store: &str,
        key: &ObjectKey,
        receipt: &ReceiptRow<'_>,
    ) -> Result<Vec<String>, Error> {
        let mut paths = Vec::new();
        self.write("keep a receipt in", |transaction| {
            let mut statement = transaction.prepare_cached(
                "DELETE FROM outbox WHERE store = ?1 AND key = ?2 RETURNING path",
            )?;
            let rows = statement.query_map(params![store, key.to_string()], |row| row.get(0))?;
            let found: Vec<Option<String>> = rows.collect::<rusqlite::Result<_>>()?;
            paths = found.into_iter().flatten().collect();
            insert_receipt(transaction, store, key, receipt)
        })?;
        Ok(paths)
    }

    /// Keeps that a store has these objects, since when, and nothing that it said of them.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing is.
    pub fn keep_found(&mut self, store: &str, found: &[(ObjectKey, i64)]) -> Result<(), Error> {
        self.write("keep what was found in", |transaction| {
            found.iter().try_for_each(|(key, second)| {
                let receipt = ReceiptRow { second: *second, version_id: None, checksum: None };
                insert_receipt(transaction, store, key, &receipt)
            })
        })
    }

    /// Keeps the receipt of an object that did not pass through the outbox.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn keep_receipt(
        &mut self,
        store: &str,
        key: &ObjectKey,
        receipt: &ReceiptRow<'_>,
    ) -> Result<(), Error> {
        self.write("keep a receipt in", |transaction| {
            insert_receipt(transaction, store, key, receipt)
        })
    }
}

fn insert_receipt(
    connection: &rusqlite::Connection,
    store: &str,
    key: &ObjectKey,
    receipt: &ReceiptRow<'_>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            // What an event covers stays as it was covered.
            "INSERT INTO receipt (store, key, time, version_id, checksum) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (store, key) DO UPDATE SET \
             time = excluded.time, version_id = excluded.version_id, \
             checksum = excluded.checksum WHERE completed IS NULL",
        )?
        .execute(params![
            store,
            key.to_string(),
            receipt.second,
            receipt.version_id,
            receipt.checksum.map(|digest| *digest.as_bytes()),
        ])?;
    Ok(())
}

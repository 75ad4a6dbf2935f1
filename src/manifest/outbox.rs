//! Objects on their way to a store. Spec: §9.
//!
//! I1, I2 and I3 are orders of writing, each per store. They hold because objects are journaled
//! here in that order, in the transaction that commits what they say, and leave in that order.

use rusqlite::{Row, params};

use super::{Error, IDENTITY, Manifest, set_note};
use crate::base::Digest;
use crate::format::ObjectKey;

/// Where the bytes of an outgoing object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// In the outbox itself.
    Bytes(Vec<u8>),
    /// In a spooled file.
    File(String),
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
    let key: String = row.get(1)?;
    let key = key.parse().map_err(|cause| {
        let boxed = Box::<crate::format::key::ParseKeyError>::new(cause);
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, boxed)
    })?;
    let path: Option<String> = row.get(4)?;
    let payload = match path {
        Some(path) => Payload::File(path),
        None => Payload::Bytes(row.get(3)?),
    };
    let sha256 = Digest::from_bytes(row.get(2)?);
    Ok((row.get(0)?, Outgoing { key, sha256, payload }))
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
    };
    connection
        .prepare_cached(
            "INSERT INTO outbox (store, key, sha256, bytes, path) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![store, object.key.to_string(), object.sha256.as_bytes(), bytes, path])?;
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
                    "SELECT position, key, sha256, bytes, path FROM outbox \
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
            "INSERT OR REPLACE INTO receipt (store, key, time, version_id, checksum) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
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

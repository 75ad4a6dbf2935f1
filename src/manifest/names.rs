//! Digests of names, kept on disk where they would not fit in little memory.
//!
//! As the list of what is needed, it is a database without a name, which SQLite removes by itself.

use std::path::Path;

use rusqlite::Connection;

use super::Error;

/// Bytes of a name's digest that are kept: enough that no two names share them.
pub const NAME_LEN: usize = 16;

const SCHEMA: &str = "
    PRAGMA cache_size = -4096;
    CREATE TABLE name (id BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
";

/// The digests of names.
pub struct Names {
    connection: Connection,
}

impl Names {
    /// Makes an empty set, in the directory for temporary files.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn new() -> Result<Self, Error> {
        let connection = super::in_passing(&[SCHEMA]).map_err(|cause| wrap("make", cause))?;
        Ok(Self { connection })
    }

    /// Adds names; fastest in the order of their digests.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn add(&self, names: &[[u8; NAME_LEN]]) -> Result<(), Error> {
        let add = || {
            let transaction = self.connection.unchecked_transaction()?;
            let sql = "INSERT OR IGNORE INTO name VALUES (?1)";
            for name in names {
                transaction.prepare_cached(sql)?.execute([name])?;
            }
            transaction.commit()
        };
        add().map_err(|cause| wrap("write", cause))
    }

    /// Tells whether a name is there.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn contains(&self, name: &[u8; NAME_LEN]) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM name WHERE id = ?1";
        let find = || self.connection.prepare_cached(sql)?.exists([name]);
        find().map_err(|cause| wrap("read", cause))
    }
}

fn wrap(action: &'static str, cause: rusqlite::Error) -> Error {
    Error::new(Path::new("the names of a tree"), action, cause)
}

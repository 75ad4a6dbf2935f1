//! What somebody else says of objects, kept on disk for as long as somebody asks. Spec:
//! `evidence.md`.
//!
//! As the list of what is needed, it is a database without a name, which SQLite removes by itself.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Error;
use crate::base::Digest;
use crate::format::ObjectKey;

const SCHEMA: &str = "
    PRAGMA cache_size = -4096;
    CREATE TABLE claim (
        key TEXT NOT NULL,
        version TEXT NOT NULL,
        second INTEGER NOT NULL,
        digest BLOB,
        PRIMARY KEY (key, version, second)
    ) WITHOUT ROWID;
";

/// What is said of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its SHA-256, if that was told.
    pub digest: Option<Digest>,
    /// When it was so, in seconds since 1970.
    pub second: i64,
    /// Of which version, if that was told.
    pub version: Option<String>,
}

/// Claims: one for each object, or one for each version and time of it.
pub struct Claims {
    connection: Mutex<Connection>,
}

impl Claims {
    /// Makes an empty set, in the directory for temporary files.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn new() -> Result<Self, Error> {
        let connection = super::in_passing(&[SCHEMA]).map_err(|cause| wrap("make", cause))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Does what may add claims; what an attempt added that says no, or fails, is gone.
    ///
    /// # Errors
    /// If it fails, or the set cannot be written.
    pub fn attempt<E: From<Error>>(
        &self,
        add: impl FnOnce(&Self) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let run = |sql| self.held().execute_batch(sql).map_err(|cause| wrap("write", cause));
        run("SAVEPOINT attempt")?;
        let result = add(self);
        if !matches!(result, Ok(true)) {
            run("ROLLBACK TO attempt")?;
        }
        run("RELEASE attempt")?;
        result
    }

    /// Keeps a claim; an earlier one of the same object goes.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn put(&self, key: &ObjectKey, claim: &Claim) -> Result<(), Error> {
        self.remove(key)?;
        self.add(key, claim)
    }

    /// Keeps a claim beside those of other versions and times of the same object.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn add(&self, key: &ObjectKey, claim: &Claim) -> Result<(), Error> {
        let add = || {
            let sql = "INSERT OR REPLACE INTO claim VALUES (?1, ?2, ?3, ?4)";
            let digest = claim.digest.map(|digest| *digest.as_bytes());
            let version = claim.version.as_deref().unwrap_or_default();
            let connection = self.held();
            let mut insert = connection.prepare_cached(sql)?;
            insert.execute(params![key.to_string(), version, claim.second, digest])
        };
        add().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Removes every claim of an object.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        let remove = || {
            let sql = "DELETE FROM claim WHERE key = ?1";
            self.held().prepare_cached(sql)?.execute([key.to_string()])
        };
        remove().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Returns the newest claim of an object, if there is one.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn get(&self, key: &ObjectKey) -> Result<Option<Claim>, Error> {
        let get = || {
            let sql = "SELECT key, digest, second, version FROM claim WHERE key = ?1
                       ORDER BY second DESC LIMIT 1";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            select.query_row([key.to_string()], |row| Ok(row_to_claim(row)?.1)).optional()
        };
        get().map_err(|cause| wrap("read", cause))
    }

    /// Returns the claims after one, in the order of names; at most `count`.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn page(
        &self,
        after: Option<&(ObjectKey, Claim)>,
        count: u32,
    ) -> Result<Vec<(ObjectKey, Claim)>, Error> {
        let key = after.map(|(key, _)| key.to_string()).unwrap_or_default();
        let version = after.and_then(|(_, claim)| claim.version.as_deref()).unwrap_or_default();
        let second = after.map_or(i64::MIN, |(_, claim)| claim.second);
        let read = || {
            let sql = "SELECT key, digest, second, version FROM claim
                       WHERE (key, version, second) > (?1, ?2, ?3)
                       ORDER BY key, version, second LIMIT ?4";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map(params![key, version, second, count], row_to_claim)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|cause| wrap("read", cause))?;
        Ok(rows.into_iter().filter_map(|(key, claim)| Some((key.parse().ok()?, claim))).collect())
    }
}

impl Claims {
    /// Returns the connection, for as long as one statement runs.
    fn held(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn row_to_claim(row: &Row<'_>) -> rusqlite::Result<(String, Claim)> {
    let digest: Option<[u8; 32]> = row.get(1)?;
    let (second, version): (_, String) = (row.get(2)?, row.get(3)?);
    let version = Some(version).filter(|version| !version.is_empty());
    Ok((row.get(0)?, Claim { digest: digest.map(Digest::from_bytes), second, version }))
}

fn wrap(action: &'static str, cause: rusqlite::Error) -> Error {
    Error::new(Path::new("the list of what is said of objects"), action, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PackId;

    #[test]
    fn what_is_kept_is_found_again_and_a_refused_attempt_leaves_nothing() {
        let claims = Claims::new().unwrap();
        let pack = |byte: u8| ObjectKey::Pack(PackId::from_bytes([byte; 32]));
        let claim = |second: i64| Claim {
            digest: Some(Digest::from_bytes([7; 32])),
            second,
            version: Some("v1".to_owned()),
        };
        claims.put(&pack(2), &claim(1)).unwrap();
        claims.put(&pack(2), &claim(2)).unwrap();
        claims.put(&pack(1), &Claim { digest: None, second: 3, version: None }).unwrap();
        let refused = claims.attempt(|claims| {
            claims.put(&pack(9), &claim(4))?;
            Ok::<_, Error>(false)
        });
        assert!(!refused.unwrap() && claims.get(&pack(9)).unwrap().is_none());
        assert_eq!(claims.get(&pack(2)).unwrap(), Some(claim(2)));
        let page = claims.page(None, 1).unwrap();
        assert_eq!(page[0].0, pack(1));
        assert_eq!(claims.page(Some(&page[0]), 9).unwrap(), [(pack(2), claim(2))]);
    }

    #[test]
    fn what_is_said_of_versions_and_times_of_an_object_stands_side_by_side() {
        let claims = Claims::new().unwrap();
        let pack = ObjectKey::Pack(PackId::from_bytes([2; 32]));
        let claim = |version: Option<&str>, second| Claim {
            digest: None,
            second,
            version: version.map(str::to_owned),
        };
        let all = [claim(None, 4), claim(None, 9), claim(Some("v1"), 1), claim(Some("v2"), 1)];
        all.iter().rev().for_each(|one| claims.add(&pack, one).unwrap());
        all.iter().for_each(|one| claims.add(&pack, one).unwrap());
        let (mut found, mut after) = (Vec::new(), None);
        while let Some(one) = claims.page(after.as_ref(), 1).unwrap().pop() {
            found.push(one.1.clone());
            after = Some(one);
        }
        assert_eq!(found, all);
        assert_eq!(claims.get(&pack).unwrap(), Some(claim(None, 9)), "the newest");
        claims.put(&pack, &all[0]).unwrap();
        assert_eq!(claims.page(None, 9).unwrap(), [(pack, all[0].clone())]);
    }
}

//! What is named and what goes, on disk, while one prune runs: a million packs of any store.
//!
//! A file of its own without a name, so memory stays bounded however many packs there are, and
//! nothing of it outlives the program.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, scratch};
use crate::format::ObjectKey;

const SCHEMA: &str = "
    CREATE TABLE named (
        tree   INTEGER NOT NULL,
        id     BLOB    NOT NULL,
        needed INTEGER NOT NULL,
        own    INTEGER NOT NULL,
        second INTEGER,
        PRIMARY KEY (tree, id)
    ) WITHOUT ROWID;
    CREATE TABLE staged (
        tree INTEGER NOT NULL,
        id   BLOB    NOT NULL,
        PRIMARY KEY (tree, id)
    ) WITHOUT ROWID;
    CREATE TABLE going (
        store    INTEGER NOT NULL,
        list     INTEGER NOT NULL,
        key      TEXT    NOT NULL,
        len      INTEGER NOT NULL,
        recorded INTEGER NOT NULL,
        PRIMARY KEY (store, list, key)
    ) WITHOUT ROWID;
    CREATE TABLE recorded (
        store INTEGER NOT NULL,
        key   TEXT    NOT NULL,
        own   INTEGER NOT NULL,
        PRIMARY KEY (store, key)
    ) WITHOUT ROWID;
    BEGIN;
";
/// How its file begins until it has no name.
const PREFIX: &str = ".idswyft-vault-prune-";

/// How a snapshot names what is in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// It stands, and needs it.
    Needs,
    /// It does not, and was taken at this time.
    At(Timestamp),
    /// It does not, and its own host deletes: nobody else leans on it.
    Own,
}

/// What is known of a pack that some list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Whether a snapshot that stands needs it.
    pub is_needed: bool,
    /// Whether nothing names it but what its own host forgot.
    pub is_own: bool,
    /// When the newest of the other snapshots was taken.
    pub at: Option<Timestamp>,
}

/// An object that goes from a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Going {
    /// Its name.
    pub key: ObjectKey,
    /// Its stored length in bytes.
    pub stored_len: u64,
}

impl Going {
    /// Tells whether it is a list, which goes after what it names.
    pub const fn is_list(&self) -> bool {
        matches!(self.key, ObjectKey::List(_))
    }
}

/// Which of the objects that go are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// All.
    All,
    /// Those that no event names yet.
    Unrecorded,
}

/// Takes what one list names.
pub struct Staging<'a> {
    sweep: &'a Sweep,
}

impl Staging<'_> {
    /// Takes a pack or tree object; what is neither changes nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, key: &ObjectKey) -> Result<(), Error> {
        let Some(id) = key.pack() else { return Ok(()) };
        let write = || {
            let sql = "INSERT OR IGNORE INTO staged VALUES (?1, ?2)";
            let mut insert = self.sweep.connection.prepare_cached(sql)?;
            insert.execute(params![is_tree(key), id.as_bytes()])
        };
        write().map(drop).map_err(|cause| self.sweep.wrap(cause))
    }
}

/// What lists name and what goes from which store.
pub struct Sweep {
    connection: Connection,
    dir: PathBuf,
}

impl Sweep {
    /// Makes an empty one in a directory.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        let connection = scratch::create(dir, PREFIX, 32 * 1024, SCHEMA)?;
        Ok(Self { connection, dir: dir.to_owned() })
    }

    /// Takes note of how a snapshot names what `read` gives; of an attempt that fails, nothing.
    ///
    /// # Errors
    /// If it fails, or nothing can be written.
    pub fn name_all<E: From<Error>>(
        &self,
        naming: Naming,
        read: impl FnOnce(&Staging<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let read = read(&Staging { sweep: self });
        let merged = if read.is_ok() { self.merge(naming) } else { Ok(()) };
        // There is no journal to roll back with: what was not merged is dropped.
        let run = || self.connection.execute("DELETE FROM staged", []);
        merged.and_then(|()| run().map(drop)).map_err(|cause| self.wrap(cause))?;
        read
    }

    fn merge(&self, naming: Naming) -> rusqlite::Result<()> {
        let second = match naming {
            Naming::At(at) => Some(at.as_second()),
            Naming::Needs | Naming::Own => None,
        };
        let sql = "INSERT INTO named SELECT tree, id, ?1, ?2, ?3 FROM staged WHERE TRUE \
                   ON CONFLICT (tree, id) DO UPDATE SET \
                   needed = MAX(needed, excluded.needed), own = MIN(own, excluded.own), \
                   second = COALESCE(MAX(second, excluded.second), second, excluded.second)";
        let (needed, own) = (naming == Naming::Needs, naming == Naming::Own);
        self.connection.prepare_cached(sql)?.execute(params![needed, own, second]).map(drop)
    }

    /// Returns what is known of a pack or tree object; nothing, if no list names it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn named(&self, key: &ObjectKey) -> Result<Option<Named>, Error> {
        let Some(id) = key.pack() else { return Ok(None) };
        let read = || {
            let sql = "SELECT needed, own, second FROM named WHERE tree = ?1 AND id = ?2";
            let mut select = self.connection.prepare_cached(sql)?;
            select.query_row(params![is_tree(key), id.as_bytes()], row_to_named).optional()
        };
        read().map_err(|cause| self.wrap(cause))
    }

    /// Takes note that an event says that an object is to go from a store, and whether the host
    /// that prunes said so itself.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&self, store: usize, key: &ObjectKey, is_own: bool) -> Result<(), Error> {
        let write = || {
            let sql = "INSERT INTO recorded VALUES (?1, ?2, ?3) \
                       ON CONFLICT (store, key) DO UPDATE SET own = MAX(own, excluded.own)";
            let mut insert = self.connection.prepare_cached(sql)?;
            insert.execute(params![store, key.to_string(), is_own])
        };
        write().map(drop).map_err(|cause| self.wrap(cause))
    }

    /// Tells whether the host that prunes said earlier that an object is to go from a store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_recorded_by_host(&self, store: usize, key: &ObjectKey) -> Result<bool, Error> {
        let read = || {
            let sql = "SELECT 1 FROM recorded WHERE store = ?1 AND key = ?2 AND own";
            self.connection.prepare_cached(sql)?.exists(params![store, key.to_string()])
        };
        read().map_err(|cause| self.wrap(cause))
    }

    /// Adds an object that goes from a store; tells whether an event says so already.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn let_go(&self, store: usize, going: &Going) -> Result<bool, Error> {
        let write = || {
            let key = going.key.to_string();
            let sql = "SELECT EXISTS (SELECT 1 FROM recorded WHERE store = ?1 AND key = ?2)";
            let mut select = self.connection.prepare_cached(sql)?;
            let recorded: bool = select.query_row(params![store, key], |row| row.get(0))?;
            let sql = "INSERT OR REPLACE INTO going VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut insert = self.connection.prepare_cached(sql)?;
            insert.execute(params![store, going.is_list(), key, going.stored_len, recorded])?;
            Ok(recorded)
        };
        write().map_err(|cause| self.wrap(cause))
    }

    /// Returns the next objects that go from a store, in the order of their names, lists last.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn page(
        &self,
        store: usize,
        pick: Pick,
        after: Option<&ObjectKey>,
        count: usize,
    ) -> Result<Vec<Going>, Error> {
        let is_list = matches!(after, Some(ObjectKey::List(_)));
        let after = after.map(ToString::to_string).unwrap_or_default();
        let unrecorded = pick == Pick::Unrecorded;
        let read = || {
            let sql = "SELECT key, len FROM going WHERE store = ?1 AND (list, key) > (?2, ?3) \
                       AND recorded <= ?4 ORDER BY list, key LIMIT ?5";
            let mut select = self.connection.prepare_cached(sql)?;
            let limit = params![store, is_list, after, !unrecorded, count];
            select.query_map(limit, row_to_going)?.collect::<rusqlite::Result<Vec<Going>>>()
        };
        read().map_err(|cause| self.wrap(cause))
    }

    fn wrap(&self, cause: rusqlite::Error) -> Error {
        Error::new(&self.dir, "use a scratch file in", cause)
    }
}

const fn is_tree(key: &ObjectKey) -> bool {
    matches!(key, ObjectKey::Tree(_))
}

fn row_to_named(row: &Row<'_>) -> rusqlite::Result<Named> {
    let second: Option<i64> = row.get(2)?;
    let at = second.map(|second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX));
    Ok(Named { is_needed: row.get(0)?, is_own: row.get(1)?, at })
}

fn row_to_going(row: &Row<'_>) -> rusqlite::Result<Going> {
    let key: String = row.get(0)?;
    let key = key.parse().map_err(|cause| {
        let boxed = Box::<crate::format::key::ParseKeyError>::new(cause);
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, boxed)
    })?;
    Ok(Going { key, stored_len: row.get(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PackId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(sweep: &Sweep, key: &ObjectKey, naming: Naming) {
        sweep.name_all::<Error>(naming, |staging| staging.add(key)).unwrap();
    }

    #[test]
    fn of_several_namings_the_strongest_counts_whatever_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let namings = [Naming::Own, Naming::At(at(5)), Naming::At(at(9)), Naming::Needs];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let sweep = Sweep::create(dir.path()).unwrap();
            let key = ObjectKey::Pack(PackId::from_bytes([1; 32]));
            order.iter().for_each(|index| name(&sweep, &key, namings[*index]));
            let expected = Named { is_needed: true, is_own: false, at: Some(at(9)) };
            assert_eq!(sweep.named(&key).unwrap(), Some(expected), "{order:?}");
            assert_eq!(sweep.named(&ObjectKey::Tree(PackId::from_bytes([1; 32]))).unwrap(), None);
        }
        let sweep = Sweep::create(dir.path()).unwrap();
        let key = ObjectKey::Tree(PackId::from_bytes([2; 32]));
        name(&sweep, &key, Naming::Own);
        let expected = Named { is_needed: false, is_own: true, at: None };
        assert_eq!(sweep.named(&key).unwrap(), Some(expected));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_failed_attempt_named_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let sweep = Sweep::create(dir.path()).unwrap();
        let key = ObjectKey::Pack(PackId::from_bytes([3; 32]));
        let failed: Result<(), Error> = sweep.name_all(Naming::Needs, |staging| {
            staging.add(&key)?;
            Err(Error::Missing { path: PathBuf::new() })
        });
        assert!(failed.is_err() && sweep.named(&key).unwrap().is_none());
        let other = ObjectKey::Pack(PackId::from_bytes([4; 32]));
        name(&sweep, &other, Naming::Needs);
        assert!(sweep.named(&key).unwrap().is_none(), "nor by the next one");
    }

    #[test]
    fn what_goes_comes_in_pages_and_what_is_recorded_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let sweep = Sweep::create(dir.path()).unwrap();
        let going = |number: u8| {
            let key = ObjectKey::Pack(PackId::from_bytes([number; 32]));
            Going { key, stored_len: u64::from(number) }
        };
        sweep.record(0, &going(3).key, true).unwrap();
        sweep.record(0, &going(3).key, false).unwrap();
        sweep.record(0, &going(7).key, false).unwrap();
        let by_host = |number| sweep.is_recorded_by_host(0, &going(number).key).unwrap();
        assert!(by_host(3) && !by_host(7) && !by_host(4));
        let told: Vec<bool> =
            (0..5).rev().map(|number| sweep.let_go(0, &going(number)).unwrap()).collect();
        assert_eq!(told, [false, true, false, false, false]);
        assert!(!sweep.let_go(1, &going(3)).unwrap(), "it is recorded for another store");
        let first = sweep.page(0, Pick::All, None, 3).unwrap();
        let second = sweep.page(0, Pick::All, first.last().map(|last| &last.key), 3).unwrap();
        assert_eq!([first, second].concat(), (0..5).map(going).collect::<Vec<_>>());
        let fresh = sweep.page(0, Pick::Unrecorded, None, 9).unwrap();
        assert_eq!(fresh, [0, 1, 2, 4].map(going));
    }

    #[test]
    fn lists_go_last_whatever_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let sweep = Sweep::create(dir.path()).unwrap();
        let list = ObjectKey::List("20261122T023000Z-1a2b3c4d".parse().unwrap());
        let keys = [list, ObjectKey::Tree(PackId::from_bytes([1; 32]))];
        for key in keys {
            sweep.let_go(0, &Going { key, stored_len: 1 }).unwrap();
        }
        let first = sweep.page(0, Pick::All, None, 1).unwrap();
        let second = sweep.page(0, Pick::All, Some(&first[0].key), 9).unwrap();
        assert_eq!(
            [first, second].concat().iter().map(|one| one.key).collect::<Vec<_>>(),
            [keys[1], keys[0]]
        );
        assert!(sweep.page(0, Pick::All, Some(&list), 9).unwrap().is_empty());
    }
}

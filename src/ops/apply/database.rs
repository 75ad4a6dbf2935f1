//! The databases that change names. Spec: `apply.md` §1.
//!
//! Which of them exist tells how far it is, so no step needs to know whether it ran before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use super::ApplyError;
use super::journal::DatabaseNames;
use crate::ops::Error;
use crate::source::docker::DockerError;
use crate::source::docker::psql::{Psql, identifier, literal};

/// Bytes of a database's name that are kept in the names beside it; PostgreSQL has 63 in all.
const NAME_LEN_MAX: usize = 40;
/// How often the exchange of names is tried, because somebody connects in between.
const SWAP_ATTEMPT_COUNT_MAX: u32 = 30;
const SWAP_PAUSE: Duration = Duration::from_secs(1);
/// Row counts that one statement asks for.
const COUNTS_AT_ONCE: usize = 50;

impl DatabaseNames {
    /// Names what is staged and what was there before; `suffix` sets them apart from any other.
    pub fn new(user: &str, name: &str, was_there: bool, suffix: &str) -> Self {
        let end = (0..=NAME_LEN_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
        let short = &name[..end.unwrap_or(0)];
        Self {
            user: user.to_owned(),
            name: name.to_owned(),
            was_there,
            staged: format!("{short}_restored_{suffix}"),
            previous: format!("{short}_before_{suffix}"),
        }
    }

    /// Returns a database from which the others can be renamed.
    pub fn elsewhere(&self) -> &'static str {
        if self.name == "postgres" { "template1" } else { "postgres" }
    }
}

/// The exchange of a stack's database.
pub struct DatabaseSwap<'a> {
    psql: Psql<'a>,
    names: &'a DatabaseNames,
}

impl<'a> DatabaseSwap<'a> {
    /// Takes the names from a journal.
    pub fn new(psql: Psql<'a>, names: &'a DatabaseNames) -> Self {
        Self { psql, names }
    }

    /// Loads a dump into a new database beside the one that serves.
    ///
    /// # Errors
    /// If it cannot be made, or a statement of the dump fails.
    pub fn stage(&self, dump: File) -> Result<(), Error> {
        self.drop_staged()?;
        let Names { name, staged, .. } = self.quoted();
        let of = literal(&self.names.name);
        let locale = format!(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database \
             WHERE datname = {of};"
        );
        let like = match &self.elsewhere(&locale)?[..] {
            [row] if row.len() == 3 => format!(
                " ENCODING {} LC_COLLATE {} LC_CTYPE {}",
                literal(&row[0]),
                literal(&row[1]),
                literal(&row[2])
            ),
            _ => " ENCODING 'UTF8'".to_owned(),
        };
        let owner = format!(
            "SELECT r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba \
             WHERE d.datname = {of};"
        );
        let owner = self.elsewhere(&owner)?.into_iter().flatten().next();
        let owner = identifier(&owner.unwrap_or_else(|| self.names.user.clone()));
        self.elsewhere(&format!(
            "CREATE DATABASE {staged} OWNER {owner} TEMPLATE template0{like};\n\
             COMMENT ON DATABASE {staged} IS 'a snapshot on its way to {}';",
            name.replace('\'', "''")
        ))?;
        Ok(self.psql.load(&self.names.staged, dump)?)
    }

    /// Compares the rows of the staged database with what the snapshot counted.
    ///
    /// # Errors
    /// If they differ, or a table is not there.
    pub fn check_rows(&self, rows: &BTreeMap<String, u64>) -> Result<(), Error> {
        let tables: Vec<(&String, &u64)> = rows.iter().collect();
        let mut differing = Vec::new();
        for some in tables.chunks(COUNTS_AT_ONCE) {
            let counts = some
                .iter()
                .map(|(table, _)| format!("SELECT {}, count(*) FROM {table}", literal(table)));
            let sql = format!("{};", counts.collect::<Vec<_>>().join(" UNION ALL "));
            let found: BTreeMap<String, String> = self
                .psql
                .run(&self.names.staged, &sql)?
                .into_iter()
                .filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone())))
                .collect();
            for (table, expected) in some {
                let count = found.get(*table).map_or("none", String::as_str);
                if count != expected.to_string() {
                    differing.push(format!("{table} has {count} of {expected}"));
                }
            }
        }
        match differing.is_empty() {
            true => Ok(()),
            false => Err(ApplyError::Rows { differing }.into()),
        }
    }

    /// Gives the staged database the name of the one that serves.
    ///
    /// # Errors
    /// If somebody keeps the old one busy all the while.
    pub fn swap(&self) -> Result<(), Error> {
        let Names { name, staged, previous } = self.quoted();
        let there = self.there()?;
        if !there.contains(&self.names.staged) {
            // It was done before, if what was there has its other name now.
            return match there.contains(&self.names.name) && self.is_kept(&there) {
                true => Ok(()),
                false => Err(ApplyError::Lost { what: self.names.staged.clone() }.into()),
            };
        }
        if !there.contains(&self.names.name) {
            return self.run(&format!("ALTER DATABASE {staged} RENAME TO {name};"));
        }
        self.exchange(
            &self.names.name,
            &format!(
                "ALTER DATABASE {name} RENAME TO {previous};\n\
             ALTER DATABASE {staged} RENAME TO {name};"
            ),
        )
    }

    /// Gives the name back to the database that had it.
    ///
    /// # Errors
    /// As [`swap`](Self::swap).
    pub fn swap_back(&self) -> Result<(), Error> {
        let Names { name, staged, previous } = self.quoted();
        let there = self.there()?;
        let had_one = there.contains(&self.names.previous);
        if !there.contains(&self.names.staged) && there.contains(&self.names.name) {
            if !self.is_kept(&there) {
                return Err(ApplyError::Lost { what: self.names.previous.clone() }.into());
            }
            let again = match had_one {
                true => format!("ALTER DATABASE {previous} RENAME TO {name};"),
                false => String::new(),
            };
            self.exchange(
                &self.names.name,
                &format!("ALTER DATABASE {name} RENAME TO {staged};\n{again}"),
            )?;
        }
        match self.there()?.contains(&self.names.name) {
            true => self.run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true;")),
            false => Ok(()),
        }
    }

    /// Removes the staged database.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn drop_staged(&self) -> Result<(), Error> {
        self.drop(&self.names.staged)
    }

    /// Removes what served before.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn drop_previous(&self) -> Result<(), Error> {
        self.drop(&self.names.previous)
    }

    fn drop(&self, name: &str) -> Result<(), Error> {
        self.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE);", identifier(name)))
    }

    /// Tells whether what was there before still is, under its other name.
    fn is_kept(&self, there: &BTreeSet<String>) -> bool {
        !self.names.was_there || there.contains(&self.names.previous)
    }

    /// Ends every connection to a database, lets no new one in, and renames in one transaction.
    fn exchange(&self, busy: &str, renames: &str) -> Result<(), Error> {
        let sql = format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS false;\n\
             SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname IN ({}, {});\n\
             BEGIN;\n{renames}\nCOMMIT;",
            identifier(busy),
            literal(busy),
            literal(&self.names.staged)
        );
        let mut attempt = 1;
        loop {
            match self.run(&sql) {
                Err(Error::Docker(DockerError::Failed { .. }))
                    if attempt < SWAP_ATTEMPT_COUNT_MAX =>
                {
                    attempt += 1;
                    std::thread::sleep(SWAP_PAUSE);
                }
                ended => return ended,
            }
        }
    }

    fn there(&self) -> Result<BTreeSet<String>, Error> {
        let rows = self.elsewhere("SELECT datname FROM pg_database;")?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.elsewhere(sql).map(drop)
    }

    fn elsewhere(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        Ok(self.psql.run(self.names.elsewhere(), sql)?)
    }

    fn quoted(&self) -> Names {
        Names {
            name: identifier(&self.names.name),
            staged: identifier(&self.names.staged),
            previous: identifier(&self.names.previous),
        }
    }
}

struct Names {
    name: String,
    staged: String,
    previous: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_long_one_still_fit() {
        let names = DatabaseNames::new("u", &"é".repeat(31), true, "0011aabb");
        assert!(names.staged.len() <= 63 && names.previous.len() <= 63);
        assert_ne!(names.staged, names.previous);
        assert_eq!(DatabaseNames::new("u", "postgres", true, "00").elsewhere(), "template1");
    }
}

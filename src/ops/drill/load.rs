//! The database of a drill: a scratch server, the dump in it, and what is counted there.
//! Spec: `drill.md` §2.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use crate::ops::Error;
use crate::ops::loading::check_commands;
use crate::source::cluster::Cluster;

/// Row counts that one statement asks for.
const COUNTS_AT_ONCE: usize = 50;
/// Longest beginning of a dump's line that is looked at.
const HEAD_LEN: usize = 128;

/// Constraints of the restored database by kind.
const CONSTRAINTS_SQL: &str = "SELECT c.contype, count(*) FROM pg_constraint c \
    JOIN pg_namespace n ON n.oid = c.connamespace \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1;";

/// How many constraints of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Constraints {
    /// Primary keys.
    pub primary_keys: u64,
    /// Foreign keys.
    pub foreign_keys: u64,
    /// Unique constraints.
    pub unique: u64,
    /// Checks, those of the tables' own statements included.
    pub checks: u64,
}

/// A private server with the dump in it.
pub struct ScratchDatabase {
    cluster: Cluster,
}

impl ScratchDatabase {
    /// Starts a server in a directory.
    ///
    /// # Errors
    /// If none is installed, it does not start, or it is older than the one that was dumped:
    /// what does not load then says nothing about the snapshot.
    pub fn start(dir: &Path, dumped: Option<&str>) -> Result<Self, Error> {
        let unavailable = |reason: String| Error::Scratch { reason };
        let cluster = Cluster::start_in(dir).map_err(|cause| unavailable(cause.to_string()))?;
        let major = |text: &str| text.split(['.', ' ']).next()?.parse::<u32>().ok();
        if let (Some(needed), Some(found)) = (dumped.and_then(major), cluster.major())
            && found < needed
        {
            let reason = format!("this host has PostgreSQL {found}, the dump is of {needed}");
            return Err(unavailable(reason));
        }
        Ok(Self { cluster })
    }

    /// Says what it is.
    pub fn describe(&self) -> String {
        format!("PostgreSQL {} of this machine", self.cluster.version())
    }

    /// Loads a dump, in one transaction.
    ///
    /// # Errors
    /// What the server refused.
    pub fn load(&self, dump: &Path) -> Result<Result<(), String>, Error> {
        check_commands(dump)?;
        let file = File::open(dump).map_err(|cause| Error::file("open", dump, cause))?;
        Ok(self.cluster.load(file).map_err(|cause| without_values(&cause.to_string())))
    }

    /// Returns every table that does not have as many rows as the snapshot counted.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn differing_rows(&self, rows: &BTreeMap<String, u64>) -> Result<Vec<String>, Error> {
        let tables: Vec<(&String, &u64)> = rows.iter().collect();
        let mut differing = Vec::new();
        for some in tables.chunks(COUNTS_AT_ONCE) {
            let counts = some.iter().enumerate();
            let counts =
                counts.map(|(at, (table, _))| format!("SELECT {at}, count(*) FROM {table}"));
            let sql = format!("{};", counts.collect::<Vec<_>>().join(" UNION ALL "));
            let answer = match self.cluster.query(&sql) {
                Ok(answer) => answer,
                Err(cause) => {
                    // A table that is not there fails them all: told as it is.
                    differing.push(without_values(&cause.to_string()));
                    continue;
                }
            };
            for (at, (table, expected)) in some.iter().enumerate() {
                let found = answer.iter().find(|row| row.first() == Some(&at.to_string()));
                let found = found.and_then(|row| row.get(1)).map_or("none", String::as_str);
                if found != expected.to_string() {
                    differing.push(format!("{table} has {found} rows, {expected} were archived"));
                }
            }
        }
        Ok(differing)
    }

    /// Counts the constraints.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn constraints(&self) -> Result<Constraints, Error> {
        let answer = self.cluster.query(CONSTRAINTS_SQL);
        let rows = answer.map_err(|cause| Error::Scratch { reason: cause.to_string() })?;
        let mut found = Constraints::default();
        for row in rows {
            let [kind, count] = &row[..] else { continue };
            let count = count.parse().unwrap_or(0);
            match kind.as_str() {
                "p" => found.primary_keys = count,
                "f" => found.foreign_keys = count,
                "u" => found.unique = count,
                "c" => found.checks = count,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Counts the foreign keys that a dump adds; lines within the rows of a table are none.
///
/// # Errors
/// If the dump cannot be read.
pub fn foreign_keys_in(dump: &Path) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(dump)?);
    let (mut count, mut in_rows) = (0, false);
    while let Some(head) = next_head(&mut reader)? {
        let head = String::from_utf8_lossy(&head);
        if in_rows {
            in_rows = head != "\\.";
        } else if head.starts_with("COPY ") {
            // The end of a long statement is not looked at; only data follows such a line.
            in_rows = true;
        } else if head.starts_with("    ADD CONSTRAINT ") && head.contains(" FOREIGN KEY ") {
            count += 1;
        }
    }
    Ok(count)
}

/// Returns the beginning of the next line.
fn next_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut is_read = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(is_read.then_some(head));
        }
        is_read = true;
        let end = memchr::memchr(b'\n', buffer);
        let len = end.unwrap_or(buffer.len());
        let room = HEAD_LEN.saturating_sub(head.len()).min(len);
        head.extend_from_slice(&buffer[..room]);
        reader.consume(end.map_or(len, |end| end + 1));
        if end.is_some() {
            return Ok(Some(head));
        }
    }
}

/// Leaves out what a message of the server quotes of a row.
fn without_values(text: &str) -> String {
    let marks = [": \"", " value \""];
    let cut = marks.iter().filter_map(|mark| text.find(mark)).min();
    cut.map_or_else(|| text.to_owned(), |at| format!("{}: …", &text[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_are_counted_outside_the_rows_only() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("db.sql");
        let long = "x".repeat(100_000);
        let key = "    ADD CONSTRAINT a FOREIGN KEY (b) REFERENCES c(id)";
        let text = format!(
            "ALTER TABLE ONLY d\n{key};\nCOPY d (a) FROM stdin;\n{key}\n{long}\n\\.\n\
             ALTER TABLE ONLY e\n{key} ON DELETE CASCADE;\n    ADD CONSTRAINT p PRIMARY KEY (id);"
        );
        std::fs::write(&path, text).unwrap();
        assert_eq!(foreign_keys_in(&path).unwrap(), 2);
    }

    #[test]
    fn a_message_of_the_server_keeps_names_and_loses_values() {
        let kept = "psql: exit status: 3: ERROR:  relation \"users\" does not exist";
        assert_eq!(without_values(kept), kept);
        let text = "ERROR:  invalid input syntax for type integer: \"Jane\"";
        assert_eq!(without_values(text), "ERROR:  invalid input syntax for type integer: …");
    }
}

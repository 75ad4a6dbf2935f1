//! Checks a plain-format dump while it streams past, counts its rows and hands out those that are
//! wanted. Spec: §7, and `rows.md`.
//!
//! - The header comes first, the trailer last; both count only as comments between statements, so
//!   that no row, string or function body can stand in for them.
//! - Rows are counted only where `psql` would read rows: after a `COPY … FROM stdin;` of its own.
//! - Memory is bounded, however long a row or a statement is; so is what is kept of a wanted field.
//! - What is not wanted is skipped over as fast as before.

mod copy_rows;
mod escapes;
mod lexer;
mod names;
mod statement;
mod values;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use self::copy_rows::CopyReader;
use self::lexer::{Lexer, Part};
pub use self::watch::{FIELD_LEN_MAX, Field, Row, Watch};
use crate::base::{Code, Coded};

/// The header must stand within so many bytes from the start.
const HEADER_PLACE_LEN_MAX: u64 = 8 * 1024;

const HEADER: &[u8] = b" PostgreSQL database dump";
const TRAILER: &[u8] = b" PostgreSQL database dump complete";
const SERVER_VERSION: &[u8] = b" Dumped from database version ";
const DUMP_VERSION: &[u8] = b" Dumped by pg_dump version ";

/// What a whole dump tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DumpFacts {
    /// Rows of each table, named as the dump's SQL spells it.
    pub rows: BTreeMap<String, u64>,
    /// Version of the server, such as `15.8`.
    pub server_version: Option<String>,
    /// Version of `pg_dump`.
    pub dump_version: Option<String>,
    /// Backslash commands that `pg_dump` does not write: `psql` would carry them out.
    pub command_count: u64,
    /// Tables of which rows are wanted and the dump has some, or says that there are none.
    pub watched: BTreeSet<&'static str>,
    /// Tables of which rows are wanted and the dump does not say which columns they have.
    pub columns_unknown: BTreeSet<&'static str>,
}

/// A dump that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DumpError {
    /// There is nothing.
    #[error("take the dump: it is empty")]
    Empty,
    /// It does not begin like a dump.
    #[error("take the dump: among its {len} bytes, none of the first are its header")]
    HeaderMissing {
        /// Length of what was read.
        len: u64,
    },
    /// It does not end like a dump.
    #[error("take the dump: its {len} bytes do not end with its trailer")]
    TrailerMissing {
        /// Length of what was read.
        len: u64,
    },
}

impl Coded for DumpError {
    fn code(&self) -> Code {
        match self {
            Self::Empty => Code::DumpEmpty,
            Self::HeaderMissing { .. } => Code::DumpHeaderMissing,
            Self::TrailerMissing { .. } => Code::DumpTrailerMissing,
        }
    }
}

/// What the scanner has seen of the dump's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// Nothing but comments and `\restrict`.
    Start,
    /// Something else than a dump.
    Foreign,
    /// The header.
    Open,
    /// The trailer, and nothing but comments and `\unrestrict` after it.
    Complete,
}

/// Scans a dump; fed with its bytes in pieces of any size.
#[derive(Debug)]
pub struct DumpScanner {
    lexer: Lexer,
    frame: Frame,
    len: u64,
    facts: DumpFacts,
    table: Option<String>,
    rows: u64,
    /// Reads the rows of a `COPY` that is wanted.
    copy: Option<CopyReader>,
}

impl Default for DumpScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl DumpScanner {
    /// Makes a scanner that has seen nothing and hands out no rows.
    pub fn new() -> Self {
        Self::watching(&[])
    }

    /// Makes a scanner that hands out columns of some tables.
    pub fn watching(watches: &'static [Watch]) -> Self {
        Self {
            lexer: Lexer::new(watches),
            frame: Frame::Start,
            len: 0,
            facts: DumpFacts::default(),
            table: None,
            rows: 0,
            copy: None,
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_rows(bytes, &mut |_| {});
    }

    /// Takes the next bytes and hands out each row that they end, in the order of the dump.
    pub fn feed_rows(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(Row<'_>)) {
        while !bytes.is_empty() {
            let (used, part) = self.lexer.advance(bytes);
            self.len += used as u64;
            if let Some(copy) = &mut self.copy {
                copy.feed(&bytes[..used], take);
            }
            bytes = &bytes[used..];
            match part {
                Some(Part::Row) => self.take_inserted(take),
                Some(part) => self.take_part(part),
                None => {}
            }
        }
    }

    fn take_inserted(&mut self, take: &mut dyn FnMut(Row<'_>)) {
        match self.lexer.row() {
            Some(Ok(row)) => {
                self.facts.watched.insert(row.table());
                take(row);
            }
            Some(Err(watch)) => drop(self.facts.columns_unknown.insert(watch.table)),
            None => {}
        }
    }

    /// Ends the dump and tells what it held.
    ///
    /// # Errors
    /// When it is empty, or lacks its header or its trailer.
    pub fn finish(mut self) -> Result<DumpFacts, DumpError> {
        let len = self.len;
        if len == 0 {
            return Err(DumpError::Empty);
        }
        if let Some(part) = self.lexer.end() {
            self.take_part(part);
        }
        match self.frame {
            Frame::Start | Frame::Foreign => Err(DumpError::HeaderMissing { len }),
            Frame::Open => Err(DumpError::TrailerMissing { len }),
            Frame::Complete => Ok(self.facts),
        }
    }

    fn take_part(&mut self, part: Part) {
        match part {
            Part::Comment(text) => self.take_comment(&text),
            Part::Command(text) => {
                let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
                if !matches!(word, b"restrict" | b"unrestrict") {
                    self.facts.command_count += 1;
                    self.take_token();
                }
            }
            Part::StatementStarted => self.take_token(),
            Part::Row => {}
            Part::Inserted { table, rows } => self.count(table, rows),
            Part::CopyStarted { table, watched } => {
                self.count(table.clone(), 0);
                self.table = Some(table);
                self.copy = match watched {
                    Some((watch, Some(columns))) => {
                        self.facts.watched.insert(watch.table);
                        Some(CopyReader::new(watch, columns))
                    }
                    Some((watch, None)) => {
                        self.facts.columns_unknown.insert(watch.table);
                        None
                    }
                    None => None,
                };
            }
            Part::CopyRows(rows) => self.rows += rows,
            Part::CopyEnded => {
                self.copy = None;
                let rows = std::mem::take(&mut self.rows);
                if let Some(table) = self.table.take() {
                    self.count(table, rows);
                }
            }
        }
    }

    fn take_token(&mut self) {
        self.frame = match self.frame {
            Frame::Start | Frame::Foreign => Frame::Foreign,
            Frame::Open | Frame::Complete => Frame::Open,
        };
    }

    fn take_comment(&mut self, text: &[u8]) {
        let text = text.trim_ascii_end();
        if text == HEADER && self.frame == Frame::Start && self.len <= HEADER_PLACE_LEN_MAX {
            self.frame = Frame::Open;
        } else if text == TRAILER && self.frame == Frame::Open {
            self.frame = Frame::Complete;
        } else if let Some(version) = text.strip_prefix(SERVER_VERSION) {
            self.facts.server_version.get_or_insert_with(|| first_word(version));
        } else if let Some(version) = text.strip_prefix(DUMP_VERSION) {
            self.facts.dump_version.get_or_insert_with(|| first_word(version));
        }
    }

    fn count(&mut self, table: String, rows: u64) {
        *self.facts.rows.entry(table).or_insert(0) += rows;
    }
}

fn first_word(text: &[u8]) -> String {
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    String::from_utf8_lossy(word).into_owned()
}

/// Returns the table whose rows follow a line that stands between statements, spelled as in the
/// dump; none, if the line begins no rows.
pub fn copied_table(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let rest = line.strip_prefix("COPY ")?;
    rest.strip_suffix("FROM stdin;")?;
    let mut is_quoted = false;
    let end = rest.find(|letter: char| {
        is_quoted ^= letter == '"';
        !is_quoted && letter == ' '
    })?;
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;

//! The groups after `VALUES` of an `INSERT`, value by value.
//!
//! `pg_dump` writes literals only. Of an expression, the text of its strings or its own is taken.

use super::escapes::{Escapes, unescape};
use super::names::{Columns, watch_of};
use super::watch::{Fields, Row, Watch};

/// Reads the values of one `INSERT`; bytes in strings come apart from those outside.
#[derive(Debug)]
pub(super) struct Values {
    watch: Watch,
    /// Which columns the values are; none if the statement does not say.
    columns: Option<Columns>,
    fields: Fields,
    /// Index of the value that is being read.
    at: usize,
    /// Whether a string of the value has come, whether one just ended, and whether it has escapes.
    has_string: bool,
    string_ended: bool,
    has_escapes: bool,
    /// Whether a row is whole and the next has not begun.
    is_whole: bool,
}

impl Values {
    /// Finds who watches the table of an `INSERT`, given what follows `INSERT INTO`.
    pub(super) fn of(watches: &[Watch], after_into: &[u8]) -> Option<Self> {
        let (watch, rest) = watch_of(watches, after_into)?;
        Some(Self {
            watch,
            columns: Columns::of(&watch, rest),
            fields: Fields::of(&watch),
            at: 0,
            has_string: false,
            string_ended: false,
            has_escapes: false,
            is_whole: false,
        })
    }

    /// Returns the row that the last byte ended; none of it is known if the columns are not.
    pub(super) fn row(&self) -> Option<Result<Row<'_>, Watch>> {
        let row = || match self.columns {
            Some(_) => Ok(Row::new(self.watch, &self.fields)),
            None => Err(self.watch),
        };
        self.is_whole.then(row)
    }

    /// Takes a byte outside strings, with the depth of parentheses behind it.
    pub(super) fn take(&mut self, byte: u8, depth: u64) {
        let string_ended = std::mem::take(&mut self.string_ended);
        match (byte, depth) {
            (b'(', 1) => {
                self.is_whole = false;
                self.at = 0;
                self.fields.clear();
                self.begin_value();
            }
            (b')', 0) => {
                self.end_value();
                self.is_whole = true;
            }
            (_, 0) => {}
            (b',', 1) => {
                self.end_value();
                self.at += 1;
                self.begin_value();
            }
            (b'\'', _) => self.begin_string(string_ended),
            _ if self.has_string => {}
            _ => self.push(&[byte]),
        }
    }

    /// Takes bytes of a string; of one with escapes, as they are written.
    pub(super) fn take_string(&mut self, bytes: &[u8], has_escapes: bool) {
        self.has_escapes |= has_escapes;
        self.push(bytes);
    }

    /// Takes the end of a string.
    pub(super) fn end_string(&mut self) {
        self.string_ended = true;
    }

    fn begin_string(&mut self, goes_on: bool) {
        if goes_on {
            // A doubled quote.
            self.push(b"'");
        } else if !self.has_string {
            self.has_string = true;
            self.begin_slot();
        }
    }

    fn begin_value(&mut self) {
        (self.has_string, self.has_escapes) = (false, false);
        self.begin_slot();
    }

    fn end_value(&mut self) {
        let (has_string, has_escapes) = (self.has_string, self.has_escapes);
        let Some(slot) = self.slot() else { return };
        let Some(text) = slot.text() else { return };
        if has_escapes {
            unescape(text, Escapes::String);
        }
        if has_string {
            return;
        }
        text.truncate(text.trim_ascii_end().len());
        text.drain(..text.len() - text.trim_ascii_start().len());
        if text.eq_ignore_ascii_case(b"null") {
            slot.set_null();
        } else if text.eq_ignore_ascii_case(b"default") {
            slot.set_absent();
        }
    }

    fn begin_slot(&mut self) {
        if let Some(slot) = self.slot() {
            slot.begin();
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(slot) = self.slot() {
            slot.push(bytes);
        }
    }

    fn slot(&mut self) -> Option<&mut super::watch::Slot> {
        let place = self.columns.as_ref()?.place(self.at)?;
        self.fields.slot(place)
    }

    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.fields.kept_len()
    }
}

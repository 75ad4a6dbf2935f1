//! What the scanner keeps of a statement: where it ends, whether rows follow, which table.

use super::names::{Columns, watch_of};
use super::values::Values;
use super::watch::Watch;

/// Bytes of a statement's start that are kept: two quoted names of 63 bytes, and the words before.
const HEAD_LEN_MAX: usize = 512;
/// Bytes that are kept where a list of columns may follow; of longer ones the columns are unknown.
const COLUMNS_LEN_MAX: usize = 64 * 1024;
/// Bytes of a word that are kept; every word that matters is shorter.
const WORD_LEN_MAX: usize = 10;

/// A word in lowercase, as far as words matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Word {
    bytes: [u8; WORD_LEN_MAX],
    len: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte.to_ascii_lowercase();
        }
        self.len = self.len.saturating_add(1);
    }

    /// Returns the word; one that is too long to matter is empty.
    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// How a semicolon ends a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not, or nothing matters that follows.
    Plain,
    /// So many rows were inserted.
    Insert { table: String, rows: u64 },
    /// Rows follow.
    Copy { table: String, watched: Option<Watched> },
}

/// Who watches the table of a `COPY`, and the columns of its rows, unless they are unknown.
pub(super) type Watched = (Watch, Option<Columns>);

/// A statement that is being read.
#[derive(Debug, Default)]
pub(super) struct Statement {
    /// Its first bytes.
    head: Vec<u8>,
    /// The word that is being read.
    word: Word,
    /// The first two words that are not `or replace`.
    first: [Word; 2],
    first_count: usize,
    /// The last two words outside parentheses.
    last: [Word; 2],
    paren_depth: u64,
    /// Open `BEGIN` and `CASE` of a function body in SQL.
    begin_depth: u64,
    /// Rows of an `INSERT`, and whether its `VALUES` have come.
    rows: u64,
    has_values: bool,
    /// Whether the server wrote strings in which a backslash escapes.
    backslashes: bool,
    /// The tables of which something is wanted.
    watches: &'static [Watch],
    /// The values of an `INSERT` of which something is wanted.
    values: Option<Values>,
}

impl Statement {
    pub(super) fn watching(watches: &'static [Watch]) -> Self {
        Self { watches, ..Self::default() }
    }

    /// Returns whether nothing of a statement has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.head.capacity() + self.values.as_ref().map_or(0, Values::kept_len)
    }

    /// Returns the values that are being read, if something of them is wanted.
    pub(super) const fn values(&self) -> Option<&Values> {
        self.values.as_ref()
    }

    /// Returns whether the byte before belongs to a word, which a dollar then goes on.
    pub(super) fn is_in_word(&self) -> bool {
        self.word.len > 0
    }

    /// Returns whether a string that begins here takes backslashes as escapes.
    pub(super) fn string_takes_backslashes(&self) -> bool {
        self.backslashes || self.word.text() == b"e"
    }

    /// Takes a byte outside strings and comments; returns whether a statement begins with it.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let started = self.is_empty() && !byte.is_ascii_whitespace();
        let has_room = self.head.len() < HEAD_LEN_MAX || self.head_room() > 0;
        if (started || !self.is_empty()) && has_room {
            self.head.push(byte);
        }
        if is_word_byte(byte) {
            self.word.push(byte);
        } else {
            self.end_word();
            self.take_mark(byte);
        }
        if let Some(values) = &mut self.values {
            values.take(byte, self.paren_depth);
        }
        started
    }

    /// Takes bytes of a string; of one with escapes, as they are written.
    pub(super) fn take_string(&mut self, bytes: &[u8], has_escapes: bool) {
        if let Some(values) = &mut self.values {
            values.take_string(bytes, has_escapes);
        }
    }

    /// Takes the end of a string.
    pub(super) fn end_string(&mut self) {
        if let Some(values) = &mut self.values {
            values.end_string();
        }
    }

    /// Returns how many more bytes of its start are kept.
    fn head_room(&self) -> usize {
        let has_columns = !self.watches.is_empty()
            && !self.has_values
            && (self.first[0].text() == b"copy" || self.starts_with(b"insert", b"into"));
        let max = if has_columns { COLUMNS_LEN_MAX } else { HEAD_LEN_MAX };
        max.saturating_sub(self.head.len())
    }

    /// Takes bytes of a quoted name, its last quote included.
    pub(super) fn take_quoted(&mut self, bytes: &[u8]) {
        let room = self.head_room();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take_mark(&mut self, byte: u8) {
        match byte {
            b'(' => {
                self.rows += u64::from(self.has_values && self.paren_depth == 0);
                self.paren_depth += 1;
            }
            b')' => self.paren_depth = self.paren_depth.saturating_sub(1),
            _ if byte.is_ascii_whitespace() => return,
            _ => {}
        }
        if self.paren_depth == 0 {
            self.last = [self.last[1], Word::default()];
        }
    }

    /// Ends the word that is being read, if any.
    pub(super) fn end_word(&mut self) {
        if self.word.len == 0 {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let text = word.text();
        if self.first_count < self.first.len() && !matches!(text, b"or" | b"replace") {
            self.first[self.first_count] = word;
            self.first_count += 1;
        }
        if self.paren_depth > 0 {
            return;
        }
        if text == b"values" && !self.has_values && self.starts_with(b"insert", b"into") {
            self.has_values = true;
            if !self.watches.is_empty() {
                self.values = Values::of(self.watches, self.after(b"INSERT INTO"));
            }
        }
        if self.is_routine() {
            match text {
                b"begin" => self.begin_depth += 1,
                b"case" if self.begin_depth > 0 => self.begin_depth += 1,
                b"end" => self.begin_depth = self.begin_depth.saturating_sub(1),
                _ => {}
            }
        }
        self.last = [self.last[1], word];
    }

    /// Takes a semicolon.
    pub(super) fn end(&mut self) -> Ending {
        self.end_word();
        if self.paren_depth > 0 || self.begin_depth > 0 {
            self.take(b';');
            return Ending::Plain;
        }
        let ending = self.ending();
        let backslashes = match self.head.as_slice() {
            b"SET standard_conforming_strings = off" => true,
            b"SET standard_conforming_strings = on" => false,
            _ => self.backslashes,
        };
        let (head, watches) = (std::mem::take(&mut self.head), self.watches);
        *self = Self { head, backslashes, watches, ..Self::default() };
        self.head.clear();
        ending
    }

    fn ending(&self) -> Ending {
        if self.first[0].text() == b"copy"
            && self.last[0].text() == b"from"
            && self.last[1].text() == b"stdin"
        {
            let rest = self.after(b"COPY");
            let watched = watch_of(self.watches, rest);
            let watched = watched.map(|(watch, rest)| (watch, Columns::of(&watch, rest)));
            return Ending::Copy { table: table_name(rest), watched };
        }
        if self.starts_with(b"insert", b"into") {
            let table = table_name(self.after(b"INSERT INTO"));
            // `DEFAULT VALUES` is a row too.
            return Ending::Insert { table, rows: self.rows.max(1) };
        }
        Ending::Plain
    }

    /// Returns what is kept behind its first words.
    fn after(&self, words: &[u8]) -> &[u8] {
        self.head.get(words.len()..).unwrap_or_default()
    }

    fn starts_with(&self, first: &[u8], second: &[u8]) -> bool {
        self.first[0].text() == first && self.first[1].text() == second
    }

    fn is_routine(&self) -> bool {
        self.starts_with(b"create", b"function") || self.starts_with(b"create", b"procedure")
    }
}

pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// Returns the qualified name at the start of `text`, as it is spelled.
fn table_name(text: &[u8]) -> String {
    let text = text.trim_ascii_start();
    let mut is_quoted = false;
    let end = text.iter().position(|byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && !is_word_byte(*byte) && !matches!(byte, b'.' | b'"')
    });
    String::from_utf8_lossy(&text[..end.unwrap_or(text.len())]).into_owned()
}

//! Finds statements, comments and rows in a dump as `psql` does, at memory speed.
//!
//! It follows `psql`'s own reader: quotes of every kind, nested comments, dollar quotes,
//! parentheses, and the bodies of SQL functions, inside which a semicolon ends nothing.

use memchr::{memchr, memchr_iter, memchr2, memmem, memrchr};

use super::statement::{Ending, Statement, Watched};
use super::watch::{Row, Watch};

/// Bytes of a comment or command that are kept.
const LINE_LEN_MAX: usize = 256;
/// Longest dollar quote tag; an identifier has 63 bytes.
const TAG_LEN_MAX: usize = 128;
/// How rows end.
const COPY_END: &[u8] = b"\\.";

/// Something that the lexer came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A line comment between statements, without its dashes; cut if long.
    Comment(Vec<u8>),
    /// A backslash command, without its backslash; cut if long.
    Command(Vec<u8>),
    /// A statement began.
    StatementStarted,
    /// An `INSERT` ended.
    Inserted { table: String, rows: u64 },
    /// A row of an `INSERT` ended that is wanted; [`Lexer::row`] has it.
    Row,
    /// Rows of a `COPY … FROM stdin` follow.
    CopyStarted { table: String, watched: Option<Watched> },
    /// So many rows passed.
    CopyRows(u64),
    /// The rows ended.
    CopyEnded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    /// Between tokens.
    Sql,
    /// After a dash that may begin a comment.
    Dash,
    /// After a slash that may begin a comment.
    Slash,
    /// In a line comment.
    Comment,
    /// In a block comment: its depth and the byte before.
    Block { depth: u32, before: u8 },
    /// After a backslash, to the end of the line.
    Command,
    /// In quotes; a backslash escapes when `escapes`, and did when `escaped`.
    Quoted { quote: u8, escapes: bool, escaped: bool },
    /// After a dollar that may begin a quote; the tag so far is in `tag`.
    Tag,
    /// In a dollar quote; so many bytes of its end have been met.
    Dollar { matched: usize },
    /// Behind the semicolon of a `COPY`, before the first row.
    CopyLine,
    /// In rows.
    Copy,
}

/// The lexer's state between two pieces of a dump.
#[derive(Debug)]
pub(super) struct Lexer {
    mode: Mode,
    statement: Statement,
    /// A comment or command, or the start of a row.
    line: Vec<u8>,
    /// The tag of a dollar quote, with both dollars once it is whole.
    tag: Vec<u8>,
    /// Whether the string that just ended took backslashes, should it go on: `'a''b'`.
    escapes_on: bool,
}

impl Lexer {
    pub(super) fn new(watches: &'static [Watch]) -> Self {
        Self {
            mode: Mode::Sql,
            statement: Statement::watching(watches),
            line: Vec::new(),
            tag: Vec::new(),
            escapes_on: false,
        }
    }

    /// Takes at least one byte; returns how many, and what they completed.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Option<Part>) {
        match self.mode {
            Mode::Sql | Mode::Dash | Mode::Slash | Mode::Tag => self.sql(bytes),
            Mode::Comment | Mode::Command | Mode::CopyLine => self.line(bytes),
            Mode::Block { depth, before } => (self.block(bytes, depth, before), None),
            Mode::Quoted { quote, escapes, escaped } => {
                (self.quoted(bytes, quote, escapes, escaped), None)
            }
            Mode::Dollar { matched } => (self.dollar(bytes, matched), None),
            Mode::Copy => self.copy(bytes),
        }
    }

    /// Ends the input; a last line may lack its newline.
    pub(super) fn end(&mut self) -> Option<Part> {
        matches!(self.mode, Mode::Comment | Mode::Command).then(|| self.line(b"\n").1).flatten()
    }

    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.line.capacity() + self.tag.capacity() + self.statement.kept_len()
    }

    /// Returns the row that an `INSERT` just ended; only who watches it if its columns are unknown.
    pub(super) fn row(&self) -> Option<Result<Row<'_>, Watch>> {
        self.statement.values()?.row()
    }

    fn sql(&mut self, bytes: &[u8]) -> (usize, Option<Part>) {
        for (at, byte) in bytes.iter().enumerate() {
            let part = self.sql_byte(*byte);
            let in_sql = matches!(self.mode, Mode::Sql | Mode::Dash | Mode::Slash | Mode::Tag);
            if part.is_some() || !in_sql {
                return (at + 1, part);
            }
        }
        (bytes.len(), None)
    }

    fn sql_byte(&mut self, byte: u8) -> Option<Part> {
        let mut part = None;
        match std::mem::replace(&mut self.mode, Mode::Sql) {
            Mode::Dash if byte == b'-' => return self.begin_line(Mode::Comment),
            Mode::Slash if byte == b'*' => {
                self.mode = Mode::Block { depth: 1, before: 0 };
                return None;
            }
            Mode::Dash => part = self.take(b'-'),
            Mode::Slash => part = self.take(b'/'),
            Mode::Tag => match self.tag_byte(byte) {
                Some(mode) => {
                    self.mode = mode;
                    return None;
                }
                None => part = self.take(b'$'),
            },
            _ => {}
        }
        part.or(self.token_byte(byte))
    }

    fn token_byte(&mut self, byte: u8) -> Option<Part> {
        let escapes_on = std::mem::take(&mut self.escapes_on);
        match byte {
            b'-' => self.mode = Mode::Dash,
            b'/' => self.mode = Mode::Slash,
            b'\\' => return self.begin_line(Mode::Command),
            b'\'' | b'"' => {
                let escapes =
                    byte == b'\'' && (escapes_on || self.statement.string_takes_backslashes());
                self.mode = Mode::Quoted { quote: byte, escapes, escaped: false };
                return self.take(byte);
            }
            b'$' if !self.statement.is_in_word() => {
                self.tag.clear();
                self.tag.push(b'$');
                self.mode = Mode::Tag;
            }
            b';' => return self.semicolon(),
            _ => return self.take(byte),
        }
        None
    }

    fn take(&mut self, byte: u8) -> Option<Part> {
        if self.statement.take(byte) {
            return Some(Part::StatementStarted);
        }
        (byte == b')' && self.row().is_some()).then_some(Part::Row)
    }

    fn begin_line(&mut self, mode: Mode) -> Option<Part> {
        self.line.clear();
        self.statement.end_word();
        self.mode = mode;
        None
    }

    fn semicolon(&mut self) -> Option<Part> {
        match self.statement.end() {
            Ending::Plain => None,
            Ending::Insert { table, rows } => Some(Part::Inserted { table, rows }),
            Ending::Copy { table, watched } => {
                self.mode = Mode::CopyLine;
                Some(Part::CopyStarted { table, watched })
            }
        }
    }

    /// Takes a byte of a possible tag; none when it is no tag after all.
    fn tag_byte(&mut self, byte: u8) -> Option<Mode> {
        let first = self.tag.len() == 1;
        match byte {
            b'$' => {
                self.tag.push(b'$');
                Some(Mode::Dollar { matched: 0 })
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. if self.tag.len() < TAG_LEN_MAX => {
                self.tag.push(byte);
                Some(Mode::Tag)
            }
            b'0'..=b'9' if !first && self.tag.len() < TAG_LEN_MAX => {
                self.tag.push(byte);
                Some(Mode::Tag)
            }
            _ => None,
        }
    }

    fn line(&mut self, bytes: &[u8]) -> (usize, Option<Part>) {
        let end = memchr(b'\n', bytes);
        let len = end.unwrap_or(bytes.len());
        let room = LINE_LEN_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..len.min(room)]);
        if end.is_none() {
            return (len, None);
        }
        let line = std::mem::take(&mut self.line);
        let part = match std::mem::replace(&mut self.mode, Mode::Sql) {
            Mode::CopyLine => {
                self.mode = Mode::Copy;
                None
            }
            Mode::Command => Some(Part::Command(line)),
            _ => self.statement.is_empty().then_some(Part::Comment(line)),
        };
        (len + 1, part)
    }

    fn block(&mut self, bytes: &[u8], mut depth: u32, mut before: u8) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match (before, byte) {
                (b'*', b'/') if depth == 1 => {
                    self.mode = Mode::Sql;
                    return at + 1;
                }
                (b'*', b'/') => (depth, before) = (depth - 1, 0),
                (b'/', b'*') => (depth, before) = (depth.saturating_add(1), 0),
                _ => before = *byte,
            }
        }
        self.mode = Mode::Block { depth, before };
        bytes.len()
    }

    fn quoted(&mut self, bytes: &[u8], quote: u8, escapes: bool, mut escaped: bool) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if escaped {
                self.statement.take_string(&bytes[at..=at], escapes);
                (escaped, at) = (false, at + 1);
                continue;
            }
            let rest = &bytes[at..];
            let next = if escapes { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
            let end = next.unwrap_or(rest.len());
            let is_ended = next.is_some_and(|end| rest[end] == quote);
            if quote == b'"' {
                self.statement.take_quoted(&rest[..(end + 1).min(rest.len())]);
            } else {
                let len = if is_ended { end } else { (end + 1).min(rest.len()) };
                self.statement.take_string(&rest[..len], escapes);
            }
            at += end + 1;
            match next {
                Some(_) if is_ended => {
                    // A doubled quote ends the string and begins it again, which is the same.
                    self.escapes_on = escapes;
                    if quote == b'\'' {
                        self.statement.end_string();
                    }
                    self.mode = Mode::Sql;
                    return at;
                }
                Some(_) => escaped = true,
                None => at = bytes.len(),
            }
        }
        self.mode = Mode::Quoted { quote, escapes, escaped };
        bytes.len()
    }

    fn dollar(&mut self, bytes: &[u8], mut matched: usize) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if matched == 0 {
                match memchr(b'$', &bytes[at..]) {
                    Some(next) => at += next,
                    None => break,
                }
            }
            // A tag holds no dollar inside, so a dollar can only begin the end anew.
            matched = match bytes[at] {
                byte if byte == self.tag[matched] => matched + 1,
                b'$' => 1,
                _ => 0,
            };
            at += 1;
            if matched == self.tag.len() {
                self.mode = Mode::Sql;
                return at;
            }
        }
        self.mode = Mode::Dollar { matched };
        bytes.len()
    }

    fn copy(&mut self, bytes: &[u8]) -> (usize, Option<Part>) {
        if self.line.is_empty() && !bytes.starts_with(b"\\") {
            return self.copy_rows(bytes);
        }
        // The start of a row that may be the end of all, or the rest of a row that was cut.
        let end = memchr(b'\n', bytes);
        let len = end.unwrap_or(bytes.len());
        let room = (COPY_END.len() + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..len.min(room)]);
        if end.is_none() {
            return (len, None);
        }
        let is_end = self.line == COPY_END;
        self.line.clear();
        if is_end {
            self.mode = Mode::Sql;
        }
        (len + 1, Some(if is_end { Part::CopyEnded } else { Part::CopyRows(1) }))
    }

    /// Takes whole rows, up to the end of all; the start of a row is kept if it is cut.
    fn copy_rows(&mut self, bytes: &[u8]) -> (usize, Option<Part>) {
        if let Some(last) = memmem::find(bytes, b"\n\\.\n") {
            let rows = memchr_iter(b'\n', &bytes[..=last]).count();
            return (last + 1, Some(Part::CopyRows(rows as u64)));
        }
        let whole = memrchr(b'\n', bytes).map_or(0, |last| last + 1);
        let rows = memchr_iter(b'\n', &bytes[..whole]).count();
        let cut = &bytes[whole..];
        self.line.extend_from_slice(&cut[..cut.len().min(COPY_END.len() + 1)]);
        (bytes.len(), (rows > 0).then_some(Part::CopyRows(rows as u64)))
    }
}

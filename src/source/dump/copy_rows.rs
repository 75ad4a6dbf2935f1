//! The rows between `COPY … FROM stdin;` and `\.`, field by field.

use memchr::{memchr, memchr2};

use super::escapes::{Escapes, unescape};
use super::names::Columns;
use super::watch::{Fields, Row, Watch};

/// How rows end.
const COPY_END: &[u8] = b"\\.";
/// How a null is written.
const NULL: &[u8] = b"\\N";

/// Reads the rows of one `COPY`; what is not wanted of them is skipped over.
#[derive(Debug)]
pub(super) struct CopyReader {
    watch: Watch,
    columns: Columns,
    fields: Fields,
    /// Whether the line of the `COPY` itself has ended.
    has_begun: bool,
    /// Index of the column that is being read.
    at: usize,
    /// The first bytes of a row, as long as it has one column: it may be the end of all.
    start: Vec<u8>,
}

impl CopyReader {
    pub(super) fn new(watch: Watch, columns: Columns) -> Self {
        let fields = Fields::of(&watch);
        Self { watch, columns, fields, has_begun: false, at: 0, start: Vec::new() }
    }

    /// Takes the bytes behind the statement's semicolon, up to and including the end of all.
    pub(super) fn feed(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(Row<'_>)) {
        if !self.has_begun {
            let Some(end) = memchr(b'\n', bytes) else { return };
            bytes = &bytes[end + 1..];
            self.has_begun = true;
            self.begin_row();
        }
        while !bytes.is_empty() {
            let is_past = self.columns.is_past(self.at) && self.at > 0;
            let end = if is_past { memchr(b'\n', bytes) } else { memchr2(b'\t', b'\n', bytes) };
            let text = &bytes[..end.unwrap_or(bytes.len())];
            if self.at == 0 {
                let room = (COPY_END.len() + 1).saturating_sub(self.start.len());
                self.start.extend_from_slice(&text[..text.len().min(room)]);
            }
            if let Some(slot) = self.columns.place(self.at).and_then(|at| self.fields.slot(at)) {
                slot.push(text);
            }
            let Some(end) = end else { return };
            self.end_field();
            if bytes[end] == b'\t' {
                self.at += 1;
                self.begin_field();
            } else {
                if self.at > 0 || self.start != COPY_END {
                    take(Row::new(self.watch, &self.fields));
                }
                self.begin_row();
            }
            bytes = &bytes[end + 1..];
        }
    }

    fn begin_row(&mut self) {
        self.at = 0;
        self.start.clear();
        self.fields.clear();
        self.begin_field();
    }

    fn begin_field(&mut self) {
        if let Some(slot) = self.columns.place(self.at).and_then(|at| self.fields.slot(at)) {
            slot.begin();
        }
    }

    fn end_field(&mut self) {
        let Some(slot) = self.columns.place(self.at).and_then(|at| self.fields.slot(at)) else {
            return;
        };
        match slot.text() {
            Some(text) if text == NULL => slot.set_null(),
            Some(text) => unescape(text, Escapes::Copy),
            None => {}
        }
    }

    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.fields.kept_len() + self.start.capacity()
    }
}

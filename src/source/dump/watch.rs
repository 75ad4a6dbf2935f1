//! What a scanner is told to hand out, and the rows that it does.

/// Bytes of a field in the dump that are kept; a longer one is handed out as too long.
pub const FIELD_LEN_MAX: usize = 64 * 1024;

/// A table of which some columns are wanted, in whatever schema it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// The table's own name, without schema and quotes.
    pub table: &'static str,
    /// The names of the columns, in the order in which a row hands them out.
    pub columns: &'static [&'static str],
}

/// A field that was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// The row has no such column.
    Absent,
    /// It is null.
    Null,
    /// Its text, as the server would print it.
    Text(&'a [u8]),
    /// It takes more than [`FIELD_LEN_MAX`] bytes of the dump.
    TooLong,
}

impl<'a> Field<'a> {
    /// Returns its text, if it has one that is UTF-8.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

/// A row of a watched table, as long as the scanner is not fed on.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    watch: Watch,
    fields: &'a Fields,
}

impl<'a> Row<'a> {
    pub(super) const fn new(watch: Watch, fields: &'a Fields) -> Self {
        Self { watch, fields }
    }

    /// Returns the table's name, as it is watched for.
    pub const fn table(&self) -> &'static str {
        self.watch.table
    }

    /// Returns a field by its index in [`Watch::columns`].
    pub fn field(&self, index: usize) -> Field<'a> {
        self.fields.0.get(index).map_or(Field::Absent, Slot::field)
    }
}

/// The wanted fields of one row; their buffers serve all rows of a statement.
#[derive(Debug)]
pub(super) struct Fields(Vec<Slot>);

impl Fields {
    pub(super) fn of(watch: &Watch) -> Self {
        Self(watch.columns.iter().map(|_| Slot::default()).collect())
    }

    pub(super) fn slot(&mut self, index: usize) -> Option<&mut Slot> {
        self.0.get_mut(index)
    }

    /// Begins a row: nothing of it is there yet.
    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(Slot::clear);
    }

    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.0.iter().map(|slot| slot.text.capacity()).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Absent,
    Null,
    Text,
    TooLong,
}

/// Where one field is put together.
#[derive(Debug, Default)]
pub(super) struct Slot {
    text: Vec<u8>,
    state: State,
}

impl Slot {
    fn clear(&mut self) {
        self.text.clear();
        self.state = State::Absent;
    }

    /// Begins its text, in place of any before.
    pub(super) fn begin(&mut self) {
        self.text.clear();
        self.state = State::Text;
    }

    /// Goes on with its text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Text {
            return;
        }
        if self.text.len() + bytes.len() > FIELD_LEN_MAX {
            self.text.clear();
            self.state = State::TooLong;
        } else {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Returns its text while it is put together, if it has one.
    pub(super) fn text(&mut self) -> Option<&mut Vec<u8>> {
        (self.state == State::Text).then_some(&mut self.text)
    }

    pub(super) fn set_null(&mut self) {
        self.state = State::Null;
    }

    pub(super) fn set_absent(&mut self) {
        self.state = State::Absent;
    }

    fn field(&self) -> Field<'_> {
        match self.state {
            State::Absent => Field::Absent,
            State::Null => Field::Null,
            State::Text => Field::Text(&self.text),
            State::TooLong => Field::TooLong,
        }
    }
}

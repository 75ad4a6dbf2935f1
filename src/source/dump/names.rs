//! Names in a statement: of its table, and of the columns that its rows have.

use super::watch::Watch;

/// Which columns of a statement's rows go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// For each column, up to the last that is wanted, its index among those that are.
    places: Vec<Option<usize>>,
}

impl Columns {
    /// Finds the wanted columns in what follows a table's name; none if no list of them does.
    pub(super) fn of(watch: &Watch, after_name: &[u8]) -> Option<Self> {
        let mut places: Vec<Option<usize>> = column_list(after_name)?
            .iter()
            .map(|name| watch.columns.iter().position(|wanted| wanted.as_bytes() == name))
            .collect();
        let len = places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        places.truncate(len);
        Some(Self { places })
    }

    /// Returns where the column at an index goes, if it is wanted.
    pub(super) fn place(&self, index: usize) -> Option<usize> {
        self.places.get(index).copied().flatten()
    }

    /// Tells whether neither this column nor any after it is wanted.
    pub(super) fn is_past(&self, index: usize) -> bool {
        index >= self.places.len()
    }
}

/// Finds who watches the table that is named at the start of `text`; returns what follows the name.
pub(super) fn watch_of<'a>(watches: &[Watch], text: &'a [u8]) -> Option<(Watch, &'a [u8])> {
    let mut rest = text.trim_ascii_start();
    let name = loop {
        let (name, after) = identifier(rest)?;
        match after.strip_prefix(b".") {
            Some(after) => rest = after,
            None => break (name, after),
        }
    };
    let watch = watches.iter().find(|watch| watch.table.as_bytes() == name.0)?;
    Some((*watch, name.1))
}

fn column_list(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = text.trim_ascii_start().strip_prefix(b"(")?;
    let mut names = Vec::new();
    loop {
        let (name, after) = identifier(rest.trim_ascii_start())?;
        names.push(name);
        let after = after.trim_ascii_start();
        match after.first() {
            Some(b',') => rest = &after[1..],
            Some(b')') => return Some(names),
            _ => return None,
        }
    }
}

/// Reads a name as the server does: lowercase, unless it is in quotes.
fn identifier(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| !super::statement::is_word_byte(*byte));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        return (!name.is_empty()).then(|| (name.to_ascii_lowercase(), rest));
    };
    let mut name = Vec::new();
    loop {
        let end = memchr::memchr(b'"', rest)?;
        name.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\"") {
            Some(after) => {
                name.push(b'"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

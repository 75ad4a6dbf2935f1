//! What every part of the page is made of: foreign text, times, tables.

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{Markup, Render, html};

use crate::cli::report::words;

/// Text that comes from outside. It is escaped, and cannot turn the direction of what follows.
pub struct Foreign<'a>(pub &'a str);

impl Render for Foreign<'_> {
    fn render_to(&self, buffer: &mut String) {
        words::printable(self.0).render_to(buffer);
    }
}

/// Returns a time for people, to the minute, and for machines to the second.
pub fn stamp(time: Timestamp) -> Markup {
    html! {
        time datetime=(time.strftime("%Y-%m-%dT%H:%M:%SZ")) {
            (time.strftime("%-d %b %Y, %H:%M"))
        }
    }
}

/// Returns the day of a time.
pub fn day(time: Timestamp) -> Markup {
    html! {
        time datetime=(time.strftime("%Y-%m-%dT%H:%M:%SZ")) { (time.strftime("%-d %b %Y")) }
    }
}

/// Returns a month, such as `2026-11`.
pub fn month(name: &str) -> Markup {
    html! { time datetime=(name) { (name) } }
}

/// Returns the day of a time, or what stands where there is none.
pub fn day_or(time: Option<Timestamp>, none: &str) -> Markup {
    html! { @match time { Some(time) => (day(time)), None => (none) } }
}

/// Returns an id or a name as it is written elsewhere.
pub fn code(text: impl ToString) -> Markup {
    html! { code { (Foreign(&text.to_string())) } }
}

/// Returns an id, which stays on one line.
pub fn id(text: impl ToString) -> Markup {
    html! { code class="id" { (Foreign(&text.to_string())) } }
}

/// Returns a hint with what is to be typed set apart.
pub fn hint(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Returns a fragment as a sentence.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A column: its name, and whether it holds numbers.
#[derive(Clone, Copy)]
pub enum Column {
    /// A word or a few, on the left.
    Text(&'static str),
    /// A sentence, on the left, which has room even where the page is narrow.
    Prose(&'static str),
    /// Numbers, on the right.
    Number(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Prose(name) | Self::Number(name) => name,
        }
    }

    const fn class(self) -> Option<&'static str> {
        match self {
            Self::Text(_) => None,
            Self::Prose(_) => Some("prose"),
            Self::Number(_) => Some("number"),
        }
    }
}

/// What becomes of a table where the page is narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrow {
    /// It scrolls sideways: figures to be compared from row to row.
    Scrolls,
    /// The cells of a row stand below one another: sentences to be read.
    Stacks,
}

/// A table with a caption; the first cell of each row names it.
pub struct Table<'a> {
    /// What it shows.
    pub caption: Cow<'a, str>,
    /// Its columns.
    pub columns: &'a [Column],
    /// Its rows, with a cell for every column.
    pub rows: Vec<Vec<Markup>>,
    /// What becomes of it where the page is narrow.
    pub narrow: Narrow,
}

impl Table<'_> {
    /// Returns the table.
    pub fn whole(self) -> Markup {
        self.of(&self.rows, "")
    }

    /// Returns the table with the first rows open, and the others to be unfolded.
    pub fn folded(self, open_count: usize) -> Markup {
        let (open, folded) = self.rows.split_at(open_count.min(self.rows.len()));
        let count = folded.len() as u64;
        html! {
            (self.of(open, ""))
            @if !folded.is_empty() {
                details {
                    summary { "Show " (words::count(count, "more row")) }
                    (self.of(folded, ", continued"))
                }
            }
        }
    }

    fn of(&self, rows: &[Vec<Markup>], end: &str) -> Markup {
        let class = (self.narrow == Narrow::Stacks).then_some("stacks");
        html! {
            div class="scroll" role="group" aria-label={ (self.caption) (end) } tabindex="0" {
                table class=[class] {
                    caption { (self.caption) (end) }
                    thead {
                        tr {
                            @for column in self.columns {
                                th scope="col" class=[column.class()] { (column.name()) }
                            }
                        }
                    }
                    tbody { @for row in rows { (self.row(row)) } }
                }
            }
        }
    }

    /// Returns the name that stands before a cell where there is no head above it.
    fn name_of(&self, column: Column) -> Option<&'static str> {
        (self.narrow == Narrow::Stacks).then(|| column.name())
    }

    fn row(&self, cells: &[Markup]) -> Markup {
        html! {
            tr {
                @for (at, (cell, column)) in cells.iter().zip(self.columns).enumerate() {
                    @if at == 0 {
                        th scope="row" class=[column.class()] { (cell) }
                    } @else {
                        td class=[column.class()] data-name=[self.name_of(*column)] { (cell) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_neither_markup_nor_direction() {
        let text = "<script>alert(1)</script>\u{202e}gpj.\u{7}\"'&";
        let shown = html! { p title=(Foreign(text)) { (Foreign(text)) } }.into_string();
        assert!(!shown.contains("<script") && !shown.contains('\u{202e}'), "{shown}");
        assert!(!shown.contains('\u{7}') && shown.contains("\\u{202e}gpj.\\u{7}"), "{shown}");
        assert!(shown.contains("&lt;script&gt;") && shown.contains("&quot;"), "{shown}");
    }

    #[test]
    fn a_long_table_is_folded_after_its_first_rows_and_each_part_has_a_caption() {
        let row = |number: usize| vec![html! { (number) }];
        let table = Table {
            caption: "Numbers".into(),
            columns: &[Column::Number("Number")],
            rows: (0..5).map(row).collect(),
            narrow: Narrow::Scrolls,
        };
        let text = table.folded(2).into_string();
        assert_eq!(text.matches("<caption>Numbers</caption>").count(), 1);
        assert_eq!(text.matches("<caption>Numbers, continued</caption>").count(), 1);
        assert!(text.contains("Show 3 more rows"), "{text}");
    }
}

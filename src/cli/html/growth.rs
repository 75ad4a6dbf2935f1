//! How much is stored, over time.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::charts::{Growth, Point};
use super::parts::{Column, Narrow, Table, month as month_name};
use crate::cli::report::words;
use crate::ops::report::VerifyReport;

/// Months that are seen without unfolding.
const OPEN_COUNT: usize = 12;

/// Bytes of one month.
#[derive(Default)]
struct Month {
    new_len: u64,
    written_len: u64,
    needed_len: u64,
}

/// Returns how much was written, and how much each snapshot needs.
pub fn section(id: &str, vault: &VerifyReport) -> Markup {
    let mut rows: Vec<_> = vault.record.snapshots.iter().collect();
    rows.sort_by_key(|row| row.time);
    let (mut written_len, mut written, mut needed) = (0u64, Vec::new(), Vec::new());
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    for row in rows {
        let new_len = row.new_len.unwrap_or(0);
        written_len = written_len.saturating_add(new_len);
        written.push((row.time, written_len));
        needed.extend(row.stored_len.map(|len| (row.time, len)));
        let month = months.entry(row.time.strftime("%Y-%m").to_string()).or_default();
        month.new_len = month.new_len.saturating_add(new_len);
        month.written_len = written_len;
        month.needed_len = row.stored_len.unwrap_or(month.needed_len);
    }
    html! {
        section {
            h3 { "Storage growth" }
            @match picture(id, &written, &needed) {
                Some(picture) => { (picture) (table(&months)) }
                None => p { "No snapshot tells how much it needs." },
            }
        }
    }
}

fn picture(id: &str, written: &[Point], needed: &[Point]) -> Option<Markup> {
    let (from, newest) = (written.first()?, written.last()?);
    let told = format!(
        "From {} to {}, {} were written in all. The newest snapshot needs {}.",
        from.0.strftime("%-d %B %Y"),
        newest.0.strftime("%-d %B %Y"),
        words::bytes(newest.1),
        needed.last().map_or_else(
            || "an unknown number of bytes".to_owned(),
            |(_, len)| { words::bytes(*len) }
        ),
    );
    let id = format!("{id}-growth");
    let picture = Growth { id: &id, told: told.clone(), written, needed }.picture()?;
    Some(html! {
        figure {
            (picture)
            ul class="legend" aria-label="Lines" {
                li { span class="key written" {} "written in all, whatever was deleted since" }
                li { span class="key needed" {} "needed by the snapshot of that time" }
            }
            figcaption { (told) }
        }
    })
}

fn table(months: &BTreeMap<String, Month>) -> Markup {
    let row = |(name, month): (&String, &Month)| {
        vec![
            month_name(name),
            html! { (words::bytes(month.new_len)) },
            html! { (words::bytes(month.written_len)) },
            html! { (words::bytes(month.needed_len)) },
        ]
    };
    let table = Table {
        caption: "Stored bytes by month, the newest first".into(),
        columns: &[
            Column::Text("Month"),
            Column::Number("Written"),
            Column::Number("Written in all"),
            Column::Number("Needed by its last snapshot"),
        ],
        rows: months.iter().rev().map(row).collect(),
        narrow: Narrow::Scrolls,
    };
    table.folded(OPEN_COUNT)
}

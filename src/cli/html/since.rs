//! What became of the ledgers since somebody kept their heads.

use maud::{Markup, html};

use super::parts::{Column, Foreign, Narrow, Table, code, id};
use crate::cli::report::words;
use crate::ops::report::{SinceRow, VerifyReport};

/// Returns whether every ledger goes on from what was kept of it.
pub fn section(vault: &VerifyReport) -> Markup {
    let table = Table {
        caption: "Ledgers, compared with what was kept of them".into(),
        columns: &[
            Column::Text("Signer"),
            Column::Text("Kept in"),
            Column::Number("Events then"),
            Column::Number("Events now"),
            Column::Prose("Since then"),
        ],
        rows: vault.since.iter().map(row).collect(),
        narrow: Narrow::Stacks,
    };
    html! {
        section {
            h3 { "Since the last time" }
            @if table.rows.is_empty() {
                p {
                    strong { "Nothing was given to compare with. " }
                    "That the ledgers are whole does not say that they are the ones that were \
                    there before; what was kept of an earlier verification does."
                }
            } @else { (table.whole()) }
        }
    }
}

fn row(row: &SinceRow) -> Vec<Markup> {
    vec![
        id(row.signer),
        code(&row.file),
        html! { (words::number(row.size_then)) },
        html! { (words::number(row.size_now)) },
        html! {
            @match &row.problem {
                None => "only added to",
                Some(problem) => { strong { "NOT what it was: " } (Foreign(problem)) }
            }
        },
    ]
}

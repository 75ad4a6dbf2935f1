//! What is not as it must be: by code, each with what to do.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::parts::{Column, Foreign, Narrow, Table, code, hint, id};
use crate::base::limits::LISTED_COUNT_MAX;
use crate::base::{Code, Family};
use crate::cli::report::words;
use crate::ops::report::{Finding, TouchedRow, VerifyReport};

/// Rows of one code that are seen without unfolding.
const OPEN_COUNT: usize = 10;
/// Files that a row names.
const NAMED_COUNT: usize = 20;

/// Returns the findings.
pub fn section(name: &str, vault: &VerifyReport) -> Markup {
    let mut by_code: BTreeMap<(u8, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &vault.findings {
        by_code.entry((rank(finding.code), finding.code.text())).or_default().push(finding);
    }
    html! {
        section class="findings" id={ (name) "-findings" } {
            h3 { "Findings" }
            @if by_code.is_empty() {
                p { "None: nothing that was looked at differs from what was recorded and signed." }
            } @else {
                (overview(name, &by_code))
                @for findings in by_code.values() { (of_code(name, findings)) }
            }
            @if !vault.touched.is_empty() { (touched(vault)) }
        }
    }
}

/// Returns which snapshots, files and tables do not come back whole from this store.
fn touched(vault: &VerifyReport) -> Markup {
    let row = |row: &TouchedRow| {
        let tables: Vec<&str> = row.tables.iter().map(String::as_str).collect();
        let named = row.files.iter().take(NAMED_COUNT).map(String::as_str);
        let more = row.file_count.saturating_sub(NAMED_COUNT as u64);
        vec![
            id(row.snapshot),
            html! { (words::number(row.object_count)) },
            html! {
                (Foreign(&named.collect::<Vec<_>>().join(", ")))
                @if more > 0 { " and " (words::number(more)) " more" }
                @if !row.files_known { " (not all of them could be told)" }
            },
            html! { (Foreign(&tables.join(", "))) },
        ]
    };
    html! {
        h4 { "What damage touches" }
        (Table {
            caption: "Snapshots that do not come back whole from this store".into(),
            columns: &[
                Column::Text("Snapshot"),
                Column::Number("Objects"),
                Column::Prose("Files"),
                Column::Text("Tables"),
            ],
            rows: vault.touched.iter().map(row).collect(),
            narrow: Narrow::Stacks,
        }
        .folded(OPEN_COUNT))
    }
}

/// Returns a rank by which damage comes before remarks.
fn rank(code: Code) -> u8 {
    match code.family() {
        Family::Damaged if code.exit() == 1 => 0,
        Family::Unsupported => 1,
        _ => 2,
    }
}

/// Returns what a finding of this code is.
fn kind(code: Code) -> &'static str {
    match rank(code) {
        0 => "damage",
        1 => "not read",
        _ => "remark",
    }
}

fn overview(name: &str, by_code: &BTreeMap<(u8, &str), Vec<&Finding>>) -> Markup {
    let row = |findings: &Vec<&Finding>| {
        let code = findings[0].code;
        vec![
            html! { a href={ "#" (name) "-" (code.text()) } { (code.text()) } },
            html! { (kind(code)) },
            html! { (words::number(findings.len() as u64)) },
            hint(code.hint()),
        ]
    };
    let table = Table {
        caption: "Findings by kind, and what to do".into(),
        columns: &[
            Column::Text("Code"),
            Column::Text("Kind"),
            Column::Number("Findings"),
            Column::Prose("What to do"),
        ],
        rows: by_code.values().map(row).collect(),
        narrow: Narrow::Stacks,
    };
    table.whole()
}

fn of_code(name: &str, findings: &[&Finding]) -> Markup {
    let code_of = findings[0].code;
    let named = &findings[..findings.len().min(LISTED_COUNT_MAX)];
    let left = (findings.len() - named.len()) as u64;
    let rows = named.iter();
    let rows = rows.map(|one| vec![code(&one.object), html! { (Foreign(&one.detail)) }]);
    let table = Table {
        caption: format!("Findings {}", code_of.text()).into(),
        columns: &[Column::Text("Object"), Column::Prose("What is wrong")],
        rows: rows.collect(),
        narrow: Narrow::Stacks,
    };
    html! {
        section class="code" id={ (name) "-" (code_of.text()) } {
            h4 {
                code { (code_of.text()) } ": "
                (words::count(findings.len() as u64, "finding"))
            }
            (table.folded(OPEN_COUNT))
            @if left > 0 {
                p {
                    strong { (words::number(left)) " more are not on this page. " }
                    "All of them are in the report in JSON."
                }
            }
        }
    }
}

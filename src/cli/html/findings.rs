//! What is not as it must be: by code, each with what to do.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::parts::{Column, Foreign, Table, code};
use crate::base::limits::LISTED_COUNT_MAX;
use crate::base::{Code, Family};
use crate::cli::report::words;
use crate::ops::report::{Finding, VerifyReport};

/// Rows of one code that are seen without unfolding.
const OPEN_COUNT: usize = 10;

/// Returns the findings.
pub fn section(id: &str, vault: &VerifyReport) -> Markup {
    let mut by_code: BTreeMap<(u8, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &vault.findings {
        by_code.entry((rank(finding.code), finding.code.text())).or_default().push(finding);
    }
    html! {
        section aria-label="Findings" {
            h3 { "Findings" }
            @if by_code.is_empty() {
                p { "None: nothing that was looked at differs from what was recorded and signed." }
            } @else {
                (overview(id, &by_code))
                @for findings in by_code.values() { (of_code(id, findings)) }
            }
        }
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

fn overview(id: &str, by_code: &BTreeMap<(u8, &str), Vec<&Finding>>) -> Markup {
    let row = |findings: &Vec<&Finding>| {
        let code = findings[0].code;
        vec![
            html! { a href={ "#" (id) "-" (code.text()) } { (code.text()) } },
            html! { (kind(code)) },
            html! { (words::number(findings.len() as u64)) },
            html! { (code.hint()) },
        ]
    };
    let table = Table {
        caption: "Findings by kind, and what to do".into(),
        columns: &[
            Column::Text("Code"),
            Column::Text("Kind"),
            Column::Number("Findings"),
            Column::Text("What to do"),
        ],
        rows: by_code.values().map(row).collect(),
    };
    table.whole()
}

fn of_code(id: &str, findings: &[&Finding]) -> Markup {
    let code_of = findings[0].code;
    let named = &findings[..findings.len().min(LISTED_COUNT_MAX)];
    let left = (findings.len() - named.len()) as u64;
    let rows = named.iter();
    let rows = rows.map(|one| vec![code(&one.object), html! { (Foreign(&one.detail)) }]);
    let table = Table {
        caption: format!("Findings {}", code_of.text()).into(),
        columns: &[Column::Text("Object"), Column::Text("What is wrong")],
        rows: rows.collect(),
    };
    html! {
        section class="code" id={ (id) "-" (code_of.text()) } {
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

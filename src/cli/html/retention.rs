//! What the policy asked of every snapshot, and what became of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::parts::{Column, Foreign, Narrow, Table, day, day_or, id, month as month_name, stamp};
use crate::cli::report::words;
use crate::ops::report::{PolicyRow, SnapshotRow, SnapshotState, VerifyReport};

/// Rows that are seen without unfolding.
const OPEN_COUNT: usize = 12;
/// Snapshots of which all rows are printed; of more the summary is.
const PRINTED_COUNT_MAX: usize = 100;

/// Returns the policies, a summary by month, and a row for every snapshot.
pub fn section(vault: &VerifyReport) -> Markup {
    let rows = &vault.record.snapshots;
    let count = rows.len();
    html! {
        section {
            h3 { "Retention" }
            (policies(&vault.record.policies))
            @if rows.is_empty() {
                p { "No snapshot is on record." }
            } @else if count <= OPEN_COUNT {
                (every_row(rows))
            } @else {
                (by_month(rows))
                details class=[(count > PRINTED_COUNT_MAX).then_some("screen")] {
                    summary { "Show all " (words::count(count as u64, "snapshot")) }
                    (every_row(rows))
                }
                @if count > PRINTED_COUNT_MAX {
                    p class="paper" {
                        "On paper this is a summary: all " (words::count(count as u64, "snapshot"))
                        " are in the report in JSON, and on this page where it is read on a screen."
                    }
                }
            }
        }
    }
}

fn policies(policies: &[PolicyRow]) -> Markup {
    let row = |row: &PolicyRow| {
        vec![html! { (row.number) }, stamp(row.since), html! { (Foreign(&rules(row))) }]
    };
    let table = Table {
        caption: "Policies that were in force, the newest first".into(),
        columns: &[Column::Text("Vault note"), Column::Text("Since"), Column::Prose("Rules")],
        rows: policies.iter().rev().map(row).collect(),
        narrow: Narrow::Stacks,
    };
    html! { @if policies.is_empty() { p { "No policy is on record." } } @else { (table.whole()) } }
}

/// Returns the rules of a policy, such as `keep_daily 30, floor 5y`.
fn rules(row: &PolicyRow) -> String {
    let rule = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    };
    let rules: Vec<String> = row.policy.iter().map(rule).collect();
    if rules.is_empty() { "everything stays".to_owned() } else { rules.join(", ") }
}

/// What became of the snapshots of a month.
#[derive(Default)]
struct Month {
    taken: u64,
    standing: u64,
    gone: BTreeMap<String, u64>,
    missing: u64,
    held: u64,
    found: u64,
    ceiling: Option<Timestamp>,
}

fn by_month(rows: &[SnapshotRow]) -> Markup {
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    for row in rows {
        let month = months.entry(row.time.strftime("%Y-%m").to_string()).or_default();
        month.taken += 1;
        match row.state {
            SnapshotState::Standing => month.standing += 1,
            SnapshotState::Missing => month.missing += 1,
            SnapshotState::Forgotten => {
                let rule = row.gone.as_ref().map_or("not told", |gone| gone.rule.as_str());
                *month.gone.entry(rule.to_owned()).or_default() += 1;
            }
        }
        month.held += u64::from(is_held(row));
        month.found = month.found.saturating_add(row.finding_count);
        month.ceiling = month.ceiling.max(row.ceiling);
    }
    let table = Table {
        caption: "Snapshots by month, the newest first".into(),
        columns: &[
            Column::Text("Month"),
            Column::Number("Taken"),
            Column::Number("Standing"),
            Column::Number("Forgotten"),
            Column::Prose("By which rule"),
            Column::Number("Missing"),
            Column::Number("On hold"),
            Column::Text("All gone by"),
            Column::Number("Findings"),
        ],
        rows: months.iter().rev().map(|(name, month)| month_row(name, month)).collect(),
        narrow: Narrow::Scrolls,
    };
    table.folded(OPEN_COUNT)
}

fn month_row(name: &str, month: &Month) -> Vec<maud::Markup> {
    let number = |value: u64| html! { (words::number(value)) };
    let rule = |(rule, count): (&String, &u64)| format!("{rule} ({})", words::number(*count));
    let rules: Vec<String> = month.gone.iter().take(3).map(rule).collect();
    let more = month.gone.len().saturating_sub(rules.len()) as u64;
    vec![
        month_name(name),
        number(month.taken),
        number(month.standing),
        number(month.gone.values().sum()),
        html! {
            @if rules.is_empty() { "–" } @else { (Foreign(&rules.join("; "))) }
            @if more > 0 { "; and " (words::count(more, "more rule")) }
        },
        number(month.missing),
        number(month.held),
        html! { (day_or(month.ceiling, "no ceiling")) },
        number(month.found),
    ]
}

fn is_held(row: &SnapshotRow) -> bool {
    row.holds.iter().any(|hold| hold.released.is_none())
}

fn every_row(rows: &[SnapshotRow]) -> Markup {
    let table = Table {
        caption: "Every snapshot on record, the newest first".into(),
        columns: &[
            Column::Text("Snapshot"),
            Column::Text("State"),
            Column::Text("Policy"),
            Column::Text("Stays until"),
            Column::Text("Goes by"),
            Column::Text("Locked until"),
            Column::Text("Hold"),
            Column::Prose("How it went"),
            Column::Number("Findings"),
        ],
        rows: rows.iter().rev().map(row_of).collect(),
        narrow: Narrow::Scrolls,
    };
    table.whole()
}

fn row_of(row: &SnapshotRow) -> Vec<Markup> {
    let state = match row.state {
        SnapshotState::Standing => "standing",
        SnapshotState::Forgotten => "forgotten",
        SnapshotState::Missing => "MISSING",
    };
    vec![
        id(row.id),
        html! { (state) },
        html! { @match row.policy { Some(number) => { "note " (number) }, None => "not told" } },
        html! { (day_or(row.floor, "–")) },
        html! { (day_or(row.ceiling, "–")) },
        html! { (day_or(row.locked_until, "–")) },
        holds(row),
        went(row),
        html! { (words::number(row.finding_count)) },
    ]
}

fn holds(row: &SnapshotRow) -> Markup {
    html! {
        @if row.holds.is_empty() { "–" }
        @for (at, hold) in row.holds.iter().enumerate() {
            @if at > 0 { "; " }
            "since " (day(hold.from))
            @if let Some(until) = hold.until { ", until " (day(until)) }
            @if let Some(released) = hold.released { ", released " (day(released)) }
        }
    }
}

fn went(row: &SnapshotRow) -> Markup {
    html! {
        @match &row.gone {
            None => "–",
            Some(gone) => {
                (day(gone.time)) ", " (Foreign(&gone.rule)) ", by " (Foreign(&gone.by))
                ", signed " (id(gone.signer))
            }
        }
    }
}

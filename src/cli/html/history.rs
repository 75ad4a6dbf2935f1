//! What happened over the years: snapshots and the days without one, verifications, drills.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::calendar::{self, Mark};
use super::charts::{marks, span};
use super::parts::{Column, Foreign, Narrow, Table, id, stamp};
use crate::cli::report::words;
use crate::format::event_fields::Outcome;
use crate::ops::report::{
    GapRow, Level, Report, RpoRow, RpoSource, SnapshotRow, SnapshotState, VerifiedRow, VerifyReport,
};

/// Years that are drawn at most: a clock that was wrong must not fill the page.
const YEAR_COUNT_MAX: usize = 30;
/// Days that one gap marks at most.
const GAP_DAYS_MAX: usize = 3660;
/// Rows that are seen without unfolding.
const OPEN_COUNT: usize = 12;

/// Returns the calendar of all snapshots, and the times without one.
pub fn snapshots(name: &str, vault: &VerifyReport, now: Timestamp) -> Markup {
    let record = &vault.record;
    let days = days(&record.snapshots, &record.gaps, now);
    let mut years: Vec<i16> = days.keys().map(|date| date.year()).collect();
    years.dedup();
    let left_out = years.len().saturating_sub(YEAR_COUNT_MAX);
    html! {
        section {
            h3 { "Snapshots over time" }
            @if record.snapshots.is_empty() {
                p { "No snapshot is on record." }
            } @else {
                p { (told(&record.snapshots, &record.gaps)) " " (allowed(record.rpo)) }
                (calendar::legend())
                div class="years" {
                    @for year in &years[left_out..] {
                        (calendar::year(&format!("{name}-{year}"), *year, &days))
                    }
                }
                @if left_out > 0 {
                    p { (words::count(left_out as u64, "earlier year")) " are not drawn." }
                }
                (gaps(&record.gaps))
            }
        }
    }
}

/// Returns the sentence that says what the calendar shows.
fn told(rows: &[SnapshotRow], gaps: &[GapRow]) -> String {
    let count = |state| rows.iter().filter(|row| row.state == state).count() as u64;
    let first = rows.iter().map(|row| row.time).min().unwrap_or_default();
    let last = rows.iter().map(|row| row.time).max().unwrap_or_default();
    let missing = match count(SnapshotState::Missing) {
        0 => "none is missing".to_owned(),
        some => format!("{} missing", words::number(some)),
    };
    let gaps = match gaps.len() as u64 {
        0 => "No time without a snapshot was longer than allowed".to_owned(),
        1 => "Once, the time without a snapshot was longer than allowed".to_owned(),
        some => format!(
            "{} times, the time without a snapshot was longer than allowed",
            words::number(some)
        ),
    };
    format!(
        "{} from {} to {}: {} standing, {} forgotten, {missing}. {gaps}.",
        words::count(rows.len() as u64, "snapshot"),
        first.strftime("%-d %B %Y"),
        last.strftime("%-d %B %Y"),
        words::number(count(SnapshotState::Standing)),
        words::number(count(SnapshotState::Forgotten)),
    )
}

/// Returns how long the vault may go without a snapshot, and who says so.
fn allowed(rpo: Option<RpoRow>) -> String {
    let Some(RpoRow { hours: allowed, source }) = rpo else {
        return "How long it may be without one was not looked at.".to_owned();
    };
    let source = match source {
        RpoSource::Given => "as was asked for",
        RpoSource::Config => "by the config",
        RpoSource::Policy => "by the policy",
        RpoSource::Default => "as nothing says otherwise",
    };
    format!("Allowed are {}, {source}.", hours(allowed))
}

fn date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Returns what is said of each day.
fn days(rows: &[SnapshotRow], gaps: &[GapRow], now: Timestamp) -> BTreeMap<Date, Mark> {
    let mut days = BTreeMap::new();
    for gap in gaps {
        let after = |date: Date| date.tomorrow().unwrap_or(date);
        let (from, to) = (after(date(gap.from)), date(gap.to.unwrap_or(now)));
        let within = from.series(1.day()).take_while(|date| *date < to).take(GAP_DAYS_MAX);
        days.extend(within.map(|date| (date, Mark::Gap)));
    }
    for row in rows {
        let mark = match (row.state, row.finding_count) {
            (SnapshotState::Missing, _) => Mark::Missing,
            (_, 1..) => Mark::Found,
            (SnapshotState::Standing, 0) => Mark::Standing,
            (SnapshotState::Forgotten, 0) => Mark::Gone,
        };
        let there = days.entry(date(row.time)).or_insert(mark);
        // What is taken on a day ends its gap.
        *there = if *there == Mark::Gap { mark } else { mark.max(*there) };
    }
    days
}

fn gaps(gaps: &[GapRow]) -> Markup {
    let row = |gap: &GapRow| {
        vec![
            stamp(gap.from),
            html! { @match gap.to { Some(to) => (stamp(to)), None => "none yet" } },
            html! { (hours(gap.hours)) },
            html! { (hours(gap.allowed_hours)) },
        ]
    };
    let table = Table {
        caption: "Longer without a snapshot than allowed, the newest first".into(),
        columns: &[
            Column::Text("After"),
            Column::Text("Next snapshot"),
            Column::Number("Long"),
            Column::Number("Allowed"),
        ],
        rows: gaps.iter().rev().map(row).collect(),
        narrow: Narrow::Scrolls,
    };
    html! { @if !gaps.is_empty() { (table.folded(OPEN_COUNT)) } }
}

fn hours(hours: u64) -> String {
    match (hours / 24, hours % 24) {
        (0, _) => words::count(hours, "hour"),
        (days, 0) => words::count(days, "day"),
        (days, rest) => format!("{}, {}", words::count(days, "day"), words::count(rest, "hour")),
    }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
    }
}

/// Returns the verifications before this one, and what they covered when.
pub fn verifications(name: &str, vault: &VerifyReport, report: &Report) -> Markup {
    let rows = &vault.record.verifications;
    html! {
        section {
            h3 { "Verifications over time" }
            @if rows.is_empty() {
                p { "No verification before this one is on record." }
            } @else {
                (coverage(name, vault, report))
                (verified_table(vault))
            }
        }
    }
}

/// Returns a line for each level, with a mark for each verification.
fn coverage(name: &str, vault: &VerifyReport, report: &Report) -> Markup {
    let rows = &vault.record.verifications;
    let first = rows.iter().map(|row| row.time).chain([report.ended]);
    let Some(span) = span(first) else { return html! {} };
    html! {
        figure class="coverage" {
            @for level in Level::ALL {
                @let of_level = rows.iter().filter(|row| row.level == level.name());
                @let all: Vec<(Timestamp, bool)> = of_level.map(passed).collect();
                @let told = told_of_level(&all, report.ended);
                (marks(&format!("{name}-{}", level.name()), level.name(), &told, &all, span))
            }
            div class="dates" aria-hidden="true" {
                span { (super::parts::day(span.0)) }
                span { (super::parts::day(span.1)) }
            }
            figcaption {
                "A mark above its line is a verification that passed, one below it one that failed."
                " "
                ul {
                    @for level in Level::ALL {
                        @let of_level = rows.iter().filter(|row| row.level == level.name());
                        @let all: Vec<(Timestamp, bool)> = of_level.map(passed).collect();
                        li { (level.name()) ": " (told_of_level(&all, report.ended)) }
                    }
                }
            }
        }
    }
}

fn passed(row: &VerifiedRow) -> (Timestamp, bool) {
    (row.time, row.outcome == Outcome::Passed)
}

fn told_of_level(all: &[(Timestamp, bool)], now: Timestamp) -> String {
    let passed = || all.iter().filter(|(_, passed)| *passed);
    let failed = (all.len() - passed().count()) as u64;
    let Some(newest) = passed().map(|(time, _)| *time).max() else {
        return format!("never passed on record, {} failed.", words::number(failed));
    };
    let age = u64::try_from(now.as_second().saturating_sub(newest.as_second())).unwrap_or(0);
    format!(
        "{} passed, {} failed; passed last on {}, {} before this report.",
        words::number(passed().count() as u64),
        words::number(failed),
        newest.strftime("%-d %B %Y"),
        words::count(age / 86_400, "day"),
    )
}

fn verified_table(vault: &VerifyReport) -> Markup {
    let rows = vault.record.verifications.iter().rev().map(|row| {
        vec![
            stamp(row.time),
            html! { (Foreign(&row.level)) },
            html! { (outcome(row.outcome)) },
            html! { @match row.snapshot { Some(snapshot) => (id(snapshot)), None => "all" } },
            html! { (row.sample_percent) " %" },
            html! { (words::number(row.object_count)) },
            html! { (words::number(row.finding_count)) },
            html! { (Foreign(&row.store)) },
            id(row.signer),
        ]
    });
    let table = Table {
        caption: "Verifications on record, the newest first".into(),
        columns: &[
            Column::Text("When"),
            Column::Text("Level"),
            Column::Text("Outcome"),
            Column::Text("Snapshots"),
            Column::Number("Looked at"),
            Column::Number("Objects"),
            Column::Number("Findings"),
            Column::Text("Store"),
            Column::Text("Signed by"),
        ],
        rows: rows.collect(),
        narrow: Narrow::Scrolls,
    };
    table.folded(OPEN_COUNT)
}

/// Returns the restores that were rehearsed.
pub fn drills(vault: &VerifyReport) -> Markup {
    let rows = vault.record.drills.iter().rev().map(|row| {
        vec![
            stamp(row.time),
            html! { (outcome(row.outcome)) },
            html! { (words::duration(row.duration_s.saturating_mul(1000))) },
            id(row.snapshot),
            html! { (words::number(row.finding_count)) },
            html! { (Foreign(&row.store)) },
            id(row.signer),
        ]
    });
    let table = Table {
        caption: "Rehearsed restores, the newest first".into(),
        columns: &[
            Column::Text("When"),
            Column::Text("Outcome"),
            Column::Number("Time to recover"),
            Column::Text("Snapshot"),
            Column::Number("Findings"),
            Column::Text("From store"),
            Column::Text("Signed by"),
        ],
        rows: rows.collect(),
        narrow: Narrow::Scrolls,
    };
    html! {
        section {
            h3 { "Drills: restores that were rehearsed" }
            @if table.rows.is_empty() {
                p {
                    strong { "None is on record. " }
                    "That an archive is whole does not say how long it takes to restore it."
                }
            } @else { (table.folded(OPEN_COUNT)) }
        }
    }
}

//! What a verification says of the record of a vault, in a few lines for a terminal: the rows are
//! in the report.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::words;
use crate::base::Code;
use crate::format::event_fields::Outcome;
use crate::ops::report::{RpoSource, SinceRow, SnapshotRow, SnapshotState, VerifyReport};

/// Rules that are named; of the others the snapshots are counted.
const RULES_MAX: usize = 4;

/// Returns the lines of one vault; none, of one that never had a snapshot.
pub fn lines_of(report: &VerifyReport) -> Vec<String> {
    let record = &report.record;
    let mut lines = Vec::new();
    if !record.snapshots.is_empty() {
        lines.extend(snapshots_lines(&record.snapshots));
        lines.extend(kept_lines(report));
    }
    if let Some(last) = record.drills.last() {
        let (count, outcome) = (words::count(record.drills.len() as u64, "drill"), last.outcome);
        let (time, took) =
            (words::time(last.time), words::duration(last.duration_s.saturating_mul(1000)));
        let came = outcome_of(outcome);
        lines.push(format!("  drills: {count}, the last one at {time} {came}, in {took}"));
    }
    lines.extend(report.since.iter().map(since_line));
    lines
}

/// Returns how many snapshots there ever were, and under which rules they went.
fn snapshots_lines(rows: &[SnapshotRow]) -> Vec<String> {
    let of = |state| rows.iter().filter(|row| row.state == state).count();
    let (ever, standing) = (rows.len() as u64, of(SnapshotState::Standing));
    let (forgotten, missing) = (of(SnapshotState::Forgotten), of(SnapshotState::Missing));
    let ever = words::count(ever, "snapshot");
    let lost = if missing > 0 { format!(", {missing} MISSING") } else { String::new() };
    let mut lines =
        vec![format!("  record: {ever} ever, {standing} stand, {forgotten} forgotten{lost}")];
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for gone in rows.iter().filter_map(|row| row.gone.as_ref()) {
        // A rule may say as well when: "ceiling 5y reached at …".
        let rule = gone.rule.split(" reached at ").next().unwrap_or(&gone.rule);
        *rules.entry(rule).or_default() += 1;
    }
    let mut rules: Vec<(&str, usize)> = rules.into_iter().collect();
    rules.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others: usize = rules.iter().skip(RULES_MAX).map(|(_, count)| count).sum();
    let named = rules.iter().take(RULES_MAX).map(|(rule, count)| format!("{count} as {rule:?}"));
    let others = (others > 0).then(|| format!("{others} otherwise"));
    let named: Vec<String> = named.chain(others).collect();
    if !named.is_empty() {
        lines.push(format!("  forgotten: {}", named.join(", ")));
    }
    lines
}

/// Returns what is held, what stands too long and what is missing.
fn kept_lines(report: &VerifyReport) -> Vec<String> {
    let record = &report.record;
    let now = record.judged.unwrap_or(Timestamp::MIN);
    let is_held = |row: &&SnapshotRow| {
        let mut holds = row.holds.iter().filter(|hold| hold.released.is_none());
        holds.any(|hold| hold.until.is_none_or(|until| until > now))
    };
    let held = record.snapshots.iter().filter(is_held).count();
    let over = report.findings.iter().filter(|one| one.code == Code::OverAge).count();
    let mut lines = vec![format!("  kept: {held} under a hold, {over} past the ceiling")];
    if let Some(rpo) = record.rpo {
        let source = match rpo.source {
            RpoSource::Given => "as given",
            RpoSource::Config => "by the config",
            RpoSource::Policy => "by the policy",
            RpoSource::Default => "as nothing says otherwise",
        };
        let (gaps, hours) = (words::count(record.gaps.len() as u64, "gap"), rpo.hours);
        lines.push(format!("  nights: {gaps} of more than {hours} h, {source}"));
    }
    lines
}

fn since_line(row: &SinceRow) -> String {
    let SinceRow { file, signer, size_then, size_now, problem } = row;
    let line = match problem {
        None => format!("ledger {signer} extends {file}: {size_then} events then, {size_now} now"),
        Some(problem) => format!(
            "ledger {signer} does NOT extend {file}, {size_then} events then, {size_now} now: \
             {problem}"
        ),
    };
    format!("  since: {line}")
}

const fn outcome_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
    }
}

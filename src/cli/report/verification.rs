//! The report of a verification in words, for a terminal.

use std::collections::BTreeSet;

use super::{audited, evidence, sampled, words};
use crate::ops::report::{LedgerHead, StoredCounts, TouchedRow, Verdict, VerifyReport};
use crate::store::StorageClass;

/// Files of a snapshot that a line names.
const NAMED_COUNT: usize = 5;

/// Returns what is said of one vault in one store. Whoever wrote the report may be anybody: every
/// line goes through here, and none drives the terminal.
pub fn text_of(report: &VerifyReport) -> String {
    lines_of(report).iter().map(|line| words::printable(line) + "\n").collect()
}

fn lines_of(report: &VerifyReport) -> Vec<String> {
    let findings = report.findings.iter();
    let mut lines: Vec<String> =
        findings.map(|one| format!("{}: {}: {}", one.code, one.object, one.detail)).collect();
    let hints: BTreeSet<&str> = report.findings.iter().map(|finding| finding.code.hint()).collect();
    lines.extend(hints.iter().map(|hint| format!("hint: {hint}")));
    lines.extend(report.touched.iter().map(touched_line));
    lines.push(verdict_line(report));
    lines.extend(report.location.iter().map(|location| format!("  location: {location}")));
    if let Some(counts) = &report.stored {
        lines.extend(counts_lines(counts));
        lines.extend(evidence::lines_of(report, counts));
    }
    lines.extend(sampled::lines_of(report));
    lines.extend(audited::lines_of(report));
    lines.extend(report.not_covered.iter().map(|gap| format!("  not covered: {gap}")));
    let ledgers = report.ledgers.iter().filter(|ledger| ledger.size > 0);
    lines.extend(ledgers.map(|LedgerHead { signer, size, root }| {
        format!("  ledger {signer} size {size} root {root}")
    }));
    lines
}

fn verdict_line(report: &VerifyReport) -> String {
    let count = words::count(report.findings.len() as u64, "finding");
    let verdict = match report.verdict {
        Verdict::Sound => "sound".to_owned(),
        Verdict::Remarks => format!("sound, with remarks: {count}"),
        Verdict::Unread => format!("NOT ALL READ, a newer program is needed: {count}"),
        Verdict::Damaged => format!("DAMAGED: {count}"),
    };
    let part = report.looked_at().filter(|_| report.sample_percent() < 100);
    let part = part.map(|(looked, all)| {
        format!(" ({} of {} looked at)", words::number(looked), words::count(all, "pack"))
    });
    format!(
        "{verdict}{}: vault {} in store {}, {} and {} looked at, {} read",
        part.unwrap_or_default(),
        report.vault,
        report.store,
        words::count(report.snapshot_count, "snapshot"),
        words::count(report.object_count, "object"),
        words::bytes(report.read_len),
    )
}

/// Returns what damage touches in a snapshot; `--json` names every file that is known.
fn touched_line(row: &TouchedRow) -> String {
    let mut line =
        format!("touched: {}: {}", row.snapshot, words::count(row.object_count, "object"));
    if row.file_count > 0 {
        let named = row.files.iter().take(NAMED_COUNT).map(String::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if row.file_count > NAMED_COUNT as u64 { ", …" } else { "" };
        line.push_str(&format!("; {}: {named}{more}", words::count(row.file_count, "file")));
    }
    if !row.tables.is_empty() {
        let tables = row.tables.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        line.push_str(&format!("; tables: {tables}"));
    }
    line
}

/// Returns what the store says of the objects; nothing of one that has neither classes nor locks.
fn counts_lines(counts: &StoredCounts) -> Vec<String> {
    let mut lines = Vec::new();
    let is_plain = counts.classes.keys().all(|class| *class == StorageClass::Standard);
    if !is_plain {
        let class = |(class, count): (&StorageClass, &u64)| format!("{count} in {class}");
        let classes: Vec<String> = counts.classes.iter().map(class).collect();
        lines.push(format!("  stored: {}", classes.join(", ")));
    }
    if let Some(until) = counts.locked_until {
        let StoredCounts { locked_count, not_locked_count, .. } = counts;
        lines.push(format!(
            "  locked: {locked_count} until {until} or later; not locked: {not_locked_count}"
        ));
    }
    if counts.attested_count > 0 {
        let count = words::count(counts.attested_count, "object");
        lines.push(format!("  attested: the store has the signed SHA-256 of {count}"));
    }
    lines
}

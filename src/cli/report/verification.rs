//! The report of a verification in words, for a terminal.

use std::collections::BTreeSet;

use super::{audited, evidence, sampled, words};
use crate::ops::report::{StoredCounts, TouchedRow, Verdict, VerifyReport};
use crate::store::StorageClass;

/// Files of a snapshot that a line names.
const NAMED_COUNT: usize = 5;

/// Returns what is said of one vault in one store.
pub fn text_of(report: &VerifyReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let line = format!("{}: {}: {}", finding.code, finding.object, finding.detail);
        text.push_str(&words::printable(&line));
        text.push('\n');
    }
    let hints: BTreeSet<&str> = report.findings.iter().map(|finding| finding.code.hint()).collect();
    for hint in hints {
        text.push_str(&format!("hint: {hint}\n"));
    }
    report.touched.iter().for_each(|row| text.push_str(&touched_line(row)));
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
    let verdict = format!("{verdict}{}", part.unwrap_or_default());
    text.push_str(&format!(
        "{verdict}: vault {} in store {}, {} and {} looked at, {} read\n",
        report.vault,
        report.store,
        words::count(report.snapshot_count, "snapshot"),
        words::count(report.object_count, "object"),
        words::bytes(report.read_len),
    ));
    if let Some(counts) = &report.stored {
        text.push_str(&counts_text(counts));
        text.push_str(&evidence::text_of(report, counts));
    }
    text.push_str(&sampled::text_of(report));
    text.push_str(&audited::text_of(report));
    for gap in &report.not_covered {
        text.push_str(&format!("  not covered: {gap}\n"));
    }
    for ledger in report.ledgers.iter().filter(|ledger| ledger.size > 0) {
        let line =
            format!("  ledger {} size {} root {}\n", ledger.signer, ledger.size, ledger.root);
        text.push_str(&line);
    }
    text
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
    format!("{}\n", words::printable(&line))
}

/// Returns what the store says of the objects; nothing of one that has neither classes nor locks.
fn counts_text(counts: &StoredCounts) -> String {
    let mut text = String::new();
    let is_plain = counts.classes.keys().all(|class| *class == StorageClass::Standard);
    if !is_plain {
        let class = |(class, count): (&StorageClass, &u64)| format!("{count} in {class}");
        let classes: Vec<String> = counts.classes.iter().map(class).collect();
        text.push_str(&format!("  stored: {}\n", classes.join(", ")));
    }
    if let Some(until) = counts.locked_until {
        let StoredCounts { locked_count, not_locked_count, .. } = counts;
        let line = format!(
            "  locked: {locked_count} until {until} or later; not locked: {not_locked_count}\n"
        );
        text.push_str(&line);
    }
    if counts.attested_count > 0 {
        let count = words::count(counts.attested_count, "object");
        text.push_str(&format!("  attested: the store has the signed SHA-256 of {count}\n"));
    }
    text
}

//! What of all packs was looked at, in words for a terminal.

use super::words;
use crate::ops::report::{CoverageReport, FileCounts, VerifyReport};

/// Returns what is said of a part; nothing of a verification that looked at everything.
pub fn lines_of(report: &VerifyReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(sample) = &report.sample {
        lines.push(format!(
            "  sample: {} of {}, {} of {}",
            words::number(sample.sample_count),
            words::count(sample.pack_count, "pack"),
            words::bytes(sample.sample_len),
            words::bytes(sample.pack_len),
        ));
        lines.push(format!("  it says: {}", sample.says));
        let chosen = report.chosen_by().into_iter();
        lines.extend(
            chosen.map(|(value, whose)| {
                format!("  chosen by: {value} ({whose}), seed {}", sample.seed)
            }),
        );
    }
    if let Some(shard) = &report.shard {
        let packs = words::count(shard.pack_count, "pack");
        lines.push(format!("  part: {} of {}, {packs}", shard.index, shard.count));
    }
    lines.extend(report.joined.map(|count| format!("  joined of {count} parts")));
    if let Some(files) = report.files.filter(|_| report.looked_at().is_some()) {
        let FileCounts { file_count, checked_file_count, dump_count, checked_dump_count } = files;
        lines.push(format!(
            "  compared: {} of {}, {} of {}",
            words::number(checked_file_count),
            words::count(file_count, "file"),
            words::number(checked_dump_count),
            words::count(dump_count, "database dump"),
        ));
    }
    lines.extend(report.coverage.as_ref().map(coverage_line));
    lines
}

fn coverage_line(coverage: &CoverageReport) -> String {
    let oldest = coverage.oldest.map(|time| format!("; the oldest on {}", words::time(time)));
    format!(
        "  found sound at level {}, of {}: {} within a month, {} within 3, {} within 12, {} \
         never{}",
        coverage.level.name(),
        words::count(coverage.pack_count, "pack"),
        words::number(coverage.month_count),
        words::number(coverage.quarter_count),
        words::number(coverage.year_count),
        words::number(coverage.never_count),
        oldest.unwrap_or_default(),
    )
}

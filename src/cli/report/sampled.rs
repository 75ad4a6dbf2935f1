//! What of all packs was looked at, in words for a terminal.

use super::words;
use crate::ops::report::{CoverageReport, FileCounts, VerifyReport};

/// Returns what is said of a part; nothing of a verification that looked at everything.
pub fn text_of(report: &VerifyReport) -> String {
    let mut text = String::new();
    if let Some(sample) = &report.sample {
        text.push_str(&format!(
            "  sample: {} of {}, {} of {}\n  it says: {}\n",
            words::number(sample.sample_count),
            words::count(sample.pack_count, "pack"),
            words::bytes(sample.sample_len),
            words::bytes(sample.pack_len),
            sample.says,
        ));
        let how = if sample.public_given { "given" } else { "the heads of the ledgers" };
        let public = words::printable(&sample.public);
        text.push_str(&format!("  chosen by: {public} ({how}), seed {}\n", sample.seed));
    }
    if let Some(shard) = &report.shard {
        let packs = words::count(shard.pack_count, "pack");
        text.push_str(&format!("  part: {} of {}, {packs}\n", shard.index, shard.count));
    }
    if let Some(count) = report.joined {
        text.push_str(&format!("  joined of {count} parts\n"));
    }
    if let Some(files) = report.files.filter(|_| report.looked_at().is_some()) {
        let FileCounts { file_count, checked_file_count, dump_count, checked_dump_count } = files;
        text.push_str(&format!(
            "  compared: {} of {}, {} of {}\n",
            words::number(checked_file_count),
            words::count(file_count, "file"),
            words::number(checked_dump_count),
            words::count(dump_count, "database dump"),
        ));
    }
    text.push_str(&report.coverage.as_ref().map(coverage_text).unwrap_or_default());
    text
}

fn coverage_text(coverage: &CoverageReport) -> String {
    let oldest = coverage.oldest.map(|time| format!("; the oldest on {}", words::time(time)));
    format!(
        "  found sound at level {}, of {}: {} within a month, {} within 3, {} within 12, {} \
         never{}\n",
        coverage.level.name(),
        words::count(coverage.pack_count, "pack"),
        words::number(coverage.month_count),
        words::number(coverage.quarter_count),
        words::number(coverage.year_count),
        words::number(coverage.never_count),
        oldest.unwrap_or_default(),
    )
}

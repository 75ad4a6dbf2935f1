//! What is known of a store from elsewhere, in words for a terminal.

use super::words;
use crate::ops::report::{ProviderCounts, ReceiptCounts, StoredCounts, VerifyReport};
use crate::store::LockMode;

/// Returns what is said beside what the store says of its objects.
pub fn lines_of(report: &VerifyReport, counts: &StoredCounts) -> Vec<String> {
    let mut lines = Vec::new();
    if !counts.locks.is_empty() {
        let mode = |(mode, count): (&LockMode, &u64)| format!("{count} by {}", mode.name());
        let modes: Vec<String> = counts.locks.iter().map(mode).collect();
        lines.push(format!("  lock modes: {}", modes.join(", ")));
    }
    if counts.rewritten_count > 0 {
        let count = words::count(counts.rewritten_count, "object");
        lines.push(format!("  versions: {count} with more than one, or hidden"));
    }
    if let Some(ReceiptCounts { object_count, first, last, store, .. }) = &counts.receipts {
        let count = words::count(*object_count, "object");
        let (first, last) = (first.strftime("%Y-%m-%d"), last.strftime("%Y-%m-%d"));
        let by = store.as_ref().map_or(String::new(), |name| format!(" by store {name}"));
        lines.push(format!(
            "  by receipt only: {count}, acknowledged{by} between {first} and {last}, and not \
             looked at since"
        ));
    }
    if let Some(provider) = &counts.provider {
        let ProviderCounts { pack_count, computed_pack_count: done, reported, .. } = provider;
        let when = reported.map_or(String::new(), |time| format!(", reported {time}"));
        let line = format!("  computed at rest by the provider: {done} of {pack_count} packs");
        lines.push(format!("{line}{when}"));
        lines.push(format!("  level: {}", report.level_text()));
    }
    lines
}

//! Reports that somebody made up: whoever opens one gets words and a page, and no more.

use idswyft_vault::cli::html::page;
use idswyft_vault::cli::report::verification::text_of;
use idswyft_vault::ops::report::Report;
use serde_json::{Value, json};

use super::samples;

/// Calls with every value below a value that satisfies a test.
fn each(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| each(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|value| each(value, change)),
        other => change(other),
    }
}

fn shown(report: &Value) -> Option<usize> {
    let report = Report::parse(report.to_string().as_bytes()).ok()?;
    let words: String = report.vaults.iter().map(text_of).collect();
    Some(words.len() + page(&report).len())
}

fn full() -> Value {
    let vaults = vec![samples::sampled(), samples::damaged(), samples::empty(), samples::sound(9)];
    serde_json::to_value(samples::report(vaults)).unwrap()
}

///
#[test]
fn numbers_that_cannot_be_break_nothing() {
    let mut shown_count = 0;
    for number in [0, 1, 255, u64::from(u32::MAX), 1 << 53, u64::MAX] {
        let mut report = full();
        each(&mut report["vaults"], &mut |value| {
            if value.is_u64() {
                *value = json!(number);
            }
        });
        shown_count += usize::from(shown(&report).is_some());
        // Not every field may have every number: those that may have it alone.
        let mut report = full();
        each(&mut report["vaults"], &mut |value| {
            if value.as_u64().is_some_and(|value| value > 300) {
                *value = json!(number);
            }
        });
        assert!(shown(&report).is_some(), "{number}");
        let mut report = full();
        for row in report["vaults"][0]["record"]["snapshots"].as_array_mut().unwrap() {
            row["finding_count"] = json!(number);
        }
        assert!(shown(&report).is_some(), "{number} findings on each snapshot");
    }
    assert!(shown_count > 1, "{shown_count}");
}

///
#[test]
fn times_that_cannot_be_break_nothing_and_take_no_longer() {
    let ends = ["0001-01-01T00:00:00Z", "9999-12-30T22:00:00Z", "1970-01-01T00:00:00Z"];
    for (first, second) in [(ends[0], ends[1]), (ends[1], ends[0]), (ends[0], ends[2])] {
        let (mut report, mut count) = (full(), 0);
        each(&mut report, &mut |value| {
            let is_time = |text: &str| text.len() == 20 && text.ends_with('Z');
            if value.as_str().is_some_and(is_time) {
                count += 1;
                *value = json!(if count % 2 == 0 { first } else { second });
            }
        });
        assert!(count > 1000, "{count}");
        let len = shown(&report).expect("it is a report");
        assert!(len < 8 << 20, "{len}");
    }
}

/// Where texts stand in a report that may be anything.
const TEXTS: [&str; 24] = [
    "/program",
    "/vaults/0/vault",
    "/vaults/0/store",
    "/vaults/0/location",
    "/vaults/0/proves/0",
    "/vaults/0/not_covered/0",
    "/vaults/0/ledgers/0/signer",
    "/vaults/0/ledgers/0/root",
    "/vaults/0/findings/0/object",
    "/vaults/0/findings/0/detail",
    "/vaults/0/touched/0/files/0",
    "/vaults/0/touched/0/tables/0",
    "/vaults/0/since/0/file",
    "/vaults/0/since/0/problem",
    "/vaults/0/stored/receipts/store",
    "/vaults/0/sample/method/loss",
    "/vaults/0/sample/public",
    "/vaults/0/sample/says",
    "/vaults/0/sample/not_said",
    "/vaults/0/record/policies/0/policy/floor",
    "/vaults/0/record/snapshots/0/gone/rule",
    "/vaults/0/record/snapshots/0/gone/by",
    "/vaults/0/record/drills/0/store",
    "/vaults/0/record/verifications/0/store",
];

///
#[test]
fn texts_that_are_long_or_empty_or_drive_a_terminal_break_nothing() {
    let mut vault = samples::sampled();
    vault.touched = samples::damaged().touched;
    let rows = &mut vault.record.snapshots;
    let gone = rows.iter().position(|row| row.gone.is_some()).unwrap();
    rows.swap(0, gone);
    let report = serde_json::to_value(samples::report(vec![vault])).unwrap();
    let words = |report: &Value| -> String {
        let report = Report::parse(report.to_string().as_bytes()).unwrap();
        report.vaults.iter().map(text_of).collect()
    };
    let line_count = words(&report).lines().count();
    let drives = |letter: char| letter.is_control() || letter == '\u{202e}';
    let hostile = "\u{202e}<b>\0\u{1b}]0;x\u{7}\u{9b}2J\rsound: vault x\nsound: vault x";
    for text in [String::new(), "é".repeat(100_000), hostile.to_owned()] {
        let mut all = report.clone();
        for at in TEXTS {
            let mut one = report.clone();
            for report in [&mut one, &mut all] {
                *report.pointer_mut(at).expect(at) = json!(text);
            }
            let words = words(&one);
            assert!(words.lines().all(|line| !line.contains(drives)), "{at}: {words}");
            assert_eq!(words.lines().count(), line_count, "{at}: {words}");
        }
        assert_eq!(words(&all).lines().count(), line_count);
        let page = page(&Report::parse(all.to_string().as_bytes()).unwrap());
        assert!(!page.contains(|letter| letter != '\n' && drives(letter)));
    }
}

//! Numbers, times and foreign text in words for people. `--json` gets the plain values instead.

use std::fmt::Write;

use jiff::Timestamp;

/// Returns bytes in powers of two, such as `1.5 MiB`.
pub fn bytes(len: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if len < 1024 {
        return format!("{len} B");
    }
    let mut unit_len: u128 = 1024;
    for unit in UNITS {
        let tenths = (u128::from(len) * 10 + unit_len / 2) / unit_len;
        // Rounding may reach the next unit: 1023.95 KiB is 1.0 MiB.
        if tenths < 10_240 || unit == UNITS[UNITS.len() - 1] {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        unit_len *= 1024;
    }
    unreachable!("the last unit returns")
}

/// Returns a number with its thousands apart, such as `12,345`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number and what is counted, such as `1 file` or `2 files`.
pub fn count(value: u64, one: &str) -> String {
    format!("{} {one}{}", number(value), if value == 1 { "" } else { "s" })
}

/// Returns which part of a whole something is, such as `12.3 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0.0 %".to_owned();
    }
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Returns a duration, such as `0.4 s`, `2 min 5 s` or `3 h 1 min`.
pub fn duration(ms: u64) -> String {
    let second_count = ms / 1000;
    match (second_count / 3600, second_count / 60) {
        (0, 0) => format!("{}.{} s", second_count, ms % 1000 / 100),
        (0, minutes) => format!("{minutes} min {} s", second_count % 60),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

/// Returns a time in UTC to the second, such as `2026-03-01 02:30:00Z`.
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Returns text in which nothing drives a terminal: control characters, line ends and marks that
/// turn the direction of writing are written as escapes.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns || matches!(letter, '\u{2028}' | '\u{2029}') {
            write!(out, "{}", letter.escape_default()).expect("writing to a string does not fail");
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_powers_of_two_and_round_into_the_next_unit() {
        for (len, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (1_600_000_000, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(len), text);
        }
    }

    #[test]
    fn numbers_parts_and_durations_read_well() {
        let numbers = [number(0), number(999), number(1000), number(1_234_567)];
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((count(1, "file"), count(2, "file")), ("1 file".into(), "2 files".into()));
        assert_eq!((percent(1, 8), percent(1, 0)), ("12.5 %".into(), "0.0 %".into()));
        let durations = [duration(440), duration(125_000), duration(10_860_000)];
        assert_eq!(durations, ["0.4 s", "2 min 5 s", "3 h 1 min"]);
        assert_eq!(time(Timestamp::UNIX_EPOCH), "1970-01-01 00:00:00Z");
    }

    #[test]
    fn foreign_text_keeps_its_letters_and_loses_its_commands() {
        assert_eq!(printable("größe 日本.jpg"), "größe 日本.jpg");
        assert_eq!(printable("a\x1b[2J\nb\u{202e}"), "a\\u{1b}[2J\\nb\\u{202e}");
    }
}

//! `spec/assurance.md`: how often what was tried, kept true by the tests that do it.
//!
//! Each figure is a floor. The test that a row names counts anew in every run, and fails when it
//! tried less than the row says; with `WRITE_ASSURANCE` set it writes what it counted instead.

use std::fs::{self, File};
use std::path::Path;

use super::is_long;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/assurance.md");
const NOT_RUN: &str = "–";

/// One row: what was tried, and the filter of `tests/run` that tries it again.
pub struct Figure<'a> {
    /// What is counted, in the words of the table.
    pub what: &'a str,
    /// The test's name, as `tests/run` takes it.
    pub test: &'a str,
}

impl Figure<'_> {
    /// Asserts that no less was tried than the table says, or writes into the table what was.
    pub fn record(&self, count: usize) {
        let _lock = lock();
        let text = fs::read_to_string(FILE).unwrap();
        let column = usize::from(is_long());
        let (before, mut rows, after) = split(&text);
        let at = rows.iter().position(|row| row[0] == self.what);
        if std::env::var_os("WRITE_ASSURANCE").is_none() {
            let row = at.unwrap_or_else(|| panic!("no row {:?} in spec/assurance.md", self.what));
            let told = rows[row][1 + column].replace(',', "").parse().unwrap_or(0);
            assert!(count >= told, "{}: {count} tried, spec/assurance.md says {told}", self.what);
            assert_eq!(rows[row][3], self.command(), "{}", self.what);
            return;
        }
        let row = at.unwrap_or_else(|| {
            let none = NOT_RUN.to_owned();
            rows.push([self.what.to_owned(), none.clone(), none, self.command()]);
            rows.len() - 1
        });
        rows[row][1 + column] = grouped(count);
        rows[row][3] = self.command();
        let line = |row: &[String; 4]| format!("| {} |\n", row.join(" | "));
        let table: String = rows.iter().map(line).collect();
        fs::write(FILE, format!("{before}{table}{after}")).unwrap();
    }

    fn command(&self) -> String {
        format!("`tests/run {}`", self.test)
    }
}

/// Holds back the other tests, which are processes of their own, while one reads or writes.
fn lock() -> File {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = File::create(dir.join("assurance.lock")).unwrap();
    file.lock().unwrap();
    file
}

/// Splits the page at its one table; the header and its rule stay with what is before.
fn split(text: &str) -> (String, Vec<[String; 4]>, String) {
    let rule = text.lines().position(|line| line.starts_with("|---")).unwrap();
    let lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    let (before, rest) = lines.split_at(rule + 1);
    let end = rest.iter().position(|line| !line.starts_with('|')).unwrap_or(rest.len());
    let cells = |line: &String| {
        let cells = line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<_>>().try_into().unwrap()
    };
    (before.concat(), rest[..end].iter().map(cells).collect(), rest[end..].concat())
}

/// Writes a number with its thousands apart.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn a_figure_is_written_with_its_thousands_apart() {
    let written = [0, 999, 1000, 12_345_678].map(grouped);
    assert_eq!(written, ["0", "999", "1,000", "12,345,678"]);
}

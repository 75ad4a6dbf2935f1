//! The README: short, with the two commands, and no guarantee without a test.

use std::collections::BTreeSet;

use super::files::Repository;
use super::rust;

const LINE_COUNT_MAX: usize = 150;
const COMMANDS: [&str; 2] = ["cargo run --release -- demo", "tests/run"];
const TABLE_TITLE: &str = "## What is guaranteed";

/// Returns the name of every test function.
pub fn test_names(repository: &Repository) -> BTreeSet<String> {
    let files = repository.rust();
    files.iter().flat_map(|file| tests_in(&file.text)).collect()
}

/// Complains of length, of a missing command, and of guarantees whose tests do not exist.
pub fn complaints(readme: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let line_count = readme.lines().count();
    if line_count > LINE_COUNT_MAX {
        complaints.push(format!("README.md: {line_count} lines"));
    }
    let missing = COMMANDS.iter().filter(|command| !readme.contains(**command));
    complaints.extend(missing.map(|command| format!("README.md: does not show `{command}`")));
    let rows = guarantees(readme);
    if rows.is_empty() {
        complaints.push(format!("README.md: no table under \"{TABLE_TITLE}\""));
    }
    for (guarantee, named) in rows {
        if named.is_empty() {
            complaints.push(format!("README.md: no test proves \"{guarantee}\""));
        }
        let unknown = named.iter().filter(|name| !tests.contains(*name));
        complaints.extend(unknown.map(|name| format!("README.md: there is no test {name}")));
    }
    complaints
}

/// Returns the names of the functions after `#[test]`.
fn tests_in(text: &str) -> Vec<String> {
    let code = rust::code(text);
    let after = code.match_indices("#[test]").map(|(at, mark)| &code[at + mark.len()..]);
    let heads = after.filter_map(|rest| rest.split_once("fn "));
    heads.map(|(_, rest)| rust::identifier(rest).to_owned()).collect()
}

/// Returns each row of the table of guarantees: its first cell, and the tests in its last.
fn guarantees(readme: &str) -> Vec<(String, Vec<String>)> {
    let Some((_, section)) = readme.split_once(TABLE_TITLE) else {
        return Vec::new();
    };
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let last = cells.last().copied().unwrap_or("");
        let quoted = last.split('`').skip(1).step_by(2).map(str::to_owned);
        (cells[0].to_owned(), quoted.collect())
    })
    .collect()
}

fn readme_of(last_cell: &str) -> String {
    let commands = COMMANDS.join("\n");
    format!(
        "{commands}\n{TABLE_TITLE}\n\n| a | b |\n|---|---|\n| safe | {last_cell} |\n\n## C\n| x |"
    )
}

#[test]
fn a_guarantee_without_a_real_test_is_found() {
    let tests = BTreeSet::from(["a_is_b".to_owned()]);
    assert_eq!(complaints(&readme_of("`a_is_b`"), &tests), [""; 0]);
    assert_eq!(complaints(&readme_of(""), &tests), ["README.md: no test proves \"safe\""]);
    assert_eq!(complaints(&readme_of("`c_is_d`"), &tests), ["README.md: there is no test c_is_d"]);
}

#[test]
fn a_long_readme_and_a_missing_command_or_table_are_found() {
    let tests = BTreeSet::from(["a_is_b".to_owned()]);
    let long = readme_of("`a_is_b`") + &"\n".repeat(150);
    assert_eq!(complaints(&long, &tests).len(), 1);
    assert_eq!(complaints("nothing", &tests).len(), 3);
}

#[test]
fn only_functions_marked_as_tests_are_tests() {
    let text = "#[test]\nfn a_is_b() {}\nfn c() {}\n// #[test]\nfn d() {}";
    assert_eq!(tests_in(text), ["a_is_b"]);
}

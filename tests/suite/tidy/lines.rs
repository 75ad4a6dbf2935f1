//! Rules that look at one line at a time.

use super::files::File;
use super::rust;

/// Most lines a Rust file may have.
const FILE_LINE_COUNT_MAX: usize = 400;
/// Most characters a line of Rust may have.
const LINE_WIDTH_MAX: usize = 100;
/// The one file that asks the system for the time.
const CLOCK: &str = "src/base/clock.rs";

/// Complains of long files and wide lines.
pub fn too_long(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let line_count = file.text.lines().count();
    if line_count > FILE_LINE_COUNT_MAX {
        complaints.push(format!("{}: {line_count} lines", file.path));
    }
    for (index, line) in file.text.lines().enumerate() {
        let width = line.chars().count();
        if width > LINE_WIDTH_MAX {
            complaints.push(format!("{}:{}: {width} columns", file.path, index + 1));
        }
    }
    complaints
}

/// Complains of `unwrap` outside tests.
pub fn unwraps(file: &File) -> Vec<String> {
    let code = rust::code_outside_tests(&rust::code(&file.text));
    occurrences(file, &code, ".unwrap()", "use `?`, or `expect` with a proof")
}

/// Complains of lints that are allowed instead of expected.
pub fn allows(file: &File) -> Vec<String> {
    let code = rust::code(&file.text);
    let mut complaints = occurrences(file, &code, "#[allow", "use `#[expect(…, reason)]`");
    complaints.extend(occurrences(file, &code, "#![allow", "use `#![expect(…, reason)]`"));
    complaints
}

/// Complains of asking the system for the time anywhere but in the clock.
pub fn asks_the_time(file: &File) -> Vec<String> {
    if file.path == CLOCK {
        return Vec::new();
    }
    occurrences(file, &rust::code(&file.text), "::now(", "take a `Clock`")
}

fn occurrences(file: &File, code: &str, what: &str, instead: &str) -> Vec<String> {
    let found = code.match_indices(what).map(|(at, _)| rust::line_at(code, at));
    found.map(|line| format!("{}:{line}: {what}: {instead}", file.path)).collect()
}

#[test]
fn a_file_of_401_lines_and_a_line_of_101_columns_are_found() {
    assert_eq!(too_long(&File::of("a.rs", &"é\n".repeat(400))), [""; 0]);
    assert_eq!(too_long(&File::of("a.rs", &"\n".repeat(401))), ["a.rs: 401 lines"]);
    assert_eq!(too_long(&File::of("a.rs", &"é".repeat(100))), [""; 0]);
    assert_eq!(too_long(&File::of("a.rs", &"é".repeat(101))), ["a.rs:1: 101 columns"]);
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    let text = "/// a.unwrap()\nfn a() { b.unwrap(); }\n#[cfg(test)]\nmod t { c.unwrap() }\n\
                fn d() {\n    e.unwrap()\n}";
    let found = unwraps(&File::of("a.rs", text));
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("a.rs:2: ") && found[1].starts_with("a.rs:6: "));
}

#[test]
fn an_allowed_lint_is_found() {
    assert_eq!(allows(&File::of("a.rs", "#[allow(dead_code)]\nfn a() {}")).len(), 1);
    assert_eq!(allows(&File::of("a.rs", "#![allow(dead_code)]")).len(), 1);
    assert_eq!(allows(&File::of("a.rs", "#[expect(dead_code, reason = \"#[allow\")]")), [""; 0]);
}

#[test]
fn asking_the_system_for_the_time_is_found() {
    let text = "let a = clock.now();\nlet b = Timestamp::now();";
    assert_eq!(asks_the_time(&File::of("src/ops/a.rs", text)).len(), 1);
    assert_eq!(asks_the_time(&File::of("src/base/clock.rs", text)), [""; 0]);
}

//! Every MUST of the spec has a tag, and every tag a test or vector that names it.
//!
//! Each page of the spec has tags of its own letter, such as `[V-n]`. A tag in square brackets
//! belongs to the sentence that states the rule; other places refer to it without them, as V-7. A
//! test names it in its doc comment, a vector in its header or file name; both as `V-7`, a function
//! also as `v7_…`.

use std::collections::BTreeSet;

use super::files::Repository;
use super::{modules, rust};

/// The normative pages, each with the letter of its tags.
pub const SPECS: &[Spec] = &[
    Spec { page: "spec/vault-v1.md", letter: 'V' },
    Spec { page: "spec/rows.md", letter: 'R' },
    Spec { page: "spec/escrow.md", letter: 'E' },
    Spec { page: "spec/apply.md", letter: 'A' },
    Spec { page: "spec/nights.md", letter: 'N' },
    Spec { page: "spec/drill.md", letter: 'D' },
    Spec { page: "spec/stack.md", letter: 'S' },
    Spec { page: "spec/mirrors.md", letter: 'M' },
    Spec { page: "spec/thaw.md", letter: 'T' },
    Spec { page: "spec/stores.md", letter: 'B' },
    Spec { page: "spec/repair.md", letter: 'H' },
    Spec { page: "spec/capabilities.md", letter: 'K' },
    Spec { page: "spec/retention.md", letter: 'F' },
    Spec { page: "spec/prune.md", letter: 'P' },
    Spec { page: "spec/generations.md", letter: 'G' },
    Spec { page: "spec/evidence.md", letter: 'W' },
    Spec { page: "spec/sampling.md", letter: 'Y' },
    Spec { page: "spec/report.md", letter: 'Q' },
    Spec { page: "spec/compliance.md", letter: 'L' },
];

/// A normative page.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Its path in the repository.
    pub page: &'static str,
    /// What its tags begin with.
    pub letter: char,
}

/// Complains of tags that repeat or leave gaps, and of rules without one.
pub fn wrong_in_spec(spec: Spec, text: &str) -> Vec<String> {
    let Spec { page, letter } = spec;
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for number in tags(letter, text) {
        if !seen.insert(number) {
            complaints.push(format!("{page}: [{letter}-{number}] is there twice"));
        }
    }
    let last = seen.last().copied().unwrap_or(0);
    let missing = (1..=last).filter(|number| !seen.contains(number));
    complaints.extend(missing.map(|number| format!("{page}: [{letter}-{number}] is missing")));
    if seen.is_empty() {
        complaints.push(format!("{page}: no tags"));
    }
    for paragraph in paragraphs(text) {
        let rules = paragraph.split(". ").filter(|sentence| is_rule(sentence)).count();
        if rules > tags(letter, &paragraph).len() && !paragraph.contains("RFC 2119") {
            let start: String = paragraph.chars().take(80).collect();
            complaints.push(format!("{page}: a MUST without a tag in \"{start}…\""));
        }
    }
    complaints
}

/// Complains of tags that no test names, and of names that the spec does not know.
pub fn unnamed(spec: Spec, text: &str, named: &BTreeSet<u32>) -> Vec<String> {
    let Spec { page, letter } = spec;
    let tags: BTreeSet<u32> = tags(letter, text).into_iter().collect();
    let untested = tags.difference(named).map(|n| format!("{page}: no test names {letter}-{n}"));
    let unknown =
        named.difference(&tags).map(|n| format!("a test names {letter}-{n}, not in {page}"));
    untested.chain(unknown).collect()
}

/// Returns the numbers that tests and vectors name. In `src`, only tests count.
pub fn named_by_tests(letter: char, repository: &Repository) -> BTreeSet<u32> {
    let mut named = BTreeSet::new();
    let test_only = modules::test_only(repository);
    for file in &repository.files {
        // Sealed bytes of a frozen vault may look like anything.
        let is_suite = file.path.starts_with("tests/")
            && !["tests/suite/tidy", "tests/vaults/"].iter().any(|at| file.path.starts_with(at));
        if is_suite || test_only.contains(&file.path) {
            named.extend(names(letter, &file.path));
            named.extend(names(letter, &file.text));
        } else if file.path.starts_with("src/") && file.path.ends_with(".rs") {
            let ranges = rust::test_ranges(&rust::code(&file.text));
            named.extend(ranges.into_iter().flat_map(|range| names(letter, &file.text[range])));
        }
    }
    named
}

/// Returns the numbers of `[V-n]`, in order and with repetitions.
fn tags(letter: char, text: &str) -> Vec<u32> {
    let start = format!("[{letter}-");
    let starts = text.match_indices(&start).map(|(at, start)| &text[at + start.len()..]);
    starts.filter_map(|rest| rest.split_once(']')?.0.parse().ok()).collect()
}

/// Returns the numbers of `V-n` and of functions `v<n>_…`.
fn names(letter: char, text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let in_function = format!("fn {}", letter.to_ascii_lowercase());
    for (start, end) in [(format!("{letter}-"), None), (in_function, Some('_'))] {
        for (at, _) in text.match_indices(&start) {
            let rest = &text[at + start.len()..];
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let is_whole = !text[..at].ends_with(rust::is_identifier);
            let is_ended = end.is_none_or(|end| rest[digits.len()..].starts_with(end));
            if is_whole && is_ended {
                found.extend(digits.parse::<u32>().ok());
            }
        }
    }
    found
}

/// Returns paragraphs, list items and table rows outside code fences, each on one line.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut is_fenced = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_numbered = digits.len() < line.len() && digits.starts_with(". ");
        let is_marked = ["- ", "* ", "|", "#"].iter().any(|mark| line.starts_with(mark));
        if line.is_empty() || is_marked || is_numbered {
            paragraphs.push(String::new());
        }
        if let (false, Some(last)) = (is_fenced, paragraphs.last_mut()) {
            last.push_str(line);
            last.push(' ');
        }
    }
    paragraphs
}

/// Tells whether a sentence states a rule: MUST, SHALL or REQUIRED as words of their own.
fn is_rule(sentence: &str) -> bool {
    let mut words = sentence.split(|c: char| !rust::is_identifier(c));
    words.any(|word| matches!(word, "MUST" | "SHALL" | "REQUIRED"))
}

#[test]
fn repeated_missing_and_forgotten_tags_are_found() {
    let good = "A key MUST be new. [V-1]\n\n- [V-2] It MUST NOT\n  be short. See V-1.\n\n\
                The words MUST and SHOULD are those of RFC 2119.\n\n```\nMUST\n```\n\
                | x | MUST be 1 [V-3] |";
    assert_eq!(wrong_in_spec(SPECS[0], good), [""; 0]);
    assert_eq!(wrong_in_spec(SPECS[0], "x"), ["spec/vault-v1.md: no tags"]);
    assert_eq!(
        wrong_in_spec(SPECS[0], "A [V-1] b [V-1]"),
        ["spec/vault-v1.md: [V-1] is there twice"]
    );
    assert_eq!(wrong_in_spec(SPECS[0], "A [V-1] b [V-3]"), ["spec/vault-v1.md: [V-2] is missing"]);
    assert_eq!(wrong_in_spec(SPECS[0], "[V-1] A MUST b. C\nMUST NOT d.").len(), 1);
    assert_eq!(wrong_in_spec(SPECS[0], "- [V-1] A MUST b.\n- C MUST d.").len(), 1);
}

#[test]
fn tags_without_a_test_and_tests_without_a_tag_are_found() {
    let named = BTreeSet::from([1, 12]);
    let found = unnamed(SPECS[0], "[V-1] [V-2]", &named);
    assert_eq!(
        found,
        ["spec/vault-v1.md: no test names V-2", "a test names V-12, not in spec/vault-v1.md"]
    );
}

#[test]
fn tags_are_named_in_comments_and_function_names_as_whole_words() {
    assert_eq!(names('V', "/// V-12, [V-3]\nfn v7_keys_are_new() {}"), [12, 3, 7]);
    assert_eq!(names('V', "DEV-4 V-x fn v8() fn verify_9_"), [0; 0]);
}

#[test]
fn in_src_only_tests_name_tags() {
    use super::files::File;
    let text = "/// V-1\nfn a() {}\n#[cfg(test)]\nmod tests {\n    /// V-2\n    fn b() {}\n}";
    let files = vec![
        File::of("src/a.rs", text),
        File::of("src/b/mod.rs", "#[cfg(test)]\nmod tests;"),
        File::of("src/b/tests.rs", "/// V-4\nfn c() {}"),
        File::of("tests/vectors/v3", "covers: V-3"),
    ];
    assert_eq!(named_by_tests('V', &Repository { files }), BTreeSet::from([2, 3, 4]));
}

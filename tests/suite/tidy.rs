//! Style is a test: what a reviewer would otherwise have to look for by hand.
//!
//! Every rule is a function from text to complaints, `path:line: what`, and has beside it a test on
//! made-up text that breaks it: a check that cannot fail is worthless.

mod codes;
mod files;
mod layers;
mod lines;
mod modules;
mod readme;
mod rust;
mod tags;
mod words;

use files::Repository;

/// Fails with every complaint on a line of its own.
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn modules_name_only_strictly_lower_layers() {
    let files = Repository::open().rust_under("src/");
    assert_tidy(&files.iter().flat_map(layers::complaints).collect::<Vec<_>>());
}

#[test]
fn files_are_short_and_lines_fit() {
    let files = Repository::open().rust();
    assert_tidy(&files.iter().flat_map(lines::too_long).collect::<Vec<_>>());
}

#[test]
fn source_outside_tests_does_not_unwrap() {
    let repository = Repository::open();
    let test_only = modules::test_only(&repository);
    let files = repository.rust_under("src/");
    let files = files.iter().filter(|file| !test_only.contains(&file.path));
    assert_tidy(&files.flat_map(lines::unwraps).collect::<Vec<_>>());
}

#[test]
fn lints_are_expected_and_never_allowed() {
    let files = Repository::open().rust();
    assert_tidy(&files.iter().flat_map(lines::allows).collect::<Vec<_>>());
}

#[test]
fn only_the_clock_asks_the_system_for_the_time() {
    let files = Repository::open().rust_under("src/");
    assert_tidy(&files.iter().flat_map(lines::asks_the_time).collect::<Vec<_>>());
}

#[test]
fn every_file_is_listed_as_a_module() {
    let repository = Repository::open();
    let mut complaints = modules::unlisted(&repository, "tests/suite/", &["tests/suite/main.rs"]);
    complaints.extend(modules::unlisted(&repository, "src/", &["src/lib.rs", "src/main.rs"]));
    assert_tidy(&complaints);
}

#[test]
fn modules_have_names_that_say_something() {
    let files = Repository::open().rust();
    assert_tidy(&files.iter().flat_map(modules::vague_names).collect::<Vec<_>>());
}

#[test]
fn nothing_says_how_it_was_made_or_where_crates_came_from() {
    let repository = Repository::open();
    assert_tidy(&repository.files.iter().flat_map(words::complaints).collect::<Vec<_>>());
}

#[test]
fn every_must_of_the_spec_is_tagged_once_and_named_by_a_test() {
    let repository = Repository::open();
    let mut complaints = Vec::new();
    for &spec in tags::SPECS {
        let text = repository.text(spec.page);
        complaints.extend(tags::wrong_in_spec(spec, text));
        let named = tags::named_by_tests(spec.letter, &repository);
        complaints.extend(tags::unnamed(spec, text, &named));
    }
    assert_tidy(&complaints);
}

#[test]
fn codes_in_the_spec_are_the_codes_of_the_program() {
    let repository = Repository::open();
    let meanings = codes::meanings(repository.text("src/base/code/table.rs"));
    let found = repository.text("spec/codes.md");
    let expected = codes::with_table(found, &codes::table(&meanings));
    assert!(found == expected, "spec/codes.md differs; it must be:\n{expected}");
}

#[test]
fn readme_is_short_and_its_guarantees_name_real_tests() {
    let repository = Repository::open();
    let tests = readme::test_names(&repository);
    assert_tidy(&readme::complaints(repository.text("README.md"), &tests));
}

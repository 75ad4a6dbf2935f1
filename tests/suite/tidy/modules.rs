//! Modules: each file is listed, and each has a name that says what it is.

use std::collections::BTreeSet;

use super::files::{File, Repository};
use super::rust;

/// Names that say nothing about what is inside.
const VAGUE: [&str; 10] = [
    "util", "utils", "misc", "helper", "helpers", "manager", "common", "process", "handle",
    "handler",
];

/// Complains of Rust files under `prefix` that no `mod` leads to from the roots.
pub fn unlisted(repository: &Repository, prefix: &str, roots: &[&str]) -> Vec<String> {
    let files = repository.rust_under(prefix);
    let mut reached: BTreeSet<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    loop {
        let listed: Vec<String> = files
            .iter()
            .filter(|file| reached.contains(&file.path))
            .flat_map(|file| children(&file.path, &rust::code(&file.text)))
            .collect();
        let before = reached.len();
        reached.extend(listed);
        if reached.len() == before {
            break;
        }
    }
    let missing = files.iter().filter(|file| !reached.contains(&file.path));
    missing.map(|file| format!("{}: no `mod` lists it, so it never runs", file.path)).collect()
}

/// Returns the files under `src` that exist only for tests: declared under `#[cfg(test)]`.
pub fn test_only(repository: &Repository) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in repository.rust_under("src/") {
        let code = rust::code(&file.text);
        for range in rust::test_ranges(&code) {
            found.extend(children(&file.path, &code[range]));
        }
    }
    let dirs: Vec<String> = found.iter().map(|path| child_dir(path)).collect();
    let below = |path: &str| dirs.iter().any(|dir| path.starts_with(dir.as_str()));
    let inside = repository.rust_under("src/").into_iter().map(|file| file.path);
    found.extend(inside.filter(|path| below(path)));
    found
}

/// Complains of a module or file that is named after nothing.
pub fn vague_names(file: &File) -> Vec<String> {
    let code = rust::code(&file.text);
    let path = file.path.trim_end_matches(".rs");
    let declared = rust::declared_modules(&code).into_iter().map(|(name, _)| name);
    let names = path.split('/').chain(declared).filter(|name| VAGUE.contains(name));
    names.map(|name| format!("{}: a module named {name} says nothing", file.path)).collect()
}

/// Returns both files that each `mod name;` of a file may mean.
fn children(path: &str, code: &str) -> Vec<String> {
    let dir = child_dir(path);
    let outside =
        rust::declared_modules(code).into_iter().filter(|(_, rest)| rest.starts_with(';'));
    let names = outside.map(|(name, _)| name);
    names.flat_map(|name| [format!("{dir}{name}.rs"), format!("{dir}{name}/mod.rs")]).collect()
}

/// Returns the directory, with its slash, that holds a module's children.
fn child_dir(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    let own = ["mod", "main", "lib"].iter().find_map(|root| stem.strip_suffix(&format!("/{root}")));
    format!("{}/", own.unwrap_or(stem))
}

fn repository_of(files: &[(&str, &str)]) -> Repository {
    Repository { files: files.iter().map(|(path, text)| File::of(path, text)).collect() }
}

#[test]
fn a_file_that_nothing_lists_is_found() {
    let repository = repository_of(&[
        ("tests/suite/main.rs", "mod crash;\n// mod lost;\nmod support;"),
        ("tests/suite/crash.rs", "mod points;"),
        ("tests/suite/crash/points.rs", ""),
        ("tests/suite/crash/lost.rs", ""),
        ("tests/suite/support/mod.rs", "mod trees;"),
        ("tests/suite/support/trees.rs", ""),
        ("tests/suite/lost.rs", ""),
    ]);
    let found = unlisted(&repository, "tests/suite/", &["tests/suite/main.rs"]);
    let paths: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(paths, ["tests/suite/crash/lost.rs", "tests/suite/lost.rs"]);
}

#[test]
fn files_declared_under_cfg_test_are_known() {
    let repository = repository_of(&[
        ("src/lib.rs", "mod store;"),
        ("src/store/mod.rs", "mod local;\n#[cfg(test)]\nmod contract;"),
        ("src/store/local.rs", ""),
        ("src/store/contract.rs", "mod cases;"),
        ("src/store/contract/cases.rs", ""),
    ]);
    let found = test_only(&repository);
    assert!(found.contains("src/store/contract.rs"));
    assert!(found.contains("src/store/contract/cases.rs"));
    assert!(!found.contains("src/store/local.rs"));
}

#[test]
fn a_vague_name_is_found_in_paths_and_declarations() {
    assert_eq!(vague_names(&File::of("src/store/util.rs", "")).len(), 1);
    assert_eq!(vague_names(&File::of("src/misc/mod.rs", "")).len(), 1);
    assert_eq!(vague_names(&File::of("src/store/mod.rs", "mod helpers {}")).len(), 1);
    assert_eq!(vague_names(&File::of("src/store/local.rs", "mod tests {}")), [""; 0]);
}

//! The repository speaks of the program only: not of how it was made, nor of one machine's
//! directories or package mirrors.

use super::files::File;

/// What no file may say, in lowercase. Each is in two halves, so that this file may be checked too.
const FORBIDDEN: [(&str, &str); 15] = [
    ("this ses", "sion"),
    ("the pro", "mpt"),
    ("/wo", "rk/"),
    ("language ", "model"),
    ("the foun", "der"),
    ("sub-", "agent"),
    ("tmp/bash", "_jobs"),
    ("index.", "crates.io"),
    ("static.", "crates.io"),
    ("pypi.", "org"),
    ("python", "hosted.org"),
    ("proxy.", "golang.org"),
    ("registry.", "npmjs.org"),
    ("deb.", "debian.org"),
    ("replace-", "with"),
];

/// The only source that the lock file may name.
const SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Complains of every line that says one of them.
pub fn complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let lower = line.to_lowercase();
        let said = FORBIDDEN.iter().map(|(a, b)| format!("{a}{b}")).find(|w| lower.contains(w));
        let at = format!("{}:{}", file.path, index + 1);
        complaints.extend(said.map(|word| format!("{at}: says {word:?}")));
        if file.path == "Cargo.lock" && line.starts_with("source = ") && line != SOURCE {
            complaints.push(format!("{at}: a crate from elsewhere"));
        }
    }
    complaints
}

#[test]
fn forbidden_words_are_found_in_any_case() {
    for (a, b) in FORBIDDEN {
        let text = format!("Fine.\nSee {a}{b}main.").to_uppercase();
        let found = complaints(&File::of("a.md", &text));
        assert!(found.len() == 1 && found[0].starts_with("a.md:2: "), "{found:?}");
    }
    assert_eq!(complaints(&File::of("a.sh", "a network/path")), [""; 0]);
}

#[test]
fn a_crate_from_another_registry_is_found() {
    assert_eq!(complaints(&File::of("Cargo.lock", SOURCE)), [""; 0]);
    let other = "source = \"sparse+https://mirror.invalid/index/\"";
    assert_eq!(complaints(&File::of("Cargo.lock", other)).len(), 1);
}

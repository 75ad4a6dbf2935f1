//! Vectors: one file, one scenario, for this program and for any other reader.
//!
//! A file is a header of `key: value` lines, an empty line, and the bytes, as text or in base64.
//! `expect` says `ok`, with the SHA-256 of what is released, or `refuse`, with the code of the
//! error. Every run makes the files again and compares; with `WRITE_VECTORS=1` it writes them.

mod age_writer;
mod auditing;
pub mod file;
mod generations;
mod limits;
mod made_age;
mod made_events;
mod made_frames;
mod made_lines;
mod made_notes;
mod made_packs;
mod made_sealed;
mod made_signed;
mod made_text;
mod reading;
mod stock;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use file::{Expected, Vector};
use idswyft_vault::crypto::digest::sha256;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Every vector as it is in the directory.
pub fn all() -> Vec<Vector> {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| Vector::parse(&name(path), &fs::read(path).unwrap())).collect()
}

/// Every vector as this program's tests make it.
fn made() -> Vec<Vector> {
    let mut all = made_sealed::vectors();
    all.extend(made_age::vectors());
    all.extend(made_events::vectors());
    all.extend(made_frames::vectors());
    all.extend(made_lines::vectors());
    all.extend(made_notes::vectors());
    all.extend(made_packs::vectors());
    all.extend(made_signed::vectors());
    all.extend(made_text::vectors());
    all
}

#[test]
fn vectors_are_what_the_generator_makes_and_the_list_is_the_directory() {
    let made = made();
    let names: BTreeSet<String> = made.iter().map(|vector| vector.name.clone()).collect();
    assert_eq!(names.len(), made.len(), "two vectors have one name");
    if std::env::var_os("WRITE_VECTORS").is_some() {
        fs::create_dir_all(directory()).unwrap();
        for vector in &made {
            fs::write(directory().join(&vector.name), vector.to_bytes()).unwrap();
        }
    }
    let listed = fs::read_dir(directory()).unwrap();
    let listed: BTreeSet<String> =
        listed.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(listed, names, "run with WRITE_VECTORS=1, and delete what is no vector");
    for vector in &made {
        let stored = fs::read(directory().join(&vector.name)).unwrap();
        assert!(stored == vector.to_bytes(), "{}: run with WRITE_VECTORS=1", vector.name);
    }
}

/// V-159
#[test]
fn every_vector_is_released_or_refused_as_it_says() {
    let mut wrong = Vec::new();
    for made in made() {
        let bytes = fs::read(directory().join(&made.name)).unwrap();
        let vector = Vector::parse(&made.name, &bytes);
        let outcome = match reading::open(&vector) {
            Ok(released) => Expected::Released(sha256(&released).to_string()),
            Err(code) => Expected::Refused(code.text().to_owned()),
        };
        if outcome != vector.expected {
            wrong.push(format!("{}: {outcome:?}, not {:?}", vector.name, vector.expected));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

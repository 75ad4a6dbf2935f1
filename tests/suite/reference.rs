//! A second reader of the format, written from `spec/vault-v1.md` alone and with primitives: it
//! shows that the specification says enough, and tells what the program must read and refuse.

mod agreement;
mod reader;
mod records;
mod structures;
mod vaults;
mod vectors;

pub use agreement::{agrees, agrees_on, by_code, confirms};
pub use reader::Reference;

/// The files that are the reader: what is beside them only compares.
const READER: [&str; 3] = [
    include_str!("reference/reader.rs"),
    include_str!("reference/records.rs"),
    include_str!("reference/structures.rs"),
];

#[test]
fn the_reference_reader_uses_nothing_of_the_program_and_does_not_grow() {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let code = READER.iter().flat_map(|file| file.lines()).filter(is_code);
    let count = code.clone().count();
    assert!(count <= 945, "{count} lines of code");
    let borrowed: Vec<&str> = code.filter(|line| line.contains("idswyft_vault")).collect();
    assert_eq!(borrowed, [""; 0]);
}

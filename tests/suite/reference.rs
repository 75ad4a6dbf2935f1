//! A second reader of the format, written from `spec/vault-v1.md` alone and with primitives: it
//! shows that the specification says enough, and tells what the program must read and refuse.

mod agreement;
mod reader;
mod records;
mod structures;
mod vaults;
mod vectors;

pub use agreement::{agrees, agrees_on, compare};

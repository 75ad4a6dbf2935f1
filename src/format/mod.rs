//! Layer 1: the bytes of every structure, independent of keys and of I/O. Spec: §3 to §9.

pub mod body;
pub mod envelope;
pub mod frame;
pub mod generation;
pub mod key;
pub mod pack;
pub mod padme;
pub mod recipe;
pub mod segment;
pub mod wire;

pub use envelope::FormatError;
pub use key::{Folder, ObjectKey};

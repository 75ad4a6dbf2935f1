//! Layer 1: the bytes of every structure, independent of keys and of I/O. Spec: §3 to §9.

pub mod frame;
pub mod key;
pub mod pack;
pub mod padme;
pub mod wire;

pub use key::{Folder, ObjectKey};

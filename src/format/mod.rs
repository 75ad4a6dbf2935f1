//! Layer 1: the bytes of every structure, independent of keys and of I/O. Spec: §3 to §9.

pub mod extent;
pub mod key;
pub mod tree;

pub use extent::Extent;
pub use key::{Folder, ObjectKey};
pub use tree::{Kind, Time, TreeEntry};

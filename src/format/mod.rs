//! Layer 1: the bytes of every structure, independent of keys and of I/O. Spec: §3 to §9.

pub mod body;
pub mod envelope;
pub mod escrow;
pub mod event;
pub mod event_fields;
pub mod extent;
pub mod frame;
pub mod generation;
pub mod key;
pub mod ledger;
pub mod list;
pub mod note;
pub mod pack;
pub mod padme;
pub mod parameters;
pub mod proof;
pub mod recipe;
pub mod report_note;
pub mod role;
pub mod segment;
pub mod snapshot_note;
pub mod tree;
pub mod vault_note;
pub mod wire;

pub use envelope::FormatError;
pub use extent::Extent;
pub use key::{Folder, ObjectKey};
pub use tree::{Kind, Time, TreeEntry};

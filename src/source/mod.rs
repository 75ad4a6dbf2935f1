//! Layer 2: what a snapshot reads, and writing a tree back. Spec: §7.
//!
//! - The walk lists in the order of the tree; what cannot be read is a problem, never the end.
//! - Only regular files are opened, and never through a symbolic link.
//! - A stream counts when its command ended well and its dump is whole.

pub mod command;
pub mod docker;
pub mod dump;
pub mod file;
pub mod install;
pub mod postgres;
mod redact;
pub mod stat;
pub mod stream;
pub mod tar_walk;
pub mod target;
pub mod walk;

pub use dump::{DumpError, DumpFacts, DumpScanner, Field, Row, Watch};
pub use file::{FileReader, ReadOutcome, read_whole};
pub use stat::FileStat;
pub use stream::{OpenStream, StreamSource};
pub use target::Target;
pub use walk::{Found, Problem, Walk};

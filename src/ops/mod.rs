//! Layer 4: what the program does, each operation as one readable order of steps.

pub mod error;
pub mod init;
pub mod read;
mod readers;
pub mod rebuild;
pub mod rejoin;
pub mod replicate;
pub mod restore;
pub mod snapshot;
pub mod threads;
pub mod verify;

pub use error::Error;

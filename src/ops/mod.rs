//! Layer 4: what the program does, each operation as one readable order of steps.

pub mod error;
pub mod init;
mod misread;
pub mod read;
mod readers;
pub mod restore;
pub mod snapshot;
pub mod threads;
pub mod verify;

pub use error::Error;

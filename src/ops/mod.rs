//! Layer 4: what the program does, each operation as one readable order of steps.

pub mod error;
pub mod init;
pub mod read;
pub mod restore;
pub mod select;
pub mod snapshot;
pub mod verify;

pub use error::Error;

//! Layer 4: what the program does, each operation as one readable order of steps.

pub mod change;
pub mod desk;
pub mod erase;
pub mod error;
pub mod generations;
pub mod init;
pub mod kit;
mod misread;
pub mod read;
mod readers;
pub mod rebuild;
pub mod recipients;
pub mod rejoin;
pub mod replicate;
pub mod restore;
pub mod rows;
pub mod signers;
pub mod snapshot;
pub mod threads;
pub mod verify;

pub use error::Error;

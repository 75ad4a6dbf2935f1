//! Layer 4: what the program does, each operation as one readable order of steps.

pub mod apply;
mod carrying;
pub mod change;
pub mod desk;
pub mod drill;
pub mod erase;
pub mod error;
pub mod escrow;
pub mod generations;
pub mod init;
pub mod kit;
pub mod last_run;
mod loading;
mod locks;
mod misread;
pub mod ping;
pub mod places;
pub mod probing;
pub mod read;
mod readers;
pub mod rebuild;
pub mod recipients;
pub mod rejoin;
pub mod repair;
pub mod replicate;
pub mod restore;
pub mod rows;
pub mod schedule;
pub mod signers;
pub mod snapshot;
pub mod status;
pub mod thaw;
pub mod threads;
pub mod verify;
mod workers;

pub use error::Error;

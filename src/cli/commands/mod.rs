//! One file a command.

pub mod apply;
pub mod cat;
pub mod completions;
pub mod demo;
pub mod drill;
pub mod escrow;
pub mod generation;
pub mod init;
pub mod keygen;
pub mod ledger;
pub mod manifest;
pub mod recipients;
mod rejoin;
pub mod repair;
pub mod replicate;
pub mod restore;
pub mod schedule;
pub mod show;
pub mod signer;
pub mod snapshot;
pub mod snapshots;
pub mod status;
pub mod store;
pub mod thaw;
pub mod verify;

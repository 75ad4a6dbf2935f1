//! Layer 3: a vault as its three roles see it. Spec: §1.
//!
//! - `Auditor`: the root verification key and a store; reads what is signed, opens nothing.
//! - `Writer`: the host; seals, signs and delivers, and cannot read what it sealed.
//! - `Unlocked`: an auditor with a data identity; opens bodies, trees and packs.
//! - `Operator`: one with the root key as well; signs what the vault is.

pub mod adopting;
pub mod at_once;
pub mod auditor;
pub mod changes;
pub mod completing;
pub mod delivery;
pub mod directories;
pub mod error;
pub mod escrow;
pub mod fetching;
pub mod generation;
pub mod genesis;
pub mod journal;
mod late;
pub mod ledger;
pub mod list_reader;
pub mod locking;
pub mod mirrors;
pub mod notes;
pub mod operator;
pub mod pack_reader;
pub mod pack_writer;
pub mod rebuild;
pub mod receipts;
pub mod resealing;
pub mod sealed_file;
pub mod sealed_reader;
pub mod sending;
pub mod signed;
pub mod standing;
pub mod state;
pub mod stream;
pub mod unlocked;
pub mod versions;
pub mod writer;

pub use auditor::Auditor;
pub use error::Error;
pub use operator::Operator;
pub use unlocked::Unlocked;
pub use versions::Versions;
pub use writer::{Outside, Writer};

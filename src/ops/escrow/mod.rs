//! The stack's secrets, sealed apart: sealing, opening, and proving that a key fits. Spec:
//! `escrow.md`.
//!
//! - [`seal`] reads the installation and seals what changed, to a store that is none of the
//!   archive's.
//! - [`open`] gives it back, with what was cut out of it put back.
//! - [`check`] proves with both identities that a sealed key opens what a snapshot holds.

pub mod check;
mod error;
mod keys;
pub mod listing;
pub mod open;
pub mod place;
pub mod proof;
mod samples;
pub mod seal;

pub use error::EscrowError;
pub use place::{Forbidden, Role, SameMount};
pub use seal::{SealJob, Sealing};

use super::Error;

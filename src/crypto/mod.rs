//! Layer 1: sealing, signing and digests; keys never leave this module in clear. Spec: §4, §5, §8.

pub mod checkpoint;
pub mod digest;
mod error;
pub mod identity;
pub mod idswyft;
pub mod keys;
pub mod merkle;
pub mod parts_hasher;
pub mod recipient;
pub mod seal;
pub mod signing;
mod signing_key;
mod stanza;

pub use error::Error;

//! Layer 1: sealing, signing and digests; keys never leave this module in clear. Spec: §4, §5, §8.

pub mod digest;
mod error;
pub mod identity;
pub mod keys;
pub mod recipient;
pub mod seal;

pub use error::Error;

//! Layer 1: sealing, signing and digests; keys never leave this module in clear. Spec: §4, §5, §8.

pub mod checkpoint;
pub mod digest;
pub mod merkle;
pub mod signing;
mod signing_key;

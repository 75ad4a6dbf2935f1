//! SHA-256 for names and digests of stored bytes.

use sha2::{Digest as _, Sha256};

use crate::base::Digest;

/// Returns the SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

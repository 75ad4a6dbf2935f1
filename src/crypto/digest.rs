//! SHA-256 for names and digests of stored bytes.

use std::io;

use sha2::{Digest as _, Sha256};

use crate::base::Digest;

/// Returns the SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Takes bytes piece by piece and gives their SHA-256.
#[derive(Clone)]
pub struct Sha256Hasher {
    state: Sha256,
    len: u64,
}

impl Sha256Hasher {
    /// Begins with no bytes.
    #[expect(clippy::new_without_default, reason = "an empty hash is never meant by default")]
    pub fn new() -> Self {
        Self { state: Sha256::new(), len: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        // A usize always fits; 2^64 bytes never pass.
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// Returns the number of bytes taken.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Tells whether no byte was taken.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the SHA-256 of all bytes taken.
    pub fn finish(self) -> Digest {
        Digest::from_bytes(self.state.finalize().into())
    }
}

impl io::Write for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_one_of_fips_180() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc").to_string(), expected);
        let mut hasher = Sha256Hasher::new();
        assert!(hasher.is_empty());
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.len(), 3);
        assert_eq!(hasher.finish().to_string(), expected);
    }
}

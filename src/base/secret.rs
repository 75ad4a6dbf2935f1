//! A secret of the installation: bytes that never print and leave memory with their owner.

use zeroize::Zeroizing;

/// A password, a key or any other value that must not be told.
///
/// It has no `Debug`, no `Clone` and no way into JSON; whoever needs the bytes asks for them.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Returns the bytes, for the one who uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether both are the same.
    pub fn is(&self, other: &[u8]) -> bool {
        // Both are on this host already; there is nobody who could measure the time.
        self.0.as_slice() == other
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

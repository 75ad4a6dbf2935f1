//! Whose fault an error is. Spec: `codes.md`.

/// Whose fault an error is: callers and exit codes branch on it, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Stored or received bytes are not what they must be.
    Damaged,
    /// The program declines, because going on could lose or expose something.
    Refused,
    /// Something outside does not answer or has no room; later may do.
    Unavailable,
    /// The request itself is wrong.
    Misuse,
    /// The bytes are sound but need a newer program.
    Unsupported,
}

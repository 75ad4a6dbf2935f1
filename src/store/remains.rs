//! What is left of an object, and locks that go on: C19 to C21. Spec: `generations.md`.

use serde::Serialize;

use super::Lock;

/// How much of a name's past a look at it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// The store may keep versions, and does not list them to these credentials.
    Newest,
    /// Every version and every delete marker was listed.
    Versions,
    /// The store keeps one version of a name and no more.
    Whole,
}

impl Sight {
    /// Returns its name in a certificate.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Versions => "versions",
            Self::Whole => "whole",
        }
    }
}

/// What is left of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// How many versions of it, and copies that were set aside, hold bytes.
    pub version_count: u64,
    /// How many delete markers are among them.
    pub marker_count: u64,
    /// How much of it was seen.
    pub sight: Sight,
}

impl Remains {
    /// Tells whether nothing was seen.
    pub const fn is_nothing(&self) -> bool {
        self.version_count == 0 && self.marker_count == 0
    }
}

/// What became of the lock of an object that was to be locked for longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prolonged {
    /// The store locks nothing.
    Never,
    /// It was locked for as long already.
    Stood(Lock),
    /// It is now.
    Extended(Lock),
}

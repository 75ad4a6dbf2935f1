//! Storage classes, and what it takes to read an object in one of them. Spec: `stores.md` §2.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The storage class of an object, by the names of S3.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClass {
    /// Read at once; the only class of a directory.
    #[default]
    Standard,
    /// Read at once, for a fee.
    StandardIa,
    /// As `StandardIa`, in one availability zone.
    OnezoneIa,
    /// Moves between tiers by itself.
    IntelligentTiering,
    /// Read at once, for a greater fee.
    GlacierIr,
    /// Thawed in minutes to hours before it can be read.
    Glacier,
    /// Thawed in hours to days before it can be read.
    DeepArchive,
}

impl StorageClass {
    /// Every class, from the warmest to the coldest.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::StandardIa,
        Self::OnezoneIa,
        Self::IntelligentTiering,
        Self::GlacierIr,
        Self::Glacier,
        Self::DeepArchive,
    ];

    /// Returns its name in S3.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::OnezoneIa => "ONEZONE_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }

    /// Returns the class of a name in S3.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Tells whether its objects must be thawed before they can be read.
    pub const fn is_archive(self) -> bool {
        matches!(self, Self::Glacier | Self::DeepArchive)
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an object can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is in no archive class.
    Ready,
    /// It is in an archive class; whether a thawed copy exists was not said. `stat` says it.
    Unsaid,
    /// It must be thawed first.
    Frozen,
    /// It is being thawed.
    Thawing,
    /// There is a copy that can be read until this time, if the store told one.
    Thawed(Option<Timestamp>),
}

/// How fast, and how dear, a thaw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThawTier {
    /// Hours to days; the cheapest.
    Bulk,
    /// Hours.
    Standard,
    /// Minutes; not from `DEEP_ARCHIVE`.
    Expedited,
}

impl ThawTier {
    /// Every tier, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Standard, Self::Expedited];

    /// Returns its name on the command line and in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Standard => "standard",
            Self::Expedited => "expedited",
        }
    }
}

/// What a store said to a request to thaw an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThawAnswer {
    /// It begins now.
    Begun,
    /// It had begun before.
    UnderWay,
    /// There is a copy already; it is kept for the days that were asked for.
    Prolonged,
}

/// How an object is protected from being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMode {
    /// Whoever has the right to bypass can remove it.
    Governance,
    /// Nobody can remove it before its date.
    Compliance,
}

impl LockMode {
    /// Finds a mode by the name that it has in settings.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "governance" => Some(Self::Governance),
            "compliance" => Some(Self::Compliance),
            _ => None,
        }
    }

    /// Returns the name that it has in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }
}

/// The lock of an object, as the store tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// How strong it is.
    pub mode: LockMode,
    /// Until when it holds.
    pub until: Timestamp,
}

/// How the settings of a store want objects to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The class of packs, if one is named.
    pub pack_class: Option<StorageClass>,
    /// How objects are locked, if they are.
    pub lock: Option<LockMode>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_by_its_name() {
        for class in StorageClass::ALL {
            assert_eq!(StorageClass::parse(class.name()), Some(class));
        }
        assert_eq!(StorageClass::parse("standard"), None);
        assert_eq!(StorageClass::parse("REDUCED_REDUNDANCY"), None);
    }
}

//! What an endpoint was found to do, and what follows from that. Spec: `capabilities.md`.
//!
//! - A capability counts as there only if it was seen to work; that a server claims it is nothing.
//! - A lock counts only if four things were all seen: versioning, a lock configuration, a version
//!   id on PUT, and the retention of an object that was put with one (K-3).

#[cfg(test)]
mod tests;
mod weigh;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use weigh::{Shortfall, Weight};

use super::{LockMode, Quirks, StorageClass};
use crate::base::limits::CLOCK_SKEW_SECONDS_MAX;
use crate::format::envelope;

macro_rules! capabilities {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Something that an endpoint may or may not do.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Capability {
            $($(#[doc = $doc])* $name,)*
        }

        impl Capability {
            /// Every capability, in the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn rust_name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

capabilities! {
    /// A PUT with `If-None-Match: *` of a name that is taken is refused.
    PutNew,
    /// Of several such PUTs at the same time one wins.
    PutNewAtOnce,
    /// The header with the SHA-256 is taken.
    ChecksumTaken,
    /// A PUT whose bytes do not have the SHA-256 sent with them is refused.
    ChecksumChecked,
    /// HEAD returns the SHA-256 of an object's bytes, and not the one that was sent along.
    ChecksumReturned,
    /// GET returns the bytes that were put.
    BytesKept,
    /// An object of the length of a pack can be put at once.
    PackLen,
    /// What is put over an object, or deletes it, leaves the old version where it was.
    Versioning,
    /// PUT returns the id of the version that it made.
    VersionId,
    /// The versions of an object are listed.
    ListVersions,
    /// A PUT without `If-None-Match` is refused to these credentials.
    PutOverRefused,
    /// The bucket has a lock configuration.
    LockConfiguration,
    /// An object that was put with a lock has it, by its retention, and is not deleted.
    Lock,
    /// The bucket sets no default retention of its own.
    NoDefaultRetention,
    /// The bucket's policy bounds for how long an object may be locked.
    RetentionBounded,
    /// The storage class of packs is taken, and told by HEAD.
    Class,
    /// Listings tell whether an archived object is thawed.
    RestoreStatus,
    /// The encryption that was asked for is told by PUT.
    Encryption,
    /// The clocks of the server and of this host agree.
    Clock,
    /// What was put can be deleted.
    Delete,
}

impl fmt::Display for Capability {
    /// Writes its name as the record has it: `put-new`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.rust_name().chars().enumerate() {
            if at > 0 && letter.is_ascii_uppercase() {
                f.write_char('-')?;
            }
            f.write_char(letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// What was seen of a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It works.
    Yes,
    /// It does not, or it was claimed and is not so.
    No,
    /// It was not tried, or the credentials do not allow that.
    Unknown,
}

/// A verdict, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What was seen.
    pub verdict: Verdict,
    /// How it showed.
    pub detail: String,
}

/// What a store was found to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Where it is.
    pub url: String,
    /// When it was probed, by this host's clock.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// What was seen of each capability.
    pub seen: BTreeMap<Capability, Seen>,
    /// Objects of the probe that could not be deleted.
    pub left: Vec<String>,
}

/// How a store is probed.
#[derive(Debug, Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// A name that no other probe has.
    pub name: &'a str,
    /// This host's time.
    pub now: Timestamp,
    /// How long a pack becomes.
    pub pack_len: u64,
}

/// What a config wants of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// How objects are to be locked.
    pub object_lock: Option<LockMode>,
    /// The class of packs.
    pub pack_class: StorageClass,
    /// Whether an encryption is asked for.
    pub encryption: bool,
}

impl Probe {
    /// Makes a probe that has seen nothing yet.
    pub fn new(url: &str, time: Timestamp) -> Self {
        Self { url: url.to_owned(), time, seen: BTreeMap::new(), left: Vec::new() }
    }

    /// Keeps what was seen of a capability.
    pub fn saw(&mut self, capability: Capability, verdict: Verdict, detail: impl Into<String>) {
        self.seen.insert(capability, Seen { verdict, detail: detail.into() });
    }

    /// Returns what was seen of a capability.
    pub fn verdict(&self, capability: Capability) -> Verdict {
        self.seen.get(&capability).map_or(Verdict::Unknown, |seen| seen.verdict)
    }

    /// Tells whether a capability was seen to work.
    pub fn has(&self, capability: Capability) -> bool {
        self.verdict(capability) == Verdict::Yes
    }

    /// Tells whether anything was put: not into a bucket that would lock it (K-7).
    pub fn is_tried(&self) -> bool {
        self.verdict(Capability::NoDefaultRetention) != Verdict::No
            || self.seen.contains_key(&Capability::BytesKept)
    }

    /// Returns what has to be worked around.
    pub fn quirks(&self) -> Quirks {
        let lacks = |capability| self.verdict(capability) == Verdict::No;
        Quirks {
            ignores_if_none_match: lacks(Capability::PutNew) || lacks(Capability::PutNewAtOnce),
            refuses_checksum_header: lacks(Capability::ChecksumTaken),
            ignores_checksum: lacks(Capability::ChecksumChecked),
            echoes_checksum: lacks(Capability::ChecksumReturned),
        }
    }

    /// Tells whether objects are really locked: all four were seen.
    pub fn can_lock(&self) -> bool {
        [
            Capability::Versioning,
            Capability::LockConfiguration,
            Capability::VersionId,
            Capability::Lock,
        ]
        .into_iter()
        .all(|capability| self.has(capability))
    }

    /// Keeps how far the server's clock is from this host's.
    pub fn saw_clock(&mut self, server: Timestamp, here: Timestamp) {
        let seconds = server.as_second() - here.as_second();
        let verdict = match seconds.abs() <= CLOCK_SKEW_SECONDS_MAX {
            true => Verdict::Yes,
            false => Verdict::No,
        };
        self.saw(Capability::Clock, verdict, format!("the server is {seconds} s ahead"));
    }
}

//! What a ledger can record: every kind of event and its name. Spec: §8.4.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::event_fields::{
    ClockAnomaly, Drilled, GenerationOpened, GenerationRef, GenerationShredded, HoldPlaced,
    HoldReleased, NoteRef, PacksDeleted, PolicySet, RecipientsChanged, SecretSealed, SignerAdded,
    SignerRetired, SnapshotForgotten, SnapshotTaken, StoreCompleted, Verified,
};

/// Longest name of an event, in bytes.
const NAME_LEN_MAX: usize = 64;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($payload:ty) = $text:literal;)*) => {
        /// The kinds of events that this program knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the kind's name in a ledger and in a delegation.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        /// What one event says.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "event")]
        pub enum EventPayload {
            $($(#[$doc])* #[serde(rename = $text)] $name($payload),)*
            /// An event of a kind that a newer program knows; still a leaf of its log.
            #[serde(skip)]
            Unknown(String),
        }

        impl EventPayload {
            /// Returns the kind and, where this program does not know it, its name.
            pub fn name(&self) -> EventName {
                match self {
                    $(Self::$name(_) => EventName::Known(EventKind::$name),)*
                    Self::Unknown(name) => EventName::Unknown(name.clone()),
                }
            }
        }
    };
}

events! {
    /// The vault came into being.
    VaultCreated(NoteRef) = "vault.created";
    /// A vault note put a retention policy in force.
    PolicySet(PolicySet) = "policy.set";
    /// A vault note delegated to a signer.
    SignerAdded(SignerAdded) = "signer.added";
    /// A vault note ended a delegation.
    SignerRetired(SignerRetired) = "signer.retired";
    /// A generation was opened.
    GenerationOpened(GenerationOpened) = "generation.opened";
    /// A generation was closed: nothing is written under its key any more.
    GenerationClosed(GenerationRef) = "generation.closed";
    /// A generation's sealed secrets were destroyed.
    GenerationShredded(GenerationShredded) = "generation.shredded";
    /// A snapshot was taken.
    SnapshotTaken(SnapshotTaken) = "snapshot.taken";
    /// A snapshot was forgotten.
    SnapshotForgotten(SnapshotForgotten) = "snapshot.forgotten";
    /// Objects were deleted from a store.
    PacksDeleted(PacksDeleted) = "packs.deleted";
    /// A legal hold was placed on a snapshot.
    HoldPlaced(HoldPlaced) = "hold.placed";
    /// A legal hold was released.
    HoldReleased(HoldReleased) = "hold.released";
    /// A secret was sealed to the escrow store.
    SecretSealed(SecretSealed) = "secret.sealed";
    /// A vault note changed the recipients, and the generations were sealed again.
    RecipientsChanged(RecipientsChanged) = "recipients.changed";
    /// A store has a snapshot that it lacked.
    StoreCompleted(StoreCompleted) = "store.completed";
    /// An archive was verified.
    Verified(Verified) = "verified";
    /// A restore was rehearsed.
    Drilled(Drilled) = "drilled";
    /// The clock went back or jumped.
    ClockAnomaly(ClockAnomaly) = "clock.anomaly";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a kind of event, known to this program or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventName {
    /// One of the kinds that this program knows.
    Known(EventKind),
    /// The name of any other.
    Unknown(String),
}

impl EventName {
    /// Parses a name: lowercase letters, dots and underscores, at most 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(kind) = EventKind::ALL.iter().find(|kind| kind.name() == text) {
            return Some(Self::Known(*kind));
        }
        let sound = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'.' | b'_'));
        let sound = sound && !text.is_empty() && text.len() <= NAME_LEN_MAX;
        sound.then(|| Self::Unknown(text.to_owned()))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(kind) => f.write_str(kind.name()),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the name of an event"))
    }
}

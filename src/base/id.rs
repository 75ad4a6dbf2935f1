//! Ids that say what they name and cannot become another. Spec: §2.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("parse {text:?} as a {kind}: expected {expected}")]
pub struct ParseIdError {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

impl super::Coded for ParseIdError {
    fn code(&self) -> super::Code {
        super::Code::IdInvalid
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $len:expr, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps bytes that are known to be this id.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Returns the id's bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !lower || hex::decode_to_slice(text, &mut bytes).is_err() {
                    return Err(ParseIdError {
                        text: text.chars().take(80).collect(),
                        kind: $kind,
                        expected: concat!(stringify!($len), " bytes in lowercase hex"),
                    });
                }
                Ok(Self(bytes))
            }
        }

        id_serde!($name);
    };
}

macro_rules! id_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type!(
    /// Names a vault: 16 random bytes.
    VaultId, 16, "vault id"
);
id_type!(
    /// Names a signer: the first 8 bytes of the SHA-256 of its Ed25519 public key.
    SignerId, 8, "signer id"
);
id_type!(
    /// Names a chunk: its keyed BLAKE3, whose key never leaves its generation.
    ChunkId, 32, "chunk id"
);
id_type!(
    /// Names a pack or tree object: the SHA-256 of its stored bytes.
    PackId, 32, "pack id"
);
id_type!(
    /// A digest of anything else: SHA-256, or BLAKE3 where the field is named `b3`.
    Digest, 32, "digest"
);

macro_rules! time_id_type {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        ///
        /// Text is `YYYYMMDDTHHMMSSZ-xxxxxxxx`: a UTC time and 32 random bits, so that ids sort by
        /// time.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            second: i64,
            random: u32,
        }

        impl $name {
            /// Length of the text form in bytes.
            pub const TEXT_LEN: usize = 25;

            /// Makes an id of a time, in whole seconds, and random bits.
            pub fn new(time: Timestamp, random: [u8; 4]) -> Self {
                Self { second: time.as_second(), random: u32::from_be_bytes(random) }
            }

            /// Returns the time in the id.
            pub fn time(&self) -> Timestamp {
                Timestamp::from_second(self.second)
                    .expect("both constructors take the second from a Timestamp")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}-{:08x}", self.time().strftime("%Y%m%dT%H%M%SZ"), self.random)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_time_id(text)
                    .map(|(second, random)| Self { second, random })
                    .filter(|id| id.to_string() == text)
                    .ok_or_else(|| ParseIdError {
                        text: text.chars().take(80).collect(),
                        kind: $kind,
                        expected: "YYYYMMDDTHHMMSSZ-xxxxxxxx",
                    })
            }
        }

        id_serde!($name);
    };
}

time_id_type!(
    /// Names a snapshot.
    SnapshotId, "snapshot id"
);
time_id_type!(
    /// Names a generation.
    GenerationId, "generation id"
);
time_id_type!(
    /// Names a sealed version of one of the stack's secrets.
    EscrowId, "escrow id"
);

impl SnapshotId {
    /// Makes an id that sorts behind those of the same second that were made before it, so that
    /// the latest snapshot is the one that was taken last.
    ///
    /// `newest` is the newest of those until `time`; one of another second changes nothing.
    pub fn following(newest: Option<Self>, time: Timestamp, random: [u8; 4]) -> Self {
        let drawn = Self::new(time, random);
        let Some(newest) = newest.filter(|newest| newest.second == drawn.second) else {
            return drawn;
        };
        match u32::MAX - newest.random {
            0 => Self { second: drawn.second + 1, ..drawn },
            room => Self { random: newest.random + 1 + drawn.random % room, ..drawn },
        }
    }
}

fn parse_time_id(text: &str) -> Option<(i64, u32)> {
    let (time, random) = text.split_once('-')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((zoned.timestamp().as_second(), u32::from_str_radix(random, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-3
    #[test]
    fn snapshot_ids_sort_by_time_as_text() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let early = SnapshotId::new(at(1_700_000_000), [0xff; 4]);
        let late = SnapshotId::new(at(1_700_000_001), [0; 4]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().len(), SnapshotId::TEXT_LEN);
        assert_eq!(early.to_string().parse::<SnapshotId>().unwrap(), early);
    }

    /// V-3
    #[test]
    fn snapshots_of_one_second_sort_as_they_were_taken() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let id = |second, random| SnapshotId { second, random };
        for random in [[0; 4], [0x12; 4], [0xff; 4]] {
            for newest in [0, 1, 0x8000_0000, u32::MAX - 1, u32::MAX] {
                let newest = id(1_700_000_000, newest);
                let next = SnapshotId::following(Some(newest), at(1_700_000_000), random);
                assert!(next > newest, "{next} behind {newest}");
            }
            for other in [None, Some(id(1_699_999_999, 7)), Some(id(1_700_000_001, 7))] {
                let next = SnapshotId::following(other, at(1_700_000_000), random);
                assert_eq!(next, SnapshotId::new(at(1_700_000_000), random));
            }
        }
    }

    /// V-1, V-3
    #[test]
    fn ids_refuse_uppercase_wrong_length_and_other_text() {
        assert!("AB".repeat(32).parse::<PackId>().is_err());
        assert!("ab".repeat(31).parse::<PackId>().is_err());
        assert!("20261122T023000Z-1A2B3C4D".parse::<SnapshotId>().is_err());
        assert!("20261322T023000Z-1a2b3c4d".parse::<SnapshotId>().is_err());
        assert!("20261122T023000Z-+a2b3c4d".parse::<SnapshotId>().is_err());
    }
}

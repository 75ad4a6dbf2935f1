//! The three kinds of content and how each is cut. Spec: §6.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::{CHUNK_LEN_MAX, CHUNK_LEN_MIN};
use super::{Code, Coded};

/// What a pack holds: content that is cut, compressed and dies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A database dump: one changed row must dirty one small chunk.
    Stream,
    /// Uploads: images that do not compress.
    File,
    /// Trees: the description of uploads; always hot.
    Meta,
}

/// A profile's number or name that is none of the three.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("parse {0:?} as a profile: expected stream, file or meta")]
pub struct ParseProfileError(String);

impl Coded for ParseProfileError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Stream, Self::File, Self::Meta];

    /// Returns the profile's number in binary structures.
    pub const fn code(self) -> u8 {
        match self {
            Self::Stream => 1,
            Self::File => 2,
            Self::Meta => 3,
        }
    }

    /// Returns the profile with that number in binary structures.
    ///
    /// # Errors
    /// For any other number.
    pub fn from_code(code: u8) -> Result<Self, ParseProfileError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.code() == code)
            .ok_or_else(|| ParseProfileError(code.to_string()))
    }

    /// Returns the profile's name in JSON and in key derivation contexts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::File => "file",
            Self::Meta => "meta",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, ParseProfileError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or_else(|| ParseProfileError(text.chars().take(80).collect()))
    }
}

/// How one profile is cut and compressed; every value of this type is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ChunkParametersFields", into = "ChunkParametersFields")]
pub struct ChunkParameters {
    fields: ChunkParametersFields,
}

/// The JSON shape of [`ChunkParameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkParametersFields {
    /// Least chunk length in bytes, but for the last chunk of a stream.
    pub min: usize,
    /// Length in bytes around which chunk lengths are normalized.
    pub avg: usize,
    /// Greatest chunk length in bytes.
    pub max: usize,
    /// zstd level of the blocks.
    pub level: i32,
}

/// Chunk parameters that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkParametersError {
    /// The three lengths are out of order or out of bounds.
    #[error(
        "use chunk lengths {min}/{avg}/{max}: need even numbers with \
         {CHUNK_LEN_MIN} <= min < avg < max <= {CHUNK_LEN_MAX} and avg >= 256"
    )]
    Lengths {
        /// Least length.
        min: usize,
        /// Average length.
        avg: usize,
        /// Greatest length.
        max: usize,
    },
    /// The zstd level is not one.
    #[error("use zstd level {0}: need -7 to 22")]
    Level(i32),
}

impl Coded for ChunkParametersError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl ChunkParameters {
    /// Returns the defaults of a profile, as measured (spec §14).
    pub fn default_for(profile: Profile) -> Self {
        let kib = 1024;
        let (min, avg, max, level) = match profile {
            Profile::Stream => (kib, 4 * kib, 16 * kib, 2),
            Profile::File => (16 * kib, 64 * kib, 256 * kib, 3),
            Profile::Meta => (kib, 4 * kib, 16 * kib, 9),
        };
        Self { fields: ChunkParametersFields { min, avg, max, level } }
    }

    /// Least chunk length in bytes.
    pub const fn len_min(&self) -> usize {
        self.fields.min
    }

    /// Average chunk length in bytes.
    pub const fn len_avg(&self) -> usize {
        self.fields.avg
    }

    /// Greatest chunk length in bytes.
    pub const fn len_max(&self) -> usize {
        self.fields.max
    }

    /// zstd level of the blocks.
    pub const fn level(&self) -> i32 {
        self.fields.level
    }
}

impl TryFrom<ChunkParametersFields> for ChunkParameters {
    type Error = ChunkParametersError;

    fn try_from(fields: ChunkParametersFields) -> Result<Self, ChunkParametersError> {
        let ChunkParametersFields { min, avg, max, level } = fields;
        let ordered = CHUNK_LEN_MIN <= min && min < avg && avg < max && max <= CHUNK_LEN_MAX;
        let even = min % 2 == 0 && avg % 2 == 0 && max % 2 == 0;
        if !ordered || !even || avg < 256 {
            return Err(ChunkParametersError::Lengths { min, avg, max });
        }
        if !(-7..=22).contains(&level) {
            return Err(ChunkParametersError::Level(level));
        }
        Ok(Self { fields })
    }
}

impl From<ChunkParameters> for ChunkParametersFields {
    fn from(parameters: ChunkParameters) -> Self {
        parameters.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_their_own_check() {
        for profile in Profile::ALL {
            let fields: ChunkParametersFields = ChunkParameters::default_for(profile).into();
            assert!(ChunkParameters::try_from(fields).is_ok());
            assert_eq!(Profile::from_code(profile.code()).unwrap(), profile);
            assert_eq!(profile.name().parse::<Profile>().unwrap(), profile);
        }
    }

    /// V-107
    #[test]
    fn unordered_odd_or_huge_lengths_are_refused() {
        let parse = |text: &str| serde_json::from_str::<ChunkParameters>(text);
        assert!(parse(r#"{"min":1024,"avg":4096,"max":16384,"level":3}"#).is_ok());
        assert!(parse(r#"{"min":4096,"avg":4096,"max":16384,"level":3}"#).is_err());
        assert!(parse(r#"{"min":1025,"avg":4096,"max":16384,"level":3}"#).is_err());
        assert!(parse(r#"{"min":1024,"avg":4096,"max":16777216,"level":3}"#).is_err());
        assert!(parse(r#"{"min":1024,"avg":4096,"max":16384,"level":99}"#).is_err());
    }
}

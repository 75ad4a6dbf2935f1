//! How a vault is written: the parameters that its note fixes. Spec: §8.2.
//!
//! Every value of [`Parameters`] is usable: each number was checked against its limits.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base::limits::{
    BLOCK_LEN, BLOCK_LEN_MAX, GENERATION_MAX_AGE_DAYS_DEFAULT, GRACE_DAYS_DEFAULT,
    PACK_LEN_DEFAULT, PACK_LEN_MAX, PACK_LEN_MIN, RETIRE_BELOW_PERCENT_DEFAULT, REUSE_DAYS_DEFAULT,
};
use crate::base::{ChunkParameters, Code, Coded, Profile};

/// Most days of any parameter: a century.
pub const DAYS_MAX: u32 = 36_500;

/// The shape of [`Parameters`] in a vault note, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterFields {
    /// How dumps are cut and compressed.
    pub stream: ChunkParameters,
    /// How uploads are cut and compressed.
    pub file: ChunkParameters,
    /// How trees are cut and compressed.
    pub meta: ChunkParameters,
    /// Raw bytes of new chunks that are compressed as one block.
    pub block_len: usize,
    /// Stored bytes at which a pack is closed.
    pub pack_len: u64,
    /// Percent of a pack that the newest snapshot must use for it to be deduplicated against.
    pub retire_below_percent: u8,
    /// Days for which a writer deduplicates against what its own notes name (I9).
    pub reuse_days: u32,
    /// Days beyond those for which prune keeps any named pack (I9).
    pub grace_days: u32,
    /// Days after which a generation closes; null: never.
    #[serde(deserialize_with = "Option::deserialize")]
    pub generation_max_age_days: Option<u32>,
}

/// How a vault is written; every value of this type is usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ParameterFields", into = "ParameterFields")]
pub struct Parameters {
    fields: ParameterFields,
}

/// A parameter that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("use {name} = {value}: need {min} to {max}")]
pub struct ParameterError {
    name: &'static str,
    value: u64,
    min: u64,
    max: u64,
}

impl Coded for ParameterError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl Parameters {
    /// Returns what a new vault begins with (spec §14).
    ///
    /// # Panics
    /// Never: a test proves that the defaults pass the check.
    pub fn initial() -> Self {
        let fields = ParameterFields {
            stream: ChunkParameters::default_for(Profile::Stream),
            file: ChunkParameters::default_for(Profile::File),
            meta: ChunkParameters::default_for(Profile::Meta),
            block_len: BLOCK_LEN,
            pack_len: PACK_LEN_DEFAULT,
            retire_below_percent: RETIRE_BELOW_PERCENT_DEFAULT,
            reuse_days: REUSE_DAYS_DEFAULT,
            grace_days: GRACE_DAYS_DEFAULT,
            generation_max_age_days: Some(GENERATION_MAX_AGE_DAYS_DEFAULT),
        };
        Self::try_from(fields).expect("a test proves that the defaults pass the check")
    }

    /// Returns how a profile is cut and compressed.
    pub const fn chunks(&self, profile: Profile) -> ChunkParameters {
        match profile {
            Profile::Stream => self.fields.stream,
            Profile::File => self.fields.file,
            Profile::Meta => self.fields.meta,
        }
    }

    /// Returns all values, for reading or for making changed parameters with `try_from`.
    pub const fn fields(&self) -> &ParameterFields {
        &self.fields
    }
}

impl TryFrom<ParameterFields> for Parameters {
    type Error = ParameterError;

    fn try_from(fields: ParameterFields) -> Result<Self, ParameterError> {
        let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let profiles = [fields.stream, fields.file, fields.meta];
        let chunk_len_max = profiles.iter().map(ChunkParameters::len_max).fold(0, usize::max);
        let days = u64::from(DAYS_MAX);
        let max_age = fields.generation_max_age_days.unwrap_or(1);
        let bounds = [
            ("block_len", wide(fields.block_len), wide(chunk_len_max), wide(BLOCK_LEN_MAX)),
            ("pack_len", fields.pack_len, PACK_LEN_MIN, PACK_LEN_MAX),
            ("retire_below_percent", u64::from(fields.retire_below_percent), 0, 100),
            ("reuse_days", u64::from(fields.reuse_days), 1, days),
            ("grace_days", u64::from(fields.grace_days), 1, days),
            ("generation_max_age_days", u64::from(max_age), 1, days),
        ];
        match bounds.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((name, value, min, max)) => Err(ParameterError { name, value, min, max }),
            None => Ok(Self { fields }),
        }
    }
}

impl From<Parameters> for ParameterFields {
    fn from(parameters: Parameters) -> Self {
        parameters.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_new_vault_pass_their_own_check() {
        let parameters = Parameters::initial();
        let text = serde_json::to_string(&parameters).unwrap();
        assert_eq!(serde_json::from_str::<Parameters>(&text).unwrap(), parameters);
        assert_eq!(parameters.chunks(Profile::File).len_max(), 256 * 1024);
    }

    /// V-107
    #[test]
    fn parameters_out_of_bounds_are_refused() {
        let change = |change: fn(&mut ParameterFields)| {
            let mut fields = Parameters::initial().fields().clone();
            change(&mut fields);
            Parameters::try_from(fields)
        };
        assert!(change(|fields| fields.generation_max_age_days = None).is_ok());
        assert!(change(|fields| fields.retire_below_percent = 0).is_ok());
        for refused in [
            change(|fields| fields.block_len = 256 * 1024 - 1),
            change(|fields| fields.block_len = BLOCK_LEN_MAX + 1),
            change(|fields| fields.pack_len = PACK_LEN_MIN - 1),
            change(|fields| fields.pack_len = PACK_LEN_MAX + 1),
            change(|fields| fields.retire_below_percent = 101),
            change(|fields| fields.reuse_days = 0),
            change(|fields| fields.grace_days = DAYS_MAX + 1),
            change(|fields| fields.generation_max_age_days = Some(0)),
        ] {
            assert!(refused.is_err());
        }
        let error = change(|fields| fields.reuse_days = 0).unwrap_err();
        assert_eq!(error.to_string(), "use reuse_days = 0: need 1 to 36500");
    }
}

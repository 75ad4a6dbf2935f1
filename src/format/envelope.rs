//! What every JSON structure has in common: `v`, `requires`, one line, no integer above 2^53.
//! Spec: §2.3.
//!
//! - A structure that a newer program wrote is told apart from one that is broken, before any
//!   other field is looked at.
//! - What [`compose`] makes, [`parse`] takes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base::{Code, Coded};

/// The version of every structure that this program writes and reads.
pub const VERSION: u64 = 1;

/// Features that this program knows to be named in `requires`.
const FEATURES: [&str; 0] = [];

/// Bytes of foreign text that an error repeats at most.
const QUOTED_LEN_MAX: usize = 200;

/// A structure that this program cannot accept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The bytes are not the structure, or its fields contradict each other.
    #[error("accept a {what}: {detail}")]
    Invalid {
        /// The structure, such as `snapshot note`.
        what: &'static str,
        /// Where and why.
        detail: String,
    },
    /// The structure needs a newer program.
    #[error("read a {what}: it needs {needs}, which this program does not know")]
    TooNew {
        /// The structure.
        what: &'static str,
        /// The version or feature.
        needs: String,
    },
    /// The structure is longer than the format allows.
    #[error("accept a {what} of {len} bytes: at most {len_max} are allowed")]
    TooLong {
        /// The structure.
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The limit in bytes.
        len_max: u64,
    },
    /// The structure is sound but belongs elsewhere.
    #[error("accept a {what}: its {field} is {found}, expected {expected}")]
    Foreign {
        /// The structure.
        what: &'static str,
        /// The field that differs.
        field: &'static str,
        /// What the place where it was found demands.
        expected: String,
        /// What it says.
        found: String,
    },
}

impl Coded for FormatError {
    fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::FormatInvalid,
            Self::TooNew { .. } => Code::FormatTooNew,
            Self::TooLong { .. } => Code::LimitExceeded,
            Self::Foreign { .. } => Code::ObjectForeign,
        }
    }
}

impl FormatError {
    /// Makes an [`Self::Invalid`] that repeats no more than a little foreign text.
    pub fn invalid(what: &'static str, detail: impl ToString) -> Self {
        let detail = detail.to_string().chars().take(QUOTED_LEN_MAX).collect();
        Self::Invalid { what, detail }
    }

    /// Accepts `found` if it is `expected`.
    ///
    /// # Errors
    /// [`Self::Foreign`] if it is not.
    pub fn check_place<T: PartialEq + ToString>(
        what: &'static str,
        field: &'static str,
        expected: &T,
        found: &T,
    ) -> Result<(), Self> {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Self::Foreign { what, field, expected, found })
    }

    /// Accepts a length that is within its limit.
    ///
    /// # Errors
    /// [`Self::TooLong`] if it is not.
    pub fn check_len(what: &'static str, len: usize, len_max: u64) -> Result<(), Self> {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if len <= len_max { Ok(()) } else { Err(Self::TooLong { what, len, len_max }) }
    }
}

#[derive(Serialize)]
struct Composed<'a, T> {
    v: u64,
    requires: [&'static str; 0],
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Deserialize)]
struct Header {
    v: u64,
    requires: Vec<String>,
}

/// Composes one line of JSON, without a newline: `v` and `requires`, then the fields of `body`.
///
/// # Errors
/// [`FormatError::Invalid`] if a field cannot be written, such as an integer above 2^53.
pub fn compose<T: Serialize>(what: &'static str, body: &T) -> Result<String, FormatError> {
    serde_json::to_string(&Composed { v: VERSION, requires: FEATURES, body })
        .map_err(|error| FormatError::invalid(what, error))
}

/// Parses one line of JSON after checking that this program knows all that it requires.
///
/// # Errors
/// [`FormatError::TooNew`] for another version or an unknown entry of `requires`, else
/// [`FormatError::Invalid`].
pub fn parse<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, FormatError> {
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(FormatError::invalid(what, "the JSON is more than one line"));
    }
    check_header(what, bytes)?;
    serde_json::from_slice(bytes).map_err(|error| FormatError::invalid(what, error))
}

/// Checks that this program knows all that a structure requires, also one of several lines.
///
/// # Errors
/// As [`parse`].
pub fn check_header(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    let header: Header =
        serde_json::from_slice(bytes).map_err(|error| FormatError::invalid(what, error))?;
    if header.v == 0 {
        return Err(FormatError::invalid(what, "version 0"));
    }
    if header.v > VERSION {
        return Err(FormatError::TooNew { what, needs: format!("version {}", header.v) });
    }
    if let Some(feature) = header.requires.iter().find(|f| !FEATURES.contains(&f.as_str())) {
        let feature: String = feature.chars().take(QUOTED_LEN_MAX).collect();
        return Err(FormatError::TooNew { what, needs: format!("{feature:?}") });
    }
    Ok(())
}

/// `#[serde(with = "integer")]`: a `u64` that every JSON reader keeps exactly.
pub mod integer {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use crate::base::limits::JSON_INTEGER_MAX;

    /// Writes an integer up to 2^53.
    ///
    /// # Errors
    /// For a greater one.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if *value > JSON_INTEGER_MAX {
            return Err(ser::Error::custom(format!("integer {value} is above 2^53")));
        }
        serializer.serialize_u64(*value)
    }

    /// Reads an integer up to 2^53.
    ///
    /// # Errors
    /// For a greater one.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let value = u64::deserialize(deserializer)?;
        if value > JSON_INTEGER_MAX {
            return Err(de::Error::custom(format!("integer {value} is above 2^53")));
        }
        Ok(value)
    }
}

/// `#[serde(with = "time")]`: a UTC time in RFC 3339, in its one canonical spelling.
pub mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a time, such as `2026-11-22T02:30:00Z`.
    ///
    /// # Errors
    /// None of its own.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Reads a time and refuses every spelling that [`serialize`] would not write.
    ///
    /// # Errors
    /// For any other text, other offsets and years beyond four digits included.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a time in UTC")))
    }

    /// Parses the canonical spelling of a time.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let time: Timestamp = text.parse().ok()?;
        (time.to_string() == text && !text.starts_with('-')).then_some(time)
    }
}

/// `#[serde(with = "optional_time")]`: a [`time`], or null. The field itself must be there.
pub mod optional_time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes a time or null.
    ///
    /// # Errors
    /// None of its own.
    pub fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or null.
    ///
    /// # Errors
    /// As [`super::time::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let time = super::time::parse(&text);
        time.map(Some).ok_or_else(|| de::Error::custom(format!("{text:?} is not a time in UTC")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(with = "integer")]
        count: u64,
        #[serde(with = "time")]
        time: Timestamp,
        #[serde(with = "optional_time")]
        end: Option<Timestamp>,
    }

    fn sample(count: u64) -> Sample {
        Sample { count, time: Timestamp::from_second(1_700_000_000).unwrap(), end: None }
    }

    const FIELDS: &str = r#""count":3,"time":"2023-11-14T22:13:20Z","end":null"#;

    fn parse_with(head: &str) -> Result<Sample, FormatError> {
        parse("sample", format!("{{{head}{FIELDS}}}").as_bytes())
    }

    /// V-4, V-5
    #[test]
    fn version_and_requires_come_first_on_one_line() {
        let text = compose("sample", &sample(3)).unwrap();
        assert_eq!(text, format!(r#"{{"v":1,"requires":[],{FIELDS}}}"#));
        assert_eq!(parse::<Sample>("sample", text.as_bytes()).unwrap(), sample(3));
    }

    /// V-6, V-7
    #[test]
    fn a_newer_version_or_requirement_is_too_new_whatever_else_it_holds() {
        for text in [
            r#"{"v":2,"requires":[]}"#,
            r#"{"v":1,"requires":["sparse-lists"]}"#,
            r#"{"requires":[],"v":9,"count":"elsewhere"}"#,
        ] {
            let error = parse::<Sample>("sample", text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::FormatTooNew, "{text}");
        }
    }

    /// V-8
    #[test]
    fn other_unknown_fields_are_ignored() {
        assert_eq!(parse_with(r#""v":1,"requires":[],"colour":{"a":[1]},"#).unwrap(), sample(3));
    }

    /// V-2, V-9, V-10
    #[test]
    fn a_missing_double_or_odd_envelope_is_refused() {
        for head in [
            "",
            r#""v":1,"#,
            r#""requires":[],"#,
            r#""v":0,"requires":[],"#,
            r#""v":1.0,"requires":[],"#,
            r#""v":1,"v":1,"requires":[],"#,
            r#""v":1,"requires":null,"#,
            "\"v\":1,\n\"requires\":[],",
            r#""v":1,"requires":[],"count":3,"#,
        ] {
            assert_eq!(parse_with(head).unwrap_err().code(), Code::FormatInvalid, "{head}");
        }
        assert!(parse::<Sample>("sample", b"").is_err());
        assert!(parse::<Sample>("sample", "[".repeat(100_000).as_bytes()).is_err());
    }

    /// V-11
    #[test]
    fn integers_above_two_to_the_53_are_neither_written_nor_read() {
        assert!(compose("sample", &sample(1 << 53)).is_ok());
        assert!(compose("sample", &sample((1 << 53) + 1)).is_err());
        let text = compose("sample", &sample(1 << 53)).unwrap();
        let above = text.replace("9007199254740992", "9007199254740993");
        assert!(parse::<Sample>("sample", above.as_bytes()).is_err());
    }

    /// V-12
    #[test]
    fn a_time_has_exactly_one_spelling() {
        assert!(time::parse("2023-11-14T22:13:20Z").is_some());
        assert!(time::parse("2023-11-14T22:13:20.5Z").is_some());
        for text in [
            "2023-11-14T22:13:20+00:00",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20z",
            "2023-11-14T22:13:20.50Z",
            "2023-11-14T22:13:60Z",
            "-000001-11-14T22:13:20Z",
            "",
        ] {
            assert!(time::parse(text).is_none(), "{text}");
        }
    }
}

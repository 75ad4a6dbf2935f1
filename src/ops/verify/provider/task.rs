//! One row of a completion report: what became of one task.
//!
//! ```text
//! bucket, key, version id, "succeeded" or "failed", two of status and error code, message
//! message = {"checksum_base64": …, "checksum_hex": …, "checksumAlgorithm": "SHA256",
//!            "checksumType": "FULL_OBJECT", "etag": …}
//! ```
//!
//! Documents and reports disagree on the order of status and error code: neither is leaned on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::base::Digest;

/// Fields of a row.
pub const FIELD_COUNT: usize = 7;
/// Most characters of a failed task's error code that are repeated.
const WHY_LEN_MAX: usize = 60;

/// What a row says.
pub struct Task<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The name, as it stands there.
    name: &'a str,
    /// The version, where one is named.
    pub version: Option<&'a str>,
    /// What came of it.
    pub said: Said,
}

/// What came of a task.
pub enum Said {
    /// The SHA-256 of the whole object.
    Computed(Digest),
    /// It failed, and why.
    Failed(String),
    /// Something else was computed.
    OtherAlgorithm,
    /// It does not hold together.
    NotUnderstood,
}

#[derive(Deserialize)]
struct Message {
    checksum_base64: Option<String>,
    checksum_hex: Option<String>,
    #[serde(rename = "checksumAlgorithm")]
    algorithm: Option<String>,
    #[serde(rename = "checksumType")]
    kind: Option<String>,
}

/// Tells whether a row names the columns.
pub fn is_header(fields: &[&[u8]]) -> bool {
    fields.first().is_some_and(|field| field.eq_ignore_ascii_case(b"bucket"))
}

impl<'a> Task<'a> {
    /// Parses a row; none, if it is none of a task.
    pub fn parse(fields: &[&'a [u8]]) -> Option<Self> {
        let texts: Option<Vec<&str>> =
            fields.iter().map(|field| std::str::from_utf8(field).ok()).collect();
        let [bucket, name, version, status, code, other_code, message] = texts?[..] else {
            return None;
        };
        let said = match status.to_ascii_lowercase().as_str() {
            "succeeded" => computed(message),
            "failed" => Said::Failed(why(code, other_code)),
            _ => return None,
        };
        let bucket = bucket.strip_prefix('\u{feff}').unwrap_or(bucket);
        let version = Some(version).filter(|version| !version.is_empty());
        Some(Self { bucket, name, version, said })
    }

    /// Returns what the name may stand for: reports escape names as manifests do, or not at all.
    pub fn names(&self) -> Vec<String> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        vec![self.name.to_owned(), decoded(self.name), decoded(&self.name.replace('+', " "))]
    }
}

/// Returns the error code, which is the one of both that is no number.
fn why(code: &str, other: &str) -> String {
    let is_word = |text: &&str| !text.is_empty() && text.parse::<u16>().is_err();
    let why = [code, other].into_iter().find(is_word).unwrap_or("without a code");
    why.chars().filter(|letter| !letter.is_control()).take(WHY_LEN_MAX).collect()
}

fn computed(message: &str) -> Said {
    let Ok(message) = serde_json::from_str::<Message>(message) else { return Said::NotUnderstood };
    let is = |value: &Option<String>, wanted: &str| {
        value.as_ref().is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    if !is(&message.algorithm, "SHA256") || !is(&message.kind, "FULL_OBJECT") {
        return Said::OtherAlgorithm;
    }
    let digest = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).ok().map(Digest::from_bytes);
    let by_base64 = message.checksum_base64.map(|text| BASE64.decode(text).ok().and_then(digest));
    let by_hex = message.checksum_hex.map(|text| hex::decode(text).ok().and_then(digest));
    match (by_base64, by_hex) {
        (Some(Some(one)), Some(Some(other))) if one == other => Said::Computed(one),
        (Some(Some(one)), None) | (None, Some(Some(one))) => Said::Computed(one),
        _ => Said::NotUnderstood,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = concat!(
        r#"{"checksum_base64":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","#,
        r#""etag":"d41d8cd98f00b204e9800998ecf8427e","checksumAlgorithm":"SHA256","#,
        r#""checksumType":"FULL_OBJECT","checksum_hex":"#,
        r#""E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"}"#,
    );

    /// W-15
    #[test]
    fn only_a_whole_sha_256_that_agrees_with_itself_is_taken() {
        assert!(matches!(computed(MESSAGE), Said::Computed(_)));
        for (from, to) in [("SHA256", "MD5"), ("FULL_OBJECT", "COMPOSITE"), ("checksumType", "x")] {
            let other = MESSAGE.replace(from, to);
            assert!(matches!(computed(&other), Said::OtherAlgorithm), "{other}");
        }
        for (from, to) in [("E3B0", "E3B1"), ("47DE", "47D"), ("{", "[")] {
            let broken = MESSAGE.replace(from, to);
            assert!(matches!(computed(&broken), Said::NotUnderstood), "{broken}");
        }
    }

    #[test]
    fn status_and_error_code_are_told_apart_in_either_order() {
        assert_eq!(why("403", "AccessDenied"), "AccessDenied");
        assert_eq!(why("AccessDenied", "403"), "AccessDenied");
        assert_eq!(why("404", ""), "without a code");
    }
}

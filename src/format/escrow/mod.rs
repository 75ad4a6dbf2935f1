//! What is sealed to the escrow store: names, the bundle and what is cut out. Spec: `escrow.md`.
//!
//! - [`env`] finds values in files that three parsers read differently, and changes no byte.
//! - [`cuts`] takes a value out of them in every spelling, and puts it back.
//! - [`bundle`] is the tar that holds them, which stock `tar` unpacks.

pub mod bundle;
pub mod cuts;
pub mod env;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::envelope::integer;
use super::key::ObjectKey;
use crate::base::Digest;

/// How every variable begins whose value is a key of the stack.
pub const KEY_PREFIX: &str = "ENCRYPTION_KEY";
/// The variable with which API keys are hashed, of which the database has a fingerprint.
pub const API_KEY_SECRET: &str = "API_KEY_SECRET";

/// Bytes of a label: room for `_previous` and whatever else a person would write.
const LABEL_LEN_MAX: usize = 20;

/// What follows `key` in an object's name: the end of the variable's name, in lowercase.
///
/// Of a variable whose name is long or unusual it is `_` and 16 hex digits of its BLAKE3: the name
/// itself is in the snapshot and in the bundle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyLabel {
    bytes: [u8; LABEL_LEN_MAX],
    len: u8,
}

impl KeyLabel {
    /// Returns the label of a variable; nothing if it is not one of the keys.
    pub fn of(variable: &str) -> Option<Self> {
        let rest = variable.strip_prefix(KEY_PREFIX)?;
        if !rest.bytes().all(env::is_name_byte) {
            return None;
        }
        let is_usual = rest.len() <= LABEL_LEN_MAX && !rest.contains(char::is_lowercase);
        if is_usual {
            return Self::parse(&rest.to_ascii_lowercase());
        }
        let digest = blake3::hash(rest.as_bytes());
        Self::parse(&format!("_{}", hex::encode(&digest.as_bytes()[..8])))
    }

    /// Parses a label.
    pub fn parse(text: &str) -> Option<Self> {
        let is_label = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let mut bytes = [0; LABEL_LEN_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).ok()?;
        text.as_bytes().iter().all(is_label).then_some(Self { bytes, len })
    }

    fn text(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.len)];
        std::str::from_utf8(bytes).expect("a label has only ASCII")
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLabel({self})")
    }
}

/// What an escrow object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EscrowKind {
    /// The installation's files.
    Bundle,
    /// What was cut out of them.
    Cuts,
    /// The value of one variable.
    Key,
}

impl EscrowKind {
    /// Returns the kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Cuts => "cuts",
            Self::Key => "key",
        }
    }

    /// Returns what an object of that name holds; nothing if it is none of the escrow's.
    pub const fn of(key: &ObjectKey) -> Option<Self> {
        match key {
            ObjectKey::EscrowBundle(_) => Some(Self::Bundle),
            ObjectKey::EscrowCuts(_) => Some(Self::Cuts),
            ObjectKey::EscrowKey(..) => Some(Self::Key),
            _ => None,
        }
    }
}

/// Where a key's value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// In `.env`, as compose reads it.
    Env,
    /// In the environment of the running api.
    Container,
}

/// A sealed object, as a snapshot names it in `facts.escrow`; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowObject {
    /// Its full name in the escrow store.
    #[serde(with = "key_text")]
    pub object: ObjectKey,
    /// SHA-256 of the stored bytes.
    pub sha256: Digest,
    /// Their length.
    #[serde(with = "integer")]
    pub stored_len: u64,
    /// What it holds.
    pub kind: EscrowKind,
    /// The variable whose value it is, of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// Where that value was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<KeySource>,
    /// Whether it was sealed by an earlier run, because this one could not: what it holds may not
    /// be what is in force.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stale: bool,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// Names of objects as text.
pub mod key_text {
    use super::{Deserialize, Deserializer, ObjectKey, Serializer};

    /// Writes the name.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    /// Reads the name of an escrow object.
    ///
    /// # Errors
    /// If it is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectKey, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let key: ObjectKey = text.parse().map_err(Error::custom)?;
        match super::EscrowKind::of(&key) {
            Some(_) => Ok(key),
            None => Err(Error::custom("not the name of an escrow object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-4
    #[test]
    fn a_label_is_the_end_of_the_variable_or_its_digest() {
        let text = |variable| KeyLabel::of(variable).map(|label| label.to_string());
        assert_eq!(text("ENCRYPTION_KEY").as_deref(), Some(""));
        assert_eq!(text("ENCRYPTION_KEY_PREVIOUS").as_deref(), Some("_previous"));
        assert_eq!(text("ENCRYPTION_KEYS2").as_deref(), Some("s2"));
        let odd = text("ENCRYPTION_KEY_previous").unwrap();
        assert!(odd.len() == 17 && odd != text("ENCRYPTION_KEY_pREVIOUS").unwrap(), "{odd}");
        assert_eq!(text("ENCRYPTION_KEY_OF_A_VERY_LONG_NAME_INDEED").unwrap().len(), 17);
        assert_eq!((text("JWT_SECRET"), text("ENCRYPTION_KEY/../x")), (None, None));
    }

    /// E-17
    #[test]
    fn what_a_snapshot_names_reads_back_and_only_escrow_objects_are_named() {
        let line = r#"{"object":"escrow/key-20261122T023000Z-1a2b3c4d.age","sha256":"DIGEST",
            "stored_len":300,"kind":"key","variable":"ENCRYPTION_KEY","from":["env"]}"#;
        let line = line.replace("DIGEST", &"ab".repeat(32));
        let object: EscrowObject = serde_json::from_str(&line).unwrap();
        assert!(!object.stale && object.from == [KeySource::Env]);
        let again = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<EscrowObject>(&again).unwrap(), object);
        let foreign = line.replace("escrow/key-20261122T023000Z-1a2b3c4d.age", "vault/1.note");
        assert!(serde_json::from_str::<EscrowObject>(&foreign).is_err());
    }
}

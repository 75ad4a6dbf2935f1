//! The signed note that makes a snapshot exist. Spec: §8.2.
//!
//! - It names body, list and segment by digest and length: what it names was durable before (I2).
//! - It tells a keyless reader all that retention and verification need, and no name or tag.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::{FormatError, integer, optional_time, time};
use super::note::{self, NoteKind};
use crate::base::limits::{BODY_LEN_MAX, LIST_LEN_MAX};
use crate::base::{Digest, GenerationId, SignerId, SnapshotId, VaultId};

const WHAT: &str = NoteKind::Snapshot.what();

/// An object of the snapshot, as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedObject {
    /// SHA-256 of its stored bytes.
    pub sha256: Digest,
    /// Its stored length in bytes.
    #[serde(with = "integer")]
    pub len: u64,
}

/// What a snapshot note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotNote {
    /// The vault.
    pub vault: VaultId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The generation whose key opens it.
    pub generation: GenerationId,
    /// When it was taken, by the writer's clock.
    #[serde(with = "time")]
    pub time: Timestamp,
    /// The writer that signs the note.
    pub signer: SignerId,
    /// `snapshots/<id>.age`.
    pub body: SignedObject,
    /// `snapshots/<id>.sha256`.
    pub list: SignedObject,
    /// `segments/<id>`.
    pub segment: SignedObject,
    /// Packs in the list.
    #[serde(with = "integer")]
    pub pack_count: u64,
    /// Tree objects in the list.
    #[serde(with = "integer")]
    pub tree_count: u64,
    /// Stored bytes of all objects in the list.
    #[serde(with = "integer")]
    pub stored_len: u64,
    /// Stored bytes of those that no earlier snapshot names.
    #[serde(with = "integer")]
    pub new_len: u64,
    /// Before this time the snapshot may not go, if the policy has a floor.
    #[serde(with = "optional_time")]
    pub floor: Option<Timestamp>,
    /// SHA-256 of [`tags_digest_input`].
    pub tags_digest: Digest,
    /// Whether one of its tags keeps it: all that a reader without a key learns of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_tag: bool,
}

impl SnapshotNote {
    /// Composes the text to be signed.
    ///
    /// # Errors
    /// If the fields contradict each other or a number is above 2^53.
    pub fn compose(&self) -> Result<String, FormatError> {
        self.check()?;
        note::compose(NoteKind::Snapshot, self.vault, self)
    }

    /// Parses the verified text of `snapshots/<snapshot>.note`.
    ///
    /// # Errors
    /// [`FormatError::Foreign`] for the note of another vault or snapshot, [`FormatError::TooNew`]
    /// for one that needs a newer program, else [`FormatError::TooLong`] or
    /// [`FormatError::Invalid`].
    pub fn parse(text: &[u8], vault: VaultId, snapshot: SnapshotId) -> Result<Self, FormatError> {
        let parsed: Self = note::parse(text, NoteKind::Snapshot, vault)?;
        FormatError::check_place(WHAT, "vault", &vault, &parsed.vault)?;
        FormatError::check_place(WHAT, "snapshot", &snapshot, &parsed.snapshot)?;
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), FormatError> {
        let too_long = |len, len_max| FormatError::TooLong { what: WHAT, len, len_max };
        if self.body.len > BODY_LEN_MAX {
            return Err(too_long(self.body.len, BODY_LEN_MAX));
        }
        if self.list.len > LIST_LEN_MAX {
            return Err(too_long(self.list.len, LIST_LEN_MAX));
        }
        if self.new_len > self.stored_len {
            let (new, stored) = (self.new_len, self.stored_len);
            let detail = format!("new_len {new} is above stored_len {stored}");
            return Err(FormatError::invalid(WHAT, detail));
        }
        match self.floor {
            Some(floor) if floor < self.time => {
                let detail = format!("its floor {floor} is before its time {}", self.time);
                Err(FormatError::invalid(WHAT, detail))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the bytes whose SHA-256 is the tags digest: the salt, then the tags as a JSON array.
///
/// # Panics
/// Never: an array of strings is JSON.
pub fn tags_digest_input(salt: &[u8; 16], tags: &[String]) -> Vec<u8> {
    let mut bytes = salt.to_vec();
    serde_json::to_writer(&mut bytes, tags).expect("strings are JSON and a Vec takes any bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sample() -> SnapshotNote {
        let object = |byte, len| SignedObject { sha256: Digest::from_bytes([byte; 32]), len };
        SnapshotNote {
            vault: VaultId::from_bytes([1; 16]),
            snapshot: SnapshotId::new(at(1_700_000_000), [2; 4]),
            generation: GenerationId::new(at(1_600_000_000), [3; 4]),
            time: at(1_700_000_000),
            signer: SignerId::from_bytes([4; 8]),
            body: object(5, 65_752),
            list: object(6, 300),
            segment: object(7, 65_752),
            pack_count: 3,
            tree_count: 1,
            stored_len: 1000,
            new_len: 10,
            floor: Some(at(1_800_000_000)),
            tags_digest: Digest::from_bytes([8; 32]),
            keep_tag: false,
        }
    }

    fn parse(text: &str) -> Result<SnapshotNote, FormatError> {
        SnapshotNote::parse(text.as_bytes(), sample().vault, sample().snapshot)
    }

    fn any_note() -> impl Strategy<Value = SnapshotNote> {
        let numbers = (0..=1_u64 << 53, 0..=1_u64 << 53, 0..=1_u64 << 53, 0..=LIST_LEN_MAX);
        (numbers, any::<[u8; 32]>(), 0_i64..4_000_000_000, any::<Option<u32>>()).prop_map(
            |((pack_count, stored_len, new_len, len), digest, second, floor)| SnapshotNote {
                pack_count,
                stored_len: stored_len.max(new_len),
                new_len,
                list: SignedObject { sha256: Digest::from_bytes(digest), len },
                time: at(second),
                floor: floor.map(|seconds| at(second + i64::from(seconds))),
                keep_tag: second % 2 == 0,
                ..sample()
            },
        )
    }

    proptest! {
        #[test]
        fn a_snapshot_note_parses_back(note in any_note()) {
            prop_assert_eq!(parse(&note.compose().unwrap()).unwrap(), note);
        }

        #[test]
        fn hostile_text_is_an_error_and_never_a_panic(
            cut in 0_usize..900, byte in any::<u8>(), noise in any::<Vec<u8>>()
        ) {
            let mut text = sample().compose().unwrap().into_bytes();
            let cut = cut.min(text.len() - 1);
            text[cut] = byte;
            let _ = SnapshotNote::parse(&text, sample().vault, sample().snapshot);
            text.truncate(cut);
            assert!(SnapshotNote::parse(&text, sample().vault, sample().snapshot).is_err());
            text.extend(noise);
            let _ = SnapshotNote::parse(&text, sample().vault, sample().snapshot);
        }
    }

    /// V-13
    #[test]
    fn the_note_of_another_snapshot_or_vault_is_foreign() {
        let text = sample().compose().unwrap();
        let other = SnapshotId::new(at(1_700_000_001), [2; 4]);
        let error = SnapshotNote::parse(text.as_bytes(), sample().vault, other).unwrap_err();
        assert_eq!(error.code(), Code::ObjectForeign);
        let other = "11".repeat(16);
        let inner = text.replace(&format!(r#""vault":"{}""#, sample().vault), "\"vault\":\"X\"");
        let error = parse(&inner.replace("\"X\"", &format!("\"{other}\""))).unwrap_err();
        assert_eq!(error.code(), Code::ObjectForeign);
    }

    /// V-9, V-108
    #[test]
    fn contradicting_or_missing_fields_are_refused() {
        let text = sample().compose().unwrap();
        for (from, to, code) in [
            (r#""new_len":10"#, r#""new_len":1001"#, Code::FormatInvalid),
            (r#""floor":"2027"#, r#""floor":"2017"#, Code::FormatInvalid),
            (r#""pack_count":3,"#, "", Code::FormatInvalid),
            (r#""floor":"2027-01-15T08:00:00Z","#, "", Code::FormatInvalid),
            (r#""pack_count":3"#, r#""pack_count":9007199254740993"#, Code::FormatInvalid),
            (r#""len":300"#, r#""len":900000000"#, Code::LimitExceeded),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text, "{from}");
            assert_eq!(parse(&bad).unwrap_err().code(), code, "{from} -> {to}");
        }
        assert!(SnapshotNote { new_len: 1001, ..sample() }.compose().is_err());
    }

    #[test]
    fn the_tags_digest_covers_salt_and_every_tag() {
        let tags = [String::from("pre-restore"), String::from("a\"b")];
        let expected = [&[9; 16][..], br#"["pre-restore","a\"b"]"#].concat();
        assert_eq!(tags_digest_input(&[9; 16], &tags), expected);
    }
}

//! The note signed by the root key: whose vault it is and what is allowed in it. Spec: §8.2.
//!
//! - Notes are numbered and each names the digest of the one before, so the newest is the vault's
//!   state and none can be left out.
//! - A value of [`VaultNote`] that was parsed is usable as it stands: names, parameters, roles
//!   and delegations were checked. The policy is carried as it is; `policy` checks it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::envelope::{FormatError, optional_time, time};
use super::event::{EventKind, EventName};
use super::note::{self, NoteKind};
use super::parameters::Parameters;
use super::role::Role;
use crate::base::{Digest, SignerId, VaultId};

const WHAT: &str = NoteKind::Vault.what();

/// The one key encapsulation that this program knows.
pub const KEM: &str = "x25519";

/// Longest name of a vault in bytes: it is also the name of a directory.
pub const VAULT_NAME_LEN_MAX: usize = 64;

/// A signer to whom the root key delegates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// The signer.
    pub id: SignerId,
    /// What it is for: the upper bound of `events`.
    pub role: Role,
    /// Its verification key as signed notes print it (`<name>+<hash>+<key>`).
    pub key: String,
    /// The events that it may append.
    pub events: Vec<EventName>,
    /// From this time on it may append nothing more.
    #[serde(with = "optional_time")]
    pub retired: Option<Timestamp>,
}

impl Delegate {
    /// Makes a signer that may append what is usual for its role; `key` is its verification key.
    pub fn usual(id: SignerId, key: impl ToString, role: Role) -> Self {
        let events = role.usual_events().into_iter().map(EventName::Known).collect();
        Self { id, role, key: key.to_string(), events, retired: None }
    }

    /// Tells whether the signer is delegated this kind of event, retired or not.
    pub fn may_append(&self, kind: EventKind) -> bool {
        self.events.contains(&EventName::Known(kind))
    }
}

/// What a vault note says.
#[derive(Debug, Clone, PartialEq)]
pub struct VaultNote {
    /// The vault.
    pub vault: VaultId,
    /// The note's number, from 1.
    pub number: u32,
    /// SHA-256 of the stored note before this one; none before the first.
    pub previous: Option<Digest>,
    /// When it was signed.
    pub time: Timestamp,
    /// The vault's name, as in the config.
    pub name: String,
    /// Every signer that ever was, retired ones included.
    pub signers: Vec<Delegate>,
    /// The retention policy in force, in full.
    pub policy: Map<String, Value>,
    /// How the vault is written.
    pub parameters: Parameters,
    /// SHA-256 of every data recipient's string; no store holds one in clear.
    pub recipients: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
struct Shape {
    vault: VaultId,
    number: u32,
    #[serde(deserialize_with = "Option::deserialize")]
    previous: Option<Digest>,
    #[serde(with = "time")]
    time: Timestamp,
    name: String,
    kem: String,
    signers: Vec<Delegate>,
    policy: Map<String, Value>,
    parameters: Parameters,
    recipients: Vec<Digest>,
}

impl VaultNote {
    /// Composes the text to be signed by the root key.
    ///
    /// # Errors
    /// If the fields contradict each other.
    pub fn compose(&self) -> Result<String, FormatError> {
        self.check()?;
        let note = self.clone();
        let shape = Shape {
            vault: note.vault,
            number: note.number,
            previous: note.previous,
            time: note.time,
            name: note.name,
            kem: KEM.to_owned(),
            signers: note.signers,
            policy: note.policy,
            parameters: note.parameters,
            recipients: note.recipients,
        };
        note::compose(NoteKind::Vault, self.vault, &shape)
    }

    /// Parses the verified text of `vault/<number>.note`.
    ///
    /// # Errors
    /// [`FormatError::Foreign`] for the note of another vault or number, [`FormatError::TooNew`]
    /// for one that needs a newer program, else [`FormatError::TooLong`] or
    /// [`FormatError::Invalid`].
    pub fn parse(text: &[u8], vault: VaultId, number: u32) -> Result<Self, FormatError> {
        let shape: Shape = note::parse(text, NoteKind::Vault, vault)?;
        FormatError::check_place(WHAT, "vault", &vault, &shape.vault)?;
        FormatError::check_place(WHAT, "number", &number, &shape.number)?;
        if shape.kem != KEM {
            let needs: String = format!("kem {:?}", shape.kem).chars().take(80).collect();
            return Err(FormatError::TooNew { what: WHAT, needs });
        }
        let note = Self {
            vault,
            number,
            previous: shape.previous,
            time: shape.time,
            name: shape.name,
            signers: shape.signers,
            policy: shape.policy,
            parameters: shape.parameters,
            recipients: shape.recipients,
        };
        note.check()?;
        Ok(note)
    }

    /// Returns the signer with that id, retired or not.
    pub fn delegate(&self, id: SignerId) -> Option<&Delegate> {
        self.signers.iter().find(|signer| signer.id == id)
    }

    fn check(&self) -> Result<(), FormatError> {
        let invalid = |detail: String| Err(FormatError::invalid(WHAT, detail));
        if !is_vault_name(&self.name) {
            return invalid(format!("{:?} is not a vault's name", self.name));
        }
        if self.number == 0 || (self.number == 1) != self.previous.is_none() {
            return invalid(format!("number {} does not fit its previous note", self.number));
        }
        let recipients: BTreeSet<_> = self.recipients.iter().collect();
        if recipients.is_empty() || recipients.len() != self.recipients.len() {
            return invalid("its recipients are none, or one is there twice".into());
        }
        let ids: BTreeSet<_> = self.signers.iter().map(|signer| signer.id).collect();
        if ids.len() != self.signers.len() {
            return invalid("a signer is there twice".into());
        }
        self.signers.iter().try_for_each(|signer| self.check_signer(signer))
    }

    fn check_signer(&self, signer: &Delegate) -> Result<(), FormatError> {
        let Delegate { id, role, key, events, .. } = signer;
        let invalid = |detail: String| Err(FormatError::invalid(WHAT, detail));
        if !key.starts_with(&format!("idswyft-vault/{}/{id}+", self.vault)) {
            return invalid(format!("the key of signer {id} has another name"));
        }
        if events.iter().collect::<BTreeSet<_>>().len() != events.len() {
            return invalid(format!("an event of signer {id} is there twice"));
        }
        let forbidden = events.iter().find(|event| match event {
            EventName::Known(kind) => !role.may_be_delegated(*kind),
            EventName::Unknown(_) => false,
        });
        match forbidden {
            Some(event) => invalid(format!("{role} {id} is delegated {event}, which no {role} is")),
            None => Ok(()),
        }
    }
}

/// Tells whether `text` can name a vault: lowercase letters, digits, `-` and `_`, at most 64
/// bytes, beginning with a letter or digit, so that it is a sound directory name everywhere.
pub fn is_vault_name(text: &str) -> bool {
    let sound = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    text.len() <= VAULT_NAME_LEN_MAX
        && text.bytes().all(sound)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn delegate(byte: u8, role: Role) -> Delegate {
        let id = SignerId::from_bytes([byte; 8]);
        let key = format!("idswyft-vault/{VAULT}/{id}+00000000+AAAA");
        let events = role.usual_events().into_iter().map(EventName::Known).collect();
        Delegate { id, role, key, events, retired: None }
    }

    fn sample() -> VaultNote {
        VaultNote {
            vault: VAULT,
            number: 2,
            previous: Some(Digest::from_bytes([2; 32])),
            time: Timestamp::from_second(1_700_000_000).unwrap(),
            name: "nightly".into(),
            signers: vec![delegate(3, Role::Writer), delegate(4, Role::Janitor)],
            policy: serde_json::from_str(r#"{"keep_daily":30}"#).unwrap(),
            parameters: Parameters::initial(),
            recipients: vec![Digest::from_bytes([5; 32])],
        }
    }

    fn parse(text: &str) -> Result<VaultNote, FormatError> {
        VaultNote::parse(text.as_bytes(), VAULT, 2)
    }

    #[test]
    fn a_vault_note_parses_back() {
        for role in Role::ALL {
            let mut note = sample();
            note.signers.push(Delegate { retired: Some(note.time), ..delegate(9, role) });
            note.signers[0].events.push(EventName::Unknown("moon.waxed".into()));
            assert_eq!(parse(&note.compose().unwrap()).unwrap(), note);
        }
        let first = VaultNote { number: 1, previous: None, ..sample() };
        let text = first.compose().unwrap();
        assert_eq!(VaultNote::parse(text.as_bytes(), VAULT, 1).unwrap(), first);
    }

    proptest! {
        #[test]
        fn hostile_text_is_an_error_and_never_a_panic(at in 0_usize..4000, byte in any::<u8>()) {
            let mut text = sample().compose().unwrap().into_bytes();
            let at = at % text.len();
            text[at] = byte;
            let _ = VaultNote::parse(&text, VAULT, 2);
            prop_assert_eq!(VaultNote::parse(&text[..at], VAULT, 2).is_err(), true);
        }
    }

    /// V-13
    #[test]
    fn a_note_under_another_number_is_foreign() {
        let text = sample().compose().unwrap();
        let error = VaultNote::parse(text.as_bytes(), VAULT, 3).unwrap_err();
        assert_eq!(error.code(), Code::ObjectForeign);
    }

    /// V-100
    #[test]
    fn another_key_encapsulation_needs_a_newer_program() {
        let text = sample().compose().unwrap().replace("x25519", "mlkem768x25519");
        assert_eq!(parse(&text).unwrap_err().code(), Code::FormatTooNew);
    }

    /// V-106
    #[test]
    fn a_delegation_beyond_its_role_is_refused() {
        let mut note = sample();
        note.signers[0].events.push(EventName::Known(EventKind::HoldReleased));
        assert!(note.compose().is_err());
        let text = sample().compose().unwrap();
        let bad = text.replacen(r#""snapshot.taken""#, r#""snapshot.taken","hold.released""#, 1);
        assert_eq!(parse(&bad).unwrap_err().code(), Code::FormatInvalid);
    }

    /// V-98, V-102, V-103, V-104
    #[test]
    fn contradicting_fields_are_refused() {
        let text = sample().compose().unwrap();
        for (from, to) in [
            (r#""name":"nightly""#, r#""name":"../nightly""#),
            (r#""name":"nightly""#, r#""name":"""#),
            (r#""previous":"0202"#, r#""previous":"0z02"#),
            (r#""time":"#, r#""tame":"#),
            (r#"/0303030303030303+"#, "/0404040404040404+"),
            (r#""id":"0404040404040404""#, r#""id":"0303030303030303""#),
            (r#""role":"writer""#, r#""role":"emperor""#),
            (r#""retired":null"#, r#""retired":"soon""#),
            (r#""policy":{"#, r#""policy":[{"#),
            (r#""recipients":["#, r#""recipients":[],"x":["#),
            (r#""verified""#, r#""verified","verified""#),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text, "{from}");
            assert_eq!(parse(&bad).unwrap_err().code(), Code::FormatInvalid, "{from} -> {to}");
        }
        for note in [
            VaultNote { previous: None, ..sample() },
            VaultNote { number: 1, ..sample() },
            VaultNote { number: 0, ..sample() },
        ] {
            assert!(note.compose().is_err());
        }
        let digest = "02".repeat(32);
        let without = text.replacen(&format!(r#""previous":"{digest}","#), "", 1);
        assert!(parse(&without).is_err());
    }

    /// V-101
    #[test]
    fn a_vault_name_is_a_sound_directory_name() {
        assert!(["nightly", "kyc-2", "a_b", "0"].into_iter().all(is_vault_name));
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "a/b", "a b", "-a", "_a", "Ä", "A", "a.b", "a\n", &long] {
            assert!(!is_vault_name(bad), "{bad}");
        }
    }
}

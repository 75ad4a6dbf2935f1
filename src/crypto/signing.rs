//! Signed notes: who may have written a text. Spec: §8.1; C2SP signed-note.
//!
//! - A text leaves this module only after a signature of a key that the caller named verified.
//! - A wrong signature in the name of a known key refuses the note; those of other keys, such as
//!   witnesses, are ignored.

use signed_note::{Note, VerificationError, Verifier, Verifiers};
use thiserror::Error;

pub use super::signing_key::{KeyUse, SEED_LEN, SigningKey, VerificationKey};
use crate::base::limits::NOTE_LEN_MAX;
use crate::base::{Code, Coded};

/// A failure to parse a key, to sign or to verify.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SigningError {
    /// The text is not a verification key of a vault.
    #[error("parse {text:?} as a verification key: {reason}")]
    VerificationKey {
        /// The text, which is public.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// The text is not a signing key of a vault. It is secret, so it is not repeated.
    #[error("parse a signing key: {0}")]
    SigningKey(&'static str),
    /// The text cannot stand in a signed note.
    #[error("sign a text of {len} bytes: {reason}")]
    Text {
        /// Its length in bytes.
        len: usize,
        /// Why not.
        reason: String,
    },
    /// The signed note is longer than any of ours.
    #[error("verify a signed note of {len} bytes: at most {NOTE_LEN_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: u64,
    },
    /// The bytes are not a signed note.
    #[error("verify a signed note: it is malformed")]
    Malformed,
    /// None of the keys has signed the note, or a signature in the name of one does not verify.
    #[error("verify a signed note with {count} known keys: {reason}")]
    NotSigned {
        /// How many keys were tried.
        count: usize,
        /// What did not verify.
        reason: String,
    },
}

impl Coded for SigningError {
    fn code(&self) -> Code {
        match self {
            Self::VerificationKey { .. } | Self::SigningKey(_) => Code::FormatInvalid,
            Self::Text { .. } | Self::TooLong { .. } => Code::LimitExceeded,
            Self::Malformed | Self::NotSigned { .. } => Code::SignatureInvalid,
        }
    }
}

impl SigningKey {
    /// Signs a text that ends with a newline and returns the whole signed note.
    ///
    /// # Errors
    /// If the text holds control characters, has no final newline, or the note would be too long.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, SigningError> {
        let fail = |reason: String| SigningError::Text { len: text.len(), reason };
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|error| fail(error.to_string()))?;
        note.add_sigs(&[self]).map_err(|error| fail(error.to_string()))?;
        let bytes = note.to_bytes();
        check_len(&bytes).map_err(|_| fail("with its signature it is too long".into()))?;
        Ok(bytes)
    }
}

/// The text of a signed note whose signature verified; only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedText {
    text: Vec<u8>,
    key: VerificationKey,
}

impl VerifiedText {
    /// Returns the text, which ends with a newline.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the key that signed it: the first of those given that did.
    pub const fn key(&self) -> &VerificationKey {
        &self.key
    }
}

struct Known<'a>(&'a [&'a VerificationKey]);

impl Verifiers for Known<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        match self.0.iter().find(|key| key.name() == name && key.key_id() == id) {
            Some(key) => Ok(*key),
            None => Err(VerificationError::UnknownKey { name: name.to_owned(), id }),
        }
    }
}

/// Verifies a signed note with the keys that may have signed it.
///
/// Signatures of other keys, such as those of witnesses, are ignored.
///
/// # Errors
/// [`SigningError::NotSigned`] if none of the keys has signed the text, or if a signature in the
/// name of one of them is wrong; [`SigningError::TooLong`] or [`SigningError::Malformed`].
pub fn verify(bytes: &[u8], keys: &[&VerificationKey]) -> Result<VerifiedText, SigningError> {
    check_len(bytes)?;
    let note = Note::from_bytes(bytes).map_err(|_| SigningError::Malformed)?;
    let not_signed = |reason: String| SigningError::NotSigned { count: keys.len(), reason };
    let (signatures, _) =
        note.verify(&Known(keys)).map_err(|error| not_signed(error.to_string()))?;
    let signed = |key: &&&VerificationKey| {
        signatures.iter().any(|s| s.name() == key.name() && s.id() == key.key_id())
    };
    let key = keys.iter().find(signed).ok_or_else(|| not_signed("no signature".into()))?;
    Ok(VerifiedText { text: note.text().to_vec(), key: (*key).clone() })
}

fn check_len(bytes: &[u8]) -> Result<(), SigningError> {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if len <= NOTE_LEN_MAX { Ok(()) } else { Err(SigningError::TooLong { len }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VaultId;
    use signed_note::{StandardSigner, StandardVerifier, VerifierList};

    const VAULT: VaultId = VaultId::from_bytes([0xab; 16]);
    const TEXT: &str = "idswyft-vault/v1 snapshot …\n{}\n";

    fn signer(seed: u8) -> SigningKey {
        SigningKey::from_seed(VAULT, KeyUse::Signer, &[seed; SEED_LEN])
    }

    fn code_of(bytes: &[u8], keys: &[&VerificationKey]) -> Code {
        verify(bytes, keys).unwrap_err().code()
    }

    /// V-95
    #[test]
    fn a_signed_text_verifies_with_the_key_that_signed_it() {
        let (first, second) = (signer(1), signer(2));
        let bytes = first.sign(TEXT).unwrap();
        let keys = [second.verification_key(), first.verification_key()];
        let verified = verify(&bytes, &keys).unwrap();
        assert_eq!(verified.text(), TEXT.as_bytes());
        assert_eq!(verified.key(), first.verification_key());
        assert_eq!(code_of(&bytes, &[second.verification_key()]), Code::SignatureInvalid);
        assert_eq!(code_of(&bytes, &[]), Code::SignatureInvalid);
    }

    #[test]
    fn any_other_byte_in_a_signed_note_is_refused() {
        let key = signer(1);
        let bytes = key.sign(TEXT).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(code_of(&altered, &[key.verification_key()]), Code::SignatureInvalid);
            let cut = &bytes[..at];
            assert_eq!(code_of(cut, &[key.verification_key()]), Code::SignatureInvalid);
        }
    }

    #[test]
    fn a_key_of_the_same_seed_in_another_vault_or_use_does_not_verify() {
        let bytes = signer(1).sign(TEXT).unwrap();
        let other = VaultId::from_bytes([0xac; 16]);
        for (vault, usage) in [(other, KeyUse::Signer), (VAULT, KeyUse::Root)] {
            let key = SigningKey::from_seed(vault, usage, &[1; SEED_LEN]);
            assert_eq!(code_of(&bytes, &[key.verification_key()]), Code::SignatureInvalid);
        }
    }

    /// V-96, V-97
    #[test]
    fn a_wrong_signature_in_the_name_of_a_known_key_refuses_the_note() {
        let (first, second) = (signer(1), signer(2));
        let mut bytes = first.sign(TEXT).unwrap();
        let forged = second.sign("another text\n").unwrap();
        bytes.extend(forged.strip_prefix("another text\n\n".as_bytes()).unwrap());
        let keys = [first.verification_key(), second.verification_key()];
        assert_eq!(code_of(&bytes, &keys), Code::SignatureInvalid);
        // A signature of a key that nobody asked about, such as a witness's, does no harm.
        assert!(verify(&bytes, &keys[..1]).is_ok());
    }

    #[test]
    fn keys_and_notes_are_those_of_the_signed_note_crate() {
        let key = signer(1);
        let public = key.verification_key().to_string();
        let standard = StandardVerifier::new(&public).unwrap();
        let list = VerifierList::new(vec![Box::new(standard)]);
        let ours = key.sign(TEXT).unwrap();
        assert!(Note::from_bytes(&ours).unwrap().verify(&list).is_ok());
        let standard = StandardSigner::new(&key.to_secret_text()).unwrap();
        let mut note = Note::new(TEXT.as_bytes(), &[]).unwrap();
        note.add_sigs(&[&standard]).unwrap();
        assert_eq!(note.to_bytes(), ours);
    }

    /// V-93
    #[test]
    fn texts_that_cannot_stand_in_a_note_are_not_signed() {
        let key = signer(1);
        for bad in ["", "no newline", "tab\t\n", "return\r\n"] {
            assert_eq!(key.sign(bad).unwrap_err().code(), Code::LimitExceeded, "{bad:?}");
        }
        let long = format!("{}\n", "a".repeat(999_990));
        assert!(key.sign(&long).is_err());
        let long = vec![b'a'; 1_000_001];
        assert_eq!(code_of(&long, &[key.verification_key()]), Code::LimitExceeded);
    }
}

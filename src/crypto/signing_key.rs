//! The keys of signed notes, by name and use. Spec: §8.1; C2SP signed-note.
//!
//! ```text
//! key name = "idswyft-vault/" vault-id "/" ( "root" | signer-id )
//! signer-id = first 8 bytes of SHA-256(Ed25519 public key)
//! ```
//!
//! A key's name carries its vault and, but for the root key, its own id; both are checked when
//! the key is parsed, so a [`VerificationKey`] cannot stand for another vault or signer.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, SignatureError, Signer as _, VerifyingKey};
use signed_note::{Signer, Verifier, new_ed25519_verifier_key};
use zeroize::Zeroizing;

use super::digest::sha256;
use super::signing::SigningError;
use crate::base::{SignerId, VaultId};

/// Length in bytes of the seed from which a signing key is made.
pub const SEED_LEN: usize = 32;

const NAME_PREFIX: &str = "idswyft-vault/";
const ROOT: &str = "root";
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";
/// The signed-note algorithm byte of Ed25519.
const ALGORITHM_ED25519: u8 = 1;

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// The vault's root key: vault notes.
    Root,
    /// A signer's key: snapshot notes and checkpoints of its own ledger.
    Signer,
}

/// The public half of a vault's root key or of a signer's key.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationKey {
    vault: VaultId,
    usage: KeyUse,
    id: SignerId,
    name: String,
    key_id: u32,
    key: VerifyingKey,
}

impl VerificationKey {
    fn new(vault: VaultId, usage: KeyUse, key: VerifyingKey) -> Self {
        let id = signer_id(&key);
        let name = match usage {
            KeyUse::Root => format!("{NAME_PREFIX}{vault}/{ROOT}"),
            KeyUse::Signer => format!("{NAME_PREFIX}{vault}/{id}"),
        };
        let encoded = [&[ALGORITHM_ED25519], key.as_bytes().as_slice()].concat();
        let key_id = signed_note::key_id(&name, &encoded);
        Self { vault, usage, id, name, key_id, key }
    }

    /// Returns the vault for which the key signs.
    pub const fn vault(&self) -> VaultId {
        self.vault
    }

    /// Returns what the key may sign.
    pub const fn usage(&self) -> KeyUse {
        self.usage
    }

    /// Returns the id made of the public key.
    pub const fn signer_id(&self) -> SignerId {
        self.id
    }

    /// Returns the key's name in a signature line.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn signer_id(key: &VerifyingKey) -> SignerId {
    let digest = sha256(key.as_bytes());
    let (id, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    SignerId::from_bytes(*id)
}

/// Parses the vault and the use in a key's name, without looking at the id.
fn parse_name(name: &str) -> Option<(VaultId, KeyUse)> {
    let (vault, last) = name.strip_prefix(NAME_PREFIX)?.split_once('/')?;
    let usage = if last == ROOT { KeyUse::Root } else { KeyUse::Signer };
    Some((vault.parse().ok()?, usage))
}

impl fmt::Display for VerificationKey {
    /// Writes the key as signed notes print it: `<name>+<hash>+<key>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&new_ed25519_verifier_key(&self.name, &self.key))
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({self})")
    }
}

impl FromStr for VerificationKey {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, SigningError> {
        let fail = |reason| SigningError::VerificationKey {
            text: text.chars().take(200).collect(),
            reason,
        };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(fail("expected <name>+<hash>+<key>"));
        };
        let (vault, usage) = parse_name(name).ok_or_else(|| fail("its name is not ours"))?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| fail("its key is not base64"))?;
        let Some((&ALGORITHM_ED25519, bytes)) = bytes.split_first() else {
            return Err(fail("its algorithm is not Ed25519"));
        };
        let key = bytes.try_into().ok().and_then(|bytes| VerifyingKey::from_bytes(bytes).ok());
        let key = key.ok_or_else(|| fail("its key is not on the curve"))?;
        // For a key of small order anybody can make signatures.
        if key.is_weak() {
            return Err(fail("its key is weak"));
        }
        let parsed = Self::new(vault, usage, key);
        // Printing is the only authority on the form; this also checks name, hash and signer id.
        if parsed.to_string() != text {
            return Err(fail("its name, hash or id is not that of the key"));
        }
        Ok(parsed)
    }
}

impl Verifier for VerificationKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.key_id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

/// The secret half of a vault's root key or of a signer's key.
///
/// It is not `Debug`, `Clone` or `Serialize`, and leaves memory with its owner.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    verification: VerificationKey,
}

impl SigningKey {
    /// Makes a key for one use in one vault of a random seed.
    pub fn from_seed(vault: VaultId, usage: KeyUse, seed: &[u8; SEED_LEN]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verification = VerificationKey::new(vault, usage, key.verifying_key());
        Self { key, verification }
    }

    /// Derives the vault's operator signer from this root key: whoever can open the recovery kit
    /// keeps the one log of all changes, and there is no further key to keep.
    ///
    /// # Panics
    /// Never for a root key; of any other key nothing is derived.
    pub fn operator_signer(&self) -> Self {
        let VerificationKey { vault, usage, .. } = self.verification;
        assert_eq!(usage, KeyUse::Root, "only a root key derives the operator signer");
        let context = "idswyft-vault/v1 operator signer";
        let seed = Zeroizing::new(blake3::derive_key(context, self.key.as_bytes()));
        Self::from_seed(vault, KeyUse::Signer, &seed)
    }

    /// Parses the text that [`Self::to_secret_text`] made.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_secret_text(text: &str) -> Result<Self, SigningError> {
        let fail = SigningError::SigningKey;
        let rest = text.strip_prefix(PRIVATE_PREFIX).ok_or(fail("it does not begin like one"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(fail("expected PRIVATE+KEY+<name>+<hash>+<key>"));
        };
        let (vault, usage) = parse_name(name).ok_or(fail("its name is not ours"))?;
        let bytes = BASE64_STANDARD.decode(encoded).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| fail("its key is not base64"))?;
        let Some((&ALGORITHM_ED25519, seed)) = bytes.split_first() else {
            return Err(fail("its algorithm is not Ed25519"));
        };
        let seed = seed.try_into().map_err(|_| fail("its key is not 32 bytes"))?;
        let parsed = Self::from_seed(vault, usage, seed);
        if *parsed.to_secret_text() != text {
            return Err(fail("its name, hash or id is not that of the key"));
        }
        Ok(parsed)
    }

    /// Returns the key as signed notes print it (`PRIVATE+KEY+<name>+<hash>+<key>`), to be kept
    /// where only its owner reads or to be sealed at once.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([ALGORITHM_ED25519; 1 + SEED_LEN]);
        bytes[1..].copy_from_slice(self.key.as_bytes());
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(*bytes));
        let VerificationKey { name, key_id, .. } = &self.verification;
        let parts = [PRIVATE_PREFIX, name, "+", &format!("{key_id:08x}"), "+", &encoded];
        // One allocation of the right size: no outgrown copy stays behind.
        let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|p| p.len()).sum()));
        parts.iter().for_each(|part| text.push_str(part));
        text
    }

    /// Returns the public half.
    pub const fn verification_key(&self) -> &VerificationKey {
        &self.verification
    }

    /// Returns the id made of the public key.
    pub const fn signer_id(&self) -> SignerId {
        self.verification.signer_id()
    }
}

impl Signer for SigningKey {
    fn name(&self) -> &str {
        &self.verification.name
    }

    fn key_id(&self) -> u32 {
        self.verification.key_id
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.key.try_sign(text)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    const VAULT: VaultId = VaultId::from_bytes([0xab; 16]);

    fn signer(seed: u8) -> SigningKey {
        SigningKey::from_seed(VAULT, KeyUse::Signer, &[seed; SEED_LEN])
    }

    /// V-182
    #[test]
    fn the_operator_signer_is_derived_from_the_root_key_and_from_no_other() {
        let root = SigningKey::from_seed(VAULT, KeyUse::Root, &[7; SEED_LEN]);
        let seed = blake3::derive_key("idswyft-vault/v1 operator signer", &[7; SEED_LEN]);
        let expected = SigningKey::from_seed(VAULT, KeyUse::Signer, &seed);
        assert_eq!(*root.operator_signer().to_secret_text(), *expected.to_secret_text());
        assert!(std::panic::catch_unwind(|| signer(7).operator_signer()).is_err());
    }

    #[test]
    fn keys_print_and_parse_back() {
        for usage in [KeyUse::Root, KeyUse::Signer] {
            let key = SigningKey::from_seed(VAULT, usage, &[7; SEED_LEN]);
            let text = key.verification_key().to_string();
            let last = match usage {
                KeyUse::Root => "root".to_owned(),
                KeyUse::Signer => key.signer_id().to_string(),
            };
            assert!(text.starts_with(&format!("idswyft-vault/{VAULT}/{last}+")));
            let parsed: VerificationKey = text.parse().unwrap();
            assert_eq!(&parsed, key.verification_key());
            assert_eq!((parsed.vault(), parsed.usage()), (VAULT, usage));
            let again = SigningKey::from_secret_text(&key.to_secret_text()).unwrap();
            assert_eq!(again.verification_key(), key.verification_key());
        }
    }

    #[test]
    fn a_signer_id_is_the_beginning_of_the_public_keys_digest() {
        // RFC 8032, test 1: the public key of this seed.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let key = SigningKey::from_seed(VAULT, KeyUse::Signer, &seed);
        let expected = &sha256(&hex::decode(public).unwrap()).to_string()[..16];
        assert_eq!(key.signer_id().to_string(), expected);
    }

    /// V-94
    #[test]
    fn hostile_keys_are_refused() {
        let text = signer(1).verification_key().to_string();
        let id = signer(1).signer_id().to_string();
        let other = signer(2).signer_id().to_string();
        let (head, _) = text.rsplit_once('+').unwrap();
        // The neutral element, of order 1: every text has a signature that verifies with it.
        let weak = [&[1, 1][..], &[0; 31]].concat();
        for bad in [
            String::new(),
            "+".into(),
            "++".into(),
            text.replace(&id, &other),
            text.replace("idswyft-vault", "other"),
            text.replace("ab/", "ab/x/"),
            text.replace("+", " "),
            format!("{text}\n"),
            format!("{text}="),
            head.to_uppercase(),
            format!("{head}+AQ=="),
            format!("{head}+{}", BASE64_STANDARD.encode([2; 33])),
            new_weak(&weak),
        ] {
            let error = bad.parse::<VerificationKey>().unwrap_err();
            assert_eq!(error.code(), Code::FormatInvalid, "{bad}");
            assert!(SigningKey::from_secret_text(&bad).is_err());
        }
        let secret = signer(1).to_secret_text();
        for bad in [
            secret.replace(&id, &other),
            secret.replace("PRIVATE", "private"),
            format!("{}\n", *secret),
            format!("PRIVATE+KEY+{text}"),
        ] {
            let error = SigningKey::from_secret_text(&bad).err().unwrap();
            assert!(!error.to_string().contains(secret.rsplit('+').next().unwrap()));
        }
    }

    /// Prints a key of small order exactly as a sound one would be printed.
    fn new_weak(encoded: &[u8]) -> String {
        let id = &sha256(&encoded[1..]).to_string()[..16];
        let name = format!("idswyft-vault/{VAULT}/{id}");
        let hash = signed_note::key_id(&name, encoded);
        format!("{name}+{hash:08x}+{}", BASE64_STANDARD.encode(encoded))
    }
}

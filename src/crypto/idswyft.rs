//! The stack's own encryption, as far as it takes to prove that a key fits. Spec: `escrow.md`.
//!
//! One string, `ENCRYPTION_KEY`, becomes two keys:
//!
//! ```text
//! files           scrypt(key, "idswyft-storage-salt", N = 16384, r = 8, p = 1, 32 bytes)
//! identity_vault  the 32 bytes that 64 hex digits stand for, else SHA-256(key)
//!
//! envelope        "IDSW" 01 | nonce 12 | tag 16 | wrapped key 32 | nonce 12 | tag 16 | ciphertext
//! vault value     nonce 12 : tag 16 : ciphertext, each in hex
//! ```
//!
//! Both are AES-256-GCM without associated data, so whatever opens was written with that key:
//! fitting is proven, never guessed.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use zeroize::Zeroizing;

use super::digest::sha256;

/// Bytes that an envelope has before its ciphertext.
pub const ENVELOPE_HEADER_LEN: usize = 4 + 1 + NONCE_LEN + TAG_LEN + KEY_LEN + NONCE_LEN + TAG_LEN;
/// Bytes at the start of a file that tell an envelope.
pub const ENVELOPE_MAGIC: [u8; 5] = *b"IDSW\x01";

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Bytes of the fingerprint of `API_KEY_SECRET` that the database keeps, in hex.
const FINGERPRINT_LEN: usize = 8;

const STORAGE_SALT: &[u8] = b"idswyft-storage-salt";
/// Node's own parameters of scrypt: N = 2^14.
const SCRYPT: (u8, u32, u32) = (14, 8, 1);

const _: () = assert!(ENVELOPE_HEADER_LEN == 93);

/// What came of trying a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It opens what it was tried on.
    Fits,
    /// It does not.
    DoesNotFit,
    /// What it was tried on is nothing that the stack encrypted.
    NotEncrypted,
}

/// A key of the stack, with both keys that the stack derives from it.
///
/// Making one takes a moment and 16 MiB: that is scrypt's purpose.
pub struct AppKey {
    storage: Zeroizing<[u8; KEY_LEN]>,
    vault: Zeroizing<[u8; KEY_LEN]>,
}

impl AppKey {
    /// Derives both keys from the value of `ENCRYPTION_KEY`, of which every byte counts.
    pub fn derive(value: &[u8]) -> Self {
        Self { storage: storage_key(value), vault: vault_key(value) }
    }

    /// Tells whether the key opens a file of the uploads, given whole.
    pub fn fits_file(&self, file: &[u8]) -> Fit {
        match Envelope::parse(file) {
            None => Fit::NotEncrypted,
            Some(envelope) => fit(envelope.open(&self.storage).is_some()),
        }
    }

    /// Opens a file of the uploads; nothing if it is no envelope of this key.
    pub fn open_file(&self, file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        Envelope::parse(file)?.open(&self.storage)
    }

    /// Tells whether the key opens a value of `identity_vault.encrypted_data`.
    pub fn fits_value(&self, text: &[u8]) -> Fit {
        match parts_of(text) {
            None => Fit::NotEncrypted,
            Some(parts) => fit(open_parts(&self.vault, &parts).is_some()),
        }
    }

    /// Opens a value of `identity_vault.encrypted_data`; nothing if it is none of this key.
    pub fn open_value(&self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open_parts(&self.vault, &parts_of(text)?)
    }
}

const fn fit(opened: bool) -> Fit {
    if opened { Fit::Fits } else { Fit::DoesNotFit }
}

/// Tells whether a file of the uploads is encrypted, by its first bytes.
pub fn is_envelope(start: &[u8]) -> bool {
    start.starts_with(&ENVELOPE_MAGIC)
}

/// Returns what the database keeps of `API_KEY_SECRET`: the first 16 hex digits of its SHA-256.
pub fn api_key_secret_fingerprint(value: &[u8]) -> String {
    hex::encode(&sha256(value).as_bytes()[..FINGERPRINT_LEN])
}

fn storage_key(value: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let (log_n, r, p) = SCRYPT;
    let parameters = scrypt::Params::new(log_n, r, p).expect("node's parameters are within limits");
    let mut key = Zeroizing::new([0; KEY_LEN]);
    scrypt::scrypt(value, STORAGE_SALT, &parameters, key.as_mut_slice())
        .expect("32 bytes are within scrypt's limits");
    key
}

fn vault_key(value: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    if hex::decode_to_slice(value, key.as_mut_slice()).is_err() {
        *key = *sha256(value).as_bytes();
    }
    key
}

/// What one AES-256-GCM seal consists of.
struct Parts {
    nonce: [u8; NONCE_LEN],
    tag: [u8; TAG_LEN],
    ciphertext: Vec<u8>,
}

struct Envelope {
    wrapped_key: Parts,
    contents: Parts,
}

impl Envelope {
    fn parse(file: &[u8]) -> Option<Self> {
        let rest = file.strip_prefix(&ENVELOPE_MAGIC)?;
        let (wrapped_nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (wrapped_tag, rest) = rest.split_first_chunk::<TAG_LEN>()?;
        let (wrapped_key, rest) = rest.split_first_chunk::<KEY_LEN>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (tag, ciphertext) = rest.split_first_chunk::<TAG_LEN>()?;
        Some(Self {
            wrapped_key: Parts {
                nonce: *wrapped_nonce,
                tag: *wrapped_tag,
                ciphertext: wrapped_key.to_vec(),
            },
            contents: Parts { nonce: *nonce, tag: *tag, ciphertext: ciphertext.to_vec() },
        })
    }

    fn open(&self, key: &[u8; KEY_LEN]) -> Option<Zeroizing<Vec<u8>>> {
        let file_key = open_parts(key, &self.wrapped_key)?;
        let file_key: Zeroizing<[u8; KEY_LEN]> =
            Zeroizing::new(file_key.as_slice().try_into().ok()?);
        open_parts(&file_key, &self.contents)
    }
}

/// Splits `nonce:tag:ciphertext`, each in hex.
fn parts_of(text: &[u8]) -> Option<Parts> {
    let mut parts = text.split(|byte| *byte == b':');
    let (nonce, tag, ciphertext) = (parts.next()?, parts.next()?, parts.next()?);
    let (mut found, bytes) = (([0; NONCE_LEN], [0; TAG_LEN]), hex::decode(ciphertext).ok()?);
    hex::decode_to_slice(nonce, &mut found.0).ok()?;
    hex::decode_to_slice(tag, &mut found.1).ok()?;
    parts.next().is_none().then_some(Parts { nonce: found.0, tag: found.1, ciphertext: bytes })
}

fn open_parts(key: &[u8; KEY_LEN], parts: &Parts) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = Aes256Gcm::new(key.into());
    let mut bytes = Zeroizing::new(parts.ciphertext.clone());
    let (nonce, tag) = (Nonce::from(parts.nonce), Tag::from(parts.tag));
    cipher.decrypt_inout_detached(&nonce, b"", bytes.as_mut_slice().into(), &tag).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Computed with Python's hashlib.scrypt and the AESGCM of its package `cryptography`.
    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef";
    const WORDS: &str = "thirty-two bytes of another kind";
    const ENVELOPE: &str = "49445357016465666768696a6b6c6d6e6f2bf497144128b1845fdb11d05050c9a7\
        fd0ce44c20b758cb02b95af758ff3498e7707220d610b2b85e7eef5d1a96205cc8c9cacbcccdcecfd0d1d2d3\
        aa8389b405f1a88146909f41322ec72e705812beeaaa9245";
    const VALUE: &str = "32333435363738393a3b3c3d:9527783b8ac968f1ac2e05cbc43aa634:\
        398f51f97ee788541f5bbb1047eb";
    const VALUE_OF_WORDS: &str = "32333435363738393a3b3c3d:587f6936b905928e5c63b137637cc0c9:\
        a65d29ff5a1684e4dc311811b724";

    fn key(text: &str) -> AppKey {
        AppKey::derive(text.as_bytes())
    }

    /// E-22
    #[test]
    fn derived_keys_are_those_of_the_stack() {
        let derived = |text: &str| (hex::encode(*key(text).storage), hex::encode(*key(text).vault));
        assert_eq!(
            derived(KEY).0,
            "526a5cf8daab07bf62855dbf7b846613d493e29f93d9812049aa65ddadc84daf"
        );
        assert_eq!(derived(KEY).1, KEY.to_lowercase());
        assert_eq!(
            derived(WORDS).0,
            "d7c0127edf5b8f9ba5f03debeab3d93c373df496f4b8ad56c8f7de582416c46d"
        );
        assert_eq!(derived(WORDS).1, sha256(WORDS.as_bytes()).to_string());
        assert_eq!(
            api_key_secret_fingerprint(b"an api key secret of some length"),
            "36380963016ebd0d"
        );
    }

    /// E-22
    #[test]
    fn a_key_opens_what_it_encrypted_and_no_other_key_does() {
        let file = hex::decode(ENVELOPE).unwrap();
        assert!(is_envelope(&file) && file.len() == ENVELOPE_HEADER_LEN + 8);
        assert_eq!(key(KEY).open_file(&file).unwrap().as_slice(), b"a selfie");
        assert_eq!(key(KEY).fits_file(&file), Fit::Fits);
        // For files the case of a digit counts, for values it does not.
        let lower = key(&KEY.to_lowercase());
        assert_eq!(lower.fits_file(&file), Fit::DoesNotFit);
        assert_eq!(lower.fits_value(VALUE.as_bytes()), Fit::Fits);
        assert_eq!(
            key(KEY).open_value(VALUE.as_bytes()).unwrap().as_slice(),
            b"{\"name\":\"Ada\"}"
        );
        assert_eq!(key(WORDS).fits_value(VALUE_OF_WORDS.as_bytes()), Fit::Fits);
        for (text, value) in [(KEY, VALUE_OF_WORDS), (WORDS, VALUE)] {
            assert_eq!(key(text).fits_value(value.as_bytes()), Fit::DoesNotFit);
        }
        assert_eq!(key(WORDS).fits_file(&file), Fit::DoesNotFit);
    }

    /// E-22
    #[test]
    fn a_flipped_bit_does_not_fit_and_other_files_are_not_encrypted() {
        let (key, file) = (key(KEY), hex::decode(ENVELOPE).unwrap());
        for at in ENVELOPE_MAGIC.len()..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(key.fits_file(&damaged), Fit::DoesNotFit, "byte {at}");
        }
        for other in [&b""[..], b"\xff\xd8\xff\xe0", b"IDSW\x02", &file[..92]] {
            assert_eq!(key.fits_file(other), Fit::NotEncrypted);
        }
        for other in ["", "a:b:c", &VALUE[2..], &format!("{VALUE}:00"), "\\N"] {
            assert_eq!(key.fits_value(other.as_bytes()), Fit::NotEncrypted, "{other}");
        }
    }
}

//! A writer of age files of its own, from the age specification and primitives alone, with every
//! random choice fixed: so its files are the same on every run, and can be wrong on purpose.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The file key of every vector.
pub const FILE_KEY: [u8; 16] = [0x42; 16];
const NONCE: [u8; 16] = [0x17; 16];
const TAG_LEN: usize = 16;

/// Plaintext bytes of a full piece.
pub const PIECE_LEN: usize = 64 * 1024;

/// An X25519 key pair. Its public half is that of the Ed25519 key of the same scalar, mapped to
/// the Montgomery curve (RFC 7748, §4.1), so no further crate is needed.
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// Makes the pair of a seed.
    pub fn of(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_montgomery().to_bytes()
    }

    fn shared_with(&self, other: &Self) -> [u8; 32] {
        let point = other.0.verifying_key().to_montgomery();
        point.mul_clamped(self.0.to_scalar_bytes()).to_bytes()
    }

    /// Returns the secret half as an age identity.
    pub fn identity(&self) -> String {
        let prefix = bech32::Hrp::parse("age-secret-key-").expect("the prefix is valid");
        age_core::primitives::bech32_encode(prefix, &self.0.to_scalar_bytes()).to_uppercase()
    }

    /// Returns a stanza that wraps the file key to this pair.
    pub fn stanza(&self, ephemeral_seed: u8) -> String {
        let (share, body) = self.wrap(ephemeral_seed, &FILE_KEY);
        stanza_of(&share, &body)
    }

    /// Returns a share, and a file key wrapped to this pair.
    pub fn wrap(&self, ephemeral_seed: u8, file_key: &[u8]) -> ([u8; 32], Vec<u8>) {
        let ephemeral = Self::of(ephemeral_seed);
        let (share, shared) = (ephemeral.public(), ephemeral.shared_with(self));
        (share, self.wrap_with(&share, &shared, file_key))
    }

    /// Returns a file key wrapped to this pair under any share and shared secret.
    pub fn wrap_with(&self, share: &[u8; 32], shared: &[u8; 32], file_key: &[u8]) -> Vec<u8> {
        let salt = [*share, self.public()].concat();
        encrypt(&expand(&salt, shared, b"age-encryption.org/v1/X25519"), &[0; 12], file_key)
    }
}

/// Returns a stanza of a share and a body, in the format's one spelling.
pub fn stanza_of(share: &[u8], body: &[u8]) -> String {
    let (share, body) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(body));
    format!("-> X25519 {share}\n{body}\n")
}

fn expand(salt: &[u8], key: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(info, &mut out).expect("32 bytes are few");
    out
}

fn encrypt(key: &[u8; 32], nonce: &[u8; 12], plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let tag = ChaCha20Poly1305::new(&(*key).into())
        .encrypt_inout_detached(&(*nonce).into(), b"", sealed.as_mut_slice().into())
        .expect("the plaintext is short");
    sealed.extend_from_slice(&tag);
    sealed
}

/// Returns a header of these stanzas with its MAC, and the payload nonce.
pub fn header(stanzas: &[String]) -> Vec<u8> {
    finish(&format!("age-encryption.org/v1\n{}---", stanzas.concat()), &FILE_KEY, |mac| {
        format!(" {mac}")
    })
}

/// Returns a header that begins so, whatever follows the three hyphens, and the payload nonce.
pub fn finish(text: &str, file_key: &[u8], after: impl FnOnce(&str) -> String) -> Vec<u8> {
    let key = expand(&[], file_key, b"header");
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key).expect("any length");
    mac.update(text.as_bytes());
    let mac = STANDARD_NO_PAD.encode(mac.finalize().into_bytes());
    [text.as_bytes(), after(&mac).as_bytes(), b"\n", &NONCE].concat()
}

/// Returns one sealed piece.
pub fn piece(index: u64, is_last: bool, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = u8::from(is_last);
    encrypt(&expand(&NONCE, &FILE_KEY, b"payload"), &nonce, plain)
}

/// Seals to a key pair as a writer must.
pub fn seal(to: &KeyPair, plain: &[u8]) -> Vec<u8> {
    let mut sealed = header(&[to.stanza(2)]);
    let mut pieces: Vec<&[u8]> = plain.chunks(PIECE_LEN).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    for (index, plain) in (0..).zip(&pieces) {
        sealed.extend(piece(index, index + 1 == pieces.len() as u64, plain));
    }
    assert_eq!(sealed.len(), 184 + plain.len() + TAG_LEN * pieces.len());
    sealed
}

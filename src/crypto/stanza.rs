//! The stanza of a sealed object: its file key, wrapped to one X25519 recipient. Spec: §4.1.
//!
//! ```text
//! wrap key     HKDF-SHA-256(ikm = X25519(ephemeral, recipient),
//!                           salt = ephemeral share ‖ recipient,
//!                           info = "age-encryption.org/v1/X25519")
//! sealed key   ChaCha20-Poly1305(wrap key, nonce = 12 zeros, file key)
//! ```
//!
//! The `age` crate wraps in the same way, but draws the ephemeral key itself. Here everything that
//! is random comes from [`Entropy`], so the same entropy makes the same bytes.

use age_core::format::FileKey;
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::Error;
use super::seal::{SealingRecipient, expand};
use crate::base::{Entropy, entropy};

const WRAP_LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// Wraps a file key with a new ephemeral key; returns the stanza's two lines.
///
/// # Errors
/// If the recipient is a point of small order, with which nobody shares a secret.
pub fn wrap(
    recipient: &SealingRecipient,
    file_key: &FileKey,
    entropy: &dyn Entropy,
) -> Result<String, Error> {
    let ephemeral = StaticSecret::from(entropy::draw(entropy));
    let share = PublicKey::from(&ephemeral);
    let recipient = recipient.public_key();
    let shared = ephemeral.diffie_hellman(&recipient);
    if !shared.was_contributory() {
        return Err(Error::Wrap("the recipient is of small order".to_owned()));
    }
    let salt = [*share.as_bytes(), *recipient.as_bytes()].concat();
    let wrap_key = expand(&salt, shared.as_bytes(), WRAP_LABEL);
    let cipher = ChaCha20Poly1305::new(wrap_key.as_slice().try_into().expect("it has 32 bytes"));
    let mut sealed = Zeroizing::new(file_key.expose_secret().to_vec());
    let tag = cipher
        .encrypt_inout_detached(&[0; 12].into(), b"", sealed.as_mut_slice().into())
        .expect("a file key is far below the cipher's limit");
    sealed.extend_from_slice(&tag);
    let (share, sealed) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(&sealed));
    Ok(format!("-> X25519 {share}\n{sealed}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;

    #[test]
    fn a_recipient_of_small_order_is_refused() {
        let prefix = bech32::Hrp::parse("age").unwrap();
        let text = age_core::primitives::bech32_encode(prefix, &[0; 32]);
        let recipient = SealingRecipient::parse(&text).unwrap();
        let file_key = FileKey::new(Box::new([7; 16]));
        assert!(matches!(wrap(&recipient, &file_key, &SystemEntropy), Err(Error::Wrap(_))));
    }
}

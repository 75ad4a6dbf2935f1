//! The key schedule of a generation, all of it. Spec: §5.
//!
//! ```text
//! dedup secret                32 random bytes
//! chunk id key of a profile   derive_key("idswyft-vault/v1 chunk id <profile>", dedup secret)
//! gear table                  XOF(derive_key("idswyft-vault/v1 gear table", dedup secret))
//! index identity              derive_key("idswyft-vault/v1 index identity", dedup secret)
//! ```
//!
//! The host holds the dedup secret while the generation is open and erases it when it closes.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::identity::GenerationIdentity;
use crate::base::{ChunkId, Entropy, Profile, entropy};

/// The secret from which a generation's deduplication keys derive.
#[derive(ZeroizeOnDrop)]
pub struct DedupSecret([u8; 32]);

impl DedupSecret {
    /// Draws a new secret.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }

    /// Parses 64 hex digits; the error holds nothing of the text.
    ///
    /// # Errors
    /// If the text is not 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, bytes.as_mut_slice())?;
        Ok(Self(*bytes))
    }

    /// Returns the secret as hex, for the sealed generation file and the host's state only.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    /// Derives the key that names the chunks of one profile, so that ids of two profiles never
    /// meet and a tree never leans on a cold pack.
    pub fn chunk_id_key(&self, profile: Profile) -> ChunkIdKey {
        let context = match profile {
            Profile::Stream => "idswyft-vault/v1 chunk id stream",
            Profile::File => "idswyft-vault/v1 chunk id file",
            Profile::Meta => "idswyft-vault/v1 chunk id meta",
        };
        ChunkIdKey(blake3::derive_key(context, &self.0))
    }

    /// Derives the 2,048 bytes of the gear table.
    pub fn gear_material(&self) -> Zeroizing<[u8; 2048]> {
        let mut material = Zeroizing::new([0; 2048]);
        let mut hasher = blake3::Hasher::new_derive_key("idswyft-vault/v1 gear table");
        hasher.update(&self.0);
        hasher.finalize_xof().fill(material.as_mut_slice());
        hasher.zeroize();
        material
    }

    /// Derives the identity that opens the host's own index segments.
    pub fn index_identity(&self) -> GenerationIdentity {
        let secret = blake3::derive_key("idswyft-vault/v1 index identity", &self.0);
        GenerationIdentity::from_secret(&Zeroizing::new(secret))
    }
}

/// Names the chunks of one profile in one generation.
#[derive(ZeroizeOnDrop)]
pub struct ChunkIdKey([u8; 32]);

impl ChunkIdKey {
    /// Returns a chunk's id: BLAKE3 keyed with this key.
    pub fn id(&self, chunk: &[u8]) -> ChunkId {
        ChunkId::from_bytes(*blake3::keyed_hash(&self.0, chunk).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-51
    #[test]
    fn the_key_schedule_is_pinned() {
        let secret = DedupSecret::from_hex(&"42".repeat(32)).unwrap();
        let id = |profile| secret.chunk_id_key(profile).id(b"chunk").to_string();
        assert_ne!(id(Profile::Stream), id(Profile::File));
        assert_ne!(id(Profile::Meta), id(Profile::File));
        let expected = blake3::keyed_hash(
            &blake3::derive_key("idswyft-vault/v1 chunk id file", &[0x42; 32]),
            b"chunk",
        );
        assert_eq!(id(Profile::File), expected.to_hex().to_string());
        let identity = secret.index_identity();
        assert_eq!(
            identity.recipient().to_string(),
            secret.index_identity().recipient().to_string()
        );
    }
}

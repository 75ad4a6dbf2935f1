//! Sealed objects: age v1 files of one X25519 stanza, sealed and opened in parallel. Spec: §4.
//!
//! ```text
//! header    168 bytes   version line, one X25519 stanza, MAC line
//! nonce      16 bytes
//! payload   STREAM: pieces of 64 KiB, each followed by its 16-byte tag (the last may be shorter)
//! ```
//!
//! The layout is the age specification's (C2SP age); only the order of work is ours: any piece can
//! be sealed or opened on its own, so one object keeps all cores busy and a reader opens only what
//! it needs. Opening goes through `age::Decryptor`, which checks the header's MAC.

use std::sync::Mutex;

use age::secrecy::ExposeSecret;
use age_core::format::{FileKey, Stanza};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rayon::prelude::*;
use sha2::Sha256;
use x25519_dalek::PublicKey;
use zeroize::Zeroizing;

use super::identity::GenerationIdentity;
use super::{Error, stanza};
use crate::base::limits::{SEALED_HEADER_LEN, SEALED_PIECE_LEN, SEALED_TAG_LEN};
use crate::base::{Digest, Entropy, entropy};

const NONCE_LEN: usize = 16;
const PIECE_LEN_SEALED: usize = SEALED_PIECE_LEN + SEALED_TAG_LEN;

/// Pieces up to which who opens them does so alone: other cores are no sooner awake.
const ALONE_COUNT_MAX: usize = 24;

/// The recipient of a generation or of its index: what packs are sealed to.
#[derive(Clone)]
pub struct SealingRecipient(age::x25519::Recipient);

impl SealingRecipient {
    pub(super) const fn from_age(recipient: age::x25519::Recipient) -> Self {
        Self(recipient)
    }

    /// Parses an `age1…` X25519 recipient.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|reason: &str| Error::Recipient {
            text: text.chars().take(100).collect(),
            reason: reason.to_owned(),
        })
    }

    /// Returns the X25519 public key, which `age` gives as text only.
    pub(super) fn public_key(&self) -> PublicKey {
        let (_, key) = bech32::decode(&self.to_string()).expect("age composed the text");
        PublicKey::from(<[u8; 32]>::try_from(key).expect("age checked that it has 32 bytes"))
    }

    /// Returns the SHA-256 of the recipient's text, which is all that a store may hold of it.
    pub fn digest(&self) -> Digest {
        super::digest::sha256(self.to_string().as_bytes())
    }
}

impl std::fmt::Display for SealingRecipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whether a run of pieces ends its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// More pieces follow: every piece of the run is full.
    More,
    /// The last piece of the run is the object's last.
    Last,
}

/// The payload key of one object.
pub struct PayloadKey(ChaCha20Poly1305);

/// Starts a sealed object: returns its header and nonce, and the key for its pieces.
///
/// # Errors
/// If the recipient is a point of small order.
pub fn begin(
    recipient: &SealingRecipient,
    entropy: &dyn Entropy,
) -> Result<([u8; SEALED_HEADER_LEN], PayloadKey), Error> {
    let file_key = FileKey::new(Box::new(entropy::draw(entropy)));
    let nonce: [u8; NONCE_LEN] = entropy::draw(entropy);
    let mut bytes = header(&stanza::wrap(recipient, &file_key, entropy)?, &file_key);
    bytes.extend_from_slice(&nonce);
    let bytes = bytes.try_into().expect("an X25519 header has exactly this length");
    Ok((bytes, PayloadKey::derive(&file_key, &nonce)))
}

/// `header[file key](stanza)` of the age specification, unarmored and without grease.
fn header(stanza: &str, file_key: &FileKey) -> Vec<u8> {
    let mut text = format!("age-encryption.org/v1\n{stanza}---");
    let key = expand(&[], file_key.expose_secret(), b"header");
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.as_slice())
        .expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    text.push(' ');
    text.push_str(&STANDARD_NO_PAD.encode(mac.finalize().into_bytes()));
    text.push('\n');
    text.into_bytes()
}

pub(super) fn expand(salt: &[u8], key: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(label, out.as_mut_slice())
        .expect("32 bytes are within HKDF's limit");
    out
}

/// Captures the file key that `age::Decryptor` accepts, having checked the header's MAC with it.
struct Capture<'a> {
    identity: &'a age::x25519::Identity,
    file_key: Mutex<Option<Zeroizing<[u8; 16]>>>,
}

impl age::Identity for Capture<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let result = self.identity.unwrap_stanza(stanza)?;
        if let Ok(key) = &result {
            let mut slot = self.file_key.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *slot = Some(Zeroizing::new(*key.expose_secret()));
        }
        Some(result)
    }
}

/// Opens the header of a sealed object: `prefix` is its first [`SEALED_HEADER_LEN`] bytes or more.
///
/// # Errors
/// If the header is not authentic, not of this form, or sealed to another identity.
pub fn open_header(
    object: &str,
    prefix: &[u8],
    identity: &GenerationIdentity,
) -> Result<PayloadKey, Error> {
    let unreadable = |reason: String| Error::Unreadable { object: object.to_owned(), reason };
    let head = prefix.get(..SEALED_HEADER_LEN).ok_or_else(|| {
        unreadable(format!("it has {} bytes, its header needs {SEALED_HEADER_LEN}", prefix.len()))
    })?;
    let mac_line_at = SEALED_HEADER_LEN - NONCE_LEN - 48;
    if &head[mac_line_at..mac_line_at + 4] != b"--- " {
        return Err(unreadable("its header is not of one X25519 stanza".to_owned()));
    }
    let capture = Capture { identity: identity.as_age(), file_key: Mutex::new(None) };
    let decryptor = age::Decryptor::new(head).map_err(|e| unreadable(e.to_string()))?;
    decryptor.decrypt(std::iter::once(&capture as &dyn age::Identity)).map_err(|e| match e {
        // The generation's key is right, for its file opened: then the object is what is wrong.
        age::DecryptError::NoMatchingKeys => unreadable("it is sealed to another key".to_owned()),
        other => unreadable(other.to_string()),
    })?;
    let file_key = capture.file_key.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let file_key = file_key.expect("the decryptor accepts only a file key that we gave it");
    let nonce = &head[SEALED_HEADER_LEN - NONCE_LEN..];
    Ok(PayloadKey::derive(&FileKey::new(Box::new(*file_key)), nonce))
}

impl PayloadKey {
    fn derive(file_key: &FileKey, nonce: &[u8]) -> Self {
        let key = expand(nonce, file_key.expose_secret(), b"payload");
        Self(ChaCha20Poly1305::new(key.as_slice().try_into().expect("the key has 32 bytes")))
    }

    /// Seals consecutive pieces on all cores; `first` is the index of the first one.
    ///
    /// With [`Ending::More`] `plain` must be whole pieces.
    pub fn seal_pieces(&self, first: u64, ending: Ending, plain: &[u8]) -> Vec<u8> {
        debug_assert!(ending == Ending::Last || plain.len().is_multiple_of(SEALED_PIECE_LEN));
        let count = piece_count(plain.len());
        let mut sealed = vec![0; plain.len() + count * SEALED_TAG_LEN];
        let seal = |(index, (out, piece)): (usize, (&mut [u8], &[u8]))| {
            let (body, tag_out) = out.split_at_mut(piece.len());
            let both = InOutBuf::new(piece, body).expect("they were split alike");
            let nonce = stream_nonce(first, index, count, ending);
            let tag = self
                .0
                .encrypt_inout_detached(&nonce.into(), b"", both)
                .expect("a piece is far below the cipher's limit");
            tag_out.copy_from_slice(&tag);
        };
        if plain.is_empty() {
            seal((0, (&mut sealed, plain)));
        } else {
            sealed
                .par_chunks_mut(PIECE_LEN_SEALED)
                .zip(plain.par_chunks(SEALED_PIECE_LEN))
                .enumerate()
                .for_each(seal);
        }
        sealed
    }

    /// Opens consecutive pieces, many of them on all cores, in the place of what `plain` held; that
    /// is of no use unless every tag verifies.
    ///
    /// # Errors
    /// If a piece is not authentic, cut short, out of place or not the last when it must be.
    pub fn open_pieces(
        &self,
        object: &str,
        first: u64,
        ending: Ending,
        sealed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let count = sealed.len().div_ceil(PIECE_LEN_SEALED).max(1);
        let unreadable = |index: u64| Error::Unreadable {
            object: object.to_owned(),
            reason: format!("piece {index} is not authentic"),
        };
        // Every piece holds its tag and a byte at least; only an empty object has an empty piece.
        let last_len = sealed.len() - (count - 1) * PIECE_LEN_SEALED;
        let last_len_min = SEALED_TAG_LEN + usize::from(first > 0 || count > 1);
        if last_len < last_len_min {
            return Err(unreadable(first + (count - 1) as u64));
        }
        let plain_len = sealed.len() - count * SEALED_TAG_LEN;
        if !sealed.len().is_multiple_of(PIECE_LEN_SEALED) && ending == Ending::More {
            return Err(unreadable(first + (count - 1) as u64));
        }
        plain.resize(plain_len, 0);
        let open = |(index, (out, piece)): (usize, (&mut [u8], &[u8]))| {
            let at = first + index as u64;
            let (body, tag) = piece.split_at(piece.len() - SEALED_TAG_LEN);
            let both = InOutBuf::new(body, out).expect("they were split alike");
            let nonce = stream_nonce(first, index, count, ending);
            let tag = tag.try_into().expect("the tag was split off with its length");
            self.0
                .decrypt_inout_detached(&nonce.into(), b"", both, &tag)
                .map_err(|_| unreadable(at))
        };
        if plain.is_empty() {
            return open((0, (plain, sealed)));
        }
        if count <= ALONE_COUNT_MAX {
            let pieces = plain.chunks_mut(SEALED_PIECE_LEN);
            return pieces.zip(sealed.chunks(PIECE_LEN_SEALED)).enumerate().try_for_each(open);
        }
        let pieces = plain.par_chunks_mut(SEALED_PIECE_LEN);
        pieces.zip(sealed.par_chunks(PIECE_LEN_SEALED)).enumerate().try_for_each(open)
    }
}

/// The STREAM nonce of piece `first + index`: an 11-byte big-endian counter and the last flag.
fn stream_nonce(first: u64, index: usize, count: usize, ending: Ending) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(first + index as u64).to_be_bytes());
    nonce[11] = u8::from(ending == Ending::Last && index + 1 == count);
    nonce
}

fn piece_count(plain_len: usize) -> usize {
    plain_len.div_ceil(SEALED_PIECE_LEN).max(1)
}

/// Returns the stored length of a sealed object with `plain_len` bytes of plaintext.
pub fn sealed_len(plain_len: u64) -> u64 {
    let pieces = plain_len.div_ceil(SEALED_PIECE_LEN as u64).max(1);
    SEALED_HEADER_LEN as u64 + plain_len + pieces * SEALED_TAG_LEN as u64
}

/// Returns the plaintext length of a sealed object, or `None` if no plaintext has that length.
pub fn plain_len(sealed_len: u64) -> Option<u64> {
    let payload = sealed_len.checked_sub(SEALED_HEADER_LEN as u64)?;
    let pieces = payload.div_ceil(PIECE_LEN_SEALED as u64).max(1);
    let plain = payload.checked_sub(pieces * SEALED_TAG_LEN as u64)?;
    (self::sealed_len(plain) == sealed_len).then_some(plain)
}

/// Seals a small object whole.
///
/// # Errors
/// If the recipient is a point of small order.
pub fn seal(
    recipient: &SealingRecipient,
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let (header, key) = begin(recipient, entropy)?;
    let mut sealed = header.to_vec();
    sealed.extend(key.seal_pieces(0, Ending::Last, plain));
    Ok(sealed)
}

/// Opens a small object whole.
///
/// # Errors
/// If the identity does not match or the object is not authentic.
pub fn open(
    object: &str,
    sealed: &[u8],
    identity: &GenerationIdentity,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = open_header(object, sealed, identity)?;
    let mut plain = Zeroizing::default();
    key.open_pieces(object, 0, Ending::Last, &sealed[SEALED_HEADER_LEN..], &mut plain)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;

    fn pattern(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    const LENS: [usize; 8] = [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 400_000];

    /// V-17
    #[test]
    fn the_age_crate_opens_what_we_seal_and_its_length_is_the_formula() {
        let identity = GenerationIdentity::generate(&SystemEntropy);
        for len in LENS {
            let plain = pattern(len);
            let sealed = seal(&identity.recipient(), &plain, &SystemEntropy).unwrap();
            assert_eq!(sealed.len() as u64, sealed_len(len as u64));
            assert_eq!(plain_len(sealed.len() as u64), Some(len as u64));
            assert_eq!(age::decrypt(identity.as_age(), &sealed).unwrap(), plain);
            assert_eq!(*open("x", &sealed, &identity).unwrap(), plain);
        }
    }

    /// V-25
    #[test]
    fn a_run_of_pieces_opens_on_its_own() {
        let identity = GenerationIdentity::generate(&SystemEntropy);
        let plain = pattern(400_000);
        let sealed = seal(&identity.recipient(), &plain, &SystemEntropy).unwrap();
        let key = open_header("x", &sealed, &identity).unwrap();
        let at = SEALED_HEADER_LEN + 2 * PIECE_LEN_SEALED;
        let run = &sealed[at..at + 3 * PIECE_LEN_SEALED];
        let mut opened = vec![7; 9];
        key.open_pieces("x", 2, Ending::More, run, &mut opened).unwrap();
        assert_eq!(opened, plain[2 * SEALED_PIECE_LEN..5 * SEALED_PIECE_LEN]);
        assert!(key.open_pieces("x", 3, Ending::More, run, &mut opened).is_err());
    }

    /// V-22
    #[test]
    fn any_flipped_bit_truncation_or_extension_is_refused() {
        let identity = GenerationIdentity::generate(&SystemEntropy);
        let sealed = seal(&identity.recipient(), &pattern(70_000), &SystemEntropy).unwrap();
        for at in (0..SEALED_HEADER_LEN).chain([300, 65_000, 66_000, sealed.len() - 1]) {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open("x", &damaged, &identity).is_err(), "byte {at}");
        }
        for len in [0, 100, 183, 184, 199, 200, 65_736, sealed.len() - 1] {
            assert!(open("x", &sealed[..len], &identity).is_err(), "length {len}");
        }
        let mut longer = sealed.clone();
        longer.push(0);
        assert!(open("x", &longer, &identity).is_err());
    }

    #[test]
    fn the_same_entropy_seals_the_same_bytes() {
        struct Counting(std::sync::atomic::AtomicU8);
        impl Entropy for Counting {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            }
        }
        let sealed = || {
            let entropy = Counting(1.into());
            let recipient = GenerationIdentity::generate(&entropy).recipient();
            seal(&recipient, &pattern(70_000), &entropy).unwrap()
        };
        assert_eq!(sealed(), sealed());
    }

    #[test]
    fn an_object_sealed_to_another_key_is_unreadable() {
        let sealed =
            seal(&GenerationIdentity::generate(&SystemEntropy).recipient(), b"x", &SystemEntropy)
                .unwrap();
        let error = open("x", &sealed, &GenerationIdentity::generate(&SystemEntropy)).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }));
    }
}

//! Targets that begin behind the seal: what a host that lies has sealed, opened by whoever may.

use std::sync::{Arc, OnceLock};

use idswyft_vault::base::{PackId, Profile, SystemClock, SystemEntropy};
use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::seal::{self, Ending, PayloadKey};
use idswyft_vault::format::pack::PackOwner;
use idswyft_vault::format::segment::SegmentReader;
use idswyft_vault::format::{Folder, ObjectKey, frame};
use idswyft_vault::store::{MemoryStore, Store as _};
use idswyft_vault::vault::pack_reader::OpenPack;

use super::{DOCUMENT_LEN_MAX, generation, read_body, vault};

/// The generation whose objects are opened, and a key whose header is made once.
fn sealing() -> &'static (GenerationIdentity, Vec<u8>, PayloadKey) {
    static SEALING: OnceLock<(GenerationIdentity, Vec<u8>, PayloadKey)> = OnceLock::new();
    SEALING.get_or_init(|| {
        let identity = GenerationIdentity::generate(&SystemEntropy);
        let begun = seal::begin(&identity.recipient(), &SystemEntropy);
        let (header, key) = begun.expect("an X25519 recipient takes a file key");
        (identity, header.to_vec(), key)
    })
}

/// Seals a plaintext, as nobody but a host that lies would.
fn seal_plain(plain: &[u8]) -> Vec<u8> {
    let (_, header, key) = sealing();
    [header.as_slice(), &key.seal_pieces(0, Ending::Last, plain)].concat()
}

/// Opens the bytes themselves, and the sound object with these bytes laid over it.
pub fn sealed(data: &[u8]) {
    let (identity, ..) = sealing();
    let _ = seal::open("fuzz", data, identity);
    let sound = seal_plain(b"contents");
    if let Some((at, laid)) = data.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*at)) % sound.len();
        let end = sound.len().min(at + laid.len());
        let mut changed = sound.clone();
        changed[at..end].copy_from_slice(&laid[..end - at]);
        let opened = seal::open("fuzz", &changed, identity);
        assert_eq!(opened.is_ok(), changed == sound, "every byte is authenticated");
    }
}

/// What an operator's program does with a pack that a lying host has sealed.
pub fn pack_after_decryption(data: &[u8]) {
    let owner = PackOwner { vault: vault(), generation: generation(), profile: Profile::Stream };
    let store = MemoryStore::new("fuzz", Arc::new(SystemClock));
    let key = ObjectKey::Pack(PackId::from_bytes([3; 32]));
    store.plant(&key.to_string(), &seal_plain(data));
    let Ok(pack) = OpenPack::open(&store, key, &sealing().0, owner) else { return };
    let chunks = pack.chunks();
    let count = pack.blocks().len();
    if let Ok(blocks) = pack.read_blocks(0..count) {
        let sum: u64 = blocks.iter().map(|block| block.len() as u64).sum();
        assert_eq!(sum, pack.blocks().raw_len());
    }
    drop(chunks);
    assert!(store.list(Folder::Packs).is_ok());
}

/// The same of a body: the bytes as its plaintext, and as its content.
pub fn body_after_decryption(data: &[u8]) {
    let (identity, ..) = sealing();
    for plain in [data.to_vec(), frame::encode_document(data, 1)] {
        let opened = seal::open("fuzz", &seal_plain(&plain), identity).expect("it was sealed");
        assert!(*opened == plain);
        if let Ok(json) = frame::decode_document(&opened, DOCUMENT_LEN_MAX) {
            read_body(&json);
        }
    }
}

/// The same of a segment.
pub fn segment_after_decryption(data: &[u8]) {
    let (identity, ..) = sealing();
    for plain in [data.to_vec(), frame::encode_document(data, 1)] {
        let opened = seal::open("fuzz", &seal_plain(&plain), identity).expect("it was sealed");
        let Ok(stream) = zstd::Decoder::with_buffer(opened.as_slice()) else { continue };
        let Ok(mut reader) = SegmentReader::open(stream) else { continue };
        let mut packs = std::iter::from_fn(|| reader.next_pack().transpose());
        if packs.by_ref().all(|pack| pack.is_ok()) {
            while let Ok(Some(_)) = reader.next_use() {}
        }
    }
}

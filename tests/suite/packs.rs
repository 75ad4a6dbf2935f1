//! Packs as bytes (§4): laid out as the spec's tables have it, read whole and by range.

use std::sync::Arc;

use idswyft_vault::base::{
    ChunkId, Code, Coded, GenerationId, Profile, SystemClock, SystemEntropy, VaultId,
};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::seal;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::frame::{Compression, encode_block};
use idswyft_vault::format::pack::{
    BlockEntry, Blocks, ChunkEntry, DirectoryBuilder, Footer, PackError, PackOwner, check_padding,
    parse_chunks,
};
use idswyft_vault::format::padme::padded_len;
use idswyft_vault::store::{Content, MemoryStore, Store};
use idswyft_vault::vault::pack_reader::OpenPack;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

const FOOTER_LEN: usize = 104;
const VAULT: VaultId = VaultId::from_bytes([0xab; 16]);

fn owner(profile: Profile) -> PackOwner {
    let generation: GenerationId = "20261122T023000Z-00000001".parse().expect("an id");
    PackOwner { vault: VAULT, generation, profile }
}

/// Content that does not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("test content is short")
}

/// Returns the plaintext of a pack of these blocks, each of chunks of at most 1,000 bytes.
fn plaintext(profile: Profile, blocks: &[&[u8]]) -> Vec<u8> {
    let mut directory = DirectoryBuilder::new(owner(profile));
    let mut plain = Vec::new();
    for raw in blocks {
        let frame = encode_block(raw, Compression::Level(3));
        let chunks: Vec<ChunkEntry> = raw
            .chunks(1000)
            .map(|chunk| ChunkEntry {
                id: ChunkId::from_bytes(*blake3::hash(chunk).as_bytes()),
                raw_len: len_u32(chunk.len()),
            })
            .collect();
        let block = BlockEntry { frame_len: len_u32(frame.len()), raw_len: len_u32(raw.len()) };
        directory.push(block, &chunks);
        plain.extend(frame);
    }
    assert_eq!(directory.content_len(), (plain.len() + 16 + directory_len(blocks)) as u64);
    plain.extend(directory.finish());
    plain
}

fn directory_len(blocks: &[&[u8]]) -> usize {
    let chunk_count: usize = blocks.iter().map(|raw| raw.len().div_ceil(1000)).sum();
    36 * chunk_count + 8 * blocks.len() + FOOTER_LEN
}

/// Reads a directory whole.
fn read(plain: &[u8]) -> Result<(Footer, Blocks, Vec<ChunkEntry>), PackError> {
    let footer = Footer::parse(plain, plain.len() as u64)?;
    let blocks = Blocks::parse(&footer, plain)?;
    let chunks = parse_chunks(&footer, &blocks, plain)?;
    let frames_len = usize::try_from(footer.frames_len).expect("it is in memory");
    check_padding(&footer, &plain[frames_len..])?;
    Ok((footer, blocks, chunks))
}

/// V-26
#[test]
fn a_pack_plaintext_is_a_zstd_stream_of_its_chunks_back_to_back() {
    let (first, second) = (noise(150_000), vec![b'a'; 70_001]);
    let plain = plaintext(Profile::Stream, &[&first, &second]);
    let streamed = zstd::decode_all(plain.as_slice()).unwrap();
    assert_eq!(streamed, [first, second].concat());
}

/// V-30, V-33
#[test]
fn a_footer_has_its_fields_where_the_spec_says() {
    let raw = noise(2500);
    let plain = plaintext(Profile::File, &[&raw]);
    let frame_len = encode_block(&raw, Compression::Level(3)).len();
    let directory_len = directory_len(&[&raw]);
    let padding_len = plain.len() - frame_len - 16 - directory_len;
    let mut expected = b"IDSWPACK\x01\x00\x00\x00\x02\x00\x00\x00".to_vec();
    expected.extend([0xab; 16]);
    expected.extend(b"20261122T023000Z-00000001\0\0\0\0\0\0\0");
    expected.extend(3_u32.to_le_bytes());
    expected.extend(1_u32.to_le_bytes());
    for len in [2500, frame_len, directory_len] {
        expected.extend((len as u64).to_le_bytes());
    }
    expected.extend(len_u32(padding_len).to_le_bytes());
    expected.extend([0; 4]);
    assert_eq!(expected.len(), FOOTER_LEN);
    assert_eq!(&plain[plain.len() - FOOTER_LEN..], expected);
    let head = &plain[plain.len() - 8 - directory_len..][..8];
    assert_eq!(head[..4], [0x51, 0x2a, 0x4d, 0x18]);
    assert_eq!(head[4..], len_u32(directory_len).to_le_bytes());
    assert_eq!(plain[frame_len..frame_len + 4], [0x50, 0x2a, 0x4d, 0x18]);
}

/// V-33
#[test]
fn bytes_that_are_zero_in_a_footer_are_not_looked_at() {
    let plain = plaintext(Profile::Stream, &[b"content"]);
    for at in [13, 15, 57, 63, 100, 103] {
        let mut later = plain.clone();
        let start = later.len() - FOOTER_LEN;
        later[start + at] = 1;
        assert!(read(&later).is_ok(), "{at}");
    }
}

/// V-27, V-28
#[test]
fn a_pack_plaintext_has_the_padded_length_of_its_content() {
    for len in [1, 1000, 65_000, 65_536, 100_000, 1_000_000, 3_000_000] {
        let raw = noise(len);
        let plain = plaintext(Profile::Stream, &[&raw]);
        let frame_len = encode_block(&raw, Compression::Level(3)).len();
        let content_len = frame_len + 8 + 8 + directory_len(&[&raw]);
        assert_eq!(plain.len() as u64, padded_len(content_len as u64));
    }
}

/// V-39
#[test]
fn offsets_are_the_sums_of_the_lengths_before() {
    let raw = [noise(1500), noise(1), noise(2999)];
    let plain = plaintext(Profile::Stream, &[&raw[0], &raw[1], &raw[2]]);
    let (footer, blocks, chunks) = read(&plain).unwrap();
    assert_eq!((footer.raw_len, blocks.raw_len()), (4500, 4500));
    let ranges: Vec<_> = (0..blocks.len()).map(|index| blocks.raw_range(index)).collect();
    assert_eq!(ranges, [0..1500, 1500..1501, 1501..4500]);
    assert_eq!([0, 1499, 1500, 1501, 4499].map(|at| blocks.at_raw(at)), [0, 0, 1, 2, 2]);
    let lens: Vec<u32> = chunks.iter().map(|chunk| chunk.raw_len).collect();
    assert_eq!(lens, [1000, 500, 1, 1000, 1000, 999]);
    assert_eq!(blocks.frame_range(2).end, footer.frames_len);
}

proptest! {
    /// V-30, V-39, V-43
    #[test]
    fn a_damaged_directory_is_refused_or_adds_up(at in any::<usize>(), byte in any::<u8>()) {
        let mut plain = plaintext(Profile::Stream, &[&noise(2500), b"second"]);
        let (sound, _, _) = read(&plain).unwrap();
        let start = usize::try_from(sound.frames_len).unwrap();
        let at = start + at % (plain.len() - start);
        plain[at] = byte;
        if let Ok((footer, blocks, chunks)) = read(&plain) {
            let sum: u64 = chunks.iter().map(|chunk| u64::from(chunk.raw_len)).sum();
            prop_assert_eq!(sum, footer.raw_len);
            prop_assert_eq!(blocks.raw_len(), footer.raw_len);
            prop_assert!(footer.raw_len == sound.raw_len);
        }
    }

    /// V-30
    #[test]
    fn any_bytes_are_a_directory_or_an_error(bytes in any::<Vec<u8>>(), len in any::<u64>()) {
        let _ = Footer::parse(&bytes, len);
        let _ = read(&bytes);
    }
}

/// A store with one sealed pack under a name of the given folder.
fn stored(
    plain: &[u8],
    folder: fn(&str) -> String,
) -> (MemoryStore, ObjectKey, GenerationIdentity) {
    let identity = GenerationIdentity::generate(&SystemEntropy);
    let sealed = seal::seal(&identity.recipient(), plain, &SystemEntropy).expect("it seals");
    let digest = sha256(&sealed);
    let key = folder(&digest.to_string()).parse().expect("the name is well formed");
    let store = MemoryStore::new("packs", Arc::new(SystemClock));
    store.put_new(&key, Content::Bytes(&sealed), &digest).expect("the store is empty");
    (store, key, identity)
}

fn pack_name(digest: &str) -> String {
    format!("packs/{}/{digest}", &digest[..2])
}

fn tree_name(digest: &str) -> String {
    format!("trees/{}/{digest}", &digest[..2])
}

/// V-25
#[test]
fn blocks_are_read_by_the_pieces_that_hold_them() {
    let raw = [noise(200_000), vec![b'a'; 50_000], noise(90_000)];
    let plain = plaintext(Profile::Stream, &[&raw[0], &raw[1], &raw[2]]);
    let (store, key, identity) = stored(&plain, pack_name);
    let pack = OpenPack::open(&store, key, &identity, owner(Profile::Stream)).unwrap();
    for (index, raw) in raw.iter().enumerate() {
        assert_eq!(pack.read_blocks(index..index + 1).unwrap(), std::slice::from_ref(raw));
    }
    assert_eq!(pack.read_blocks(0..3).unwrap().concat(), raw.concat());
    assert_eq!(pack.chunks().unwrap().len(), 200 + 50 + 90);
}

/// V-34, V-35
#[test]
fn a_pack_of_another_owner_or_profile_is_foreign() {
    let plain = plaintext(Profile::Stream, &[b"content"]);
    let (store, key, identity) = stored(&plain, tree_name);
    let owned = owner(Profile::Stream);
    let vault = PackOwner { vault: VaultId::from_bytes([1; 16]), ..owned };
    let generation = "20261122T023000Z-00000002".parse().unwrap();
    for other in [vault, PackOwner { generation, ..owned }, owner(Profile::Meta)] {
        let error = OpenPack::open(&store, key, &identity, other).err().unwrap();
        assert_eq!(error.code(), Code::ObjectForeign);
    }
}

/// V-18
#[test]
fn two_seals_of_the_same_bytes_share_no_key() {
    let recipient = GenerationIdentity::generate(&SystemEntropy).recipient();
    let seal = || seal::seal(&recipient, b"content", &SystemEntropy).unwrap();
    let (first, second) = (seal(), seal());
    for part in [32..75, 76..119, 168..184, 184..first.len()] {
        assert_ne!(first[part.clone()], second[part]);
    }
}

/// V-20
#[test]
fn a_length_that_no_plaintext_has_is_refused() {
    let plain = plaintext(Profile::Stream, &[&noise(70_000)]);
    let identity = GenerationIdentity::generate(&SystemEntropy);
    let mut sealed = seal::seal(&identity.recipient(), &plain, &SystemEntropy).unwrap();
    let whole_len = 184 + 65_552;
    sealed.truncate(whole_len + 8);
    let digest = sha256(&sealed);
    let key: ObjectKey = pack_name(&digest.to_string()).parse().unwrap();
    let store = MemoryStore::new("packs", Arc::new(SystemClock));
    store.put_new(&key, Content::Bytes(&sealed), &digest).unwrap();
    let error = OpenPack::open(&store, key, &identity, owner(Profile::Stream)).err().unwrap();
    assert_eq!(error.code(), Code::FormatInvalid);
    for len in [0, 183, 184, 199, whole_len as u64 + 16] {
        assert_eq!(seal::plain_len(len), None, "{len}");
    }
    assert_eq!(seal::plain_len(200), Some(0));
}

//! One bit at a time: of every signed object, of every sealed header and payload, and of packs that
//! whoever holds the recipient seals again.

use std::ops::Range;

use idswyft_vault::base::{Code, SystemEntropy};
use idswyft_vault::crypto::seal;
use idswyft_vault::format::ObjectKey;

use super::shelf::Shelf;
use crate::support::{Figure, Random, is_long};

/// Bytes of a sealed object's header and payload nonce, and of the tag after its last piece.
const HEADER_LEN: usize = 184;
const TAG_LEN: usize = 16;
/// Bytes of a pack's footer, from its end, that a reader ignores: V-33.
/// Longest header of a zstd frame without a dictionary (RFC 8878, §3.1.1.1): magic number,
/// descriptor, window descriptor, content size.
const FRAME_HEADER_LEN_MAX: usize = 4 + 1 + 1 + 8;
const FREE: [Range<usize>; 3] = [13..16, 57..64, 100..104];

const fn is_sealed(key: &ObjectKey) -> bool {
    matches!(
        key,
        ObjectKey::Pack(_) | ObjectKey::Tree(_) | ObjectKey::Body(_) | ObjectKey::Segment(_)
    )
}

/// Flips one bit, and asserts that the reader refuses the object by its name.
fn assert_refused(shelf: &Shelf, key: &ObjectKey, bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
    let read = shelf.with(key, bytes, |shelf| shelf.read(key));
    bytes[bit / 8] ^= 1 << (bit % 8);
    let Err(refused) = read else { panic!("{key}: bit {} of byte {} is free", bit % 8, bit / 8) };
    let name = key.to_string();
    // An event is proven by the checkpoint after it, so either may be named.
    let place = match key {
        ObjectKey::LedgerEvent(..) => name.strip_suffix("json").unwrap(),
        _ => &name,
    };
    assert!(refused.contains(place), "{key}: {refused}");
}

/// V-95, V-117, V-122
#[test]
fn every_bit_of_a_signed_object_counts() {
    let shelf = Shelf::new();
    let mut random = Random::new();
    let mut count = 0;
    let mut kinds = std::collections::BTreeSet::new();
    for (key, sound) in shelf.objects.iter().filter(|(key, _)| !is_sealed(key)) {
        shelf.read(key).unwrap();
        kinds.insert(key.folder());
        let mut bytes = sound.clone();
        for at in 0..bytes.len() {
            // Opening a generation file anew costs the most, and age itself has its own tests.
            let is_costly = !is_long() && matches!(key, ObjectKey::Generation(..));
            let one = random.index(8);
            for bit in (0..8).filter(|bit| !is_costly || *bit == one) {
                assert_refused(&shelf, key, &mut bytes, at * 8 + bit);
                count += 1;
            }
        }
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let what = "bits flipped in notes, lists, events, checkpoints and generation files";
    Figure { what, test: "every_bit_of_a_signed_object_counts" }.record(count);
}

/// V-21, V-22
#[test]
fn every_bit_of_a_sealed_header_counts() {
    let shelf = Shelf::new();
    let mut count = 0;
    let mut random = Random::new();
    for (key, sound) in shelf.objects.iter().filter(|(key, _)| is_sealed(key)) {
        shelf.read(key).unwrap();
        let mut bytes = sound.clone();
        let tag = bytes.len() - TAG_LEN;
        for at in (0..HEADER_LEN).chain(tag..bytes.len()) {
            // One seal, one reader: every bit of a body's, and of the others one of each byte.
            let is_whole = is_long() || at < HEADER_LEN && matches!(key, ObjectKey::Body(_));
            let one = random.index(8);
            for bit in (0..8).filter(|bit| is_whole || *bit == one) {
                assert_refused(&shelf, key, &mut bytes, at * 8 + bit);
                count += 1;
            }
        }
    }
    let what = "bits flipped in sealed headers and tags";
    Figure { what, test: "every_bit_of_a_sealed_header_counts" }.record(count);
}

/// V-22, V-145, V-151
#[test]
fn every_byte_of_a_small_vault_counts() {
    let shelf = Shelf::new();
    let mut random = Random::new();
    let (mut count, mut verified) = (0, 0);
    for (key, sound) in &shelf.objects {
        let mut bytes = sound.clone();
        // The others have every bit flipped above; of a payload, one byte of so many.
        let stride = if is_long() { 1 } else { 256 };
        let places: Vec<usize> = match is_sealed(key) {
            true => (HEADER_LEN..bytes.len()).step_by(stride).collect(),
            false => Vec::new(),
        };
        for at in places {
            let at = (at + random.index(stride)).min(bytes.len() - 1);
            assert_refused(&shelf, key, &mut bytes, at * 8 + random.index(8));
            count += 1;
        }
        for _ in 0..if is_long() { 1000 } else { 8 } {
            let at = random.index(bytes.len());
            bytes[at] ^= 1 << random.index(8);
            assert_found(&shelf, key, &bytes);
            bytes.copy_from_slice(sound);
            verified += 1;
        }
    }
    assert_eq!(shelf.findings(), Ok(Vec::new()));
    let what = "bytes flipped in sealed payloads, and in any object before a whole `verify`";
    Figure { what, test: "every_byte_of_a_small_vault_counts" }.record(count + verified);
}

/// Asserts that `verify` names an object, or that the vault is refused because of it.
fn assert_found(shelf: &Shelf, key: &ObjectKey, bytes: &[u8]) {
    let name = key.to_string();
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    match shelf.with(key, bytes, Shelf::findings) {
        Ok(found) => {
            assert!(
                found.iter().any(|finding| finding.object.starts_with(stem)),
                "{key}: {found:?}"
            );
        }
        Err(refused) => assert!(refused.contains(&name), "{key}: {refused}"),
    }
}

/// V-30, V-33, V-39, V-40, V-43, V-154
#[test]
fn every_bit_of_a_pack_that_is_sealed_again_counts_but_for_those_that_no_reader_reads() {
    let shelf = Shelf::new();
    let packs: Vec<ObjectKey> =
        shelf.objects.keys().filter(|key| key.pack().is_some()).copied().collect();
    assert_eq!(packs.len(), 3, "one of each profile");
    let mut random = Random::new();
    let (mut count, mut free) = (0, Vec::new());
    // At length every profile; the format is the same.
    for key in if is_long() { &packs[..] } else { &packs[..1] } {
        let mut plain = shelf.plaintext(key);
        for bit in bits_of(&plain, &mut random) {
            plain[bit / 8] ^= 1 << (bit % 8);
            if !is_contents_found(&shelf, key, &plain) {
                free.push((place_of(&plain, bit / 8), bit % 8));
            }
            plain[bit / 8] ^= 1 << (bit % 8);
            count += 1;
        }
    }
    let is_known = |(place, bit): &(Place, usize)| match place {
        Place::Footer(at) => FREE.iter().any(|range| range.contains(at)),
        // RFC 8878 names this bit unused, and tells decoders not to interpret it.
        Place::Frame(4) => *bit == 4,
        // Behind the header some bits of a compressed block say the same in two ways: every chunk
        // had its id, so nothing else came out.
        Place::Frame(at) => *at >= FRAME_HEADER_LEN_MAX,
        _ => false,
    };
    let unknown: Vec<_> = free.iter().filter(|free| !is_known(free)).collect();
    assert!(unknown.is_empty(), "free, and nobody said so: {unknown:?}");
    assert!(free.len() > 10, "what V-33 leaves free was not tried: {free:?}");
    let what = "bits flipped in frames and directories of packs that were sealed again";
    Figure { what, test: "every_bit_of_a_pack_that_is_sealed_again" }.record(count);
}

/// Where a byte of a pack's plaintext is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Frame(usize),
    Padding,
    Directory,
    Footer(usize),
}

const FOOTER_LEN: usize = 104;

fn u64_at(plain: &[u8], at: usize) -> usize {
    let bytes: [u8; 8] = plain[at..at + 8].try_into().unwrap();
    usize::try_from(u64::from_le_bytes(bytes)).unwrap()
}

/// Returns where the padding frame and the directory frame begin, and the footer.
fn layout(plain: &[u8]) -> (usize, usize, usize) {
    let footer = plain.len() - FOOTER_LEN;
    (u64_at(plain, footer + 80), plain.len() - 8 - u64_at(plain, footer + 88), footer)
}

fn place_of(plain: &[u8], at: usize) -> Place {
    let footer = plain.len() - FOOTER_LEN;
    if at >= footer {
        return Place::Footer(at - footer);
    }
    match layout(plain) {
        (padding, ..) if at < padding => Place::Frame(at),
        (_, directory, _) if at < directory => Place::Padding,
        _ => Place::Directory,
    }
}

/// Returns the bits that are tried: of the first frame's header, of the padding's head and some of
/// its zeros, and of the whole directory; at length all, else one of each byte.
fn bits_of(plain: &[u8], random: &mut Random) -> Vec<usize> {
    let (padding, directory, _) = layout(plain);
    let zeros = padding + 8..directory;
    let some = (0..8).map(|_| zeros.start + random.index(zeros.len()));
    let mut places: Vec<usize> = (0..18).chain(padding..padding + 8).chain(some).collect();
    places.extend(directory..plain.len());
    let mut bits = Vec::new();
    for at in places {
        let one = random.index(8);
        let chosen = |bit: &usize| is_long() || *bit == one || at == 4 && *bit == 4;
        bits.extend((0..8).filter(chosen).map(|bit| at * 8 + bit));
    }
    bits
}

/// Seals a plaintext and tells whether whoever opens it finds what is wrong with it inside, having
/// asserted that `verify` finds that its bytes are not those that were signed.
fn is_contents_found(shelf: &Shelf, key: &ObjectKey, plain: &[u8]) -> bool {
    let recipient = &shelf.writer.generation().recipient;
    let sealed = seal::seal(recipient, plain, &SystemEntropy).unwrap();
    let found = shelf.with(key, &sealed, Shelf::findings).unwrap();
    let altered = |finding: &idswyft_vault::ops::verify::Finding| {
        finding.code == Code::ObjectAltered && finding.object == key.to_string()
    };
    assert!(found.iter().any(altered), "{key}: {found:?}");
    shelf.with(key, &sealed, |shelf| !shelf.holds_its_chunks(key))
}

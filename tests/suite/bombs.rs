//! Small inputs that claim, or inflate to, more than any memory: each ends in an error, and in
//! bounded memory, which a child process shows.

use std::io::Write;
use std::process::Command;

use idswyft_vault::base::limits::{
    BLOCK_LEN_MAX, BODY_LEN_MAX, JSON_INTEGER_MAX, LEDGER_EVENT_LEN_MAX, LIST_LEN_MAX,
    NOTE_LEN_MAX, PACK_CHUNK_COUNT_MAX, TREE_LINE_LEN_MAX,
};
use idswyft_vault::base::{
    Code, Coded, GenerationId, PackId, Profile, SignerId, SnapshotId, VaultId,
};
use idswyft_vault::crypto::signing;
use idswyft_vault::format::frame::{FrameError, decode_block, decode_document};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::pack::{Blocks, DirectoryBuilder, FOOTER_LEN, Footer, PackOwner};
use idswyft_vault::format::recipe::{Piece, Recipe};
use idswyft_vault::format::segment::{SegmentHeader, SegmentPack, SegmentReader};
use idswyft_vault::format::tree::TreeEntry;
use idswyft_vault::format::{Extent, list, note, snapshot_note};

use crate::support::program::run_measured;

const CHILD: &str = "IDSWYFT_VAULT_TEST_BOMB";
/// What the test program itself takes, and a little.
const PEAK_KIB_MAX: u64 = 96 * 1024;
/// Bytes that a bomb inflates to: four times what any document may have.
const INFLATED_LEN: u64 = 2 << 30;
const VAULT: VaultId = VaultId::from_bytes([1; 16]);
const SIGNER: SignerId = SignerId::from_bytes([2; 8]);

fn snapshot() -> SnapshotId {
    "20261122T023000Z-00000002".parse().unwrap()
}

fn generation() -> GenerationId {
    "20261122T023000Z-00000001".parse().unwrap()
}

/// Zeros that inflate to far more than there is memory for; they are made a part at a time.
fn inflating() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let part = vec![0; 1 << 20];
    (0..INFLATED_LEN >> 20).for_each(|_| encoder.write_all(&part).unwrap());
    encoder.finish().unwrap()
}

/// The head of a frame that claims a content size, and one block behind it.
fn claiming(content_len: u64) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend_from_slice(&content_len.to_le_bytes());
    // The last block: four bytes that repeat one byte 100,000 times.
    frame.extend_from_slice(&[0x03, 0x35, 0x0c, 0]);
    frame
}

fn a_document_that_inflates() {
    let bomb = inflating();
    assert!(bomb.len() < 1 << 20, "it is small: {}", bomb.len());
    let found = decode_document(&bomb, 1 << 20);
    assert!(matches!(found, Err(FrameError::TooLong { .. })));
}

fn a_block_that_inflates() {
    let bomb = inflating();
    for len in [1, BLOCK_LEN_MAX, BLOCK_LEN_MAX + 1, usize::MAX] {
        assert!(decode_block(&bomb, len, &mut Vec::new()).is_err());
    }
}

fn frames_that_claim_much() {
    for len in [1 << 40, 1 << 53, u64::MAX - 2, u64::MAX] {
        let frame = claiming(len);
        assert!(decode_block(&frame, BLOCK_LEN_MAX, &mut Vec::new()).is_err());
        assert!(decode_document(&frame, BODY_LEN_MAX).is_err());
    }
}

/// A segment whose stream inflates while it is read, and claims of it that nothing fills.
fn segments_that_claim_much() {
    let header = SegmentHeader {
        vault: VAULT,
        generation: generation(),
        snapshot: snapshot(),
        pack_count: u32::MAX,
        use_count: u32::MAX,
        record_len: u32::MAX,
    };
    let mut pack = SegmentPack {
        id: PackId::from_bytes([3; 32]),
        profile: Profile::File,
        stored_len: u64::MAX,
        raw_len: 0,
        chunks: Vec::new(),
    }
    .compose();
    let bytes = [header.compose(), pack.clone()].concat();
    let mut stream = bytes.as_slice();
    assert_eq!(SegmentHeader::read(&mut stream).unwrap(), header);
    assert!(SegmentPack::read(&mut stream).is_ok());
    assert!(SegmentPack::read(&mut stream).is_err(), "the second of 4,294,967,295 is missing");
    for count in [PACK_CHUNK_COUNT_MAX, PACK_CHUNK_COUNT_MAX + 1, u32::MAX] {
        let at = pack.len() - 4;
        pack[at..].copy_from_slice(&count.to_le_bytes());
        assert!(SegmentPack::read(&mut pack.as_slice()).is_err());
    }
    assert!(SegmentReader::open(bytes.as_slice()).is_err(), "a record of 4 GiB");
    let bomb = inflating();
    let mut stream = zstd::Decoder::with_buffer(bomb.as_slice()).unwrap();
    assert!(SegmentHeader::read(&mut stream).is_err());
    // Zeros are a profile that is none, so the first pack ends it.
    assert!(SegmentPack::read(&mut stream).is_err());
}

/// Footers with every number at its edges, over as few bytes as there are.
fn footers_that_claim_much() {
    let owner = PackOwner { vault: VAULT, generation: generation(), profile: Profile::File };
    let sound = DirectoryBuilder::new(owner).finish();
    let plain_len = sound.len() as u64;
    let footer = Footer::parse(&sound, plain_len).unwrap();
    assert!(Blocks::parse(&footer, &sound).unwrap().is_empty());
    let at = sound.len() - FOOTER_LEN;
    let counts = [0, 1, PACK_CHUNK_COUNT_MAX, PACK_CHUNK_COUNT_MAX + 1, u32::MAX];
    let lens = [0, 104, u64::from(u32::MAX), 1 << 53, u64::MAX - 104, u64::MAX];
    for (chunk_count, block_count) in counts.iter().flat_map(|a| counts.map(|b| (*a, b))) {
        for (frames_len, directory_len) in lens.iter().flat_map(|a| lens.map(|b| (*a, b))) {
            let mut bytes = sound.clone();
            let mut put = |offset: usize, value: &[u8]| {
                bytes[at + offset..at + offset + value.len()].copy_from_slice(value);
            };
            put(64, &chunk_count.to_le_bytes());
            put(68, &block_count.to_le_bytes());
            put(80, &frames_len.to_le_bytes());
            put(88, &directory_len.to_le_bytes());
            for plain_len in [plain_len, 0, u64::MAX] {
                if let Ok(footer) = Footer::parse(&bytes, plain_len) {
                    let blocks = Blocks::parse(&footer, &bytes);
                    assert!(blocks.is_err() || block_count == 0, "{footer:?}");
                }
            }
        }
    }
}

fn extents_at_the_edges_of_integers() {
    let piece = |offset, len| Piece { pack: 0, offset, len };
    let whole = Recipe::from_iter([piece(0, JSON_INTEGER_MAX)]);
    assert!(whole.check(JSON_INTEGER_MAX, 1).is_ok());
    let texts = [
        format!("[[0,1,{JSON_INTEGER_MAX}]]"),
        format!("[[0,{},{}]]", u64::MAX, u64::MAX),
        format!("[[0,{},0]]", u64::MAX),
        format!("[[{},0,1]]", u32::MAX),
        format!("[{}]", vec![format!("[0,0,{JSON_INTEGER_MAX}]"); 4096].join(",")),
    ];
    for text in texts {
        let recipe: Recipe = serde_json::from_str(&text).unwrap();
        for len in [0, 1, JSON_INTEGER_MAX, u64::MAX] {
            assert!(recipe.check(len, 1).is_err(), "{text} is {len} bytes");
        }
    }
    let pack = PackId::from_bytes([3; 32]);
    let b3 = blake3::hash(b"").to_hex();
    let id = pack.to_string();
    for (offset, len) in [(u64::MAX, 1), (1, u64::MAX), (JSON_INTEGER_MAX, 1), (1 << 53, 1 << 53)] {
        assert_eq!(Extent { pack, offset, len }.end(), None);
        let line = format!(
            "{{\"path\":\"a\",\"kind\":\"file\",\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":[0,0],\
             \"size\":0,\"b3\":\"{b3}\",\"extents\":[[\"{id}\",{offset},{len}]]}}\n"
        );
        assert!(TreeEntry::parse_line(line.as_bytes()).is_err(), "{line}");
    }
}

/// What has a limit is refused one byte beyond it, and at it for another reason.
fn texts_at_and_over_their_limits() {
    let text = |len: u64| {
        let mut bytes = vec![b'a'; usize::try_from(len).unwrap()];
        bytes.push(b'\n');
        bytes
    };
    let over = |code: Code, what: &str| assert_eq!(code, Code::LimitExceeded, "{what}");
    let event = |len| LedgerEvent::parse(&text(len), VAULT, SIGNER, 0).unwrap_err().code();
    over(event(LEDGER_EVENT_LEN_MAX), "event");
    assert_eq!(event(LEDGER_EVENT_LEN_MAX - 1), Code::FormatInvalid);
    let parse = |len| {
        let parsed: Result<serde_json::Value, _> =
            note::parse(&text(len), note::NoteKind::Vault, VAULT);
        parsed.unwrap_err().code()
    };
    over(parse(NOTE_LEN_MAX), "note");
    assert_eq!(parse(NOTE_LEN_MAX - 1), Code::FormatInvalid);
    over(signing::verify(&text(NOTE_LEN_MAX), &[]).unwrap_err().code(), "signed note");
    let line = |len: u64| TreeEntry::parse_line(&text(len)).unwrap_err().code();
    over(line(TREE_LINE_LEN_MAX as u64), "line");
    assert_eq!(line(TREE_LINE_LEN_MAX as u64 - 1), Code::FormatInvalid);
    drop(snapshot_note::tags_digest_input(&[0; 16], &[]));
}

/// A list of the greatest length takes as much memory, and is refused one byte beyond it.
fn a_list_over_its_limit() {
    let bytes = vec![b'\n'; usize::try_from(LIST_LEN_MAX).unwrap() + 1];
    let refused = |bytes: &[u8]| list::parse(bytes, VAULT, snapshot()).unwrap_err().code();
    assert_eq!(refused(&bytes), Code::LimitExceeded);
    assert_eq!(refused(&bytes[1..]), Code::FormatInvalid);
}

const BOMBS: [(&str, u64, fn()); 8] = [
    ("a document that inflates", PEAK_KIB_MAX, a_document_that_inflates),
    ("a block that inflates", PEAK_KIB_MAX, a_block_that_inflates),
    // A window of 128 MiB is the most that zstd takes without being told to.
    ("frames that claim much", PEAK_KIB_MAX + 128 * 1024, frames_that_claim_much),
    ("segments that claim much", PEAK_KIB_MAX, segments_that_claim_much),
    ("footers that claim much", PEAK_KIB_MAX, footers_that_claim_much),
    ("extents at the edges of integers", PEAK_KIB_MAX, extents_at_the_edges_of_integers),
    ("texts at and over their limits", PEAK_KIB_MAX + 128 * 1024, texts_at_and_over_their_limits),
    ("a list over its limit", PEAK_KIB_MAX + LIST_LEN_MAX / 1024, a_list_over_its_limit),
];

#[test]
fn what_claims_or_inflates_to_too_much_ends_in_bounded_memory_and_an_error() {
    if let Ok(wanted) = std::env::var(CHILD) {
        let bomb = BOMBS.iter().find(|(name, ..)| *name == wanted);
        bomb.unwrap().2();
        return;
    }
    let this = "bombs::what_claims_or_inflates_to_too_much_ends_in_bounded_memory_and_an_error";
    for (name, peak_max, _) in BOMBS {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", this, "--nocapture"]).env(CHILD, name);
        let (ran, peak) = run_measured(child);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert!(ran.stdout.contains("1 passed"), "{name}: {ran:?}");
        assert!(peak < peak_max, "{name}: {peak} KiB");
    }
}

//! Bodies, generation files, segments, events, tree lines, and the key schedule.

use idswyft_vault::base::{Code, PackId, Profile};
use idswyft_vault::format::pack::ChunkEntry;
use idswyft_vault::format::segment::{PackUse, SegmentHeader, SegmentPack, SegmentRecord};

use super::age_writer::KeyPair;
use super::file::Vector;
use super::made_packs::{VAULT, generation};
use super::made_signed::{signer, snapshot};

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = bodies();
    all.extend(generation_files());
    all.extend(segments());
    all.extend(events());
    all.extend(tree_lines());
    all.push(key_schedule());
    all
}

fn bodies() -> Vec<Vector> {
    let (generation, snapshot, pack) = (generation(), snapshot(), "08".repeat(32));
    let text = format!(
        concat!(
            r#"{{"v":1,"requires":[],"vault":"{}","generation":"{}","snapshot":"{}","#,
            r#""time":"2026-11-22T02:30:00Z","tags":["nightly"],"tags_salt":"{}","#,
            r#""packs":["{}"],"database":{{"source":{{"kind":"stdin"}},"len":9,"b3":"{}","#,
            r#""recipe":[[0,3,9]],"rows":{{"public.users":3}},"server_version":"15.8","#,
            r#""dump_version":null}},"uploads":null,"facts":{{}},"warnings":[]}}"#
        ),
        VAULT,
        generation,
        snapshot,
        "00".repeat(16),
        pack,
        blake3::hash(b"a dump of").to_hex()
    );
    let vector = |name: &str, covers, says, text: String| {
        Vector::new(&format!("body-{name}"), covers, says, text.into_bytes())
            .with("vault", VAULT)
            .with("generation", generation)
            .with("snapshot", snapshot)
            .in_text()
    };
    let change = |from: &str, to: &str| text.replacen(from, to, 1);
    vec![
        vector("sound", "V-63, V-4", "A body with a dump.", text.clone()).releases(text.as_bytes()),
        vector("recipe", "V-63", "The recipe is a byte short.", change("[0,3,9]", "[0,3,8]")),
        vector("foreign", "V-62", "Of another snapshot.", change("00000002", "0000000f"))
            .refused(Code::ObjectForeign),
    ]
}

fn generation_files() -> Vec<Vector> {
    let text = format!(
        "# idswyft-vault/v1 generation {VAULT} {}\n# created: 2026-11-22T02:30:00Z\n\
         # dedup-secret: {}\n{}\n",
        generation(),
        "42".repeat(32),
        KeyPair::of(1).identity()
    );
    let cut = text.replacen("# dedup-secret", "# secret", 1);
    let vector = |name: &str, covers, says, text: String| {
        Vector::new(&format!("generation-{name}"), covers, says, text.into_bytes()).in_text()
    };
    vec![
        vector("sound", "V-52", "A generation's secrets.", text.clone()).releases(text.as_bytes()),
        vector("no-secret", "V-53", "The dedup secret is missing.", cut),
    ]
}

fn segments() -> Vec<Vector> {
    let facts = serde_json::Map::from_iter([("file_count".to_owned(), 3.into())]);
    let record = SegmentRecord { tags: vec!["monthly".to_owned()], facts };
    let record = record.compose().expect("the record is short");
    let header = SegmentHeader {
        vault: VAULT,
        generation: generation(),
        snapshot: snapshot(),
        pack_count: 1,
        use_count: 1,
        record_len: u32::try_from(record.len()).expect("the record is short"),
    };
    let chunk = ChunkEntry { id: idswyft_vault::base::ChunkId::from_bytes([3; 32]), raw_len: 7 };
    let pack = SegmentPack {
        id: PackId::from_bytes([8; 32]),
        profile: Profile::File,
        stored_len: 65_736,
        raw_len: 14,
        chunks: vec![chunk, chunk],
    };
    let used = PackUse { id: pack.id, used_len: 7 };
    let chunks_at = header.compose().len() + record.len() + 56;
    let bytes = [header.compose(), record, pack.compose(), used.compose()].concat();
    let with = |at: usize, byte| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    let vector = |name: &str, covers, says, bytes| {
        Vector::new(&format!("segment-{name}"), covers, says, bytes)
    };
    vec![
        vector("sound", "V-130", "A pack of two chunks.", bytes.clone()).releases(&bytes),
        vector("sum", "V-130", "The chunks do not add up.", with(chunks_at + 32, 8)),
        vector("cut", "V-193", "It ends within its last use.", bytes[..bytes.len() - 1].to_vec()),
        vector("record", "V-193", "Its record is not JSON.", with(90, b'[')),
        vector("more", "V-193", "A byte follows.", [&bytes[..], b"x"].concat()),
        vector("version", "V-131", "Version 2.", with(8, 2)).refused(Code::FormatTooNew),
    ]
}

fn events() -> Vec<Vector> {
    let text = format!(
        concat!(
            r#"{{"v":1,"requires":[],"vault":"{}","signer":"{}","seq":3,"#,
            r#""time":"2026-11-22T02:30:00Z","event":"generation.closed","#,
            r#""generation":"{}","seen":[]}}"#,
            "\n"
        ),
        VAULT,
        signer(),
        generation()
    );
    let vector = |covers, says, text: String| {
        Vector::new("event-sound", covers, says, text.into_bytes())
            .with("vault", VAULT)
            .with("signer", signer())
            .with("seq", 3)
            .in_text()
    };
    vec![vector("V-117", "A generation was closed.", text.clone()).releases(text.as_bytes())]
}

fn tree_lines() -> Vec<Vector> {
    let text = format!(
        concat!(
            r#"{{"path":"documents/a.jpg","kind":"file","mode":420,"uid":0,"gid":0,"#,
            r#""mtime":[1700000000,5],"size":9,"b3":"{}","extents":[["{}",3,9]]}}"#,
            "\n"
        ),
        blake3::hash(b"a picture").to_hex(),
        "08".repeat(32)
    );
    let vector = |name: &str, covers, says, text: String| {
        Vector::new(&format!("tree-{name}"), covers, says, text.into_bytes()).in_text()
    };
    let path = |to: &str| text.replacen("\"path\":\"documents/a.jpg\"", to, 1);
    let escaped = path("\"path_base64\":\"/2E=\"");
    vec![
        vector("sound", "V-74", "A file.", text.clone()).releases(text.as_bytes()),
        vector("base64", "V-72", "A path that is not UTF-8.", escaped.clone())
            .releases(escaped.as_bytes()),
        vector(
            "base64-of-text",
            "V-73",
            "Base64 of a path that is UTF-8.",
            path("\"path_base64\":\"YQ==\""),
        ),
    ]
}

/// A dedup secret, and what derives from it: by the formulas of §5.3 and §6.1, word for word.
fn key_schedule() -> Vector {
    let secret = [0x42; 32];
    let mut text = String::new();
    for profile in ["stream", "file", "meta"] {
        let key = blake3::derive_key(&format!("idswyft-vault/v1 chunk id {profile}"), &secret);
        text.push_str(&format!("{profile} {}\n", blake3::keyed_hash(&key, b"chunk").to_hex()));
    }
    let mut gear = [0; 2048];
    let mut hasher = blake3::Hasher::new_derive_key("idswyft-vault/v1 gear table");
    hasher.update(&secret);
    hasher.finalize_xof().fill(&mut gear);
    text.push_str(&format!("gear {}\n", blake3::hash(&gear).to_hex()));
    let index = blake3::derive_key("idswyft-vault/v1 index identity", &secret);
    let prefix = bech32::Hrp::parse("age-secret-key-").expect("the prefix is valid");
    let index = age_core::primitives::bech32_encode(prefix, &index).to_uppercase();
    text.push_str(&format!("index {index}\n"));
    text.push_str(&format!("cuts {:?}\n", cuts(&gear)));
    Vector::new(
        "keys",
        "V-51, V-58",
        "Ids of `chunk`, the gear table's BLAKE3, the index identity, cuts of 64 KiB of counting.",
        "42".repeat(32).into_bytes(),
    )
    .in_text()
    .releases(text.as_bytes())
}

/// What the cut points of the key schedule's vector are of: no two lines alike.
pub fn counting() -> Vec<u8> {
    let lines = (0..).map(|number| format!("{number}\n"));
    lines.flat_map(String::into_bytes).take(64 * 1024).collect()
}

fn cuts(material: &[u8; 2048]) -> Vec<usize> {
    use fastcdc::v2020::{Normalization, cut_gear, select_masks};
    let entry = |at: usize| material[8 * at..8 * at + 8].try_into().expect("eight bytes");
    let gear: [u64; 256] = std::array::from_fn(|at| u64::from_le_bytes(entry(at)));
    let shifted = gear.map(|entry| entry << 1);
    let (small, large) = select_masks(4096, Normalization::Level1);
    let data = counting();
    let (mut rest, mut lens) = (data.as_slice(), Vec::new());
    while !rest.is_empty() {
        let (shift, gears) = ((small << 1, large << 1), (&gear, &shifted));
        let (_, len) =
            cut_gear(rest, 1024, 4096, 16_384, small, large, shift.0, shift.1, gears.0, gears.1);
        lens.push(len);
        rest = &rest[len..];
    }
    lens
}

//! Where fuzzing begins: the vectors, and for what has none something that parses.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idswyft_vault::format::frame::{Compression, encode_block};

/// The kinds of vectors that each target begins with.
const KINDS: &[(&str, &[&str])] = &[
    ("tree_line", &["tree"]),
    ("list", &["list"]),
    ("vault_note", &["vault_note"]),
    ("snapshot_note", &["snapshot_note"]),
    ("signed_note", &["vault_note", "snapshot_note", "checkpoint"]),
    ("checkpoint", &["checkpoint"]),
    ("ledger_event", &["event"]),
    ("body", &["body"]),
    ("body_after_decryption", &["body"]),
    ("generation_file", &["generation"]),
    ("pack_directory", &["pack"]),
    ("pack_after_decryption", &["pack"]),
    ("document", &["pack", "body"]),
    ("segment", &["segment"]),
    ("segment_after_decryption", &["segment"]),
    ("sealed", &["sealed"]),
];

const PACK: &str = "packs/08/0808080808080808080808080808080808080808080808080808080808080808";
const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\
    COPY public.users (id) FROM stdin;\n1\ta\n\\.\n\nCREATE FUNCTION f() RETURNS int LANGUAGE sql \
    AS $_$ SELECT 'a''b', \"c\" /* d */ $_$;\nINSERT INTO t VALUES (1, E'\\''), (2, 'x');\n\
    INSERT INTO documents (file_size, \"file_path\") VALUES (1, E'\\x41'), (NULL, 'x''y');\n--\n\
    -- PostgreSQL database dump complete\n--\n\n";
const CONFIG: &str = "state_dir = \"/var/lib/v\"\nrecipients = [\"age1lggyhqrw2nlhcxprm67z43rta\
    597azn8gknawjehu9d9dl0jq3yqqvfafg\"]\n[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n\
    pack_len = \"4MiB\"\n[[vault.store]]\nname = \"local\"\nurl = \"file:///var/b\"\n\
    [sources.database]\nkind = \"command\"\nargv = [\"pg_dump\"]\n[sources.uploads]\n\
    kind = \"path\"\npath = \"/srv\"\n";

/// Texts for what has no vectors.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "object_key",
        &[
            PACK,
            "vault/1.note",
            "generations/20261122T023000Z-00000001/1.age",
            "snapshots/20261122T023000Z-00000002.sha256",
            "segments/20261122T023000Z-00000002",
            "ledger/0202020202020202/0000000001.checkpoint",
        ],
    ),
    (
        "ids",
        &[
            "20261122T023000Z-00000001",
            "0202020202020202",
            "11111111111111111111111111111111",
            "0808080808080808080808080808080808080808080808080808080808080808",
        ],
    ),
    ("profile_and_path", &["stream", "a/ba-b", "a/b/ca/b", "meta", "file"]),
    ("store_url", &["file:///var/backups/a%20b", "file:///a/./b//c", "s3://bucket"]),
    ("key_text", &["idswyft-vault/11111111111111111111111111111111/root+00000000+AQ=="]),
    ("recipe", &["[[0,3,9]]", "[[0,0,4],[0,4,5]]", "[[4294967295,9007199254740992,0]]"]),
    (
        "identity_file",
        &[
            "# created: x\nAGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ\
        QQQQQQQQQQS9Z2K6\n",
            "AGE-PLUGIN-FUZZ-1QQQ\n",
        ],
    ),
    ("recipients", &["age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"]),
    (
        "policy",
        &[r#"{"keep_daily":30,"keep_within":"2w","floor":"30d","ceiling":"7y","every":"day",
        "time_zone":"UTC"}"#],
    ),
    ("age", &["36h", "30d", "2w", "6mo", "100y"]),
    (
        "parameters",
        &[r#"{"stream":{"min":1024,"avg":4096,"max":16384,"level":2},"file":{"min":16384,
        "avg":65536,"max":262144,"level":3},"meta":{"min":1024,"avg":4096,"max":16384,"level":9},
        "block_len":1048576,"pack_len":33554432,"retire_below_percent":25,"reuse_days":30,
        "grace_days":14,"generation_max_age_days":365}"#],
    ),
    ("frontier", &["\0\0\0\0\0\0\0\0", "\x01\0\0\0\0\0\0\x00abcdefghijklmnopqrstuvwxyz012345"]),
    ("dump", &[DUMP]),
    ("config", &[CONFIG]),
    (
        "generation_file",
        &["# idswyft-vault/v1 generation 11111111111111111111111111111111 \
        20261122T023000Z-00000001\n"],
    ),
];

/// Returns what a target begins with.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let kinds = KINDS.iter().filter(|(name, _)| *name == target).flat_map(|(_, kinds)| *kinds);
    let texts = TEXTS.iter().filter(|(name, _)| *name == target).flat_map(|(_, texts)| *texts);
    let mut seeds: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
    kinds.for_each(|kind| seeds.extend(vectors_of(kind)));
    if target == "block" {
        let frames =
            [Compression::Level(3), Compression::Raw].map(|how| encode_block(b"aaaa", how));
        seeds.extend(frames.map(|frame| [b"\x04\0\0", frame.as_slice()].concat()));
    }
    // Of a signed note the text as well, which is what its parser is given.
    let text_len = |seed: &Vec<u8>| seed.windows(2).position(|pair| pair == b"\n\n");
    let texts: Vec<_> =
        seeds.iter().filter_map(|seed| Some(seed[..=text_len(seed)?].to_vec())).collect();
    seeds.extend(texts);
    seeds
}

/// Returns the bytes of every vector of a kind.
fn vectors_of(kind: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["tests/vectors", "../vectors"].map(|place| directory.join(place));
    let directory = places.iter().find(|place| place.is_dir()).expect("the vectors are there");
    let mut paths: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("one").path())
        .collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).expect("a vector"));
    files.filter_map(|file| bytes_of(&file, kind)).collect()
}

fn bytes_of(file: &[u8], kind: &str) -> Option<Vec<u8>> {
    let end = file.windows(2).position(|pair| pair == b"\n\n")?;
    let head = std::str::from_utf8(&file[..end]).ok()?;
    let body = &file[end + 2..];
    if !head.lines().any(|line| line.strip_prefix("kind: ") == Some(kind)) {
        return None;
    }
    if head.contains("encoding: text") {
        return Some(body.to_vec());
    }
    let text: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'\n').collect();
    STANDARD.decode(text).ok()
}

//! One target a parser: any bytes in, no panic, and what parses also composes and parses again.
//!
//! Plain functions, so that coverage can guide them (`tests/fuzz/run`) and the suite replays them.

use std::path::Path;
use std::sync::OnceLock;

use idswyft_vault::base::{Digest, GenerationId, PackId, Profile, SignerId, SnapshotId, VaultId};
use idswyft_vault::cli::config::Config;
use idswyft_vault::crypto::checkpoint::TreeHead;
use idswyft_vault::crypto::identity::{DataIdentities, GenerationIdentity, NoPassphrase};
use idswyft_vault::crypto::merkle::Frontier;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::seal::SealingRecipient;
use idswyft_vault::crypto::signing::{self, SigningKey, VerificationKey};
use idswyft_vault::format::body::Body;
use idswyft_vault::format::frame;
use idswyft_vault::format::generation::GenerationFile;
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::list;
use idswyft_vault::format::pack::{self, Blocks, Footer};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::recipe::Recipe;
use idswyft_vault::format::segment::{SegmentHeader, SegmentReader};
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::format::tree::{TreeEntry, check_path, compare_paths, sort_key};
use idswyft_vault::format::vault_note::VaultNote;
use idswyft_vault::format::{Kind, ObjectKey};
use idswyft_vault::policy::{Age, Policy};
use idswyft_vault::source::dump::{DumpScanner, Watch};

/// A parser with its name and the seeds that are meant for it.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it does with any bytes.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),*];
    };
}

#[path = "after_decryption.rs"]
mod after_decryption;
use after_decryption::{
    body_after_decryption, pack_after_decryption, sealed, segment_after_decryption,
};

targets! {
    object_key ids profile_and_path store_url tree_line list vault_note snapshot_note signed_note
    checkpoint key_text ledger_event body generation_file recipe pack_directory block document
    segment sealed identity_file recipients policy age parameters frontier dump config
    pack_after_decryption body_after_decryption segment_after_decryption
}

const DOCUMENT_LEN_MAX: u64 = 1 << 20;

fn vault() -> VaultId {
    VaultId::from_bytes([0x11; 16])
}

fn generation() -> GenerationId {
    "20261122T023000Z-00000001".parse().expect("an id in its spelling")
}

fn snapshot() -> SnapshotId {
    "20261122T023000Z-00000002".parse().expect("an id in its spelling")
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Finds what stands in quotes behind a field's name, so that a place is not always foreign.
fn field<T: std::str::FromStr>(data: &[u8], name: &str) -> Option<T> {
    let mark = format!("\"{name}\":\"");
    let at = data.windows(mark.len()).position(|window| window == mark.as_bytes())?;
    let rest = &data[at + mark.len()..];
    text(&rest[..rest.iter().position(|byte| *byte == b'"')?])?.parse().ok()
}

fn object_key(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(key) = text.parse::<ObjectKey>() {
        assert_eq!(key.to_string(), text, "a name has one spelling");
    }
}

fn ids(data: &[u8]) {
    let Some(text) = text(data) else { return };
    fn one_spelling<T: std::str::FromStr + ToString>(text: &str) {
        if let Ok(id) = text.parse::<T>() {
            assert_eq!(id.to_string(), text);
        }
    }
    one_spelling::<VaultId>(text);
    one_spelling::<SignerId>(text);
    one_spelling::<SnapshotId>(text);
    one_spelling::<GenerationId>(text);
    one_spelling::<PackId>(text);
    one_spelling::<Digest>(text);
}

fn profile_and_path(data: &[u8]) {
    let half = data.len() / 2;
    let (a, b) = data.split_at(half);
    let is_sound = |path: &[u8]| check_path(path).is_ok();
    if is_sound(a) && is_sound(b) {
        assert_eq!(compare_paths(a, b), sort_key(a).cmp(&sort_key(b)));
        assert_eq!(compare_paths(a, b), compare_paths(b, a).reverse());
    }
    if let Some(profile) = text(data).and_then(|text| text.parse::<Profile>().ok()) {
        assert_eq!(Profile::from_code(profile.code()).ok(), Some(profile));
    }
}

fn store_url(data: &[u8]) {
    let Some(url) = text(data) else { return };
    if let Some(directory) = idswyft_vault::store::directory(url) {
        assert!(directory.is_absolute() && directory.parent().is_some());
        assert!(idswyft_vault::store::open(url, "fuzz").is_ok());
    }
}

fn tree_line(data: &[u8]) {
    let Ok(entry) = TreeEntry::parse_line(data) else { return };
    assert!(check_path(&entry.path).is_ok());
    let line = entry.to_line().expect("what was read can be written");
    assert_eq!(TreeEntry::parse_line(&line).expect("what was written can be read"), entry);
    if let Kind::File(content) = &entry.kind {
        let _ = content.extents_fill();
    }
}

fn list(data: &[u8]) {
    let Ok((entries, totals)) = list::parse(data, vault(), snapshot()) else { return };
    let sum: u64 = entries.iter().map(|entry| entry.stored_len).sum();
    assert_eq!((totals.stored_len, totals.pack_count + totals.tree_count), {
        (sum, u64::try_from(entries.len()).expect("fits"))
    });
    let (text, again) = list::compose(vault(), snapshot(), entries).expect("it was read");
    assert_eq!((text.as_bytes(), again), (data, totals), "a list has one spelling");
}

fn vault_note(data: &[u8]) {
    for number in [1, 2] {
        if let Ok(note) = VaultNote::parse(data, vault(), number) {
            let text = note.compose().expect("what was read can be written");
            let again = VaultNote::parse(text.as_bytes(), vault(), number);
            assert_eq!(again.expect("what was written can be read"), note);
        }
    }
}

fn snapshot_note(data: &[u8]) {
    let id = field(data, "snapshot").unwrap_or_else(snapshot);
    if let Ok(note) = SnapshotNote::parse(data, vault(), id) {
        let text = note.compose().expect("what was read can be written");
        let again = SnapshotNote::parse(text.as_bytes(), vault(), id);
        assert_eq!(again.expect("what was written can be read"), note);
    }
}

/// Verifies with the key of the vectors, and with one that signs what it is given.
fn signed_note(data: &[u8]) {
    static KEYS: OnceLock<(SigningKey, VerificationKey)> = OnceLock::new();
    let (key, own) = KEYS.get_or_init(|| {
        let key = SigningKey::from_seed(vault(), signing::KeyUse::Root, &[7; 32]);
        let own = key.verification_key().clone();
        (key, own)
    });
    if let Ok(verified) = signing::verify(data, &[own]) {
        assert!(data.starts_with(verified.text()));
    }
    let Some(text) = text(data) else { return };
    if let Ok(signed) = key.sign(text) {
        let verified = signing::verify(&signed, &[own]).expect("what was signed verifies");
        assert_eq!(verified.text(), data);
    }
}

fn checkpoint(data: &[u8]) {
    let signer = SignerId::from_bytes([2; 8]);
    let origin = data.split(|byte| *byte == b'\n').next().and_then(text).unwrap_or_default();
    let mut ids = origin.rsplit('/');
    let named = ids.next().and_then(|id| id.parse().ok()).unwrap_or(signer);
    let of = ids.next().and_then(|id| id.parse().ok()).unwrap_or_else(vault);
    if let Ok(head) = TreeHead::parse_checkpoint(data, of, named) {
        assert_eq!(head.compose_checkpoint(of, named).as_bytes(), data, "one spelling");
    }
}

fn key_text(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(key) = text.parse::<VerificationKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = SigningKey::from_secret_text(text) {
        assert_eq!(key.to_secret_text().as_str(), text);
    }
}

fn ledger_event(data: &[u8]) {
    let of = field(data, "vault").unwrap_or_else(vault);
    let signer = field(data, "signer").unwrap_or(SignerId::from_bytes([2; 8]));
    for seq in 0..3 {
        if let Ok(event) = LedgerEvent::parse(data, of, signer, seq)
            && let Ok(bytes) = event.compose()
        {
            let again = LedgerEvent::parse(&bytes, of, signer, seq);
            assert_eq!(again.expect("what was written can be read"), event);
        }
    }
}

fn read_body(json: &[u8]) {
    let of = field(json, "vault").unwrap_or_else(vault);
    let period = field(json, "generation").unwrap_or_else(generation);
    let id = field(json, "snapshot").unwrap_or_else(snapshot);
    if let Ok(body) = Body::parse(json, of, period, id) {
        let text = body.compose().expect("what was read can be written");
        let again = Body::parse(text.as_bytes(), of, period, id);
        assert_eq!(again.expect("what was written can be read"), body);
    }
}

fn body(data: &[u8]) {
    read_body(data);
}

fn generation_file(data: &[u8]) {
    if let Ok(file) = GenerationFile::parse(data) {
        let text = file.compose();
        let again = GenerationFile::parse(text.as_bytes()).expect("what was written can be read");
        assert_eq!((again.vault, again.generation), (file.vault, file.generation));
        assert!(again.identity == file.identity && again.dedup_secret == file.dedup_secret);
    }
}

fn recipe(data: &[u8]) {
    let Ok(recipe) = serde_json::from_slice::<Recipe>(data) else { return };
    for (len, pack_count) in [(0, 0), (9, 1), (u64::MAX, usize::MAX)] {
        if recipe.check(len, pack_count).is_ok() {
            let merged: Recipe = recipe.pieces().iter().copied().collect();
            assert!(merged.check(len, pack_count).is_ok());
        }
    }
}

fn pack_directory(data: &[u8]) {
    let len = u64::try_from(data.len()).expect("fits");
    let Ok(footer) = Footer::parse(data, len) else { return };
    let Ok(blocks) = Blocks::parse(&footer, data) else { return };
    assert_eq!(blocks.raw_len(), footer.raw_len);
    for index in 0..blocks.len() {
        let range = blocks.raw_range(index);
        assert_eq!(blocks.at_raw(range.start), index);
        assert!(blocks.frame_range(index).end <= len);
    }
    let _ = pack::check_padding(&footer, data);
    if let Ok(chunks) = pack::parse_chunks(&footer, &blocks, data) {
        let sum: u64 = chunks.iter().map(|chunk| u64::from(chunk.raw_len)).sum();
        assert_eq!(sum, footer.raw_len);
    }
}

fn block(data: &[u8]) {
    let Some((len, frame)) = data.split_first_chunk::<3>() else { return };
    let len = u32::from_le_bytes([len[0], len[1], len[2], 0]);
    let len = usize::try_from(len).expect("fits");
    let mut raw = Vec::new();
    if frame::decode_block(frame, len, &mut raw).is_ok() {
        assert_eq!(raw.len(), len);
    }
}

fn document(data: &[u8]) {
    if let Ok(document) = frame::decode_document(data, DOCUMENT_LEN_MAX) {
        assert!(document.len() as u64 <= DOCUMENT_LEN_MAX);
        let again = frame::encode_document(&document, 1);
        assert!(frame::decode_document(&again, DOCUMENT_LEN_MAX).expect("ours") == document);
    }
}

fn segment(data: &[u8]) {
    let Ok(mut reader) = SegmentReader::open(data) else { return };
    let (header, record) = (reader.header().clone(), reader.record().clone());
    let record_bytes = record.compose().expect("it was read");
    let record_len = u32::try_from(record_bytes.len()).expect("a record is bounded");
    let mut composed = SegmentHeader { record_len, ..header }.compose();
    composed.extend(record_bytes);
    while let Ok(Some(pack)) = reader.next_pack() {
        composed.extend(pack.compose());
    }
    let again = SegmentReader::open(composed.as_slice()).expect("ours");
    assert_eq!(*again.record(), record);
}

fn identity_file(data: &[u8]) {
    // A work factor may take a minute, which is bounded and no use here.
    if !data.starts_with(b"age-encryption.org/") {
        let _ = DataIdentities::parse("fuzz", data, &NoPassphrase);
    }
    let _ = text(data).map(GenerationIdentity::parse);
}

fn recipients(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = SealingRecipient::parse(text);
    if let Ok(parsed) = DataRecipients::parse(&text.lines().collect::<Vec<_>>()) {
        assert_eq!(parsed.texts().len(), parsed.digests().len());
    }
}

fn policy(data: &[u8]) {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_slice(data) else { return };
    if let Ok(policy) = Policy::from_json(&map) {
        assert_eq!(Policy::from_json(&policy.to_json()).expect("ours"), policy);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let _ = (policy.due(Some(now), now), policy.floor_at(now), policy.ceiling_at(now));
        let _ = policy.check_locked(Some(36_500));
    }
}

fn age(data: &[u8]) {
    let Some(age) = text(data).and_then(|text| text.parse::<Age>().ok()) else { return };
    assert_eq!(age.to_string().parse::<Age>().expect("ours"), age);
    assert!(age.never_exceeds(age));
    let zone = jiff::tz::TimeZone::UTC;
    for time in [jiff::Timestamp::MIN, jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX] {
        assert!(age.after(time, &zone) >= time);
    }
}

fn parameters(data: &[u8]) {
    if let Ok(parameters) = serde_json::from_slice::<Parameters>(data) {
        let text = serde_json::to_vec(&parameters).expect("numbers are JSON");
        assert_eq!(serde_json::from_slice::<Parameters>(&text).expect("ours"), parameters);
    }
}

fn frontier(data: &[u8]) {
    if let Ok(mut frontier) = Frontier::from_bytes(data) {
        assert_eq!(frontier.to_bytes(), data);
        let before = frontier.head();
        frontier.append(b"leaf");
        assert_eq!(frontier.head().size, before.size + 1);
    }
}

/// However a dump is cut into pieces, it is the same dump with the same rows.
fn dump(data: &[u8]) {
    const WATCHES: &[Watch] = &[
        Watch { table: "users", columns: &["name", "id"] },
        Watch { table: "documents", columns: &["file_path", "file_size"] },
    ];
    let scan = |len: usize| {
        let (mut scanner, mut rows) = (DumpScanner::watching(WATCHES), Vec::new());
        for piece in data.chunks(len) {
            scanner.feed_rows(piece, &mut |row| {
                rows.push(format!("{} {:?} {:?}", row.table(), row.field(0), row.field(1)));
            });
        }
        (rows, scanner.finish().map_err(|error| error.to_string()))
    };
    assert_eq!(scan(usize::MAX), scan(7));
    assert_eq!(scan(1), scan(64));
}

fn config(data: &[u8]) {
    if let Some(text) = text(data) {
        let _ = Config::parse(Path::new("/etc/fuzz.toml"), text.to_owned());
    }
}

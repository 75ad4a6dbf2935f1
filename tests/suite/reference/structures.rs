//! JSON structures, signed notes, sealed objects and packs (§2, §4, §8, §9.1).

use std::io::Read;
use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::DateTime};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};
use zstd::zstd_safe::find_frame_compressed_size;

/// Why something is not released: a code of `spec/codes.md`, and what is wrong with which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    pub code: &'static str,
    pub what: String,
}

pub type Checked<T> = Result<T, Refused>;
pub const INVALID: &str = "format-invalid";
pub const FOREIGN: &str = "object-foreign";
pub const MISMATCH: &str = "note-mismatch";
pub const TOO_NEW: &str = "format-too-new";
pub const LIMIT: &str = "limit-exceeded";

/// The tables of §7 and §8.
pub static SHAPES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).expect("it is JSON"));

/// What a primitive refuses does not parse, unless its caller knows better.
impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        refused(INVALID, &error.to_string())
    }
}

impl Refused {
    /// Names the object that is refused.
    pub fn of(self, object: &str) -> Self {
        Self { what: format!("{object}: {}", self.what), ..self }
    }
}

pub fn refused(code: &'static str, what: &str) -> Refused {
    Refused { code, what: what.to_owned() }
}

pub fn ensure(holds: bool, code: &'static str, what: &str) -> Checked<()> {
    if holds { Ok(()) } else { Err(refused(code, what)) }
}

pub fn some<T>(value: Option<T>, what: &str) -> Checked<T> {
    value.ok_or_else(|| refused(INVALID, what))
}

pub fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == 2 * len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// §2.2: tells a snapshot's or generation's id.
pub fn is_stamp(text: &str) -> bool {
    let (time, random) = text.split_once('-').unwrap_or_default();
    let format = "%Y%m%dT%H%M%SZ";
    let parsed = DateTime::strptime(format, time);
    parsed.is_ok_and(|parsed| parsed.strftime(format).to_string() == time) && is_hex(random, 4)
}

/// Tells whether a value is of a shape: an object has the fields of the shape's, `{"?": s}` is null
/// or s, `[s]` an array of any length, `[s, t]` of this one, and a text one of `is_kind`.
pub fn has_shape(value: &Value, shape: &Value) -> bool {
    match (shape, value) {
        (Value::String(kind), _) => is_kind(value, kind),
        (Value::Array(of), Value::Array(items)) => {
            let shape = |at: usize| if of.len() == 1 { &of[0] } else { &of[at] };
            let is_long_enough = of.len() == 1 || of.len() == items.len();
            is_long_enough && items.iter().enumerate().all(|(at, v)| has_shape(v, shape(at)))
        }
        (Value::Object(of), _) if of.contains_key("?") => {
            value.is_null() || has_shape(value, &of["?"])
        }
        (Value::Object(of), Value::Object(fields)) => {
            of.iter().all(|(name, shape)| fields.get(name).is_some_and(|f| has_shape(f, shape)))
        }
        _ => false,
    }
}

fn is_kind(value: &Value, kind: &str) -> bool {
    let is_count = |value: &Value| value.as_u64().is_some_and(|n| n <= 1 << 53);
    let is_text = |holds: &dyn Fn(&str) -> bool| value.as_str().is_some_and(holds);
    match kind {
        "any" => true,
        "object" => value.is_object(),
        "count" => is_count(value),
        "integer" => value.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53),
        "counts" => value.as_object().is_some_and(|all| all.values().all(is_count)),
        "text" => value.is_string(),
        "event" => is_text(&|text| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b"._".contains(&b) || b.is_ascii_lowercase())
        }),
        "bytes" => is_text(&|text| STANDARD.decode(text).is_ok()),
        "stamp" => is_text(&is_stamp),
        "signer" => is_text(&|text| is_hex(text, 8)),
        "vault" => is_text(&|text| is_hex(text, 16)),
        "digest" => is_text(&|text| is_hex(text, 32)),
        "time" => {
            is_text(&|text| text.parse().is_ok_and(|time: Timestamp| time.to_string() == text))
        }
        words => is_text(&|text| words.split('|').any(|word| word == text)),
    }
}

/// Counts the names in a value, and in its text: they differ where one occurs twice.
fn has_twice(value: &Value, text: &[u8]) -> bool {
    fn names(value: &Value) -> usize {
        match value {
            Value::Object(fields) => fields.len() + fields.values().map(names).sum::<usize>(),
            Value::Array(items) => items.iter().map(names).sum(),
            _ => 0,
        }
    }
    let (mut colon_count, mut is_quoted, mut is_escaped) = (0, false, false);
    for byte in text {
        colon_count += usize::from(*byte == b':' && !is_quoted);
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    names(value) != colon_count
}

/// A JSON object on one line, of a shape.
pub fn object(bytes: &[u8], shape: &str) -> Checked<Value> {
    let is_line = !bytes.iter().any(|b| matches!(b, b'\r' | b'\n'));
    let value: Value = serde_json::from_slice(bytes)?;
    let is_sound = is_line && has_shape(&value, &SHAPES[shape]) && !has_twice(&value, bytes);
    ensure(is_sound, INVALID, shape).map(|()| value)
}

/// §2.3: a structure of this shape that says these places of itself.
pub fn structure(bytes: &[u8], shape: &str, places: &[(&str, &str)]) -> Checked<Value> {
    let first: Value = serde_json::from_slice(bytes)?;
    let (version, requires) = (first["v"].as_u64(), first["requires"].as_array());
    let requires = some(requires.filter(|all| all.iter().all(Value::is_string)), "requires")?;
    ensure(some(version, "v")? <= 1 && requires.is_empty(), TOO_NEW, shape)?;
    ensure(version == Some(1), INVALID, shape)?;
    let value = object(bytes, shape)?;
    for (field, expected) in places {
        let found = value[field].as_str().map_or_else(|| value[field].to_string(), str::to_owned);
        ensure(found == *expected, FOREIGN, &format!("{shape} of {field} {found}"))?;
    }
    Ok(value)
}

/// §8.1: refuses a verification key that is not of this name, or of its signer's id.
pub fn key(text: &str, vault: &str, signer: Option<&str>) -> Checked<StandardVerifier> {
    let verifier = StandardVerifier::new(text)?;
    let bytes = STANDARD.decode(text.splitn(3, '+').last().unwrap_or_default())?;
    let bytes = some(bytes.strip_prefix(&[1]), "no Ed25519 key")?;
    let is_weak = ed25519_dalek::VerifyingKey::from_bytes(bytes.try_into()?)?.is_weak();
    let is_its_own = signer.is_none_or(|signer| signer == &sha(bytes)[..16]);
    let name = format!("idswyft-vault/{vault}/{}", signer.unwrap_or("root"));
    let is_sound = is_its_own && !is_weak && verifier.name() == name;
    ensure(is_sound, INVALID, "a verification key").map(|()| verifier)
}

/// §8.1: the text of a note that one of these keys signed, and the names of those that did.
pub fn verified(note: &[u8], keys: Vec<StandardVerifier>) -> Checked<(String, Vec<String>)> {
    ensure(note.len() <= 1_000_000, LIMIT, "a note")?;
    let verify = || {
        let note = Note::from_bytes(note)?;
        let keys = keys.into_iter().map(|key| Box::new(key) as Box<dyn signed_note::Verifier>);
        let (signed, _) = note.verify(&VerifierList::new(keys.collect()))?;
        let names = signed.iter().map(|signature| signature.name().to_owned()).collect();
        Ok((std::str::from_utf8(note.text())?.to_owned(), names))
    };
    verify().map_err(|error: Refused| Refused { code: "signature-invalid", ..error })
}

/// §8.1: the JSON of a note of this kind, and the names of the keys that signed it.
pub fn note(
    note: &[u8],
    keys: Vec<StandardVerifier>,
    kind: &str,
    vault: &str,
) -> Checked<(String, Vec<String>)> {
    let (text, names) = verified(note, keys)?;
    let (first, rest) = some(text.split_once('\n'), "no first line")?;
    let version = some(first.strip_prefix("idswyft-vault/v"), "the first line")?;
    let (version, place) = some(version.split_once(' '), "the first line")?;
    ensure(version == "1", TOO_NEW, "another version")?;
    ensure(place == format!("{kind} {vault}"), FOREIGN, place)?;
    Ok((some(rest.strip_suffix('\n'), "not two lines")?.to_owned(), names))
}

/// §4.1: the plaintext of a sealed object.
pub fn unseal(sealed: &[u8], identity: &age::x25519::Identity) -> Checked<Vec<u8>> {
    let open = || {
        let payload_len = some(sealed.len().checked_sub(184), "a short object")?;
        let piece_count = payload_len.div_ceil(65_552).max(1);
        let len = some(payload_len.checked_sub(16 * piece_count), "a short object")?;
        ensure(len.div_ceil(65_536).max(1) == piece_count, INVALID, "a length")?;
        let parts = [(22, "-> X25519 "), (75, "\n"), (119, "\n--- "), (167, "\n")];
        let is_one = parts.iter().all(|(at, text)| sealed[*at..].starts_with(text.as_bytes()));
        ensure(is_one, INVALID, "not one stanza")?;
        let identity: &dyn age::Identity = identity;
        let mut plain = Vec::new();
        let mut reader = age::Decryptor::new(sealed)?.decrypt(std::iter::once(identity))?;
        reader.read_to_end(&mut plain)?;
        Ok(plain)
    };
    open().map_err(|error: Refused| Refused { code: "object-unreadable", ..error })
}

/// Reads little-endian integers from the front of bytes.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, len: usize) -> Checked<&'a [u8]> {
        let (field, rest) = some(self.0.split_at_checked(len), "it ends early")?;
        self.0 = rest;
        Ok(field)
    }

    pub fn int(&mut self, len: usize) -> Checked<usize> {
        let bytes = self.take(len)?.iter().rev();
        Ok(bytes.fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    pub fn text(&mut self, len: usize) -> Checked<String> {
        Ok(std::str::from_utf8(self.take(len)?)?.to_owned())
    }

    pub fn chunks(&mut self, count: usize) -> Checked<Vec<([u8; 32], usize)>> {
        ensure(count <= 2_097_152, LIMIT, "too many chunks")?;
        (0..count).map(|_| Ok((self.take(32)?.try_into()?, self.int(4)?))).collect()
    }

    /// §4.2: a skippable frame.
    fn skippable(&mut self, magic: u8) -> Checked<&'a [u8]> {
        ensure(self.take(4)? == [magic, 0x2a, 0x4d, 0x18], INVALID, "no skippable frame")?;
        let len = self.int(4)?;
        self.take(len)
    }

    fn padding(&mut self) -> Checked<()> {
        let is_zero = self.skippable(0x50)?.iter().all(|byte| *byte == 0);
        ensure(is_zero, INVALID, "something hides in the padding")
    }
}

/// §4.2: the content of a document of at most `max` bytes.
pub fn document(plain: &[u8], max: usize) -> Checked<Vec<u8>> {
    let (mut content, mut rest, mut is_first) = (Vec::new(), Fields(plain), true);
    while is_first || rest.0.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let len = find_frame_compressed_size(rest.0).ok();
        let frame = zstd::Decoder::new(rest.take(some(len, "a frame")?)?)?;
        frame.take((max + 1 - content.len()) as u64).read_to_end(&mut content)?;
        ensure(content.len() <= max, LIMIT, "a document")?;
        is_first = false;
    }
    rest.padding()?;
    ensure(rest.0.is_empty(), INVALID, "something follows the padding").map(|()| content)
}

/// §4.3: a pack, read whole.
pub struct Pack {
    /// Vault, generation and profile.
    pub owner: (String, String, usize),
    pub chunks: Vec<([u8; 32], usize)>,
    pub raw: Vec<u8>,
}

impl Pack {
    pub fn parse(plain: &[u8]) -> Checked<Self> {
        let (_, footer) = some(plain.split_at_checked(plain.len().wrapping_sub(104)), "short")?;
        let mut footer = Fields(footer);
        ensure(footer.take(8)? == b"IDSWPACK", INVALID, "the magic")?;
        ensure(footer.int(2)? == 1 && footer.int(2)? == 0, TOO_NEW, "a newer pack")?;
        let profile = footer.int(4)? & 0xff;
        let owner = (hex::encode(footer.take(16)?), footer.text(25)?, profile);
        ensure((1..=3).contains(&profile) && is_stamp(&owner.1), INVALID, "the owner")?;
        footer.take(7)?;
        let (chunk_count, block_count) = (footer.int(4)?, footer.int(4)?);
        ensure(chunk_count.max(block_count) <= 2_097_152, LIMIT, "too many chunks or blocks")?;
        let lens = [footer.int(8)?, footer.int(8)?, footer.int(8)?, footer.int(4)?];
        let [raw_len, frames_len, directory_len, padding_len] = lens;
        ensure(directory_len == 36 * chunk_count + 8 * block_count + 104, INVALID, "its length")?;
        let sum = frames_len.checked_add(16 + padding_len + directory_len);
        ensure(sum == Some(plain.len()), INVALID, "the lengths do not add up")?;
        let mut rest = Fields(plain);
        let mut frames = Fields(rest.take(frames_len)?);
        rest.padding()?;
        let mut directory = Fields(rest.skippable(0x51)?);
        ensure(directory.0.len() == directory_len && rest.0.is_empty(), INVALID, "the directory")?;
        let chunks = directory.chunks(chunk_count)?;
        let (mut raw, mut ends) = (Vec::new(), vec![0]);
        for _ in 0..block_count {
            let (frame_len, raw_len) = (directory.int(4)?, directory.int(4)?);
            ensure((1..=4_194_304).contains(&raw_len), INVALID, "a block's length")?;
            raw.extend(block(frames.take(frame_len)?, raw_len)?);
            ends.push(raw.len());
        }
        let (mut end, mut at) = (0, 0);
        for (_, len) in &chunks {
            at += usize::from(end == ends[at]);
            end += len;
            let is_within =
                (1..=1_048_576).contains(len) && ends.get(at).is_some_and(|e| end <= *e);
            ensure(is_within, INVALID, "a chunk that no block holds whole")?;
        }
        ensure(end == raw_len && raw.len() == raw_len && frames.0.is_empty(), INVALID, "a sum")?;
        Ok(Self { owner, chunks, raw })
    }
}

/// One zstd frame with its content size, without checksum and dictionary.
fn block(frame: &[u8], raw_len: usize) -> Checked<Vec<u8>> {
    let flags = some(frame.get(4), "a frame")?;
    let is_plain = flags & 0b111 == 0 && flags & 0b1110_0000 != 0;
    let is_one = find_frame_compressed_size(frame) == Ok(frame.len());
    ensure(is_plain && is_one, INVALID, "a frame's header")?;
    let raw = zstd::bulk::decompress(frame, raw_len)?;
    ensure(raw.len() == raw_len, INVALID, "a block's length").map(|()| raw)
}

//! What each structure owes its reader beyond its shape (§5.4, §7, §8, §9.1).

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::structures::{
    Checked, FOREIGN, Fields, INVALID, LIMIT, MISMATCH, Pack, SHAPES, TOO_NEW, ensure, has_shape,
    is_stamp, key, note, object, refused, sha, some, structure, verified,
};

/// What a chunk and its length are in a directory.
pub type Chunks = Vec<([u8; 32], usize)>;

pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns a number that a shape has found to be one.
pub fn int(value: &Value) -> usize {
    value.as_u64().and_then(|int| usize::try_from(int).ok()).unwrap_or(usize::MAX)
}

/// §8.2, §8.5: tells whether a signer may append an event at a time; it may what nobody knows.
pub fn may(signer: &Value, event: &Value, time: &Value) -> bool {
    let at = |time: &Value| text(time).parse::<jiff::Timestamp>().ok();
    let is_retired = at(&signer["retired"]).is_some_and(|retired| at(time) >= Some(retired));
    let is_known = SHAPES["events"].get(text(event)).is_some();
    let is_delegated = items(&signer["events"]).any(|delegated| delegated == event);
    (is_delegated || !is_known) && !is_retired
}

/// §8.2
pub fn vault_note(stored: &[u8], root: &str, vault: &str, number: &str) -> Checked<Value> {
    let (json, _) = note(stored, vec![key(root, vault, None)?], "vault", vault)?;
    let kem = serde_json::from_str::<Value>(&json)?["kem"].clone();
    let places = [("vault", vault), ("number", number)];
    let note = structure(json.as_bytes(), "vault_note", &places)?;
    ensure(kem == "x25519", TOO_NEW, "the kem")?;
    let name = text(&note["name"]);
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        && !name.starts_with(['_', '-']);
    ensure(
        is_name && (note["previous"].is_null() == (number == "1")),
        INVALID,
        "name or previous",
    )?;
    let is_set = |array: &Value, field: &dyn Fn(&Value) -> String| {
        let mut all: Vec<String> = items(array).map(field).collect();
        all.sort();
        all.windows(2).all(|pair| pair[0] != pair[1])
    };
    let recipients = &note["recipients"];
    ensure(items(recipients).count() > 0, INVALID, "no recipient")?;
    let is_once = is_set(recipients, &Value::to_string)
        && is_set(&note["signers"], &|signer| signer["id"].to_string())
        && items(&note["signers"]).all(|signer| is_set(&signer["events"], &Value::to_string));
    ensure(is_once, INVALID, "a recipient, signer or event is there twice")?;
    for signer in items(&note["signers"]) {
        key(text(&signer["key"]), vault, Some(text(&signer["id"])))?;
        let delegable = &SHAPES["delegable"][text(&signer["role"])];
        let is_beyond = |event: &Value| {
            let is_known = SHAPES["events"].get(text(event)).is_some();
            is_known && !delegable.is_null() && !text(delegable).split('|').any(|may| may == event)
        };
        ensure(!items(&signer["events"]).any(is_beyond), INVALID, "a delegation beyond the role")?;
    }
    let parameters = &note["parameters"];
    let within = |name: &str, min: usize, max: usize| (min..=max).contains(&int(&parameters[name]));
    let are_profiles_sound = ["stream", "file", "meta"].iter().all(|profile| {
        let lens = &parameters[*profile];
        let [min, avg, max] = ["min", "avg", "max"].map(|name| int(&lens[name]));
        let is_ordered = 64 <= min && min < avg && avg < max && max <= 1 << 20 && avg >= 256;
        let is_even = (min | avg | max) % 2 == 0;
        let level = lens["level"].as_i64().is_some_and(|level| (-7..=22).contains(&level));
        is_ordered && is_even && level && int(&parameters["block_len"]) >= max
    });
    let is_sound = are_profiles_sound
        && int(&parameters["block_len"]) <= 4 << 20
        && within("pack_len", 4 << 20, 512 << 20)
        && within("retire_below_percent", 0, 100)
        && within("reuse_days", 1, 36_500)
        && within("grace_days", 1, 36_500)
        && (parameters["generation_max_age_days"].is_null()
            || within("generation_max_age_days", 1, 36_500));
    ensure(is_sound, INVALID, "the parameters").map(|()| note)
}

/// §8.2: a snapshot note, and the names of the keys that signed it.
pub fn snapshot_note<'a>(
    stored: &[u8],
    vault: &str,
    snapshot: &str,
    keys: impl Iterator<Item = &'a str>,
) -> Checked<(Value, Vec<String>)> {
    let signer = |key: &str| key.split(['/', '+']).nth(2).map(str::to_owned);
    let keys = keys.map(|text| key(text, vault, signer(text).as_deref()));
    let (json, names) = note(stored, keys.collect::<Checked<_>>()?, "snapshot", vault)?;
    let places = [("vault", vault), ("snapshot", snapshot)];
    let note = structure(json.as_bytes(), "snapshot_note", &places)?;
    let at = |time: &Value| text(time).parse::<jiff::Timestamp>().ok();
    let is_floor = note["floor"].is_null() || at(&note["floor"]) >= at(&note["time"]);
    ensure(is_floor && int(&note["new_len"]) <= int(&note["stored_len"]), INVALID, "a sum")?;
    let is_short = ["body", "list"].iter().all(|name| int(&note[*name]["len"]) <= 1 << 29);
    ensure(is_short, LIMIT, "body or list").map(|()| (note, names))
}

/// §8.4
pub fn event(stored: &[u8], vault: &str, signer: &str, seq: &str) -> Checked<Value> {
    ensure(stored.len() <= 262_144, LIMIT, "an event")?;
    let json = some(stored.strip_suffix(b"\n"), "an event's last byte")?;
    let event = structure(json, "event", &[("vault", vault), ("signer", signer), ("seq", seq)])?;
    let shape = &SHAPES["events"][text(&event["event"])];
    ensure(shape.is_null() || has_shape(&event, shape), INVALID, "a field of the event")?;
    let seen: Vec<&str> = items(&event["seen"]).map(|seen| text(&seen["signer"])).collect();
    let is_sorted = seen.windows(2).all(|pair| pair[0] < pair[1]) && !seen.contains(&signer);
    let is_short = items(&event["objects"]).count() <= 2000;
    ensure(is_sorted && is_short, INVALID, "what was seen, or too many objects").map(|()| event)
}

/// §8.5: size and root.
pub fn checkpoint(
    stored: &[u8],
    signer: &str,
    key_text: &str,
    vault: &str,
) -> Checked<(u64, Vec<u8>)> {
    let (text, _) = verified(stored, vec![key(key_text, vault, Some(signer))?])?;
    let lines: Vec<&str> = text.split('\n').collect();
    ensure(lines.len() == 4 && lines[3].is_empty(), INVALID, "a checkpoint's lines")?;
    let origin = format!("idswyft-vault/v1/ledger/{vault}/{signer}");
    ensure(lines[0] == origin, FOREIGN, "the origin")?;
    let (size, root): (u64, Vec<u8>) = (lines[1].parse()?, STANDARD.decode(lines[2])?);
    let is_one_spelling = lines[1] == size.to_string() && root.len() == 32;
    ensure(is_one_spelling, INVALID, "a checkpoint").map(|()| (size, root))
}

/// RFC 6962, §2.1, of leaf hashes.
pub fn merkle_root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => Sha256::digest([]).to_vec(),
        [leaf] => leaf.clone(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Sha256::digest([&[1], &merkle_root(left)[..], &merkle_root(right)].concat()).to_vec()
        }
    }
}

/// §8.3: names and stored lengths.
pub fn list(stored: &[u8], vault: &str, snapshot: &str) -> Checked<BTreeMap<String, u64>> {
    let text = some(std::str::from_utf8(stored)?.strip_suffix('\n'), "the last line")?;
    let mut lines = text.split('\n');
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let version = first.get(1).and_then(|first| first.strip_prefix("idswyft-vault/v"));
    ensure(first.len() == 5 && first[0] == "#" && first[2] == "list", INVALID, "line 1")?;
    ensure(some(version, "line 1")? == "1", TOO_NEW, "another version")?;
    ensure(first[3..] == [vault, snapshot], FOREIGN, "a list")?;
    let mut list = BTreeMap::new();
    while let Some(len) = lines.next() {
        let len = some(len.strip_prefix("# "), "a length")?;
        let line = some(lines.next(), "a name")?;
        let (digest, name) = some(line.split_once("  "), "a name")?;
        let value: u64 = len.parse()?;
        let is_in_order =
            list.last_key_value().is_none_or(|(last, _): (&String, _)| **last < *name);
        let places =
            ["packs", "trees"].map(|folder| format!("{folder}/{}/{digest}", &sha_head(digest)));
        let is_named = places.iter().any(|place| place == name) && digest.len() == 64;
        let is_hex = hex::decode(digest).is_ok_and(|bytes| hex::encode(bytes) == digest);
        let is_len = (1..=1 << 30).contains(&value) && value.to_string() == len;
        ensure(is_in_order && is_named && is_hex && is_len, INVALID, name)?;
        list.insert(name.to_owned(), value);
    }
    Ok(list)
}

fn sha_head(digest: &str) -> &str {
    digest.get(..2).unwrap_or_default()
}

/// §5.4: the identity and the dedup secret of whose places these are.
pub fn generation(plain: &[u8]) -> Checked<(String, String, age::x25519::Identity, [u8; 32])> {
    let lines: Vec<&str> = std::str::from_utf8(plain)?.split('\n').collect();
    ensure(lines.len() == 5 && lines[4].is_empty(), INVALID, "not four lines")?;
    let place = some(lines[0].strip_prefix("# idswyft-vault/v1 generation "), "line 1")?;
    let (vault, id) = some(place.split_once(' '), "line 1")?;
    let time = some(lines[1].strip_prefix("# created: "), "line 2")?;
    let secret = some(lines[2].strip_prefix("# dedup-secret: "), "line 3")?;
    let shape = serde_json::json!(["vault", "stamp", "time", "digest"]);
    let is_sound = has_shape(&serde_json::json!([vault, id, time, secret]), &shape);
    ensure(is_sound && lines[3].starts_with("AGE-SECRET-KEY-1"), INVALID, "a secret")?;
    let identity = lines[3].parse().map_err(|error| refused(INVALID, error))?;
    Ok((vault.to_owned(), id.to_owned(), identity, some(hex::decode(secret)?.try_into().ok(), "")?))
}

/// §7.1
pub fn body(json: &[u8], vault: &str, generation: &str, snapshot: &str) -> Checked<Value> {
    let places = [("vault", vault), ("generation", generation), ("snapshot", snapshot)];
    let body = structure(json, "body", &places)?;
    let pack_count = items(&body["packs"]).count();
    for stream in [&body["database"], &body["uploads"]["tree"]] {
        let is_sound = items(&stream["recipe"]).all(|extent| {
            int(&extent[0]) < pack_count && int(&extent[1]) + int(&extent[2]) <= 1 << 53
        });
        let len: usize = items(&stream["recipe"]).map(|extent| int(&extent[2])).sum();
        let is_whole = stream.is_null() || len == int(&stream["len"]);
        ensure(is_sound && is_whole, INVALID, "a recipe")?;
    }
    Ok(body)
}

/// §9.1: the packs with their chunks; how much of each is used is for the host alone.
pub fn segment(content: &[u8], places: [&str; 3]) -> Checked<Vec<(String, Chunks)>> {
    let mut rest = Fields(content);
    ensure(rest.take(8)? == b"IDSWSEGM", INVALID, "the magic")?;
    ensure(rest.int(2)? == 1 && rest.int(2)? == 0, TOO_NEW, "a newer segment")?;
    let found = [hex::encode(rest.take(16)?), rest.text(25)?, rest.text(25)?];
    ensure(found[1..].iter().all(|id| is_stamp(id)), INVALID, "an id")?;
    ensure(places == ["", "", ""] || found == places, FOREIGN, "a segment")?;
    let (pack_count, use_count, record_len) = (rest.int(4)?, rest.int(4)?, rest.int(4)?);
    ensure(record_len <= 16 << 20, LIMIT, "a record")?;
    structure(rest.take(record_len)?, "segment_record", &[])?;
    let pack = |_| {
        let (id, profile) = (hex::encode(rest.take(32)?), rest.int(4)? & 0xff);
        let (_, raw_len, chunk_count) = (rest.int(8)?, rest.int(8)?, rest.int(4)?);
        let chunks = rest.chunks(chunk_count)?;
        let is_whole = chunks.iter().map(|chunk| chunk.1).sum::<usize>() == raw_len;
        ensure((1..=3).contains(&profile) && is_whole, INVALID, "a pack").map(|()| (id, chunks))
    };
    let packs = (0..pack_count).map(pack).collect::<Checked<_>>()?;
    rest.take(use_count * 40)?;
    ensure(rest.0.is_empty(), INVALID, "something follows the last use").map(|()| packs)
}

/// §7.2: the bytes of a name that is text or base64; exactly one of both.
fn name(line: &Value, field: &str) -> Checked<Vec<u8>> {
    match (&line[field], &line[format!("{field}_base64")]) {
        (Value::String(text), Value::Null) => Ok(text.as_bytes().to_vec()),
        (Value::Null, Value::String(text)) => {
            let bytes = STANDARD.decode(text)?;
            ensure(std::str::from_utf8(&bytes).is_err(), INVALID, field).map(|()| bytes)
        }
        _ => Err(refused(INVALID, field)),
    }
}

/// An entry of a tree.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub path: Vec<u8>,
    /// What a symbolic link points to, what a hard link links, or a file's contents.
    pub bytes: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The line, for its numbers.
    pub line: Value,
}

impl Entry {
    pub fn parse(line: &[u8]) -> Checked<Self> {
        ensure(line.len() <= 64 << 20, LIMIT, "a line")?;
        let line = object(some(line.strip_suffix(b"\n"), "no last line")?, "line")?;
        let kind = text(&line["kind"]);
        let own = &SHAPES["kinds"][kind];
        let specific = [
            "size",
            "b3",
            "extents",
            "rdev",
            "target",
            "target_base64",
            "link",
            "link_base64",
            "sparse",
        ];
        let may_have = |field: &&str| {
            let stem = field.trim_end_matches("_base64");
            own.get(field).is_some()
                || matches!(
                    (kind, stem),
                    ("symlink", "target") | ("hardlink", "link") | ("file", "sparse")
                )
        };
        let is_own = specific.iter().all(|field| may_have(field) || line.get(field).is_none());
        let is_within = int(&line["mode"]) <= 0o7777
            && int(&line["uid"]).max(int(&line["gid"])) < u32::MAX as usize
            && int(&line["mtime"][1]) < 1_000_000_000;
        let is_sparse_true = line.get("sparse").is_none_or(|sparse| sparse == true);
        ensure(is_own && is_within && is_sparse_true && has_shape(&line, own), INVALID, "a field")?;
        let is_within_2_53 = |extent: &Value| int(&extent[1]) + int(&extent[2]) <= 1 << 53;
        let is_short = items(&line["extents"]).all(is_within_2_53);
        ensure(is_short, INVALID, "the extents")?;
        let path = name(&line, "path")?;
        let bad =
            |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.contains(&0);
        ensure(path.is_empty() || !path.split(|b| *b == b'/').any(bad), INVALID, "the path")?;
        let bytes = match kind {
            "symlink" => name(&line, "target")?,
            "hardlink" => name(&line, "link")?,
            _ => Vec::new(),
        };
        ensure(kind != "hardlink" || order(&bytes) < order(&path), INVALID, "the link")?;
        let mut xattrs = BTreeMap::new();
        for (field, is_base64) in [("xattrs", false), ("xattrs_base64", true)] {
            let all = line.get(field).map(|all| some(all.as_object(), field)).transpose()?;
            for (name, value) in all.into_iter().flatten() {
                let name = if is_base64 { STANDARD.decode(name)? } else { name.clone().into() };
                ensure(is_base64 != std::str::from_utf8(&name).is_ok(), INVALID, field)?;
                xattrs.insert(name, STANDARD.decode(some(value.as_str(), field)?)?);
            }
            ensure(all.is_none_or(|all| !all.is_empty()), INVALID, field)?;
        }
        Ok(Self { path, bytes, xattrs, line })
    }
}

fn order(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

/// §7.2: the entries of a tree, in their order.
pub fn tree(stream: &[u8]) -> Checked<Vec<Entry>> {
    let entries = stream.split_inclusive(|byte| *byte == b'\n').map(Entry::parse);
    let entries = entries.collect::<Checked<Vec<_>>>()?;
    let root = entries.first().filter(|root| root.path.is_empty() && root.line["kind"] == "dir");
    let is_sorted = entries.windows(2).all(|pair| order(&pair[0].path) < order(&pair[1].path));
    ensure(root.is_some() && is_sorted, INVALID, "the order of the tree").map(|()| entries)
}

/// §7.1: copies extents together; what they give must have this length and BLAKE3.
pub fn gather<'a>(
    packs: &BTreeMap<String, Rc<Pack>>,
    profile: usize,
    extents: impl Iterator<Item = (&'a str, usize, usize)>,
    of: &Value,
) -> Checked<Vec<u8>> {
    let mut bytes = Vec::new();
    for (id, offset, len) in extents {
        let pack = packs.get(id).ok_or_else(|| refused(MISMATCH, id))?;
        ensure(pack.owner.2 == profile, FOREIGN, id)?;
        let extent = pack.raw.get(offset..offset + len);
        bytes.extend(extent.ok_or_else(|| refused("object-truncated", id))?);
    }
    let len = of.get("size").unwrap_or(&of["len"]);
    ensure(*len == bytes.len(), MISMATCH, "lengths do not add up")?;
    let b3 = blake3::hash(&bytes).to_hex();
    ensure(*b3 == *text(&of["b3"]), "contents-altered", "a stream or file").map(|()| bytes)
}

/// Tells a digest of an age recipient's text.
pub fn is_recipient(identity: &age::x25519::Identity, digest: &Value) -> bool {
    *digest == sha(identity.to_public().to_string().as_bytes())
}

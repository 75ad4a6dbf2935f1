//! The JSON of one tree line. Field order is fixed, extents last, so that equal entries are equal
//! bytes and a head can be kept.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Extent, FileContent, Kind, Time, TreeEntry, TreeError};

/// A line as JSON has it; what the kind does not need is absent.
#[derive(Serialize, Deserialize, Default)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    kind: Cow<'a, str>,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b3: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs_base64: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extents: Option<Vec<Extent>>,
}

/// Returns the JSON object of a checked entry, without extents.
pub(super) fn head_of(entry: &TreeEntry) -> Vec<u8> {
    let mut line = Line {
        kind: entry.kind.name().into(),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: (entry.mtime.sec, entry.mtime.nsec),
        ..Line::default()
    };
    (line.path, line.path_base64) = escape(&entry.path);
    match &entry.kind {
        Kind::File(content) => {
            line.size = Some(content.size);
            line.b3 = Some(content.b3.to_hex().to_string().into());
            line.sparse = content.sparse.then_some(true);
        }
        Kind::Symlink { target } => (line.target, line.target_base64) = escape(target),
        Kind::Hardlink { link } => (line.link, line.link_base64) = escape(link),
        Kind::Char { major, minor } | Kind::Block { major, minor } => {
            line.rdev = Some((*major, *minor));
        }
        Kind::Dir | Kind::Fifo | Kind::Socket => {}
    }
    for (name, value) in &entry.xattrs {
        let value = STANDARD.encode(value);
        match std::str::from_utf8(name) {
            Ok(name) => line.xattrs.get_or_insert_default().insert(name.to_owned(), value),
            Err(_) => {
                line.xattrs_base64.get_or_insert_default().insert(STANDARD.encode(name), value)
            }
        };
    }
    serde_json::to_vec(&line).expect("strings, numbers and maps with string keys are JSON")
}

/// Puts extents into the head of a file; other heads stay as they are. Adds the newline.
pub(super) fn join(head: &[u8], extents: &[Extent]) -> Vec<u8> {
    const KIND: &[u8] = br#","kind":""#;
    const EXTENT_TEXT_LEN: usize = 90;
    let mut line = Vec::with_capacity(head.len() + 16 + extents.len() * EXTENT_TEXT_LEN);
    line.extend_from_slice(head);
    // Only the path comes before the kind, and quotes inside it are escaped.
    let kind = memchr::memmem::find(head, KIND).map(|at| &head[at + KIND.len()..]);
    if kind.is_some_and(|kind| kind.starts_with(b"file\"")) {
        line.pop();
        line.extend_from_slice(br#","extents":"#);
        serde_json::to_writer(&mut line, extents).expect("a vector takes any bytes");
        line.push(b'}');
    }
    line.push(b'\n');
    line
}

/// Reads the JSON; ranges and paths are the caller's to check.
pub(super) fn parse(line: &[u8]) -> Result<TreeEntry, TreeError> {
    let mut line: Line<'_> = serde_json::from_slice(line)?;
    let entry = TreeEntry {
        path: unescape("path", line.path.take(), line.path_base64.take())?,
        kind: kind_of(&mut line)?,
        mode: line.mode,
        uid: line.uid,
        gid: line.gid,
        mtime: Time { sec: line.mtime.0, nsec: line.mtime.1 },
        xattrs: xattrs_of(&mut line)?,
    };
    let misplaced = line.target.is_some()
        || line.target_base64.is_some()
        || line.link.is_some()
        || line.link_base64.is_some()
        || line.rdev.is_some()
        || line.size.is_some()
        || line.b3.is_some()
        || line.sparse.is_some()
        || line.extents.is_some();
    if misplaced {
        return Err(field("kind", "the line has a field of another kind"));
    }
    Ok(entry)
}

/// Reads a field that is there only if it is true, so that equal entries are equal bytes.
fn sparse_of(sparse: Option<bool>) -> Result<bool, TreeError> {
    match sparse {
        Some(false) => Err(field("sparse", "false, where it is true or not there")),
        sparse => Ok(sparse.is_some()),
    }
}

fn kind_of(line: &mut Line<'_>) -> Result<Kind, TreeError> {
    let missing = |name| move || field(name, "missing");
    Ok(match &*line.kind {
        "file" => Kind::File(FileContent {
            size: line.size.take().ok_or_else(missing("size"))?,
            b3: b3_of(&line.b3.take().ok_or_else(missing("b3"))?)?,
            extents: line.extents.take().ok_or_else(missing("extents"))?,
            sparse: sparse_of(line.sparse.take())?,
        }),
        "dir" => Kind::Dir,
        "symlink" => Kind::Symlink {
            target: unescape("target", line.target.take(), line.target_base64.take())?,
        },
        "hardlink" => {
            Kind::Hardlink { link: unescape("link", line.link.take(), line.link_base64.take())? }
        }
        "fifo" => Kind::Fifo,
        "socket" => Kind::Socket,
        "char" => {
            let (major, minor) = line.rdev.take().ok_or_else(missing("rdev"))?;
            Kind::Char { major, minor }
        }
        "block" => {
            let (major, minor) = line.rdev.take().ok_or_else(missing("rdev"))?;
            Kind::Block { major, minor }
        }
        _ => return Err(field("kind", "unknown")),
    })
}

fn b3_of(text: &str) -> Result<blake3::Hash, TreeError> {
    blake3::Hash::from_hex(text)
        .ok()
        .filter(|hash| hash.to_hex().as_str() == text)
        .ok_or_else(|| field("b3", "not 64 lowercase hex digits"))
}

fn xattrs_of(line: &mut Line<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, TreeError> {
    let mut xattrs = BTreeMap::new();
    for (name, value) in line.xattrs.take().unwrap_or_default() {
        xattrs.insert(name.into_bytes(), decode("xattrs", &value)?);
    }
    for (name, value) in line.xattrs_base64.take().unwrap_or_default() {
        let name = unescape("xattrs_base64", None, Some(name))?;
        xattrs.insert(name, decode("xattrs_base64", &value)?);
    }
    Ok(xattrs)
}

fn escape(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn unescape(
    name: &'static str,
    text: Option<Cow<'_, str>>,
    base64: Option<String>,
) -> Result<Vec<u8>, TreeError> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(base64)) => {
            let bytes = decode(name, &base64)?;
            match std::str::from_utf8(&bytes) {
                // One spelling for every byte string, so that equal trees are equal bytes.
                Ok(_) => Err(field(name, "UTF-8 given as base64")),
                Err(_) => Ok(bytes),
            }
        }
        (Some(_), Some(_)) => Err(field(name, "given twice")),
        (None, None) => Err(field(name, "missing")),
    }
}

fn decode(name: &'static str, base64: &str) -> Result<Vec<u8>, TreeError> {
    STANDARD.decode(base64).map_err(|_| field(name, "not standard base64"))
}

fn field(field: &'static str, reason: &'static str) -> TreeError {
    TreeError::Field { field, reason }
}

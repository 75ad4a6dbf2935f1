//! `show`: one snapshot, with an identity in full, without one what is signed.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use serde_json::{Value, json};

use crate::base::{Coded, Event, Observer, SnapshotId};
use crate::cli::access;
use crate::cli::args::ShowArgs;
use crate::cli::args::selection::Selector;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::{Kind, ObjectKey, TreeEntry};
use crate::ops::{self, read, restore, space};
use crate::vault::{self, Auditor};

/// Describes a snapshot; with `--files`, lists its tree.
///
/// # Errors
/// If there is no such snapshot, or listing files needs an identity and none is given.
pub fn run(args: &ShowArgs, session: &Session) -> Result<Ending, Failure> {
    let selector = args.selection.selector()?;
    if args.files {
        return list_files(args, &selector, session);
    }
    let auditor = access::auditor(session, &args.access)?;
    let id = choose(&auditor, &selector, session)?;
    let note = auditor.snapshot(id)?;
    let space = space::of_store(&auditor, session.progress.as_ref())?;
    let own = space.snapshots.get(&id);
    let of = space.generations.get(&note.generation);
    let mut object = json!({
        "id": id,
        "vault": auditor.note().name,
        "time": note.time.to_string(),
        "generation": note.generation,
        "signer": note.signer,
        "floor": note.floor.map(|time| time.to_string()),
        "stored_len": note.stored_len,
        "new_len": note.new_len,
        "unique_len": own.map(|own| own.unique_len),
        "generation_len": of.map(|of| of.needed_len),
        "vault_len": space.needed_len,
        "pack_count": note.pack_count,
        "tree_count": note.tree_count,
    });
    if !session.global.identity.is_empty() {
        let unlocked = access::unlocked(session, &args.access, "open the snapshot")?;
        let body = unlocked.body(&note)?;
        if let (Value::Object(object), Value::Object(facts)) =
            (&mut object, restore::facts_of(&body))
        {
            let vault = object["vault"].clone();
            object.extend(facts);
            object.insert("vault".to_owned(), vault);
            // It is `id` already.
            object.remove("snapshot");
        }
    }
    session.report.result(&object, &session.progress.warnings(), || text_of(&object))?;
    Ok(Ending::Done)
}

/// Returns the snapshot that is meant.
///
/// A note that is damaged or too new must not look as if it had never been there: asked for by id
/// it is the error, and a newer one than the newest sound one is a warning.
///
/// # Errors
/// If none or several match, or the note of the one that does is not sound.
pub fn choose(
    auditor: &Auditor,
    selector: &Selector,
    session: &Session,
) -> Result<SnapshotId, Failure> {
    let checked = auditor.snapshots()?;
    let sound: Vec<SnapshotId> = checked.sound.into_keys().collect();
    let mut unsound: BTreeMap<SnapshotId, vault::Error> = BTreeMap::new();
    for (key, error) in checked.problems {
        if let ObjectKey::Note(id) = key {
            unsound.insert(id, error);
        }
    }
    let all: Vec<SnapshotId> = sound.iter().chain(unsound.keys()).copied().collect();
    let wanted = selector.choose(&all)?;
    let Some(error) = unsound.remove(&wanted) else { return Ok(wanted) };
    match (selector, selector.choose(&sound)) {
        (Selector::Latest | Selector::At(_), Ok(older)) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let detail = format!("passed over {wanted} for {older}: failed to {error}{cause}");
            session.progress.observe(Event::Warning { code: error.code(), detail });
            Ok(older)
        }
        _ => Err(error.into()),
    }
}

fn text_of(object: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", object, &mut lines);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// Lists the fields of an object, and of those within it, by dotted names.
fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Null => return,
        Value::Object(fields) => {
            let before = if name.is_empty() { String::new() } else { format!("{name}.") };
            for (name, value) in fields {
                flatten(&format!("{before}{name}"), value, lines);
            }
            return;
        }
        Value::Array(items) if items.is_empty() => return,
        Value::String(text) => text.clone(),
        Value::Number(len) if name.ends_with("_len") || name.ends_with(".len") => {
            words::bytes(len.as_u64().unwrap_or_default())
        }
        other => other.to_string(),
    };
    lines.push((words::printable(name), words::printable(&text)));
}

fn list_files(args: &ShowArgs, selector: &Selector, session: &Session) -> Result<Ending, Failure> {
    let unlocked = access::unlocked(session, &args.access, "list the files")?;
    let id = choose(unlocked.auditor(), selector, session)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let json = session.report.is_json();
    let mut first = true;
    let wrap = ops::Error::Output;
    if json {
        write!(out, "{{\"id\":\"{id}\",\"files\":[").map_err(wrap)?;
    }
    read::visit_tree(&unlocked, id, |entry| {
        let line = if json { entry_json(&entry).to_string() } else { entry_line(&entry) };
        let (before, after) = if json { (if first { "" } else { "," }, "") } else { ("", "\n") };
        first = false;
        write!(out, "{before}{line}{after}").map_err(wrap)
    })?;
    if json {
        writeln!(out, "]}}").map_err(wrap)?;
    }
    out.flush().map_err(wrap)?;
    Ok(Ending::Done)
}

fn entry_json(entry: &TreeEntry) -> Value {
    let size = match &entry.kind {
        Kind::File(content) => Some(content.size),
        _ => None,
    };
    json!({
        "path": String::from_utf8_lossy(&entry.path),
        "kind": entry.kind.name(),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": [entry.mtime.sec, i64::from(entry.mtime.nsec)],
        "size": size,
    })
}

fn entry_line(entry: &TreeEntry) -> String {
    let (size, more) = match &entry.kind {
        Kind::File(content) => (content.size.to_string(), String::new()),
        Kind::Symlink { target } => {
            (String::new(), format!(" -> {}", String::from_utf8_lossy(target)))
        }
        Kind::Hardlink { link } => (String::new(), format!(" = {}", String::from_utf8_lossy(link))),
        _ => (String::new(), String::new()),
    };
    let path = String::from_utf8_lossy(&entry.path);
    let path = if path.is_empty() { "." } else { &path };
    let line = format!(
        "{:8} {:04o} {:>6} {:>6} {size:>12} {path}{more}",
        entry.kind.name(),
        entry.mode,
        entry.uid,
        entry.gid
    );
    words::printable(&line)
}

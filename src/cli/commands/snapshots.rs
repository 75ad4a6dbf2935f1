//! `snapshots`: what there is, by the host's manifest or by a store's notes.

use serde_json::{Value, json};

use crate::cli::access::{self, AccessArgs};
use crate::cli::args::SnapshotsArgs;
use crate::cli::config::{Config, VaultConfig};
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::Manifest;
use crate::vault::state::StateDir;

/// Lists snapshots, oldest first.
///
/// # Errors
/// If neither a manifest nor a store can be read.
pub fn run(args: &SnapshotsArgs, session: &Session) -> Result<Ending, Failure> {
    let mut rows = Vec::new();
    if args.access.store.is_none() && args.access.vault_key.is_none() {
        let config = session.config()?;
        for vault in config.select(session.global.vault.as_deref())? {
            rows.extend(of_manifest(&config, vault)?);
        }
    } else {
        rows.extend(of_stores(session, &args.access)?);
    }
    rows.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
    let object = json!({ "snapshots": rows });
    session.report.result(object, &session.progress.warnings(), || table(&rows))?;
    Ok(Ending::Done)
}

fn of_manifest(config: &Config, vault: &VaultConfig) -> Result<Vec<Value>, Failure> {
    access::anchor(config, vault)?;
    let state = StateDir::new(&config.state_dir, &vault.name);
    let manifest = Manifest::open(&state.file("manifest.sqlite"), state.gate())?;
    let mut waiting = Vec::new();
    for store in &vault.stores {
        waiting.push((store.name.clone(), manifest.undelivered(&store.name)?));
    }
    let rows = manifest.snapshots()?.into_iter().map(|row| {
        let has = |(name, late): &(String, Vec<_>)| (!late.contains(&row.id)).then(|| name.clone());
        let mut object = json!({
            "id": row.id,
            "vault": vault.name,
            "time": row.time.to_string(),
            "tags": serde_json::from_str::<Value>(&row.tags).unwrap_or_default(),
            "generation": row.generation,
            "stores": waiting.iter().filter_map(has).collect::<Vec<_>>(),
        });
        if let (Value::Object(object), Ok(Value::Object(facts))) =
            (&mut object, serde_json::from_str(&row.facts))
        {
            object.extend(facts);
        }
        object
    });
    Ok(rows.collect())
}

fn of_stores(session: &Session, access: &AccessArgs) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for auditor in access::auditors(session, access)? {
        let checked = auditor.snapshots()?;
        for (key, error) in checked.problems {
            let warning = crate::base::Event::Warning {
                code: crate::base::Coded::code(&error),
                detail: format!("{key}: {error}"),
            };
            crate::base::Observer::observe(session.progress.as_ref(), warning);
        }
        let (vault, store) = (&auditor.note().name, auditor.store().name());
        rows.extend(checked.sound.values().map(|note| object_of(note, vault, store)));
    }
    Ok(rows)
}

/// Describes a note without a key: its tags are sealed in the body.
fn object_of(note: &SnapshotNote, vault: &str, store: &str) -> Value {
    json!({
        "id": note.snapshot,
        "vault": vault,
        "time": note.time.to_string(),
        "tags": null,
        "generation": note.generation,
        "stores": [store],
        "stored_len": note.stored_len,
        "new_len": note.new_len,
    })
}

fn table(rows: &[Value]) -> String {
    let mut table = Table::new(&[
        ("id", Side::Left),
        ("vault", Side::Left),
        ("content", Side::Right),
        ("new", Side::Right),
        ("stores", Side::Left),
        ("tags", Side::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let len = |value: &Value| value.as_u64().map_or_else(String::new, words::bytes);
    let list = |value: &Value| {
        let items = value.as_array().into_iter().flatten().map(&text);
        items.collect::<Vec<_>>().join(",")
    };
    for row in rows {
        table.row([
            text(&row["id"]),
            text(&row["vault"]),
            len(&row["content_len"]),
            len(&row["new_len"]),
            list(&row["stores"]),
            list(&row["tags"]),
        ]);
    }
    table.to_string()
}

//! `generation`: the periods with keys of their own.

use std::path::Path;

use serde_json::{Value, json};

use super::keygen::{exists, write_new};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::{GenerationArgs, GenerationCommand};
use crate::cli::desk;
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::recipient::DataRecipients;
use crate::ops::generations::{self, GenerationRow};
use crate::vault::Writer;
use crate::vault::state::{StateDir, StateLock};

/// Lists generations, opens a new one, or hands out the identity of one.
///
/// # Errors
/// If a store, the state or an identity fails.
pub fn run(args: &GenerationArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        GenerationCommand::List { access } => list(session, access),
        GenerationCommand::Roll => roll(session),
        GenerationCommand::Export { id, output, access } => export(session, id, output, access),
    }
}

fn list(session: &Session, access: &AccessArgs) -> Result<Ending, Failure> {
    let mut rows = Vec::new();
    for auditor in access::auditors(session, access)? {
        let name = &auditor.note().name;
        let listed = generations::list(&auditor, session.progress.as_ref())?;
        rows.extend(listed.iter().map(|row| object_of(row, name)));
    }
    let object = json!({ "generations": rows });
    session.report.result(object, &session.progress.warnings(), || table(&rows))?;
    Ok(Ending::Done)
}

fn object_of(row: &GenerationRow, vault: &str) -> Value {
    let state = match (row.is_shredded, row.closed) {
        (true, _) => "shredded",
        (false, Some(_)) => "closed",
        (false, None) => "open",
    };
    json!({
        "id": row.id,
        "vault": vault,
        "state": state,
        "opened": row.opened.to_string(),
        "closed": row.closed.map(|at| at.to_string()),
        "revs": row.revs.iter().map(|(rev, is_there)| {
            json!({ "rev": rev, "is_there": is_there })
        }).collect::<Vec<_>>(),
        "snapshot_count": row.snapshot_count,
        "stored_len": row.stored_len,
    })
}

fn table(rows: &[Value]) -> String {
    let mut table = Table::new(&[
        ("id", Side::Left),
        ("vault", Side::Left),
        ("state", Side::Left),
        ("snapshots", Side::Right),
        ("stored", Side::Right),
        ("files", Side::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in rows {
        let revs = row["revs"].as_array().into_iter().flatten();
        let missing = revs.clone().filter(|rev| rev["is_there"] == false).count();
        let files = match missing {
            0 => revs.count().to_string(),
            _ => format!("{}, {missing} missing", revs.count()),
        };
        table.row([
            text(&row["id"]),
            text(&row["vault"]),
            text(&row["state"]),
            words::number(row["snapshot_count"].as_u64().unwrap_or_default()),
            words::bytes(row["stored_len"].as_u64().unwrap_or_default()),
            files,
        ]);
    }
    table.to_string()
}

fn roll(session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let vault = desk::only(&config, session)?;
    let state = StateDir::new(&config.state_dir, &vault.name);
    state.anchor()?;
    let _lock = StateLock::take(&config.state_dir)?;
    let mut writer = Writer::open(state, access::stores(vault)?, session.outside())?;
    let recipients = DataRecipients::parse(&vault.recipients)?;
    let closed = writer.generation().id;
    let observer = session.progress.as_ref();
    let opened = generations::roll(&mut writer, &recipients, &session.ask, observer)?;
    let lagging = writer.mirrors().lagging();
    let object =
        json!({ "vault": vault.name, "closed": closed, "opened": opened, "lagging": lagging });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        format!(
            "closed generation {closed} of vault {} and opened {opened}\n\
             The next snapshot stores everything anew.\n",
            vault.name
        )
    })
}

fn export(
    session: &Session,
    id: &str,
    output: &Path,
    access: &AccessArgs,
) -> Result<Ending, Failure> {
    // Before anything is typed; what decides is that the file is created and never replaced.
    if output.symlink_metadata().is_ok() {
        return Err(exists(output));
    }
    let unlocked = access::unlocked(session, access, "export a generation")?;
    let (id, file) = generations::export(&unlocked, id)?;
    write_new(output, file.as_bytes())?;
    let vault = &unlocked.auditor().note().name;
    let object = json!({ "vault": vault, "generation": id, "identity": output });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        format!(
            "wrote the identity of generation {id} to {}\n\
             It opens that generation's snapshots and no other, and is not protected: hand it on\n\
             safely. Nothing can take it back.\n",
            output.display()
        )
    })
}

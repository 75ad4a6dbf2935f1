//! `ledger`: the verification key, and what the signed logs record.

use serde_json::{Value, json};

use crate::cli::access::{self, AccessArgs};
use crate::cli::args::{LedgerArgs, LedgerCommand};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::vault::ledger::{self, SignerLog};

/// Prints the key or the events.
///
/// # Errors
/// If there is no state, no store, or no such signer.
pub fn run(args: &LedgerArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        LedgerCommand::Key => key(session),
        LedgerCommand::Show { signer, access } => show(session, access, signer.as_deref()),
    }
}

fn key(session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let mut keys = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        let anchor = access::anchor(&config, vault)?;
        keys.push(json!({ "vault": vault.name, "id": anchor.vault, "key": anchor.root_key }));
    }
    let several = keys.len() > 1;
    let object = json!({ "keys": keys });
    session.report.result(object, &[], || {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |key: &Value| match several {
            true => format!("{}  {}\n", text(&key["vault"]), text(&key["key"])),
            false => format!("{}\n", text(&key["key"])),
        };
        keys.iter().map(line).collect()
    })?;
    Ok(Ending::Done)
}

fn show(session: &Session, access: &AccessArgs, signer: Option<&str>) -> Result<Ending, Failure> {
    let wanted = signer.map(str::parse::<crate::base::SignerId>).transpose()?;
    let mut logs = Vec::new();
    for auditor in access::auditors(session, access)? {
        let all = ledger::read_all(&auditor)?;
        logs.extend(all.into_iter().filter(|log| wanted.is_none_or(|id| id == log.signer)));
    }
    let events: Vec<Value> = logs.iter().flat_map(events_of).collect();
    let heads: Vec<Value> = logs.iter().map(head_of).collect();
    let damaged = logs.iter().any(|log| !log.problems.is_empty());
    let object = json!({ "ledgers": heads, "events": events });
    session.report.result(object, &session.progress.warnings(), || {
        logs.iter().map(text_of).collect::<String>()
    })?;
    Ok(if damaged { Ending::Damaged } else { Ending::Done })
}

fn events_of(log: &SignerLog) -> Vec<Value> {
    log.events
        .iter()
        .map(|event| {
            let stored = event.compose().unwrap_or_default();
            serde_json::from_slice(&stored).unwrap_or_else(|_| {
                json!({
                    "signer": event.signer,
                    "seq": event.seq,
                    "time": event.time.to_string(),
                    "event": event.payload.name().to_string(),
                })
            })
        })
        .collect()
}

fn head_of(log: &SignerLog) -> Value {
    let checkpoint = log.checkpoint.as_deref().map(String::from_utf8_lossy);
    json!({
        "signer": log.signer,
        "size": log.head.size,
        "root": log.head.root,
        "checkpoint": checkpoint,
        "problems": log.problems.iter().map(|(key, error)| {
            json!({ "object": key.to_string(), "detail": error.to_string() })
        }).collect::<Vec<_>>(),
    })
}

fn text_of(log: &SignerLog) -> String {
    let mut text = String::new();
    for event in &log.events {
        let payload = events_detail(event);
        let (time, name) = (words::time(event.time), event.payload.name());
        text.push_str(&format!("{} {:>6}  {time}  {name}{payload}\n", log.signer, event.seq));
    }
    for (key, error) in &log.problems {
        text.push_str(&words::printable(&format!("problem: {key}: {error}")));
        text.push('\n');
    }
    text.push_str(&format!("{} size {} root {}\n", log.signer, log.head.size, log.head.root));
    text
}

/// Returns the id that an event is about, for the eye.
fn events_detail(event: &crate::format::ledger::LedgerEvent) -> String {
    use crate::format::event::EventPayload;
    match &event.payload {
        EventPayload::SnapshotTaken(taken) => format!(" {}", taken.snapshot),
        EventPayload::SnapshotForgotten(forgotten) => format!(" {}", forgotten.snapshot),
        EventPayload::HoldPlaced(placed) => format!(" {}", placed.snapshot),
        EventPayload::HoldReleased(released) => format!(" {}", released.snapshot),
        EventPayload::GenerationOpened(opened) => format!(" {}", opened.generation),
        EventPayload::GenerationClosed(closed) => format!(" {}", closed.generation),
        EventPayload::GenerationShredded(said) => match &said.certificate {
            Some(_) => format!(" {}, certified", said.generation),
            None => format!(" {}", said.generation),
        },
        _ => String::new(),
    }
}

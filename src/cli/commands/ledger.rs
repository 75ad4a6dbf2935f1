//! `ledger`: the verification key, what the signed logs record, and what they prove.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::limits::NOTE_LEN_MAX;
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::retain::SiteArgs;
use crate::cli::args::selection::{SelectError, Selector};
use crate::cli::args::{LedgerArgs, LedgerCommand, LogArgs, UsageError};
use crate::cli::files;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::retention;
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::ops::attest::{self, Attestation};
use crate::ops::history::{self, Parting, Since};
use crate::vault;
use crate::vault::ledger::{self, SignerLog};

/// Prints the key or the events.
///
/// # Errors
/// If there is no state, no store, or no such signer.
pub fn run(args: &LedgerArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        LedgerCommand::Key => key(session),
        LedgerCommand::Show(of) => show(session, of),
        LedgerCommand::Checkpoint(of) => checkpoint(session, of),
        LedgerCommand::Prove { id, access } => prove(session, access, id),
        LedgerCommand::Check { since, access } => check(session, access, since),
        LedgerCommand::Add { file, site } => add(session, file, &site.site()),
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

/// Reads the logs of the vaults that are meant, or of one signer.
fn logs_of(session: &Session, of: &LogArgs) -> Result<Vec<SignerLog>, Failure> {
    let LogArgs { signer, access } = of;
    let wanted = signer.as_deref().map(str::parse::<crate::base::SignerId>).transpose()?;
    let mut logs = Vec::new();
    for auditor in access::auditors(session, access)? {
        let all = ledger::read_all(&auditor)?;
        logs.extend(all.into_iter().filter(|log| wanted.is_none_or(|id| id == log.signer)));
    }
    Ok(logs)
}

/// Adds to every store what a signer said that may only read.
fn add(session: &Session, file: &Path, args: &SiteArgs) -> Result<Ending, Failure> {
    // A longer one is none: as much again as event and checkpoint may have is escapes.
    let attestation = Attestation::parse(&files::read(file, "attestation", 4 * NOTE_LEN_MAX)?)?;
    let site = retention::site(session, args)?;
    let survey = site.survey(session)?;
    let added = attest::add(&survey, site.stores(), &attestation, session.clock.now())?;
    let object = json!({
        "signer": added.event.signer,
        "seq": added.event.seq,
        "event": added.event.payload.name().to_string(),
        "stores": added.stores,
    });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let (event, signer) = (added.event.payload.name(), added.event.signer);
        match added.stores.is_empty() {
            true => format!("{event} of {signer} was there already\n"),
            false => format!("added {event} of {signer} to {}\n", added.stores.join(", ")),
        }
    })
}

/// Damaged logs end a command in its own way.
fn ending_of(logs: &[SignerLog]) -> Ending {
    match logs.iter().any(|log| !log.problems.is_empty()) {
        true => Ending::Damaged,
        false => Ending::Done,
    }
}

fn checkpoint(session: &Session, of: &LogArgs) -> Result<Ending, Failure> {
    let logs = logs_of(session, of)?;
    // An empty file would be kept for years.
    if logs.iter().all(|log| log.checkpoint.is_none()) {
        let reason = "no log that is meant has one: see `signer list` and `ledger show`";
        return Err(UsageError::new("print a checkpoint", reason).into());
    }
    let object = json!({ "ledgers": logs.iter().map(head_of).collect::<Vec<_>>() });
    session.report.result(object, &session.progress.warnings(), || {
        let texts = logs.iter().filter_map(|log| log.checkpoint.as_deref());
        let texts: Vec<_> = texts.map(String::from_utf8_lossy).collect();
        texts.join("\n")
    })?;
    Ok(ending_of(&logs))
}

fn prove(session: &Session, access: &AccessArgs, id: &str) -> Result<Ending, Failure> {
    let auditor = access::auditor(session, access)?;
    let logs = ledger::read_answered(&auditor)?;
    let snapshot = Selector::parse(id)?.choose(&history::taken(&logs))?;
    let unknown = || SelectError::Unknown { wanted: id.to_owned(), count: 0 };
    let proof = history::prove(&auditor, &logs, snapshot)?.ok_or_else(unknown)?;
    let text = String::from_utf8_lossy(&proof.compose()).into_owned();
    let object = json!({ "snapshot": snapshot, "index": proof.index, "proof": text });
    session.report.result(object, &session.progress.warnings(), || text.clone())?;
    Ok(Ending::Done)
}

fn check(session: &Session, access: &AccessArgs, since: &[PathBuf]) -> Result<Ending, Failure> {
    let auditor = access::auditor(session, access)?;
    let logs = ledger::answered(&auditor, ledger::read_all(&auditor)?)?;
    let mut compared = Vec::new();
    for path in since {
        let kept = read_checkpoint(path)?;
        let found = history::check_since(&auditor, &logs, &kept)?;
        compared.extend(found.into_iter().map(|since| (path, since)));
    }
    let mut partings = Vec::new();
    for other in access::others(session, access)? {
        let there = ledger::answered(&other, ledger::read_all(&other)?)?;
        let store = other.store().name().to_owned();
        let found = history::compare(&logs, &there).into_iter();
        partings.extend(found.map(|parting| (store.clone(), parting)));
    }
    let is_forked = partings.iter().any(|(_, parting)| parting.is_fork);
    let is_extended = compared.iter().all(|(_, since)| since.problem.is_none()) && !is_forked;
    let object = json!({
        "ledgers": logs.iter().map(head_of).collect::<Vec<_>>(),
        "since": compared.iter().map(|(path, since)| json!({
            "file": path,
            "signer": since.signer,
            "size": since.then.size,
            "root": since.then.root,
            "problem": since.problem,
        })).collect::<Vec<_>>(),
        "partings": partings.iter().map(|(store, parting)| json!({
            "store": store,
            "signer": parting.signer,
            "size": parting.here.size,
            "store_size": parting.there.size,
            "is_fork": parting.is_fork,
        })).collect::<Vec<_>>(),
    });
    session.report.result(object, &session.progress.warnings(), || {
        let heads = logs.iter().map(|log| format!("{}{}", problems_of(log), head_text(log)));
        let compared = compared.iter().map(|(path, since)| {
            let Since { signer, then, now, problem } = since;
            let (path, size) = (words::printable(&path.display().to_string()), then.size);
            match problem {
                None => {
                    format!("{path}: log {signer} extends it: {size} events then, {}\n", now.size)
                }
                Some(problem) => format!("{path}: log {signer} was cut or rewritten: {problem}\n"),
            }
        });
        let partings = partings.iter().map(|(store, parting)| {
            let Parting { signer, here, there, is_fork } = parting;
            let (here, there) = (here.size, there.size);
            match is_fork {
                true => format!("log {signer} is another in store {store}: both are signed\n"),
                false => format!(
                    "log {signer} has {here} events here and {there} in store {store}: the shorter \
                     lags, or was rolled back\n"
                ),
            }
        });
        heads.chain(compared).chain(partings).collect()
    })?;
    Ok(if is_extended { ending_of(&logs) } else { Ending::Damaged })
}

fn read_checkpoint(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(NOTE_LEN_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let reason = format!("{}: {error}", path.display());
            Err(UsageError::new("read the checkpoint that was kept", reason).into())
        }
    }
}

fn show(session: &Session, of: &LogArgs) -> Result<Ending, Failure> {
    let logs = logs_of(session, of)?;
    let events: Vec<Value> = logs.iter().flat_map(events_of).collect();
    let heads: Vec<Value> = logs.iter().map(head_of).collect();
    let object = json!({ "ledgers": heads, "events": events });
    session.report.result(object, &session.progress.warnings(), || {
        logs.iter().map(text_of).collect::<String>()
    })?;
    Ok(ending_of(&logs))
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
    text + &problems_of(log) + &head_text(log)
}

fn problems_of(log: &SignerLog) -> String {
    let line = |(key, error): &(ObjectKey, vault::Error)| {
        format!("{}\n", words::printable(&format!("problem: {key}: {error}")))
    };
    log.problems.iter().map(line).collect()
}

fn head_text(log: &SignerLog) -> String {
    format!("{} size {} root {}\n", log.signer, log.head.size, log.head.root)
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

//! `restore`: a snapshot into a directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};

use super::apply;
use super::thaw::part_of;
use crate::base::{Event, Observer, SnapshotId};
use crate::cli::access;
use crate::cli::args::{PartArg, RestoreArgs, UsageError};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::commands::show::choose;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::ops;
use crate::ops::restore::{self, Existing, Loss, PathFilter, RestoreReport, RestoreRequest};
use crate::ops::rows::{self, ErasedPerson, RowsCounts};
use crate::ops::thaw::need;
use crate::vault::Unlocked;

/// Restores a snapshot, whole or in part.
///
/// # Errors
/// If the target cannot be used or the snapshot does not open. What is damaged is left out and
/// named, and the exit code is 3.
pub fn run(args: &RestoreArgs, session: &Session) -> Result<Ending, Failure> {
    let Some(target) = args.target.as_deref().filter(|_| !args.service.is_service()) else {
        return apply::run(args, session);
    };
    let selector = args.selection.selector()?;
    if !args.path.is_empty() && args.only == Some(PartArg::Database) {
        let reason = "--path chooses uploads, --only database leaves them out";
        return Err(UsageError::new("restore", reason).into());
    }
    let paths = match args.path.is_empty() {
        true => None,
        false => Some(PathFilter::parse(&args.path)?),
    };
    let unlocked = access::unlocked(session, &args.access, "restore")?;
    let snapshot = choose(unlocked.auditor(), &selector, session)?;
    // Paths are of uploads: asking for some of them asks for nothing else.
    let only = if paths.is_some() { Some(PartArg::Uploads) } else { args.only };
    let only = only.map(part_of);
    let need = || need::of_snapshot(&unlocked, snapshot, only, paths.as_ref());
    let unlocked =
        match cold::ready(session, &args.thawing, unlocked.auditor(), Begin::WithAny, need)? {
            Readied::Own => unlocked,
            Readied::Through(store) => unlocked.through(store),
            Readied::Ended(ending) => return Ok(ending),
        };
    let request = RestoreRequest {
        snapshot,
        target,
        only,
        paths: paths.as_ref(),
        existing: if args.overwrite { Existing::Replace } else { Existing::Refuse },
    };
    let report = restore::restore(&unlocked, &request, session.progress.as_ref())?;
    let has_dump = report.database_len > 0;
    let erased = match has_dump && !args.no_erased_check {
        true => erased_since(&unlocked, snapshot, target, session),
        false => Vec::new(),
    };
    let losses: Vec<_> = report
        .losses
        .iter()
        .map(|Loss { what, code, detail }| {
            json!({ "what": what, "code": code.text(), "detail": detail })
        })
        .collect();
    let mut object = json!({
        "id": snapshot,
        "target": target,
        "database_len": report.database_len,
        "file_count": report.file_count,
        "content_len": report.content_len,
        "losses": losses,
    });
    if let Some(rows) = &report.rows {
        object["rows_files"] = json!(rows.counts);
    }
    if !erased.is_empty() {
        object["erased_since"] = erased.iter().map(json_of).collect();
    }
    let ending = if report.losses.is_empty() { Ending::Done } else { Ending::Damaged };
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, ending, || text_of(&report, target))
}

/// Finds who of the restored dump was erased since, and warns of them. That this is not known is
/// only noted: what was restored is there, and nothing of it is damaged.
fn erased_since(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    target: &Path,
    session: &Session,
) -> Vec<ErasedPerson> {
    let warn = |code, detail| session.progress.observe(Event::Warning { code, detail });
    let path = target.join("db.sql");
    let found = File::open(&path)
        .map_err(|cause| ops::Error::file("read", &path, cause))
        .and_then(|dump| rows::erased_in_newest(unlocked, snapshot, rows::all_of(dump), target));
    match found {
        Ok(Some((newest, people))) => {
            rows::warn_of_erased(&people, newest, warn);
            people
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            session.report.note(&format!("who was erased since is not known: {error}"));
            Vec::new()
        }
    }
}

fn json_of(person: &ErasedPerson) -> Value {
    json!({ "user_id": person.user_id, "verification_ids": person.verification_ids })
}

fn text_of(report: &RestoreReport, target: &Path) -> String {
    let mut text = String::new();
    for Loss { what, code, detail } in &report.losses {
        text.push_str(&words::printable(&format!("lost[{code}]: {what}: {detail}")));
        text.push('\n');
    }
    let hints: BTreeSet<&str> = report.losses.iter().map(|loss| loss.code.hint()).collect();
    for hint in hints {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let (before, after) = match report.losses.len() as u64 {
        0 => (String::new(), "every byte matches its digest"),
        count => {
            let lost = words::count(count, "thing");
            (format!("INCOMPLETE, {lost} lost: "), "what is there matches its digest")
        }
    };
    text.push_str(&format!(
        "{before}restored {} of database and {} with {} to {}; {after}\n",
        words::bytes(report.database_len),
        words::count(report.file_count, "file"),
        words::bytes(report.content_len),
        target.display(),
    ));
    if let Some(rows) = &report.rows {
        text.push_str(&rows_text(&rows.counts));
    }
    text
}

/// Returns the line that says how files fit rows.
fn rows_text(counts: &RowsCounts) -> String {
    let RowsCounts { references, matched, enveloped, erased, missing, size_differs, .. } = counts;
    format!(
        "rows name {}: {} as they say, {erased} erased before the snapshot ended, {missing} \
         missing, {size_differs} of another size, {} elsewhere; {} named by no row\n",
        words::count(*references, "file"),
        matched + enveloped,
        counts.elsewhere,
        words::count(counts.orphans, "file"),
    )
}

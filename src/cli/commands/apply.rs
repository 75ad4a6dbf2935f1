//! `restore --apply`, `--undo` and `--drop-previous`: a snapshot in the running stack.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::show::choose;
use super::snapshot::{self, Afterwards};
use crate::base::{Code, Coded, Event, Observer, SnapshotId};
use crate::cli::access;
use crate::cli::args::{ApplyArgs, RestoreArgs, UsageError};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::config::EscrowConfig;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::escrow::bundle::BundleFile;
use crate::ops;
use crate::ops::apply::{
    Application, ApplyError, ApplyReport, ApplyRequest, Erased, InstallFile, Journal, OtherKeys,
    Phase, variable_of,
};
use crate::ops::escrow::open;
use crate::ops::thaw::need;
use crate::source::docker::{Docker, Selector};
use crate::store;
use crate::vault::Unlocked;
use crate::vault::state::StateLock;

/// Where the journal is on a machine without a config.
const STATE_DIR_DEFAULT: &str = "/var/lib/idswyft-vault";
/// The tag of the snapshot of what the stack served.
const PRE_RESTORE: &str = "pre-restore";

/// Puts a snapshot into service, takes it back, or removes what was there before.
///
/// # Errors
/// If it cannot be done; the error says what holds then.
pub fn run(args: &RestoreArgs, session: &Session) -> Result<Ending, Failure> {
    let options = &args.service;
    if options.apply && options.escrow_identity.is_empty() && !options.keep_env {
        let reason = "say which `.env` the stack is to have: --escrow-identity FILE puts the \
                      sealed one back, --keep-env leaves the one that is there";
        return Err(UsageError::new("put a snapshot into service", reason).into());
    }
    let config = match session.config() {
        Ok(config) => Some(config),
        Err(error) if error.code() == Code::ConfigMissing => None,
        Err(error) => return Err(error.into()),
    };
    let default = config.as_ref().and_then(|config| config.sources.stack()).unwrap_or_default();
    let selector = match (&options.dir, &options.project) {
        (None, None) => default,
        (dir, project) => Selector { dir: dir.clone(), project: project.clone() },
    };
    let state_dir = config.as_ref().map(|config| config.state_dir.clone());
    let state_dir = state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR_DEFAULT));
    let (outside, observer) = (session.outside(), session.progress.as_ref());
    let find = || Application::open(Docker::find()?, selector, &state_dir, outside, observer);
    if options.undo || options.drop_previous {
        let _lock = StateLock::take(&state_dir)?;
        return match options.undo {
            true => say_undone(&find()?.undo()?, session),
            false => say_dropped(&find()?.drop_previous()?, session),
        };
    }
    let escrow = config.and_then(|config| config.escrow);
    apply(args, &find()?, (&state_dir, escrow), session)
}

fn apply(
    args: &RestoreArgs,
    application: &Application<'_>,
    (state_dir, escrow): (&Path, Option<EscrowConfig>),
    session: &Session,
) -> Result<Ending, Failure> {
    let unlocked = access::unlocked(session, &args.access, "restore")?;
    let snapshot = choose(unlocked.auditor(), &args.selection.selector()?, session)?;
    let unlocked = match application.journal()? {
        // What is on its way was read already.
        Some(_) => unlocked,
        // Before anything is stopped, and before a snapshot is taken in vain.
        None => {
            let need = || need::of_snapshot(&unlocked, snapshot, None, None);
            match cold::ready(session, &args.thawing, unlocked.auditor(), Begin::WithAll, need)? {
                Readied::Own => unlocked,
                Readied::Through(store) => unlocked.through(store),
                Readied::Ended(ending) => return Ok(ending),
            }
        }
    };
    let options = &args.service;
    let files = match options.keep_env {
        true => Vec::new(),
        false => sealed_files(&unlocked, snapshot, options, escrow, session)?,
    };
    if application.journal()?.is_none() && !options.no_snapshot {
        keep_what_serves(session)?;
    }
    // No snapshot is to read the uploads while they change places.
    let _lock = StateLock::take(state_dir)?;
    let request = ApplyRequest {
        snapshot,
        files,
        erased: if options.erase_again { Erased::Again } else { Erased::Tell },
        other_keys: if options.accept_other_keys { OtherKeys::Accept } else { OtherKeys::Refuse },
    };
    let report = application.apply(&unlocked, &request)?;
    let durations = report.durations.iter();
    let phases: Vec<_> = durations
        .clone()
        .map(|(phase, took)| json!({ "phase": phase, "seconds": took.as_secs_f64() }))
        .collect();
    let proofs: Vec<_> = report
        .proofs
        .iter()
        .map(|proof| {
            json!({
                "key": variable_of(proof.subject),
                "subject": proof.subject.name(),
                "verdict": proof.verdict.name(),
                "detail": proof.detail,
            })
        })
        .collect();
    let object = json!({
        "id": snapshot,
        "project": report.project,
        "row_count": report.row_count,
        "file_count": report.file_count,
        "replaced": report.replaced,
        "rows_files": report.rows,
        "erased_since": report.erased.iter().map(|person| &person.user_id).collect::<Vec<_>>(),
        "keys": proofs,
        "phases": phases,
        "seconds": durations.map(|(_, took)| took.as_secs_f64()).sum::<f64>(),
    });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, Ending::Done, || text_of(&report))
}

/// Takes a snapshot of what the stack serves; a machine that takes none goes on without.
fn keep_what_serves(session: &Session) -> Result<(), Failure> {
    let skipped = |why: String| {
        let detail = format!("what the stack serves now is in no snapshot: {why}");
        session.progress.observe(Event::Warning { code: Code::PreRestoreMissing, detail });
    };
    match snapshot::take(&[PRE_RESTORE.to_owned()], None, Afterwards::Leave, session) {
        Ok(taken) if taken.is_empty() => skipped("no vault is due".to_owned()),
        Ok(_) => {}
        Err(failure) => match failure.code() {
            Code::ConfigMissing | Code::VaultMissing => skipped(failure.chain().join(": ")),
            _ => return Err(failure),
        },
    }
    Ok(())
}

/// Opens the files of the install that the snapshot names; all of them or none.
fn sealed_files(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    options: &ApplyArgs,
    escrow: Option<EscrowConfig>,
    session: &Session,
) -> Result<Vec<InstallFile>, Failure> {
    let url = options.escrow_store.clone().or(escrow.map(|escrow| escrow.store));
    let unnamed = || {
        let reason = "no escrow store is known: name it with --escrow-store";
        UsageError::new("open the sealed files", reason)
    };
    let store = store::open(&url.ok_or_else(unnamed)?, "escrow")?;
    let identities = session.read_identities(&options.escrow_identity, "open the sealed files")?;
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let named = open::named(&body).map_err(ops::Error::from)?;
    let opened = open::open(store.as_ref(), &identities, open::Version::Named(&named))?;
    if !opened.lacking.is_empty() {
        let lacking = opened.lacking;
        return Err(ops::Error::from(ApplyError::Sealed { lacking }).into());
    }
    let file = |file: BundleFile| InstallFile {
        path: PathBuf::from(file.name),
        mode: file.mode,
        bytes: file.bytes,
    };
    Ok(opened.files.into_iter().map(file).collect())
}

fn text_of(report: &ApplyReport) -> String {
    let total: f64 = report.durations.iter().map(|(_, took)| took.as_secs_f64()).sum();
    let mut text = String::new();
    for path in &report.replaced {
        text.push_str(&format!("replaced          {}\n", shown(path)));
    }
    for proof in &report.proofs {
        let (name, verdict) = (variable_of(proof.subject), proof.verdict.name());
        text.push_str(&format!("{name:<17} {verdict}: {}\n", proof.detail));
    }
    text.push_str(&format!(
        "{} serves again: {} and {}, in {total:.1} s\n\
         What it served before is kept: `restore --undo` brings it back, `restore \
         --drop-previous` removes it.\n",
        report.project,
        words::count(report.row_count, "row"),
        words::count(report.file_count, "file"),
    ));
    text
}

fn say_undone(journal: &Journal, session: &Session) -> Result<Ending, Failure> {
    let object = json!({ "id": journal.snapshot, "project": journal.project, "undone": true });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, Ending::Done, || {
        let aside = match journal.phase {
            Phase::Undone => "; what was restored is kept aside until `restore --drop-previous`",
            _ => "",
        };
        format!("{} is as it was before snapshot {}{aside}\n", journal.project, journal.snapshot)
    })
}

fn say_dropped(journal: &Journal, session: &Session) -> Result<Ending, Failure> {
    let object = json!({ "id": journal.snapshot, "project": journal.project, "dropped": true });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, Ending::Done, || {
        format!("what {} does not serve any more is removed\n", journal.project)
    })
}

fn shown(path: &Path) -> String {
    words::printable(&path.display().to_string())
}

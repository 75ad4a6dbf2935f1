//! `verify`: what a store holds, against what was signed.

use std::path::Path;

use crate::base::SnapshotId;
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::selection::Selector;
use crate::cli::args::{LevelArg, UsageError, VerifyArgs};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::evidence;
use crate::cli::night;
use crate::cli::report::{Ending, Failure, verification};
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::ops::report::{Level, Report, Verdict, VerifyReport};
use crate::ops::thaw::need;
use crate::ops::verify::{self, Request};
use crate::vault::{Auditor, Unlocked};

/// Verifies every vault that is meant, at a level; with --ping the watchdog learns of damage.
///
/// # Errors
/// If a store cannot be read at all. Damage is in the report, and the exit code is 3.
pub fn run(args: &VerifyArgs, session: &Session) -> Result<Ending, Failure> {
    let auditors = match auditors(args, session) {
        Ok(Ok(auditors)) => Ok(auditors),
        Ok(Err(ending)) => return Ok(ending),
        Err(failure) => Err(failure),
    };
    let began = session.clock.now();
    let verified = auditors.and_then(|auditors| verify_all(args, auditors, session));
    let verified = verified.map(|vaults| Report::new(began, session.clock.now(), vaults));
    let (exit, codes) = match &verified {
        Ok(report) => {
            let codes = report.vaults.iter().flat_map(|vault| &vault.findings);
            (ending(report.verdict()).exit(0), codes.map(|finding| finding.code).collect())
        }
        Err(failure) => (failure.code().exit(), vec![failure.code()]),
    };
    // What interrupted runs leave over is no reason to wake anybody.
    if args.ping && !matches!(exit, 0 | 4) {
        night::tell_failure(&session.config()?, session, "verify", exit, &codes);
    }
    let report = verified?;
    args.report.iter().try_for_each(|path| write(path, &report))?;
    let warnings = session.progress.warnings();
    session.report.deed(&report, &warnings, ending(report.verdict()), || {
        report.vaults.iter().map(verification::text_of).collect::<String>()
    })
}

/// Writes the whole report to a file.
fn write(path: &Path, report: &Report) -> Result<(), Failure> {
    let wrap = |e| Failure::system(format!("write the report {}", path.display()), e);
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| wrap(error.into()))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(wrap)
}

/// Opens every vault that is meant; where packs are read, only once they can be, else it ends so.
fn auditors(args: &VerifyArgs, session: &Session) -> Result<Result<Vec<Auditor>, Ending>, Failure> {
    let mut auditors = Vec::new();
    // What is kept here proves nothing about the store.
    let access = AccessArgs { no_cache: true, ..args.access.clone() };
    for auditor in access::auditors(session, &access)? {
        if args.level < LevelArg::Bytes {
            auditors.push(auditor);
            continue;
        }
        let only = chosen(args, &auditor)?;
        let need = || need::of_lists(&auditor, only.as_deref());
        auditors.push(match cold::ready(session, &args.thawing, &auditor, Begin::WithAll, need)? {
            Readied::Own => auditor,
            Readied::Through(store) => auditor.through(store),
            Readied::Ended(ending) => return Ok(Err(ending)),
        });
    }
    Ok(Ok(auditors))
}

fn verify_all(
    args: &VerifyArgs,
    auditors: Vec<Auditor>,
    session: &Session,
) -> Result<Vec<VerifyReport>, Failure> {
    let level = level_of(args.level);
    if let Some(path) = args.report.iter().find(|path| !is_json(path)) {
        let reason = format!("{} must end with .json", path.display());
        return Err(UsageError::new("write the report", reason).into());
    }
    evidence::check(&args.evidence, args.level, auditors.len())?;
    let mut reports = Vec::new();
    for auditor in auditors {
        let only = chosen(args, &auditor)?;
        let manifest = evidence::own_manifest(session, &args.access, &auditor);
        let evidence = evidence::of(&args.evidence, manifest.as_deref());
        let observer = session.progress.as_ref();
        let now = Some(session.clock.now());
        let request = Request { level, only: only.as_deref(), now, evidence };
        reports.push(if level == Level::Contents {
            let identities = session.identities("verify contents")?;
            let unlocked = Unlocked::new(auditor, identities)?;
            let auditor = unlocked.auditor();
            verify::verify_as(auditor, Some(&unlocked), &request, observer)?
        } else {
            verify::verify_as(&auditor, None, &request, observer)?
        });
    }
    Ok(reports)
}

const fn level_of(level: LevelArg) -> Level {
    match level {
        LevelArg::Ledger => Level::Ledger,
        LevelArg::Stored => Level::Stored,
        LevelArg::Bytes => Level::Bytes,
        LevelArg::Contents => Level::Contents,
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Returns how a verdict ends a run.
const fn ending(verdict: Verdict) -> Ending {
    match verdict {
        Verdict::Sound => Ending::Done,
        Verdict::Remarks => Ending::LeftOver,
        Verdict::Unread => Ending::TooNew,
        Verdict::Damaged => Ending::Damaged,
    }
}

fn chosen(args: &VerifyArgs, auditor: &Auditor) -> Result<Option<Vec<SnapshotId>>, Failure> {
    if args.ids.is_empty() {
        return Ok(None);
    }
    let checked = auditor.snapshots()?;
    // One whose note is damaged is chosen as well: that is what its findings are for.
    let damaged = checked.problems.iter().filter_map(|(key, _)| match key {
        ObjectKey::Note(id) => Some(*id),
        _ => None,
    });
    let ids: Vec<SnapshotId> = checked.sound.keys().copied().chain(damaged).collect();
    let chosen: Result<Vec<SnapshotId>, Failure> =
        args.ids.iter().map(|text| Ok(Selector::parse(text)?.choose(&ids)?)).collect();
    chosen.map(Some)
}

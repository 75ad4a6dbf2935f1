//! `verify`: what a store holds, against what was signed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::base::{Code, Family, SnapshotId};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::selection::Selector;
use crate::cli::args::{LevelArg, UsageError, VerifyArgs};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::night;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::ops::thaw::need;
use crate::ops::verify::{self, Level, StoredCounts, VerifyReport};
use crate::store::StorageClass;
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
    let verified = auditors.and_then(|auditors| verify_all(args, auditors, session));
    let (exit, codes) = match &verified {
        Ok(reports) => {
            let codes = reports.iter().flat_map(|report| &report.findings);
            (ending(reports).exit(0), codes.map(|finding| finding.code).collect())
        }
        Err(failure) => (failure.code().exit(), vec![failure.code()]),
    };
    // What interrupted runs leave over is no reason to wake anybody.
    if args.ping && !matches!(exit, 0 | 4) {
        night::tell_failure(&session.config()?, session, "verify", exit, &codes);
    }
    let reports = verified?;
    let warnings = session.progress.warnings();
    session.report.deed(json!({ "vaults": reports }), &warnings, ending(&reports), || {
        reports.iter().map(text_of).collect::<String>()
    })
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
    let level = match args.level {
        LevelArg::Ledger => Level::Ledger,
        LevelArg::Stored => Level::Stored,
        LevelArg::Bytes => Level::Bytes,
        LevelArg::Contents => Level::Contents,
    };
    if let Some(path) = args.report.as_ref().filter(|path| !is_json(path)) {
        let reason = format!("{} must end with .json", path.display());
        return Err(UsageError::new("write the report", reason).into());
    }
    let mut reports = Vec::new();
    for auditor in auditors {
        let only = chosen(args, &auditor)?;
        let observer = session.progress.as_ref();
        reports.push(if level == Level::Contents {
            let identities = session.identities("verify contents")?;
            let unlocked = Unlocked::new(auditor, identities)?;
            let auditor = unlocked.auditor();
            verify::verify(auditor, Some(&unlocked), level, only.as_deref(), observer)?
        } else {
            verify::verify(&auditor, None, level, only.as_deref(), observer)?
        });
    }
    if let Some(path) = &args.report {
        let wrap = |e| Failure::system(format!("write the report {}", path.display()), e);
        let mut file = std::fs::File::create(path).map_err(wrap)?;
        let object = json!({ "vaults": reports });
        file.write_all(format!("{object:#}\n").as_bytes()).map_err(wrap)?;
    }
    Ok(reports)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Returns how it ended: damage is worse than what only a newer program can read, and that is worse
/// than what was left over.
fn ending(reports: &[VerifyReport]) -> Ending {
    let findings = || reports.iter().flat_map(|report| &report.findings);
    let is_damage = |code: Code| code.family() == Family::Damaged && code.exit() == 1;
    if findings().any(|finding| is_damage(finding.code)) {
        Ending::Damaged
    } else if findings().any(|finding| finding.code.family() == Family::Unsupported) {
        Ending::TooNew
    } else if findings().next().is_some() {
        Ending::LeftOver
    } else {
        Ending::Done
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

fn text_of(report: &VerifyReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let line = format!("{}: {}: {}", finding.code, finding.object, finding.detail);
        text.push_str(&words::printable(&line));
        text.push('\n');
    }
    let hints: BTreeSet<&str> = report.findings.iter().map(|finding| finding.code.hint()).collect();
    for hint in hints {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let count = words::count(report.findings.len() as u64, "finding");
    let verdict = match ending(std::slice::from_ref(report)) {
        Ending::Done => "sound".to_owned(),
        Ending::LeftOver => format!("sound, with leftovers: {count}"),
        Ending::TooNew => format!("NOT ALL READ, a newer program is needed: {count}"),
        Ending::Damaged | Ending::Stale | Ending::Unfit | Ending::Elsewhere | Ending::Frozen => {
            format!("DAMAGED: {count}")
        }
    };
    text.push_str(&format!(
        "{verdict}: vault {} in store {}, {} and {} looked at, {} read\n",
        report.vault,
        report.store,
        words::count(report.snapshot_count, "snapshot"),
        words::count(report.object_count, "object"),
        words::bytes(report.read_len),
    ));
    if let Some(counts) = &report.stored {
        text.push_str(&counts_text(counts));
    }
    for gap in &report.not_covered {
        text.push_str(&format!("  not covered: {gap}\n"));
    }
    for ledger in report.ledgers.iter().filter(|ledger| ledger.size > 0) {
        let line =
            format!("  ledger {} size {} root {}\n", ledger.signer, ledger.size, ledger.root);
        text.push_str(&line);
    }
    text
}

/// Returns what the store says of the objects; nothing of one that has neither classes nor locks.
fn counts_text(counts: &StoredCounts) -> String {
    let mut text = String::new();
    let is_plain = counts.classes.keys().all(|class| *class == StorageClass::Standard);
    if !is_plain {
        let class = |(class, count): (&StorageClass, &u64)| format!("{count} in {class}");
        let classes: Vec<String> = counts.classes.iter().map(class).collect();
        text.push_str(&format!("  stored: {}\n", classes.join(", ")));
    }
    if let Some(until) = counts.locked_until {
        let StoredCounts { locked_count, not_locked_count, .. } = counts;
        let line = format!(
            "  locked: {locked_count} until {until} or later; not locked: {not_locked_count}\n"
        );
        text.push_str(&line);
    }
    if counts.attested_count > 0 {
        let count = words::count(counts.attested_count, "object");
        text.push_str(&format!("  attested: the store has the signed SHA-256 of {count}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::verify::Finding;

    fn ending_of(codes: &[Code]) -> Ending {
        let finding = |code: &Code| Finding { code: *code, object: "x".into(), detail: "y".into() };
        ending(&[VerifyReport {
            vault: "v".into(),
            store: "s".into(),
            level: Level::Bytes,
            snapshot_count: 0,
            object_count: 0,
            read_len: 0,
            stored: None,
            ledgers: Vec::new(),
            findings: codes.iter().map(finding).collect(),
            not_covered: Vec::new(),
        }])
    }

    #[test]
    fn the_worst_finding_decides_the_exit_code() {
        let (left, new) = (Code::ObjectUnreferenced, Code::FormatTooNew);
        assert_eq!(ending_of(&[]), Ending::Done);
        assert_eq!(ending_of(&[left]), Ending::LeftOver);
        assert_eq!(ending_of(&[left, new]), Ending::TooNew);
        assert_eq!(ending_of(&[left, new, Code::ObjectMissing]), Ending::Damaged);
    }
}

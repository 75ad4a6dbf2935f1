//! `report`: what is done with reports of verifications that were made before.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::verify;
use crate::base::{Code, Event, Observer};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::retain::SiteArgs;
use crate::cli::args::{ReportArgs, ReportCommand};
use crate::cli::report::{Ending, Failure, verification, words};
use crate::cli::reports;
use crate::cli::retention::site;
use crate::cli::session::Session;
use crate::ops::report::signed::{self, SignedReport};
use crate::ops::report::{Finding, Report, merge};
use crate::vault::ledger;

/// Shows, joins, signs or checks a report.
///
/// # Errors
/// If a file cannot be read or is no report, or nobody who may has signed it.
pub fn run(args: &ReportArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        ReportCommand::Show { file, report } => show(file, report, session),
        ReportCommand::Sign { files, site } => sign(files, site, session),
        ReportCommand::Check { file, access } => check(file, access, session),
        ReportCommand::Merge { files, report } => join(files, report, session),
    }
}

fn show(file: &Path, others: &[PathBuf], session: &Session) -> Result<Ending, Failure> {
    reports::check_names(others)?;
    let report = reports::read(file)?;
    reports::write(others, &report)?;
    let words = || report.vaults.iter().map(verification::text_of).collect::<String>();
    session.report.result(&report, &[], words).map(|()| Ending::Done)
}

fn join(files: &[PathBuf], written: &[PathBuf], session: &Session) -> Result<Ending, Failure> {
    reports::check_names(written)?;
    let parts: Result<Vec<merge::Named>, Failure> =
        files.iter().map(|path| Ok((path.display().to_string(), reports::read(path)?))).collect();
    let report = merge::merge(&parts?)?;
    reports::write(written, &report)?;
    session.report.deed(&report, &[], verify::ending(report.verdict()), || {
        report.vaults.iter().map(verification::text_of).collect::<String>()
    })
}

fn sign(files: &[PathBuf], args: &SiteArgs, session: &Session) -> Result<Ending, Failure> {
    let path = reports::sign(files, &site(session, args)?, args, session)?;
    let object = json!({ "signature": path, "files": files });
    let words = || format!("signed: {}\n", path.display());
    session.report.deed(object, &session.progress.warnings(), Ending::Done, words)
}

fn check(file: &Path, access: &AccessArgs, session: &Session) -> Result<Ending, Failure> {
    let auditor = access::auditor(session, access)?;
    let read = |path: &Path| {
        let wrap = |cause| Failure::system(format!("read {}", path.display()), cause);
        std::fs::read(path).map_err(wrap)
    };
    let signature = read(&reports::signature_path(file))?;
    let signed = signed::check(auditor.root(), auditor.note(), &signature)?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    for covered in &signed.note().files {
        let bytes = std::fs::read(directory.join(&covered.name)).ok();
        findings.extend(SignedReport::check_file(covered, bytes.as_deref()));
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_covered = |name: &String| signed.note().files.iter().any(|one| one.name == *name);
    if !name.as_ref().is_some_and(is_covered) {
        let object = name.unwrap_or_default();
        let detail = "its signature does not cover it".to_owned();
        findings.push(Finding { code: Code::ReportMismatch, object, detail });
    }
    // Of a report that is not what was signed nothing is believed.
    if findings.is_empty() {
        let report = reports::read(file)?;
        let logs = ledger::answered(&auditor, ledger::read_all(&auditor)?)?;
        findings.extend(of_vault(&report, &auditor.vault().to_string()));
        findings.extend(signed::compare(&report, &logs));
    }
    if let Some(at) = signed.retired() {
        let signer = signed.note().signer;
        let detail = format!(
            "signer {signer} was retired at {at}: that it signed before is its own word alone"
        );
        session.progress.observe(Event::Warning { code: Code::SignerNotDelegated, detail });
    }
    told(&signed, &findings, session)
}

/// Returns what a report says that is not about the vault of its signer.
fn of_vault(report: &Report, vault: &str) -> Option<Finding> {
    let other = report.vaults.iter().find(|one| one.vault != vault)?;
    let detail = format!("it is about vault {}, its signer is of {vault}", other.vault);
    Some(Finding { code: Code::ReportMismatch, object: "report".to_owned(), detail })
}

fn told(signed: &SignedReport, findings: &[Finding], session: &Session) -> Result<Ending, Failure> {
    let note = signed.note();
    let names: Vec<&str> = note.files.iter().map(|file| file.name.as_str()).collect();
    let object = json!({
        "vault": note.vault,
        "signer": note.signer,
        "role": signed.role(),
        "time": note.time.to_string(),
        "retired": signed.retired().map(|at| at.to_string()),
        "files": note.files,
        "findings": findings,
    });
    let ending = if findings.is_empty() { Ending::Done } else { Ending::Damaged };
    session.report.deed(object, &session.progress.warnings(), ending, || {
        let line = |one: &Finding| format!("{}: {}: {}", one.code, one.object, one.detail);
        let lines = findings.iter().map(|one| words::printable(&line(one)) + "\n");
        let who = format!("{} {}", signed.role(), note.signer);
        lines.collect::<String>()
            + &match findings.is_empty() {
                true => format!(
                    "signed by {who} at {}: {}; the ledgers go on from it\n",
                    words::time(note.time),
                    words::printable(&names.join(", ")),
                ),
                false => format!(
                    "NOT WHAT WAS SIGNED by {who}: {}\n",
                    words::count(findings.len() as u64, "finding")
                ),
            }
    })
}

//! `report`: what is done with reports of verifications that were made before.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde_json::json;

use super::verify;
use crate::base::limits::{NOTE_LEN_MAX, REPORT_LEN_MAX};
use crate::base::{Code, Coded, Event, Observer};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::retain::SiteArgs;
use crate::cli::args::{ReportArgs, ReportCommand};
use crate::cli::files;
use crate::cli::report::{Ending, Failure, verification, words};
use crate::cli::reports;
use crate::cli::retention::site;
use crate::cli::session::Session;
use crate::crypto::digest::sha256;
use crate::format::report_note::ReportFile;
use crate::ops::report::signed::{self, SignedReport};
use crate::ops::report::{Finding, Report, merge};
use crate::vault::ledger;

/// A report for which nobody vouches.
#[derive(Debug, thiserror::Error)]
#[error("check the report {}: there is no {} beside it", report.display(), missing.display())]
struct Unsigned {
    report: PathBuf,
    missing: PathBuf,
}

impl Coded for Unsigned {
    fn code(&self) -> Code {
        Code::ReportUnsigned
    }
}

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
    reports::check_places(others)?;
    reports::check_apart(others, std::slice::from_ref(&file))?;
    let report = reports::read(file)?;
    reports::write(others, &report)?;
    let words = || report.vaults.iter().map(verification::text_of).collect::<String>();
    session.report.result(&report, &[], words).map(|()| Ending::Done)
}

fn join(files: &[PathBuf], written: &[PathBuf], session: &Session) -> Result<Ending, Failure> {
    reports::check_places(written)?;
    reports::check_apart(written, files)?;
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
    let bytes = files::read_plain(file, "report", REPORT_LEN_MAX)?;
    let path = reports::signature_path(file);
    let Some(signature) = files::read_plain(&path, "signature", NOTE_LEN_MAX)? else {
        return Err(match bytes {
            None => {
                let missing = std::io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
                Failure::system(format!("read the report {}", file.display()), missing)
            }
            Some(_) => Unsigned { report: file.to_owned(), missing: path }.into(),
        });
    };
    let auditor = access::auditor(session, access)?;
    let signed = signed::check(auditor.root(), auditor.note(), &signature)?;
    let mut findings = compare_files(file, bytes.as_deref(), &signed)?;
    // Of a report that is not what was signed nothing is believed.
    if let (Some(bytes), true) = (&bytes, findings.is_empty()) {
        let logs = ledger::answered(&auditor, ledger::read_all(&auditor)?)?;
        findings = signed.compare(&Report::parse(bytes)?, &logs)?;
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

/// Compares the report, as it was read, and every file beside it with what was signed.
fn compare_files(
    file: &Path,
    bytes: Option<&[u8]>,
    signed: &SignedReport,
) -> Result<Vec<Finding>, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    let own = |name: &str| {
        let of = |bytes: &[u8]| (bytes.len() as u64, sha256(bytes));
        let (len, sha256) = bytes.map(of)?;
        Some(ReportFile { name: name.to_owned(), len, sha256 })
    };
    let mut findings = Vec::new();
    for covered in &signed.note().files {
        let found = match name == Some(&covered.name) {
            // What is believed of it later is this, whatever lies there by then.
            true => own(&covered.name),
            false => files::digest_of(file.parent().unwrap_or(Path::new("")), &covered.name)?,
        };
        findings.extend(SignedReport::check_file(covered, found.as_ref()));
    }
    if signed.note().files.first().map(|first| first.name.as_str()) != name {
        let object = name.unwrap_or_default().to_owned();
        let detail = "its signature does not cover it as the report".to_owned();
        findings.push(Finding { code: Code::ReportMismatch, object, detail });
    }
    Ok(findings)
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

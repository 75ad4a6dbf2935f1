//! `report`: what is done with reports of verifications that were made before.

use std::path::{Path, PathBuf};

use super::verify;
use crate::cli::args::{ReportArgs, ReportCommand};
use crate::cli::report::{Ending, Failure, verification};
use crate::cli::session::Session;
use crate::ops::report::{Report, merge};

/// Shows a report, or joins several.
///
/// # Errors
/// If a file cannot be read, or is no report.
pub fn run(args: &ReportArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        ReportCommand::Show { file } => show(file, session),
        ReportCommand::Merge { files, report } => join(files, report, session),
    }
}

/// Reads a report that was saved as JSON.
///
/// # Errors
/// If the file cannot be read, or is no report of this version.
pub fn read(path: &Path) -> Result<Report, Failure> {
    let wrap = |cause| Failure::system(format!("read the report {}", path.display()), cause);
    let bytes = std::fs::read(path).map_err(wrap)?;
    Ok(Report::parse(&bytes)?)
}

fn show(file: &Path, session: &Session) -> Result<Ending, Failure> {
    let report = read(file)?;
    let words = || report.vaults.iter().map(verification::text_of).collect::<String>();
    session.report.result(&report, &[], words).map(|()| Ending::Done)
}

fn join(files: &[PathBuf], written: &[PathBuf], session: &Session) -> Result<Ending, Failure> {
    let parts: Result<Vec<merge::Named>, Failure> =
        files.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect();
    verify::check_paths(written)?;
    let report = merge::merge(&parts?)?;
    written.iter().try_for_each(|path| verify::write(path, &report))?;
    session.report.deed(&report, &[], verify::ending(report.verdict()), || {
        report.vaults.iter().map(verification::text_of).collect::<String>()
    })
}

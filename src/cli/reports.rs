//! Reports as files: written by extension, read and signed. Spec: `report.md`.

use std::path::{Path, PathBuf};

use super::args::UsageError;
use super::args::retain::SiteArgs;
use super::files;
use super::html;
use super::report::Failure;
use super::retention::Site;
use super::session::Session;
use crate::base::limits::REPORT_LEN_MAX;
use crate::crypto::digest::sha256;
use crate::crypto::signing::SigningKey;
use crate::format::report_note::ReportFile;
use crate::ops::report::{Report, signed};
use crate::ops::staged::Staged;

/// What a report is called in errors.
const WHAT: &str = "report";

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Html,
}

impl Form {
    fn of(path: &Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("html") => Ok(Self::Html),
            _ => {
                let reason = format!("{} must end with .json or .html", path.display());
                Err(UsageError::new("write the report", reason))
            }
        }
    }

    fn bytes(self, report: &Report) -> Result<Vec<u8>, std::io::Error> {
        Ok(match self {
            Self::Html => html::page(report).into_bytes(),
            Self::Json => [serde_json::to_vec_pretty(report)?, b"\n".to_vec()].concat(),
        })
    }
}

/// A file of a report that was written.
#[derive(Debug, Clone)]
pub struct Made {
    path: PathBuf,
    form: Form,
    file: ReportFile,
}

/// Refuses files that say no form by their names or cannot be written, before anything is done that
/// takes an hour.
///
/// # Errors
/// If one ends otherwise than `.json` or `.html`, or its directory cannot be written.
pub fn check_places(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths {
        Form::of(path)?;
    }
    paths.iter().try_for_each(|path| files::check_place(path, WHAT))
}

/// Refuses to write over what is read: it may be what somebody signed.
///
/// # Errors
/// If a file that is to be written is one of those that are read.
pub fn check_apart(written: &[PathBuf], read: &[impl AsRef<Path>]) -> Result<(), UsageError> {
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let inputs: Vec<PathBuf> = read.iter().map(|path| place(path.as_ref())).collect();
    match written.iter().find(|path| inputs.contains(&place(path))) {
        Some(path) => {
            let reason = format!("{} is what it is made of; name another file", path.display());
            Err(UsageError::new("write the report", reason))
        }
        None => Ok(()),
    }
}

fn not_written(path: &Path, cause: std::io::Error) -> Failure {
    Failure::system(format!("write the report {}", path.display()), cause)
}

/// Writes the whole report to files, each in the form that its name says.
///
/// # Errors
/// If one cannot be written; none is written in part.
pub fn write(paths: &[PathBuf], report: &Report) -> Result<Vec<Made>, Failure> {
    let mut staged = Vec::new();
    for path in paths {
        staged.push((path, Staged::at(path).map_err(|cause| not_written(path, cause))?));
    }
    let mut made = Vec::new();
    for (path, staged) in staged {
        let form = Form::of(path)?;
        let wrap = |cause| not_written(path, cause);
        let bytes = form.bytes(report).map_err(wrap)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = ReportFile { name, len: bytes.len() as u64, sha256: sha256(&bytes) };
        staged.put(&bytes).map_err(wrap)?;
        made.push(Made { path: path.clone(), form, file });
    }
    Ok(made)
}

/// Reads a report that was saved as JSON.
///
/// # Errors
/// If the file cannot be read, or is no report of this version.
pub fn read(path: &Path) -> Result<Report, Failure> {
    Ok(Report::parse(&files::read(path, WHAT, REPORT_LEN_MAX)?)?)
}

/// Returns where the signature of a report is.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn refuse(reason: &str) -> Failure {
    UsageError::new("sign the report", reason).into()
}

/// Refuses files that cannot be signed together; returns the one in JSON.
///
/// # Errors
/// If none or several are the report in JSON, one has no name to sign, or they lie apart.
pub fn check_signable(paths: &[PathBuf]) -> Result<&PathBuf, Failure> {
    let is_json = |path: &&PathBuf| Form::of(path).is_ok_and(|form| form == Form::Json);
    let [json] = paths.iter().filter(is_json).collect::<Vec<_>>()[..] else {
        return Err(refuse("exactly one of its files must be the report as JSON"));
    };
    let directory = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        parent.canonicalize().unwrap_or_else(|_| parent.to_owned())
    };
    if paths.iter().any(|path| directory(path) != directory(json)) {
        return Err(refuse("its files must be in one directory, where they are looked for"));
    }
    let is_text = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().is_some());
    match paths.iter().all(is_text) {
        true => Ok(json),
        false => Err(refuse("the name of a file is not UTF-8")),
    }
}

/// Signs files of a report that were just written, whatever lies there now, and returns where the
/// signature is.
///
/// # Errors
/// As [`check_signable`], and if the report is not about the signer's vault alone.
pub fn sign_made(
    made: &[Made],
    report: &Report,
    key: &SigningKey,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let paths: Vec<PathBuf> = made.iter().map(|made| made.path.clone()).collect();
    let json = check_signable(&paths)?;
    let (first, others): (Vec<&Made>, Vec<&Made>) =
        made.iter().partition(|made| made.form == Form::Json);
    let files = first.into_iter().chain(others).map(|made| made.file.clone()).collect();
    put_signature(json, files, report, key, session)
}

/// Signs files of one report, and returns where the signature is.
///
/// # Errors
/// As [`check_signable`], and if a page is not that of the report, or the signer may not.
pub fn sign(
    paths: &[PathBuf],
    site: &Site,
    args: &SiteArgs,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let json = check_signable(paths)?;
    let Some((key, _)) = site.signer(args, session)? else {
        return Err(refuse(
            "no signer is given: an auditor's is in --signer, the operator's in --kit",
        ));
    };
    signed::check_signer(site.auditor()?.note(), key.signer_id())?;
    let bytes = files::read(json, WHAT, REPORT_LEN_MAX)?;
    let report = Report::parse(&bytes)?;
    let own = ReportFile { name: name_of(json), len: bytes.len() as u64, sha256: sha256(&bytes) };
    let mut files = vec![own];
    for path in paths.iter().filter(|path| *path != json) {
        let directory = path.parent().unwrap_or(Path::new(""));
        let found = files::digest_of(directory, &name_of(path))?;
        let file = found.ok_or_else(|| refuse(&format!("there is no {}", path.display())))?;
        // Whoever signs read one of the two.
        let is_page = Form::of(path).is_ok_and(|form| form == Form::Html);
        if is_page && file.sha256 != sha256(html::page(&report).as_bytes()) {
            return Err(refuse(&format!(
                "{0} is not the page of {1}, as `report show {1} --report {0}` makes it",
                path.display(),
                json.display()
            )));
        }
        files.push(file);
    }
    put_signature(json, files, &report, &key, session)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn put_signature(
    json: &Path,
    files: Vec<ReportFile>,
    report: &Report,
    key: &SigningKey,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let note = signed::sign(key, report, files, session.clock.now())?;
    let path = signature_path(json);
    let wrap = |cause| Failure::system(format!("write the signature {}", path.display()), cause);
    Staged::at(&path).and_then(|staged| staged.put(&note)).map_err(wrap)?;
    Ok(path)
}

//! Reports as files: written by extension, read, signed and checked. Spec: `report.md`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::UsageError;
use super::html;
use super::report::Failure;
use crate::base::{Code, Event, Observer, SnapshotId};
use crate::cli::args::VouchArgs;
use crate::cli::args::retain::SiteArgs;
use crate::cli::args::selection::Selector;
use crate::cli::retention::{self, Site};
use crate::cli::session::Session;
use crate::format::event::EventKind;
use crate::ops::attest::{self, Attestation};
use crate::ops::recorder::{check_delegated, draft};
use crate::ops::report::{Report, VerifyReport, signed};

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Html,
}

fn form_of(path: &Path) -> Result<Form, UsageError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Form::Json),
        Some("html") => Ok(Form::Html),
        _ => {
            let reason = format!("{} must end with .json or .html", path.display());
            Err(UsageError::new("write the report", reason))
        }
    }
}

/// Refuses names of files that say no form, before anything is done that takes an hour.
///
/// # Errors
/// If one ends otherwise than `.json` or `.html`.
pub fn check_names(paths: &[PathBuf]) -> Result<(), UsageError> {
    paths.iter().try_for_each(|path| form_of(path).map(drop))
}

/// Writes the whole report to files, each in the form that its name says.
///
/// # Errors
/// If one cannot be written.
pub fn write(paths: &[PathBuf], report: &Report) -> Result<(), Failure> {
    for path in paths {
        let wrap = |e| Failure::system(format!("write the report {}", path.display()), e);
        let bytes = match form_of(path)? {
            Form::Html => html::page(report).into_bytes(),
            Form::Json => {
                let text = serde_json::to_vec_pretty(report).map_err(|error| wrap(error.into()))?;
                [text, b"\n".to_vec()].concat()
            }
        };
        std::fs::write(path, bytes).map_err(wrap)?;
    }
    Ok(())
}

/// Reads a report that was saved as JSON.
///
/// # Errors
/// If the file cannot be read, or is no report of this version.
pub fn read(path: &Path) -> Result<Report, Failure> {
    Ok(Report::parse(&bytes_of(path)?)?)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrap = |cause| Failure::system(format!("read the report {}", path.display()), cause);
    std::fs::read(path).map_err(wrap)
}

/// Returns where the signature of a report is.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Signs files of one report, and returns where the signature is.
///
/// # Errors
/// If none or several are the report in JSON, they lie apart, or the signer may not.
pub fn sign(
    paths: &[PathBuf],
    site: &Site,
    args: &SiteArgs,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let refuse = |reason: &str| Failure::from(UsageError::new("sign the report", reason));
    let is_json = |path: &&PathBuf| form_of(path).is_ok_and(|form| form == Form::Json);
    let [json] = paths.iter().filter(is_json).collect::<Vec<_>>()[..] else {
        return Err(refuse("exactly one of its files must be the report as JSON"));
    };
    if paths.iter().any(|path| path.parent() != json.parent()) {
        return Err(refuse("its files must be in one directory, where they are looked for"));
    }
    let Some((key, _)) = site.signer(args, session)? else {
        return Err(refuse(
            "no signer is given: an auditor's is in --signer, the operator's in --kit",
        ));
    };
    signed::check_signer(site.auditor()?.note(), key.signer_id())?;
    let report = read(json)?;
    let others = paths.iter().filter(|path| *path != json);
    let mut files = Vec::new();
    for path in [json].into_iter().chain(others) {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| refuse("the name of a file is not UTF-8"))?;
        files.push((name.to_owned(), bytes_of(path)?));
    }
    let note = signed::sign(&key, &report, &files, session.clock.now())?;
    let path = signature_path(json);
    let wrap = |cause| Failure::system(format!("write the signature {}", path.display()), cause);
    std::fs::write(&path, note).map_err(wrap)?;
    Ok(path)
}

/// What is to be vouched for once a verification is complete, found possible before it begins.
pub struct Vouching<'a> {
    args: &'a VouchArgs,
    site_args: SiteArgs,
    sites: Vec<Site>,
}

impl<'a> Vouching<'a> {
    /// Opens the vaults for which somebody vouches; none, if nothing is asked for. `store` and
    /// `vault_key` are what the verification is given.
    ///
    /// # Errors
    /// If the signer cannot be used, or may not vouch.
    pub fn prepare(
        args: &'a VouchArgs,
        (store, vault_key): (Option<&str>, Option<&str>),
        session: &Session,
    ) -> Result<Option<Self>, Failure> {
        let attests = args.attest || args.attestation.is_some();
        let has_signer = args.kit.is_some() || !args.signer.is_empty();
        if !attests && !args.sign {
            return match has_signer {
                true => {
                    let reason = "a signer signs with --sign, --attest or --attestation";
                    Err(UsageError::new("use the signer", reason).into())
                }
                false => Ok(None),
            };
        }
        if !has_signer && (args.sign || args.attestation.is_some()) {
            let reason = "no signer is given: an auditor's is in --signer, the operator's in --kit";
            return Err(UsageError::new("vouch for the result", reason).into());
        }
        let given = |store: &&str| store.contains("://") && vault_key.is_some();
        let site_args = SiteArgs {
            store: store.filter(given).map(str::to_owned).into_iter().collect(),
            vault_key: vault_key.map(str::to_owned),
            signer: args.signer.clone(),
            kit: args.kit.clone(),
        };
        let sites = retention::sites(session, &site_args)?;
        if has_signer {
            for site in &sites {
                let auditor = site.auditor()?;
                let Some((key, _)) = site.signer(&site_args, session)? else { continue };
                check_delegated(auditor.note(), key.signer_id(), EventKind::Verified)?;
                if args.sign {
                    signed::check_signer(auditor.note(), key.signer_id())?;
                }
            }
        }
        Ok(Some(Self { args, site_args, sites }))
    }

    /// Signs what was written, and records what was found. A report that could not be signed, or
    /// recorded, still stands: that is a warning.
    pub fn vouch(&self, report: &Report, paths: &[PathBuf], ids: &[String], session: &Session) {
        if self.args.sign {
            let signed = match &self.sites[..] {
                [site] => sign(paths, site, &self.site_args, session),
                _ => {
                    let reason = "it is about several vaults: name one with --vault";
                    Err(UsageError::new("sign the report", reason).into())
                }
            };
            match signed {
                Ok(path) => session.report.note(&format!("signed: {}", path.display())),
                Err(failure) => warn(session, "the report is not signed", &failure),
            }
        }
        if !self.args.attest && self.args.attestation.is_none() {
            return;
        }
        for one in &report.vaults {
            let site = self.sites.iter().find(|site| site.vault().to_string() == one.vault);
            let Some(site) = site else { continue };
            if let Err(failure) = self.attest(site, one, report, ids, session) {
                warn(session, "the result is not in a ledger yet", &failure);
            }
        }
    }

    fn attest(
        &self,
        site: &Site,
        one: &VerifyReport,
        report: &Report,
        ids: &[String],
        session: &Session,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.args.attestation {
            return self.file(site, one, (report, ids), path, session);
        }
        let mut open = site.open(&self.site_args, EventKind::Verified, session)?;
        let only = chosen(ids, open.survey.notes.keys().copied(), report)?;
        let Some(scribe) = &mut open.scribe else {
            let reason = "nobody here may record it: give --signer or --kit";
            return Err(UsageError::new("record the result", reason).into());
        };
        let signer = scribe.signer();
        let there = open.survey.notes.keys().copied();
        let events = attest::events(one, only.as_deref(), there);
        let lacking = attest::record(scribe, events, session.progress.as_ref())?;
        session.report.note(&format!("recorded in the ledger of {signer}"));
        for store in lacking {
            session.report.note(&format!("store {store} gets the record with the next run"));
        }
        Ok(())
    }

    /// Writes to a file what the signer may not put.
    fn file(
        &self,
        site: &Site,
        one: &VerifyReport,
        (report, ids): (&Report, &[String]),
        path: &Path,
        session: &Session,
    ) -> Result<(), Failure> {
        let survey = site.survey(session)?;
        let Some((key, kept)) = site.signer(&self.site_args, session)? else { return Ok(()) };
        let only = chosen(ids, survey.notes.keys().copied(), report)?;
        let there = survey.notes.keys().copied();
        let mut events = attest::events(one, only.as_deref(), there);
        let (Some(event), true) = (events.pop(), events.is_empty()) else {
            let reason = "a file holds one record: verify all snapshots, or one";
            return Err(UsageError::new("write the attestation", reason).into());
        };
        let wrap = |cause| Failure::system(format!("write {}", path.display()), cause);
        // Before anything is kept, and never over another one.
        let mut file = File::options().write(true).create_new(true).open(path).map_err(wrap)?;
        let signer = key.signer_id();
        let draft = draft(key, &survey.logs, event, kept, &session.outside())?;
        let text = Attestation::of(site.vault(), signer, &draft).compose()?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(wrap)?;
        if draft.is_earlier {
            let detail = format!(
                "{} has the record before this one, which no store has yet: have it added with \
                 `ledger add`, then attest again",
                path.display()
            );
            session.progress.observe(Event::Warning { code: Code::RecordPending, detail });
        } else {
            session.report.note(&format!("to be added with `ledger add {}`", path.display()));
        }
        Ok(())
    }
}

/// Returns the snapshots that were named, as they were when the verification began.
fn chosen(
    ids: &[String],
    known: impl Iterator<Item = SnapshotId>,
    report: &Report,
) -> Result<Option<Vec<SnapshotId>>, Failure> {
    if ids.is_empty() {
        return Ok(None);
    }
    let known: Vec<SnapshotId> = known.filter(|id| id.time() <= report.began).collect();
    let chosen: Result<Vec<SnapshotId>, Failure> =
        ids.iter().map(|text| Ok(Selector::parse(text)?.choose(&known)?)).collect();
    chosen.map(Some)
}

fn warn(session: &Session, what: &str, failure: &Failure) {
    let detail = format!("{what}: failed to {}", failure.chain().join(": "));
    session.progress.observe(Event::Warning { code: failure.code(), detail });
}

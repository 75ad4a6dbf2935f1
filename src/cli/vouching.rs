//! What a verifier says of a verification once it is complete: signed, and recorded. Spec:
//! `report.md`.
//!
//! What stands in the way is found before the verification begins, for it may take a day.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::retain::SiteArgs;
use super::args::{UsageError, VouchArgs};
use super::files;
use super::report::Failure;
use super::reports::{self, Made};
use super::retention::{self, Site};
use super::session::Session;
use crate::base::{Code, Event, Observer, VaultId};
use crate::format::event::{EventKind, EventPayload};
use crate::ops::attest::{self, Asked, Attestation};
use crate::ops::recorder::{check_delegated, draft};
use crate::ops::report::{Report, VerifyReport, signed};
use crate::ops::staged::Staged;

/// Which snapshots of each vault are verified, as it was asked for.
pub type AskedOf = BTreeMap<VaultId, Asked>;

/// What is to be vouched for once a verification is complete, found possible before it begins.
pub struct Vouching<'a> {
    args: &'a VouchArgs,
    site_args: SiteArgs,
    sites: Vec<Site>,
}

impl<'a> Vouching<'a> {
    /// Opens the vaults for which somebody vouches; none, if nothing is asked for. `store` and
    /// `vault_key` are what the verification is given, and `paths` where its report goes.
    ///
    /// # Errors
    /// If the signer cannot be used, or may not vouch, or a file cannot be written.
    pub fn prepare(
        args: &'a VouchArgs,
        (store, vault_key): (Option<&str>, Option<&str>),
        paths: &[PathBuf],
        session: &Session,
    ) -> Result<Option<Self>, Failure> {
        let refuse = |what: &str, reason: &str| Failure::from(UsageError::new(what, reason));
        let has_signer = args.kit.is_some() || !args.signer.is_empty();
        if !args.attests() && !args.sign {
            let reason = "a signer signs with --sign, --attest or --attestation";
            return if has_signer { Err(refuse("use the signer", reason)) } else { Ok(None) };
        }
        if !has_signer && (args.sign || args.attestation.is_some()) {
            let reason = "no signer is given: an auditor's is in --signer, the operator's in --kit";
            return Err(refuse("vouch for the result", reason));
        }
        if args.sign {
            let json = reports::check_signable(paths)?;
            files::check_place(&reports::signature_path(json), "signature")?;
        }
        if let Some(path) = &args.attestation {
            files::check_new(path, "attestation")?;
        }
        let given = |store: &&str| store.contains("://") && vault_key.is_some();
        let site_args = SiteArgs {
            store: store.filter(given).map(str::to_owned).into_iter().collect(),
            vault_key: vault_key.map(str::to_owned),
            signer: args.signer.clone(),
            kit: args.kit.clone(),
        };
        let sites = retention::sites(session, &site_args)?;
        Ok(Some(Self { args, site_args, sites }))
    }

    /// Refuses what cannot be vouched for, of so many vaults, and of those that are verified.
    ///
    /// # Errors
    /// If a file would be of several vaults or snapshots, or the signer may not vouch for one.
    pub fn check(
        &self,
        vault_count: usize,
        asked: &AskedOf,
        session: &Session,
    ) -> Result<(), Failure> {
        let refuse = |what: &str, reason: &str| Err(UsageError::new(what, reason).into());
        if self.args.sign && vault_count > 1 {
            let reason = "it would be about several vaults: name one with --vault";
            return refuse("sign the report", reason);
        }
        if self.args.attestation.is_some() && vault_count > 1 {
            let reason = "a file holds the record of one vault: name one with --vault";
            return refuse("write the attestation", reason);
        }
        if self.args.attestation.is_some() && asked.values().any(|one| one.event_count() != 1) {
            let reason = "a file holds one record: verify all snapshots, or one";
            return refuse("write the attestation", reason);
        }
        for site in self.sites.iter().filter(|site| asked.contains_key(&site.vault())) {
            let Some((key, _)) = site.signer(&self.site_args, session)? else {
                if site.host().is_none() {
                    let reason = "nobody here may record it: give --signer or --kit";
                    return refuse("record the result", reason);
                }
                continue;
            };
            let auditor = site.auditor()?;
            check_delegated(auditor.note(), key.signer_id(), EventKind::Verified)?;
            if self.args.sign {
                signed::check_signer(auditor.note(), key.signer_id())?;
            }
        }
        Ok(())
    }

    /// Signs what was written, and records what was found. A report that could not be signed, or
    /// recorded, still stands: that is a warning.
    pub fn vouch(&self, report: &Report, made: &[Made], asked: &AskedOf, session: &Session) {
        if self.args.sign && !made.is_empty() {
            match self.sign(report, made, session) {
                Ok(path) => session.report.note(&format!("signed: {}", path.display())),
                Err(failure) => warn(session, "the report is not signed", &failure),
            }
        }
        if !self.args.attests() {
            return;
        }
        for one in &report.vaults {
            let site = self.sites.iter().find(|site| site.vault().to_string() == one.vault);
            let Some((site, asked)) = site.and_then(|site| Some((site, asked.get(&site.vault())?)))
            else {
                continue;
            };
            if let Err(failure) = self.attest(site, one, asked, session) {
                warn(session, "the result is not in a ledger yet", &failure);
            }
        }
    }

    fn sign(&self, report: &Report, made: &[Made], session: &Session) -> Result<PathBuf, Failure> {
        let vault = report.vaults.first().map(|one| one.vault.as_str());
        let mut sites = self.sites.iter();
        let site = sites.find(|site| Some(site.vault().to_string().as_str()) == vault);
        let signer = match site {
            Some(site) => site.signer(&self.site_args, session)?,
            None => None,
        };
        let Some((key, _)) = signer else {
            let reason = "its vault has no signer here";
            return Err(UsageError::new("sign the report", reason).into());
        };
        reports::sign_made(made, report, &key, session)
    }

    fn attest(
        &self,
        site: &Site,
        one: &VerifyReport,
        asked: &Asked,
        session: &Session,
    ) -> Result<(), Failure> {
        let events = attest::events(one, asked);
        if let Some(path) = &self.args.attestation {
            return self.file(site, events, path, session);
        }
        let mut open = site.open(&self.site_args, EventKind::Verified, session)?;
        let Some(scribe) = &mut open.scribe else {
            let reason = "nobody here may record it: give --signer or --kit";
            return Err(UsageError::new("record the result", reason).into());
        };
        let signer = scribe.signer();
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
        mut events: Vec<EventPayload>,
        path: &Path,
        session: &Session,
    ) -> Result<(), Failure> {
        let survey = site.survey(session)?;
        let Some((key, kept)) = site.signer(&self.site_args, session)? else { return Ok(()) };
        let (Some(event), true) = (events.pop(), events.is_empty()) else {
            let reason = "a file holds one record: verify all snapshots, or one";
            return Err(UsageError::new("write the attestation", reason).into());
        };
        let wrap = |cause| Failure::system(format!("write {}", path.display()), cause);
        // Before anything is kept, and never over another one.
        let staged = Staged::at(path).map_err(wrap)?;
        let signer = key.signer_id();
        let draft = draft(key, &survey.logs, event, kept, &session.outside())?;
        let text = Attestation::of(site.vault(), signer, &draft).compose()?;
        staged.put_new(text.as_bytes()).map_err(wrap)?;
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

/// Tells that something of a verification could not be kept, though it stands.
pub fn warn(session: &Session, what: &str, failure: &Failure) {
    let detail = format!("{what}: failed to {}", failure.chain().join(": "));
    session.progress.observe(Event::Warning { code: failure.code(), detail });
}

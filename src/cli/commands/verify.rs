//! `verify`: what a store holds, against what was signed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::base::{Code, SnapshotId};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::selection::Selector;
use crate::cli::args::{LevelArg, VerifyArgs};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::config::Config;
use crate::cli::report::{Ending, Failure, verification};
use crate::cli::reports;
use crate::cli::session::Session;
use crate::cli::several::Several;
use crate::cli::vouching::{self, AskedOf, Vouching};
use crate::cli::{auditing, evidence, night, parts};
use crate::crypto::identity::DataIdentities;
use crate::format::ObjectKey;
use crate::ops;
use crate::ops::attest::Asked;
use crate::ops::report::{Level, Report, Verdict, VerifyReport};
use crate::ops::thaw::need;
use crate::ops::verify::{self, Kept, Part, Request, Rpo};
use crate::vault::{Auditor, Unlocked};

/// Verifies every vault that is meant, at a level; with --ping the watchdog learns of damage.
///
/// # Errors
/// If a store cannot be read at all. Damage is in the report, and the exit code is 3.
pub fn run(args: &VerifyArgs, session: &Session) -> Result<Ending, Failure> {
    let began = session.clock.now();
    let watched = args.ping.then(|| session.config()).transpose()?;
    reports::check_places(&args.report)?;
    evidence::check_places(&args.evidence)?;
    let access = (args.access.store.as_deref(), args.access.vault_key.as_deref());
    let vouching = Vouching::prepare(&args.vouch, access, &args.report, session)?;
    let run = match Run::prepare(args, began, vouching.as_ref(), session).map(Run::readied) {
        Ok(Ok(run)) => Ok(run),
        Ok(Err(ending)) => return Ok(ending),
        Err(failure) => Err(failure),
    };
    let verified = run.and_then(Run::verify);
    if let Some(config) = &watched {
        tell_watchdog(config, &verified, session);
    }
    let Verified { report, asked, several } = verified?;
    // What took a day to find out is said, though a disk is full by now.
    let made = reports::write(&args.report, &report).unwrap_or_else(|failure| {
        vouching::warn(session, "the report is not in its files", &failure);
        Vec::new()
    });
    if let Some(vouching) = vouching {
        vouching.vouch(&report, &made, &asked, session);
    }
    let words = || report.vaults.iter().map(verification::text_of).collect::<String>();
    let ending = ending(report.verdict());
    several.end(ending, words)?;
    session.report.deed(&report, &session.progress.warnings(), ending, words)
}

/// Tells the watchdog what failed and what was found; what interrupted runs leave over is no reason
/// to wake anybody.
fn tell_watchdog(config: &Config, verified: &Result<Verified<'_>, Failure>, session: &Session) {
    let (report, failure) = match verified {
        Ok(Verified { report, several, .. }) => (Some(report), several.failure()),
        Err(failure) => (None, Some(failure)),
    };
    let verdict = report.map_or(Verdict::Sound, Report::verdict);
    let exit = failure.map_or(ending(verdict).exit(0), |failure| failure.code().exit());
    if matches!(exit, 0 | 4) {
        return;
    }
    let findings = report.iter().flat_map(|report| &report.vaults).flat_map(|one| &one.findings);
    let codes = failure.map(Failure::code).into_iter().chain(findings.map(|one| one.code));
    let codes: Vec<Code> = codes.collect();
    night::tell_failure(config, session, "verify", exit, &codes);
}

/// What came of it, whatever failed beside it.
struct Verified<'a> {
    report: Report,
    asked: AskedOf,
    several: Several<'a>,
}

/// A verification that was found possible, before anything is thawed or read.
struct Run<'a> {
    args: &'a VerifyArgs,
    session: &'a Session,
    began: Timestamp,
    several: Several<'a>,
    jobs: Vec<Job>,
    rpo: Rpo,
    since: Vec<Kept>,
    identities: Option<Arc<DataIdentities>>,
}

/// One vault, and what of it is verified.
struct Job {
    name: String,
    auditor: Auditor,
    asked: Asked,
    meant: Meant,
}

/// What of a vault is meant, and what this host knows of it.
struct Meant {
    only: Option<Vec<SnapshotId>>,
    is_each: bool,
    part: Part,
    /// The manifest of this host, where it has one of the vault.
    manifest: Option<PathBuf>,
}

impl Meant {
    fn request<'a>(&'a self, args: &'a VerifyArgs, session: &Session) -> Request<'a> {
        let (level, now) = (level_of(args.level), Some(session.clock.now()));
        let evidence = evidence::of(&args.evidence, self.manifest.as_deref());
        let (only, is_each, part) = (self.only.as_deref(), self.is_each, Some(&self.part));
        Request { only, is_each, now, part, evidence, ..Request::of(level) }
    }
}

impl<'a> Run<'a> {
    /// Opens every vault that is meant, and refuses what could not be done to its end.
    fn prepare(
        args: &'a VerifyArgs,
        began: Timestamp,
        vouching: Option<&Vouching<'_>>,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        // What is kept here proves nothing about the store.
        let access = AccessArgs { no_cache: true, ..args.access.clone() };
        let opened = access::each_auditor(session, &access)?;
        let mut several = Several::new(opened.len(), session);
        let (rpo, since) = (auditing::rpo(args, session)?, auditing::kept(args, opened.len())?);
        evidence::check(&args.evidence, args.level, opened.len())?;
        evidence::of(&args.evidence, None).check().map_err(ops::Error::from)?;
        let contents = (args.level == LevelArg::Contents).then_some("verify contents");
        let identities = contents.map(|action| session.identities(action)).transpose()?;
        let mut jobs = Vec::new();
        for (name, auditor) in opened {
            if let Some(auditor) = several.take(&name, auditor) {
                jobs.push(Job::prepare(name, auditor, args, began, session)?);
            }
        }
        let identities = identities.map(Arc::new);
        let run = Self { args, session, began, several, jobs, rpo, since, identities };
        if let Some(vouching) = vouching {
            vouching.check(run.several.vault_count(), &run.asked(), session)?;
        }
        Ok(run)
    }

    /// Returns which snapshots of each vault were asked for.
    fn asked(&self) -> AskedOf {
        self.jobs.iter().map(|job| (job.auditor.vault(), job.asked.clone())).collect()
    }

    /// Gets the packs ready that are read, if they can be; else the command ends so.
    fn readied(mut self) -> Result<Self, Ending> {
        for job in std::mem::take(&mut self.jobs) {
            let name = job.name.clone();
            let readied = self.several.take(&name, job.readied(self.args, self.session));
            self.jobs.extend(readied.transpose()?);
        }
        Ok(self)
    }

    /// Verifies one vault after the other.
    fn verify(mut self) -> Result<Verified<'a>, Failure> {
        let (asked, mut reports) = (self.asked(), Vec::new());
        for job in std::mem::take(&mut self.jobs) {
            let name = job.name.clone();
            let verified = self.verify_one(job);
            reports.extend(self.several.take(&name, verified));
        }
        let several = self.several.unless_all_failed()?;
        let left_out = |name: &str| format!("vault {name}, which could not be verified");
        for one in &mut reports {
            one.not_covered.extend(several.failed().map(left_out));
        }
        let report = Report::new(self.began, self.session.clock.now(), reports);
        Ok(Verified { report, asked, several })
    }

    fn verify_one(&self, job: Job) -> Result<VerifyReport, Failure> {
        let (Self { args, session, rpo, since, .. }, observer) =
            (self, self.session.progress.as_ref());
        let Job { auditor, meant, .. } = job;
        let request = Request { rpo: *rpo, since, ..meant.request(args, session) };
        let Some(identities) = &self.identities else {
            return Ok(verify::verify_as(&auditor, None, &request, observer)?);
        };
        let unlocked = Unlocked::new(auditor, Arc::clone(identities))?;
        Ok(verify::verify_as(unlocked.auditor(), Some(&unlocked), &request, observer)?)
    }
}

impl Job {
    fn prepare(
        name: String,
        auditor: Auditor,
        args: &VerifyArgs,
        began: Timestamp,
        session: &Session,
    ) -> Result<Self, Failure> {
        let part = parts::part_of(&args.part, level_of(args.level), session, &auditor)?;
        let (only, asked) = chosen(args, &auditor, began)?;
        let is_each = args.vouch.attests() && matches!(asked, Asked::Named(_));
        let manifest = evidence::own_manifest(session, &args.access, &auditor);
        let meant = Meant { only, is_each, part, manifest };
        Ok(Self { name, auditor, asked, meant })
    }

    /// Gets the packs ready that are read, if they can be; else the command ends so.
    fn readied(
        mut self,
        args: &VerifyArgs,
        session: &Session,
    ) -> Result<Result<Self, Ending>, Failure> {
        if args.level < LevelArg::Bytes {
            return Ok(Ok(self));
        }
        let is_part = self.meant.part.method.is_some() || self.meant.part.shard.is_some();
        let (mut chosen, mut note) = (None, None);
        if is_part && self.auditor.store().has_classes() {
            let reading = verify::reading(&self.auditor, &self.meant.request(args, session))?;
            let until = reading.newest.filter(|_| args.ids.is_empty());
            note = parts::note_of(reading.public.as_ref(), until);
            self.meant.part.public = reading.public;
            chosen = Some((reading.need, until));
        }
        let (need, until) = chosen.unzip();
        let of_lists = || need::of_lists(&self.auditor, self.meant.only.as_deref());
        let need = || need.map_or_else(of_lists, Ok);
        let (thawing, begin) = (&args.thawing, Begin::WithAll);
        let readied =
            cold::ready_noting(session, thawing, &self.auditor, begin, note.as_ref(), need)?;
        match readied {
            Readied::Own => Ok(Ok(self)),
            Readied::Through(store) => {
                self.auditor = self.auditor.through(store);
                if let Some(until) = until.flatten() {
                    self.meant.only = up_to(&self.auditor, until)?.or(self.meant.only);
                }
                Ok(Ok(self))
            }
            Readied::Ended(ending) => Ok(Err(ending)),
        }
    }
}

/// Returns the snapshots up to one, if there are newer ones: taken while packs were thawed, they
/// would change the sample.
fn up_to(auditor: &Auditor, until: SnapshotId) -> Result<Option<Vec<SnapshotId>>, Failure> {
    let ids = snapshots(auditor)?;
    let is_newer = ids.keys().any(|id| *id > until);
    Ok(is_newer.then(|| ids.into_keys().filter(|id| *id <= until).collect()))
}

const fn level_of(level: LevelArg) -> Level {
    match level {
        LevelArg::Ledger => Level::Ledger,
        LevelArg::Stored => Level::Stored,
        LevelArg::Bytes => Level::Bytes,
        LevelArg::Contents => Level::Contents,
    }
}

/// Returns how a verdict ends a run.
pub const fn ending(verdict: Verdict) -> Ending {
    match verdict {
        Verdict::Sound => Ending::Done,
        Verdict::Remarks => Ending::LeftOver,
        Verdict::Unread => Ending::TooNew,
        Verdict::Damaged => Ending::Damaged,
    }
}

/// Returns the snapshots that are meant, if not all, and which were asked for.
fn chosen(
    args: &VerifyArgs,
    auditor: &Auditor,
    began: Timestamp,
) -> Result<(Option<Vec<SnapshotId>>, Asked), Failure> {
    if args.ids.is_empty() && args.part.until.is_none() {
        return Ok((None, Asked::Until(began)));
    }
    let times = snapshots(auditor)?;
    let ids: Vec<SnapshotId> = times.keys().copied().collect();
    if let Some(text) = &args.part.until {
        let until = Selector::parse(text)?.choose(&ids)?;
        let left_out = times.iter().filter(|(id, _)| **id > until).map(|(_, time)| *time).min();
        let before = left_out.and_then(|time| time.checked_sub(SignedDuration::from_secs(1)).ok());
        let asked = Asked::Until(before.map_or(began, |before| before.min(began)));
        return Ok((Some(ids.into_iter().filter(|id| *id <= until).collect()), asked));
    }
    let chosen: Result<BTreeSet<SnapshotId>, Failure> =
        args.ids.iter().map(|text| Ok(Selector::parse(text)?.choose(&ids)?)).collect();
    let chosen: Vec<SnapshotId> = chosen?.into_iter().collect();
    Ok((Some(chosen.clone()), Asked::Named(chosen)))
}

/// Returns every snapshot with its time, or one before it. One whose note is damaged is among them:
/// that is what its findings are for.
fn snapshots(auditor: &Auditor) -> Result<BTreeMap<SnapshotId, Timestamp>, Failure> {
    let checked = auditor.snapshots()?;
    let damaged = checked.problems.iter().filter_map(|(key, _)| match key {
        ObjectKey::Note(id) => Some((*id, id.time())),
        _ => None,
    });
    let sound = checked.sound.iter().map(|(id, note)| (*id, note.time.min(id.time())));
    Ok(sound.chain(damaged).collect())
}

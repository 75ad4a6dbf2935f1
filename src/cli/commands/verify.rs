//! `verify`: what a store holds, against what was signed.

use std::path::PathBuf;

use crate::base::{SnapshotId, VaultId};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::selection::Selector;
use crate::cli::args::{LevelArg, VerifyArgs};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::report::{Ending, Failure, verification};
use crate::cli::reports;
use crate::cli::session::Session;
use crate::cli::vouching::{self, Named, Vouching};
use crate::cli::{auditing, evidence, night, parts};
use crate::format::ObjectKey;
use crate::ops::report::{Level, Report, Verdict, VerifyReport};
use crate::ops::thaw::need;
use crate::ops::verify::{self, Part, Request};
use crate::vault::{Auditor, Unlocked};

/// Verifies every vault that is meant, at a level; with --ping the watchdog learns of damage.
///
/// # Errors
/// If a store cannot be read at all. Damage is in the report, and the exit code is 3.
pub fn run(args: &VerifyArgs, session: &Session) -> Result<Ending, Failure> {
    reports::check_places(&args.report)?;
    evidence::check_places(&args.evidence)?;
    let access = (args.access.store.as_deref(), args.access.vault_key.as_deref());
    let vouching = Vouching::prepare(&args.vouch, access, &args.report, session)?;
    let jobs = match jobs(args, session) {
        Ok(Ok(jobs)) => Ok(jobs),
        Ok(Err(ending)) => return Ok(ending),
        Err(failure) => Err(failure),
    };
    // Whoever vouches names the snapshots, if these were not all that there were.
    let named: Named = jobs.iter().flatten().filter_map(Job::named).collect();
    if let (Some(vouching), Ok(jobs)) = (&vouching, &jobs) {
        let vaults: Vec<VaultId> = jobs.iter().map(|job| job.auditor.vault()).collect();
        vouching.check(&vaults, &named, session)?;
    }
    let began = session.clock.now();
    let verified = jobs.and_then(|jobs| verify_all(args, jobs, session));
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
    // What took a day to find out is said, though a disk is full by now.
    let made = reports::write(&args.report, &report).unwrap_or_else(|failure| {
        vouching::warn(session, "the report is not in its files", &failure);
        Vec::new()
    });
    if let Some(vouching) = vouching {
        vouching.vouch(&report, &made, &named, session);
    }
    let warnings = session.progress.warnings();
    session.report.deed(&report, &warnings, ending(report.verdict()), || {
        report.vaults.iter().map(verification::text_of).collect::<String>()
    })
}

/// One vault, and what of it is verified.
struct Job {
    auditor: Auditor,
    meant: Meant,
}

/// What of a vault is meant, and what this host knows of it.
struct Meant {
    only: Option<Vec<SnapshotId>>,
    part: Part,
    /// The manifest of this host, where it has one of the vault.
    manifest: Option<PathBuf>,
}

impl Meant {
    fn request<'a>(&'a self, args: &'a VerifyArgs, session: &Session) -> Request<'a> {
        let (level, now) = (level_of(args.level), Some(session.clock.now()));
        let evidence = evidence::of(&args.evidence, self.manifest.as_deref());
        let (only, part) = (self.only.as_deref(), Some(&self.part));
        Request { only, now, part, evidence, ..Request::of(level) }
    }
}

impl Job {
    /// Returns the snapshots that are verified of the vault, if not all.
    fn named(&self) -> Option<(VaultId, Vec<SnapshotId>)> {
        Some((self.auditor.vault(), self.meant.only.clone()?))
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
                self.meant.only = match until.flatten() {
                    Some(until) => up_to(&self.auditor, until)?.or(self.meant.only),
                    None => self.meant.only,
                };
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
    let is_newer = |id: &&SnapshotId| **id > until;
    Ok(ids.iter().find(is_newer).map(|_| ids.iter().copied().filter(|id| *id <= until).collect()))
}

/// Opens every vault that is meant; where packs are read, only once they can be, else it ends so.
fn jobs(args: &VerifyArgs, session: &Session) -> Result<Result<Vec<Job>, Ending>, Failure> {
    let mut jobs = Vec::new();
    // What is kept here proves nothing about the store.
    let access = AccessArgs { no_cache: true, ..args.access.clone() };
    for auditor in access::auditors(session, &access)? {
        let part = parts::part_of(&args.part, level_of(args.level), session, &auditor)?;
        let only = chosen(args, &auditor)?;
        let manifest = evidence::own_manifest(session, &args.access, &auditor);
        let meant = Meant { only, part, manifest };
        match (Job { auditor, meant }).readied(args, session)? {
            Ok(job) => jobs.push(job),
            Err(ending) => return Ok(Err(ending)),
        }
    }
    Ok(Ok(jobs))
}

fn verify_all(
    args: &VerifyArgs,
    jobs: Vec<Job>,
    session: &Session,
) -> Result<Vec<VerifyReport>, Failure> {
    let (rpo, since) = (auditing::rpo(args, session)?, auditing::kept(args, jobs.len())?);
    evidence::check(&args.evidence, args.level, jobs.len())?;
    let mut reports = Vec::new();
    for job in jobs {
        let observer = session.progress.as_ref();
        let Job { auditor, meant } = job;
        let request = Request { rpo, since: &since, ..meant.request(args, session) };
        reports.push(if request.level == Level::Contents {
            let identities = session.identities("verify contents")?;
            let unlocked = Unlocked::new(auditor, identities)?;
            verify::verify_as(unlocked.auditor(), Some(&unlocked), &request, observer)?
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

/// Returns how a verdict ends a run.
pub const fn ending(verdict: Verdict) -> Ending {
    match verdict {
        Verdict::Sound => Ending::Done,
        Verdict::Remarks => Ending::LeftOver,
        Verdict::Unread => Ending::TooNew,
        Verdict::Damaged => Ending::Damaged,
    }
}

fn chosen(args: &VerifyArgs, auditor: &Auditor) -> Result<Option<Vec<SnapshotId>>, Failure> {
    if args.ids.is_empty() && args.part.until.is_none() {
        return Ok(None);
    }
    let ids = snapshots(auditor)?;
    if let Some(text) = &args.part.until {
        let until = Selector::parse(text)?.choose(&ids)?;
        return Ok(Some(ids.into_iter().filter(|id| *id <= until).collect()));
    }
    let chosen: Result<Vec<SnapshotId>, Failure> =
        args.ids.iter().map(|text| Ok(Selector::parse(text)?.choose(&ids)?)).collect();
    chosen.map(Some)
}

/// Returns every snapshot. One whose note is damaged is among them: that is what its findings are
/// for.
fn snapshots(auditor: &Auditor) -> Result<Vec<SnapshotId>, Failure> {
    let checked = auditor.snapshots()?;
    let damaged = checked.problems.iter().filter_map(|(key, _)| match key {
        ObjectKey::Note(id) => Some(*id),
        _ => None,
    });
    Ok(checked.sound.keys().copied().chain(damaged).collect())
}

//! Putting a snapshot into the running stack, and taking it back. Spec: `apply.md`.
//!
//! - Everything is staged and proven beside what serves; only then is anything stopped.
//! - Each phase is in the journal before it begins and can be repeated from its beginning, so a
//!   crash at any moment goes on or back.
//! - What was there before stays until it is dropped outright.

mod checks;
mod database;
mod erased;
mod error;
mod files;
mod journal;
mod request;
mod room;
mod services;
mod staging;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use checks::variable_of;
pub use error::ApplyError;
pub use files::InstallFile;
pub use journal::{Journal, Phase, Way};
pub use request::{ApplyReport, ApplyRequest, Erased, OtherKeys};

use self::database::DatabaseSwap;
use self::journal::{JournalDir, remove_tree};
use self::uploads::VolumeSwap;
use super::Error;
use crate::base::{Coded, Event, Gate, Observer, with_causes};
use crate::source::docker::psql::Psql;
use crate::source::docker::{Docker, DockerError, Selector, Stack};
use crate::vault::state::StateLock;
use crate::vault::{Outside, Unlocked};

/// The services by which a stack is known.
const POSTGRES: &str = "postgres";
const WATCHTOWER: &str = "watchtower";

/// A stack, and the journal of what is done to it.
pub struct Application<'a> {
    docker: Docker,
    selector: Selector,
    dir: JournalDir,
    outside: Outside,
    observer: &'a dyn Observer,
    patience: Option<Duration>,
    _lock: StateLock,
}

impl<'a> Application<'a> {
    /// Finds the stack and takes the lock of its journal.
    ///
    /// # Errors
    /// If the stack is not found, or another run works on it.
    pub fn open(
        docker: Docker,
        mut selector: Selector,
        state_dir: &Path,
        outside: Outside,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let project = Stack::find(&docker, &selector)?.project;
        selector.project = Some(project.clone());
        let dir = JournalDir::new(state_dir, &project, Arc::clone(&outside.gate));
        dir.make()?;
        let lock = StateLock::take(dir.path())?;
        Ok(Self { docker, selector, dir, outside, observer, patience: None, _lock: lock })
    }

    /// Waits so long for the api's health, instead of as long as a migration may take.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Returns the journal of what is under way or can be taken back.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn journal(&self) -> Result<Option<Journal>, Error> {
        self.dir.load()
    }

    /// Puts a snapshot into service, or goes on doing so.
    ///
    /// # Errors
    /// If a step fails. Before `starting` everything is taken back first; what then is still not
    /// as it was is in the journal.
    pub fn apply(&self, unlocked: &Unlocked, request: &ApplyRequest) -> Result<ApplyReport, Error> {
        let mut report = ApplyReport { project: self.project().to_owned(), ..Default::default() };
        let mut journal = match self.ended()? {
            Some(found) => request.goes_on(found)?,
            None => self.stage(unlocked, request, &mut report)?,
        };
        let body = unlocked.body(&unlocked.auditor().snapshot(request.snapshot)?)?;
        report.row_count = body.database.map_or(0, |database| database.rows.values().sum());
        report.file_count = body.uploads.map_or(0, |uploads| uploads.file_count);
        report.replaced = journal.files.iter().map(|file| file.path.clone()).collect();
        if let Err(error) = self.forward(&mut journal, (unlocked, request.other_keys), &mut report)
        {
            // What was restored is in place and proven; the api alone is not well.
            if journal.phase >= Phase::Starting {
                return Err(error);
            }
            return Err(match self.take_back(journal) {
                Ok(_) => ApplyError::TakenBack { cause: Box::new(error) },
                Err(back) => {
                    let (cause, back) = (Box::new(error), Box::new(back));
                    ApplyError::NotTakenBack { cause, back }
                }
            }
            .into());
        }
        if let Err(error) = remove_tree(&self.dir.staged_files()) {
            // Secrets that took their places are not needed twice; that they are there is told.
            let (code, detail) = (error.code(), with_causes(&error));
            self.observer.observe(Event::Warning { code, detail });
        }
        Ok(report)
    }

    /// Brings back what was there before; what took its place stays aside if it has served.
    ///
    /// # Errors
    /// If there is nothing to take back, or a step fails; the same call then goes on.
    pub fn undo(&self) -> Result<Journal, Error> {
        let found = self.journal()?.ok_or(ApplyError::NothingThere)?;
        match self.ended()? {
            None => Ok(found),
            Some(journal) if journal.way == Way::Dropping => Err(journal.under_way().into()),
            Some(journal) if journal.phase == Phase::Undone => Ok(journal),
            Some(journal) => self.take_back(journal),
        }
    }

    /// Removes for good what does not serve any more.
    ///
    /// # Errors
    /// If nothing has ended, or something cannot be removed; the same call then goes on.
    pub fn drop_previous(&self) -> Result<Journal, Error> {
        let mut journal = self.ended()?.ok_or(ApplyError::NothingThere)?;
        if journal.way != Way::Dropping && journal.phase < Phase::Done {
            return Err(journal.under_way().into());
        }
        // From here on nothing can be brought back any more, and nobody is to try.
        journal.way = Way::Dropping;
        self.dir.save(&journal)?;
        let stack = self.stack()?;
        if let Some(swap) = self.database(&stack, &journal)? {
            swap.drop_previous()?;
            swap.drop_staged()?;
        }
        if let Some(swap) = self.volume(&journal) {
            remove_tree(&swap.previous())?;
            remove_tree(&swap.staged())?;
        }
        self.dir.remove()?;
        Ok(journal)
    }

    /// Brings what was on its way back, or was being removed, to its end; returns the journal if
    /// there is still one. Nothing turns round half-way, so no phase is met from both sides.
    fn ended(&self) -> Result<Option<Journal>, Error> {
        let Some(journal) = self.journal()? else { return Ok(None) };
        match journal.way {
            Way::Forward if journal.phase == Phase::Staging => self.discard(journal).map(|_| None),
            Way::Discarding => self.discard(journal).map(|_| None),
            Way::Back if journal.phase != Phase::Undone => {
                let journal = self.take_back(journal)?;
                Ok((journal.phase == Phase::Undone).then_some(journal))
            }
            _ => Ok(Some(journal)),
        }
    }

    /// Takes the phases one by one, each in the journal before it begins.
    fn forward(
        &self,
        journal: &mut Journal,
        keys: (&Unlocked, OtherKeys),
        report: &mut ApplyReport,
    ) -> Result<(), Error> {
        while journal.phase != Phase::Done {
            let (phase, began) = (journal.phase.name(), self.outside.clock.now());
            self.observer.observe(Event::PhaseStarted { phase, total_len: None });
            self.step(journal, keys, report)?;
            self.observer.observe(Event::PhaseFinished { phase });
            report.durations.push((phase, self.since(began)));
            let mut next = journal.clone();
            next.phase = journal.phase.next();
            next.has_served |= next.phase == Phase::Starting;
            self.dir.save(&next)?;
            *journal = next;
        }
        Ok(())
    }

    fn step(
        &self,
        journal: &Journal,
        (unlocked, other_keys): (&Unlocked, OtherKeys),
        report: &mut ApplyReport,
    ) -> Result<(), Error> {
        let stack = self.stack()?;
        match journal.phase {
            Phase::Stopping => services::stop(&self.docker, &stack, &journal.services),
            Phase::Files if journal.files.is_empty() => Ok(()),
            Phase::Files => {
                files::put(&self.dir, journal, self.gate())?;
                self.remake(&stack)
            }
            Phase::Database => match self.database(&stack, journal)? {
                Some(swap) => swap.swap(),
                None => Ok(()),
            },
            Phase::UploadsOut => self.volume(journal).map_or(Ok(()), |swap| swap.out()),
            Phase::UploadsIn => self.volume(journal).map_or(Ok(()), |swap| swap.move_in()),
            // Where no file of the install is replaced, they were tried before anything stopped.
            Phase::Checking if journal.files.is_empty() => Ok(()),
            Phase::Checking => {
                report.proofs = self.check_keys(unlocked, journal.snapshot, &stack, other_keys)?;
                Ok(())
            }
            Phase::Starting => self.start(&stack, journal),
            Phase::Staging | Phase::Done | Phase::Undone => Ok(()),
        }
    }

    /// Undoes the phases one by one, the last first; the journal says how far that is.
    fn take_back(&self, mut journal: Journal) -> Result<Journal, Error> {
        journal.way = Way::Back;
        self.dir.save(&journal)?;
        let stack = self.stack()?;
        if journal.phase >= Phase::Starting {
            services::stop(&self.docker, &stack, &journal.services)?;
            self.reach(&mut journal, Phase::UploadsIn)?;
        }
        if journal.phase >= Phase::UploadsIn {
            self.volume(&journal).map_or(Ok(()), |swap| swap.back_out())?;
            self.reach(&mut journal, Phase::UploadsOut)?;
        }
        if journal.phase >= Phase::UploadsOut {
            self.volume(&journal).map_or(Ok(()), |swap| swap.back_in())?;
            self.reach(&mut journal, Phase::Database)?;
        }
        if journal.phase >= Phase::Database {
            if let Some(swap) = self.database(&stack, &journal)? {
                swap.swap_back()?;
            }
            self.reach(&mut journal, Phase::Files)?;
        }
        if journal.phase >= Phase::Files && !journal.files.is_empty() {
            files::put_back(&self.dir, &journal, self.gate())?;
            self.remake(&stack)?;
        }
        self.reach(&mut journal, Phase::Stopping)?;
        let stack = self.stack()?;
        let is_remade = !journal.files.is_empty();
        services::start(&self.docker, &stack, &journal.ran, is_remade)?;
        if journal.has_served {
            self.reach(&mut journal, Phase::Undone)?;
            return Ok(journal);
        }
        self.discard(journal)
    }

    fn reach(&self, journal: &mut Journal, phase: Phase) -> Result<(), Error> {
        journal.phase = phase;
        self.dir.save(journal)
    }

    /// Makes the containers anew, and the role's password the one that they got.
    fn remake(&self, stack: &Stack) -> Result<(), Error> {
        services::remake(&self.docker, stack)?;
        let stack = self.stack()?;
        let psql = Psql::of(&self.docker, stack.running(POSTGRES)?);
        services::align_password(&stack, &psql)
    }

    fn start(&self, stack: &Stack, journal: &Journal) -> Result<(), Error> {
        services::start(&self.docker, stack, &journal.services, !journal.files.is_empty())?;
        services::await_health(|| self.stack(), self.patience)
    }

    /// Removes what was staged, and the journal.
    fn discard(&self, mut journal: Journal) -> Result<Journal, Error> {
        journal.way = Way::Discarding;
        self.dir.save(&journal)?;
        let stack = self.stack()?;
        if let Some(swap) = self.database(&stack, &journal)? {
            swap.drop_staged()?;
        }
        if let Some(swap) = self.volume(&journal) {
            remove_tree(&swap.staged())?;
            // It is empty, unless something that was there before is still in it.
            let _ = std::fs::remove_dir(swap.previous());
        }
        self.dir.remove()?;
        Ok(journal)
    }

    fn database<'s>(
        &'s self,
        stack: &'s Stack,
        journal: &'s Journal,
    ) -> Result<Option<DatabaseSwap<'s>>, DockerError> {
        let Some(names) = &journal.database else { return Ok(None) };
        let psql = Psql::of(&self.docker, stack.running(POSTGRES)?);
        Ok(Some(DatabaseSwap::new(psql, names)))
    }

    fn volume<'s>(&self, journal: &'s Journal) -> Option<VolumeSwap<'s>> {
        let gate = Arc::clone(self.gate());
        journal.uploads.as_ref().map(|places| VolumeSwap::new(places, gate))
    }

    fn stack(&self) -> Result<Stack, Error> {
        Ok(Stack::find(&self.docker, &self.selector)?)
    }

    fn project(&self) -> &str {
        self.selector.project.as_deref().unwrap_or_default()
    }

    const fn gate(&self) -> &Arc<dyn Gate> {
        &self.outside.gate
    }

    fn since(&self, began: jiff::Timestamp) -> Duration {
        Duration::try_from(self.outside.clock.now().duration_since(began)).unwrap_or_default()
    }
}

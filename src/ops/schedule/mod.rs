//! The nightly run: where it is installed, and nothing else of the host changed. Spec: `nights.md`.
//!
//! What is written is text that a person can read before it is: [`plan`] composes it and changes
//! nothing. A file or a line that this program did not write is never touched.

mod cron;
mod error;
mod host;
mod time;
mod unit;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::ScheduleError;
pub use host::{Effects, Host, Installed, find, install, remove};
pub use time::{LocalClock, TimeOfDay};

use cron::UserField;

/// First line of every file that is ours; without it a file is somebody else's.
pub const OWN_MARK: &str =
    "# Written by `idswyft-vault schedule install`; `schedule remove` ends it.";

/// Whether a source of the config is a program that may need rights of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourcePrograms {
    /// Only programs that do as they are told: `pg_dump` with a URL.
    Known,
    /// A command of the config, or docker.
    Foreign,
}

/// What the night does after the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NightCheck {
    /// It verifies what the host may look at.
    Verify,
    /// Nothing: the host's credentials may read no store.
    Nothing,
}

/// What the nightly run works with, in plain paths.
#[derive(Debug, Clone)]
pub struct NightJob {
    /// This program.
    pub program: PathBuf,
    /// The config; absolute.
    pub config: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// Directories of stores, the escrow's included, which the run writes to.
    pub writable: Vec<PathBuf>,
    /// What it reads besides.
    pub readable: Vec<PathBuf>,
    /// Files with credentials of stores, by the name under which the run gets them.
    pub credentials: Vec<(String, PathBuf)>,
    /// Whether a source runs programs of the config.
    pub programs: SourcePrograms,
    /// Whether something that is written to belongs to another user.
    pub writes_for_others: bool,
    /// Where docker is, if the environment says so.
    pub docker_host: Option<String>,
    /// What it does after the snapshot.
    pub check: NightCheck,
}

impl NightJob {
    /// Makes the job of a program and a config that name nothing else.
    pub fn plain(program: impl Into<PathBuf>, config: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            config: config.into(),
            state_dir: "/var/lib/idswyft-vault".into(),
            writable: Vec::new(),
            readable: Vec::new(),
            credentials: Vec::new(),
            programs: SourcePrograms::Known,
            writes_for_others: false,
            docker_host: None,
            check: NightCheck::Verify,
        }
    }

    /// Returns every path that the run must see.
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.program, &self.config, &self.state_dir]
            .into_iter()
            .chain(&self.writable)
            .chain(&self.readable)
    }
}

/// What runs the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// A service and a timer.
    Systemd,
    /// A file of its own in `/etc/cron.d`.
    CronD,
    /// Lines in the crontab of who runs this program.
    Crontab,
}

/// What an installation writes, and when the night then begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What runs the night.
    pub scheduler: Scheduler,
    /// When it begins, in UTC; with cron, today.
    pub at_utc: String,
    /// When it begins, in the host's zone today.
    pub at_local: String,
    /// By how many seconds a start is delayed at most.
    pub delay_s: u32,
    /// Whole files to write.
    pub files: Vec<PlannedFile>,
    /// Lines for the crontab, if it is one.
    pub lines: Option<String>,
    /// What it does after the snapshot.
    pub check: NightCheck,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub text: String,
}

/// Composes what an installation writes on a host; nothing is changed.
///
/// # Errors
/// If `at` lies in the stack's hours, a path cannot be written in a schedule, or the host has
/// neither systemd nor cron.
pub fn plan(
    host: &Host,
    job: &NightJob,
    at: Option<TimeOfDay>,
    clock: &LocalClock,
) -> Result<Plan, ScheduleError> {
    let scheduler = host.scheduler().ok_or(ScheduleError::NoScheduler)?;
    let file = |path: &str, text: String| PlannedFile { path: host.path(path), text };
    if scheduler == Scheduler::Systemd {
        let utc = time::choose_utc(at, clock)?;
        return Ok(Plan {
            scheduler,
            at_utc: utc.to_string(),
            at_local: clock.local(utc).to_string(),
            delay_s: time::delay_s(utc),
            files: vec![
                file(host::SERVICE, unit::service(job)?),
                file(host::TIMER, unit::timer(utc)),
            ],
            lines: None,
            check: job.check,
        });
    }
    let local = time::choose_local(at, clock)?;
    let (files, lines) = match scheduler {
        Scheduler::CronD => {
            let line = cron::line(job, local, UserField::Root)?;
            (vec![file(host::CRON_FILE, format!("{OWN_MARK}\nSHELL=/bin/sh\n{line}"))], None)
        }
        _ => (Vec::new(), Some(cron::line(job, local, UserField::None)?)),
    };
    let at_utc = clock.utc(local).to_string();
    Ok(Plan {
        scheduler,
        at_utc,
        at_local: local.to_string(),
        delay_s: 0,
        files,
        lines,
        check: job.check,
    })
}

/// Returns a path as text that a line of a unit or a crontab can hold.
fn plain(path: &Path) -> Result<&str, ScheduleError> {
    let refuse = |reason| ScheduleError::Path { path: path.to_owned(), reason };
    let text = path.to_str().ok_or_else(|| refuse("it is not UTF-8"))?;
    match text.chars().any(char::is_control) {
        true => Err(refuse("it holds a control character")),
        false => Ok(text),
    }
}

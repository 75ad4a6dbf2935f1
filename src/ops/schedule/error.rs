//! Why a schedule cannot be installed, shown or removed.

use std::path::PathBuf;

use thiserror::Error;

use super::time::TimeOfDay;
use crate::base::{Code, Coded};
use crate::policy::StackJob;

/// A schedule that cannot be as it was asked for.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// The stack changes its data at that time.
    #[error(
        "schedule the night at {at}: that is {utc} UTC on some days, and from {from} to {until} \
         UTC the stack {job}; the nearest good time is {nearest}"
    )]
    StackHours {
        /// The local time that was asked for.
        at: TimeOfDay,
        /// The same in UTC, in the season in which it is wrong.
        utc: TimeOfDay,
        /// When the stack's hours begin, in UTC.
        from: TimeOfDay,
        /// When they end.
        until: TimeOfDay,
        /// What the stack does.
        job: StackJob,
        /// The nearest local time that would do.
        nearest: TimeOfDay,
    },
    /// A file of that name was made by somebody else.
    #[error("write {}: it is there and was not written by `schedule install`", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The marks in the crontab are not a pair.
    #[error("change the crontab: {reason}")]
    Marks {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A path cannot be written in a unit or a crontab.
    #[error("write {path:?} into a schedule: {reason}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// Neither systemd nor cron is there.
    #[error("install a schedule: there is no systemd that runs, no /etc/cron.d and no crontab")]
    NoScheduler,
    /// A program of the system failed.
    #[error("run {program}: {said}")]
    Program {
        /// The program and what it was to do.
        program: String,
        /// How it ended and what it said.
        said: String,
    },
    /// A file cannot be written, read or removed.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

impl Coded for ScheduleError {
    fn code(&self) -> Code {
        match self {
            Self::StackHours { .. }
            | Self::Foreign { .. }
            | Self::Marks { .. }
            | Self::Path { .. } => Code::ScheduleRefused,
            Self::NoScheduler | Self::Program { .. } | Self::File { .. } => {
                Code::ScheduleUnavailable
            }
        }
    }
}

//! What can go wrong between this program and the stack.

use std::io;

use thiserror::Error;

use crate::base::{Code, Coded};

/// The engine or the stack cannot be used.
#[derive(Debug, Error)]
pub enum DockerError {
    /// There is no client.
    #[error("find docker or podman on PATH")]
    ProgramMissing,
    /// The client cannot be started.
    #[error("start {what}")]
    NotStarted {
        /// Program and subcommand.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The engine does not answer.
    #[error("run {what}: no answer within {seconds} s")]
    NotAnswering {
        /// Program and subcommand.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The client ended with a status other than 0.
    #[error("run {what}: it ended with status {status}{}", after(stderr))]
    Failed {
        /// Program and subcommand.
        what: String,
        /// Its exit status.
        status: i32,
        /// What it said, without passwords.
        stderr: String,
    },
    /// What the engine said is not what it should be.
    #[error("read what {what} answered: {reason}")]
    Unreadable {
        /// Program and subcommand.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// No compose project matches.
    #[error("find the stack: no compose project {sought}")]
    StackMissing {
        /// What was looked for, in words.
        sought: String,
    },
    /// Several compose projects match.
    #[error("find the stack: the projects {} match", projects.join(" and "))]
    StackAmbiguous {
        /// Their names.
        projects: Vec<String>,
    },
    /// The project lacks a service, or its container does not run.
    #[error("use service {service} of project {project}: {reason}")]
    ServiceUnusable {
        /// The project.
        project: String,
        /// The service.
        service: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The role would not see every row.
    #[error(
        "dump the database as {role}: row-level security hides rows of {table} from it; it needs \
         BYPASSRLS, or to be a superuser"
    )]
    RoleBlind {
        /// The role.
        role: String,
        /// A table of which it sees a part.
        table: String,
    },
    /// There is no compose program, and one is needed.
    #[error("find `docker compose` or docker-compose")]
    ComposeMissing,
}

impl Coded for DockerError {
    fn code(&self) -> Code {
        match self {
            Self::ProgramMissing
            | Self::NotStarted { .. }
            | Self::NotAnswering { .. }
            | Self::ComposeMissing
            | Self::Unreadable { .. } => Code::DockerUnavailable,
            Self::Failed { .. } => Code::DockerFailed,
            Self::StackMissing { .. } => Code::StackMissing,
            Self::StackAmbiguous { .. } => Code::StackAmbiguous,
            Self::ServiceUnusable { .. } => Code::ServiceUnusable,
            Self::RoleBlind { .. } => Code::RoleBlind,
        }
    }
}

fn after(stderr: &str) -> String {
    const SHOWN_LEN_MAX: usize = 2000;
    let start = stderr.len().saturating_sub(SHOWN_LEN_MAX);
    let start = (start..=stderr.len()).find(|at| stderr.is_char_boundary(*at)).unwrap_or(0);
    match &stderr[start..] {
        "" => String::new(),
        stderr => format!(": {stderr}"),
    }
}

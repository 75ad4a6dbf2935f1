//! Streams that a snapshot takes: the trait, its errors, and standard input. Spec: §7.
//!
//! A stream has ended well only when [`OpenStream::finish`] says so; reaching the end of the bytes
//! proves nothing, because a command that dies closes its output too.

use std::io::{self, Read};

use serde_json::{Value, json};
use thiserror::Error;

use super::docker::DockerError;
use crate::base::{Code, Coded};

/// Somewhere a stream comes from.
pub trait StreamSource: Send + Sync {
    /// Describes the source, for the snapshot: its kind and what is not secret.
    fn describe(&self) -> Value;

    /// Starts the stream.
    ///
    /// # Errors
    /// When it cannot be started.
    fn open(&self) -> Result<Box<dyn OpenStream>, Error>;
}

/// A stream that has started. Dropping it unfinished ends whatever feeds it.
pub trait OpenStream: Read + Send {
    /// Ends the stream and tells whether its source ended well.
    ///
    /// # Errors
    /// When it did not; nothing that was read may then become a snapshot.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// A source that failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The program cannot be started.
    #[error("start {program}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The program ended with a status other than 0.
    #[error("run {program}: it ended with status {status}{}", after(stderr))]
    Failed {
        /// The program.
        program: String,
        /// Its exit status.
        status: i32,
        /// The end of what it said, without passwords.
        stderr: String,
    },
    /// The program was killed.
    #[error("run {program}: it was killed by signal {signal}{}", after(stderr))]
    Killed {
        /// The program.
        program: String,
        /// The signal's number.
        signal: i32,
        /// The end of what it said, without passwords.
        stderr: String,
    },
    /// The end of the program cannot be awaited.
    #[error("wait for {program}")]
    NotAwaited {
        /// The program.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The engine or the stack cannot be used.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The host's `pg_dump` is older than the server.
    #[error(
        "dump the database: its server is newer than this host's pg_dump; install the client of \
         its version, or use kind = \"compose\": {said}"
    )]
    PgDumpTooOld {
        /// What `pg_dump` said.
        said: String,
    },
    /// The command is empty.
    #[error("run a command that has no words")]
    CommandEmpty,
    /// There is no `pg_dump`.
    #[error("find pg_dump on PATH or under /usr/lib/postgresql")]
    PgDumpMissing,
    /// The URL is not one that can be used.
    #[error("use the database url: {reason}")]
    UrlInvalid {
        /// What is wrong; never the URL itself, which may hold a password.
        reason: &'static str,
    },
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Docker(error) => error.code(),
            Self::CommandEmpty | Self::UrlInvalid { .. } => Code::ConfigInvalid,
            _ => Code::SourceFailed,
        }
    }
}

fn after(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        stderr => format!(": {stderr}"),
    }
}

/// Standard input, of which nothing but the end can be known.
#[derive(Debug, Clone, Copy)]
pub struct StdinSource;

impl StreamSource for StdinSource {
    fn describe(&self) -> Value {
        json!({"kind": "stdin"})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, Error> {
        Ok(Box::new(Stdin(io::stdin())))
    }
}

struct Stdin(io::Stdin);

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl OpenStream for Stdin {
    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

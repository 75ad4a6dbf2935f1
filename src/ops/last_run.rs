//! How the last run of the host went, for `status`: one small file in the state directory.
//! Spec: `nights.md`.
//!
//! It is written when a run begins and again when it ends, so that one that was cut off shows.
//! It holds codes and counts and no text from outside, so it can hold no secret.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::base::{Gate, SnapshotId, Step};
use crate::format::envelope;
use crate::vault::directories::sync_dir;

/// The file's name in the state directory; no vault can have it, for it holds a dot.
const NAME: &str = "last-run.json";
const LEN_MAX: u64 = 1024 * 1024;

/// A run of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// The program's version.
    pub version: String,
    /// When it began.
    #[serde(with = "envelope::time")]
    pub started: Timestamp,
    /// The process that it is.
    pub process: u32,
    /// How it ended; nothing while it runs, and if it was cut off.
    pub ended: Option<RunEnd>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// When.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// The exit code.
    pub exit: u8,
    /// The code of the error that ended it, if one did.
    pub error: Option<String>,
    /// How often it warned of what, by code.
    pub warnings: BTreeMap<String, u64>,
    /// The snapshots that it took, by vault.
    pub snapshots: BTreeMap<String, SnapshotId>,
}

/// What a run has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It has ended.
    Ended,
    /// Its process is there.
    Running,
    /// It has no end, and its process is gone.
    CutOff,
}

impl LastRun {
    /// Makes the record of a run that begins.
    pub fn begin(now: Timestamp) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { version, started: now, process: std::process::id(), ended: None }
    }

    /// Tells what the run has come to.
    pub fn state(&self) -> RunState {
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        let is_there = |process| match test_kill_process(process) {
            Ok(()) | Err(rustix::io::Errno::PERM) => true,
            Err(_) => false,
        };
        match &self.ended {
            Some(_) => RunState::Ended,
            None if process.is_some_and(is_there) => RunState::Running,
            None => RunState::CutOff,
        }
    }

    /// Writes the record, whole or not at all; the caller holds the lock of the state.
    ///
    /// # Errors
    /// If the state directory cannot be written.
    pub fn write(&self, state_dir: &Path, gate: &Arc<dyn Gate>) -> Result<(), Error> {
        let path = state_dir.join(NAME);
        let text = envelope::compose("last run", self)? + "\n";
        let staged = state_dir.join(format!(".{NAME}.new"));
        let write = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = gate.pass(Step::CreateFile(&staged), || options.open(&staged))?;
            file.write_all(text.as_bytes())?;
            gate.pass(Step::SyncFile(&staged), || file.sync_all())?;
            gate.pass(Step::Rename(&path), || fs::rename(&staged, &path))?;
            sync_dir(state_dir, gate)
        };
        write().map_err(|cause| Error::file("write", &path, cause))
    }

    /// Reads the record; nothing if no run left one.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn read(state_dir: &Path) -> Result<Option<Self>, Error> {
        let path = state_dir.join(NAME);
        let wrap = |cause| Error::file("read", &path, cause);
        match fs::metadata(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(wrap(cause)),
            Ok(metadata) if metadata.len() > LEN_MAX => {
                let reason = format!("it has more than {LEN_MAX} bytes");
                return Err(wrap(std::io::Error::other(reason)));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(wrap)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        Ok(Some(envelope::parse("last run", line)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OpenGate;

    /// N-11
    #[test]
    fn a_run_that_never_ended_is_running_or_cut_off() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(LastRun::read(scratch.path()).unwrap(), None);
        let mut run = LastRun::begin("2026-03-01T02:40:00Z".parse().unwrap());
        run.write(scratch.path(), &OpenGate::shared()).unwrap();
        let read = || LastRun::read(scratch.path()).unwrap().unwrap();
        assert_eq!((read(), read().state()), (run.clone(), RunState::Running));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        run.process = child.id();
        child.wait().unwrap();
        assert_eq!(run.state(), RunState::CutOff);
        run.ended = Some(RunEnd {
            time: run.started,
            exit: 1,
            error: Some("source-failed".into()),
            warnings: BTreeMap::from([("file-vanished".into(), 3)]),
            snapshots: BTreeMap::new(),
        });
        run.write(scratch.path(), &OpenGate::shared()).unwrap();
        assert_eq!((read(), read().state()), (run, RunState::Ended));
        std::fs::write(scratch.path().join(NAME), "{").unwrap();
        assert!(LastRun::read(scratch.path()).is_err());
    }
}

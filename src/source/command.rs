//! The standard output of a command. Spec: §7.
//!
//! - No shell: the words are the program's arguments as they are.
//! - The command gets a process group of its own, and the group ends with an unfinished stream.
//! - What the command says on standard error is always read, so that it cannot block; the end of
//!   it is kept for the error.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::redact::redact;
use super::stream::{Error, OpenStream, StreamSource};

/// Bytes of standard error that an error carries.
const STDERR_LEN_MAX: usize = 4 * 1024;
/// How long a failed command's leftovers may hold its standard error open.
const STDERR_WAIT: Duration = Duration::from_secs(2);
/// Variables that are ours alone; passphrases travel in them.
const OWN_VARIABLE_PREFIX: &str = "IDSWYFT_VAULT_";

/// A command whose standard output is the stream.
#[derive(Debug, Clone)]
pub struct CommandSource {
    argv: Vec<OsString>,
}

impl CommandSource {
    /// Makes a source of a program and its arguments.
    ///
    /// # Errors
    /// When there is not even a program.
    pub fn new<W: Into<OsString>>(argv: impl IntoIterator<Item = W>) -> Result<Self, Error> {
        let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        match argv.first().is_none_or(|program| program.is_empty()) {
            true => Err(Error::CommandEmpty),
            false => Ok(Self { argv }),
        }
    }
}

impl StreamSource for CommandSource {
    fn describe(&self) -> Value {
        // Arguments may be secrets, so only the program is told.
        json!({"kind": "command", "program": self.argv[0].to_string_lossy()})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, Error> {
        Ok(Box::new(Running::start(&self.argv, &[])?))
    }
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    program: String,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Receiver<String>,
    secrets: Vec<String>,
    ended: bool,
}

impl Running {
    /// Starts a program; the values of `secrets` reach it as environment variables only.
    pub(super) fn start(argv: &[OsString], secrets: &[(&str, String)]) -> Result<Self, Error> {
        let program = argv[0].to_string_lossy().into_owned();
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_own(name)) {
            command.env_remove(name);
        }
        command.envs(secrets.iter().map(|(name, value)| (name, value)));
        let mut child = command
            .spawn()
            .map_err(|cause| Error::NotStarted { program: program.clone(), cause })?;
        let stdout = child.stdout.take();
        let pipe = child.stderr.take().expect("standard error was asked for as a pipe");
        let (sender, stderr) = mpsc::channel();
        std::thread::spawn(move || {
            // Nobody listens any more when the stream has ended well.
            let _ = sender.send(last_of(pipe));
        });
        let secrets = secrets.iter().map(|(_, value)| value.clone()).collect();
        Ok(Self { program, child, stdout, stderr, secrets, ended: false })
    }

    fn said(&self) -> String {
        let said = self.stderr.recv_timeout(STDERR_WAIT).unwrap_or_default();
        let hide = |text: String, secret: &String| match secret.as_str() {
            "" => text,
            secret => text.replace(secret, "***"),
        };
        redact(&self.secrets.iter().fold(said, hide))
    }

    fn check(&self, status: ExitStatus) -> Result<(), Error> {
        let program = self.program.clone();
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(status), _) => Err(Error::Failed { program, status, stderr: self.said() }),
            (None, signal) => {
                let signal = signal.unwrap_or(0);
                Err(Error::Killed { program, signal, stderr: self.said() })
            }
        }
    }
}

impl Read for Running {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buf))
    }
}

impl OpenStream for Running {
    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        // A command that still writes is told so, instead of waiting for a reader for ever.
        self.stdout = None;
        let status = self
            .child
            .wait()
            .map_err(|cause| Error::NotAwaited { program: self.program.clone(), cause })?;
        self.ended = true;
        self.check(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The group's number is the child's, and is not given anew before the child is awaited.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

pub(super) fn is_own(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(OWN_VARIABLE_PREFIX)
}

/// Reads to the end and returns the last of it, from the start of a line where it was cut.
fn last_of(mut pipe: ChildStderr) -> String {
    let (mut last, mut buf, mut cut) = (Vec::new(), [0; STDERR_LEN_MAX], false);
    while let Ok(len @ 1..) = pipe.read(&mut buf) {
        last.extend_from_slice(&buf[..len]);
        let surplus = last.len().saturating_sub(STDERR_LEN_MAX);
        cut |= surplus > 0;
        last.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&last).into_owned();
    if !cut {
        return text;
    }
    // A URL that lost its beginning could not be recognised.
    let start = text.find('\n').or_else(|| text.find(' ')).map_or(text.len(), |at| at + 1);
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_variables_are_not_for_commands() {
        for name in ["IDSWYFT_VAULT_PASSPHRASE", "IDSWYFT_VAULT_IDENTITY"] {
            assert!(is_own(OsStr::new(name)));
        }
        assert!(!is_own(OsStr::new("PGHOST")) && !is_own(OsStr::new("PATH")));
    }
}

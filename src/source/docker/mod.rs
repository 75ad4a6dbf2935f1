//! The engine that the stack runs on, called as a program. Spec: `stack.md` §1.
//!
//! - `docker` is a program on `PATH`, so that podman and a remote `DOCKER_HOST` work alike.
//! - No call waits for ever: an engine that hangs is an error, and the program is ended.
//! - A secret reaches the engine on standard input only, never as an argument, and nothing that
//!   the engine says is shown before passwords are taken out of it.

mod compose;
mod compose_program;
mod error;
mod facts;
mod inspect;
mod install;
pub mod psql;
mod server;
mod stack;
mod volume;
mod volume_stream;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

pub use compose::ComposeSource;
pub use compose_program::ComposeProgram;
pub use error::DockerError;
pub use facts::StackFacts;
pub use inspect::{Container, Mount, Volume};
pub use install::{find_install, is_install};
pub use server::Server;
pub use stack::{Selector, Stack};
pub use volume::{API_SERVICE, ReadMode, ReadWay, UploadsVolume};
pub use volume_stream::VolumeStream;

use super::command::is_own;
use super::redact::redact;

/// How long the engine may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long what a program left running may hold its output open.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are kept; an inspection of any stack is far shorter.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// Programs that are looked for, in this order.
const PROGRAMS: [&str; 2] = ["docker", "podman"];

/// What a call reads on its standard input.
pub enum Input {
    /// Nothing.
    Nothing,
    /// A text that may hold secrets.
    Text(Zeroizing<String>),
    /// A file from where it stands.
    File(File),
}

/// What a call answered.
pub struct Answer {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, without passwords.
    pub stderr: String,
}

impl Answer {
    /// Returns standard output as text, without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// The client of the engine.
#[derive(Debug, Clone)]
pub struct Docker {
    program: OsString,
    patience: Duration,
}

impl Docker {
    /// Finds the client on `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Self, DockerError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |program: &str| {
            std::env::split_paths(&path).any(|dir| super::postgres::is_program(&dir.join(program)))
        };
        let program = PROGRAMS
            .into_iter()
            .find(|program| is_there(program))
            .ok_or(DockerError::ProgramMissing)?;
        Ok(Self::of(Path::new(program)))
    }

    /// Uses this program.
    pub fn of(program: &Path) -> Self {
        Self { program: program.into(), patience: PATIENCE }
    }

    /// Waits this long for an answer instead of [`PATIENCE`].
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the words of a command that streams, to be run by `source::command`.
    pub fn words<W: AsRef<OsStr>>(&self, arguments: &[W]) -> Vec<OsString> {
        let arguments = arguments.iter().map(|word| word.as_ref().to_owned());
        std::iter::once(self.program.clone()).chain(arguments).collect()
    }

    /// Calls the engine and waits for its answer.
    ///
    /// # Errors
    /// When the program is missing, does not answer in time, or ends with a status other than 0.
    pub fn call<W: AsRef<OsStr>>(&self, arguments: &[W]) -> Result<Answer, DockerError> {
        self.call_with(arguments, Input::Nothing, self.patience)
    }

    /// Calls the engine with an input, and waits so long for its answer.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_with<W: AsRef<OsStr>>(
        &self,
        arguments: &[W],
        input: Input,
        patience: Duration,
    ) -> Result<Answer, DockerError> {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        run(command, input, patience)
    }
}

/// Runs a program of the engine to its end, or ends it when its time is over.
fn run(mut command: Command, input: Input, patience: Duration) -> Result<Answer, DockerError> {
    let what = shown(&command);
    let (stdin, text) = match input {
        Input::Nothing => (Stdio::null(), None),
        Input::Text(text) => (Stdio::piped(), Some(text)),
        Input::File(file) => (Stdio::from(file), None),
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_own(name)) {
        command.env_remove(name);
    }
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child =
        command.spawn().map_err(|cause| DockerError::NotStarted { what: what.clone(), cause })?;
    if let (Some(text), Some(mut pipe)) = (text, child.stdin.take()) {
        // A program that ends without reading tells why itself.
        std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let ended = wait(child);
    let silent = || DockerError::NotAnswering { what: what.clone(), seconds: patience.as_secs() };
    let collect = || -> Result<(ExitStatus, Vec<u8>, Vec<u8>), RecvTimeoutError> {
        Ok((
            ended.recv_timeout(patience)?,
            stdout.recv_timeout(LEFTOVER_PATIENCE)?,
            stderr.recv_timeout(LEFTOVER_PATIENCE)?,
        ))
    };
    let Ok((status, stdout, stderr)) = collect() else {
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        return Err(silent());
    };
    let stderr = redact(String::from_utf8_lossy(&stderr).trim());
    match status.code() {
        Some(0) => Ok(Answer { stdout, stderr }),
        code => {
            let status = code.unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            Err(DockerError::Failed { what, status, stderr })
        }
    }
}

/// Returns program and subcommand; what follows may be long, and is the caller's to tell.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let is_word = |word: &&OsStr| !word.as_encoded_bytes().starts_with(b"-");
    let subcommand = command.get_args().find(is_word).unwrap_or_default();
    redact(&format!("{} {}", program.to_string_lossy(), subcommand.to_string_lossy()))
}

fn read_all<R: Read + Send + 'static>(pipe: Option<R>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let kept = (&mut pipe).take(ANSWER_LEN_MAX as u64).read_to_end(&mut bytes);
            // The rest is read and dropped, so that the program is not kept from ending.
            let _ = kept.and_then(|_| std::io::copy(&mut pipe, &mut std::io::sink()));
        }
        // Nobody listens any more when its time was over.
        let _ = sender.send(bytes);
    });
    receiver
}

fn wait(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = sender.send(status);
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: Input, patience: Duration) -> Result<Answer, DockerError> {
        Docker::of(Path::new("/bin/sh")).call_with(&["-c", script], input, patience)
    }

    #[test]
    fn an_engine_that_hangs_is_ended_when_its_time_is_over() {
        let hanging = sh("sleep 600 & sleep 600", Input::Nothing, Duration::from_millis(200));
        assert!(matches!(hanging, Err(DockerError::NotAnswering { .. })));
    }

    #[test]
    fn what_fails_tells_its_status_and_no_password() {
        let error = sh("echo 'postgres://u:hunter2@h/d' >&2; exit 3", Input::Nothing, PATIENCE);
        let error = error.err().unwrap();
        assert!(matches!(error, DockerError::Failed { status: 3, .. }));
        assert!(error.to_string().contains("u:***@h") && !error.to_string().contains("hunter2"));
    }

    #[test]
    fn an_input_reaches_the_program() {
        let text = Input::Text(Zeroizing::new("select 1".to_owned()));
        assert_eq!(sh("cat", text, PATIENCE).unwrap().text(), "select 1");
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let docker = Docker::of(Path::new("/nonexistent/docker"));
        assert!(matches!(docker.call(&["ps"]), Err(DockerError::NotStarted { .. })));
    }
}

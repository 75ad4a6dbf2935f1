//! Layer 5: one file a command; words, colours, exit codes. Design §15.
//!
//! The library below is silent: what a person or a script sees comes from here.

pub mod args;
mod commands;
pub mod config;
pub mod demo_install;
pub mod passphrase;
pub mod progress;
pub mod report;
pub mod session;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Command, CommandLine, UsageError};
use self::report::{Ending, Failure, Report};
use self::session::Session;

/// Runs the program with the words of its command line and returns its exit code.
pub fn run() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    match CommandLine::try_parse_from(&words) {
        Ok(line) => run_command(line),
        Err(error) => show_usage(&error, &words),
    }
}

fn run_command(line: CommandLine) -> ExitCode {
    let session = Session::new(line.global);
    match dispatch(&line.command, &session) {
        Ok(ending) => ExitCode::from(ending.exit(session.progress.warnings().len())),
        Err(failure) => {
            session.report.failure(&failure);
            ExitCode::from(failure.code().exit())
        }
    }
}

/// Hands every command to the file that has its name.
fn dispatch(command: &Command, session: &Session) -> Result<Ending, Failure> {
    match command {
        Command::Keygen(args) => commands::keygen::run(args, session),
        Command::Completions(args) => commands::completions::run(args, session),
        other => {
            let action = format!("run {}", other.name());
            Err(UsageError::new(action, "this version does not have it yet").into())
        }
    }
}

/// Shows help where it was asked for, else what is wrong with the command line.
fn show_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        // Clap's text without its own label and usage lines.
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = UsageError::new("read the command line", reason).into();
        Report::of(true, false).failure(&failure);
    } else {
        // There is nothing left to say if even this cannot be written.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

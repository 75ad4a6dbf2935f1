//! Layer 5: one file a command; words, colours, exit codes.
//!
//! The library below is silent: what a person or a script sees comes from here.

pub mod access;
pub mod args;
mod auditing;
mod cold;
mod commands;
pub mod config;
pub mod demo_install;
pub mod desk;
pub mod differing;
mod evidence;
mod files;
pub mod html;
pub mod mirrors;
pub mod night;
mod parts;
pub mod passphrase;
pub mod places;
pub mod progress;
pub mod pruning;
mod receipts;
pub mod report;
mod reports;
pub mod retention;
pub mod secrets;
pub mod session;
mod several;
mod sources;
mod stack;
mod vouching;

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
        Command::Init(args) => commands::init::run(args, session),
        Command::Snapshot(args) => commands::snapshot::run(args, session),
        Command::Snapshots(args) => commands::snapshots::run(args, session),
        Command::Show(args) => commands::show::run(args, session),
        Command::Restore(args) => commands::restore::run(args, session),
        Command::Diff(args) => commands::diff::run(args, session),
        Command::Drill(args) => commands::drill::run(args, session),
        Command::Cat(args) => commands::cat::run(args, session),
        Command::Thaw(args) => commands::thaw::run(args, session),
        Command::Verify(args) => commands::verify::run(args, session),
        Command::Report(args) => commands::report::run(args, session),
        Command::Replicate(args) => commands::replicate::run(args, session),
        Command::Repair(args) => commands::repair::run(args, session),
        Command::Store(args) => commands::store::run(args, session),
        Command::Ledger(args) => commands::ledger::run(args, session),
        Command::Manifest(args) => commands::manifest::run(args, session),
        Command::Recipients(args) => commands::recipients::run(args, session),
        Command::Signer(args) => commands::signer::run(args, session),
        Command::Generation(args) => commands::generation::run(args, session),
        Command::Policy(args) => commands::policy::run(args, session),
        Command::Retain(args) => commands::retain::run(args, session),
        Command::Forget(args) => commands::forget::run(args, session),
        Command::Prune(args) => commands::prune::run(args, session),
        Command::Hold(args) => commands::hold::run(args, session),
        Command::Shred(args) => commands::shred::run(args, session),
        Command::Schedule(args) => commands::schedule::run(args, session),
        Command::Status(args) => commands::status::run(args, session),
        Command::Escrow(args) => commands::escrow::run(args, session),
        Command::Demo(args) => commands::demo::run(args, session),
    }
}

/// Shows help where it was asked for, else what is wrong with the command line.
fn show_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        let failure = UsageError::new("read the command line", reason_of(error)).into();
        Report::of(true, false).failure(&failure);
    } else {
        // There is nothing left to say if even this cannot be written.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Returns what clap complains of and its tips on one line, without its own label and usage.
fn reason_of(error: &clap::Error) -> String {
    let text = error.to_string();
    let is_complaint = |line: &&str| !line.is_empty();
    let complaint = text.lines().take_while(is_complaint).map(str::trim);
    let tips = text.lines().map(str::trim).filter(|line| line.starts_with("tip: "));
    let lines: Vec<&str> = complaint.chain(tips).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_on_one_line_names_what_is_missing_and_what_was_meant() {
        let reason = |words: &[&str]| {
            let words = ["idswyft-vault"].iter().chain(words);
            reason_of(&CommandLine::try_parse_from(words).err().unwrap())
        };
        let expected = "the following required arguments were not provided: --target <DIR>";
        assert_eq!(reason(&["restore", "latest"]), expected);
        let text = reason(&["snapshoot"]);
        assert!(text.contains("'snapshoot' tip: "), "{text}");
        assert!(text.contains("'snapshots'") && !text.contains("Usage"), "{text}");
    }
}

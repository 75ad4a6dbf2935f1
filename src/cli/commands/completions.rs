//! `completions`: what a shell needs to complete this program's words.

use clap::CommandFactory;

use crate::cli::args::{CommandLine, CompletionsArgs};
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;

/// Prints the completions of a shell, which are data whether or not `--json` is given.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(args: &CompletionsArgs, session: &Session) -> Result<Ending, Failure> {
    let mut command = CommandLine::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    session.report.data(&text)?;
    Ok(Ending::Done)
}

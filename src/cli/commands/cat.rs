//! `cat`: one thing out of a snapshot to standard output.

use crate::cli::access;
use crate::cli::args::{CatArgs, CatWhat};
use crate::cli::commands::show::choose;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::ops::read;

/// Writes the dump or a file to standard output.
///
/// # Errors
/// If it is not in the snapshot, is damaged, or standard output fails. What was written before a
/// failure is authentic but incomplete: whoever reads it must look at the exit code.
pub fn run(args: &CatArgs, session: &Session) -> Result<Ending, Failure> {
    let selector = args.selector()?;
    let unlocked = access::unlocked(session, &args.access, "read the snapshot")?;
    let snapshot = choose(unlocked.auditor(), &selector, session)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.what() {
        CatWhat::Database => read::cat_database(&unlocked, snapshot, &mut out)?,
        CatWhat::File(path) => read::cat_file(&unlocked, snapshot, path.as_bytes(), &mut out)?,
    };
    Ok(Ending::Done)
}

//! `cat`: one thing out of a snapshot to standard output.

use crate::cli::access;
use crate::cli::args::{CatArgs, CatWhat};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::commands::show::choose;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::ops::read;
use crate::ops::restore::Part;
use crate::ops::thaw::need;

/// Writes the dump or a file to standard output.
///
/// # Errors
/// If it is not in the snapshot, is damaged, or standard output fails. What was written before a
/// failure is authentic but incomplete: whoever reads it must look at the exit code.
pub fn run(args: &CatArgs, session: &Session) -> Result<Ending, Failure> {
    let selector = args.selector()?;
    let unlocked = access::unlocked(session, &args.access, "read the snapshot")?;
    let snapshot = choose(unlocked.auditor(), &selector, session)?;
    let what = args.what();
    let need = || match &what {
        CatWhat::Database => need::of_snapshot(&unlocked, snapshot, Some(Part::Database), None),
        CatWhat::File(path) => need::of_file(&unlocked, snapshot, path.as_bytes()),
    };
    let unlocked =
        match cold::ready(session, &args.thawing, unlocked.auditor(), Begin::WithAll, need)? {
            Readied::Own => unlocked,
            Readied::Through(store) => unlocked.through(store),
            Readied::Ended(ending) => return Ok(ending),
        };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match what {
        CatWhat::Database => read::cat_database(&unlocked, snapshot, &mut out)?,
        CatWhat::File(path) => read::cat_file(&unlocked, snapshot, path.as_bytes(), &mut out)?,
    };
    Ok(Ending::Done)
}

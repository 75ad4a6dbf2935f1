//! `thaw`: which packs are archived, what thawing them costs, and asking for it.

use serde_json::json;

use crate::cli::args::{PartArg, ThawArgs, UsageError};
use crate::cli::commands::show::choose;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::cli::{access, cold};
use crate::ops;
use crate::ops::restore::{Part, PathFilter};
use crate::ops::thaw::{Need, Thaw, ThawError, Until, need};
use crate::vault::Unlocked;

/// Shows the plan; with --thaw, asks for what is frozen.
///
/// # Errors
/// If the snapshot does not open, the store does not answer or refuses, or the tier is wrong.
pub fn run(args: &ThawArgs, session: &Session) -> Result<Ending, Failure> {
    let selector = args.selection.selector()?;
    if !args.path.is_empty() && args.only == Some(PartArg::Database) {
        let reason = "--path chooses uploads, --only database leaves them out";
        return Err(UsageError::new("thaw", reason).into());
    }
    let auditor = access::auditor(session, &args.access)?;
    let snapshot = choose(&auditor, &selector, session)?;
    // A whole snapshot needs what its signed list names, and nobody's key.
    let is_whole = args.only.is_none() && args.path.is_empty();
    let (thaw, need) = if is_whole && session.global.identity.is_empty() {
        let need = need::of_lists(&auditor, Some(&[snapshot]))?;
        (cold::thaw_of(session, &args.thawing, &auditor)?, need)
    } else {
        let identities = session.identities("thaw a part of a snapshot")?;
        let paths = match args.path.is_empty() {
            true => None,
            false => Some(PathFilter::parse(&args.path)?),
        };
        let only = if paths.is_some() { Some(PartArg::Uploads) } else { args.only };
        let unlocked = Unlocked::new(auditor, identities)?;
        let need = need::of_snapshot(&unlocked, snapshot, only.map(part_of), paths.as_ref())?;
        (cold::thaw_of(session, &args.thawing, unlocked.auditor())?, need)
    };
    let asked = if args.thawing.thaw.is_some() || args.thawing.wait {
        ask(&thaw, &need, args.thawing.wait)
    } else {
        Ok(())
    };
    let waiting = match asked {
        Ok(()) => None,
        Err(error @ ops::Error::Thaw(ThawError::Waiting { .. } | ThawError::Archived { .. })) => {
            Some(Failure::from(error))
        }
        Err(error) => return Err(error.into()),
    };
    let plan = thaw.plan(&thaw.survey(&need)?);
    let mut object = json!({ "id": snapshot, "plan": plan });
    if let Some(waiting) = &waiting {
        object["error"] = waiting.to_json();
    }
    let ending = if waiting.is_some() { Ending::Frozen } else { Ending::Done };
    let warnings = session.progress.warnings();
    session.report.result(object, &warnings, || cold::text_of(&plan))?;
    if let Some(waiting) = waiting.filter(|_| !session.report.is_json()) {
        session.report.failure(&waiting);
    }
    Ok(ending)
}

fn ask(thaw: &Thaw, need: &Need, wait: bool) -> Result<(), ops::Error> {
    match wait {
        true => thaw.wait(need, Until::All).map(drop),
        false => thaw.check(&thaw.ask(need)?),
    }
}

/// Returns the part of a snapshot that an option names.
pub const fn part_of(part: PartArg) -> Part {
    match part {
        PartArg::Database => Part::Database,
        PartArg::Uploads => Part::Uploads,
    }
}

//! `prune`: deleting packs that no snapshot needs any more.

use serde_json::{Value, json};

use crate::cli::args::PruneArgs;
use crate::cli::pruning::{PruneOutcome, Terms, prune};
use crate::cli::report::{Ending, Failure};
use crate::cli::retention::{Site, each_site, sites};
use crate::cli::session::Session;
use crate::format::event::EventKind;

/// Plans, and with `--apply` does it.
///
/// # Errors
/// If a store does not answer, or a guard strikes; then nothing was deleted.
pub fn run(args: &PruneArgs, session: &Session) -> Result<Ending, Failure> {
    let terms = Terms { accepted: args.accept.accepted(), is_early: args.early };
    let work = |site: &Site| each(site, args, &terms, session);
    let outcomes = each_site(&sites(session, &args.site)?, session, work, PruneOutcome::to_text)?;
    let vaults: Vec<Value> = outcomes.iter().map(PruneOutcome::to_json).collect();
    let (object, warnings) = (json!({ "vaults": vaults }), session.progress.warnings());
    let words = || outcomes.iter().map(PruneOutcome::to_text).collect::<String>();
    match args.apply {
        true => {
            let is_done = outcomes.iter().any(|outcome| outcome.pruned.is_some());
            let goes = outcomes.iter().any(|outcome| outcome.plan.goes());
            let ending = if goes && !is_done { Ending::Elsewhere } else { Ending::Done };
            session.report.deed(object, &warnings, ending, words)
        }
        false => session.report.result(object, &warnings, words).map(|()| Ending::Done),
    }
}

fn each(
    site: &Site,
    args: &PruneArgs,
    terms: &Terms,
    session: &Session,
) -> Result<PruneOutcome, Failure> {
    let mut open = match args.apply {
        true => site.open(&args.site, EventKind::PacksDeleted, session)?,
        false => site.look(session)?,
    };
    let outcome = prune(&mut open, terms, session)?;
    if outcome.pruned.is_none() {
        open.warn_of_prune(&outcome.plan.guards, args.apply && outcome.plan.goes(), session);
    }
    Ok(outcome)
}

//! `retain`: which snapshots stay and which go, and letting them go.

use serde_json::{Value, json};

use crate::cli::args::RetainArgs;
use crate::cli::report::{Ending, Failure};
use crate::cli::retention::{Outcome, Site, sites};
use crate::cli::session::Session;
use crate::format::event::EventKind;
use crate::ops::retain::{self, Wish};

/// Plans, and with `--apply` does it.
///
/// # Errors
/// If a store does not answer, or a guard strikes; then nothing was deleted.
pub fn run(args: &RetainArgs, session: &Session) -> Result<Ending, Failure> {
    let mut outcomes = Vec::new();
    for site in sites(session, &args.site)? {
        outcomes.push(each(site, args, session)?);
    }
    let vaults: Vec<Value> = outcomes.iter().map(Outcome::to_json).collect();
    let (object, warnings) = (json!({ "vaults": vaults }), session.progress.warnings());
    let words = || outcomes.iter().map(Outcome::to_text).collect::<String>();
    match args.apply {
        true => session.report.deed(object, &warnings, Ending::Done, words),
        false => session.report.result(object, &warnings, words).map(|()| Ending::Done),
    }
}

fn each(site: Site, args: &RetainArgs, session: &Session) -> Result<Outcome, Failure> {
    let mut open = match args.apply {
        true => site.open(&args.site, EventKind::SnapshotForgotten, session)?,
        false => site.look(session)?,
    };
    let plan = retain::plan(&open.survey, Wish::Policy, session.clock.now())?;
    let mut outcome = Outcome::of(&open.survey, plan)?;
    let accepted = args.accept.accepted();
    match &mut open.scribe {
        Some(scribe) => {
            let (survey, observer) = (&open.survey, session.progress.as_ref());
            let plan = &outcome.plan;
            let applied = retain::apply(survey, plan, Wish::Policy, scribe, &accepted, observer)?;
            outcome.applied = Some(applied);
        }
        None => open.warn(&outcome.guards, args.apply && outcome.goes(), session),
    }
    Ok(outcome)
}

//! `forget`: letting single snapshots go.

use serde_json::json;

use crate::cli::args::selection::Selector;
use crate::cli::args::{ForgetArgs, UsageError};
use crate::cli::report::{Ending, Failure};
use crate::cli::retention::{Outcome, site};
use crate::cli::session::Session;
use crate::format::event::EventKind;
use crate::ops::retain::{self, Wish};

/// Lets what is named go.
///
/// # Errors
/// If something of it must stay, a guard strikes, or a store does not answer; then nothing was
/// deleted.
pub fn run(args: &ForgetArgs, session: &Session) -> Result<Ending, Failure> {
    let site = site(session, &args.site)?;
    let mut open = match args.dry_run {
        true => site.look(session)?,
        false => site.open(&args.site, EventKind::SnapshotForgotten, session)?,
    };
    let all = open.survey.nameable();
    let mut named = Vec::new();
    for text in &args.ids {
        match Selector::parse(text)? {
            Selector::Prefix(prefix) => named.push(Selector::Prefix(prefix).choose(&all)?),
            Selector::Latest | Selector::At(_) => {
                let reason = "name it by its id: which one is the latest may change meanwhile";
                return Err(UsageError::new("forget the latest snapshot", reason).into());
            }
        }
    }
    let wish = Wish::Named(&named);
    let plan = retain::plan(&open.survey, wish, session.clock.now())?;
    let mut outcome = Outcome::of(&open, plan, session.progress.as_ref())?;
    let accepted = args.accept.accepted();
    match &mut open.scribe {
        Some(scribe) => {
            let (survey, observer) = (&open.survey, session.progress.as_ref());
            let (plan, again) = (&outcome.plan, || site.survey_anew());
            let applied = retain::apply(survey, plan, wish, scribe, &accepted, &again, observer)?;
            outcome.applied = Some(applied);
        }
        None => open.warn(&outcome.guards, !args.dry_run, session),
    }
    let object = json!({ "vaults": [outcome.to_json()] });
    let warnings = session.progress.warnings();
    let is_left = outcome.applied.is_none() && !args.dry_run;
    let ending = if is_left { Ending::Elsewhere } else { Ending::Done };
    session.report.deed(object, &warnings, ending, || outcome.to_text())
}

//! `retain`: which snapshots stay and which go, and letting them go.

use serde_json::{Value, json};

use crate::base::{Code, Coded, Event, Observer, SnapshotId, with_causes};
use crate::cli::args::RetainArgs;
use crate::cli::args::retain::SiteArgs;
use crate::cli::config::{Config, StoreConfig, VaultConfig};
use crate::cli::pruning::{PruneOutcome, Terms, prune};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::retention::{Open, Outcome, Site, each_site, site_of, sites};
use crate::cli::session::Session;
use crate::format::event::EventKind;
use crate::ops::prolong::{self, StoreProlonged};
use crate::ops::retain::{self, Scribe, Survey, Wish};
use crate::ops::snapshot::SnapshotReport;

/// Plans, and with `--apply` does it.
///
/// # Errors
/// If a store does not answer, or a guard strikes; then nothing was deleted.
pub fn run(args: &RetainArgs, session: &Session) -> Result<Ending, Failure> {
    let (sites, work) = (sites(session, &args.site)?, |site: &Site| each(site, args, session));
    let outcomes = each_site(&sites, session, work, Outcome::to_text)?;
    let vaults: Vec<Value> = outcomes.iter().map(Outcome::to_json).collect();
    let (object, warnings) = (json!({ "vaults": vaults }), session.progress.warnings());
    let words = || outcomes.iter().map(Outcome::to_text).collect::<String>();
    match args.apply {
        true => {
            let is_done = outcomes.iter().any(|outcome| outcome.applied.is_some());
            let goes = outcomes.iter().any(Outcome::goes);
            let ending = if goes && !is_done { Ending::Elsewhere } else { Ending::Done };
            session.report.deed(object, &warnings, ending, words)
        }
        false => session.report.result(object, &warnings, words).map(|()| Ending::Done),
    }
}

/// Applies after a snapshot what the host itself may; what it may not is for a janitor.
///
/// A snapshot stands whatever comes of this, so everything is a warning. The caller holds the lock.
pub fn after_snapshot(config: &Config, taken: &[SnapshotReport], session: &Session) {
    let vaults = config.select(session.global.vault.as_deref()).unwrap_or_default();
    // A host that may only put has nobody to ask what there is.
    let is_readable = |vault: &&VaultConfig| vault.stores.iter().all(StoreConfig::is_readable);
    for vault in vaults.into_iter().filter(is_readable) {
        // A mirror that did not answer just now would hold this up, and nothing goes without it. It
        // was warned of.
        let lags = |one: &SnapshotReport| one.vault == vault.name && !one.lagging.is_empty();
        if taken.iter().any(lags) {
            continue;
        }
        if let Err(failure) = as_host(config, vault, session) {
            let (name, why) = (&vault.name, failure.chain().join(": "));
            let detail = format!("vault {name}: the policy was not applied: failed to {why}");
            session.progress.observe(Event::Warning { code: failure.code(), detail });
        }
    }
}

fn as_host(config: &Config, vault: &VaultConfig, session: &Session) -> Result<(), Failure> {
    let site = site_of(config, vault, &SiteArgs::default())?;
    let Some(mut open) = site.open_host(EventKind::SnapshotForgotten, None, session)? else {
        return Ok(());
    };
    let Some(scribe) = &mut open.scribe else { return Ok(()) };
    let plan = retain::plan(&open.survey, Wish::Policy, session.clock.now())?;
    let observer = session.progress.as_ref();
    let (wish, again) = (Wish::Policy, || site.survey_anew());
    let applied = retain::apply(&open.survey, &plan, wish, scribe, &[], &again, observer)?;
    if !applied.forgotten.is_empty() {
        let count = words::count(applied.forgotten.len() as u64, "snapshot");
        session.report.note(&format!("vault {}: the policy let {count} go", vault.name));
    }
    if applied.waiting.is_empty()
        && let Some(mut open) = site.again(open, EventKind::PacksDeleted, session)?
    {
        prune(&mut open, &Terms::default(), session)?;
    }
    Ok(())
}

/// Prunes after the policy was applied, if whoever forgot may do that too; what stops it is a
/// warning, for what was forgotten stays so.
fn prune_after(
    site: &Site,
    open: Open,
    args: &RetainArgs,
    session: &Session,
) -> Option<PruneOutcome> {
    let terms = Terms { accepted: args.accept.accepted(), is_early: false };
    let again = site.again(open, EventKind::PacksDeleted, session);
    let pruned =
        again.and_then(|open| open.map(|mut open| prune(&mut open, &terms, session)).transpose());
    pruned.unwrap_or_else(|failure| {
        let detail = format!("nothing was pruned: failed to {}", failure.chain().join(": "));
        session.progress.observe(Event::Warning { code: failure.code(), detail });
        None
    })
}

fn each(site: &Site, args: &RetainArgs, session: &Session) -> Result<Outcome, Failure> {
    let mut open = match args.apply {
        true => site.open(&args.site, EventKind::SnapshotForgotten, session)?,
        false => site.look(session)?,
    };
    let plan = retain::plan(&open.survey, Wish::Policy, session.clock.now())?;
    let mut outcome = Outcome::of(&open, plan, session.progress.as_ref())?;
    let accepted = args.accept.accepted();
    match &mut open.scribe {
        Some(scribe) => {
            let (survey, observer) = (&open.survey, session.progress.as_ref());
            let (plan, wish, again) = (&outcome.plan, Wish::Policy, || site.survey_anew());
            let applied = retain::apply(survey, plan, wish, scribe, &accepted, &again, observer);
            let gone = match &applied {
                Ok(applied) => Some(&applied.forgotten[..]),
                // Nothing was changed, and no lock is to run out while somebody decides.
                Err(error) if error.code() == Code::RetentionGuarded => Some(&[][..]),
                Err(_) => None,
            };
            if let (Scribe::Own(_), Some(gone)) = (&*scribe, gone) {
                outcome.prolonged = prolonged(survey, gone, session);
            }
            let applied = applied.inspect_err(|_| outcome.note_locks(session))?;
            let is_done = applied.waiting.is_empty();
            outcome.applied = Some(applied);
            if is_done {
                outcome.pruned = prune_after(site, open, args, session);
            }
        }
        None => open.warn(&outcome.guards, args.apply && outcome.goes(), session),
    }
    Ok(outcome)
}

/// Lets locks go on; that it cannot be done undoes nothing, and is a warning.
fn prolonged(survey: &Survey, gone: &[SnapshotId], session: &Session) -> Vec<StoreProlonged> {
    let observer = session.progress.as_ref();
    prolong::prolong(survey, gone, session.clock.now(), observer).unwrap_or_else(|error| {
        let name = &survey.note().name;
        let detail = format!("vault {name}: locks do not go on: failed to {}", with_causes(&error));
        observer.observe(Event::Warning { code: Code::LockShort, detail });
        Vec::new()
    })
}

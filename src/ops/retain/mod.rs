//! Applying the retention policy: plan, look, record, delete. Spec: `retention.md`.
//!
//! - I4 Every event is in every store before anything is deleted.
//! - I3 A note goes before its body, so that a crash leaves orphans only.
//! - I9 Its list stays: until it is pruned it says on what its writer may lean.
//! - Floor, hold and lock are looked at again between that and the first deletion.
//! - Packs, trees and segments stay: whatever prunes them starts from what this leaves.

mod chain;
mod delete;
mod error;
pub mod holds;
mod leftovers;
mod notes;
mod sight;
mod standing;
mod survey;

use jiff::Timestamp;

pub use delete::{Deleted, Refusal};
pub use error::RetainError;
pub use leftovers::{Leftover, leftovers};
pub use survey::{Forgotten, Survey};

use super::Error;
use super::recorder::Recorder;
use crate::base::{Code, Event, Observer, SignerId, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::event_fields::{ClockAnomaly, SnapshotForgotten};
use crate::policy::guard::{clock_guard, plan_guards};
use crate::policy::{Acceptance, Candidate, Guard, RetentionPlan, Verdict};
use crate::vault::Writer;

/// Who records what is forgotten.
pub enum Scribe {
    /// A janitor or an operator, with a log that it keeps itself.
    Own(Box<Recorder>),
    /// The host, by way of its journal.
    Host(Box<Writer>),
}

impl Scribe {
    /// Returns the signer.
    pub fn signer(&self) -> SignerId {
        match self {
            Self::Own(recorder) => recorder.signer(),
            Self::Host(writer) => writer.key().signer_id(),
        }
    }

    /// Records events, and returns the stores that do not have all of them yet.
    ///
    /// # Errors
    /// If a store of a janitor, or the primary store of a host, does not take one.
    pub(in crate::ops) fn record(
        &mut self,
        events: Vec<EventPayload>,
        observer: &dyn Observer,
    ) -> Result<Vec<String>, Error> {
        match self {
            Self::Own(recorder) => {
                events.into_iter().try_for_each(|event| recorder.append(event))?;
                Ok(Vec::new())
            }
            Self::Host(writer) => {
                for event in events {
                    writer.record(event)?;
                }
                writer.deliver(observer)?;
                let mut lacking = Vec::new();
                for store in writer.mirrors().names() {
                    if writer.manifest().next_outgoing(&store)?.is_some() {
                        lacking.push(store);
                    }
                }
                Ok(lacking)
            }
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// What the policy says.
    Policy,
    /// That these go.
    Named(&'a [SnapshotId]),
}

impl Wish<'_> {
    /// Returns who or what asks, as the event says it.
    const fn by(&self) -> &'static str {
        match self {
            Self::Policy => "retain",
            Self::Named(_) => "forget",
        }
    }
}

/// What came of applying a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The snapshots that were recorded as forgotten now.
    pub forgotten: Vec<SnapshotId>,
    /// What was deleted, by store; also of what earlier runs recorded.
    pub deleted: Vec<Deleted>,
    /// The stores that do not have the events yet: while there are any, nothing is deleted.
    pub waiting: Vec<String>,
    /// What a ledger says is forgotten and what stays all the same.
    pub refused: Vec<Refusal>,
}

/// Makes the plan, with what locks say of what would go.
///
/// # Errors
/// If a store does not answer, or a snapshot that is named must stay.
pub fn plan(survey: &Survey, wish: Wish<'_>, now: Timestamp) -> Result<RetentionPlan, Error> {
    let make = |candidates: Vec<Candidate>| match wish {
        Wish::Policy => RetentionPlan::make(&survey.history, candidates, now),
        Wish::Named(ids) => RetentionPlan::forget(&survey.history, candidates, ids, now),
    };
    let mut candidates = survey.candidates.clone();
    if let Wish::Named(ids) = wish {
        let lost = survey.lost().into_iter().filter(|id| ids.contains(id));
        candidates.extend(lost.map(|id| survey.candidate(id)));
    }
    let first = make(candidates.clone());
    for (one, _) in first.dropped() {
        let locked = survey.locked_until(one.id)?;
        let found = candidates.iter_mut().find(|candidate| candidate.id == one.id);
        found.into_iter().for_each(|candidate| candidate.locked_until = locked);
    }
    let plan = make(candidates);
    if let Wish::Named(ids) = wish {
        for planned in plan.planned().iter().filter(|one| ids.contains(&one.candidate.id)) {
            if let Verdict::Keep(reasons) = &planned.verdict {
                let (snapshot, reasons) = (planned.candidate.id, reasons.clone());
                return Err(RetainError::Promised { snapshot, reasons }.into());
            }
        }
    }
    Ok(plan)
}

/// Returns what is alarming about a plan or about the clock, if anything would be deleted by it.
///
/// What others recorded goes beside it and passed no guard of theirs that anybody saw, so it counts
/// as the plan's. `own` is the signer that applies it.
///
/// # Errors
/// If a store does not answer.
pub fn guards(
    survey: &Survey,
    plan: &RetentionPlan,
    own: Option<SignerId>,
) -> Result<Vec<Guard>, Error> {
    let left = leftovers(survey, plan.now())?;
    let by_others = left.iter().filter(|one| one.is_dropped_by_others(own));
    let by_others: Vec<Candidate> = by_others.map(|one| one.candidate.clone()).collect();
    let mut guards = plan_guards(plan, &by_others);
    if plan.dropped().next().is_some() || !left.is_empty() {
        guards.extend(clock_guard(survey.history.in_force(), survey.known, plan.now()));
    }
    Ok(guards)
}

/// Applies a plan: records what goes, and what others recorded in some stores only, then looks
/// again and deletes in every store what nothing keeps. `again` reads all stores once more.
///
/// # Errors
/// If a guard strikes that was not accepted, or a store does not take an event: nothing was deleted
/// then. A deletion that fails is a warning, and the next run does it.
pub fn apply(
    survey: &Survey,
    plan: &RetentionPlan,
    wish: Wish<'_>,
    scribe: &mut Scribe,
    accepted: &[Acceptance],
    again: &dyn Fn() -> Result<Survey, Error>,
    observer: &dyn Observer,
) -> Result<Applied, Error> {
    let guards = guards(survey, plan, Some(scribe.signer()))?;
    let is_open = |guard: &Guard| !accepted.contains(&guard.acceptance());
    let struck: Vec<Guard> = guards.iter().filter(|guard| is_open(guard)).cloned().collect();
    if !struck.is_empty() {
        return Err(RetainError::Guarded { guards: struck }.into());
    }
    // I4: the events first, in every store.
    let waiting = scribe.record(events_of(survey, plan, wish, &guards)?, observer)?;
    let forgotten: Vec<SnapshotId> = plan.dropped().map(|(one, _)| one.id).collect();
    if !waiting.is_empty() {
        for store in &waiting {
            let detail =
                format!("store {store} lacks what waits for it, so nothing is deleted anywhere");
            observer.observe(Event::Warning { code: Code::ForgetWaiting, detail });
        }
        return Ok(Applied { forgotten, waiting, ..Applied::default() });
    }
    // Whoever placed a hold before the events were there may not have seen them: it is seen here.
    let newer = again()?;
    let (deleted, refused) = delete::delete(&newer, plan.now(), observer)?;
    if let Scribe::Host(writer) = scribe {
        writer.drop_snapshots(&gone(&newer, &refused))?;
    }
    Ok(Applied { forgotten, deleted, waiting, refused })
}

/// Returns what is to be recorded before anything goes.
fn events_of(
    survey: &Survey,
    plan: &RetentionPlan,
    wish: Wish<'_>,
    guards: &[Guard],
) -> Result<Vec<EventPayload>, Error> {
    let by = wish.by().to_owned();
    let event = |snapshot: SnapshotId, rule: String| {
        let by = by.clone();
        EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by })
    };
    let anomaly = guards.iter().find_map(|guard| match guard {
        Guard::ClockBack { known, now } | Guard::ClockAhead { known, now } => {
            Some(EventPayload::ClockAnomaly(ClockAnomaly { known: *known, found: *now }))
        }
        _ => None,
    });
    let left = leftovers(survey, plan.now())?;
    // Another signer's event may be in some stores only, and nobody here can give it to the others.
    let partly = left
        .iter()
        .filter(|one| one.goes() && survey.lacking(one.candidate.id).is_some())
        .map(|one| (one.candidate.id, format!("forgotten by {}", one.forgotten.signer)));
    let dropped = plan.dropped().map(|(one, reason)| (one.id, reason.to_string()));
    let forgotten = dropped.chain(partly).map(|(id, rule)| event(id, rule));
    Ok(anomaly.into_iter().chain(forgotten).collect())
}

/// Returns every snapshot that is forgotten for good.
fn gone(survey: &Survey, refused: &[Refusal]) -> Vec<SnapshotId> {
    let is_gone = |id: &&SnapshotId| {
        survey.lacking(**id).is_none() && refused.iter().all(|(other, _)| other != *id)
    };
    survey.forgotten.keys().filter(is_gone).copied().collect()
}

//! Deleting what no snapshot needs any more, without a key: plan, look, record, delete. Spec:
//! `prune.md`.
//!
//! - I6 Only what no snapshot that stands needs, in any store.
//! - I9 Only what no writer may lean on, told or not.
//! - I4 Every name is in the ledger in every store before anything is deleted.
//! - Whole objects only, and of them only packs, trees, segments, and what was left of a snapshot.

mod census;
mod delete;
mod error;
mod needs;
mod over;

use std::collections::HashSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

pub use census::{Amount, Stays, StorePlan};
pub use delete::Swept;
pub use error::PruneError;

use self::census::Census;
use self::needs::Needs;
use self::over::Over;
use super::Error;
use super::retain::{Scribe, Survey};
use super::thaw::PriceTable;
use crate::base::{Code, Event, GenerationId, Observer, PackId, SignerId};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::{ClockAnomaly, DELETED_COUNT_MAX, PacksDeleted};
use crate::manifest::{Going, Pick, Sweep};
use crate::policy::guard::clock_guard;
use crate::policy::prune::lean_time;
use crate::policy::{Acceptance, Guard};
use crate::store::GIVEN;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Auditor, Writer};

/// Objects that are deleted between two looks at the scratch file.
const PAGE_COUNT: usize = 1000;

/// What is to be pruned, and by what it is judged.
pub struct PruneRequest<'a> {
    /// What all stores of the vault say.
    pub survey: &'a Survey,
    /// The host that prunes under its own lock, and so knows what goes; none, for a janitor.
    pub own: Option<&'a OwnHost>,
    /// What classes are paid for at least.
    pub prices: &'a PriceTable,
    /// Whether what is paid for anyway goes all the same.
    pub is_early: bool,
    /// A directory for a scratch file.
    pub scratch: &'a Path,
    /// The time.
    pub now: Timestamp,
}

/// A host that prunes its own vault: nobody else leans on what it made.
#[derive(Debug, Clone)]
pub struct OwnHost {
    signer: SignerId,
    generation: GenerationId,
    packs: HashSet<PackId>,
}

impl OwnHost {
    /// Takes up which packs of the open generation the host made.
    ///
    /// # Errors
    /// If its manifest cannot be read.
    pub fn of(writer: &Writer) -> Result<Self, Error> {
        let packs = writer.manifest().packs().map_err(vault::Error::from)?;
        let packs = packs.into_iter().map(|pack| pack.id).collect();
        let (signer, generation) = (writer.key().signer_id(), writer.generation().id);
        Ok(Self { signer, generation, packs })
    }

    /// Tells whether the host made a pack: its manifest is believed, and no list.
    fn made(&self, key: &ObjectKey) -> bool {
        key.pack().is_some_and(|id| self.packs.contains(&id))
    }
}

impl PruneRequest<'_> {
    /// Returns for how long a writer may lean on what it named (I9): the longest time that any
    /// vault note gave it, for a host that may only put may not know of a shorter one.
    fn lean_time(&self) -> SignedDuration {
        let chains = self.survey.auditors.iter().flat_map(|auditor| auditor.chain());
        let times = chains.map(|link| {
            let fields = link.note.parameters.fields();
            lean_time(fields.reuse_days, fields.grace_days)
        });
        times.max().unwrap_or(SignedDuration::MAX)
    }
}

/// What goes from which store; only this module makes one.
pub struct PrunePlan {
    /// Each store, in the order of the survey.
    pub stores: Vec<StorePlan>,
    /// What is alarming, if anything would go.
    pub guards: Vec<Guard>,
    sweep: Sweep,
}

impl PrunePlan {
    /// Tells whether anything goes.
    pub fn goes(&self) -> bool {
        self.stores.iter().any(|store| store.goes.object_count > 0)
    }
}

/// What came of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was deleted, by store.
    pub swept: Vec<Swept>,
    /// The stores that do not have the events yet: while there are any, nothing is deleted.
    pub waiting: Vec<String>,
}

/// Finds out what may go. Nothing is changed.
///
/// # Errors
/// If a store does not answer, or the scratch file cannot be written.
pub fn plan(request: &PruneRequest<'_>, observer: &dyn Observer) -> Result<PrunePlan, Error> {
    let survey = request.survey;
    let sweep = Sweep::create(request.scratch).map_err(vault::Error::from)?;
    take_up_recorded(request, &sweep)?;
    let over = Over::gather(survey);
    let needs = Needs::gather(request, &over, &sweep, observer)?;
    let numbers = 0..survey.auditors.len();
    let stores = numbers.map(|number| Census::take(request, &needs, &over, &sweep, number));
    let mut plan =
        PrunePlan { stores: stores.collect::<Result<_, _>>()?, guards: Vec::new(), sweep };
    if plan.goes() {
        if let Some(snapshot) = needs.held_and_missing(request) {
            return Err(PruneError::Held { snapshot }.into());
        }
        let clock = clock_guard(survey.history.in_force(), survey.known, request.now);
        plan.guards.extend(clock);
        plan.guards.extend(
            needs
                .missing
                .first()
                .map(|first| Guard::Missing { missing_count: needs.missing.len(), first: *first }),
        );
    }
    Ok(plan)
}

/// Records what goes, and then deletes it in every store.
///
/// # Errors
/// If a guard strikes that was not accepted, or a store does not take an event: nothing was deleted
/// then. A deletion that fails is a warning, and the next run does it.
pub fn apply(
    request: &PruneRequest<'_>,
    plan: &PrunePlan,
    scribe: &mut Scribe,
    accepted: &[Acceptance],
    observer: &dyn Observer,
) -> Result<Pruned, Error> {
    let is_open = |guard: &&Guard| !accepted.contains(&guard.acceptance());
    let struck: Vec<Guard> = plan.guards.iter().filter(is_open).cloned().collect();
    if !struck.is_empty() {
        return Err(PruneError::Guarded { guards: struck }.into());
    }
    if !plan.goes() {
        return Ok(Pruned::default());
    }
    // I4: every name, in every store.
    let waiting = record(request, plan, scribe, observer)?;
    if !waiting.is_empty() {
        for store in &waiting {
            let detail = format!("store {store} lacks the events, so nothing is deleted anywhere");
            observer.observe(Event::Warning { code: Code::PruneWaiting, detail });
        }
        return Ok(Pruned { waiting, ..Pruned::default() });
    }
    // I9: before anything goes, its own host forgets it.
    if let Scribe::Host(writer) = scribe {
        each_page(plan, Pick::All, DELETED_COUNT_MAX, |_, page| {
            let keys: Vec<ObjectKey> = page.iter().map(|going| going.key).collect();
            Ok(writer.drop_packs(&keys)?)
        })?;
    }
    let numbers = 0..plan.stores.len();
    let swept = numbers.map(|number| delete::delete_in(request, plan, number, observer));
    Ok(Pruned { swept: swept.collect::<Result<_, _>>()?, waiting })
}

/// Takes note of what every store has a record of: it is not recorded again.
fn take_up_recorded(request: &PruneRequest<'_>, sweep: &Sweep) -> Result<(), Error> {
    let survey = request.survey;
    for (signer, said) in recorded_everywhere(survey) {
        // By what order stores were given tells nothing of which was meant.
        let is_said = !said.store.starts_with(GIVEN);
        let named = |auditor: &Auditor| is_said && auditor.store().name() == said.store;
        if let Some(number) = survey.auditors.iter().position(named) {
            let is_own = request.own.is_some_and(|own| own.signer == signer);
            let mut keys = said.objects.iter();
            let recorded = keys.try_for_each(|key| sweep.record(number, key, is_own));
            recorded.map_err(vault::Error::from)?;
        }
    }
    Ok(())
}

/// Returns every record of what goes that each store has, with its signer: another's, or one of an
/// interrupted run, may be in some of them only (I4).
fn recorded_everywhere(survey: &Survey) -> impl Iterator<Item = (SignerId, &PacksDeleted)> {
    survey.distinct_events().filter_map(|event| {
        let EventPayload::PacksDeleted(said) = &event.payload else { return None };
        let has_event = |logs: &Vec<SignerLog>| {
            let own = logs.iter().find(|log| log.signer == event.signer);
            let index = usize::try_from(event.seq).unwrap_or(usize::MAX);
            own.is_some_and(|log| log.events.get(index) == Some(event))
        };
        survey.logs.iter().all(has_event).then_some((event.signer, said))
    })
}

/// Records what goes from each store and is not recorded yet; returns the stores that lack events.
fn record(
    request: &PruneRequest<'_>,
    plan: &PrunePlan,
    scribe: &mut Scribe,
    observer: &dyn Observer,
) -> Result<Vec<String>, Error> {
    // Also what an earlier run recorded may not be everywhere yet.
    let anomaly = plan.guards.iter().find_map(|guard| match guard {
        Guard::ClockBack { known, now } | Guard::ClockAhead { known, now } => {
            Some(EventPayload::ClockAnomaly(ClockAnomaly { known: *known, found: *now }))
        }
        _ => None,
    });
    let mut waiting = scribe.record(anomaly.into_iter().collect(), observer)?;
    each_page(plan, Pick::Unrecorded, DELETED_COUNT_MAX, |number, page| {
        let store = request.survey.auditors[number].store().name().to_owned();
        let objects = page.iter().map(|going| going.key).collect();
        let stored_len = page.iter().map(|going| going.stored_len).sum();
        let event = PacksDeleted { store, objects, stored_len };
        waiting = scribe.record(vec![EventPayload::PacksDeleted(event)], observer)?;
        Ok(())
    })?;
    Ok(waiting)
}

/// Gives what goes to `work`, some at a time, store by store.
fn each_page(
    plan: &PrunePlan,
    pick: Pick,
    count: usize,
    mut work: impl FnMut(usize, &[Going]) -> Result<(), Error>,
) -> Result<(), Error> {
    for number in 0..plan.stores.len() {
        let mut after = None;
        loop {
            let page = plan.sweep.page(number, pick, after.as_ref(), count);
            let page = page.map_err(vault::Error::from)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            work(number, &page)?;
        }
    }
    Ok(())
}

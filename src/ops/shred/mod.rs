//! Shredding a generation: everything that opens it is destroyed, and what was seen is signed.
//! Spec: `generations.md` §1.
//!
//! - I4 The event is in every store before anything is erased.
//! - Nothing that a standing snapshot or a hold needs is ever erased.
//! - No store keeps another from being erased; the certificate waits for all of them.

mod erase;
mod error;
mod host;
pub(in crate::ops) mod members;
mod unseen;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use error::ShredError;
pub use host::check_host;
pub use members::{Belongs, Members, closed_in};

use self::erase::Erased;
use super::Error;
use super::recorder::Recorder;
use super::retain::{RetainError, Survey};
use crate::base::{Code, Event, GenerationId, Observer, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::event_fields::{ClockAnomaly, GenerationShredded, SeenEmpty, ShredCertificate};
use crate::format::{Folder, ObjectKey};
use crate::policy::guard::clock_guard;
use crate::policy::{Acceptance, Guard};
use crate::store::Sight;
use crate::vault::ledger::{self, SignerLog};

/// What no certificate covers, in its own words and in those for people.
pub const NOT_COVERED: [(&str, &str); 5] = [
    ("exported-identities", "identities that `generation export` handed out"),
    ("store-copies", "copies and backups of a store that were made outside this vault"),
    ("recovery-kits", "recovery kits, and copies of key files beside them"),
    ("media", "blocks of a disk that nothing has overwritten yet"),
    ("restored", "what was restored"),
];

/// What is not covered where a store does not list versions.
pub const VERSIONS_UNSEEN: (&str, &str) =
    ("versions", "older versions in a store that does not list them to these credentials");

/// What is not covered where a store has names that are not ours beside the key files.
pub const FOREIGN_LEFT: (&str, &str) =
    ("foreign-names", "files of other names that lie where the key files were");

/// What is not covered where a ledger names stores that were not given.
pub const STORES_UNSEEN: (&str, &str) =
    ("unseen-stores", "stores that a ledger names and that were not given by that name");

/// What shredding a generation would do; only [`plan`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShredPlan {
    generation: GenerationId,
    revs: BTreeSet<u32>,
    segments: BTreeSet<SnapshotId>,
    unseen: BTreeSet<String>,
    unclear_count: u64,
    snapshot_count: u64,
    is_recorded: bool,
    is_certified: bool,
    now: Timestamp,
}

impl ShredPlan {
    /// Returns the generation.
    pub const fn generation(&self) -> GenerationId {
        self.generation
    }

    /// Returns the numbers of its key files, as far as a ledger or a store knows them.
    pub const fn revs(&self) -> &BTreeSet<u32> {
        &self.revs
    }

    /// Returns how many segments of it are in any store.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Returns the stores that a ledger names and that were not given: nothing there is erased.
    pub const fn unseen(&self) -> &BTreeSet<String> {
        &self.unseen
    }

    /// Returns how many segments may be of it, and stay.
    pub const fn unclear_count(&self) -> u64 {
        self.unclear_count
    }

    /// Returns how many snapshots were taken in it; all of them are forgotten.
    pub const fn snapshot_count(&self) -> u64 {
        self.snapshot_count
    }

    /// Tells whether an earlier run recorded that it is shredded.
    pub const fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// Tells whether an earlier run recorded that nothing of its key was left.
    pub const fn is_certified(&self) -> bool {
        self.is_certified
    }
}

/// What became of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreShredded {
    /// The store's name.
    pub store: String,
    /// How much of its past was seen; nothing, if it did not answer.
    pub sight: Option<Sight>,
    /// Versions of key files that were erased.
    pub erased_count: u64,
    /// Key files that are left.
    pub left: Vec<ObjectKey>,
    /// Names that are not ours where they were.
    pub foreign: Vec<String>,
    /// Segments that were erased.
    pub segment_count: u64,
    /// Segments of the generation that are left.
    pub segments_left: u64,
}

impl StoreShredded {
    /// Tells whether it was seen to have no key file of the generation.
    pub fn is_empty(&self) -> bool {
        self.sight.is_some() && self.left.is_empty()
    }
}

/// What came of shredding.
#[derive(Debug, Clone, PartialEq)]
pub struct Shredded {
    /// What was done in each store.
    pub stores: Vec<StoreShredded>,
    /// What the certificate does not cover; nothing, if none could be recorded.
    pub certificate: Option<ShredCertificate>,
}

/// Plans to shred the generation whose id begins with `text`.
///
/// # Errors
/// If it is not closed everywhere, a snapshot of it must stay, or a store does not answer.
pub fn plan(survey: &Survey, text: &str, now: Timestamp) -> Result<ShredPlan, Error> {
    let members = Members::gather(survey.signed(), survey.logs.iter().flatten());
    let generation = choose(&members, text)?;
    check_closed(survey, generation)?;
    let snapshots = members.of(generation);
    check_unneeded(survey, generation, &snapshots, now)?;
    let (mut revs, mut segments, mut unclear) = (revs_of(survey, generation), BTreeSet::new(), 0);
    for auditor in &survey.auditors {
        for key in auditor.versions().list(Folder::Generations)? {
            if let ObjectKey::Generation(id, rev) = key
                && id == generation
            {
                revs.insert(rev);
            }
        }
        for key in auditor.versions().list(Folder::Segments)? {
            let ObjectKey::Segment(id) = key else { continue };
            match members.segment(id, generation) {
                Belongs::Here => drop(segments.insert(id)),
                Belongs::Unclear => unclear += 1,
                Belongs::Elsewhere => {}
            }
        }
    }
    let said = || said_of(survey, generation);
    Ok(ShredPlan {
        generation,
        revs,
        segments,
        unseen: unseen::unseen(survey),
        unclear_count: unclear,
        snapshot_count: snapshots.len() as u64,
        is_recorded: is_recorded_everywhere(survey, generation),
        is_certified: said().any(|said| said.certificate.is_some()),
        now,
    })
}

/// Refuses to go on where the clock is not to be trusted: a hold may not have ended. Returns what
/// is to be recorded of it, if it was accepted.
///
/// # Errors
/// If the guard strikes and was not accepted.
pub fn check_clock(
    survey: &Survey,
    accepted: &[Acceptance],
    now: Timestamp,
) -> Result<Option<ClockAnomaly>, Error> {
    match clock_guard(survey.history.in_force(), survey.known, now) {
        Some(guard) if !accepted.contains(&guard.acceptance()) => {
            Err(RetainError::Guarded { guards: vec![guard] }.into())
        }
        Some(Guard::ClockBack { known, now } | Guard::ClockAhead { known, now }) => {
            Ok(Some(ClockAnomaly { known, found: now }))
        }
        _ => Ok(None),
    }
}

/// Destroys what opens the generation, in the order of §1.2. `again` reads all stores once more.
///
/// # Errors
/// If a store does not take an event, or a hold was placed meanwhile: then nothing was erased. What
/// a store does not let go is a warning, and the next run goes on.
pub fn apply(
    survey: &Survey,
    plan: &ShredPlan,
    anomaly: Option<ClockAnomaly>,
    recorder: &mut Recorder,
    again: &dyn Fn() -> Result<Survey, Error>,
    observer: &dyn Observer,
) -> Result<Shredded, Error> {
    if let Some(anomaly) = anomaly {
        recorder.append(EventPayload::ClockAnomaly(anomaly))?;
    }
    if !plan.is_recorded {
        // I4: the event first, in every store.
        recorder.append(event_of(survey, plan, None))?;
    }
    // Whoever placed a hold since then has placed it in time.
    let newer = again()?;
    let members = Members::gather(newer.signed(), newer.logs.iter().flatten());
    check_unneeded(&newer, plan.generation, &members.of(plan.generation), plan.now)?;
    let mut stores = Vec::new();
    for auditor in &survey.auditors {
        let erased = Erased::begin(auditor.store(), observer);
        stores.push(erased.everything_of(plan.generation, &plan.revs, &plan.segments));
    }
    if stores.iter().any(|store| !store.is_empty()) {
        for store in stores.iter().filter(|store| !store.is_empty()) {
            let detail = format!("store {} may still have a key file", store.store);
            observer.observe(Event::Warning { code: Code::ShredWaiting, detail });
        }
        return Ok(Shredded { stores, certificate: None });
    }
    let certificate = certificate_of(&stores, &plan.unseen);
    recorder.append(event_of(survey, plan, Some(certificate.clone())))?;
    Ok(Shredded { stores, certificate: Some(certificate) })
}

fn choose(members: &Members, text: &str) -> Result<GenerationId, Error> {
    let all: Vec<GenerationId> = members.all().collect();
    let begins = |id: &&GenerationId| !text.is_empty() && id.to_string().starts_with(text);
    let found: Vec<&GenerationId> = all.iter().filter(begins).collect();
    match found[..] {
        [id] => Ok(*id),
        _ => {
            let (text, count) = (text.chars().take(80).collect(), found.len());
            Err(ShredError::Unclear { text, count, all: all.len() }.into())
        }
    }
}

/// G-1: each store has the event, so each has all that its host owed it of the generation.
fn check_closed(survey: &Survey, generation: GenerationId) -> Result<(), Error> {
    for (auditor, logs) in survey.auditors.iter().zip(&survey.logs) {
        if !closed_in(survey.note(), logs).contains(&generation) {
            let store = auditor.store().name().to_owned();
            return Err(ShredError::NotClosed { generation, store }.into());
        }
    }
    Ok(())
}

/// G-2, G-3: nothing of it stands, and nothing of it is promised.
fn check_unneeded(
    survey: &Survey,
    generation: GenerationId,
    snapshots: &BTreeSet<SnapshotId>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut needed = Vec::new();
    for id in snapshots {
        let promises = survey.promises(*id, now)?;
        if !promises.is_empty() {
            let told: Vec<String> = promises.iter().map(ToString::to_string).collect();
            needed.push((*id, format!("stays by {}", told.join(", "))));
        } else if !survey.forgotten.contains_key(id) {
            needed.push((*id, "is not forgotten".to_owned()));
        } else if let Some(store) = survey.lacking(*id) {
            needed.push((*id, format!("is not forgotten in the ledgers of store {store}")));
        }
    }
    match needed.is_empty() {
        true => Ok(()),
        false => Err(ShredError::Needed { generation, snapshots: needed }.into()),
    }
}

/// Tells whether the logs of every store say that a generation is shredded (I4).
fn is_recorded_everywhere(survey: &Survey, generation: GenerationId) -> bool {
    let is_it = |payload: &EventPayload| match payload {
        EventPayload::GenerationShredded(said) => said.generation == generation,
        _ => false,
    };
    let has_it = |logs: &Vec<SignerLog>| {
        logs.iter().flat_map(|log| &log.events).any(|event| is_it(&event.payload))
    };
    survey.logs.iter().all(has_it)
}

/// Returns every rev of a generation that a ledger knows.
fn revs_of(survey: &Survey, generation: GenerationId) -> BTreeSet<u32> {
    let mut revs = BTreeSet::new();
    for logs in &survey.logs {
        let opened = ledger::generations_of(logs).remove(&generation);
        for said in opened.into_iter().flatten() {
            revs.extend(said.revs.iter().map(|rev| rev.rev));
        }
    }
    revs.extend(said_of(survey, generation).flat_map(|said| &said.revs));
    revs
}

fn said_of(survey: &Survey, generation: GenerationId) -> impl Iterator<Item = &GenerationShredded> {
    survey.logs.iter().flatten().flat_map(|log| &log.events).filter_map(move |event| {
        match &event.payload {
            EventPayload::GenerationShredded(said) if said.generation == generation => Some(said),
            _ => None,
        }
    })
}

fn event_of(
    survey: &Survey,
    plan: &ShredPlan,
    certificate: Option<ShredCertificate>,
) -> EventPayload {
    let names = survey.auditors.iter().map(|auditor| auditor.store().name().to_owned());
    EventPayload::GenerationShredded(GenerationShredded {
        generation: plan.generation,
        revs: plan.revs.iter().copied().collect(),
        stores: names.collect(),
        certificate,
    })
}

fn certificate_of(stores: &[StoreShredded], unseen: &BTreeSet<String>) -> ShredCertificate {
    let seen = stores.iter().map(|store| SeenEmpty {
        store: store.store.clone(),
        sight: store.sight.unwrap_or(Sight::Newest).name().to_owned(),
        erased_count: store.erased_count,
        segment_count: store.segments_left,
    });
    let is_short = stores.iter().any(|store| store.sight == Some(Sight::Newest));
    let is_mixed = stores.iter().any(|store| !store.foreign.is_empty());
    let more = is_short.then_some(VERSIONS_UNSEEN).into_iter();
    let more = more.chain(is_mixed.then_some(FOREIGN_LEFT));
    let more = more.chain((!unseen.is_empty()).then_some(STORES_UNSEEN));
    let not_covered = NOT_COVERED.into_iter().chain(more).map(|(word, _)| word.to_owned());
    let unseen = unseen.iter().cloned().collect();
    ShredCertificate { stores: seen.collect(), not_covered: not_covered.collect(), unseen }
}

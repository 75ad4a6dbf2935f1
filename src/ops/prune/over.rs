//! Which generations are over: on what is of them no writer leans any more. Spec: `prune.md` §1.
//!
//! - A generation is over when every store says so: none is owed anything of it any more.
//! - What is of it is told by what is signed, and by the store's clock, never by a list.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::needs::is_known;
use crate::base::{GenerationId, SnapshotId};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::ops::Error;
use crate::ops::retain::Survey;
use crate::ops::shred::members::{Members, closed_in};
use crate::policy::prune::{GenerationFacts, settled_before};
use crate::vault::{self, Auditor};

/// The generations of a vault, and which of them are over.
pub struct Over {
    closed: BTreeSet<GenerationId>,
    opened: Vec<Opened>,
    members: Members,
}

/// A generation that a log opened.
struct Opened {
    generation: GenerationId,
    /// The event that says so.
    key: ObjectKey,
    /// When its writer opened it, as that is signed: whoever may put can write the event again.
    at: Timestamp,
}

impl Over {
    /// Puts together what every store says.
    pub fn gather(survey: &Survey) -> Self {
        let mut by_store = survey.logs.iter().map(|logs| closed_in(survey.note(), logs));
        let first = by_store.next().unwrap_or_default();
        let closed = by_store.fold(first, |all, one| &all & &one);
        let opened = survey.distinct_events().filter_map(|event| match &event.payload {
            EventPayload::GenerationOpened(said) => Some(Opened {
                generation: said.generation,
                key: ObjectKey::LedgerEvent(event.signer, event.seq),
                at: event.time.min(said.generation.time()),
            }),
            _ => None,
        });
        let opened = opened.collect();
        let members =
            Members::gather(survey.notes.values().flatten(), survey.logs.iter().flatten());
        Self { closed, opened, members }
    }

    /// Tells whether a snapshot is of no generation but such as are over.
    pub fn has(&self, id: SnapshotId) -> bool {
        self.members.is_within(id, &self.closed)
    }

    /// Tells whether a snapshot is of this generation, and of no other.
    pub fn is_of(&self, id: SnapshotId, generation: GenerationId) -> bool {
        self.members.is_within(id, &BTreeSet::from([generation]))
    }

    /// Returns before when a store got nothing that is of a generation which may be open.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn settled_before(&self, auditor: &Auditor) -> Result<Option<Timestamp>, Error> {
        let mut facts = Vec::new();
        for Opened { generation, key, at } in &self.opened {
            let is_closed = self.closed.contains(generation);
            let told = match is_closed {
                true => None,
                false => auditor.store().stat(key).map_err(vault::Error::from)?,
            };
            let told = told.and_then(|stat| stat.modified).filter(is_known);
            facts.push(GenerationFacts { is_closed, opened: told.map(|told| told.min(*at)) });
        }
        Ok(settled_before(facts))
    }
}

//! Which snapshots and segments are of a generation, without a key. Spec: `generations.md` §1.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::base::{GenerationId, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::vault_note::VaultNote;
use crate::vault::ledger::SignerLog;

/// From when to when a generation was open; without an end it still is.
type Period = (Timestamp, Option<Timestamp>);

/// What notes and ledgers say of which snapshot is of which generation.
pub struct Members {
    generations: BTreeMap<SnapshotId, BTreeSet<GenerationId>>,
    periods: BTreeMap<GenerationId, Period>,
}

/// To which generation a segment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// To the one that is asked about.
    Here,
    /// To another.
    Elsewhere,
    /// To this one or to another: nothing signed says which.
    Unclear,
}

impl Members {
    /// Puts together what is signed. A second record that says something else takes nothing away
    /// from the first: a snapshot may so be of two generations, and keeps both.
    pub fn gather<'a>(
        notes: impl IntoIterator<Item = &'a SnapshotNote>,
        logs: impl IntoIterator<Item = &'a SignerLog>,
    ) -> Self {
        let mut members = Self { generations: BTreeMap::new(), periods: BTreeMap::new() };
        for note in notes {
            members.generations.entry(note.snapshot).or_default().insert(note.generation);
        }
        for log in logs {
            members.follow(&log.events);
        }
        members
    }

    /// Follows one signer's log: what it takes is of the generation that it opened last.
    fn follow(&mut self, events: &[LedgerEvent]) {
        let mut open = None;
        for event in events {
            match &event.payload {
                EventPayload::GenerationOpened(said) => {
                    open = Some(said.generation);
                    let period = self.periods.entry(said.generation).or_insert((event.time, None));
                    period.0 = period.0.min(event.time).min(said.generation.time());
                }
                EventPayload::GenerationClosed(said) => {
                    open = open.filter(|open| *open != said.generation);
                    if let Some(period) = self.periods.get_mut(&said.generation) {
                        period.1 = period.1.max(Some(event.time));
                    }
                }
                EventPayload::SnapshotTaken(said) => {
                    if let Some(generation) = open {
                        self.generations.entry(said.snapshot).or_default().insert(generation);
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns every generation that a log opened.
    pub fn all(&self) -> impl Iterator<Item = GenerationId> {
        self.periods.keys().copied()
    }

    /// Tells whether something signed says of which generation a snapshot is, and all that does
    /// names only some of these.
    pub fn is_within(&self, id: SnapshotId, some: &BTreeSet<GenerationId>) -> bool {
        self.generations.get(&id).is_some_and(|of| !of.is_empty() && of.is_subset(some))
    }

    /// Returns every snapshot that was ever taken in a generation.
    pub fn of(&self, generation: GenerationId) -> BTreeSet<SnapshotId> {
        let is_member = |(_, of): &(&SnapshotId, &BTreeSet<GenerationId>)| of.contains(&generation);
        self.generations.iter().filter(is_member).map(|(id, _)| *id).collect()
    }

    /// Tells whether a segment is of a generation. One of a snapshot that nothing signed names is
    /// what a lost run left: it is of the generation that was open then.
    pub fn segment(&self, id: SnapshotId, generation: GenerationId) -> Belongs {
        if let Some(of) = self.generations.get(&id) {
            return match (of.contains(&generation), of.len()) {
                (false, _) => Belongs::Elsewhere,
                (true, 1) => Belongs::Here,
                (true, _) => Belongs::Unclear,
            };
        }
        let is_open =
            |(begin, end): &Period| *begin <= id.time() && end.is_none_or(|end| id.time() <= end);
        let mut open = self.periods.iter().filter(|(_, period)| is_open(period));
        let (first, second) = (open.next(), open.next());
        match (first, second) {
            (Some((only, _)), None) if *only == generation => Belongs::Here,
            (Some(_), Some(_)) if self.periods.get(&generation).is_some_and(is_open) => {
                Belongs::Unclear
            }
            _ => Belongs::Elsewhere,
        }
    }
}

/// Returns the generations that the logs of one store say are closed: by every signer that opened
/// them, but for those that are retired, whose hosts put nothing any more. Another signer's word
/// closes nothing: whoever may put can open and close what is not theirs.
pub fn closed_in(note: &VaultNote, logs: &[SignerLog]) -> BTreeSet<GenerationId> {
    let is_retired = |signer| note.delegate(signer).is_some_and(|one| one.retired.is_some());
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for log in logs {
        let mut own = BTreeMap::new();
        for event in &log.events {
            match &event.payload {
                EventPayload::GenerationOpened(said) => {
                    own.entry(said.generation).or_insert(false);
                }
                EventPayload::GenerationClosed(said) => {
                    own.entry(said.generation).and_modify(|is_closed| *is_closed = true);
                }
                _ => {}
            }
        }
        for (generation, is_closed) in own {
            let side = if is_closed || is_retired(log.signer) { &mut closed } else { &mut open };
            side.insert(generation);
        }
    }
    &closed - &open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digest, SignerId, VaultId};
    use crate::crypto::merkle::{Frontier, Log};
    use crate::format::event_fields::{GenerationOpened, GenerationRef, SnapshotTaken};

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    fn generation(day: i64) -> GenerationId {
        GenerationId::new(at(day), [1; 4])
    }

    fn snapshot(day: i64) -> SnapshotId {
        SnapshotId::new(at(day), [2; 4])
    }

    fn opened(day: i64) -> (i64, EventPayload) {
        let (revs, recipient_sha256) = (Vec::new(), Digest::from_bytes([0; 32]));
        let said = GenerationOpened { generation: generation(day), revs, recipient_sha256 };
        (day, EventPayload::GenerationOpened(said))
    }

    fn closed(day: i64, of: i64) -> (i64, EventPayload) {
        (day, EventPayload::GenerationClosed(GenerationRef { generation: generation(of) }))
    }

    fn taken(day: i64) -> (i64, EventPayload) {
        let note_sha256 = Digest::from_bytes([0; 32]);
        let said =
            SnapshotTaken { snapshot: snapshot(day), note_sha256, stored_len: 2, new_len: 1 };
        (day, EventPayload::SnapshotTaken(said))
    }

    fn log(number: u8, payloads: Vec<(i64, EventPayload)>) -> SignerLog {
        let (vault, signer) = (VaultId::from_bytes([5; 16]), SignerId::from_bytes([number; 8]));
        let event = |(seq, (day, payload))| {
            let (time, seen) = (at(day), Vec::new());
            LedgerEvent { vault, signer, seq, time, payload, seen }
        };
        SignerLog {
            signer,
            events: (0..).zip(payloads).map(event).collect(),
            head: Frontier::empty().head(),
            frontier: Frontier::empty(),
            hashes: Log::empty(),
            checkpoint: None,
            pending: None,
            problems: Vec::new(),
        }
    }

    /// G-2
    #[test]
    fn a_snapshot_is_of_the_generation_that_was_open_in_its_log() {
        let host = log(1, vec![opened(0), taken(1), taken(2), closed(9, 0), opened(9), taken(10)]);
        let other = log(2, vec![opened(3), taken(4)]);
        let members = Members::gather([], [&host, &other]);
        assert_eq!(members.of(generation(0)), BTreeSet::from([snapshot(1), snapshot(2)]));
        assert_eq!(members.of(generation(9)), BTreeSet::from([snapshot(10)]));
        assert_eq!(members.of(generation(3)), BTreeSet::from([snapshot(4)]));
        assert_eq!(members.all().count(), 3);
    }

    /// G-7
    #[test]
    fn a_segment_that_nothing_names_is_of_the_only_generation_that_was_open_then() {
        let host = log(1, vec![opened(0), taken(1), closed(9, 0), opened(9), taken(10)]);
        let alone = Members::gather([], [&host]);
        assert_eq!(alone.segment(snapshot(5), generation(0)), Belongs::Here);
        assert_eq!(alone.segment(snapshot(12), generation(0)), Belongs::Elsewhere);
        assert_eq!(alone.segment(snapshot(10), generation(0)), Belongs::Elsewhere);
        let other = log(2, vec![opened(3), taken(4)]);
        let both = Members::gather([], [&host, &other]);
        assert_eq!(both.segment(snapshot(1), generation(0)), Belongs::Here);
        assert_eq!(both.segment(snapshot(5), generation(0)), Belongs::Unclear);
        assert_eq!(both.segment(snapshot(2), generation(0)), Belongs::Here);
    }
}

//! The holds that logs record, and until when each stood. Spec: `retention.md` §5.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::base::{SignerId, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::policy::plan::SKEW_MAX;

/// A hold, and until when it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The snapshot that it covers.
    pub snapshot: SnapshotId,
    /// Whose log placed it.
    pub signer: SignerId,
    /// The number of that event.
    pub seq: u64,
    /// When.
    pub placed: Timestamp,
    /// Until when it counts at most.
    pub until: Option<Timestamp>,
    /// Where and when it was released.
    pub released: Option<Release>,
}

/// Where and when a hold was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Whose log says so.
    pub signer: SignerId,
    /// The number of that event.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
}

impl Hold {
    /// Returns when it ended or ends; none, if nothing says so.
    pub fn end(&self) -> Option<Timestamp> {
        self.released.map(|release| release.at).into_iter().chain(self.until).min()
    }

    /// Tells whether it stood when an event was recorded, by what that follows or quotes; else by
    /// time, and then only where no clock that is a day off can have made it so. `recorded_by` is
    /// when it was recorded at the latest, whatever it says itself.
    pub fn stood_at(&self, event: &LedgerEvent, recorded_by: Timestamp) -> bool {
        let follows = |signer: SignerId, seq: u64| match event.signer == signer {
            true => seq < event.seq,
            false => event.seen.iter().any(|seen| seen.signer == signer && seen.size > seq),
        };
        let is_long_after =
            event.signer != self.signer && event.time.duration_since(self.placed) >= SKEW_MAX;
        let is_placed = follows(self.signer, self.seq) || is_long_after;
        let is_released = self.released.is_some_and(|release| {
            follows(release.signer, release.seq)
                || event.signer != release.signer
                    && release.at.duration_since(recorded_by) <= SKEW_MAX
        });
        is_placed && !is_released && self.until.is_none_or(|until| recorded_by < until)
    }
}

/// Returns every hold that was ever placed, by its signer and number; `counts` tells which releases
/// do. Of several of one hold the earliest ended it.
pub fn holds_of<'a>(
    events: impl Iterator<Item = &'a LedgerEvent> + Clone,
    counts: impl Fn(&LedgerEvent) -> bool,
) -> BTreeMap<(SignerId, u64), Hold> {
    let mut holds = BTreeMap::new();
    for event in events.clone() {
        if let EventPayload::HoldPlaced(said) = &event.payload {
            let (snapshot, until, placed) = (said.snapshot, said.until, event.time);
            let (signer, seq, released) = (event.signer, event.seq, None);
            let hold = Hold { snapshot, signer, seq, placed, until, released };
            holds.entry((signer, seq)).or_insert(hold);
        }
    }
    for event in events.filter(|event| counts(event)) {
        let EventPayload::HoldReleased(said) = &event.payload else { continue };
        let hold = holds.get_mut(&(said.placed_by, said.placed_seq));
        let Some(hold) = hold.filter(|hold| hold.snapshot == said.snapshot) else { continue };
        let release = Release { signer: event.signer, seq: event.seq, at: event.time };
        if hold.released.is_none_or(|known| release.at < known.at) {
            hold.released = Some(release);
        }
    }
    holds
}

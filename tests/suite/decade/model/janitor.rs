//! A janitor with the real planner: which snapshots go, and then which packs.

use std::collections::BTreeMap;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::policy::prune::{
    GenerationFacts, ObjectFacts, lean_time, paid_until, settled_before, why_it_stays,
};
use idswyft_vault::policy::{Candidate, PolicyHistory, RetentionPlan};
use jiff::Timestamp;

use super::host::Taken;
use super::random::Random;
use super::setup::{Leaning, Setup};
use super::shelf::{PackNumber, Shelf};

/// What a janitor reads in notes and lists.
pub struct Janitor {
    history: PolicyHistory,
    standing: BTreeMap<SnapshotId, Taken>,
    /// When the newest snapshot that names a pack was taken, forgotten or not.
    named: BTreeMap<PackNumber, Timestamp>,
    /// When it last came to the end of a prune.
    ended: Timestamp,
    night_count: usize,
}

/// The open generation, as every store tells of it; all others are closed.
#[derive(Debug, Clone, Copy)]
pub struct OpenGeneration {
    pub number: usize,
    pub opened: Timestamp,
}

/// What a janitor did in a night.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    pub forgotten_count: u64,
    pub deleted_count: u64,
    /// Bytes of packs that went before they were paid off, and days that were paid for nothing.
    pub early_byte_days: u64,
}

impl Janitor {
    pub fn new(setup: &Setup, now: Timestamp) -> Self {
        let history = PolicyHistory::new(setup.policy.clone(), Vec::new());
        let (standing, named) = (BTreeMap::new(), BTreeMap::new());
        Self { history, standing, named, ended: now, night_count: 0 }
    }

    /// Reads the note and the list of a new snapshot.
    pub fn see(&mut self, taken: Taken) {
        for number in &taken.packs {
            self.named.insert(*number, taken.time);
        }
        self.standing.insert(SnapshotId::new(taken.time, [0; 4]), taken);
    }

    /// Returns the snapshots that stand, the oldest first.
    pub fn standing(&self) -> impl DoubleEndedIterator<Item = &Taken> {
        self.standing.values()
    }

    /// Returns when it last came to the end of a prune.
    pub const fn ended(&self) -> Timestamp {
        self.ended
    }

    /// Forgets and prunes, unless it dies over it.
    pub fn night(
        &mut self,
        setup: &Setup,
        open: OpenGeneration,
        shelf: &mut Shelf,
        now: Timestamp,
        random: &mut Random,
    ) -> Done {
        self.night_count += 1;
        let mut done = Done::default();
        if self.night_count.is_multiple_of(setup.plan_nights) {
            done.forgotten_count = self.forget(setup, shelf, now);
        }
        let left = random.happens(setup.crash_permille).then(|| random.below(20));
        self.prune(setup, open, shelf, now, left, &mut done);
        shelf.tidy();
        done
    }

    fn forget(&mut self, setup: &Setup, shelf: &mut Shelf, now: Timestamp) -> u64 {
        let candidates = self.standing.iter().map(|(id, taken)| Candidate {
            id: *id,
            time: taken.time,
            observed: Some(taken.time),
            floor: setup.policy.floor_at(taken.time),
            keep_tag: false,
            holds: Vec::new(),
            locked_until: None,
            is_verified: false,
        });
        let plan = RetentionPlan::make(&self.history, candidates.collect(), now);
        let gone: Vec<SnapshotId> = plan.dropped().map(|(one, _)| one.id).collect();
        for id in &gone {
            let taken = self.standing.remove(id).expect("it is one of the candidates");
            let floor = setup.policy.floor_at(taken.time);
            assert!(floor.is_none_or(|floor| floor <= now), "{id} went before its floor");
            shelf.release(&taken.packs, &taken.slots);
        }
        u64::try_from(gone.len()).expect("a length fits")
    }

    fn prune(
        &mut self,
        setup: &Setup,
        open: OpenGeneration,
        shelf: &mut Shelf,
        now: Timestamp,
        left: Option<usize>,
        done: &mut Done,
    ) {
        let lean = lean_time(setup.reuse_days, setup.grace_days);
        let opened = Some(open.opened);
        let settled = settled_before([GenerationFacts { is_closed: false, opened }]);
        let leans_on = setup.leaning;
        let mut going = Vec::new();
        for number in shelf.there() {
            let pack = shelf.pack(*number);
            // A writer that closed a generation leans on nothing of it any more.
            let is_over = leans_on == Leaning::UntilClosed && pack.generation != open.number;
            let facts = ObjectFacts {
                is_needed: pack.owner_count > 0,
                named: self.named.get(number).copied().filter(|_| !is_over),
                is_own: is_over && settled.is_some_and(|before| pack.put_at < before),
                stored: pack.put_at,
                locked_until: None,
                paid_until: paid_until(&setup.policy, pack.put_at, setup.prices.days_min),
            };
            if why_it_stays(&facts, lean, now).is_none() {
                going.push(*number);
            }
        }
        let until = left.unwrap_or(going.len()).min(going.len());
        for number in &going[..until] {
            let pack = shelf.pack(*number);
            let days = now.duration_since(pack.put_at).as_hours() / 24;
            let unpaid = i64::from(setup.prices.days_min).saturating_sub(days).max(0);
            done.early_byte_days += pack.stored_len * u64::try_from(unpaid).unwrap_or(0);
            done.deleted_count += 1;
            shelf.delete(*number);
            self.named.remove(number);
        }
        if until == going.len() {
            self.ended = now;
        }
    }
}

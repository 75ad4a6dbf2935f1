//! Which snapshots stay and which go, and why. Spec: `retention.md` §1.
//!
//! A pure function of policy, snapshots and time.
//!
//! - Whoever dates a snapshot wrongly changes nothing for the others: it is not counted.
//! - No store makes a snapshot older than it says it is: floor and ceiling come no sooner.
//! - Floor, hold and lock come before everything; the ceiling comes before every rule.
//! - Only this module makes a plan, so what is forgotten went through it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::keep_rule::KeepRule;
use super::period::Period;
use super::reason::{DropReason, KeepReason, Verdict};
use super::retention::Policy;
use super::times::floor_among;
use crate::base::{SignerId, SnapshotId};

/// How far a snapshot's own time may be off what others saw.
pub const SKEW_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A hold on a snapshot: the event that placed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldRef {
    /// Whose log placed it.
    pub placed_by: SignerId,
    /// The number of that event.
    pub placed_seq: u64,
    /// Until when it counts at most.
    pub until: Option<Timestamp>,
}

/// A snapshot as a plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was taken, by its writer's clock.
    pub time: Timestamp,
    /// When a store first had its note, by that store's clock; none, if none tells.
    pub observed: Option<Timestamp>,
    /// Before which time it may not go, as its note says.
    pub floor: Option<Timestamp>,
    /// Whether its note says that a tag keeps it.
    pub keep_tag: bool,
    /// The holds that cover it.
    pub holds: Vec<HoldRef>,
    /// Until when a store locks it.
    pub locked_until: Option<Timestamp>,
    /// Whether a ledger says that a drill, or a verification of all its bytes, passed.
    pub is_verified: bool,
}

impl Candidate {
    /// Tells whether rules count it: its time is that of its id and what others saw, and not in
    /// the future.
    pub fn is_counted(&self, now: Timestamp) -> bool {
        self.anomaly(now).is_none()
    }

    fn anomaly(&self, now: Timestamp) -> Option<KeepReason> {
        let is_near = |seen: Timestamp| self.time.duration_since(seen).abs() <= SKEW_MAX;
        match self.observed {
            _ if !is_past(self.time, now) => Some(KeepReason::Future),
            _ if self.id.time().as_second() != self.time.as_second() => {
                Some(KeepReason::OffId { time: self.time })
            }
            Some(seen) if is_near(seen) => None,
            observed => Some(KeepReason::Misdated { observed }),
        }
    }

    /// Returns the time from which its age is counted: the latest of what its note, its id and its
    /// store say. A store that is a copy, has no clock or lies may tell any time, and an early one
    /// must not end a floor. Only what is dated in the future is counted from its store's time
    /// alone.
    fn begins(&self, now: Timestamp) -> Timestamp {
        let said = [self.time, self.id.time()].into_iter().filter(|at| is_past(*at, now)).max();
        said.max(self.observed).unwrap_or(self.time)
    }
}

/// Tells whether a time is not in the future, as clocks go.
fn is_past(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) <= SKEW_MAX
}

/// The policies of a vault: the one in force, and those of earlier notes.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyHistory {
    in_force: Policy,
    earlier: Vec<Policy>,
}

impl PolicyHistory {
    /// Puts a policy in force after others.
    pub const fn new(in_force: Policy, earlier: Vec<Policy>) -> Self {
        Self { in_force, earlier }
    }

    /// Returns the policy in force.
    pub const fn in_force(&self) -> &Policy {
        &self.in_force
    }

    /// Returns before which time a snapshot may not go.
    ///
    /// What its note promises counts as far as any policy of this vault ever promised it: who
    /// writes notes cannot keep for good what must go.
    pub fn floor_of(&self, candidate: &Candidate, now: Timestamp) -> Option<Timestamp> {
        let begins = candidate.begins(now);
        let all = self.earlier.iter().chain([&self.in_force]);
        floor_among(&self.in_force, all, begins, candidate.floor)
    }
}

/// What becomes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The snapshot.
    pub candidate: Candidate,
    /// Whether it stays, and why.
    pub verdict: Verdict,
}

/// What becomes of every snapshot of a vault; only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPlan {
    now: Timestamp,
    planned: Vec<Planned>,
}

impl RetentionPlan {
    /// Makes the plan of a policy.
    pub fn make(history: &PolicyHistory, candidates: Vec<Candidate>, now: Timestamp) -> Self {
        let all = ordered(candidates);
        let mut kept = kept_by_rules(history.in_force(), &all, now);
        let verdict = |candidate: &Candidate| {
            let by_rules = kept.remove(&candidate.id).unwrap_or_default();
            judge(history, candidate, by_rules, now)
        };
        let verdicts: Vec<Verdict> = all.iter().map(verdict).collect();
        Self::of(all, verdicts, now)
    }

    /// Makes the plan of somebody who names what is to go: rules do not keep it, promises do.
    pub fn forget(
        history: &PolicyHistory,
        candidates: Vec<Candidate>,
        named: &[SnapshotId],
        now: Timestamp,
    ) -> Self {
        let all = ordered(candidates);
        let verdict = |candidate: &Candidate| {
            let promises = promises(history, candidate, now);
            match named.contains(&candidate.id) {
                true if promises.is_empty() => Verdict::Drop(DropReason::Asked),
                true => Verdict::Keep(promises),
                false => Verdict::Keep(vec![KeepReason::NotAsked]),
            }
        };
        let verdicts: Vec<Verdict> = all.iter().map(verdict).collect();
        Self::of(all, verdicts, now)
    }

    fn of(all: Vec<Candidate>, verdicts: Vec<Verdict>, now: Timestamp) -> Self {
        let planned = all.into_iter().zip(verdicts);
        let planned = planned.map(|(candidate, verdict)| Planned { candidate, verdict });
        Self { now, planned: planned.collect() }
    }

    /// Returns the time for which it was made.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns every snapshot, the oldest first.
    pub fn planned(&self) -> &[Planned] {
        &self.planned
    }

    /// Returns what goes and why, the oldest first.
    pub fn dropped(&self) -> impl Iterator<Item = (&Candidate, &DropReason)> {
        self.planned.iter().filter_map(|planned| match &planned.verdict {
            Verdict::Drop(reason) => Some((&planned.candidate, reason)),
            Verdict::Keep(_) => None,
        })
    }

    /// Returns what stays, the oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Candidate> {
        let kept = self.planned.iter().filter(|planned| !planned.verdict.is_drop());
        kept.map(|planned| &planned.candidate)
    }
}

/// Returns why a snapshot must stay whatever anybody says: hold, floor, lock.
pub fn promises(history: &PolicyHistory, candidate: &Candidate, now: Timestamp) -> Vec<KeepReason> {
    let counts = |hold: &&HoldRef| hold.until.is_none_or(|until| until > now);
    let holds = candidate.holds.iter().filter(counts).map(|hold| KeepReason::Hold(*hold));
    let floor = history.floor_of(candidate, now).filter(|until| *until > now);
    let locked = candidate.locked_until.filter(|until| *until > now);
    holds
        .chain(floor.map(|until| KeepReason::Floor { until }))
        .chain(locked.map(|until| KeepReason::Locked { until }))
        .collect()
}

fn judge(
    history: &PolicyHistory,
    candidate: &Candidate,
    by_rules: Vec<KeepReason>,
    now: Timestamp,
) -> Verdict {
    let policy = history.in_force();
    let mut reasons = promises(history, candidate, now);
    let begins = candidate.begins(now);
    if let (Some(age), Some(since)) = (policy.ceiling(), policy.ceiling_at(begins))
        && since <= now
    {
        return match reasons.is_empty() {
            true => Verdict::Drop(DropReason::Ceiling { age, since }),
            false => Verdict::Keep(reasons),
        };
    }
    match candidate.anomaly(now) {
        Some(anomaly) => reasons.push(anomaly),
        None if policy.keeps_everything() => reasons.push(KeepReason::Everything),
        None => {}
    }
    reasons.extend(by_rules);
    match reasons.is_empty() {
        true => Verdict::Drop(DropReason::NoRule),
        false => Verdict::Keep(reasons),
    }
}

/// Returns what rules keep among the snapshots that they count, given the oldest first.
fn kept_by_rules(
    policy: &Policy,
    all: &[Candidate],
    now: Timestamp,
) -> BTreeMap<SnapshotId, Vec<KeepReason>> {
    let counted: Vec<&Candidate> = all.iter().filter(|one| one.is_counted(now)).collect();
    let mut kept: BTreeMap<SnapshotId, Vec<KeepReason>> = BTreeMap::new();
    let mut keep = |id: SnapshotId, reason| kept.entry(id).or_default().push(reason);
    if let Some(newest) = counted.last() {
        keep(newest.id, KeepReason::Newest);
    }
    for rule in policy.keep_rules() {
        for (index, one) in (1..).zip(chosen(policy, *rule, &counted, now)) {
            keep(one.id, KeepReason::Rule { rule: *rule, index });
        }
    }
    if !policy.keep_tags().is_empty() {
        let tagged = counted.iter().filter(|one| one.keep_tag);
        tagged.for_each(|one| keep(one.id, KeepReason::Tag));
    }
    kept
}

/// Returns what one rule keeps, the newest first.
fn chosen<'a>(
    policy: &Policy,
    rule: KeepRule,
    counted: &[&'a Candidate],
    now: Timestamp,
) -> Vec<&'a Candidate> {
    let newest = || counted.iter().rev().copied();
    let at_most = |count: std::num::NonZeroU32| usize::try_from(count.get()).unwrap_or(usize::MAX);
    match rule {
        KeepRule::Last(count) => newest().take(at_most(count)).collect(),
        KeepRule::Each(period, count) => {
            firsts(policy, period, counted).into_iter().rev().take(at_most(count)).collect()
        }
        KeepRule::Within(age) => {
            newest().filter(|one| age.after(one.time, policy.zone()) > now).collect()
        }
    }
}

/// Returns the first snapshot of every period that has one, the oldest first.
fn firsts<'a>(policy: &Policy, period: Period, counted: &[&'a Candidate]) -> Vec<&'a Candidate> {
    let mut firsts: Vec<(Timestamp, &Candidate)> = Vec::new();
    for one in counted {
        let start = period.start(one.time, policy.zone());
        if firsts.last().is_none_or(|(last, _)| *last != start) {
            firsts.push((start, one));
        }
    }
    firsts.into_iter().map(|(_, one)| one).collect()
}

/// Sorts snapshots by time, and by id where two have the same; each is there once.
fn ordered(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_key(|one| (one.time, one.id));
    candidates.dedup_by_key(|one| one.id);
    candidates
}

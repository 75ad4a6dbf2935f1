//! What is looked at before anything goes. Spec: `retention.md` §2.
//!
//! A guard that strikes stops the command; each has one flag that accepts it, and none of them
//! lets go what a hold, a floor or a lock keeps.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::age::{Age, AgeUnit};
use super::plan::{Candidate, RetentionPlan, SKEW_MAX};
use super::retention::Policy;
use crate::base::SnapshotId;

/// For how long a vault may sleep beyond the period of its snapshots.
const SLEEP_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What somebody accepts beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Acceptance {
    /// The clock is right, whatever stores and ledgers say.
    Clock,
    /// The last verified snapshot may go.
    LastVerified,
    /// More than half of the snapshots may go.
    Many,
    /// What snapshots named that nobody can read any more may go.
    Missing,
}

impl Acceptance {
    /// Returns the flag that says so.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Clock => "--accept-clock",
            Self::LastVerified => "--accept-last-verified",
            Self::Many => "--accept-many",
            Self::Missing => "--accept-missing",
        }
    }
}

/// A reason to stop and ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The clock is behind what stores and ledgers have seen.
    ClockBack {
        /// The newest time that they know.
        known: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The clock is so far ahead that nobody can tell whether it is right.
    ClockAhead {
        /// The newest time that they know.
        known: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The newest snapshot that was verified would go.
    LastVerified {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// More than half of the snapshots would go.
    Many {
        /// How many would go.
        dropped_count: usize,
        /// Of how many.
        snapshot_count: usize,
    },
    /// What some snapshots named cannot be read in any store.
    Missing {
        /// How many.
        missing_count: usize,
        /// The oldest of them.
        first: SnapshotId,
    },
}

impl Guard {
    /// Returns what accepts it.
    pub const fn acceptance(&self) -> Acceptance {
        match self {
            Self::ClockBack { .. } | Self::ClockAhead { .. } => Acceptance::Clock,
            Self::LastVerified { .. } => Acceptance::LastVerified,
            Self::Many { .. } => Acceptance::Many,
            Self::Missing { .. } => Acceptance::Missing,
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBack { known, now } => {
                write!(f, "the clock says {now}, and a store or ledger has seen {known}")
            }
            Self::ClockAhead { known, now } => write!(
                f,
                "the clock says {now}, and nothing was written to the vault for long after \
                 {known}: it jumped, or no snapshot was taken"
            ),
            Self::LastVerified { snapshot } => {
                write!(f, "{snapshot} would go, and none newer was ever verified or drilled")
            }
            Self::Missing { missing_count, first } => write!(
                f,
                "no store can tell what {missing_count} snapshots named, {first} the first of them"
            ),
            Self::Many { dropped_count, snapshot_count } => {
                write!(f, "{dropped_count} of {snapshot_count} snapshots would go")
            }
        }
    }
}

/// What stores and ledgers know of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest time: when a store wrote something, and what events say that is within a day of
    /// that.
    pub newest: Timestamp,
    /// The newest before the vault slept for longer than it may, unless somebody accepted that.
    pub awake: Timestamp,
}

impl Known {
    /// Finds out what is known. Each event is given as its own time and its store's; `accepted` are
    /// the times between which somebody accepted what the clock did.
    ///
    /// What was written behind a gap proves nothing: in a store without a clock of its own it has
    /// the time of the clock that jumped.
    pub fn of(
        policy: &Policy,
        written: impl IntoIterator<Item = Timestamp>,
        events: impl IntoIterator<Item = (Timestamp, Timestamp)>,
        accepted: &[(Timestamp, Timestamp)],
    ) -> Option<Self> {
        let mut written: Vec<Timestamp> = written.into_iter().collect();
        written.sort_unstable();
        let newest = known_time(written.iter().copied(), events)?;
        let is_accepted = |from: Timestamp, to: Timestamp| {
            let covers = |(known, found): &(Timestamp, Timestamp)| {
                known.duration_since(from) <= SKEW_MAX && to.duration_since(*found) <= SKEW_MAX
            };
            accepted.iter().any(covers)
        };
        let is_gap = |pair: &&[Timestamp]| {
            pair[1].duration_since(pair[0]) > SLEEP_MAX
                && pair[1] > awake_until(policy, pair[0])
                && !is_accepted(pair[0], pair[1])
        };
        let awake = written.windows(2).find(is_gap).map_or(newest, |pair| pair[0]);
        Some(Self { newest, awake })
    }
}

impl From<Timestamp> for Known {
    fn from(newest: Timestamp) -> Self {
        Self { newest, awake: newest }
    }
}

/// Returns the newest time that is known: when a store wrote something, and what events say that
/// is within a day of that. Each event is given as its own time and its store's.
pub fn known_time(
    written: impl IntoIterator<Item = Timestamp>,
    events: impl IntoIterator<Item = (Timestamp, Timestamp)>,
) -> Option<Timestamp> {
    let is_right = |said: Timestamp, seen: Timestamp| said.duration_since(seen).abs() <= SKEW_MAX;
    let said = events.into_iter().filter(|(said, seen)| is_right(*said, *seen));
    written.into_iter().chain(said.map(|(said, _)| said)).max()
}

/// Returns until when a vault may sleep to which something was written.
fn awake_until(policy: &Policy, written: Timestamp) -> Timestamp {
    let unit = policy.every().map_or(AgeUnit::Hour, |every| every.age_unit());
    let awake = Age::saturating(1, unit).after(written, policy.zone());
    awake.checked_add(SLEEP_MAX).unwrap_or(Timestamp::MAX)
}

/// Tells whether the clock is one to go by.
pub fn clock_guard(policy: &Policy, known: Option<Known>, now: Timestamp) -> Option<Guard> {
    let Known { newest, awake } = known?;
    if newest.duration_since(now) > SKEW_MAX {
        return Some(Guard::ClockBack { known: newest, now });
    }
    (now > awake_until(policy, awake)).then_some(Guard::ClockAhead { known: awake, now })
}

/// Returns what is alarming about what a plan drops, and about what others dropped: it goes beside
/// it.
pub fn plan_guards(plan: &RetentionPlan, by_others: &[Candidate]) -> Vec<Guard> {
    let mut guards = Vec::new();
    let planned = plan.planned().iter().map(|one| (&one.candidate, one.verdict.is_drop()));
    let all = planned.chain(by_others.iter().map(|one| (one, true)));
    let verified = all.filter(|(one, _)| one.is_verified);
    if let Some((last, true)) = verified.max_by_key(|(one, _)| (one.time, one.id)) {
        guards.push(Guard::LastVerified { snapshot: last.id });
    }
    let dropped_count = plan.dropped().count() + by_others.len();
    let snapshot_count = plan.planned().len() + by_others.len();
    if dropped_count * 2 > snapshot_count {
        guards.push(Guard::Many { dropped_count, snapshot_count });
    }
    guards
}

//! Whether one object may be deleted, and if not, why and until when. Spec: `prune.md` §1.
//!
//! A pure function of what is known of the object and of the time.
//!
//! - What a snapshot that stands needs is asked first (I6), then what a writer may lean on (I9).
//! - Only then come a store's lock, and what is paid for anyway.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::retention::Policy;

/// Hours of a day that is paid for.
const HOURS_A_DAY: i64 = 24;

/// What is known of an object that a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Whether a snapshot that stands needs it.
    pub is_needed: bool,
    /// When the newest snapshot that names it was taken, forgotten or not.
    pub named: Option<Timestamp>,
    /// Whether nobody leans on it who does not know that it goes: the host that made it holds its
    /// own lock, and forgets it first; or the store had it before any generation was opened that
    /// may still be open.
    pub is_own: bool,
    /// When the store got it, by the store's clock.
    pub stored: Timestamp,
    /// Until when the store locks it.
    pub locked_until: Option<Timestamp>,
    /// Until when it is paid for, whether it is there or not.
    pub paid_until: Option<Timestamp>,
}

/// Why an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StayReason {
    /// A snapshot that stands needs it.
    Needed,
    /// A snapshot named it so lately that its writer may lean on it.
    Named {
        /// Until when.
        until: Timestamp,
    },
    /// The store has it for so short a time that a writer may name it yet.
    Fresh {
        /// Until when.
        until: Timestamp,
    },
    /// The store locks it.
    Locked {
        /// Until when.
        until: Timestamp,
    },
    /// Deleting it now would save nothing: its class is paid for until then.
    Paid {
        /// Until when.
        until: Timestamp,
    },
}

impl StayReason {
    /// Returns its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Named { .. } => "named",
            Self::Fresh { .. } => "fresh",
            Self::Locked { .. } => "locked",
            Self::Paid { .. } => "paid",
        }
    }

    /// Returns until when it holds by itself; none, if that is not a matter of time.
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Needed => None,
            Self::Named { until }
            | Self::Fresh { until }
            | Self::Locked { until }
            | Self::Paid { until } => Some(until),
        }
    }
}

impl fmt::Display for StayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns for how long a writer may lean on what it named, and a run on what it leaned on (I9).
pub fn lean_time(reuse_days: u32, grace_days: u32) -> SignedDuration {
    let days = i64::from(reuse_days) + i64::from(grace_days);
    SignedDuration::from_hours(days * HOURS_A_DAY)
}

/// Returns why an object stays; nothing, if it may go.
pub fn why_it_stays(
    facts: &ObjectFacts,
    lean_time: SignedDuration,
    now: Timestamp,
) -> Option<StayReason> {
    let later = |until: &Timestamp| *until > now;
    if facts.is_needed {
        return Some(StayReason::Needed);
    }
    let named = facts.named.map(|at| after(at, lean_time)).filter(later);
    let fresh = Some(after(facts.stored, lean_time)).filter(later).filter(|_| !facts.is_own);
    let locked = facts.locked_until.filter(later).map(|until| StayReason::Locked { until });
    let paid = facts.paid_until.filter(later).map(|until| StayReason::Paid { until });
    let named = named.map(|until| StayReason::Named { until });
    named.or(fresh.map(|until| StayReason::Fresh { until })).or(locked).or(paid)
}

/// What is known of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationFacts {
    /// Whether every store says that it is closed: then no store is owed anything of it, and its
    /// writer has no key for it any more.
    pub is_closed: bool,
    /// When this store was told that it was opened, by the store's clock.
    pub opened: Option<Timestamp>,
}

/// Returns before when a store got only what is of generations that are closed everywhere: a day
/// before it was told of the first that may be open. None, if it does not say so of all of these,
/// or there is none.
///
/// A writer puts packs of a generation only after it opened that. So no run is about to name what
/// is older, and that takes no word of whoever may put: neither of a list nor of a pack.
pub fn settled_before(generations: impl IntoIterator<Item = GenerationFacts>) -> Option<Timestamp> {
    let open = generations.into_iter().filter(|one| !one.is_closed);
    let first = open.map(|one| one.opened).reduce(|one, other| Some(one?.min(other?)))??;
    first.checked_sub(super::plan::SKEW_MAX).ok()
}

/// Returns until when an object is paid for, whose class is paid for so many days at least; none,
/// if it is paid for by the day.
///
/// A ceiling comes first: what must be gone by then does not wait for money.
pub fn paid_until(policy: &Policy, stored: Timestamp, days_min: u32) -> Option<Timestamp> {
    if days_min == 0 {
        return None;
    }
    let until = after(stored, SignedDuration::from_hours(i64::from(days_min) * HOURS_A_DAY));
    Some(policy.ceiling_at(stored).map_or(until, |ceiling| ceiling.min(until)))
}

/// Returns when a snapshot was taken, as far as it counts for what a writer leans on: by its
/// writer's clock, unless that is ahead, and never before a store had it.
pub fn named_at(id_time: Timestamp, written: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let is_ahead = id_time.duration_since(now) > super::plan::SKEW_MAX;
    match written {
        Some(written) if is_ahead => written,
        Some(written) => written.max(id_time),
        None => id_time.min(now),
    }
}

fn after(at: Timestamp, time: SignedDuration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

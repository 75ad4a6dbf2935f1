//! Why a snapshot stays or goes, in words and in parts. Spec: `retention.md` §1.2.

use std::fmt;

use jiff::Timestamp;

use super::age::Age;
use super::keep_rule::KeepRule;
use super::plan::HoldRef;

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for at least one reason.
    Keep(Vec<KeepReason>),
    /// It goes.
    Drop(DropReason),
}

impl Verdict {
    /// Tells whether the snapshot goes.
    pub const fn is_drop(&self) -> bool {
        matches!(self, Self::Drop(_))
    }
}

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// A legal hold covers it.
    Hold(HoldRef),
    /// Its floor has not passed.
    Floor {
        /// When it passes.
        until: Timestamp,
    },
    /// A store locks it.
    Locked {
        /// Until when.
        until: Timestamp,
    },
    /// Its own time is more than a day off the time at which a store had it.
    Misdated {
        /// When a store had it; none, if no store tells.
        observed: Option<Timestamp>,
    },
    /// Its own time is not that of its id.
    OffId {
        /// Its own time.
        time: Timestamp,
    },
    /// It says that it is of tomorrow or later.
    Future,
    /// The policy has no keep rule.
    Everything,
    /// It is the newest.
    Newest,
    /// A rule keeps it.
    Rule {
        /// The rule.
        rule: KeepRule,
        /// Which of those that the rule keeps it is, from 1, the newest first.
        index: u32,
    },
    /// It was taken with a tag that keeps.
    Tag,
    /// Nobody asked for it to go.
    NotAsked,
}

impl KeepReason {
    /// Returns the reason's name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Floor { .. } => "floor",
            Self::Locked { .. } => "locked",
            Self::Misdated { .. } | Self::OffId { .. } | Self::Future => "anomaly",
            Self::Everything => "everything",
            Self::Newest => "newest",
            Self::Rule { rule, .. } => rule.name(),
            Self::Tag => "keep_tags",
            Self::NotAsked => "not-asked",
        }
    }

    /// Tells whether no flag and no rule lets go what has this reason.
    pub const fn is_promise(&self) -> bool {
        matches!(self, Self::Hold(_) | Self::Floor { .. } | Self::Locked { .. })
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(HoldRef { placed_by, placed_seq, until: None }) => {
                write!(f, "hold {placed_seq} of {placed_by}")
            }
            Self::Hold(HoldRef { placed_by, placed_seq, until: Some(until) }) => {
                write!(f, "hold {placed_seq} of {placed_by} until {until}")
            }
            Self::Floor { until } => write!(f, "floor until {until}"),
            Self::Locked { until } => write!(f, "locked until {until}"),
            Self::Misdated { observed: Some(observed) } => {
                write!(f, "misdated: its store had it at {observed}")
            }
            Self::Misdated { observed: None } => f.write_str("misdated: no store tells its time"),
            Self::OffId { time } => write!(f, "misdated: its note is of {time}, its id is not"),
            Self::Future => f.write_str("dated in the future"),
            Self::Everything => f.write_str("no rule: everything is kept"),
            Self::Newest => f.write_str("newest"),
            Self::Rule { rule: KeepRule::Within(age), .. } => write!(f, "keep_within {age}"),
            Self::Rule { rule: rule @ (KeepRule::Last(of) | KeepRule::Each(_, of)), index } => {
                write!(f, "{} {index} of {of}", rule.name())
            }
            Self::Tag => f.write_str("keep_tags"),
            Self::NotAsked => f.write_str("not asked for"),
        }
    }
}

/// Why a snapshot goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropReason {
    /// It has reached the ceiling.
    Ceiling {
        /// The ceiling.
        age: Age,
        /// When it reached it.
        since: Timestamp,
    },
    /// No rule keeps it.
    NoRule,
    /// It was named.
    Asked,
}

impl DropReason {
    /// Returns the reason's name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ceiling { .. } => "ceiling",
            Self::NoRule => "no-rule",
            Self::Asked => "asked",
        }
    }
}

impl fmt::Display for DropReason {
    /// Writes what `snapshot.forgotten` says as its rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ceiling { age, since } => write!(f, "ceiling {age} reached at {since}"),
            Self::NoRule => f.write_str("no rule keeps it"),
            Self::Asked => f.write_str("asked for by name"),
        }
    }
}

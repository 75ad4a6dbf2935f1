//! Layer 1: which snapshots a vault takes in, how long they stay. Spec: §8.6, `retention.md`.
//!
//! One policy a vault, by snapshot, never by file. A value of [`Policy`] is free of contradictions
//! and usable as it stands; the one in force is the one that the signed vault note carries.

pub mod age;
mod error;
pub mod fields;
pub mod guard;
pub mod hours;
pub mod keep_rule;
pub mod period;
pub mod plan;
pub mod prune;
pub mod reason;
pub mod retention;
pub mod sampling;
pub mod shard;
pub mod space;
pub mod times;

pub use age::Age;
pub use error::PolicyError;
pub use fields::PolicyFields;
pub use guard::{Acceptance, Guard};
pub use hours::{StackJob, in_stack_hours};
pub use keep_rule::KeepRule;
pub use period::{Period, due};
pub use plan::{Candidate, HoldRef, PolicyHistory, RetentionPlan};
pub use prune::{ObjectFacts, StayReason};
pub use reason::{DropReason, KeepReason, Verdict};
pub use retention::Policy;
pub use sampling::{Confidence, Loss, Rolling, Share};
pub use shard::Shard;
pub use times::PolicyTimes;

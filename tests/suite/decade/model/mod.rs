//! Years of nights at the level of packs and chunks: a model of the source, of a host that may only
//! put, and of a janitor, around the real planner (`policy::plan`, `policy::prune`).
//!
//! - The host knows what it put and named itself, and is never told what the janitor deleted.
//! - The janitor knows notes, lists and times, as it would read them, and nothing of the host.
//! - Both die at random. What a run leaves half done is as it would be: packs without a note, a
//!   prune that did not come to its end.
//! - After every night the promises are checked against what is really there ([`Night`] tells the
//!   rest): a broken one panics.

pub mod cost;
pub mod draw;
mod host;
mod janitor;
mod random;
mod run;
pub mod setup;
mod shelf;
mod source;

pub use run::{Night, Run};
pub use setup::Setup;

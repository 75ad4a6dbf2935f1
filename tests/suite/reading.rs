//! Reading a vault in a bucket that somebody else wrote to as well: what counts, what it costs.

mod alone;
mod at_once;
pub mod barred;
mod far;
mod hostile;
pub mod shelf;
mod stored;
pub mod vast;

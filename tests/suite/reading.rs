//! Reading a vault in a bucket that somebody else wrote to as well: what counts, what it costs.

mod hostile;
mod shelf;
mod stored;

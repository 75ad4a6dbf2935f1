//! S3 servers as they really are: what the tests stand on, and what each of them does to a store.

mod bad;
mod documents;
mod locks;
mod means;
mod policies;
mod probes;
mod pruned;
mod reading;
mod refusals;
mod roles;
mod stored;
mod thaw;
mod writing;

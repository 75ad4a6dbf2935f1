//! What `verify --level ledger` finds in books that somebody tampered with: §8.8 of the spec.

pub mod fixture;
mod judging;
mod pairs;
mod table;

//! What `verify --level ledger` finds in books that somebody tampered with: §8.8 of the spec.

mod fixture;
mod judging;
mod pairs;
mod table;

//! Damage of everything that is stored or kept, in every way: it is found, it is named, and what it
//! does not touch still restores.
//!
//! [`product`] is the whole of it for a store, [`host`] for the state directory, and [`promise`]
//! the table of what `verify` owes. [`bits`] goes through a small vault bit by bit.

mod audit;
mod bench;
mod bits;
mod fixture;
mod harm;
mod host;
mod hostile;
mod kinds;
mod next;
mod outage;
mod product;
mod promise;
mod shelf;

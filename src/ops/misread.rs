//! Lines of a tree that cannot be read: told once, however many there are. Spec: §7.2, I8.

use thiserror::Error;

use crate::base::{Code, Coded};
use crate::format::tree::TreeError;

/// What was wrong with some lines of one tree.
#[derive(Debug, Error)]
#[error("line {first_number}: {first}; {count} lines cannot be read in all")]
pub struct Misread {
    first: TreeError,
    first_number: u64,
    count: u64,
}

impl Misread {
    /// Adds a line, numbered from 1, to those that were misread before.
    pub fn add(slot: &mut Option<Self>, number: u64, error: TreeError) {
        let new = Self { first: error, first_number: number, count: 0 };
        slot.get_or_insert(new).count += 1;
    }
}

impl Coded for Misread {
    fn code(&self) -> Code {
        self.first.code()
    }
}

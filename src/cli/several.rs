//! Work on several vaults: what stops one is no reason to leave the others.

use super::report::{Ending, Failure, say, words};
use super::session::Session;

/// What could not be done of several vaults.
pub struct Several<'a> {
    session: &'a Session,
    vault_count: usize,
    failed: Vec<(String, Failure)>,
}

impl<'a> Several<'a> {
    /// Begins work on so many vaults.
    pub const fn new(vault_count: usize, session: &'a Session) -> Self {
        Self { session, vault_count, failed: Vec::new() }
    }

    /// Returns what came of a vault; why nothing did is told, where others go on.
    pub fn take<T>(&mut self, name: &str, done: Result<T, Failure>) -> Option<T> {
        let failure = match done {
            Ok(done) => return Some(done),
            Err(failure) => failure,
        };
        if self.vault_count > 1 {
            let why = failure.chain().join(": ");
            self.session.report.note(&format!("vault {name}: failed to {why}"));
        }
        self.failed.push((name.to_owned(), failure));
        None
    }

    /// Returns how many vaults are meant.
    pub const fn vault_count(&self) -> usize {
        self.vault_count
    }

    /// Returns the names of those that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.failed.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the first failure.
    pub fn failure(&self) -> Option<&Failure> {
        self.failed.first().map(|(_, failure)| failure)
    }

    /// Goes on, unless nothing was done of any.
    ///
    /// # Errors
    /// The first failure, if all failed.
    pub fn unless_all_failed(mut self) -> Result<Self, Failure> {
        match self.failed.is_empty() || self.failed.len() < self.vault_count {
            true => Ok(self),
            false => Err(self.failed.swap_remove(0).1),
        }
    }

    /// Ends the work.
    ///
    /// # Errors
    /// The first of any vault. What came of the others, in `words`, is told then, for nobody else
    /// will.
    pub fn end(self, ending: Ending, words: impl FnOnce() -> String) -> Result<(), Failure> {
        let is_silent = ending == Ending::Done && self.session.report.is_quiet();
        let Some((_, failure)) = self.failed.into_iter().next() else { return Ok(()) };
        if !is_silent {
            words().lines().for_each(|line| say(&format!("{}\n", words::printable(line))));
        }
        Err(failure)
    }
}

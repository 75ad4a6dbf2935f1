//! What each step passes by which this program changes a disk that it is to rely on later.
//!
//! Beside the clock and the entropy this is the third part of the outside that is a parameter: who
//! stands at the gate learns in which order things were made durable, and can end the run between
//! any two of them.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A change of a disk, or what makes one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A directory is made.
    MakeDirectory(&'a Path),
    /// A file is created.
    CreateFile(&'a Path),
    /// The bytes of a file are made durable.
    SyncFile(&'a Path),
    /// The names in a directory are made durable.
    SyncDirectory(&'a Path),
    /// A file gets this name beside the one that it has.
    Link(&'a Path),
    /// A file gets this name instead of the one that it has.
    Rename(&'a Path),
    /// This name is removed.
    Remove(&'a Path),
    /// A transaction of this database is committed, durably.
    Commit(&'a Path),
}

/// Stands before and after every step.
pub trait Gate: Debug + Send + Sync {
    /// Is asked before a step.
    ///
    /// # Errors
    /// What the step fails with, and then it is not done.
    fn before(&self, step: Step<'_>) -> io::Result<()>;

    /// Is told once a step is done.
    ///
    /// # Errors
    /// What the step fails with all the same.
    fn after(&self, step: Step<'_>) -> io::Result<()>;
}

impl dyn Gate {
    /// Takes a step between the two questions.
    ///
    /// # Errors
    /// If the gate or the step fails.
    pub fn pass<T>(&self, step: Step<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.before(step)?;
        let done = act()?;
        self.after(step)?;
        Ok(done)
    }
}

/// Lets every step pass.
#[derive(Debug, Clone, Copy)]
pub struct OpenGate;

impl OpenGate {
    /// Returns the gate of whoever has no say in how the disk is changed.
    pub fn shared() -> Arc<dyn Gate> {
        Arc::new(Self)
    }
}

impl Gate for OpenGate {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        Ok(())
    }

    fn after(&self, _step: Step<'_>) -> io::Result<()> {
        Ok(())
    }
}

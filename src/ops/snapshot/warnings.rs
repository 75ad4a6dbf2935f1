//! What a run warns of: told at once, and kept for the body.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::base::{Code, Coded, Event, Observer, with_causes};
use crate::format::body::BodyWarning;
use crate::format::tree::sort_key;
use crate::source::Problem;

/// Warnings that a body keeps; a tree full of unreadable files must not fill it.
const KEPT_COUNT_MAX: usize = 1000;
/// Vanished files that are remembered; a walk sees few of them.
const VANISHED_COUNT_MAX: usize = 100_000;

/// Collects the warnings of a run.
#[derive(Clone)]
pub struct Warnings {
    observer: Arc<dyn Observer>,
    kept: Arc<Mutex<Vec<BodyWarning>>>,
    /// Sort keys of what vanished during the walk.
    vanished: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

impl Warnings {
    /// Starts with none.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, kept: Arc::default(), vanished: Arc::default() }
    }

    /// Tells and keeps a warning.
    pub fn warn(&self, code: Code, detail: String) {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() < KEPT_COUNT_MAX {
            kept.push(BodyWarning { code: code.text().to_owned(), detail: detail.clone() });
        }
        drop(kept);
        self.observer.observe(Event::Warning { code, detail });
    }

    /// Tells and keeps an error that does not stop the run.
    pub fn warn_of(&self, error: &impl Coded) {
        self.warn(error.code(), with_causes(error));
    }

    /// Tells and keeps a problem of the walk; what vanished is remembered.
    pub fn warn_of_problem(&self, problem: &Problem) {
        if let Problem::Vanished { path } = problem {
            let mut vanished =
                self.vanished.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if vanished.len() < VANISHED_COUNT_MAX {
                vanished.insert(sort_key(path));
            }
        }
        self.warn_of(problem);
    }

    /// Returns the sort keys of what vanished.
    pub fn vanished(&self) -> BTreeSet<Vec<u8>> {
        self.vanished.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Returns what was kept.
    pub fn kept(&self) -> Vec<BodyWarning> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

//! What a run warns of: told at once, and kept for the body.

use std::sync::{Arc, Mutex};

use crate::base::{Code, Coded, Event, Observer};
use crate::format::body::BodyWarning;

/// Warnings that a body keeps; a tree full of unreadable files must not fill it.
const KEPT_COUNT_MAX: usize = 1000;

/// Collects the warnings of a run.
#[derive(Clone)]
pub struct Warnings {
    observer: Arc<dyn Observer>,
    kept: Arc<Mutex<Vec<BodyWarning>>>,
}

impl Warnings {
    /// Starts with none.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, kept: Arc::new(Mutex::new(Vec::new())) }
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
        let mut detail = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            detail = format!("{detail}: {cause}");
            next = cause.source();
        }
        self.warn(error.code(), detail);
    }

    /// Returns what was kept.
    pub fn kept(&self) -> Vec<BodyWarning> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

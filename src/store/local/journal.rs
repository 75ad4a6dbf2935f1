//! What a test thread has done to the disk, in order: how the order of syncs is tested (C4).

/// Notes one change or sync; nothing outside tests.
#[cfg(not(test))]
pub(super) fn record(_step: impl FnOnce() -> String) {}

#[cfg(test)]
pub(super) use recording::{record, take};

#[cfg(test)]
mod recording {
    use std::cell::RefCell;

    thread_local! {
        static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes one change or sync of this thread.
    pub(in super::super) fn record(step: impl FnOnce() -> String) {
        STEPS.with_borrow_mut(|steps| steps.push(step()));
    }

    /// Returns what this thread has done since the last call.
    pub(in super::super) fn take() -> Vec<String> {
        STEPS.take()
    }
}

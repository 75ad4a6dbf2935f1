//! Snapshots that stand past their ceiling. Spec: `compliance.md` §2.

use jiff::{SignedDuration, Timestamp};

use super::gaps::Rpo;
use crate::base::{Code, Coded};
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::ops::verify::Collector;
use crate::ops::verify::books::Books;
use crate::policy::plan::SKEW_MAX;
use crate::vault::ledger::too_late::written_in;

/// Time beyond the interval for the run that applies the policy: a day for whoever looks after it.
const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// Finds every snapshot that stands past its ceiling though nothing keeps it, and a run that would
/// have let it go is overdue.
///
/// # Errors
/// If the store does not answer.
pub fn check(
    books: &Books<'_>,
    rpo: Rpo,
    now: Timestamp,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let hours = i64::try_from(rpo.row(books.every_at(now)).hours).unwrap_or(i64::MAX / 7200);
    let interval = SignedDuration::from_hours(hours.min(i64::MAX / 7200));
    let is_due = |at: Timestamp| now.duration_since(at) > interval.saturating_add(GRACE);
    for note in books.notes.values() {
        let known = begins(note, None, now);
        let due = |begins| books.over_age_since(note, begins, now).filter(|at| is_due(*at));
        // The store is asked for the few only that look old.
        if known.is_some_and(|begins| due(begins).is_none()) {
            continue;
        }
        let key = ObjectKey::Note(note.snapshot);
        let Some(begins) = begins(note, written_in(books.auditor, &key)?, now) else { continue };
        let Some(at) = due(begins) else { continue };
        let locked = match books.auditor.versions().locked_until(key) {
            Err(error) if error.code() == Code::StoreDenied => None,
            other => other?,
        };
        let at = at.max(locked.unwrap_or(at));
        if is_due(at) {
            let said = match books.gone(note.snapshot) {
                Some(_) => "a ledger says that it is forgotten, and its note is there",
                None => "nothing has kept it since",
            };
            let detail = format!("it had to go at {at}, when it was past its ceiling: {said}");
            collector.add(Code::OverAge, key, detail);
        }
    }
    Ok(())
}

/// Returns the time from which a snapshot's age is counted, as a plan does (F-28).
fn begins(note: &SnapshotNote, seen: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let is_past = |at: &Timestamp| at.duration_since(now) <= SKEW_MAX;
    [note.time, note.snapshot.time()].into_iter().filter(is_past).max().max(seen)
}

//! Stores that a ledger names and that were not given. Spec: `generations.md` §1.2, G-19.

use std::collections::BTreeSet;

use crate::format::event::EventPayload;
use crate::ops::retain::Survey;

/// Returns the names of the stores of which a host recorded that they have a snapshot whole, and
/// that are not among those that were looked at.
pub fn unseen(survey: &Survey) -> BTreeSet<String> {
    let given: BTreeSet<&str> =
        survey.auditors.iter().map(|auditor| auditor.store().name()).collect();
    let events = survey.logs.iter().flatten().flat_map(|log| &log.events);
    let named = events.filter_map(|event| match &event.payload {
        EventPayload::StoreCompleted(said) => Some(&said.store),
        _ => None,
    });
    named.filter(|name| !given.contains(name.as_str())).cloned().collect()
}

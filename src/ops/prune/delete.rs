//! Deleting what is recorded: a failure leaves it for the next run. Spec: `prune.md` §3.

use super::census::Amount;
use super::{PAGE_COUNT, PrunePlan, PruneRequest};
use crate::base::{Code, Event, Observer, with_causes};
use crate::manifest::Pick;
use crate::ops::Error;
use crate::store;
use crate::vault;
use crate::vault::at_once::map_at_once;

/// What was deleted in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The store's name.
    pub store: String,
    /// What is gone.
    pub deleted: Amount,
    /// How many objects the store did not let go: the next run deletes them.
    pub left_count: u64,
}

/// Deletes in one store what goes from it; all of it is recorded in every store.
///
/// # Errors
/// If the scratch file cannot be read.
pub fn delete_in(
    request: &PruneRequest<'_>,
    plan: &PrunePlan,
    number: usize,
    observer: &dyn Observer,
) -> Result<Swept, Error> {
    let store = request.survey.auditors[number].store();
    let mut swept =
        Swept { store: store.name().to_owned(), deleted: Amount::default(), left_count: 0 };
    let (mut after, mut first_error) = (None, None);
    loop {
        let page = plan.sweep.page(number, Pick::All, after.as_ref(), PAGE_COUNT);
        let page = page.map_err(vault::Error::from)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for same in page.chunk_by(|one, other| one.is_list() == other.is_list()) {
            // A list says what may go until that is gone.
            if same[0].is_list() && swept.left_count > 0 {
                swept.left_count += same.len() as u64;
                continue;
            }
            let done = map_at_once(store.calls_at_once(), same, |going| store.delete(&going.key));
            for (going, done) in same.iter().zip(done) {
                match done {
                    Ok(()) => swept.deleted.add(going.stored_len),
                    // Another janitor was here.
                    Err(store::Error::Missing { .. }) => {}
                    Err(error) => {
                        swept.left_count += 1;
                        first_error.get_or_insert(error);
                    }
                }
            }
        }
        observer.observe(Event::Advanced { len: page.iter().map(|one| one.stored_len).sum() });
    }
    if let Some(error) = first_error {
        let (store, count) = (&swept.store, swept.left_count);
        let why = with_causes(&error);
        let detail = format!("the next run deletes {count} objects in store {store}: {why}");
        observer.observe(Event::Warning { code: Code::PruneWaiting, detail });
    }
    Ok(swept)
}

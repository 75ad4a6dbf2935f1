//! The vault notes of all stores: which is in force, and by which everything is judged. Spec:
//! `retention.md` §2.

use super::error::RetainError;
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::policy::{Policy, PolicyHistory};
use crate::vault::auditor::ChainLink;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Auditor, changes};

/// Returns the longest chain of vault notes of any store.
///
/// # Errors
/// If that may not be the newest: a later note is there and does not verify, or another store has
/// another chain.
pub fn newest_of(auditors: &[Auditor]) -> Result<Vec<ChainLink>, Error> {
    let longest = auditors.iter().map(Auditor::chain).max_by_key(|chain| chain.len());
    let longest = longest.filter(|chain| !chain.is_empty()).ok_or_else(|| no_note(auditors))?;
    let unsure = |reason: String| Err(RetainError::NoteUnsure { reason }.into());
    for auditor in auditors {
        let store = auditor.store().name();
        let mut pairs = longest.iter().zip(auditor.chain());
        if let Some((one, _)) = pairs.find(|(one, other)| one.sha256 != other.sha256) {
            let number = one.note.number;
            return unsure(format!("store {store} has another vault note {number}, both signed"));
        }
        // That a mirror as long as this one has none proves nothing: it may lag.
        let is_later = |key: &ObjectKey| match key {
            ObjectKey::Vault(number) => !longest.iter().any(|link| link.note.number == *number),
            _ => true,
        };
        if let Some((key, error)) = auditor.problems().iter().find(|(key, _)| is_later(key)) {
            return unsure(format!("{key} does not verify in store {store}: {error}"));
        }
    }
    Ok(longest.to_vec())
}

fn no_note(auditors: &[Auditor]) -> Error {
    let names: Vec<&str> = auditors.iter().map(|auditor| auditor.store().name()).collect();
    vault::Error::NoVaultNote { store: names.join(", ") }.into()
}

/// Refuses a chain that lacks a note that a ledger records.
pub fn check_recorded(chain: &[ChainLink], logs: &[Vec<SignerLog>]) -> Result<(), Error> {
    let events = logs.iter().flatten().flat_map(|log| &log.events);
    let recorded = events.filter_map(|event| changes::note_of(&event.payload));
    match recorded.map(|note| note.number).max() {
        Some(number) if usize::try_from(number).is_ok_and(|number| number > chain.len()) => {
            let reason = format!("a ledger records vault note {number}, and no store has it");
            Err(RetainError::NoteUnsure { reason }.into())
        }
        _ => Ok(()),
    }
}

/// Returns the policies of a chain.
pub fn history_of(chain: &[ChainLink]) -> Result<PolicyHistory, Error> {
    let policies = chain.iter().map(|link| Policy::from_json(&link.note.policy));
    let mut policies = policies.collect::<Result<Vec<_>, _>>()?;
    let in_force = match policies.pop() {
        Some(policy) => policy,
        None => Policy::from_json(&serde_json::Map::new())?,
    };
    Ok(PolicyHistory::new(in_force, policies))
}

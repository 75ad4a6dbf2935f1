//! What retired signers say too late for it to count. Spec: `retention.md` §2, F-31.
//!
//! Whoever has the key of a retired signer can date an event back. So of what takes protection
//! away, that a snapshot is forgotten or a hold released, only that counts which was said in time;
//! every other event counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::SignerLog;
use super::quotes::quoted_ends;
use crate::base::{Code, Coded, SignerId, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::format::vault_note::VaultNote;
use crate::format::{Folder, ObjectKey};
use crate::store::Listed;
use crate::vault::{Auditor, Error};

/// The events that take protection away and do not count.
#[derive(Debug, Default)]
pub struct TooLate(BTreeSet<(SignerId, u64)>);

impl TooLate {
    /// Finds them among events; `written` tells when a store first had one.
    ///
    /// # Errors
    /// Whatever `written` says.
    pub fn of<'a, E>(
        note: &VaultNote,
        events: impl Iterator<Item = &'a LedgerEvent> + Clone,
        written: impl Fn(&ObjectKey) -> Result<Option<Timestamp>, E>,
    ) -> Result<Self, E> {
        let ends: BTreeMap<SignerId, u64> = quoted_ends(events.clone());
        let mut too_late = BTreeSet::new();
        for event in events.filter(|event| takes(event)) {
            let delegate = note.delegate(event.signer);
            let Some(retired) = delegate.and_then(|delegate| delegate.retired) else { continue };
            let counts = match ends.get(&event.signer) {
                // Where its log was quoted as it was retired, that is where it ends, whatever a
                // clock says.
                Some(end) => event.seq < *end,
                None => {
                    let key = ObjectKey::LedgerEvent(event.signer, event.seq);
                    written(&key)?.is_some_and(|at| at < retired)
                }
            };
            if !counts {
                too_late.insert((event.signer, event.seq));
            }
        }
        Ok(Self(too_late))
    }

    /// Finds them in the logs of one store.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn in_store(auditor: &Auditor, logs: &[SignerLog]) -> Result<Self, Error> {
        let events = logs.iter().flat_map(|log| &log.events);
        Self::of(auditor.note(), events, |key| written_in(auditor, key))
    }

    /// Tells whether an event counts.
    pub fn counts(&self, event: &LedgerEvent) -> bool {
        !takes(event) || !self.0.contains(&(event.signer, event.seq))
    }

    /// Returns the snapshots that an event which counts says are forgotten.
    pub fn forgotten_in(&self, logs: &[SignerLog]) -> BTreeSet<SnapshotId> {
        let events = logs.iter().flat_map(|log| &log.events).filter(|event| self.counts(event));
        let forgotten = events.filter_map(|event| match &event.payload {
            EventPayload::SnapshotForgotten(said) => Some(said.snapshot),
            _ => None,
        });
        forgotten.collect()
    }
}

/// Tells whether an event takes protection away.
const fn takes(event: &LedgerEvent) -> bool {
    matches!(event.payload, EventPayload::SnapshotForgotten(_) | EventPayload::HoldReleased(_))
}

/// Returns when a store first had each event of its logs, of those of which it tells: with the
/// requests of a listing.
///
/// # Errors
/// If the store does not answer.
pub fn written_events(auditor: &Auditor) -> Result<BTreeMap<ObjectKey, Timestamp>, Error> {
    let mut written = BTreeMap::new();
    for listed in auditor.store().list(Folder::Ledger)? {
        if let Listed::Object(key @ ObjectKey::LedgerEvent(..), stat) = listed? {
            // Of one that was put over, the newest version is no witness.
            let first = match auditor.versions().is_rewritten(key) {
                true => written_in(auditor, &key)?,
                false => stat.modified,
            };
            written.extend(first.map(|at| (key, at)));
        }
    }
    Ok(written)
}

/// Returns when a store first had an object, if it tells: of several versions the oldest.
///
/// # Errors
/// If the store does not answer; that it does not let this reader look is no error.
pub fn written_in(auditor: &Auditor, key: &ObjectKey) -> Result<Option<Timestamp>, Error> {
    let views = auditor.versions().views(*key)?;
    let oldest = views.first().unwrap_or(auditor.store());
    match oldest.stat(key) {
        Ok(stat) => Ok(stat.and_then(|stat| stat.modified)),
        Err(error) if error.code() == Code::StoreDenied => Ok(None),
        Err(error) => Err(error.into()),
    }
}

//! What a rebuild gives the stores, before it asks each of them what it has. Spec: §9.4.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Known;
use crate::base::{Code, Digest, Event, Observer};
use crate::crypto::digest::sha256;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::ops::Error;
use crate::ops::replicate::{self, Replicated, Replication};
use crate::store::Store;
use crate::vault::Outside;
use crate::vault::signed::Signed;
use crate::vault::state::StateDir;

/// Returns what a host had put before the event that it had not signed yet: whatever else nothing
/// signed names somebody may have planted.
pub(super) fn begun_by((event, leaf): &(LedgerEvent, Vec<u8>)) -> BTreeMap<ObjectKey, Digest> {
    let mut begun = BTreeMap::new();
    begun.insert(ObjectKey::LedgerEvent(event.signer, event.seq), sha256(leaf));
    if let EventPayload::GenerationOpened(opened) = &event.payload {
        let files = opened.revs.iter();
        begun.extend(
            files.map(|file| (ObjectKey::Generation(opened.generation, file.rev), file.sha256)),
        );
    }
    begun
}

/// Gives every other store what the one with the longest log has.
pub(super) fn complete(
    known: &Known,
    begun: &BTreeMap<ObjectKey, Digest>,
    stores: &[Arc<dyn Store>],
    state: &StateDir,
    outside: &Outside,
    observer: &dyn Observer,
) -> Result<Replicated, Error> {
    let mut sum = Replicated::default();
    let signed = Signed::gather(std::slice::from_ref(&known.store), &known.root)?;
    for store in stores.iter().filter(|store| store.name() != known.store.name()) {
        let request = Replication {
            source: &known.store,
            target: store,
            signed: &signed,
            begun,
            scratch: &state.spool()?,
            now: outside.clock.now(),
            settle: &|_, _| Ok(()),
        };
        let copied = replicate::replicate(&request, observer)?;
        for finding in copied.damaged {
            let detail = format!("{}: {}", finding.object, finding.detail);
            observer.observe(Event::Warning { code: finding.code, detail });
        }
        if copied.archived_count > 0 {
            let detail = format!(
                "store {} lacks {} packs that are archived in store {}: `replicate` copies them",
                store.name(),
                copied.archived_count,
                known.store.name()
            );
            observer.observe(Event::Warning { code: Code::ObjectArchived, detail });
        }
        sum.object_count += copied.object_count;
        sum.stored_len += copied.stored_len;
    }
    Ok(sum)
}

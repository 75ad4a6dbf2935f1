//! Recording that a store has a snapshot whole, and what it said when it took it. Spec: §8.4,
//! `mirrors.md` §6.
//!
//! Whatever a store acknowledged is covered by one `store.completed` event: the first that follows
//! it. So the ledger tells later whether the receipts that a host shows are those that it got.

use super::writer::Writer;
use super::{Error, receipts};
use crate::base::{Digest, SnapshotId};
use crate::crypto::digest::sha256;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::StoreCompleted;
use crate::manifest::{KeptReceipt, Manifest};
use crate::store;

/// Returns the SHA-256 of the lines of receipts, which are sorted by name.
pub fn receipts_digest(receipts: &[KeptReceipt]) -> Digest {
    let lines: String = receipts.iter().map(receipts::line).collect();
    sha256(lines.as_bytes())
}

/// Computes anew what the event of a store and a snapshot has as `receipts_sha256`; nothing, if
/// this manifest has no receipt that it covers.
///
/// # Errors
/// If the manifest cannot be read.
pub fn covered_digest(
    manifest: &Manifest,
    store: &str,
    snapshot: SnapshotId,
) -> Result<Option<Digest>, Error> {
    let receipts = manifest.receipts_of(store, Some(snapshot))?;
    Ok((!receipts.is_empty()).then(|| receipts_digest(&receipts)))
}

impl Writer {
    /// Journals an event for every store that has a snapshot whole since the last one, and proved
    /// it with a version id or a checksum over the network; tells whether there was any.
    ///
    /// # Errors
    /// If the manifest cannot be read or written.
    pub fn record_completed(&mut self) -> Result<bool, Error> {
        let (mut events, mut completed) = (Vec::new(), Vec::new());
        for place in self.mirrors().all() {
            // What a directory says of itself proves nothing.
            let is_directory = store::directory(place.url()).is_some();
            if is_directory || self.manifest().outgoing_count(place.name())? > 0 {
                continue;
            }
            let receipts = self.manifest().receipts_of(place.name(), None)?;
            let Some(snapshot) = receipts.iter().filter_map(proven_note).max() else { continue };
            let (store, receipts_sha256) =
                (place.name().to_owned(), Some(receipts_digest(&receipts)));
            completed.push((store.clone(), snapshot));
            let event = StoreCompleted { store, snapshot, receipts_sha256 };
            events.push(EventPayload::StoreCompleted(event));
        }
        if completed.is_empty() {
            return Ok(false);
        }
        self.record_covering(events, &completed)?;
        Ok(true)
    }
}

fn proven_note(receipt: &KeptReceipt) -> Option<SnapshotId> {
    match receipt.key {
        ObjectKey::Note(id) if receipt.version_id.is_some() || receipt.checksum.is_some() => {
            Some(id)
        }
        _ => None,
    }
}

//! The next event of a signer that may not write to the stores: made and signed, and put nowhere.
//! Spec: `report.md` §4.
//!
//! What is drafted is kept as any event is, so the signer's next one follows it, whoever adds it.

use std::sync::Arc;

use super::{Kept, Recorder, SignerLog, number_of, seen_of};
use crate::crypto::signing::SigningKey;
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::manifest::{Outgoing, Payload};
use crate::ops::Error;
use crate::vault::Outside;
use crate::vault::journal::Journal;

/// An event and the checkpoint after it, for somebody else to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The event's exact bytes.
    pub event: Vec<u8>,
    /// The signed checkpoint after it.
    pub checkpoint: Vec<u8>,
    /// Whether it is one that was drafted before, and which no store has yet.
    pub is_earlier: bool,
}

/// Drafts a signer's next event; if an earlier draft is in no store yet, returns that one again.
///
/// `logs` are those of each store.
///
/// # Errors
/// If the log in the stores is not the one that this signer left.
pub fn draft(
    key: SigningKey,
    logs: &[Vec<SignerLog>],
    payload: EventPayload,
    kept: Box<dyn Kept>,
    outside: &Outside,
) -> Result<Draft, Error> {
    let (vault, signer) = (key.verification_key().vault(), key.signer_id());
    let own: Vec<Option<&SignerLog>> =
        logs.iter().map(|logs| logs.iter().find(|log| log.signer == signer)).collect();
    let (seen, clock) = (seen_of(logs, signer), Arc::clone(&outside.clock));
    let (stores, journal) = (Vec::new(), Journal::empty());
    let mut recorder =
        Recorder { vault, key, stores, journal, seen, locked_until: None, clock, kept };
    let longest = own.iter().flatten().max_by_key(|log| log.head.size);
    if let Some(lead) = longest {
        // Without a store to put to, this only reads the log.
        recorder.follow(lead, &own)?;
    }
    let size = recorder.journal.head().size;
    recorder.check_kept(longest.map_or(&[], |lead| &lead.events))?;
    let Recorder { key, journal, kept, .. } = &mut recorder;
    if let Some(event) = kept.pending()? {
        if LedgerEvent::parse(&event, vault, signer, size).is_ok() {
            let checkpoint = bytes_of(&journal.append_leaf(key, vault, &event)?);
            return Ok(Draft { event, checkpoint, is_earlier: true });
        }
        if number_of(&event).is_some_and(|seq| seq > size) {
            return Err(recorder.broken(size, "it is shorter than this signer left it"));
        }
    }
    let now = recorder.clock.now();
    let seen = recorder.seen.clone();
    let made = recorder.journal.append(&recorder.key, vault, now, payload, seen)?;
    let [event, checkpoint] = &made[..] else { unreachable!("an event and its checkpoint") };
    let (event, checkpoint) = (bytes_of(event), bytes_of(checkpoint));
    recorder.kept.keep(&event)?;
    Ok(Draft { event, checkpoint, is_earlier: false })
}

fn bytes_of(object: &Outgoing) -> Vec<u8> {
    match &object.payload {
        Payload::Bytes(bytes) => bytes.clone(),
        _ => Vec::new(),
    }
}

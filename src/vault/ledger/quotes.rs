//! What logs say of one another: events quote checkpoints that their signer had seen. Spec: §8.8.
//!
//! A log that was cut or rewritten cannot take back what others quote of it. So that nobody stops
//! a vault with an invented quote for good, those of writers and of retired signers count for
//! nothing, and what retires a signer says where its log ends.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::SignerLog;
use crate::base::SignerId;
use crate::crypto::checkpoint::TreeHead;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::format::role::Role;
use crate::format::vault_note::VaultNote;

/// What an event says that another log was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The event.
    pub event: ObjectKey,
    /// Whose log it quotes.
    pub signer: SignerId,
    /// What that log was.
    pub head: TreeHead,
    /// When that was seen at the latest, by the times of who quotes it.
    pub seen_by: Timestamp,
}

/// Returns every quote that counts.
pub fn quotes_of<'a>(
    note: &VaultNote,
    logs: impl IntoIterator<Item = &'a SignerLog>,
) -> Vec<Quote> {
    let is_retired = |id: SignerId| note.delegate(id).is_some_and(|one| one.retired.is_some());
    let counts = |log: &&SignerLog| {
        let delegate = note.delegate(log.signer);
        delegate.is_some_and(|one| one.role != Role::Writer && one.retired.is_none())
    };
    let mut quotes = Vec::new();
    for log in logs.into_iter().filter(counts) {
        let mut seen_by = Timestamp::MIN;
        for event in &log.events {
            // A clock that went back makes nothing earlier.
            seen_by = seen_by.max(event.time);
            let closes = closed_by(event);
            for seen in &event.seen {
                if !is_retired(seen.signer) || closes == Some(seen.signer) {
                    let head = TreeHead { size: seen.size, root: seen.root };
                    let event = ObjectKey::LedgerEvent(event.signer, event.seq);
                    quotes.push(Quote { event, signer: seen.signer, head, seen_by });
                }
            }
        }
    }
    quotes
}

/// Returns how long the log of each retired signer was when it was retired; 0 if nothing says so.
pub fn closed_logs<'a>(logs: impl IntoIterator<Item = &'a SignerLog>) -> BTreeMap<SignerId, u64> {
    let events = logs.into_iter().flat_map(|log| &log.events);
    ends(events).map(|(signer, end)| (signer, end.unwrap_or(0))).collect()
}

/// As [`closed_logs`], of events; of a signer of which it is not said, nothing.
pub fn quoted_ends<'a>(
    events: impl IntoIterator<Item = &'a LedgerEvent>,
) -> BTreeMap<SignerId, u64> {
    ends(events).filter_map(|(signer, end)| Some((signer, end?))).collect()
}

/// Returns each signer that was retired, and how long its log was then, if that is said.
fn ends<'a>(
    events: impl IntoIterator<Item = &'a LedgerEvent>,
) -> impl Iterator<Item = (SignerId, Option<u64>)> {
    events.into_iter().filter_map(|event| {
        let subject = closed_by(event)?;
        let quoted = event.seen.iter().find(|seen| seen.signer == subject);
        Some((subject, quoted.map(|seen| seen.size)))
    })
}

const fn closed_by(event: &LedgerEvent) -> Option<SignerId> {
    match &event.payload {
        EventPayload::SignerRetired(retired) => Some(retired.subject),
        _ => None,
    }
}

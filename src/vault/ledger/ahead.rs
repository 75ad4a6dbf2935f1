//! Reading a log of a store that is far away: side by side, and no more of it than proves it.

use std::collections::VecDeque;

use super::{SignerLog, Step, check_delegation, empty_log, read_log};
use crate::base::SignerId;
use crate::base::limits::{LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};
use crate::crypto::signing::VerificationKey;
use crate::format::ObjectKey;
use crate::vault::at_once::map_at_once;
use crate::vault::auditor::Auditor;

/// Reads a log by its newest checkpoint alone, which signs all of it (RFC 6962 §2.1): a store that
/// is far away is asked half as often. If that does not work out, reading step by step tells why.
pub fn read_by_newest(
    auditor: &Auditor,
    signer: SignerId,
    size: u64,
    key: Option<&VerificationKey>,
) -> SignerLog {
    let newest = key.and_then(|key| proven_by_newest(auditor, key, size));
    newest.unwrap_or_else(|| read_log(auditor, signer, size, key))
}

fn proven_by_newest(auditor: &Auditor, key: &VerificationKey, size: u64) -> Option<SignerLog> {
    let (signer, store) = (key.signer_id(), auditor.store());
    let newest = ObjectKey::LedgerCheckpoint(signer, size.checked_sub(1)?);
    let keys = (0..size).map(|seq| ObjectKey::LedgerEvent(signer, seq)).chain([newest]);
    let keys: Vec<ObjectKey> = keys.collect();
    let at_once = store.calls_at_once();
    if at_once < 2 || keys.iter().any(|key| auditor.versions().may_be_rewritten(*key)) {
        return None;
    }
    let mut read = map_at_once(at_once, &keys, |key| {
        let len_max = if *key == newest { NOTE_LEN_MAX } else { LEDGER_EVENT_LEN_MAX };
        store.get(key, len_max).ok()
    });
    let checkpoint = read.pop()??;
    let mut log = empty_log(signer);
    for (seq, leaf) in (0..).zip(read) {
        let step = Step { auditor, key, seq, before: &log.frontier };
        let leaf = leaf?;
        let (event, frontier) = step.append(&leaf).ok()?;
        check_delegation(auditor.note(), &event, ObjectKey::LedgerEvent(signer, seq)).ok()?;
        log.frontier = frontier;
        log.hashes.append(&leaf);
        log.events.push(event);
    }
    let last = Step { auditor, key, seq: size - 1, before: &log.frontier };
    last.check(&log.frontier, &checkpoint).ok()?;
    log.head = log.frontier.head();
    log.checkpoint = Some(checkpoint);
    Some(log)
}

/// Events and checkpoints that are read before their turn, where a store takes several calls at a
/// time. What is wrong with one of them is for its turn to say.
pub struct Ahead<'a> {
    auditor: &'a Auditor,
    signer: SignerId,
    /// Of the log.
    pub size: u64,
    read: VecDeque<(u64, Option<Pair>)>,
}

/// The bytes of an event and of the checkpoint after it.
type Pair = (Vec<u8>, Vec<u8>);

impl<'a> Ahead<'a> {
    pub const fn new(auditor: &'a Auditor, signer: SignerId, size: u64) -> Self {
        Self { auditor, signer, size, read: VecDeque::new() }
    }

    /// Returns the event and the checkpoint of a number, if they were there and have one version.
    pub fn take(&mut self, seq: u64) -> Option<Pair> {
        let at_once = self.auditor.store().calls_at_once();
        if at_once < 2 {
            return None;
        }
        if self.read.is_empty() {
            let end = self.size.min(seq.saturating_add(at_once as u64));
            let seqs: Vec<u64> = (seq..end).collect();
            let read = map_at_once(at_once, &seqs, |seq| self.pair(*seq));
            self.read = seqs.into_iter().zip(read).collect();
        }
        self.read.pop_front().filter(|(read, _)| *read == seq).and_then(|(_, pair)| pair)
    }

    fn pair(&self, seq: u64) -> Option<Pair> {
        let event = ObjectKey::LedgerEvent(self.signer, seq);
        let checkpoint = ObjectKey::LedgerCheckpoint(self.signer, seq);
        let versions = self.auditor.versions();
        if versions.may_be_rewritten(event) || versions.may_be_rewritten(checkpoint) {
            return None;
        }
        let store = self.auditor.store();
        let leaf = store.get(&event, LEDGER_EVENT_LEN_MAX).ok()?;
        Some((leaf, store.get(&checkpoint, NOTE_LEN_MAX).ok()?))
    }
}

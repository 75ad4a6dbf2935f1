//! Appending to the log of a janitor or an operator, in every store. Spec: `retention.md` §3.
//!
//! - An event counts as recorded when every store has it with its checkpoint.
//! - What an interrupted run left is completed first, and only what this signer kept itself.
//! - A log that is shorter than it was left, or forks, gets nothing more.

mod draft;
mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

pub use draft::{Draft, draft};
pub use kept::{Kept, KeptFile};

use super::Error;
use super::retain::RetainError;
use crate::base::{Clock, Code, Coded, SignerId, VaultId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::Frontier;
use crate::crypto::signing::SigningKey;
use crate::format::ObjectKey;
use crate::format::event::{EventKind, EventPayload};
use crate::format::ledger::{LedgerEvent, SeenCheckpoint};
use crate::format::vault_note::VaultNote;
use crate::manifest::{Outgoing, Payload};
use crate::store::Store;
use crate::vault::delivery::{Load, Parcel, Taken};
use crate::vault::journal::{Journal, outgoing};
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Outside};

/// A signer's log in every store of a vault, ready to go on.
pub struct Recorder {
    vault: VaultId,
    key: SigningKey,
    stores: Vec<Arc<dyn Store>>,
    journal: Journal,
    seen: Vec<SeenCheckpoint>,
    locked_until: Option<Timestamp>,
    clock: Arc<dyn Clock>,
    kept: Box<dyn Kept>,
}

/// Refuses a signer that may not append a kind of event.
///
/// # Errors
/// If the vault note does not delegate it, or retired the signer.
pub fn check_delegated(note: &VaultNote, signer: SignerId, kind: EventKind) -> Result<(), Error> {
    let refuse = |reason: String| Err(RetainError::Signer { signer, reason }.into());
    match note.delegate(signer) {
        None => refuse(format!("vault note {} does not have it", note.number)),
        Some(one) if one.retired.is_some() => {
            refuse(format!("vault note {} retired it", note.number))
        }
        Some(one) if !one.may_append(kind) => {
            refuse(format!("vault note {} does not delegate {kind} to it", note.number))
        }
        Some(_) => Ok(()),
    }
}

impl Recorder {
    /// Brings a signer's log to the same state in every store. Returns it, and the newest event
    /// that a store got by that, if any did: then what the logs said before is not all.
    ///
    /// `logs` are those of each store, in the order of `stores`.
    ///
    /// # Errors
    /// If a store does not answer, or the log is not the one that this signer left.
    pub fn open(
        key: SigningKey,
        stores: Vec<Arc<dyn Store>>,
        logs: &[Vec<SignerLog>],
        locked_until: Option<Timestamp>,
        kept: Box<dyn Kept>,
        outside: &Outside,
    ) -> Result<(Self, Option<LedgerEvent>), Error> {
        let (vault, signer) = (key.verification_key().vault(), key.signer_id());
        let seen = seen_of(logs, signer);
        let own: Vec<Option<&SignerLog>> =
            logs.iter().map(|logs| logs.iter().find(|log| log.signer == signer)).collect();
        let clock = Arc::clone(&outside.clock);
        let journal = Journal::empty();
        let mut recorder = Self { vault, key, stores, journal, seen, locked_until, clock, kept };
        let longest = own.iter().flatten().max_by_key(|log| log.head.size);
        let brought = match longest {
            Some(lead) => recorder.follow(lead, &own)?,
            None => None,
        };
        let size = recorder.journal.head().size;
        recorder.check_kept(longest.map_or(&[], |lead| &lead.events))?;
        let completed = recorder.complete(size)?;
        let is_planted = |log: &&SignerLog| log.pending == Some(size);
        if completed.is_none() && own.iter().flatten().any(is_planted) {
            let reason = "it has no checkpoint and is not what this signer kept, so it is not \
                          signed: remove it by hand from the stores that have it, or retire this \
                          signer and add another";
            return Err(recorder.broken(size, reason));
        }
        Ok((recorder, completed.or(brought)))
    }

    /// Returns the signer.
    pub const fn signer(&self) -> SignerId {
        self.key.signer_id()
    }

    /// Appends an event in every store.
    ///
    /// # Errors
    /// If a store does not take it. The next run completes it; this recorder is not used again.
    pub fn append(&mut self, payload: EventPayload) -> Result<(), Error> {
        let (now, seen) = (self.clock.now(), self.seen.clone());
        let objects = self.journal.append(&self.key, self.vault, now, payload, seen)?;
        if let Some(Outgoing { payload: Payload::Bytes(leaf), .. }) = objects.first() {
            self.kept.keep(leaf)?;
        }
        objects.iter().try_for_each(|object| self.put_everywhere(object))?;
        self.kept.settle(&self.journal.head())
    }

    /// Takes up the longest log, and gives each store what it lacks of it; returns the newest event
    /// that one lacked.
    fn follow(
        &mut self,
        lead: &SignerLog,
        own: &[Option<&SignerLog>],
    ) -> Result<Option<LedgerEvent>, Error> {
        // Of logs as long as this any could be the lead: what is wrong behind one is in the way.
        let behind = own.iter().flatten().filter(|log| log.head.size == lead.head.size);
        if let Some((key, problem)) = behind.flat_map(|log| &log.problems).next() {
            let reason = format!("it does not go on from here: {problem}");
            return Err(vault::Error::Ledger { key: *key, reason }.into());
        }
        let heads = heads_of(&lead.events)?;
        let sizes = own.iter().map(|log| log.map_or(0, |log| log.head.size));
        let sizes: Vec<u64> = sizes.collect();
        for log in own.iter().flatten() {
            if find_head(&heads, log.head.size) != Some(log.head) {
                let reason = "two stores have different histories of it, both signed";
                return Err(self.broken(log.head.size, reason));
            }
        }
        if heads.last() != Some(&lead.head) {
            return Err(self.broken(lead.head.size, "a newer program wrote to it"));
        }
        let least = sizes.iter().min().copied().unwrap_or(0);
        let mut journal = Journal::empty();
        for (seq, event) in (0..).zip(&lead.events) {
            let key = ObjectKey::LedgerEvent(lead.signer, seq);
            let leaf = event.compose().map_err(|cause| vault::Error::format(key, cause))?;
            let checkpoint = journal.append_leaf(&self.key, self.vault, &leaf)?;
            if seq < least {
                continue;
            }
            let lacking = self.stores.iter().zip(&sizes).filter(|(_, size)| **size <= seq);
            for (store, _) in lacking {
                self.put(store, &outgoing(key, leaf.clone()))?;
                self.put(store, &checkpoint)?;
            }
        }
        self.journal = journal;
        let lacked = least < lead.head.size;
        Ok(lead.events.last().filter(|_| lacked).cloned())
    }

    /// Compares the log with what this signer kept of it.
    fn check_kept(&self, events: &[LedgerEvent]) -> Result<(), Error> {
        let Some(kept) = self.kept.head()? else { return Ok(()) };
        match find_head(&heads_of(events)?, kept.size) {
            Some(found) if found == kept => Ok(()),
            Some(_) => Err(self.broken(kept.size, "it is not the log that this signer left")),
            None => {
                let size = events.len();
                let reason = format!(
                    "it has {size} events, this signer left {}: it was rolled back",
                    kept.size
                );
                Err(self.broken(kept.size, &reason))
            }
        }
    }

    /// Completes the event that was kept, if the log lacks it.
    fn complete(&mut self, size: u64) -> Result<Option<LedgerEvent>, Error> {
        let Some(leaf) = self.kept.pending()? else { return Ok(None) };
        let signer = self.signer();
        let event = match LedgerEvent::parse(&leaf, self.vault, signer, size) {
            Ok(event) => event,
            Err(_) if number_of(&leaf).is_some_and(|seq| seq > size) => {
                return Err(self.broken(size, "it is shorter than this signer left it"));
            }
            // It is in the log already, and only that was not taken note of.
            Err(_) => return self.kept.settle(&self.journal.head()).map(|()| None),
        };
        let checkpoint = self.journal.append_leaf(&self.key, self.vault, &leaf)?;
        self.put_everywhere(&outgoing(ObjectKey::LedgerEvent(signer, size), leaf))?;
        self.put_everywhere(&checkpoint)?;
        self.kept.settle(&self.journal.head())?;
        Ok(Some(event))
    }

    fn put_everywhere(&self, object: &Outgoing) -> Result<(), Error> {
        self.stores.iter().try_for_each(|store| self.put(store, object))
    }

    fn put(&self, store: &Arc<dyn Store>, object: &Outgoing) -> Result<(), Error> {
        let Outgoing { key, sha256, payload: Payload::Bytes(bytes), .. } = object else {
            return Ok(());
        };
        let (load, locked_until) = (Load::Bytes(bytes.as_slice().into()), self.locked_until);
        let parcel = Parcel { key: *key, sha256: *sha256, load, locked_until };
        match parcel.put(store) {
            Ok(Taken::Proven(_)) => Ok(()),
            // Whose bytes these are nobody can tell: they may be another event's.
            Ok(Taken::Unproven) => Err(vault::Error::ChangedMeanwhile { key: *key }.into()),
            Err(error) if error.code() == Code::ObjectExists => {
                Err(vault::Error::ChangedMeanwhile { key: *key }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn broken(&self, size: u64, reason: &str) -> Error {
        let key = ObjectKey::LedgerEvent(self.signer(), size.saturating_sub(1));
        vault::Error::Ledger { key, reason: reason.to_owned() }.into()
    }
}

/// Returns the log's head after each number of events, from none on.
fn heads_of(events: &[LedgerEvent]) -> Result<Vec<TreeHead>, Error> {
    let mut frontier = Frontier::empty();
    let mut heads = vec![frontier.head()];
    for event in events {
        let key = ObjectKey::LedgerEvent(event.signer, event.seq);
        let leaf = event.compose().map_err(|cause| vault::Error::format(key, cause))?;
        frontier.append(&leaf);
        heads.push(frontier.head());
    }
    Ok(heads)
}

fn find_head(heads: &[TreeHead], size: u64) -> Option<TreeHead> {
    heads.get(usize::try_from(size).ok()?).copied()
}

/// Returns the number that an event gives itself.
fn number_of(leaf: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seq: u64,
    }
    serde_json::from_slice::<Numbered>(leaf).ok().map(|numbered| numbered.seq)
}

/// Returns the newest checkpoints of the other logs that every store has, sorted by signer: so in
/// no store a quote is ahead of what is quoted (V-214).
fn seen_of(logs: &[Vec<SignerLog>], own: SignerId) -> Vec<SeenCheckpoint> {
    let all: BTreeSet<SignerId> = logs.iter().flatten().map(|log| log.signer).collect();
    let others = all.into_iter().filter(|signer| *signer != own);
    let shortest = |signer: SignerId| {
        let found = |logs: &Vec<SignerLog>| logs.iter().position(|log| log.signer == signer);
        let each: Option<Vec<&SignerLog>> =
            logs.iter().map(|logs| found(logs).map(|at| &logs[at])).collect();
        each?.into_iter().min_by_key(|log| log.head.size).filter(|log| log.head.size > 0)
    };
    let quote = |log: &SignerLog| {
        let TreeHead { size, root } = log.head;
        SeenCheckpoint { signer: log.signer, size, root }
    };
    others.filter_map(shortest).map(quote).collect()
}

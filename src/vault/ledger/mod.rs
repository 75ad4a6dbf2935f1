//! Reading the ledgers: one log per signer, each checked against its own checkpoints. Spec: §8.

mod ahead;
pub mod holds;
pub mod quotes;
pub mod too_late;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use self::ahead::{Ahead, read_by_newest};
use super::auditor::Auditor;
use super::{Error, notes};
use crate::base::limits::{LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{Code, Coded as _, GenerationId, SignerId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::{Frontier, Log};
use crate::crypto::signing::{VerificationKey, verify};
use crate::format::event::{EventName, EventPayload};
use crate::format::event_fields::{GenerationOpened, GenerationRev};
use crate::format::ledger::LedgerEvent;
use crate::format::vault_note::VaultNote;
use crate::format::{Folder, ObjectKey};
use crate::store::Store;

/// One signer's log as a store has it.
pub struct SignerLog {
    /// The signer.
    pub signer: SignerId,
    /// Its events, in order, as far as each verified.
    pub events: Vec<LedgerEvent>,
    /// Size and root after the last of them.
    pub head: TreeHead,
    /// What appending to the log needs.
    pub frontier: Frontier,
    /// Every hash of it: what proves that an event stands in it, and what it once was.
    pub hashes: Log,
    /// Its newest checkpoint, as stored.
    pub checkpoint: Option<Vec<u8>>,
    /// The event behind them whose checkpoint is not there: what an interrupted delivery leaves.
    pub pending: Option<u64>,
    /// What did not verify.
    pub problems: Vec<(ObjectKey, Error)>,
}

/// Reads every log in the store, of whichever signer.
///
/// # Errors
/// If the store cannot be listed.
pub fn read_all(auditor: &Auditor) -> Result<Vec<SignerLog>, Error> {
    read_each(auditor, read_log)
}

/// What reads one log of a size; without a key nothing in it can be believed.
type ReadLog = fn(&Auditor, SignerId, u64, Option<&VerificationKey>) -> SignerLog;

fn read_each(auditor: &Auditor, read: ReadLog) -> Result<Vec<SignerLog>, Error> {
    // Of each log how far it goes by its names, and how many of them are events.
    let mut sizes: BTreeMap<SignerId, (u64, u64)> = BTreeMap::new();
    for key in auditor.versions().list(Folder::Ledger)? {
        if let ObjectKey::LedgerEvent(signer, seq) | ObjectKey::LedgerCheckpoint(signer, seq) = key
        {
            let (size, event_count) = sizes.entry(signer).or_default();
            *size = (*size).max(seq.saturating_add(1));
            *event_count += u64::from(matches!(key, ObjectKey::LedgerEvent(..)));
        }
    }
    for delegate in &auditor.note().signers {
        sizes.entry(delegate.id).or_default();
    }
    let keys = notes::signer_keys(auditor.note())?;
    let key_of = |signer| keys.iter().find(|key| key.signer_id() == signer);
    Ok(sizes
        .into_iter()
        .map(|(signer, (size, event_count))| {
            // Whoever may put can name any number: one step after the other ends at the gap.
            let read = if event_count == size { read } else { read_log };
            read(auditor, signer, size, key_of(signer))
        })
        .collect())
}

fn empty_log(signer: SignerId) -> SignerLog {
    SignerLog {
        signer,
        events: Vec::new(),
        head: Frontier::empty().head(),
        frontier: Frontier::empty(),
        hashes: Log::empty(),
        checkpoint: None,
        pending: None,
        problems: Vec::new(),
    }
}

fn read_log(
    auditor: &Auditor,
    signer: SignerId,
    size: u64,
    key: Option<&VerificationKey>,
) -> SignerLog {
    let mut log = empty_log(signer);
    let Some(key) = key else {
        if size > 0 {
            let reason = format!("the vault note delegates nothing to signer {signer}");
            let object = ObjectKey::LedgerEvent(signer, 0);
            log.problems.push((object, Error::NotDelegated { key: object, reason }));
        }
        return log;
    };
    let mut ahead = Ahead::new(auditor, signer, size);
    for seq in 0..size {
        match read_entry(auditor, key, seq, &mut ahead, &mut log) {
            Ok(Entry::Read) => log.head = log.frontier.head(),
            Ok(Entry::Pending) => {
                log.pending = Some(seq);
                break;
            }
            // What follows a gap or a fork cannot be tied to what came before it.
            Err(problem) => {
                log.problems.push(*problem);
                break;
            }
        }
    }
    log
}

/// What was found under one number of a log.
enum Entry {
    Read,
    Pending,
}

/// Reads one event and its checkpoint, or tells that the last event waits for its own.
fn read_entry(
    auditor: &Auditor,
    key: &VerificationKey,
    seq: u64,
    ahead: &mut Ahead<'_>,
    log: &mut SignerLog,
) -> Result<Entry, Box<(ObjectKey, Error)>> {
    if seq + 1 == ahead.size && lacks_checkpoint(auditor, log.signer, seq)? {
        return Ok(Entry::Pending);
    }
    read_step(auditor, key, seq, ahead, log).map(|()| Entry::Read)
}

/// Tells whether the last event is there and its checkpoint is not. The checkpoint is delivered
/// second, and it alone is signed, so until it is there the event says nothing.
fn lacks_checkpoint(
    auditor: &Auditor,
    signer: SignerId,
    seq: u64,
) -> Result<bool, Box<(ObjectKey, Error)>> {
    // That a store does not answer is no sign that something is missing.
    let found =
        |key: ObjectKey| auditor.versions().has(key).map_err(|error| Box::new((key, error)));
    Ok(found(ObjectKey::LedgerEvent(signer, seq))?
        && !found(ObjectKey::LedgerCheckpoint(signer, seq))?)
}

/// Reads one event and the checkpoint after it: of several versions of either, the oldest pair that
/// verifies.
fn read_step(
    auditor: &Auditor,
    key: &VerificationKey,
    seq: u64,
    ahead: &mut Ahead<'_>,
    log: &mut SignerLog,
) -> Result<(), Box<(ObjectKey, Error)>> {
    let signer = key.signer_id();
    let event_key = ObjectKey::LedgerEvent(signer, seq);
    let checkpoint_key = ObjectKey::LedgerCheckpoint(signer, seq);
    let step = Step { auditor, key, seq, before: &log.frontier };
    let early = ahead.take(seq).and_then(|(leaf, bytes)| {
        let (event, frontier) = step.append(&leaf).ok()?;
        step.check(&frontier, &bytes).ok()?;
        Some((leaf, event, frontier, bytes))
    });
    // Which of the two an error is about.
    let about = Cell::new(event_key);
    let read = || {
        auditor.versions().signed(event_key, |view| {
            about.set(event_key);
            let leaf = get(view.as_ref(), event_key, LEDGER_EVENT_LEN_MAX)?;
            let event = match step.parse(&leaf) {
                Err(error) if error.code() != Code::FormatTooNew => return Err(error),
                event => event,
            };
            let frontier = step.after(&leaf);
            let bytes = auditor.versions().signed(checkpoint_key, |view| {
                about.set(checkpoint_key);
                let bytes = get(view.as_ref(), checkpoint_key, NOTE_LEN_MAX)?;
                step.check(&frontier, &bytes)?;
                Ok(bytes)
            })?;
            // Who put it may say that a newer program is needed; its signer is believed.
            about.set(event_key);
            Ok((leaf, event?, frontier, bytes))
        })
    };
    let found = early.map_or_else(read, Ok);
    let (leaf, event, frontier, bytes) = found.map_err(|error| Box::new((about.get(), error)))?;
    check_delegation(auditor.note(), &event, event_key)
        .map_err(|error| Box::new((event_key, error)))?;
    log.frontier = frontier;
    log.hashes.append(&leaf);
    log.events.push(event);
    log.checkpoint = Some(bytes);
    Ok(())
}

/// One number of a log, and what came before it.
struct Step<'a> {
    auditor: &'a Auditor,
    key: &'a VerificationKey,
    seq: u64,
    before: &'a Frontier,
}

impl Step<'_> {
    /// Reads an event; returns the log with it.
    fn append(&self, leaf: &[u8]) -> Result<(LedgerEvent, Frontier), Error> {
        Ok((self.parse(leaf)?, self.after(leaf)))
    }

    fn parse(&self, leaf: &[u8]) -> Result<LedgerEvent, Error> {
        let (vault, signer) = (self.auditor.vault(), self.key.signer_id());
        LedgerEvent::parse(leaf, vault, signer, self.seq)
            .map_err(|e| Error::format(ObjectKey::LedgerEvent(signer, self.seq), e))
    }

    fn after(&self, leaf: &[u8]) -> Frontier {
        let mut frontier = self.before.clone();
        frontier.append(leaf);
        frontier
    }

    /// Checks that a checkpoint signs the log.
    fn check(&self, frontier: &Frontier, bytes: &[u8]) -> Result<(), Error> {
        let signer = self.key.signer_id();
        let key = ObjectKey::LedgerCheckpoint(signer, self.seq);
        let text = verify(bytes, &[self.key]).map_err(|e| notes::signature(key, &e))?;
        let signed = TreeHead::parse_checkpoint(text.text(), self.auditor.vault(), signer)?;
        frontier.check(&signed).map_err(|e| Error::Ledger { key, reason: e.to_string() })
    }
}

fn get(store: &dyn Store, key: ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
    store.get(&key, len_max).map_err(|error| ledger_error(key, error))
}

fn ledger_error(key: ObjectKey, error: crate::store::Error) -> Error {
    match error {
        crate::store::Error::Missing { .. } => {
            Error::Ledger { key, reason: "it is missing, though a later one exists".to_owned() }
        }
        other => other.into(),
    }
}

/// Checks that an event's signer was allowed to append it.
///
/// # Errors
/// If the vault note does not delegate that to it, or had retired it before.
pub(super) fn check_delegation(
    note: &VaultNote,
    event: &LedgerEvent,
    key: ObjectKey,
) -> Result<(), Error> {
    let delegate = note.delegate(event.signer);
    let name = event.payload.name();
    let refuse = |reason: String| Err(Error::NotDelegated { key, reason });
    match (delegate, &name) {
        (Some(delegate), EventName::Known(kind)) if !delegate.may_append(*kind) => {
            refuse(format!("signer {} may not append {name}", event.signer))
        }
        (Some(delegate), _) if delegate.retired.is_some_and(|at| event.time >= at) => {
            refuse(format!("signer {} was retired before it", event.signer))
        }
        _ => Ok(()),
    }
}

/// Reads every log for who leans on what they say: by the newest checkpoint of each, where that
/// proves all of it, else as [`read_all`] does.
///
/// # Errors
/// If the store cannot be listed or does not answer; what is damaged in a log only ends it (I8).
pub fn read_answered(auditor: &Auditor) -> Result<Vec<SignerLog>, Error> {
    answered(auditor, read_each(auditor, read_by_newest)?)
}

/// Returns logs that were read, if the store answered about all of them: who compares them with
/// what they were must not take its silence for something that is gone.
///
/// # Errors
/// Why it did not.
pub fn answered(auditor: &Auditor, mut logs: Vec<SignerLog>) -> Result<Vec<SignerLog>, Error> {
    let silent = |(_, error): &(ObjectKey, Error)| auditor.damage(error).is_none();
    for log in &mut logs {
        if let Some(at) = log.problems.iter().position(silent) {
            return Err(log.problems.swap_remove(at).1);
        }
    }
    Ok(logs)
}

/// Returns what is signed of every generation, as often as any signer opened it, with the files
/// that were sealed for other recipients since. A second record that says something else must not
/// shadow the first (I8).
///
/// Events of logs were found to be delegated, so only who may change recipients has named further
/// files.
pub fn generations_of(logs: &[SignerLog]) -> BTreeMap<GenerationId, Vec<GenerationOpened>> {
    let mut generations: BTreeMap<GenerationId, Vec<GenerationOpened>> = BTreeMap::new();
    let events = || logs.iter().flat_map(|log| &log.events);
    for event in events() {
        if let EventPayload::GenerationOpened(opened) = &event.payload {
            generations.entry(opened.generation).or_default().push(opened.clone());
        }
    }
    for event in events() {
        let EventPayload::RecipientsChanged(changed) = &event.payload else { continue };
        for sealed in &changed.generations {
            for opened in generations.get_mut(&sealed.generation).into_iter().flatten() {
                opened.revs.push(GenerationRev { rev: sealed.rev, sha256: sealed.sha256 });
            }
        }
    }
    generations
}

/// Returns the generations whose secrets a log says were destroyed.
pub fn shredded_of(logs: &[SignerLog]) -> BTreeSet<GenerationId> {
    let events = logs.iter().flat_map(|log| &log.events);
    let shredded = events.filter_map(|event| match &event.payload {
        EventPayload::GenerationShredded(shredded) => Some(shredded.generation),
        _ => None,
    });
    shredded.collect()
}

/// Returns the checkpoint of a log at a size, for whoever quotes it.
///
/// # Errors
/// If it is missing, or its signer has not signed it.
pub fn checkpoint(auditor: &Auditor, signer: SignerId, size: u64) -> Result<TreeHead, Error> {
    let key = ObjectKey::LedgerCheckpoint(signer, size.saturating_sub(1));
    let keys = notes::signer_keys(auditor.note())?;
    let own: Vec<&VerificationKey> = keys.iter().filter(|key| key.signer_id() == signer).collect();
    auditor.versions().signed(key, |view| {
        let bytes = view.get(&key, NOTE_LEN_MAX)?;
        let text = verify(&bytes, &own).map_err(|e| notes::signature(key, &e))?;
        Ok(TreeHead::parse_checkpoint(text.text(), auditor.vault(), signer)?)
    })
}

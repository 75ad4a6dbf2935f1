//! Reading the ledgers: one log per signer, each checked against its own checkpoints. Spec: §8.

use std::collections::BTreeMap;

use super::auditor::Auditor;
use super::{Error, notes};
use crate::base::limits::{LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{GenerationId, SignerId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::Frontier;
use crate::crypto::signing::{VerificationKey, verify};
use crate::format::event::{EventName, EventPayload};
use crate::format::event_fields::GenerationOpened;
use crate::format::ledger::LedgerEvent;
use crate::format::{Folder, ObjectKey};
use crate::store::Listed;

/// One signer's log as a store has it.
pub struct SignerLog {
    /// The signer.
    pub signer: SignerId,
    /// Its events, in order, as far as each verified.
    pub events: Vec<LedgerEvent>,
    /// Size and root after the last of them.
    pub head: TreeHead,
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
    let mut sizes: BTreeMap<SignerId, u64> = BTreeMap::new();
    for listed in auditor.store().list(Folder::Ledger)? {
        let Listed::Object(key, _) = listed? else { continue };
        if let ObjectKey::LedgerEvent(signer, seq) | ObjectKey::LedgerCheckpoint(signer, seq) = key
        {
            let size = sizes.entry(signer).or_default();
            *size = (*size).max(seq + 1);
        }
    }
    for delegate in &auditor.note().signers {
        sizes.entry(delegate.id).or_default();
    }
    let keys = notes::signer_keys(auditor.note())?;
    let key_of = |signer| keys.iter().find(|key| key.signer_id() == signer);
    Ok(sizes
        .into_iter()
        .map(|(signer, size)| read_log(auditor, signer, size, key_of(signer)))
        .collect())
}

fn read_log(
    auditor: &Auditor,
    signer: SignerId,
    size: u64,
    key: Option<&VerificationKey>,
) -> SignerLog {
    let mut log = SignerLog {
        signer,
        events: Vec::new(),
        head: Frontier::empty().head(),
        checkpoint: None,
        pending: None,
        problems: Vec::new(),
    };
    let Some(key) = key else {
        if size > 0 {
            let reason = format!("the vault note delegates nothing to signer {signer}");
            let object = ObjectKey::LedgerEvent(signer, 0);
            log.problems.push((object, Error::NotDelegated { key: object, reason }));
        }
        return log;
    };
    let mut frontier = Frontier::empty();
    for seq in 0..size {
        if seq + 1 == size && lacks_checkpoint(auditor, signer, seq) {
            log.pending = Some(seq);
            break;
        }
        if let Err(problem) = read_step(auditor, key, seq, &mut frontier, &mut log) {
            // What follows a gap or a fork cannot be tied to what came before it.
            log.problems.push(*problem);
            break;
        }
        log.head = frontier.head();
    }
    log
}

/// Tells whether the last event is there and its checkpoint is not. The checkpoint is delivered
/// second, and it alone is signed, so until it is there the event says nothing. What is there and
/// cannot be read is not missing.
fn lacks_checkpoint(auditor: &Auditor, signer: SignerId, seq: u64) -> bool {
    let missing = |key| matches!(auditor.store().stat(&key), Ok(None));
    !missing(ObjectKey::LedgerEvent(signer, seq))
        && missing(ObjectKey::LedgerCheckpoint(signer, seq))
}

/// Reads one event and the checkpoint after it.
fn read_step(
    auditor: &Auditor,
    key: &VerificationKey,
    seq: u64,
    frontier: &mut Frontier,
    log: &mut SignerLog,
) -> Result<(), Box<(ObjectKey, Error)>> {
    let (store, vault, signer) = (auditor.store(), auditor.vault(), key.signer_id());
    let event_key = ObjectKey::LedgerEvent(signer, seq);
    let leaf = store
        .get(&event_key, LEDGER_EVENT_LEN_MAX)
        .map_err(|e| Box::new((event_key, ledger_error(event_key, e))))?;
    let event = LedgerEvent::parse(&leaf, vault, signer, seq)
        .map_err(|e| Box::new((event_key, Error::format(event_key, e))))?;
    frontier.append(&leaf);
    let checkpoint_key = ObjectKey::LedgerCheckpoint(signer, seq);
    let bytes = store
        .get(&checkpoint_key, NOTE_LEN_MAX)
        .map_err(|e| Box::new((checkpoint_key, ledger_error(checkpoint_key, e))))?;
    let text = verify(&bytes, &[key])
        .map_err(|e| Box::new((checkpoint_key, notes::signature(checkpoint_key, &e))))?;
    let signed = TreeHead::parse_checkpoint(text.text(), vault, signer)
        .map_err(|e| Box::new((checkpoint_key, e.into())))?;
    frontier.check(&signed).map_err(|e| {
        let reason = e.to_string();
        Box::new((checkpoint_key, Error::Ledger { key: checkpoint_key, reason }))
    })?;
    check_delegation(auditor, &event, event_key).map_err(|e| Box::new((event_key, e)))?;
    log.events.push(event);
    log.checkpoint = Some(bytes);
    Ok(())
}

fn ledger_error(key: ObjectKey, error: crate::store::Error) -> Error {
    match error {
        crate::store::Error::Missing { .. } => {
            Error::Ledger { key, reason: "it is missing, though a later one exists".to_owned() }
        }
        other => other.into(),
    }
}

fn check_delegation(auditor: &Auditor, event: &LedgerEvent, key: ObjectKey) -> Result<(), Error> {
    let delegate = auditor.note().delegate(event.signer);
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

/// Returns what was signed of every generation when a ledger opened it: of each as often as any
/// signer did. A second one that signs something else must not shadow the first (I8).
///
/// # Errors
/// If the store cannot be listed.
pub fn generations(
    auditor: &Auditor,
) -> Result<BTreeMap<GenerationId, Vec<GenerationOpened>>, Error> {
    let mut generations: BTreeMap<GenerationId, Vec<GenerationOpened>> = BTreeMap::new();
    for log in read_all(auditor)? {
        for event in log.events {
            if let EventPayload::GenerationOpened(opened) = event.payload {
                generations.entry(opened.generation).or_default().push(opened);
            }
        }
    }
    Ok(generations)
}

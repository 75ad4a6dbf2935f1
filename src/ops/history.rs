//! What the ledgers prove to somebody who does not trust this host. Spec: §8.7.

use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::base::{SignerId, SnapshotId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::check_inclusion;
use crate::crypto::signing::{SigningError, verify};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::proof::LogProof;
use crate::ops::Error;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Auditor, notes};

/// Proves that the taking of a snapshot stands in the log of who took it, as it is now; nothing, if
/// no log records it.
///
/// # Errors
/// If the event cannot be read, or is not the one in the log.
pub fn prove(
    auditor: &Auditor,
    logs: &[SignerLog],
    snapshot: SnapshotId,
) -> Result<Option<LogProof>, Error> {
    let takes = |payload: &EventPayload| match payload {
        EventPayload::SnapshotTaken(taken) => taken.snapshot == snapshot,
        _ => false,
    };
    for log in logs {
        let Some(event) = log.events.iter().find(|event| takes(&event.payload)) else { continue };
        let Some(checkpoint) = log.checkpoint.clone() else { continue };
        let key = ObjectKey::LedgerEvent(log.signer, event.seq);
        let wrong = |error: crate::crypto::merkle::MerkleError| {
            Error::from(vault::Error::Ledger { key, reason: error.to_string() })
        };
        let hashes = log.hashes.prove_included(event.seq).map_err(wrong)?;
        let leaf = auditor.versions().signed(key, |view| {
            let leaf = view.get(&key, LEDGER_EVENT_LEN_MAX)?;
            let included = check_inclusion(&log.head, event.seq, &leaf, &hashes);
            let reason = |error: crate::crypto::merkle::MerkleError| error.to_string();
            included.map_err(|error| vault::Error::Ledger { key, reason: reason(error) })?;
            Ok(leaf)
        })?;
        return Ok(Some(LogProof { leaf, index: event.seq, hashes, checkpoint }));
    }
    Ok(None)
}

/// Returns the snapshots whose taking a log records, forgotten ones too.
pub fn taken(logs: &[SignerLog]) -> Vec<SnapshotId> {
    let events = logs.iter().flat_map(|log| &log.events);
    let taken = events.filter_map(|event| match &event.payload {
        EventPayload::SnapshotTaken(taken) => Some(taken.snapshot),
        _ => None,
    });
    taken.collect()
}

/// What became of the log that an earlier checkpoint signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// Whose log.
    pub signer: SignerId,
    /// What was signed then.
    pub then: TreeHead,
    /// What the log is now.
    pub now: TreeHead,
    /// What is wrong, if the log does not extend what it was.
    pub problem: Option<String>,
}

/// Compares the logs with a checkpoint that somebody kept.
///
/// # Errors
/// If no signer of this vault signed the checkpoint.
pub fn check_since(auditor: &Auditor, logs: &[SignerLog], kept: &[u8]) -> Result<Since, Error> {
    let keys = notes::signer_keys(auditor.note())?;
    let known: Vec<_> = keys.iter().collect();
    let not_ours = |error: SigningError| Error::Checkpoint { reason: error.to_string() };
    let text = verify(kept, &known).map_err(not_ours)?;
    let signer = text.key().signer_id();
    let then = TreeHead::parse_checkpoint(text.text(), auditor.vault(), signer)
        .map_err(|error| Error::Checkpoint { reason: error.to_string() })?;
    let log = logs.iter().find(|log| log.signer == signer);
    let empty = TreeHead { size: 0, root: crate::crypto::merkle::Frontier::empty().head().root };
    let now = log.map_or(empty, |log| log.head);
    let problem = match log {
        None => Some("the log is gone".to_owned()),
        Some(log) => log.hashes.check_extends(&then).err().map(|error| error.to_string()),
    };
    Ok(Since { signer, then, now, problem })
}

//! What a verifier says of a verification: `verified`, in its own ledger. Spec: `report.md` §4.
//!
//! Where the verifier may not write, the event goes to a file, and an operator adds it: nothing is
//! signed anew, so adding it proves no more and no less than if its signer had put it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::recorder::{Draft, check_delegated};
use super::report::{Came, Verdict, VerifyReport};
use super::retain::{Scribe, Survey};
use crate::base::{Code, Coded, Observer, SignerId, SnapshotId, VaultId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::Frontier;
use crate::crypto::signing::verify;
use crate::format::ObjectKey;
use crate::format::envelope::{self, FormatError};
use crate::format::event::{EventKind, EventPayload};
use crate::format::event_fields::{Outcome, Verified, VerifiedResult, VerifiedScope};
use crate::format::ledger::LedgerEvent;
use crate::manifest::{Outgoing, Payload};
use crate::store::Store;
use crate::vault::delivery::{Load, Parcel, Taken};
use crate::vault::journal::outgoing;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, notes};

/// What the file of an attestation is called in errors.
const WHAT: &str = "signed attestation";

/// Which snapshots of a vault somebody asked to verify, whatever they came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All that were there then.
    Until(Timestamp),
    /// These.
    Named(Vec<SnapshotId>),
}

impl Asked {
    /// Returns how many events say what came of them.
    pub fn event_count(&self) -> usize {
        match self {
            Self::Until(_) => 1,
            Self::Named(ids) => ids.len(),
        }
    }
}

/// Returns what a ledger is to say of a verification: of snapshots that were named one by one.
pub fn events(report: &VerifyReport, asked: &Asked) -> Vec<EventPayload> {
    let all = Came {
        verdict: report.verdict,
        object_count: report.object_count,
        finding_count: report.findings.len() as u64,
    };
    match asked {
        Asked::Until(until) => vec![event(report, None, Some(*until), all)],
        Asked::Named(_) => {
            let each = report.each.iter();
            each.map(|(id, came)| event(report, Some(*id), None, *came)).collect()
        }
    }
}

fn event(
    report: &VerifyReport,
    snapshot: Option<SnapshotId>,
    until: Option<Timestamp>,
    came: Came,
) -> EventPayload {
    let Came { verdict, object_count, finding_count } = came;
    let outcome = match verdict {
        Verdict::Sound | Verdict::Remarks => Outcome::Passed,
        Verdict::Unread | Verdict::Damaged => Outcome::Failed,
    };
    let (store, level) = (report.store.clone(), report.level.name().to_owned());
    let sample_percent = report.sample_percent();
    let scope = VerifiedScope { store, level, snapshot, sample_percent, until };
    let result = VerifiedResult { outcome, object_count, finding_count };
    EventPayload::Verified(Verified { scope, result })
}

/// Records events in the log of whoever may; returns the stores that do not have them yet.
///
/// # Errors
/// If a store does not take one. What was kept of it, the next run completes.
pub fn record(
    scribe: &mut Scribe,
    events: Vec<EventPayload>,
    observer: &dyn Observer,
) -> Result<Vec<String>, Error> {
    scribe.record(events, observer)
}

/// An event that its signer could not put, with the checkpoint after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The vault.
    pub vault: VaultId,
    /// Whose log the event is the next of.
    pub signer: SignerId,
    /// The event's exact text.
    pub event: String,
    /// The checkpoint after it, as it is signed.
    pub checkpoint: String,
}

impl Attestation {
    /// Makes the attestation of a draft.
    pub fn of(vault: VaultId, signer: SignerId, draft: &Draft) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { vault, signer, event: text(&draft.event), checkpoint: text(&draft.checkpoint) }
    }

    /// Composes the file.
    ///
    /// # Errors
    /// Never in practice: it holds no numbers.
    pub fn compose(&self) -> Result<String, FormatError> {
        Ok(envelope::compose(WHAT, self)? + "\n")
    }

    /// Parses the file.
    ///
    /// # Errors
    /// If it is none, or needs a newer program.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        envelope::parse(WHAT, bytes.strip_suffix(b"\n").unwrap_or(bytes))
    }
}

/// What came of adding an attestation.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// The event.
    pub event: LedgerEvent,
    /// The stores that lacked it, and have it now.
    pub stores: Vec<String>,
}

/// Adds an attestation to every store. Nothing is put before it is known to fit all of them.
///
/// # Errors
/// If its signer may not say it, it does not follow that signer's log in a store, or a store does
/// not take it.
pub fn add(
    survey: &Survey,
    stores: &[Arc<dyn Store>],
    attestation: &Attestation,
    now: Timestamp,
) -> Result<Added, Error> {
    let (note, signer) = (survey.note(), attestation.signer);
    check_delegated(note, signer, EventKind::Verified)?;
    let vault = survey.auditors.first().map_or(attestation.vault, |one| one.vault());
    let invalid =
        |error: FormatError| vault::Error::format(ObjectKey::LedgerEvent(signer, 0), error);
    FormatError::check_place(WHAT, "vault", &vault, &attestation.vault).map_err(invalid)?;
    let head = head_of(survey, attestation)?;
    let seq = head.size.saturating_sub(1);
    let key = ObjectKey::LedgerEvent(signer, seq);
    let event = LedgerEvent::parse(attestation.event.as_bytes(), vault, signer, seq)
        .map_err(|error| vault::Error::format(key, error))?;
    if !matches!(event.payload, EventPayload::Verified(_)) {
        let reason =
            format!("it is {}, and only verified is added from a file", event.payload.name());
        return Err(vault::Error::NotDelegated { key, reason }.into());
    }
    let mut lacking = Vec::new();
    for (store, logs) in stores.iter().zip(&survey.logs) {
        let log = logs.iter().find(|log| log.signer == signer);
        if !has(log, store.name(), attestation, &head)? {
            lacking.push(store);
        }
    }
    let locked_until = survey.event_locked_until(now)?;
    let leaf = outgoing(key, attestation.event.clone().into_bytes());
    let after = ObjectKey::LedgerCheckpoint(signer, seq);
    let checkpoint = outgoing(after, attestation.checkpoint.clone().into_bytes());
    for store in &lacking {
        put(store, &leaf, locked_until)?;
        put(store, &checkpoint, locked_until)?;
    }
    Ok(Added { event, stores: lacking.iter().map(|store| store.name().to_owned()).collect() })
}

/// Returns the head that the checkpoint of an attestation signs.
fn head_of(survey: &Survey, attestation: &Attestation) -> Result<TreeHead, Error> {
    let signer = attestation.signer;
    let object = ObjectKey::LedgerCheckpoint(signer, 0);
    let keys = notes::signer_keys(survey.note())?;
    let own: Vec<_> = keys.iter().filter(|key| key.signer_id() == signer).collect();
    let text = verify(attestation.checkpoint.as_bytes(), &own)
        .map_err(|error| notes::signature(object, &error))?;
    let head = TreeHead::parse_checkpoint(text.text(), attestation.vault, signer);
    let head = head.map_err(vault::Error::from)?;
    match head.size {
        0 => Err(broken(object, "its checkpoint is that of an empty log".to_owned())),
        _ => Ok(head),
    }
}

/// Tells whether a store has the event; if not, it is the next one of the log there.
fn has(
    log: Option<&SignerLog>,
    store: &str,
    attestation: &Attestation,
    head: &TreeHead,
) -> Result<bool, Error> {
    let key = ObjectKey::LedgerEvent(attestation.signer, head.size - 1);
    let size = log.map_or(0, |log| log.head.size);
    if size >= head.size {
        return match log.and_then(|log| log.hashes.head_at(head.size)) {
            Some(then) if then == *head => Ok(true),
            _ => Err(broken(key, format!("store {store} has another event there"))),
        };
    }
    if size + 1 < head.size {
        let reason = format!(
            "store {store} has {size} events of it, and this is number {}: add those before it \
             first, or `replicate` them",
            head.size
        );
        return Err(broken(key, reason));
    }
    let mut frontier = log.map_or_else(Frontier::empty, |log| log.frontier.clone());
    frontier.append(attestation.event.as_bytes());
    match frontier.check(head) {
        Ok(()) => Ok(false),
        Err(_) => Err(broken(key, format!("it does not extend the log in store {store}"))),
    }
}

fn put(
    store: &Arc<dyn Store>,
    object: &Outgoing,
    locked_until: Option<Timestamp>,
) -> Result<(), Error> {
    let Outgoing { key, sha256, payload: Payload::Bytes(bytes), .. } = object else {
        return Ok(());
    };
    let load = Load::Bytes(bytes.as_slice().into());
    match (Parcel { key: *key, sha256: *sha256, load, locked_until }).put(store) {
        Ok(Taken::Proven(_)) => Ok(()),
        Ok(Taken::Unproven) => Err(vault::Error::ChangedMeanwhile { key: *key }.into()),
        Err(error) if error.code() == Code::ObjectExists => {
            Err(vault::Error::ChangedMeanwhile { key: *key }.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn broken(key: ObjectKey, reason: String) -> Error {
    vault::Error::Ledger { key, reason }.into()
}

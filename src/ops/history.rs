//! What the ledgers prove to somebody who does not trust this host. Spec: §8.7.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::base::{SignerId, SnapshotId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::{Frontier, Log, MerkleError, check_inclusion};
use crate::crypto::signing::{SigningError, verify};
use crate::format::ObjectKey;
use crate::format::envelope::FormatError;
use crate::format::event::EventPayload;
use crate::format::proof::LogProof;
use crate::ops::Error;
use crate::ops::report::Report;
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
        let wrong = |error: MerkleError| vault::Error::Ledger { key, reason: error.to_string() };
        let hashes = log.hashes.prove_included(event.seq).map_err(wrong)?;
        let leaf = auditor.versions().signed(key, |view| {
            let leaf = view.get(&key, LEDGER_EVENT_LEN_MAX)?;
            check_inclusion(&log.head, event.seq, &leaf, &hashes).map_err(wrong)?;
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

/// A log of which two stores have different states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// Whose log.
    pub signer: SignerId,
    /// What it is in the first store.
    pub here: TreeHead,
    /// What it is in the other.
    pub there: TreeHead,
    /// Whether neither extends the other: its signer, or who has that key, signed two histories.
    pub is_fork: bool,
}

/// Compares the logs of two stores of a vault: where one is shorter, it lags or was rolled back.
pub fn compare(here: &[SignerLog], there: &[SignerLog]) -> Vec<Parting> {
    let signers: BTreeSet<SignerId> = here.iter().chain(there).map(|log| log.signer).collect();
    let empty = Frontier::empty().head();
    let find = |logs: &[SignerLog], signer| logs.iter().position(|log| log.signer == signer);
    let mut partings = Vec::new();
    for signer in signers {
        let own = find(here, signer).map(|at| &here[at]);
        let other = find(there, signer).map(|at| &there[at]);
        let head = |log: Option<&SignerLog>| log.map_or(empty, |log| log.head);
        let hashes = |log: Option<&SignerLog>| log.map_or(Log::empty(), |log| log.hashes.clone());
        let (here, there) = (head(own), head(other));
        if here == there {
            continue;
        }
        let (longer, shorter) = match here.size >= there.size {
            true => (hashes(own), there),
            false => (hashes(other), here),
        };
        let is_fork = longer.check_extends(&shorter).is_err();
        partings.push(Parting { signer, here, there, is_fork });
    }
    partings
}

/// Something that was kept of the ledgers of a vault: checkpoints, or the report of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is called in reports.
    pub name: String,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// Compares the logs with what somebody kept of them. Of a report the heads count, and whoever kept
/// it vouches for it: no signature is looked for.
///
/// # Errors
/// If it is neither checkpoints nor a report, or is one of another vault.
pub fn check_kept(auditor: &Auditor, logs: &[SignerLog], kept: &Kept) -> Result<Vec<Since>, Error> {
    let is_json = kept.bytes.trim_ascii_start().starts_with(b"{");
    let compared = match is_json {
        true => heads_of(auditor, &kept.bytes).map(|heads| {
            let compare = |(signer, then)| compare_one(auditor, logs, signer, then);
            heads.into_iter().map(compare).collect()
        }),
        false => check_since(auditor, logs, &kept.bytes),
    };
    compared.map_err(|error| match error {
        Error::Checkpoint { reason } => {
            Error::Checkpoint { reason: format!("{}: {reason}", kept.name) }
        }
        other => other,
    })
}

/// Returns the heads that a report has of this vault, of logs that were not empty; the checkpoints
/// that `ledger checkpoint --json` printed are as good.
fn heads_of(auditor: &Auditor, json: &[u8]) -> Result<Vec<(SignerId, TreeHead)>, Error> {
    let refuse = |reason: String| Error::Checkpoint { reason };
    let reported = match Report::parse_heads(json) {
        Ok(reported) => reported,
        Err(error @ FormatError::TooNew { .. }) => return Err(refuse(error.to_string())),
        Err(error) => {
            let printed: Printed = serde_json::from_slice(json).map_err(|_| {
                refuse(format!("it is neither checkpoints nor a report of `verify`: {error}"))
            })?;
            let texts = printed.ledgers.into_iter().filter_map(|ledger| ledger.checkpoint);
            return texts.map(|text| signed_head(auditor, text.as_bytes())).collect();
        }
    };
    let (vault, mut is_ours) = (auditor.vault().to_string(), false);
    let mut heads = Vec::new();
    for (_, ledgers) in reported.iter().filter(|(of, _)| *of == vault) {
        is_ours = true;
        for head in ledgers.iter().filter(|head| head.size > 0) {
            let wrong = |reason: String| refuse(format!("the head of {}: {reason}", head.signer));
            let signer = head.signer.parse().map_err(|error| wrong(format!("{error}")))?;
            let root = head.root.parse().map_err(|error| wrong(format!("{error}")))?;
            heads.push((signer, TreeHead { size: head.size, root }));
        }
    }
    match is_ours {
        true => Ok(heads),
        false => Err(refuse(format!("it is a report of other vaults than {vault}"))),
    }
}

/// What `ledger checkpoint --json` prints.
#[derive(Deserialize)]
struct Printed {
    ledgers: Vec<PrintedLedger>,
}

#[derive(Deserialize)]
struct PrintedLedger {
    checkpoint: Option<String>,
}

/// Compares the logs with checkpoints that somebody kept, one after the other in a file.
///
/// # Errors
/// If no signer of this vault signed one of them, or there is none. One of a signer that is gone
/// with the vault notes that named it is a problem of that log.
pub fn check_since(
    auditor: &Auditor,
    logs: &[SignerLog],
    kept: &[u8],
) -> Result<Vec<Since>, Error> {
    let notes = split_notes(kept);
    if notes.is_empty() {
        return Err(Error::Checkpoint { reason: "the file is empty".to_owned() });
    }
    notes.iter().map(|note| check_one(auditor, logs, note)).collect()
}

/// Splits what `ledger checkpoint` prints of several logs: each ends with its signatures.
fn split_notes(kept: &[u8]) -> Vec<Vec<u8>> {
    let (mut notes, mut note, mut is_signed) = (Vec::new(), Vec::new(), false);
    for line in kept.split_inclusive(|byte| *byte == b'\n') {
        let is_signature = line.starts_with("— ".as_bytes());
        if is_signed && !is_signature {
            notes.push(std::mem::take(&mut note));
            is_signed = false;
            if line == b"\n" {
                continue;
            }
        }
        is_signed |= is_signature;
        note.extend_from_slice(line);
    }
    notes.extend((!note.is_empty()).then_some(note));
    notes
}

fn check_one(auditor: &Auditor, logs: &[SignerLog], kept: &[u8]) -> Result<Since, Error> {
    let (signer, then) = signed_head(auditor, kept)?;
    Ok(compare_one(auditor, logs, signer, then))
}

/// Returns what a checkpoint signs, and whose it is.
fn signed_head(auditor: &Auditor, kept: &[u8]) -> Result<(SignerId, TreeHead), Error> {
    let keys = notes::signer_keys(auditor.note())?;
    let known: Vec<_> = keys.iter().collect();
    let not_ours = |error: SigningError| Error::Checkpoint { reason: error.to_string() };
    let text = match verify(kept, &known) {
        Ok(text) => text,
        Err(error) => return of_stranger(auditor, kept).ok_or_else(|| not_ours(error)),
    };
    let signer = text.key().signer_id();
    let then = TreeHead::parse_checkpoint(text.text(), auditor.vault(), signer)
        .map_err(|error| Error::Checkpoint { reason: error.to_string() })?;
    Ok((signer, then))
}

/// Returns what a checkpoint says that is one of this vault, by its origin, and of a signer that no
/// vault note names. Whoever kept it vouches for it: the note that has the key may be what is gone.
fn of_stranger(auditor: &Auditor, kept: &[u8]) -> Option<(SignerId, TreeHead)> {
    let end = kept.windows(2).position(|two| two == b"\n\n")?;
    let (text, signatures) = kept.split_at(end + 1);
    let origin = text.split(|byte| *byte == b'\n').next()?;
    let signer: SignerId = std::str::from_utf8(origin).ok()?.rsplit('/').next()?.parse().ok()?;
    let is_signed = signatures.starts_with("\n— ".as_bytes());
    if !is_signed || auditor.note().delegate(signer).is_some() {
        return None;
    }
    let head = TreeHead::parse_checkpoint(text, auditor.vault(), signer).ok()?;
    Some((signer, head))
}

fn compare_one(auditor: &Auditor, logs: &[SignerLog], signer: SignerId, then: TreeHead) -> Since {
    let log = logs.iter().find(|log| log.signer == signer);
    let empty = TreeHead { size: 0, root: Frontier::empty().head().root };
    let now = log.map_or(empty, |log| log.head);
    let problem = match log {
        _ if auditor.note().delegate(signer).is_none() => {
            Some("no vault note that is there names its signer".to_owned())
        }
        None => Some("the log is gone".to_owned()),
        Some(log) => log.hashes.check_extends(&then).err().map(|error| error.to_string()),
    };
    Since { signer, then, now, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_several_logs_are_told_apart() {
        let (one, two) = ("a\n1\nroot\n\n— a sig\n— witness sig\n", "b\n2\nroot\n\n— b sig\n");
        let split = |text: &str| split_notes(text.as_bytes());
        assert_eq!(split(one), [one.as_bytes()]);
        assert_eq!(split(&format!("{one}\n{two}")), [one.as_bytes(), two.as_bytes()]);
        assert_eq!(split(&format!("{one}{two}")), [one.as_bytes(), two.as_bytes()]);
        assert_eq!(split("no checkpoint"), [b"no checkpoint"]);
        assert!(split("").is_empty());
    }
}

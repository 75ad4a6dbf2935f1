//! Legal holds: placing, releasing and listing them. Spec: `retention.md` §5.
//!
//! - A reason is sealed to the data recipients, with a salt before it, so that its digest in clear
//!   tells nothing and what it was can be shown later.
//! - What a hold covers stays, whatever policy, flag or earlier record says otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{RetainError, Survey};
use crate::base::{Digest, Entropy, SignerId, SnapshotId, entropy};
use crate::crypto::digest::sha256;
use crate::crypto::identity::{AskPassphrase, DataIdentities};
use crate::crypto::recipient::DataRecipients;
use crate::format::event::EventPayload;
use crate::format::event_fields::{HoldPlaced, HoldReleased};
use crate::format::ledger::LedgerEvent;
use crate::ops::Error;
use crate::ops::recorder::Recorder;
use crate::vault::changes::same_recipients;
use crate::vault::ledger::holds::holds_of;

/// Bytes of the salt before a reason.
const SALT_LEN: usize = 16;
/// Longest reason in bytes: sealed for many recipients it still fits into an event.
pub const REASON_LEN_MAX: usize = 16 * 1024;
/// Between the files of several groups of recipients.
const GROUP_SEPARATOR: &str = " ";

/// A hold, as the ledgers have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// The snapshot that it covers.
    pub snapshot: SnapshotId,
    /// Whose log placed it.
    pub placed_by: SignerId,
    /// The number of that event.
    pub placed_seq: u64,
    /// When it was placed.
    pub placed: Timestamp,
    /// Until when it counts at most.
    pub until: Option<Timestamp>,
    /// When it was released, and whose log says so.
    pub released: Option<(Timestamp, SignerId)>,
    /// SHA-256 of salt and reason.
    pub reason_digest: Digest,
    /// Salt and reason, sealed.
    pub reason_sealed: String,
}

impl HoldRow {
    /// Tells whether it keeps its snapshot.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.released.is_none() && self.until.is_none_or(|until| until > now)
    }
}

/// Why a hold is placed or released, ready to be sealed.
pub struct Reason<'a, A> {
    /// The words.
    pub text: &'a str,
    /// To whom they are sealed.
    pub recipients: &'a DataRecipients,
    /// Asks for what a recipient's plugin needs.
    pub ask: &'a A,
    /// Draws the salt.
    pub entropy: &'a dyn Entropy,
}

impl<A: AskPassphrase> Reason<'_, A> {
    /// Seals the reason with a salt of its own.
    fn seal(&self) -> Result<(Digest, String), Error> {
        if self.text.trim().is_empty() || self.text.len() > REASON_LEN_MAX {
            let (len, max) = (self.text.len(), REASON_LEN_MAX);
            return Err(RetainError::Reason { len, max }.into());
        }
        let salt: [u8; SALT_LEN] = entropy::draw(self.entropy);
        let plain = Zeroizing::new([&salt[..], self.text.as_bytes()].concat());
        let sealed = self.recipients.seal(&plain, self.ask)?;
        let sealed: Vec<String> = sealed.iter().map(|file| STANDARD.encode(file)).collect();
        Ok((sha256(&plain), sealed.join(GROUP_SEPARATOR)))
    }
}

/// Returns every hold that was ever placed, the oldest first.
pub fn list(survey: &Survey) -> Vec<HoldRow> {
    let holds = holds_of(survey.distinct_events(), |event| survey.counts(event));
    let row = |event: &LedgerEvent| {
        let EventPayload::HoldPlaced(said) = &event.payload else { return None };
        let hold = holds.get(&(event.signer, event.seq))?;
        Some(HoldRow {
            snapshot: hold.snapshot,
            placed_by: hold.signer,
            placed_seq: hold.seq,
            placed: hold.placed,
            until: hold.until,
            released: hold.released.map(|release| (release.at, release.signer)),
            reason_digest: said.reason_digest,
            reason_sealed: said.reason_sealed.clone(),
        })
    };
    let mut rows: Vec<HoldRow> = survey.distinct_events().filter_map(row).collect();
    rows.sort_by_key(|row| (row.placed, row.placed_by, row.placed_seq));
    rows
}

/// Places a hold on each of these snapshots, and looks again: whoever forgot one meanwhile may not
/// have seen it. `again` reads all stores once more.
///
/// # Errors
/// If the recipients are not the vault's, one is not a snapshot that stands, before or after, or a
/// store does not take an event. What was placed stays placed.
pub fn place<A: AskPassphrase>(
    survey: &Survey,
    recorder: &mut Recorder,
    snapshots: &[SnapshotId],
    until: Option<Timestamp>,
    reason: &Reason<'_, A>,
    again: &dyn Fn() -> Result<Survey, Error>,
) -> Result<(), Error> {
    check_recipients(survey, reason.recipients)?;
    let mut events = Vec::new();
    for snapshot in snapshots {
        let (reason_digest, reason_sealed) = reason.seal()?;
        let snapshot = *snapshot;
        events.push(HoldPlaced { snapshot, until, reason_digest, reason_sealed });
    }
    events.into_iter().try_for_each(|event| recorder.append(EventPayload::HoldPlaced(event)))?;
    let newer = again()?;
    let is_late =
        |id: &SnapshotId| newer.forgotten.contains_key(id) || !newer.notes.contains_key(id);
    let late: Vec<SnapshotId> = snapshots.iter().copied().filter(is_late).collect();
    let is_gone = |id: &&SnapshotId| !newer.notes.contains_key(id);
    let gone_count = late.iter().filter(is_gone).count();
    match late.is_empty() {
        true => Ok(()),
        false => Err(RetainError::HoldLate { snapshots: late, gone_count }.into()),
    }
}

/// Releases these holds.
///
/// # Errors
/// As [`place`].
pub fn release<A: AskPassphrase>(
    survey: &Survey,
    recorder: &mut Recorder,
    holds: &[HoldRow],
    reason: &Reason<'_, A>,
) -> Result<(), Error> {
    check_recipients(survey, reason.recipients)?;
    let mut events = Vec::new();
    for hold in holds {
        let (reason_digest, reason_sealed) = reason.seal()?;
        let HoldRow { snapshot, placed_by, placed_seq, .. } = *hold;
        events.push(HoldReleased { snapshot, placed_by, placed_seq, reason_digest, reason_sealed });
    }
    events.into_iter().try_for_each(|event| recorder.append(EventPayload::HoldReleased(event)))
}

/// Opens the reason of a hold.
///
/// # Errors
/// If no identity opens it, or it is not the one whose digest is in clear.
pub fn reason(hold: &HoldRow, identities: &DataIdentities) -> Result<String, Error> {
    let name = format!("the reason of hold {} of {}", hold.placed_seq, hold.placed_by);
    let altered = || RetainError::ReasonAltered { name: name.clone() };
    let mut failed: Option<Error> = None;
    for group in hold.reason_sealed.split(GROUP_SEPARATOR) {
        let sealed = STANDARD.decode(group).map_err(|_| altered())?;
        match identities.open(&name, &sealed) {
            Ok(plain) if sha256(&plain) == hold.reason_digest && plain.len() >= SALT_LEN => {
                return Ok(String::from_utf8_lossy(&plain[SALT_LEN..]).into_owned());
            }
            Ok(_) => return Err(altered().into()),
            Err(error) => failed = Some(error.into()),
        }
    }
    Err(failed.unwrap_or_else(|| altered().into()))
}

fn check_recipients(survey: &Survey, recipients: &DataRecipients) -> Result<(), Error> {
    match same_recipients(&recipients.digests(), &survey.note().recipients) {
        true => Ok(()),
        false => Err(RetainError::RecipientsDiffer.into()),
    }
}

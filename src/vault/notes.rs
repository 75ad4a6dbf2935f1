//! Notes that verify: vault notes by the root key, snapshot notes by a delegated writer. Spec: §8.

use super::Error;
use super::state::StateDir;
use crate::base::SnapshotId;
use crate::crypto::signing::{VerificationKey, verify};
use crate::format::ObjectKey;
use crate::format::event::EventKind;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::vault_note::VaultNote;

/// Checks a vault note's signature and reads it.
///
/// # Errors
/// If it is not signed by the root key or malformed.
pub fn check_vault_note(
    bytes: &[u8],
    number: u32,
    root: &VerificationKey,
) -> Result<VaultNote, Error> {
    let key = ObjectKey::Vault(number);
    let text = verify(bytes, &[root]).map_err(|e| signature(key, &e))?;
    let note = VaultNote::parse(text.text(), root.vault(), number);
    let note = note.map_err(|e| Error::format(key, e))?;
    // A note whose keys do not parse would take every snapshot with it.
    signer_keys(&note)?;
    Ok(note)
}

/// Checks a snapshot note's signature and delegation and reads it.
///
/// # Errors
/// If no writer that the vault note delegates to signed it, or it is malformed.
pub fn check_snapshot_note(
    bytes: &[u8],
    snapshot: SnapshotId,
    vault_note: &VaultNote,
) -> Result<SnapshotNote, Error> {
    let key = ObjectKey::Note(snapshot);
    let keys = signer_keys(vault_note)?;
    let refs: Vec<&VerificationKey> = keys.iter().collect();
    let text = verify(bytes, &refs).map_err(|e| signature(key, &e))?;
    let note = SnapshotNote::parse(text.text(), vault_note.vault, snapshot)
        .map_err(|e| Error::format(key, e))?;
    let signer = text.key().signer_id();
    let refuse = |reason: String| Err(Error::NotDelegated { key, reason });
    if note.signer != signer {
        return refuse(format!("it names signer {}, {signer} signed it", note.signer));
    }
    match vault_note.delegate(signer) {
        Some(delegate) if !delegate.may_append(EventKind::SnapshotTaken) => {
            refuse(format!("signer {signer} may not take snapshots"))
        }
        Some(delegate) if delegate.retired.is_some_and(|retired| note.time >= retired) => {
            refuse(format!("signer {signer} was retired before it was signed"))
        }
        Some(_) => Ok(note),
        None => refuse(format!("signer {signer} is unknown to the vault note")),
    }
}

/// Returns the verification keys of every signer of a vault note.
///
/// # Errors
/// If one does not parse.
pub fn signer_keys(vault_note: &VaultNote) -> Result<Vec<VerificationKey>, Error> {
    let parse = |text: &str| text.parse::<VerificationKey>();
    let keys: Result<Vec<_>, _> =
        vault_note.signers.iter().map(|signer| parse(&signer.key)).collect();
    keys.map_err(|e| signature(ObjectKey::Vault(vault_note.number), &e))
}

/// Makes an error of a signature that does not verify.
pub fn signature(key: ObjectKey, cause: &dyn std::error::Error) -> Error {
    Error::Signature { key, reason: cause.to_string() }
}

/// Reads the vault note that the host keeps, which it checks like any other.
pub(super) fn newest_vault_note(
    state: &StateDir,
    root: &VerificationKey,
) -> Result<VaultNote, Error> {
    let bytes = state.vault_note()?;
    let number = note_number(&bytes).unwrap_or(1);
    check_vault_note(&bytes, number, root)
}

/// Reads the number that a vault note gives itself; the check of the note then proves it.
fn note_number(bytes: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        number: u32,
    }
    let line = bytes.split(|&byte| byte == b'\n').nth(1)?;
    serde_json::from_slice::<Numbered>(line).ok().map(|numbered| numbered.number)
}

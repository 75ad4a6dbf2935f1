//! What the host remembers of the escrow store: what was sealed last, and by which fingerprint it
//! knows that a secret is unchanged. Spec: `escrow.md`.
//!
//! ```text
//! <state_dir>/escrow.json     one for all vaults of a config; the caller holds the state's lock
//! ```
//!
//! Losing it loses nothing: everything is then sealed once more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Error;
use super::state::StateDir;
use super::writer::Writer;
use crate::base::{Digest, Entropy, Gate, entropy};
use crate::format::escrow::EscrowObject;
use crate::format::event::EventPayload;
use crate::format::event_fields::SecretSealed;

const FILE: &str = "escrow.json";
/// The manifest's name for the escrow objects that the vault's ledger has recorded.
const RECORDED: &str = "escrow recorded";

/// A sealed object and the fingerprint of what it holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The fingerprint.
    pub fingerprint: Digest,
    /// The object.
    pub object: EscrowObject,
}

/// What was sealed last.
#[derive(Serialize, Deserialize)]
pub struct EscrowMemory {
    fingerprint_key: Zeroizing<String>,
    /// The URL of the store that has it.
    pub store: String,
    /// Every object that a snapshot needs now.
    pub sealed: Vec<Remembered>,
}

/// The file that holds it.
pub struct EscrowState {
    dir: StateDir,
}

impl EscrowMemory {
    /// Begins with nothing sealed.
    pub fn begin(store: &str, entropy: &dyn Entropy) -> Self {
        let key = Zeroizing::new(entropy::draw::<32>(entropy));
        let fingerprint_key = Zeroizing::new(hex::encode(key.as_slice()));
        Self { fingerprint_key, store: store.to_owned(), sealed: Vec::new() }
    }

    /// Returns the fingerprint of a secret and of what else decides whether it is sealed again.
    ///
    /// Without the key, which never leaves the host, nobody can tell whether a guess is right.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Digest {
        let key = blake3::derive_key("idswyft-vault/v1 escrow", self.fingerprint_key.as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(&key);
        for part in parts {
            // With its length before it, no part can pass for the end of another.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
        zeroize::Zeroize::zeroize(&mut hasher);
        digest
    }
}

impl EscrowState {
    /// Names the file in a state directory; nothing is read or made.
    pub fn new(state_dir: &Path, gate: Arc<dyn Gate>) -> Self {
        Self { dir: StateDir::of_host(state_dir).gated(gate) }
    }

    /// Returns the file's path.
    pub fn path(&self) -> PathBuf {
        self.dir.file(FILE)
    }

    /// Reads what was sealed last; nothing if nothing ever was.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn load(&self) -> Result<Option<EscrowMemory>, Error> {
        match self.path().symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => self.dir.read_json(FILE).map(Some),
        }
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, memory: &EscrowMemory) -> Result<(), Error> {
        self.dir.make()?;
        self.dir.write_json(FILE, memory)
    }
}

impl Writer {
    /// Journals an event for each escrow object that a snapshot needs and this vault's ledger has
    /// not recorded; which it has is kept in the same transaction.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn record_sealed(&mut self, needed: &[SecretSealed]) -> Result<(), Error> {
        let recorded = self.manifest().note(RECORDED)?.unwrap_or_default();
        let recorded: Vec<&[u8]> = recorded.split(|byte| *byte == b'\n').collect();
        let is_new = |one: &&SecretSealed| !recorded.contains(&one.object.as_bytes());
        let events: Vec<_> =
            needed.iter().filter(is_new).cloned().map(EventPayload::SecretSealed).collect();
        if events.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = needed.iter().map(|one| one.object.as_str()).collect();
        self.record_all(events, vec![(RECORDED, names.join("\n").into_bytes())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{OpenGate, SystemEntropy};

    /// E-15
    #[test]
    fn a_fingerprint_depends_on_its_key_and_on_where_each_part_ends() {
        let (one, other) =
            (EscrowMemory::begin("a", &SystemEntropy), EscrowMemory::begin("a", &SystemEntropy));
        assert_eq!(one.fingerprint(&[b"ab", b"c"]), one.fingerprint(&[b"ab", b"c"]));
        assert_ne!(one.fingerprint(&[b"ab", b"c"]), one.fingerprint(&[b"a", b"bc"]));
        assert_ne!(one.fingerprint(&[b"ab"]), other.fingerprint(&[b"ab"]));
    }

    /// E-15
    #[test]
    fn the_fingerprint_key_is_kept_where_only_its_owner_reads() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let state = EscrowState::new(&scratch.path().join("state"), OpenGate::shared());
        assert!(state.load().unwrap().is_none());
        let memory = EscrowMemory::begin("file:///mnt/escrow", &SystemEntropy);
        state.save(&memory).unwrap();
        assert_eq!(std::fs::metadata(state.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let again = state.load().unwrap().unwrap();
        assert_eq!(again.store, "file:///mnt/escrow");
        assert_eq!(again.fingerprint(&[b"x"]), memory.fingerprint(&[b"x"]));
        std::fs::write(state.path(), "{}").unwrap();
        assert!(state.load().is_err());
    }
}

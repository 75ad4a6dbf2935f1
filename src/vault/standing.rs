//! What a host knows of its vault, for whoever only asks: no lock, no identity, nothing written.
//! Spec: `nights.md`.

use jiff::Timestamp;

use super::Error;
use super::generation::{OPEN_GENERATION, ROLL_DUE};
use super::journal::{FRONTIER, Journal};
use super::notes::newest_vault_note;
use super::state::{Anchor, StateDir};
use crate::base::{GenerationId, SnapshotId};
use crate::crypto::signing::{SigningKey, VerificationKey};
use crate::format::vault_note::VaultNote;
use crate::manifest::{ManifestView, OpenSpace, Waiting};

/// A vault as its host's state shows it at one moment.
pub struct Standing {
    anchor: Anchor,
    note: VaultNote,
    manifest: ManifestView,
    checkpoint: Option<String>,
}

impl Standing {
    /// Reads the state of a vault, also while another run writes it.
    ///
    /// # Errors
    /// If there is none, or it does not hold together.
    pub fn read(state: &StateDir) -> Result<Self, Error> {
        let anchor = state.anchor()?;
        let invalid = |name: &str, reason: &dyn std::fmt::Display| Error::StateInvalid {
            path: state.file(name),
            reason: reason.to_string(),
        };
        let root: VerificationKey =
            anchor.root_key.parse().map_err(|e| invalid("vault.json", &e))?;
        let note = newest_vault_note(state, &root)?;
        let key = SigningKey::from_secret_text(state.writer_key()?.trim_end())
            .map_err(|e| invalid("writer.key", &e))?;
        let manifest = ManifestView::open(&state.file("manifest.sqlite"))?;
        let journal = Journal::of_note(manifest.note(FRONTIER)?.as_deref())?;
        let checkpoint = journal.checkpoint(&key, anchor.vault)?;
        // A checkpoint is text: base64 and names.
        let checkpoint = checkpoint.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Self { anchor, note, manifest, checkpoint })
    }

    /// Returns which vault it is.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Returns the vault note in force.
    pub const fn note(&self) -> &VaultNote {
        &self.note
    }

    /// Returns the newest checkpoint of the host's own log, signed; nothing before the first event.
    pub fn checkpoint(&self) -> Option<&str> {
        self.checkpoint.as_deref()
    }

    /// Returns the newest snapshot that a store has whole.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn newest_in(&self, store: &str) -> Result<Option<SnapshotId>, Error> {
        let waiting = self.manifest.undelivered(store)?;
        let ids = self.manifest.snapshots()?.into_iter().map(|snapshot| snapshot.id);
        Ok(ids.filter(|id| !waiting.contains(id)).max())
    }

    /// Returns how much waits for a store.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn waiting(&self, store: &str) -> Result<Waiting, Error> {
        Ok(self.manifest.waiting(store)?)
    }

    /// Returns when a store last acknowledged an object, if it ever did.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn last_receipt(&self, store: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.manifest.last_receipt(store)?)
    }

    /// Returns how much the open generation has stored.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn space(&self) -> Result<OpenSpace, Error> {
        Ok(self.manifest.space()?)
    }

    /// Returns the open generation, if the manifest knows it.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn generation(&self) -> Result<Option<GenerationId>, Error> {
        let recorded = self.manifest.note(OPEN_GENERATION)?;
        let text = recorded.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Tells whether a recipient was removed, for which the next snapshot opens a generation.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn roll_is_due(&self) -> Result<bool, Error> {
        Ok(self.manifest.note(ROLL_DUE)?.is_some_and(|value| !value.is_empty()))
    }
}

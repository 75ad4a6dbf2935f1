//! Appending to the writer's own ledger. Spec: §8.
//!
//! Appending needs no read: the frontier is all that is needed, and it lasts in the transaction
//! that journals the event. The exact bytes are what every store gets, now or later.

use jiff::Timestamp;

use super::Error;
use crate::base::VaultId;
use crate::crypto::digest::sha256;
use crate::crypto::merkle::Frontier;
use crate::crypto::signing::SigningKey;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::manifest::{Manifest, Outgoing, Payload};

/// The manifest's name for the frontier.
pub const FRONTIER: &str = "ledger frontier";

/// The writer's ledger, as far as appending needs it.
#[derive(Clone)]
pub struct Journal {
    frontier: Frontier,
}

impl Journal {
    /// Begins an empty ledger.
    pub const fn empty() -> Self {
        Self { frontier: Frontier::empty() }
    }

    /// Goes on after the leaves of a log.
    pub const fn after(frontier: Frontier) -> Self {
        Self { frontier }
    }

    /// Reads the frontier from the manifest.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn load(manifest: &Manifest) -> Result<Self, Error> {
        let Some(bytes) = manifest.note(FRONTIER)? else { return Ok(Self::empty()) };
        let frontier = Frontier::from_bytes(&bytes)?;
        Ok(Self { frontier })
    }

    /// Returns the frontier's bytes for the manifest.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.frontier.to_bytes()
    }

    /// Appends an event; returns it and the checkpoint after it, to be journaled.
    ///
    /// # Errors
    /// If the event breaks a limit.
    pub fn append(
        &mut self,
        key: &SigningKey,
        vault: VaultId,
        time: Timestamp,
        payload: EventPayload,
    ) -> Result<Vec<Outgoing>, Error> {
        let signer = key.signer_id();
        let seq = self.frontier.head().size;
        let event = LedgerEvent { vault, signer, seq, time, payload, seen: Vec::new() };
        let event_key = ObjectKey::LedgerEvent(signer, seq);
        let leaf = event.compose().map_err(|e| Error::format(event_key, e))?;
        self.append_leaf(key, vault, leaf)
    }

    /// Appends an event as it is stored; returns it and the checkpoint after it, to be journaled.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn append_leaf(
        &mut self,
        key: &SigningKey,
        vault: VaultId,
        leaf: Vec<u8>,
    ) -> Result<Vec<Outgoing>, Error> {
        let signer = key.signer_id();
        let seq = self.frontier.head().size;
        self.frontier.append(&leaf);
        let text = self.frontier.head().compose_checkpoint(vault, signer);
        let checkpoint = key.sign(&text)?;
        Ok(vec![
            outgoing(ObjectKey::LedgerEvent(signer, seq), leaf),
            outgoing(ObjectKey::LedgerCheckpoint(signer, seq), checkpoint),
        ])
    }
}

/// Makes an outgoing object of bytes.
pub fn outgoing(key: ObjectKey, bytes: Vec<u8>) -> Outgoing {
    Outgoing { key, sha256: sha256(&bytes), payload: Payload::Bytes(bytes) }
}

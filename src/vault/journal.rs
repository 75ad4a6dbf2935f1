//! Appending to a signer's own ledger. Spec: §8.
//!
//! Appending needs no read: the frontier is all that is needed, and a writer's lasts in the
//! transaction that journals the event. The exact bytes are what every store gets, now or later.

use jiff::Timestamp;

use super::Error;
use crate::base::VaultId;
use crate::crypto::digest::sha256;
use crate::crypto::merkle::{Frontier, TreeHead};
use crate::crypto::signing::SigningKey;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::ledger::{LedgerEvent, SeenCheckpoint};
use crate::manifest::{Manifest, Outgoing, Payload};

/// The manifest's name for the frontier.
pub const FRONTIER: &str = "ledger frontier";

/// A signer's ledger, as far as appending needs it.
#[derive(Clone)]
pub struct Journal {
    frontier: Frontier,
}

impl Journal {
    /// Begins an empty ledger.
    pub const fn empty() -> Self {
        Self { frontier: Frontier::empty() }
    }

    /// Goes on behind the events that a store has.
    pub const fn following(frontier: Frontier) -> Self {
        Self { frontier }
    }

    /// Reads the frontier from the manifest.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn load(manifest: &Manifest) -> Result<Self, Error> {
        Self::of_note(manifest.note(FRONTIER)?.as_deref())
    }

    /// Reads the frontier from what the manifest keeps under [`FRONTIER`].
    ///
    /// # Errors
    /// If it does not parse.
    pub fn of_note(bytes: Option<&[u8]>) -> Result<Self, Error> {
        let Some(bytes) = bytes else { return Ok(Self::empty()) };
        let frontier = Frontier::from_bytes(bytes)?;
        Ok(Self { frontier })
    }

    /// Returns the newest checkpoint of the log, signed; nothing if the log is empty.
    ///
    /// Signatures are deterministic: these are the bytes that the stores have.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn checkpoint(&self, key: &SigningKey, vault: VaultId) -> Result<Option<Vec<u8>>, Error> {
        let head = self.frontier.head();
        if head.size == 0 {
            return Ok(None);
        }
        Ok(Some(key.sign(&head.compose_checkpoint(vault, key.signer_id()))?))
    }

    /// Returns the size and the root of the log.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// Returns the frontier's bytes for the manifest.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.frontier.to_bytes()
    }

    /// Appends an event, which quotes the checkpoints that were `seen` of other logs; returns it
    /// and the checkpoint after it, to be put in this order.
    ///
    /// # Errors
    /// If the event breaks a limit.
    pub fn append(
        &mut self,
        key: &SigningKey,
        vault: VaultId,
        time: Timestamp,
        payload: EventPayload,
        seen: Vec<SeenCheckpoint>,
    ) -> Result<Vec<Outgoing>, Error> {
        let signer = key.signer_id();
        let seq = self.frontier.head().size;
        let event = LedgerEvent { vault, signer, seq, time, payload, seen };
        let event_key = ObjectKey::LedgerEvent(signer, seq);
        let leaf = event.compose().map_err(|e| Error::format(event_key, e))?;
        let checkpoint = self.append_leaf(key, vault, &leaf)?;
        Ok(vec![outgoing(event_key, leaf), checkpoint])
    }

    /// Appends an event that is stored already; returns the checkpoint after it.
    ///
    /// # Errors
    /// If the checkpoint cannot be signed.
    pub fn append_leaf(
        &mut self,
        key: &SigningKey,
        vault: VaultId,
        leaf: &[u8],
    ) -> Result<Outgoing, Error> {
        let signer = key.signer_id();
        let seq = self.frontier.head().size;
        self.frontier.append(leaf);
        let text = self.frontier.head().compose_checkpoint(vault, signer);
        Ok(outgoing(ObjectKey::LedgerCheckpoint(signer, seq), key.sign(&text)?))
    }
}

/// Makes an outgoing object of bytes.
pub fn outgoing(key: ObjectKey, bytes: Vec<u8>) -> Outgoing {
    let (sha256, payload) = (sha256(&bytes), Payload::Bytes(bytes));
    Outgoing { key, sha256, payload, locked_until: None }
}

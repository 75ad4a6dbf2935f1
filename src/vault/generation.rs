//! Opening and rolling generations. Spec: §5.
//!
//! The identity of a generation exists in memory while its file is sealed, and nowhere on the host
//! after that. A roll that a crash interrupts is either not begun or finished by the next run: the
//! manifest's transaction decides.

use std::collections::BTreeSet;

use super::Error;
use super::journal::outgoing;
use super::state::{GenerationSlot, OpenGeneration, StateDir};
use super::writer::{Outside, Writer};
use crate::base::{Digest, GenerationId, VaultId, entropy};
use crate::crypto::identity::{AskPassphrase, GenerationIdentity};
use crate::crypto::keys::DedupSecret;
use crate::crypto::recipient::DataRecipients;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::{GenerationOpened, GenerationRef, GenerationRev};
use crate::format::generation::GenerationFile;
use crate::manifest::{Manifest, Outgoing};

/// The manifest's name for the id of the open generation. A rebuilt manifest has another one than
/// the state if the log does not record the generation in the state as opened (spec §9.4).
pub const OPEN_GENERATION: &str = "open generation";

/// The manifest's name for what says that a recipient was removed since the generation was opened.
pub const ROLL_DUE: &str = "roll due";

/// A generation that is about to be opened.
pub struct NewGeneration {
    /// What the host keeps of it.
    pub open: OpenGeneration,
    /// Its sealed secrets.
    pub files: Vec<Outgoing>,
    /// What the ledger says of it.
    pub event: EventPayload,
}

impl NewGeneration {
    /// Draws the secrets of a generation and seals them to the data recipients.
    ///
    /// # Errors
    /// If a recipient's plugin is missing or refuses.
    pub fn prepare(
        vault: VaultId,
        recipients: &DataRecipients,
        ask: &impl AskPassphrase,
        outside: &Outside,
    ) -> Result<Self, Error> {
        let opened = outside.clock.now();
        let id = GenerationId::new(opened, entropy::draw(outside.entropy.as_ref()));
        let identity = GenerationIdentity::generate(outside.entropy.as_ref());
        let dedup_secret = DedupSecret::generate(outside.entropy.as_ref());
        let file = GenerationFile {
            vault,
            generation: id,
            created: opened,
            dedup_secret: dedup_secret.to_hex(),
            identity: identity.to_secret_text(),
        };
        let sealed = recipients.seal(file.compose().as_bytes(), ask)?;
        let files: Vec<Outgoing> = (1..)
            .zip(sealed)
            .map(|(rev, bytes)| outgoing(ObjectKey::Generation(id, rev), bytes))
            .collect();
        let revs = (1..).zip(&files).map(|(rev, file)| GenerationRev { rev, sha256: file.sha256 });
        let recipient = identity.recipient();
        let event = EventPayload::GenerationOpened(GenerationOpened {
            generation: id,
            revs: revs.collect(),
            recipient_sha256: recipient.digest(),
        });
        Ok(Self { open: OpenGeneration { id, opened, recipient, dedup_secret }, files, event })
    }
}

/// Returns the open generation, having finished or undone a roll that a crash interrupted.
pub(super) fn current(state: &StateDir, manifest: &Manifest) -> Result<OpenGeneration, Error> {
    if state.has_generation(GenerationSlot::Next)? {
        let next = state.generation(GenerationSlot::Next)?;
        if manifest.note(OPEN_GENERATION)?.as_deref() == Some(next.id.to_string().as_bytes()) {
            state.erase_generation(GenerationSlot::Open)?;
            state.set_generation(GenerationSlot::Open, &next)?;
        }
    }
    state.erase_generation(GenerationSlot::Next)?;
    state.generation(GenerationSlot::Open)
}

/// Tells whether the manifest knows this generation as the open one.
pub(super) fn is_recorded(manifest: &Manifest, generation: GenerationId) -> Result<bool, Error> {
    let recorded = manifest.note(OPEN_GENERATION)?;
    Ok(recorded.as_deref() == Some(generation.to_string().as_bytes()))
}

impl Writer {
    /// Tells whether the open generation has reached its greatest age.
    pub fn generation_is_over(&self) -> bool {
        let days = self.note().parameters.fields().generation_max_age_days;
        days.is_some_and(|days| {
            let age = jiff::SignedDuration::from_hours(24 * i64::from(days));
            self.outside().clock.now() >= self.generation().opened + age
        })
    }

    /// Closes the open generation and opens a new one; its chunk index and secrets are erased.
    ///
    /// # Errors
    /// If sealing fails, for which nothing has changed, or the state cannot be written.
    pub fn roll(
        &mut self,
        recipients: &DataRecipients,
        ask: &impl AskPassphrase,
    ) -> Result<GenerationId, Error> {
        let told: BTreeSet<Digest> = recipients.digests().into_iter().collect();
        if told != self.note().recipients.iter().copied().collect() {
            return Err(Error::RecipientsDiffer);
        }
        let new = NewGeneration::prepare(self.vault(), recipients, ask, self.outside())?;
        self.state().set_generation(GenerationSlot::Next, &new.open)?;
        let id = new.open.id;
        let closed = GenerationRef { generation: self.generation().id };
        let closed = self.generation_is_recorded().then_some(closed);
        let events = closed.map(EventPayload::GenerationClosed).into_iter().chain([new.event]);
        let notes = [(OPEN_GENERATION, id.to_string().into_bytes()), (ROLL_DUE, Vec::new())];
        let locked_until = self.locked_until_for(new.open.opened)?;
        self.journal_generation(new.files, events.collect(), notes, locked_until)?;
        self.adopt_generation()?;
        Ok(id)
    }
}

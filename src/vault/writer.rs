//! The host: seals, signs and delivers, and cannot read what it sealed. Spec: §5, §9, §11.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::generation::ROLL_DUE;
use super::journal::{FRONTIER, Journal};
use super::mirrors::{Delivery, Mirrors};
use super::state::{Anchor, OpenGeneration, StateDir};
use super::{Error, notes};
use crate::base::limits::SPOOL_LEN_MAX_DEFAULT;
use crate::base::{Clock, Entropy, Gate, Observer, PackId, Profile, SnapshotId, VaultId, entropy};
use crate::crypto::signing::{SigningKey, VerificationKey};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::vault_note::VaultNote;
use crate::manifest::{Commit, IDENTITY, Manifest, Outgoing, PackNumber, PackRow, SnapshotRow};
use crate::store::Store;

/// The time and the randomness that a vault works with, and the gate of its state.
#[derive(Clone)]
pub struct Outside {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What every change of the host's state passes.
    pub gate: Arc<dyn Gate>,
}

/// A vault, open for writing by the one run that holds the state directory's lock.
pub struct Writer {
    state: StateDir,
    anchor: Anchor,
    note: VaultNote,
    manifest: Manifest,
    mirrors: Mirrors,
    key: SigningKey,
    generation: OpenGeneration,
    generation_is_recorded: bool,
    journal: Journal,
    outside: Outside,
    looked_for_notes: bool,
    spool_max: u64,
}

impl Writer {
    /// Opens the state of a vault that `init` made.
    ///
    /// # Errors
    /// If there is none, or it does not hold together.
    pub fn open(
        state: StateDir,
        stores: Vec<Arc<dyn Store>>,
        outside: Outside,
    ) -> Result<Self, Error> {
        let state = state.gated(Arc::clone(&outside.gate));
        let anchor = state.anchor()?;
        let invalid = |name: &str, reason: &dyn std::fmt::Display| Error::StateInvalid {
            path: state.file(name),
            reason: reason.to_string(),
        };
        let root: VerificationKey =
            anchor.root_key.parse().map_err(|e| invalid("vault.json", &e))?;
        let note = notes::newest_vault_note(&state, &root)?;
        let key = SigningKey::from_secret_text(state.writer_key()?.trim_end())
            .map_err(|e| invalid("writer.key", &e))?;
        let path = state.file("manifest.sqlite");
        let manifest = Manifest::open(&path, state.gate())?;
        if manifest.note(FRONTIER)?.is_none() {
            return Err(crate::manifest::Error::Empty { path }.into());
        }
        let generation = super::generation::current(&state, &manifest)?;
        let journal = Journal::load(&manifest)?;
        for store in &stores {
            // A store that never got the vault's first objects must not get what leans on them.
            if !manifest.knows_store(store.name())? {
                let (store, vault) = (store.name().to_owned(), anchor.name);
                return Err(Error::StoreUnknown { store, vault });
            }
        }
        let generation_is_recorded = super::generation::is_recorded(&manifest, generation.id)?;
        Ok(Self {
            state,
            anchor,
            note,
            manifest,
            mirrors: Mirrors::new(stores, Arc::clone(&outside.clock)),
            key,
            generation,
            generation_is_recorded,
            journal,
            outside,
            looked_for_notes: false,
            spool_max: SPOOL_LEN_MAX_DEFAULT,
        })
    }

    /// Returns the vault's id.
    pub const fn vault(&self) -> VaultId {
        self.anchor.vault
    }

    /// Returns the vault's name.
    pub fn name(&self) -> &str {
        &self.anchor.name
    }

    /// Returns the root verification key.
    pub fn root_key(&self) -> &str {
        &self.anchor.root_key
    }

    /// Returns the vault note in force.
    pub const fn note(&self) -> &VaultNote {
        &self.note
    }

    /// Returns the open generation.
    pub const fn generation(&self) -> &OpenGeneration {
        &self.generation
    }

    /// Tells whether the ledger says that the open generation was opened. Another must not be
    /// written to: its sealed secrets may be in no store (I1).
    pub const fn generation_is_recorded(&self) -> bool {
        self.generation_is_recorded
    }

    /// Returns the signing key.
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Returns the state directory.
    pub const fn state(&self) -> &StateDir {
        &self.state
    }

    /// Returns the manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) const fn manifest_mut(&mut self) -> &mut Manifest {
        &mut self.manifest
    }

    /// Returns how many bytes may wait in the spools of the host for mirrors.
    pub const fn spool_max(&self) -> u64 {
        self.spool_max
    }

    /// Bounds the bytes that may wait in the spools of the host for mirrors.
    pub const fn set_spool_max(&mut self, len: u64) {
        self.spool_max = len;
    }

    /// Returns what tells this manifest's pack numbers from those of another generation or of a
    /// manifest rebuilt later.
    ///
    /// # Errors
    /// If the manifest cannot be read or written.
    pub fn manifest_identity(&mut self) -> Result<Vec<u8>, Error> {
        if let Some(identity) = self.manifest.note(IDENTITY)? {
            return Ok(identity);
        }
        let identity: [u8; 16] = entropy::draw(self.outside.entropy.as_ref());
        self.manifest.set_note(IDENTITY, &identity)?;
        Ok(identity.to_vec())
    }

    /// Returns time and randomness.
    pub const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Returns the stores.
    pub const fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// Returns where packs are staged: in the primary store, so that they need no second copy,
    /// else in the spool.
    ///
    /// # Errors
    /// If the spool cannot be made.
    pub fn staging_dir(&self) -> Result<PathBuf, Error> {
        match self.mirrors.primary().staging_dir() {
            Some(dir) => Ok(dir),
            None => self.state.spool(),
        }
    }

    /// Returns the packs that new snapshots may lean on (I9): of the open generation, not retired,
    /// and named, or made, within the reuse period.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn usable_packs(&self) -> Result<Vec<PackRow>, Error> {
        let reuse =
            SignedDuration::from_hours(24 * i64::from(self.note.parameters.fields().reuse_days));
        let since = self.outside.clock.now() - reuse;
        let leans = |pack: &PackRow| !pack.retired && pack.used_at >= since;
        Ok(self.manifest.packs()?.into_iter().filter(leans).collect())
    }

    /// Commits a snapshot and the event that records it, in one transaction.
    ///
    /// # Errors
    /// If the manifest cannot be written; then nothing of it happened.
    pub fn commit(
        &mut self,
        snapshot: &SnapshotRow,
        named: &[(PackNumber, u64)],
        mut objects: Vec<Outgoing>,
        event: EventPayload,
    ) -> Result<(), Error> {
        let mut journal = self.journal.clone();
        objects.extend(self.append(&mut journal, event)?);
        lock(&mut objects, self.locked_until()?);
        self.manifest.commit(&Commit {
            snapshot,
            named,
            retire_below_percent: self.note.parameters.fields().retire_below_percent,
            stores: &self.mirrors.names(),
            objects: &objects,
            notes: &[(FRONTIER, journal.to_bytes())],
        })?;
        self.journal = journal;
        Ok(())
    }

    /// Journals an event and the checkpoint after it for every store.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn record(&mut self, event: EventPayload) -> Result<(), Error> {
        self.record_all(vec![event], Vec::new())
    }

    /// Drops what this host itself forgot from its manifest.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn drop_snapshots(&mut self, ids: &[SnapshotId]) -> Result<(), Error> {
        Ok(self.manifest.drop_snapshots(ids)?)
    }

    /// Forgets packs that are about to be deleted, so that nothing leans on them from now on.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn drop_packs(&mut self, packs: &[ObjectKey]) -> Result<(), Error> {
        Ok(self.manifest.drop_packs(packs)?)
    }

    /// Journals events, and keeps values beside them, at once.
    pub(super) fn record_all(
        &mut self,
        events: Vec<EventPayload>,
        mut notes: Vec<(&str, Vec<u8>)>,
    ) -> Result<(), Error> {
        let mut journal = self.journal.clone();
        let objects = self.append_all(&mut journal, events)?;
        notes.push((FRONTIER, journal.to_bytes()));
        self.manifest.enqueue(&self.mirrors.names(), &objects, &notes)?;
        self.journal = journal;
        Ok(())
    }

    /// Journals events, and that each covers what its store said until now, at once.
    pub(super) fn record_covering(
        &mut self,
        events: Vec<EventPayload>,
        completed: &[(String, SnapshotId)],
    ) -> Result<(), Error> {
        let mut journal = self.journal.clone();
        let objects = self.append_all(&mut journal, events)?;
        let notes = [(FRONTIER, journal.to_bytes())];
        self.manifest.complete(&self.mirrors.names(), &objects, &notes, completed)?;
        self.journal = journal;
        Ok(())
    }

    fn append_all(
        &self,
        journal: &mut Journal,
        events: Vec<EventPayload>,
    ) -> Result<Vec<Outgoing>, Error> {
        let each = events.into_iter().map(|event| self.append(journal, event));
        let mut objects = each.collect::<Result<Vec<_>, _>>()?.concat();
        lock(&mut objects, self.locked_until()?);
        Ok(objects)
    }

    /// Journals what opens a generation and forgets the chunk index of the one before, at once.
    pub(super) fn journal_generation(
        &mut self,
        mut objects: Vec<Outgoing>,
        events: Vec<EventPayload>,
        notes: [(&str, Vec<u8>); 2],
        locked_until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut journal = self.journal.clone();
        for event in events {
            objects.extend(self.append(&mut journal, event)?);
        }
        lock(&mut objects, locked_until);
        let notes: Vec<_> = notes.into_iter().chain([(FRONTIER, journal.to_bytes())]).collect();
        self.manifest.roll(&self.mirrors.names(), &objects, &notes)?;
        self.journal = journal;
        Ok(())
    }

    /// Tells whether newer vault notes have been looked for before, from now on they have.
    pub(super) const fn look_for_notes(&mut self) -> bool {
        std::mem::replace(&mut self.looked_for_notes, true)
    }

    /// Takes up a vault note that follows the one in force; that a roll is due is known before.
    pub(super) fn adopt_note(
        &mut self,
        bytes: &[u8],
        note: VaultNote,
        must_roll: bool,
    ) -> Result<(), Error> {
        if must_roll {
            self.manifest.set_note(ROLL_DUE, b"due")?;
        }
        self.state.set_vault_note(bytes)?;
        self.note = note;
        Ok(())
    }

    /// Takes up the generation that was journaled.
    pub(super) fn adopt_generation(&mut self) -> Result<(), Error> {
        self.generation = super::generation::current(&self.state, &self.manifest)?;
        self.generation_is_recorded =
            super::generation::is_recorded(&self.manifest, self.generation.id)?;
        Ok(())
    }

    /// Appends to a copy of the journal, which counts once the transaction with the event lasts:
    /// an event that was not journaled must take no place in the ledger.
    fn append(&self, journal: &mut Journal, event: EventPayload) -> Result<Vec<Outgoing>, Error> {
        journal.append(&self.key, self.anchor.vault, self.outside.clock.now(), event, Vec::new())
    }

    /// Delivers everything journaled.
    ///
    /// # Errors
    /// If the primary store or the manifest fails; what was journaled stays so.
    pub fn deliver(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        self.give_up_what_is_late(observer)?;
        let locked_until = self.locked_until()?;
        let (manifest, state) = (&mut self.manifest, &self.state);
        self.mirrors.deliver(Delivery { manifest, state, locked_until, observer })
    }
}

/// Gives objects the date until which they are locked at least, whenever a store gets them.
pub(super) fn lock(objects: &mut [Outgoing], until: Option<Timestamp>) {
    objects.iter_mut().for_each(|object| object.locked_until = until);
}

/// Returns the name of a pack or tree object.
pub const fn pack_key(profile: Profile, id: PackId) -> ObjectKey {
    match profile {
        Profile::Stream | Profile::File => ObjectKey::Pack(id),
        Profile::Meta => ObjectKey::Tree(id),
    }
}

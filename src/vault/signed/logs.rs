//! What the ledgers of all stores say, event by event. Spec: `repair.md` §1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Expected, first_sound, proves_damage, signer_keys, versions_of};
use crate::base::limits::{LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{Code, Coded, Digest, GenerationId, SignerId, SnapshotId};
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::digest::sha256;
use crate::crypto::merkle::Frontier;
use crate::crypto::signing::{VerificationKey, verify};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::ledger::LedgerEvent;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::vault_note::VaultNote;
use crate::store::Store;
use crate::vault::ledger::holds::holds_of;
use crate::vault::ledger::too_late::TooLate;
use crate::vault::{Error, ledger, notes};

/// The digests of one event and of the checkpoint after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub event: Digest,
    pub checkpoint: Digest,
}

/// Which event recorded a snapshot.
pub(super) struct Taken {
    pub signer: SignerId,
    pub seq: u64,
    pub note_sha256: Digest,
}

/// Every log as far as it verifies in any store.
#[derive(Default)]
pub(super) struct Logs {
    entries: BTreeMap<SignerId, Vec<Entry>>,
    pub taken: BTreeMap<SnapshotId, Taken>,
    /// When each was, by the earliest that says so.
    pub forgotten: BTreeMap<SnapshotId, Timestamp>,
    /// What says which snapshots are held and which forgotten: judged once all of it is read.
    judged: Vec<LedgerEvent>,
    held: BTreeSet<SnapshotId>,
    pub opened: BTreeMap<GenerationId, Timestamp>,
    pub closed: BTreeMap<GenerationId, Timestamp>,
    files: BTreeMap<(GenerationId, u32), Vec<Digest>>,
    shredded: BTreeSet<GenerationId>,
    pub forks: Vec<ObjectKey>,
}

impl Logs {
    /// Returns the snapshots that a log records as taken, and none as forgotten.
    pub fn standing(&self) -> impl Iterator<Item = SnapshotId> {
        self.taken.keys().copied().filter(|id| !self.forgotten.contains_key(id))
    }

    /// Tells whether a snapshot stands: it was not forgotten, or a hold keeps it that was not
    /// released, or it was forgotten before its own floor. Nobody deletes such a one (F-19).
    pub fn stands(&self, note: &SnapshotNote) -> bool {
        let id = note.snapshot;
        let Some(at) = self.forgotten.get(&id) else { return true };
        self.held.contains(&id) || note.floor.is_some_and(|floor| *at < floor)
    }

    pub fn read(stores: &[Arc<dyn Store>], note: &VaultNote) -> Result<Self, Error> {
        let mut logs = Self::default();
        for key in signer_keys(note)? {
            logs.read_log(stores, note, &key)?;
        }
        logs.judge(stores, note)?;
        Ok(logs)
    }

    /// Derives what is held and what is forgotten from what counts.
    fn judge(&mut self, stores: &[Arc<dyn Store>], note: &VaultNote) -> Result<(), Error> {
        let judged = std::mem::take(&mut self.judged);
        let too_late = TooLate::of(note, judged.iter(), |key| written(stores, key))?;
        for event in judged.iter().filter(|event| too_late.counts(event)) {
            if let EventPayload::SnapshotForgotten(forgotten) = &event.payload {
                let at = self.forgotten.entry(forgotten.snapshot).or_insert(event.time);
                *at = event.time.min(*at);
            }
        }
        let holds = holds_of(judged.iter(), |event| too_late.counts(event)).into_values();
        let standing = holds.filter(|hold| hold.released.is_none());
        self.held = standing.map(|hold| hold.snapshot).collect();
        Ok(())
    }

    fn read_log(
        &mut self,
        stores: &[Arc<dyn Store>],
        note: &VaultNote,
        key: &VerificationKey,
    ) -> Result<(), Error> {
        let mut frontier = Frontier::empty();
        for seq in 0.. {
            let mut found: Option<(LedgerEvent, Entry, Frontier)> = None;
            for store in stores {
                let Some(step) = read_step(stores, store, note, key, (seq, &frontier))? else {
                    continue;
                };
                match &found {
                    Some((_, entry, _)) if entry.event != step.1.event => {
                        self.forks.push(ObjectKey::LedgerEvent(key.signer_id(), seq));
                        return Ok(());
                    }
                    Some(_) => {}
                    None => found = Some(step),
                }
            }
            let Some((event, entry, next)) = found else { return Ok(()) };
            frontier = next;
            self.entries.entry(key.signer_id()).or_default().push(entry);
            self.take(event);
        }
        Ok(())
    }

    fn take(&mut self, event: LedgerEvent) {
        use EventPayload::{HoldPlaced, HoldReleased, SignerRetired, SnapshotForgotten};
        let judged = matches!(
            event.payload,
            SnapshotForgotten(_) | HoldPlaced(_) | HoldReleased(_) | SignerRetired(_)
        );
        if judged {
            self.judged.push(event);
            return;
        }
        let LedgerEvent { signer, seq, time, .. } = event;
        match event.payload {
            EventPayload::SnapshotTaken(taken) => {
                let note_sha256 = taken.note_sha256;
                self.taken.entry(taken.snapshot).or_insert(Taken { signer, seq, note_sha256 });
            }
            EventPayload::GenerationOpened(opened) => {
                self.opened.entry(opened.generation).or_insert(time);
                for file in opened.revs {
                    self.add_file(opened.generation, file.rev, file.sha256);
                }
            }
            EventPayload::GenerationClosed(closed) => {
                self.closed.entry(closed.generation).or_insert(time);
            }
            EventPayload::RecipientsChanged(changed) => {
                for sealed in changed.generations {
                    self.add_file(sealed.generation, sealed.rev, sealed.sha256);
                }
            }
            EventPayload::GenerationShredded(shredded) => {
                self.shredded.insert(shredded.generation);
            }
            _ => {}
        }
    }

    fn add_file(&mut self, id: GenerationId, rev: u32, sha256: Digest) {
        self.files.entry((id, rev)).or_default().push(sha256);
    }

    pub fn entry(&self, signer: SignerId, seq: u64) -> Option<Entry> {
        self.entries.get(&signer)?.get(usize::try_from(seq).ok()?).copied()
    }

    pub fn generation_file(&self, id: GenerationId, rev: u32) -> Option<Expected> {
        let files = self.files.get(&(id, rev)).filter(|_| !self.shredded.contains(&id))?;
        Some(Expected { sha256: files.clone(), len: None })
    }

    pub fn generation_files(&self) -> Vec<ObjectKey> {
        let stand = self.files.keys().filter(|(id, _)| !self.shredded.contains(id));
        stand.map(|(id, rev)| ObjectKey::Generation(*id, *rev)).collect()
    }

    pub fn objects(&self) -> Vec<ObjectKey> {
        let mut objects = Vec::new();
        for (signer, entries) in &self.entries {
            for seq in 0..entries.len() as u64 {
                objects.push(ObjectKey::LedgerEvent(*signer, seq));
                objects.push(ObjectKey::LedgerCheckpoint(*signer, seq));
            }
        }
        objects
    }
}

/// Returns when any of the stores first had an object, if one tells.
fn written(stores: &[Arc<dyn Store>], key: &ObjectKey) -> Result<Option<Timestamp>, Error> {
    let mut first = None;
    for store in stores {
        for view in versions_of(store, key)?.iter().take(1) {
            let there = match view.stat(key) {
                Ok(stat) => stat.and_then(|stat| stat.modified),
                Err(error) if error.code() == Code::StoreDenied => None,
                Err(error) => return Err(error.into()),
            };
            first = first.into_iter().chain(there).min();
        }
    }
    Ok(first)
}

/// Reads one event in a store, if a checkpoint proves it: of several versions the oldest. The
/// checkpoint may be in another store, where this one has lost it or never got it.
fn read_step(
    stores: &[Arc<dyn Store>],
    store: &Arc<dyn Store>,
    note: &VaultNote,
    key: &VerificationKey,
    (seq, frontier): (u64, &Frontier),
) -> Result<Option<(LedgerEvent, Entry, Frontier)>, Error> {
    let signer = key.signer_id();
    let (event_key, checkpoint_key) =
        (ObjectKey::LedgerEvent(signer, seq), ObjectKey::LedgerCheckpoint(signer, seq));
    for version in versions_of(store, &event_key)? {
        let leaf = match version.get(&event_key, LEDGER_EVENT_LEN_MAX) {
            Ok(leaf) => leaf,
            Err(error) if proves_damage(store.as_ref(), &error) => continue,
            Err(error) => return Err(error.into()),
        };
        let Ok(event) = LedgerEvent::parse(&leaf, note.vault, signer, seq) else { continue };
        if ledger::check_delegation(note, &event, event_key).is_err() {
            continue;
        }
        let mut next = frontier.clone();
        next.append(&leaf);
        let check = |bytes: &[u8]| -> Result<(), Error> {
            let text = verify(bytes, &[key]).map_err(|e| notes::signature(checkpoint_key, &e))?;
            Ok(next.check(&TreeHead::parse_checkpoint(text.text(), note.vault, signer)?)?)
        };
        let others = stores.iter().filter(|other| !Arc::ptr_eq(other, store));
        for place in std::iter::once(store).chain(others) {
            let proven = first_sound(place, &checkpoint_key, NOTE_LEN_MAX, check)?;
            if let Some(((), checkpoint)) = proven {
                return Ok(Some((event, Entry { event: sha256(&leaf), checkpoint }, next)));
            }
        }
    }
    Ok(None)
}

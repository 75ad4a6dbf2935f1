//! What every object of a vault must be, gathered from all of its stores. Spec: `repair.md` §1.
//!
//! A pack proves itself by its name. Everything else is what a signature says, and whose stands in
//! one mirror alone holds for all of them: so an object that is missing here is known from there.
//!
//! - Nothing is taken at a store's word, so nothing damaged or planted becomes what must be.
//! - Of several versions in a store the oldest that verifies counts (I8).
//! - Two stores whose logs both verify and differ are a fork: nothing of that log is known then.

mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::logs::Logs;
use super::auditor::{ChainLink, check_link};
use super::notes::check_snapshot_note;
use super::{Error, notes};
use crate::base::limits::NOTE_LEN_MAX;
use crate::base::{Code, Coded, Digest, Family, GenerationId, SnapshotId, VaultId};
use crate::crypto::digest::sha256;
use crate::crypto::signing::VerificationKey;
use crate::format::list::{self, ListEntry};
use crate::format::snapshot_note::{SignedObject, SnapshotNote};
use crate::format::vault_note::VaultNote;
use crate::format::{Folder, ObjectKey};
use crate::policy::{Policy, PolicyError};
use crate::store::{self, Listed, Store};

/// What an object must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The SHA-256 that its bytes may have; usually one.
    pub sha256: Vec<Digest>,
    /// Its length, where that is signed.
    pub len: Option<u64>,
}

impl Expected {
    fn one(sha256: Digest, len: Option<u64>) -> Self {
        Self { sha256: vec![sha256], len }
    }

    /// Tells whether bytes of this digest and length are the ones.
    pub fn is_met(&self, sha256: &Digest, len: u64) -> bool {
        self.sha256.contains(sha256) && self.len.is_none_or(|need| need == len)
    }
}

/// A snapshot as it is signed.
pub struct SignedSnapshot {
    /// What the note says.
    pub note: SnapshotNote,
    /// SHA-256 of the stored note.
    pub sha256: Digest,
}

/// What is signed of a vault, whichever of its stores has it.
pub struct Signed {
    chain: Vec<ChainLink>,
    logs: Logs,
    snapshots: BTreeMap<SnapshotId, SignedSnapshot>,
}

impl Signed {
    /// Reads notes and ledgers of all these stores.
    ///
    /// # Errors
    /// If a store does not answer, or none has a first vault note that verifies with the key.
    pub fn gather(stores: &[Arc<dyn Store>], root: &VerificationKey) -> Result<Self, Error> {
        let chain = read_chain(stores, root)?;
        let newest = &chain.last().ok_or_else(|| no_vault_note(stores))?.note;
        let logs = Logs::read(stores, newest)?;
        let snapshots = read_snapshots(stores, newest, &logs)?;
        Ok(Self { chain, logs, snapshots })
    }

    /// Returns the newest vault note.
    ///
    /// # Panics
    /// Never: a chain without a note is refused.
    pub fn vault_note(&self) -> &VaultNote {
        &self.chain.last().expect("a chain without a note is refused").note
    }

    /// Returns every snapshot that has a signed note and was not forgotten, or must stay all the
    /// same.
    pub fn snapshots(&self) -> impl Iterator<Item = &SignedSnapshot> {
        self.snapshots.values().filter(|signed| self.logs.stands(&signed.note))
    }

    /// Returns a snapshot that has a signed note.
    pub fn snapshot(&self, id: SnapshotId) -> Option<&SignedSnapshot> {
        self.snapshots.get(&id)
    }

    /// Returns where logs of several stores part: both verify there, and they differ.
    pub fn forks(&self) -> &[ObjectKey] {
        &self.logs.forks
    }

    /// Returns what an object must be; none, if nothing signed says so.
    ///
    /// A sealed file of a generation that was shredded must not be anywhere.
    pub fn expected(&self, key: &ObjectKey) -> Option<Expected> {
        let snapshot = |id: &SnapshotId| self.snapshots.get(id);
        let signed = |object: SignedObject| Expected::one(object.sha256, Some(object.len));
        match *key {
            ObjectKey::Pack(id) | ObjectKey::Tree(id) => {
                Some(Expected::one(Digest::from_bytes(*id.as_bytes()), None))
            }
            ObjectKey::Vault(number) => {
                let link = self.chain.iter().find(|link| link.note.number == number)?;
                Some(Expected::one(link.sha256, None))
            }
            ObjectKey::Generation(id, rev) => self.logs.generation_file(id, rev),
            ObjectKey::Segment(id) => Some(signed(snapshot(&id)?.note.segment)),
            ObjectKey::Body(id) => Some(signed(snapshot(&id)?.note.body)),
            ObjectKey::List(id) => Some(signed(snapshot(&id)?.note.list)),
            ObjectKey::Note(id) => {
                let recorded = || self.logs.taken.get(&id).map(|taken| taken.note_sha256);
                let sha256 = snapshot(&id).map(|signed| signed.sha256).or_else(recorded)?;
                Some(Expected::one(sha256, None))
            }
            ObjectKey::LedgerEvent(signer, seq) => {
                Some(Expected::one(self.logs.entry(signer, seq)?.event, None))
            }
            ObjectKey::LedgerCheckpoint(signer, seq) => {
                Some(Expected::one(self.logs.entry(signer, seq)?.checkpoint, None))
            }
            ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
                None
            }
        }
    }

    /// Returns every object of a folder that must be in each store, packs and trees left out: they
    /// are in the lists.
    pub fn objects(&self, folder: Folder) -> Vec<ObjectKey> {
        let standing = || self.snapshots().map(|signed| signed.note.snapshot);
        match folder {
            Folder::Vault => self.chain.iter().map(|l| ObjectKey::Vault(l.note.number)).collect(),
            Folder::Generations => self.logs.generation_files(),
            Folder::Packs | Folder::Trees | Folder::Escrow => Vec::new(),
            Folder::Segments => standing().map(ObjectKey::Segment).collect(),
            Folder::Snapshots => {
                let bodies = standing().map(ObjectKey::Body);
                let lists = standing().map(ObjectKey::List);
                // A log may record one whose note is nowhere.
                let recorded = self.logs.standing().map(ObjectKey::Note);
                let notes: BTreeSet<_> = standing().map(ObjectKey::Note).chain(recorded).collect();
                bodies.chain(lists).chain(notes).collect()
            }
            Folder::Ledger => self.logs.objects(),
        }
    }

    /// Reads the list of a snapshot from the first store that has the signed one.
    ///
    /// # Errors
    /// If none has, or the list contradicts its note.
    pub fn list(
        &self,
        stores: &[Arc<dyn Store>],
        note: &SnapshotNote,
    ) -> Result<Option<Vec<ListEntry>>, Error> {
        let (key, len) = (ObjectKey::List(note.snapshot), note.list.len);
        let check = |bytes: &[u8]| {
            let is_it = bytes.len() as u64 == len && sha256(bytes) == note.list.sha256;
            let parsed = is_it.then(|| list::parse(bytes, note.vault, note.snapshot));
            parsed.transpose().map_err(|cause| Error::format(key, cause))
        };
        for store in stores {
            if let Some((Some((entries, _)), _)) = first_sound(store, &key, len, check)? {
                return Ok(Some(entries));
            }
        }
        Ok(None)
    }

    /// Tells which event of which log recorded a snapshot.
    pub fn taken(&self, id: SnapshotId) -> Option<(crate::base::SignerId, u64)> {
        self.logs.taken.get(&id).map(|taken| (taken.signer, taken.seq))
    }

    /// Returns until when objects of a generation are locked, in a store that locks: its last day
    /// and the floor.
    ///
    /// # Errors
    /// If the policy does not parse.
    pub fn locked_until(
        &self,
        id: GenerationId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PolicyError> {
        let note = self.vault_note();
        let days = note.parameters.fields().generation_max_age_days;
        let age = days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let opened = self.logs.opened.get(&id).copied();
        let closes = opened.zip(age).and_then(|(at, age)| at.checked_add(age).ok());
        let open = || closes.map(|at| at.max(now));
        let last = self.logs.closed.get(&id).copied().or_else(open).unwrap_or(now);
        // These times are a host's: a lie must lock nothing for longer than a new generation.
        let last = last.min(age.and_then(|age| now.checked_add(age).ok()).unwrap_or(now));
        let until = Policy::from_json(&note.policy)?.floor_at(last).unwrap_or(last);
        Ok(Some(until).filter(|until| *until > now))
    }

    /// Returns the generation that was opened last.
    pub fn newest_generation(&self) -> Option<GenerationId> {
        self.logs.opened.iter().max_by_key(|(_, at)| **at).map(|(id, _)| *id)
    }
}

/// Refuses a store that holds another vault; one that holds none yet is good.
///
/// # Errors
/// If it does, or does not answer.
pub fn refuse_foreign(store: &dyn Store, vault: VaultId) -> Result<(), Error> {
    let bytes = match store.get(&ObjectKey::Vault(1), NOTE_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(store::Error::Missing { .. }) => return Ok(()),
        Err(error) if proves_damage(store, &error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    // A line that names no vault is that of a damaged note.
    let found = line.rsplit(' ').next().and_then(|id| id.parse::<VaultId>().ok());
    match found.filter(|found| *found != vault) {
        None => Ok(()),
        Some(found) => Err(Error::StoreForeign {
            store: store.name().to_owned(),
            found: found.to_string(),
            expected: vault.to_string(),
        }),
    }
}

fn no_vault_note(stores: &[Arc<dyn Store>]) -> Error {
    let names: Vec<&str> = stores.iter().map(|store| store.name()).collect();
    Error::NoVaultNote { store: names.join(", ") }
}

/// Reads the chain of vault notes, each from the first store where it verifies.
fn read_chain(stores: &[Arc<dyn Store>], root: &VerificationKey) -> Result<Vec<ChainLink>, Error> {
    let mut chain: Vec<ChainLink> = Vec::new();
    for number in 1.. {
        let key = ObjectKey::Vault(number);
        let mut found = None;
        for store in stores {
            let check = |bytes: &[u8]| check_link(bytes, number, root, chain.last());
            found = first_sound(store, &key, NOTE_LEN_MAX, check)?;
            if found.is_some() {
                break;
            }
        }
        match found {
            Some((link, _)) => chain.push(link),
            None => break,
        }
    }
    Ok(chain)
}

/// Reads every snapshot note that is listed anywhere, or that a log names.
fn read_snapshots(
    stores: &[Arc<dyn Store>],
    newest: &VaultNote,
    logs: &Logs,
) -> Result<BTreeMap<SnapshotId, SignedSnapshot>, Error> {
    let mut ids: BTreeSet<SnapshotId> = logs.standing().collect();
    for store in stores {
        for listed in store.list(Folder::Snapshots)? {
            if let Listed::Object(ObjectKey::Note(id), _) = listed? {
                ids.insert(id);
            }
        }
    }
    let mut snapshots = BTreeMap::new();
    for id in ids {
        let key = ObjectKey::Note(id);
        let recorded = logs.taken.get(&id).map(|taken| taken.note_sha256);
        for store in stores {
            let check = |bytes: &[u8]| match recorded {
                Some(recorded) if recorded != sha256(bytes) => {
                    let reason = "it is not the note that the ledger records".to_owned();
                    Err(Error::Mismatch { key, reason })
                }
                _ => check_snapshot_note(bytes, id, newest),
            };
            if let Some((note, sha256)) = first_sound(store, &key, NOTE_LEN_MAX, check)? {
                snapshots.insert(id, SignedSnapshot { note, sha256 });
                break;
            }
        }
    }
    Ok(snapshots)
}

/// Returns an object's versions in a store, the oldest first, or the one that there is.
///
/// # Errors
/// If the store does not answer.
pub fn versions_of(
    store: &Arc<dyn Store>,
    key: &ObjectKey,
) -> Result<Vec<Arc<dyn Store>>, store::Error> {
    let versions = store.versions(key)?;
    Ok(if versions.is_empty() { vec![Arc::clone(store)] } else { versions })
}

/// Reads the oldest version of an object in a store that passes a check, with its SHA-256.
fn first_sound<T>(
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    len_max: u64,
    check: impl Fn(&[u8]) -> Result<T, Error>,
) -> Result<Option<(T, Digest)>, Error> {
    for version in versions_of(store, key)? {
        let bytes = match version.get(key, len_max) {
            Ok(bytes) => bytes,
            Err(error) if proves_damage(store.as_ref(), &error) => continue,
            Err(error) => return Err(error.into()),
        };
        match check(&bytes) {
            Ok(found) => return Ok(Some((found, sha256(&bytes)))),
            Err(error) if error.code().family() == Family::Unsupported => return Err(error),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// Tells whether an error proves that an object is damaged or kept from everybody.
///
/// That an object could not be read is no proof, though others can: a server that is busy or a line
/// that is cut fails for one object too. Only what the operating system says of a file is.
pub fn proves_damage(store: &dyn Store, error: &store::Error) -> bool {
    match error.code() {
        Code::StoreUnavailable => error.is_of_the_medium() && answers(store),
        Code::ObjectArchived => true,
        code => code.family() == Family::Damaged,
    }
}

/// Tells whether an error may pass and concerns one object: the store answers otherwise.
pub fn may_pass(store: &dyn Store, error: &store::Error) -> bool {
    let code = error.code();
    code.family() == Family::Unavailable && code != Code::ObjectArchived && answers(store)
}

fn answers(store: &dyn Store) -> bool {
    store.stat(&ObjectKey::Vault(1)).is_ok()
}

/// Returns the keys of every signer of a vault note.
fn signer_keys(note: &VaultNote) -> Result<Vec<VerificationKey>, Error> {
    notes::signer_keys(note)
}

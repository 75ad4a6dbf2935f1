//! Reading what is signed, with the root verification key and nothing else. Spec: §8, §12.
//!
//! Nothing that a host can write stops an auditor from reading the rest (I8): an object that does
//! not verify is reported beside those that do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Error;
use super::at_once::map_at_once;
use super::delivery::hash_stored;
use super::list_reader::check_totals;
use super::notes::{check_snapshot_note, check_vault_note};
use super::versions::Versions;
use crate::base::limits::{LIST_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{Code, Coded, Digest, Family, PackId, SnapshotId, VaultId};
use crate::crypto::digest::sha256;
use crate::crypto::signing::VerificationKey;
use crate::format::list::{self, ListEntry};
use crate::format::snapshot_note::{SignedObject, SnapshotNote};
use crate::format::vault_note::VaultNote;
use crate::format::{Folder, ObjectKey};
use crate::store::Store;

/// A vault as whoever holds the root verification key sees it in one store.
pub struct Auditor {
    store: Arc<dyn Store>,
    versions: Versions,
    root: VerificationKey,
    chain: Vec<ChainLink>,
    problems: Vec<(ObjectKey, Error)>,
}

/// A vault note of the chain, and the digest under which the next one and events name it.
#[derive(Debug, Clone)]
pub struct ChainLink {
    /// What it says.
    pub note: VaultNote,
    /// SHA-256 of the stored note.
    pub sha256: Digest,
}

/// Something in a store, and what was wrong with it if it did not verify.
pub struct Checked<K, T> {
    /// What verified.
    pub sound: BTreeMap<K, T>,
    /// What did not.
    pub problems: Vec<(ObjectKey, Error)>,
}

impl Auditor {
    /// Reads the chain of vault notes.
    ///
    /// # Errors
    /// If the store fails or no note of number 1 verifies with the key.
    pub fn open(store: Arc<dyn Store>, root: VerificationKey) -> Result<Self, Error> {
        if !store.is_readable() {
            return Err(Error::PutOnly { store: store.name().to_owned() });
        }
        let mut problems = Vec::new();
        let mut chain: Vec<ChainLink> = Vec::new();
        let versions = Versions::new(Arc::clone(&store));
        let there = versions.list_all(Folder::Vault)?;
        for number in 1.. {
            let key = ObjectKey::Vault(number);
            if there.as_ref().is_some_and(|there| !there.contains(&key)) {
                break;
            }
            let link = versions.signed(key, |view| {
                check_link(&view.get(&key, NOTE_LEN_MAX)?, number, &root, chain.last())
            });
            match link {
                Ok(link) => chain.push(link),
                Err(Error::Store(crate::store::Error::Missing { .. })) => break,
                // The first note proves that the key is this vault's, so it must verify.
                Err(error) if number == 1 => return Err(error),
                Err(error @ Error::Store(_))
                    if error.code().family() != Family::Damaged && !is_withheld(&error) =>
                {
                    return Err(error);
                }
                // I8: something else was planted in the next note's place.
                Err(error) => {
                    problems.push((key, error));
                    break;
                }
            }
        }
        if chain.is_empty() {
            return Err(Error::NoVaultNote { store: store.name().to_owned() });
        }
        Ok(Self { store, versions, root, chain, problems })
    }

    /// Returns itself if no later vault note is wrong: who signs the next one must overlook none.
    ///
    /// # Errors
    /// What is wrong with the one behind the newest.
    pub fn sound(mut self) -> Result<Self, Error> {
        match self.problems.pop() {
            Some((_, problem)) => Err(problem),
            None => Ok(self),
        }
    }

    /// Returns the same vault, read through a store that stands before its own.
    #[must_use]
    pub fn through(self, store: Arc<dyn Store>) -> Self {
        let versions = self.versions.through(Arc::clone(&store));
        Self { store, versions, ..self }
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns what reads the version of an object that counts.
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Returns the root verification key.
    pub const fn root(&self) -> &VerificationKey {
        &self.root
    }

    /// Returns the vault.
    pub const fn vault(&self) -> VaultId {
        self.root.vault()
    }

    /// Returns the newest vault note that verifies.
    pub fn note(&self) -> &VaultNote {
        &self.newest().note
    }

    /// Returns the newest vault note that verifies, with its digest.
    ///
    /// # Panics
    /// Never: the first note verified.
    pub fn newest(&self) -> &ChainLink {
        self.chain.last().expect("the first note verified")
    }

    /// Returns every vault note that verifies, from the first on.
    pub fn chain(&self) -> &[ChainLink] {
        &self.chain
    }

    /// Returns what was wrong with later vault notes.
    pub fn problems(&self) -> &[(ObjectKey, Error)] {
        &self.problems
    }

    /// Returns the code of the damage that an error tells of; none, if it proves nothing about an
    /// object. An object that cannot be read is damaged if the store reads others: a bad sector
    /// must not look like a store that is out of reach, nor that like damage.
    pub fn damage(&self, error: &impl Coded) -> Option<Code> {
        match error.code() {
            Code::StoreUnavailable => self.answers().then_some(Code::ObjectUnreadable),
            code => matches!(code.family(), Family::Damaged | Family::Unsupported).then_some(code),
        }
    }

    /// As [`Self::damage`], for an object that this reader may read and that is never archived.
    ///
    /// Whoever may put can put one that is archived, or sealed to a key of the bucket that nobody
    /// else has: it must not keep others from the rest (I8).
    pub fn damage_of_signed(&self, error: &Error) -> Option<Code> {
        match is_withheld(error) {
            true => self.answers().then_some(Code::ObjectUnreadable),
            false => self.damage(error),
        }
    }

    /// Tells whether the store still reads the note that it read first.
    fn answers(&self) -> bool {
        let key = ObjectKey::Vault(1);
        let read = |view: &Arc<dyn Store>| Ok(view.get(&key, NOTE_LEN_MAX)?);
        // What a cache answers for the store says nothing of it; `stat` is never cached.
        self.store.stat(&key).is_ok() && self.versions.signed(key, read).is_ok()
    }

    /// Reads a pack or tree object whole and compares its SHA-256 with its name.
    ///
    /// # Errors
    /// If it cannot be read, or is not the one that its name says.
    pub fn check_name(&self, key: ObjectKey, id: PackId) -> Result<(), Error> {
        let (view, _) = self.versions.of_pack(key, id)?;
        let (found, _) = hash_stored(view.as_ref(), &key)?;
        if found.as_bytes() == id.as_bytes() {
            return Ok(());
        }
        Err(Error::Altered { key, found: found.to_string(), expected: id.to_string() })
    }

    /// Judges the rest of the store by the chain of another one, which goes on from its own.
    #[must_use]
    pub fn by_chain(self, chain: Vec<ChainLink>) -> Self {
        debug_assert!(chain.len() >= self.chain.len());
        Self { chain, ..self }
    }

    /// Reads every snapshot note.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn snapshots(&self) -> Result<Checked<SnapshotId, SnapshotNote>, Error> {
        self.each_note(|id| self.snapshot(id))
    }

    /// Reads every version of every snapshot note that verifies, the oldest first, with its digest.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn signed_notes(&self) -> Result<Checked<SnapshotId, Vec<(SnapshotNote, Digest)>>, Error> {
        self.each_note(|id| self.versions_of_note(id))
    }

    fn each_note<T: Send>(
        &self,
        read: impl Fn(SnapshotId) -> Result<T, Error> + Sync,
    ) -> Result<Checked<SnapshotId, T>, Error> {
        let mut checked = Checked { sound: BTreeMap::new(), problems: Vec::new() };
        let keys = self.versions.list(Folder::Snapshots)?;
        let ids = keys.into_iter().filter_map(|key| match key {
            ObjectKey::Note(id) => Some(id),
            _ => None,
        });
        let ids: Vec<SnapshotId> = ids.collect();
        let read = map_at_once(self.store.calls_at_once(), &ids, |id| read(*id));
        for (id, note) in ids.into_iter().zip(read) {
            match note {
                Ok(note) => drop(checked.sound.insert(id, note)),
                Err(error) => checked.problems.push((ObjectKey::Note(id), error)),
            }
        }
        Ok(checked)
    }

    /// Reads every snapshot note that verifies, for whoever concludes something from what is not
    /// there.
    ///
    /// # Errors
    /// If the store does not answer about one of them: it may be there and sound.
    pub fn sound_snapshots(&self) -> Result<BTreeMap<SnapshotId, SnapshotNote>, Error> {
        let Checked { sound, problems } = self.snapshots()?;
        match problems.into_iter().find(|(_, error)| is_silent(error)) {
            Some((_, error)) => Err(error),
            None => Ok(sound),
        }
    }

    /// Reads one snapshot note.
    ///
    /// # Errors
    /// If it is missing or does not verify.
    pub fn snapshot(&self, id: SnapshotId) -> Result<SnapshotNote, Error> {
        let key = ObjectKey::Note(id);
        self.versions.signed(key, |view| {
            check_snapshot_note(&view.get(&key, NOTE_LEN_MAX)?, id, self.note())
        })
    }

    fn versions_of_note(&self, id: SnapshotId) -> Result<Vec<(SnapshotNote, Digest)>, Error> {
        let key = ObjectKey::Note(id);
        let mut views = match self.versions.may_be_rewritten(key) {
            true => self.versions.views(key)?,
            false => Vec::new(),
        };
        if views.is_empty() {
            views.push(Arc::clone(&self.store));
        }
        let (mut sound, mut wrong) = (Vec::new(), None);
        for view in views {
            let read = view.get(&key, NOTE_LEN_MAX).map_err(Error::from);
            let note = read.and_then(|bytes| {
                Ok((check_snapshot_note(&bytes, id, self.note())?, sha256(&bytes)))
            });
            match note {
                Ok(note) => sound.push(note),
                Err(error) if is_silent(&error) => return Err(error),
                Err(error) => wrong = Some(error),
            }
        }
        wrong.filter(|_| sound.is_empty()).map_or(Ok(sound), Err)
    }

    /// Returns the bytes of a snapshot note that verifies.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn stored_note(&self, id: SnapshotId) -> Result<Vec<u8>, Error> {
        let key = ObjectKey::Note(id);
        self.versions.signed(key, |view| {
            let bytes = view.get(&key, NOTE_LEN_MAX)?;
            check_snapshot_note(&bytes, id, self.note())?;
            Ok(bytes)
        })
    }

    /// Reads an object that a note names and checks length and digest.
    ///
    /// # Errors
    /// If it is missing or not the one that was signed.
    pub fn read_signed(&self, key: ObjectKey, signed: &SignedObject) -> Result<Vec<u8>, Error> {
        self.versions.named(key, |view| read_whole(view.as_ref(), key, signed))
    }

    /// Checks length and digest of an object that a note names, whatever its size; returns the
    /// store in which it has them.
    ///
    /// # Errors
    /// If it is missing or not the one that was signed.
    pub fn check_signed(
        &self,
        key: ObjectKey,
        signed: &SignedObject,
    ) -> Result<Arc<dyn Store>, Error> {
        self.versions.named(key, |view| {
            let (found, len) = hash_stored(view.as_ref(), &key)?;
            check_digest(key, signed, len, found)?;
            Ok(Arc::clone(view))
        })
    }

    /// Reads the list of a snapshot: everything that it needs.
    ///
    /// # Errors
    /// If it is not the one that was signed, or contradicts the note.
    pub fn list(&self, note: &SnapshotNote) -> Result<Vec<ListEntry>, Error> {
        let key = ObjectKey::List(note.snapshot);
        debug_assert!(note.list.len <= LIST_LEN_MAX);
        let bytes = self.read_signed(key, &note.list)?;
        let (entries, totals) =
            list::parse(&bytes, note.vault, note.snapshot).map_err(|e| Error::format(key, e))?;
        check_totals(note, totals)?;
        Ok(entries)
    }
}

/// Reads an object that is signed with its length and digest.
fn read_whole(store: &dyn Store, key: ObjectKey, signed: &SignedObject) -> Result<Vec<u8>, Error> {
    let bytes = match store.get(&key, signed.len) {
        Err(crate::store::Error::LimitExceeded { len, .. }) => {
            return Err(Error::Len { key, len, need: signed.len });
        }
        other => other?,
    };
    check_digest(key, signed, bytes.len() as u64, sha256(&bytes))?;
    Ok(bytes)
}

pub(super) fn check_digest(
    key: ObjectKey,
    signed: &SignedObject,
    len: u64,
    found: Digest,
) -> Result<(), Error> {
    if len != signed.len {
        return Err(Error::Len { key, len, need: signed.len });
    }
    if found != signed.sha256 {
        let (found, expected) = (found.to_string(), signed.sha256.to_string());
        return Err(Error::Altered { key, found, expected });
    }
    Ok(())
}

/// Tells whether an error says nothing about the object.
fn is_silent(error: &Error) -> bool {
    error.code().family() == Family::Unavailable && !is_withheld(error)
}

/// Tells whether a store that answers keeps one object to itself.
fn is_withheld(error: &Error) -> bool {
    let code = error.code();
    matches!(code, Code::ObjectArchived | Code::StoreDenied | Code::EncryptionKeyUnusable)
}

/// Checks that a vault note is signed and follows the one before it.
///
/// # Errors
/// If it does not.
pub fn check_link(
    bytes: &[u8],
    number: u32,
    root: &VerificationKey,
    before: Option<&ChainLink>,
) -> Result<ChainLink, Error> {
    let note = check_vault_note(bytes, number, root)?;
    if note.previous != before.map(|link| link.sha256) {
        let key = ObjectKey::Vault(number);
        let reason = "it does not follow the note before it".to_owned();
        return Err(Error::Mismatch { key, reason });
    }
    Ok(ChainLink { note, sha256: sha256(bytes) })
}

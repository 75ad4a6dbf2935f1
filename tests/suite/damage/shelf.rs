//! A small vault in memory whose objects are flipped one bit at a time, and read by what reads them
//! in `restore` and `verify`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use idswyft_vault::base::{Profile, SystemClock};
use idswyft_vault::crypto::seal;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::ops::verify::{self, Finding, Level};
use idswyft_vault::store::{MemoryStore, Store};
use idswyft_vault::vault::{Unlocked, Writer, ledger};

use super::fixture::{auditor, keys_of, unlocked};
use crate::support::vault::{TestVault, noise};

/// The vault and its objects.
pub struct Shelf {
    /// The vault that the objects are of.
    pub vault: TestVault,
    /// Its host.
    pub writer: Writer,
    /// Its objects, sound.
    pub objects: BTreeMap<ObjectKey, Vec<u8>>,
    /// The profile of each of its packs.
    pub profiles: BTreeMap<ObjectKey, Profile>,
    /// The note of its one snapshot.
    pub note: SnapshotNote,
    memory: Arc<MemoryStore>,
    open: Unlocked,
}

impl Shelf {
    /// Makes a vault of one snapshot: a short dump, one picture.
    pub fn new() -> Self {
        let vault = TestVault::new();
        vault.write("a.jpg", &noise(1, 5_000));
        vault.write_dump(&["1\tx".to_owned()]);
        let id = vault.snapshot().snapshot;
        let memory = Arc::new(MemoryStore::new("local", Arc::new(SystemClock)));
        let mut objects = BTreeMap::new();
        for key in keys_of(&vault) {
            let bytes = fs::read(vault.path("store").join(key.to_string())).unwrap();
            memory.plant(&key.to_string(), &bytes);
            objects.insert(key, bytes);
        }
        let store: Arc<dyn Store> = memory.clone();
        let open = unlocked(&vault, &store).unwrap();
        let note = open.auditor().snapshot(id).unwrap();
        let profiles = profiles_of(&open, &note);
        Self { writer: vault.writer(), vault, objects, profiles, note, memory, open }
    }

    /// Puts bytes in an object's place, reads them as `read` does, and puts the sound ones back.
    pub fn with<T>(&self, key: &ObjectKey, bytes: &[u8], read: impl FnOnce(&Self) -> T) -> T {
        self.memory.plant(&key.to_string(), bytes);
        let result = read(self);
        self.memory.plant(&key.to_string(), &self.objects[key]);
        result
    }

    /// Reads an object as restoring does, from its first byte to its last; returns how it is
    /// refused.
    pub fn read(&self, key: &ObjectKey) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let auditor = self.open.auditor();
        let generation = self.note.generation;
        match *key {
            ObjectKey::Vault(_) => {
                super::fixture::auditor(&self.vault, &self.store()).map(drop).map_err(|e| text(&e))
            }
            ObjectKey::Generation(id, _) => {
                let open = unlocked(&self.vault, &self.store()).map_err(|e| text(&e))?;
                open.generation(id).map(drop).map_err(|e| {
                    let cause = std::error::Error::source(&e).map(ToString::to_string);
                    cause.unwrap_or_default()
                })
            }
            ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
                unreachable!("no archive holds escrow objects")
            }
            ObjectKey::Note(id) => auditor.snapshot(id).map(drop).map_err(|e| text(&e)),
            ObjectKey::List(_) => auditor.list(&self.note).map(drop).map_err(|e| text(&e)),
            ObjectKey::LedgerEvent(..) | ObjectKey::LedgerCheckpoint(..) => {
                let logs = ledger::read_all(auditor).map_err(|e| text(&e))?;
                let problem = logs.iter().flat_map(|log| &log.problems).next();
                problem.map_or(Ok(()), |(key, error)| Err(format!("{key}: {error}")))
            }
            ObjectKey::Body(_) => {
                let secrets = self.open.generation(generation).map_err(|e| text(&e))?;
                let bytes = self.bytes(key);
                seal::open(&key.to_string(), &bytes, &secrets.identity)
                    .map(drop)
                    .map_err(|e| text(&e))
            }
            ObjectKey::Segment(_) => {
                let identity = self.writer.generation().dedup_secret.index_identity();
                let bytes = self.bytes(key);
                seal::open(&key.to_string(), &bytes, &identity).map(drop).map_err(|e| text(&e))
            }
            ObjectKey::Pack(id) | ObjectKey::Tree(id) => {
                let read = || {
                    let pack = self.open.pack(generation, self.profiles[key], id)?;
                    pack.chunks()?;
                    pack.read_blocks(0..pack.blocks().len()).map(drop)
                };
                read().map_err(|error: idswyft_vault::vault::Error| text(&error))
            }
        }
    }

    /// Tells whether a pack opens, and every chunk of it has its id.
    pub fn holds_its_chunks(&self, key: &ObjectKey) -> bool {
        let (profile, id) = (self.profiles[key], key.pack().unwrap());
        let secrets = self.open.generation(self.note.generation).unwrap();
        let ids = secrets.dedup_secret.as_ref().unwrap().chunk_id_key(profile);
        let read = || {
            let pack = self.open.pack(self.note.generation, profile, id)?;
            let raw = pack.read_blocks(0..pack.blocks().len())?.concat();
            Ok::<_, idswyft_vault::vault::Error>((pack.chunks()?, raw))
        };
        let Ok((chunks, raw)) = read() else { return false };
        let mut rest = raw.as_slice();
        let has_its_id = chunks.iter().all(|chunk| {
            let Some((bytes, tail)) = rest.split_at_checked(chunk.raw_len as usize) else {
                return false;
            };
            rest = tail;
            ids.id(bytes) == chunk.id
        });
        has_its_id && rest.is_empty()
    }

    /// Verifies everything.
    pub fn findings(&self) -> Result<Vec<Finding>, String> {
        let store = self.store();
        auditor(&self.vault, &store).map_err(|error| error.to_string())?;
        let open = unlocked(&self.vault, &store).map_err(|error| error.to_string())?;
        let events = self.vault.events.as_ref();
        let report =
            verify::verify(open.auditor(), Some(&open), Level::Contents, None, events).unwrap();
        Ok(report.findings)
    }

    /// Returns the plaintext of a pack.
    pub fn plaintext(&self, key: &ObjectKey) -> Vec<u8> {
        let secrets = self.open.generation(self.note.generation).unwrap();
        seal::open("pack", &self.objects[key], &secrets.identity).unwrap().to_vec()
    }

    fn bytes(&self, key: &ObjectKey) -> Vec<u8> {
        self.store().get(key, u64::MAX).unwrap()
    }

    fn store(&self) -> Arc<dyn Store> {
        self.memory.clone()
    }
}

/// Returns the profile of each pack: the body says which one is the dump's.
fn profiles_of(open: &Unlocked, note: &SnapshotNote) -> BTreeMap<ObjectKey, Profile> {
    let body = open.body(note).unwrap();
    let dump = body.database.unwrap().stream.recipe.pieces()[0].pack;
    let dump = ObjectKey::Pack(body.packs[dump as usize]);
    let list = open.auditor().list(note).unwrap();
    let profile = |key: ObjectKey| match key {
        ObjectKey::Tree(_) => Profile::Meta,
        key if key == dump => Profile::Stream,
        _ => Profile::File,
    };
    list.iter().map(|entry| (entry.key, profile(entry.key))).collect()
}

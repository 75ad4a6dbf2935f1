//! I1 to I9 of spec §9.2 as assertions on what stores and host hold at any one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{Digest, PackId, Profile, SnapshotId};
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::format::{Folder, ObjectKey, list};
use idswyft_vault::ops::restore::{self, Existing, RestoreRequest};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{Listed, Store};
use idswyft_vault::vault::Unlocked;
use rusqlite::Connection;

use super::sha256;
use super::vault::TestVault;

/// What a store holds: every object, with the digest of its bytes.
pub type Objects = BTreeMap<ObjectKey, Digest>;

/// The files of a snapshot, or of the sources: `db.sql` and what is below `uploads`.
pub type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// What must hold of a vault, whatever happened to a run.
pub struct Invariants {
    /// What each store held before the run.
    pub before: Vec<Objects>,
    /// What each snapshot held that was there before the run.
    pub snapshots: BTreeMap<SnapshotId, Contents>,
    /// What any other one must hold.
    pub sources: Contents,
}

/// Returns every object of a store; no name in it is foreign.
pub fn objects_of(store: &dyn Store) -> Objects {
    let folders = Folder::ALL.into_iter();
    let listed = folders.flat_map(|folder| store.list(folder).unwrap().collect::<Vec<_>>());
    let digest = |listed| match listed {
        Listed::Object(key, stat) => {
            let bytes = store.get(&key, u64::MAX).unwrap();
            assert_eq!(bytes.len() as u64, stat.len, "{key}");
            (key, sha256(&bytes))
        }
        Listed::Foreign(name) => panic!("{name} is foreign"),
    };
    listed.into_iter().map(Result::unwrap).map(digest).collect()
}

/// Reads what is restored, or what is archived.
pub fn contents_of(dir: &Path) -> Contents {
    let roots = ["db.sql", "uploads"].map(|name| dir.join(name));
    let files = roots.iter().filter(|root| root.exists()).flat_map(walkdir::WalkDir::new);
    let files = files.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(dir).unwrap().to_owned();
            (path, fs::read(entry.path()).unwrap())
        })
        .collect()
}

impl Invariants {
    /// Notes how a vault stands before a run over the sources as they are now.
    pub fn before_run(vault: &TestVault, snapshots: BTreeMap<SnapshotId, Contents>) -> Self {
        let before = vault.stores.iter().map(|store| objects_of(store.as_ref())).collect();
        Self { before, snapshots, sources: contents_of(vault.dir.path()) }
    }

    /// Asserts all of them; returns the snapshots that the primary store shows.
    pub fn assert_hold(&self, vault: &TestVault) -> Vec<SnapshotId> {
        let mut primary = None;
        for (store, before) in vault.stores.iter().zip(&self.before) {
            let objects = objects_of(store.as_ref());
            assert_kept(before, &objects);
            let shown = self.assert_store(vault, store, &objects);
            assert_manifest(vault, store.name(), &objects);
            primary.get_or_insert(shown);
        }
        primary.unwrap()
    }

    /// Asserts what holds of each store by itself.
    fn assert_store(
        &self,
        vault: &TestVault,
        store: &Arc<dyn Store>,
        objects: &Objects,
    ) -> Vec<SnapshotId> {
        if !objects.contains_key(&ObjectKey::Vault(1)) {
            assert!(objects.is_empty(), "nothing comes before the first vault note: {objects:?}");
            return Vec::new();
        }
        let identities =
            DataIdentities::parse("operator", vault.identity.as_bytes(), &NoPassphrase).unwrap();
        let unlocked = Unlocked::new(vault.auditor(store), identities).unwrap();
        assert_secrets_first(&unlocked, objects);
        let shown = assert_notes_last(&unlocked, objects);
        let known: BTreeSet<PackId> = packs_of(&manifest_of(vault)).into_keys().collect();
        let mut named = BTreeSet::new();
        for note in &shown {
            // I9: this vault has one writer, so every pack is of its making.
            let entries = unlocked.auditor().list(note).unwrap();
            named.extend(entries.into_iter().filter_map(|entry| entry.key.pack()));
            self.assert_restores(vault, &unlocked, note.snapshot);
        }
        assert!(named.is_subset(&known), "I9: a snapshot leans on a pack of nobody's");
        // I8
        let report = verify::verify(
            unlocked.auditor(),
            Some(&unlocked),
            Level::Contents,
            None,
            vault.events.as_ref(),
        );
        let report = report.unwrap();
        assert!(report.is_sound(), "I8: {:?}", report.findings);
        shown.into_iter().map(|note| note.snapshot).collect()
    }

    /// I3: what is visible is whole.
    fn assert_restores(&self, vault: &TestVault, unlocked: &Unlocked, snapshot: SnapshotId) {
        let target = vault.path("restored");
        let request = RestoreRequest {
            snapshot,
            target: &target,
            only: None,
            paths: None,
            existing: Existing::Refuse,
        };
        let report = restore::restore(unlocked, &request, vault.events.as_ref()).unwrap();
        assert!(report.losses.is_empty(), "I3: {:?}", report.losses);
        let contents = self.snapshots.get(&snapshot).unwrap_or(&self.sources);
        assert!(contents_of(&target) == *contents, "I3: {snapshot} is not what was archived");
        fs::remove_dir_all(target).unwrap();
    }
}

/// I4, I5, I6: nothing that was there is gone or changed.
fn assert_kept(before: &Objects, after: &Objects) {
    for (key, digest) in before {
        assert_eq!(after.get(key), Some(digest), "I4, I5, I6: {key}");
    }
}

/// I1: every pack opens with a generation whose secrets are in the same store.
fn assert_secrets_first(unlocked: &Unlocked, objects: &Objects) {
    let generation = |key: &ObjectKey| match key {
        ObjectKey::Generation(id, _) => Some(*id),
        _ => None,
    };
    let generations: BTreeSet<_> = objects.keys().filter_map(generation).collect();
    for key in objects.keys() {
        let (id, profiles) = match key {
            ObjectKey::Pack(id) => (*id, &[Profile::Stream, Profile::File][..]),
            ObjectKey::Tree(id) => (*id, &[Profile::Meta][..]),
            _ => continue,
        };
        let opens = |generation| {
            let opens = |profile: &Profile| unlocked.pack(generation, *profile, id).is_ok();
            profiles.iter().any(opens)
        };
        assert!(generations.iter().copied().any(opens), "I1: nothing here opens {key}");
    }
}

/// I2, I3: each list, and each note, has everything that it names; returns the notes.
fn assert_notes_last(unlocked: &Unlocked, objects: &Objects) -> Vec<SnapshotNote> {
    let auditor = unlocked.auditor();
    let mut notes = 0;
    for key in objects.keys() {
        match key {
            ObjectKey::List(id) => {
                let bytes = auditor.store().get(key, u64::MAX).unwrap();
                let (entries, _) = list::parse(&bytes, auditor.vault(), *id).unwrap();
                for entry in entries {
                    let stat = auditor.store().stat(&entry.key).unwrap();
                    let len = stat.map(|stat| stat.len);
                    assert_eq!(len, Some(entry.stored_len), "I2: {}", entry.key);
                    let name = entry.key.pack().unwrap().to_string();
                    assert_eq!(objects[&entry.key].to_string(), name, "I2");
                }
            }
            ObjectKey::Note(_) => notes += 1,
            _ => {}
        }
    }
    let shown = auditor.snapshots().unwrap();
    assert!(shown.problems.is_empty() && auditor.problems().is_empty(), "I8");
    assert_eq!(shown.sound.len(), notes, "I3");
    let shown: Vec<_> = shown.sound.into_values().collect();
    for note in &shown {
        let id = note.snapshot;
        auditor.read_signed(ObjectKey::Body(id), &note.body).unwrap();
        auditor.read_signed(ObjectKey::List(id), &note.list).unwrap();
        auditor.read_signed(ObjectKey::Segment(id), &note.segment).unwrap();
    }
    shown
}

/// I7: what the manifest tells of a store is there, or on its way with its bytes at hand.
fn assert_manifest(vault: &TestVault, store: &str, objects: &Objects) {
    let manifest = manifest_of(vault);
    let waiting = outbox_of(&manifest, store);
    for (key, (digest, path)) in &waiting {
        assert!(objects.get(key).is_none_or(|there| there == digest), "I7: another {key}");
        if let Some(path) = path {
            let spooled = fs::read(path).unwrap_or_default();
            assert!(objects.contains_key(key) || sha256(&spooled) == *digest, "I1: {key}");
        }
    }
    let there = |key: &ObjectKey| objects.contains_key(key) || waiting.contains_key(key);
    for (pack, profile) in packs_of(&manifest) {
        let key = idswyft_vault::vault::writer::pack_key(profile, pack);
        assert!(there(&key), "I7: {key} is recorded, and neither in {store} nor on its way");
    }
    for snapshot in snapshots_of(&manifest) {
        assert!(there(&ObjectKey::Note(snapshot)), "I7: {snapshot} is nowhere");
    }
    for key in receipts_of(&manifest, store) {
        assert!(objects.contains_key(&key), "I7: {store} acknowledged {key} and has it not");
    }
}

/// Opens the manifest beside the program; one that is not there has nothing in it.
pub fn manifest_of(vault: &TestVault) -> Connection {
    let path = vault.path("state/nightly/manifest.sqlite");
    Connection::open(path).unwrap()
}

/// Reads rows of the manifest.
pub fn rows<T>(
    manifest: &Connection,
    query: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = manifest.prepare(query).unwrap();
    statement.query_map([], |row| read(row)).unwrap().map(Result::unwrap).collect()
}

type Waiting = BTreeMap<ObjectKey, (Digest, Option<PathBuf>)>;

fn outbox_of(manifest: &Connection, store: &str) -> Waiting {
    let query = format!("SELECT key, sha256, path FROM outbox WHERE store = '{store}'");
    let rows = rows(manifest, &query, |row| {
        let (key, path): (String, Option<String>) = (row.get(0)?, row.get(2)?);
        Ok((key.parse().unwrap(), (Digest::from_bytes(row.get(1)?), path.map(PathBuf::from))))
    });
    rows.into_iter().collect()
}

/// Returns the objects whose receipts are kept.
pub fn receipts_of(manifest: &Connection, store: &str) -> BTreeSet<ObjectKey> {
    let query = format!("SELECT key FROM receipt WHERE store = '{store}'");
    let keys = rows(manifest, &query, |row| row.get::<_, String>(0));
    keys.into_iter().map(|key| key.parse().unwrap()).collect()
}

/// Returns the packs that are recorded.
pub fn packs_of(manifest: &Connection) -> BTreeMap<PackId, Profile> {
    let rows = rows(manifest, "SELECT id, profile FROM pack", |row| {
        Ok((PackId::from_bytes(row.get(0)?), Profile::from_code(row.get(1)?).unwrap()))
    });
    rows.into_iter().collect()
}

fn snapshots_of(manifest: &Connection) -> Vec<SnapshotId> {
    let ids = rows(manifest, "SELECT id FROM snapshot", |row| row.get::<_, String>(0));
    ids.into_iter().map(|id| id.parse().unwrap()).collect()
}

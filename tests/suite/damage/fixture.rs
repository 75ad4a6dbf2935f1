//! The vault that is damaged, over and over: three snapshots, two generations, two vault notes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{Clock, OpenGate, SnapshotId};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::vault_note::VaultNote;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Listed, Store};
use idswyft_vault::vault::state::StateDir;
use idswyft_vault::vault::{Auditor, Unlocked};

use super::kinds::Kind;
use crate::support::crash::scratch;
use crate::support::vault::{FixedClock, TestVault, dump_of, local, noise};

/// A snapshot, and what it must restore to.
#[derive(Clone)]
pub struct Shot {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its dump.
    pub dump: Vec<u8>,
    /// Its uploads.
    pub uploads: BTreeMap<String, Vec<u8>>,
    /// The upload that it is the first to have.
    pub newest: &'static str,
    /// The objects without which it does not restore in full.
    pub needs: BTreeSet<ObjectKey>,
}

/// A vault, what its snapshots must restore to, and every object of it.
pub struct Fixture {
    /// The vault, sound.
    pub vault: TestVault,
    /// Its snapshots, the oldest first.
    pub shots: Vec<Shot>,
    /// Its objects of each kind, the oldest first.
    pub objects: BTreeMap<Kind, Vec<ObjectKey>>,
    /// The newest object of each kind of another vault.
    pub foreign: BTreeMap<Kind, Vec<u8>>,
}

impl Fixture {
    /// Makes the vault, and another one for what is planted from there.
    pub fn new() -> Self {
        let (vault, shots) = make();
        let (other, other_shots) = make();
        let newest = |(kind, keys): (Kind, Vec<ObjectKey>)| {
            let path = other.path("store").join(keys[keys.len() - 1].to_string());
            (kind, fs::read(path).unwrap())
        };
        let foreign = objects_of(&other, &other_shots).into_iter().map(newest).collect();
        let objects = objects_of(&vault, &shots);
        Self { vault, shots, objects, foreign }
    }

    /// Copies the vault, with its state and its store, to a place of its own.
    pub fn copy(&self) -> TestVault {
        let dir = scratch();
        copy_tree(self.vault.dir.path(), dir.path());
        let clock = FixedClock::new();
        let passed = self.vault.clock.now().duration_since(clock.now());
        clock.pass_hours(passed.as_hours());
        TestVault {
            gate: OpenGate::shared(),
            stores: vec![local(&dir.path().join("store"), "local")],
            clock,
            events: Arc::default(),
            identity: self.vault.identity.clone(),
            recipient: self.vault.recipient.clone(),
            report: self.vault.report.clone(),
            dir,
        }
    }
}

fn make() -> (TestVault, Vec<Shot>) {
    let vault = TestVault::new();
    for index in 0..3 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 20_000));
    }
    vault.write("notes.txt", "what somebody wrote\n".repeat(3000).as_bytes());
    let first = vault.path("uploads/documents/0.jpg");
    fs::hard_link(first, vault.path("uploads/documents/again.jpg")).unwrap();
    let mut shots = vec![shoot(&vault, "notes.txt", 300)];
    vault.write("documents/late.jpg", &noise(77, 30_000));
    shots.push(shoot(&vault, "documents/late.jpg", 500));
    sign_second_note(&vault);
    // The generation is over, so this one has packs, keys and dedup of its own.
    vault.clock.pass_hours(24 * 366);
    vault.write("documents/new.jpg", &noise(78, 10_000));
    shots.push(shoot(&vault, "documents/new.jpg", 700));
    (vault, shots)
}

/// Takes a snapshot and keeps what it must restore to.
fn shoot(vault: &TestVault, newest: &'static str, row_count: usize) -> Shot {
    let rows: Vec<String> = (0..row_count).map(|row| format!("{row}\tx{row}")).collect();
    vault.write_dump(&rows);
    let id = vault.snapshot().snapshot;
    Shot { newest, ..shot_of(vault, id, &rows) }
}

/// Describes the newest snapshot of a vault, whose source is as it was.
pub fn shot_of(vault: &TestVault, id: SnapshotId, rows: &[String]) -> Shot {
    let auditor = vault.auditor(&vault.stores[0]);
    let note = auditor.snapshot(id).unwrap();
    let mut needs = BTreeSet::from([ObjectKey::Vault(1), ObjectKey::Body(id), ObjectKey::Note(id)]);
    needs.insert(ObjectKey::Generation(note.generation, 1));
    needs.extend(auditor.list(&note).unwrap().into_iter().map(|entry| entry.key));
    let uploads = files_of(&vault.path("uploads"));
    Shot { id, dump: dump_of(rows).into_bytes(), uploads, newest: "", needs }
}

/// Returns the regular files below a directory.
pub fn files_of(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        (path, fs::read(entry.path()).unwrap())
    };
    files.map(read).collect()
}

/// Signs a second vault note, as an operator does who changes nothing.
fn sign_second_note(vault: &TestVault) {
    let auditor = vault.auditor(&vault.stores[0]);
    let first = fs::read(vault.path("store/vault/1.note")).unwrap();
    let note = VaultNote { number: 2, previous: Some(sha256(&first)), ..auditor.note().clone() };
    let signed = root_key(vault).sign(&note.compose().unwrap()).unwrap();
    let key = ObjectKey::Vault(2);
    vault.stores[0].put_new(&key, Content::Bytes(&signed), &sha256(&signed)).unwrap();
    StateDir::new(&vault.path("state"), "nightly").set_vault_note(&signed).unwrap();
}

/// Opens the root signing key in the kit, as the operator can.
pub fn root_key(vault: &TestVault) -> SigningKey {
    let kit = vault.report.kit.as_ref().unwrap();
    let sealed = fs::read(kit.join("root.age")).unwrap();
    let text = identities(vault).open("root.age", &sealed).unwrap();
    SigningKey::from_secret_text(std::str::from_utf8(&text).unwrap().trim_end()).unwrap()
}

/// Returns the operator's identities.
pub fn identities(vault: &TestVault) -> DataIdentities {
    DataIdentities::parse("operator", vault.identity.as_bytes(), &NoPassphrase).unwrap()
}

/// Opens the auditor's side, of a store that may be damaged.
pub fn auditor(
    vault: &TestVault,
    store: &Arc<dyn Store>,
) -> Result<Auditor, idswyft_vault::vault::Error> {
    Auditor::open(store.clone(), vault.report.root_key.parse().unwrap())
}

/// Opens the operator's side, of a store that may be damaged.
pub fn unlocked(
    vault: &TestVault,
    store: &Arc<dyn Store>,
) -> Result<Unlocked, idswyft_vault::vault::Error> {
    Unlocked::new(auditor(vault, store)?, identities(vault))
}

fn objects_of(vault: &TestVault, shots: &[Shot]) -> BTreeMap<Kind, Vec<ObjectKey>> {
    let dumps = dumps_of(vault, shots);
    let mut all: BTreeMap<Kind, Vec<ObjectKey>> = BTreeMap::new();
    for key in keys_of(vault) {
        all.entry(Kind::of(&key, &dumps)).or_default().push(key);
    }
    let age = |key: &ObjectKey| shots.iter().position(|shot| shot.needs.contains(key));
    for keys in all.values_mut() {
        keys.sort_by_key(|key| (key.pack().and_then(|_| age(key)), *key));
    }
    all
}

/// Returns every object of a vault's store.
pub fn keys_of(vault: &TestVault) -> Vec<ObjectKey> {
    let mut keys = Vec::new();
    for folder in Folder::ALL {
        for listed in vault.stores[0].list(folder).unwrap() {
            if let Listed::Object(key, _) = listed.unwrap() {
                keys.push(key);
            }
        }
    }
    keys
}

/// Returns the packs that hold dumps.
fn dumps_of(vault: &TestVault, shots: &[Shot]) -> BTreeSet<ObjectKey> {
    let unlocked = vault.unlocked();
    let mut packs = BTreeSet::new();
    for shot in shots {
        let body = unlocked.body(&unlocked.auditor().snapshot(shot.id).unwrap()).unwrap();
        let pieces = body.database.as_ref().unwrap().stream.recipe.pieces();
        let keys = pieces.iter().map(|piece| ObjectKey::Pack(body.packs[piece.pack as usize]));
        packs.extend(keys);
    }
    packs
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry.unwrap();
        let place: PathBuf = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(place).unwrap(),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

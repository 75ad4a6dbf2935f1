//! Snapshots that die: the first one, one after much changed and with a mirror to catch up, and one
//! that opens a new generation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{OpenGate, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::store::Store;

use super::MODES;
use crate::support::crash::{Crash, scratch};
use crate::support::image::Image;
use crate::support::invariants::{Contents, Invariants, contents_of, manifest_of, packs_of};
use crate::support::invariants::{receipts_of, rows};
use crate::support::vault::{TestVault, local, noise};
use crate::support::{Call, FaultyStore, Figure, Mode, RecordingStore};

/// A vault as it stands before the run that dies, to be put back before each.
struct Stage {
    vault: TestVault,
    image: Image,
    invariants: Invariants,
}

/// How many steps died, by kind.
#[derive(Default)]
struct Steps {
    calls: u64,
    commits: u64,
    /// Of the files and directories of the host's own.
    files: u64,
}

fn fresh(store_names: &[&'static str]) -> TestVault {
    let stores = |dir: &Path| store_names.iter().map(|name| local(&dir.join(name), name)).collect();
    TestVault::within(scratch(), stores, Parameters::initial())
}

fn fill(vault: &TestVault, from: u64) {
    for index in from..from + 3 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 30_000));
    }
    let rows = (0..60 + from).map(|row| format!("{row}\tx{}", row * 7));
    vault.write_dump(&rows.collect::<Vec<_>>());
}

impl Stage {
    fn new(vault: TestVault, snapshots: BTreeMap<SnapshotId, Contents>) -> Self {
        let invariants = Invariants::before_run(&vault, snapshots);
        let image = Image::take(&places(&vault));
        Self { vault, image, invariants }
    }

    /// Takes snapshots that die at each step in turn; returns how many steps there were of a kind.
    fn sweep(&mut self) -> Steps {
        let mut steps = Steps::default();
        for mode in MODES {
            for at in 0.. {
                let crash = self.crash_at(at, mode);
                if !crash.is_dead() {
                    assert!(at > 20, "{at} steps were swept");
                    steps.calls += crash.call_count();
                    steps.commits += crash.commit_count();
                    steps.files += crash.file_step_count();
                    break;
                }
            }
        }
        steps
    }

    /// Takes a snapshot that dies at a step, looks at what is left, and takes it again.
    fn crash_at(&mut self, at: u64, mode: Mode) -> Arc<Crash> {
        self.image.put_back();
        let crash = Crash::new(at, mode, places(&self.vault));
        let stores = self.reopened();
        self.vault.stores = stores.iter().map(|store| crash.store(store.clone())).collect();
        self.vault.gate = crash.clone();
        let died = self.vault.try_snapshot(&self.vault.sources());
        // Where the mirror alone was left to be served, its failure is none of the run's.
        let failed = died.as_ref().map_or(true, |report| !report.lagging.is_empty());
        assert_eq!(failed, crash.is_dead(), "{mode:?} at {at}: {died:?}");
        if let Some(image) = crash.image() {
            image.put_back();
        }
        self.vault.gate = OpenGate::shared();
        self.vault.stores = self.reopened();
        self.invariants.assert_hold(&self.vault);
        if crash.is_dead() {
            self.finish();
        }
        crash
    }

    /// Takes the snapshot that died, and asserts that nothing of it was lost or done twice.
    fn finish(&mut self) {
        let recorded = packs_of(&manifest_of(&self.vault));
        let names: Vec<_> = self.vault.stores.iter().map(|store| store.name().to_owned()).collect();
        let manifest = manifest_of(&self.vault);
        let receipts: Vec<_> = names.iter().map(|name| receipts_of(&manifest, name)).collect();
        drop(manifest);
        let recording = |store| Arc::new(RecordingStore::new(store));
        let recorders: Vec<_> = self.reopened().into_iter().map(recording).collect();
        self.vault.stores = recorders.iter().map(|store| store.clone() as _).collect();
        let report = self.vault.try_snapshot(&self.vault.sources()).unwrap();
        assert!(report.lagging.is_empty());
        for (recorder, receipts) in recorders.iter().zip(receipts) {
            let sent = recorder.calls().into_iter().filter_map(|recorded| match recorded.call {
                Call::PutNew(key) => Some(key),
                _ => None,
            });
            let again: Vec<ObjectKey> = sent.filter(|key| receipts.contains(key)).collect();
            assert_eq!(again, [], "what was acknowledged and recorded is not sent again");
        }
        self.vault.stores = self.reopened();
        let shown = self.invariants.assert_hold(&self.vault);
        assert!(shown.contains(&report.snapshot));
        // Every pack that had been recorded is leaned on, and nothing waits any more.
        let manifest = manifest_of(&self.vault);
        let unused = rows(&manifest, "SELECT id FROM pack WHERE last_named_at IS NULL", |row| {
            row.get::<_, [u8; 32]>(0)
        });
        assert_eq!(unused.len(), 0, "of {} packs", recorded.len());
        assert_eq!(
            rows(&manifest, "SELECT key FROM outbox", |row| row.get::<_, String>(0)).len(),
            0
        );
        let spool = self.vault.path("state/nightly/spool");
        assert!(!spool.exists() || fs::read_dir(spool).unwrap().count() == 0);
    }

    /// Opens the stores anew, as a new process does.
    fn reopened(&self) -> Vec<Arc<dyn Store>> {
        let names = self.vault.stores.iter().map(|store| store.name());
        names.map(|name| local(&self.vault.path(name), name)).collect()
    }
}

fn places(vault: &TestVault) -> Vec<PathBuf> {
    let stores = vault.stores.iter().map(|store| vault.path(store.name()));
    stores.chain([vault.path("state")]).collect()
}

/// Takes a snapshot and remembers what is in it.
fn take(vault: &TestVault, snapshots: &mut BTreeMap<SnapshotId, Contents>) {
    let contents = contents_of(vault.dir.path());
    snapshots.insert(vault.snapshot().snapshot, contents);
}

fn record(what: &str, test: &str, steps: &Steps) {
    let Steps { calls, commits, files } = *steps;
    let kinds =
        [("store calls", calls), ("commits of the manifest", commits), ("file steps", files)];
    for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
        let what = format!("{kind} that fail in {what}");
        Figure { what: &what, test }.record(usize::try_from(count).unwrap());
    }
}

/// V-138, V-139
#[test]
fn a_first_snapshot_that_dies_at_any_step_is_taken_by_the_next_run() {
    let vault = fresh(&["local"]);
    fill(&vault, 0);
    vault.clock.pass_hours(1);
    let swept = Stage::new(vault, BTreeMap::new()).sweep();
    record("a first snapshot", "a_first_snapshot_that_dies", &swept);
}

/// The mirror did not answer in the run before, so it has to catch up from the spool too.
///
/// V-138, V-139, V-141
#[test]
fn a_snapshot_to_a_mirror_that_dies_at_any_step_is_taken_by_the_next_run() {
    let (mut vault, mut snapshots) = (fresh(&["local", "mirror"]), BTreeMap::new());
    fill(&vault, 0);
    let mirror = local(&vault.path("mirror"), "mirror");
    let silent = FaultyStore::new(mirror.clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    take(&vault, &mut snapshots);
    vault.stores[1] = mirror;
    fill(&vault, 2);
    fs::remove_file(vault.path("uploads/documents/0.jpg")).unwrap();
    vault.clock.pass_hours(1);
    let swept = Stage::new(vault, snapshots).sweep();
    record("a snapshot to a mirror", "a_snapshot_to_a_mirror_that_dies", &swept);
}

/// V-44, V-45, V-47, V-48, V-133, V-138
#[test]
fn a_generation_roll_that_dies_at_any_step_is_finished_by_the_next_run() {
    let (vault, mut snapshots) = (fresh(&["local"]), BTreeMap::new());
    fill(&vault, 0);
    take(&vault, &mut snapshots);
    let old = vault.writer().generation().dedup_secret.to_hex();
    vault.clock.pass_hours(24 * 366);
    let mut stage = Stage::new(vault, snapshots);
    let swept = stage.sweep();
    record("a roll of the generation", "a_generation_roll_that_dies", &swept);
    // The last run of each sweep died nowhere.
    let generations: BTreeSet<_> = stage
        .invariants
        .assert_hold(&stage.vault)
        .into_iter()
        .map(|id| stage.vault.auditor(&stage.vault.stores[0]).snapshot(id).unwrap().generation)
        .collect();
    assert_eq!(generations.len(), 2);
    for entry in walkdir::WalkDir::new(stage.vault.path("state")) {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap_or_default();
        let found = memchr::memmem::find(&bytes, old.as_bytes()).is_some();
        assert!(!found, "{} holds a closed generation's secret", entry.path().display());
    }
}

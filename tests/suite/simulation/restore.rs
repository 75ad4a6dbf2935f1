//! Restoring, and that what comes back is what went in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::ops::restore::{self, Existing, RestoreReport, RestoreRequest};
use idswyft_vault::ops::{self};
use idswyft_vault::store::Store;
use idswyft_vault::vault::Unlocked;
use serde_json::Value;

use super::faults::Scope;
use super::tree::{self, Tree};
use super::world::{Expected, World};

/// A snapshot is restored from a store that fails now and then: nothing wrong may come of it.
#[derive(Debug)]
pub struct Restore {
    vault: usize,
    snapshot: SnapshotId,
}

impl Restore {
    /// Draws a snapshot, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        let World { random, vaults, .. } = world;
        let vault = random.index(vaults.len());
        let ids: Vec<_> = vaults[vault].archive.durable.keys().copied().collect();
        (!ids.is_empty()).then(|| Self { vault, snapshot: *random.pick(&ids) })
    }

    /// Restores what can be read; every byte that is there is right, and what is not is named.
    pub fn apply(&self, world: &mut World) -> String {
        let attempt = world.attempt(None, Scope::Every);
        let store = attempt.meet(world.thawed_store(self.vault, 0), world.faults.read_permille);
        let target = world.root.join("restored");
        let restored = restore_from(world, self.vault, store.clone(), self.snapshot, &target);
        let expected = &world.vaults[self.vault].archive.durable[&self.snapshot];
        let outcome = match &restored {
            Err(error) => {
                assert!(store.fault_count() > 0, "{error}");
                // Which of several faults it told depends on the threads.
                "failed".to_owned()
            }
            Ok(report) if report.losses.is_empty() => {
                check_whole(expected, &target);
                "whole".to_owned()
            }
            Ok(report) => {
                assert!(store.fault_count() > 0, "{:?}", report.losses);
                check_parts(expected, &target, report);
                format!("{} losses", report.losses.len())
            }
        };
        remove(&target);
        world.events.warnings();
        outcome
    }
}

/// Restores a snapshot and compares all of it.
pub fn check_restore(world: &World, vault: usize, store: Arc<dyn Store>, snapshot: SnapshotId) {
    let target = world.root.join("restored");
    let report = restore_from(world, vault, store, snapshot, &target).unwrap();
    assert_eq!(report.losses, []);
    check_whole(&world.vaults[vault].archive.durable[&snapshot], &target);
    remove(&target);
}

fn restore_from(
    world: &World,
    vault: usize,
    store: Arc<dyn Store>,
    snapshot: SnapshotId,
    target: &Path,
) -> Result<RestoreReport, ops::Error> {
    restore_with(world, &world.unlocked(vault, store)?, snapshot, target)
}

/// Restores a snapshot of an opened vault.
pub fn restore_with(
    world: &World,
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    target: &Path,
) -> Result<RestoreReport, ops::Error> {
    let existing = Existing::Refuse;
    let request = RestoreRequest { snapshot, target, only: None, paths: None, existing };
    restore::restore(unlocked, &request, world.events.as_ref())
}

/// Removes what was restored, if it is there.
pub fn remove(target: &Path) {
    if let Err(error) = fs::remove_dir_all(target) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
    }
}

/// Compares a restored snapshot with what it is to hold.
pub fn check_whole(expected: &Expected, target: &Path) {
    let dump = fs::read_to_string(target.join("db.sql")).ok();
    assert!(dump.as_ref() == expected.dump.as_deref(), "the dump differs");
    match &expected.uploads {
        Some(tree) => {
            let differences = differences(tree, target);
            assert!(differences.is_empty(), "these differ: {differences:?}");
        }
        None => assert!(!target.join("uploads").exists()),
    }
    let facts = fs::read(target.join("facts.json")).unwrap();
    let facts: Value = serde_json::from_slice(&facts).unwrap();
    assert_eq!(facts["tags"], serde_json::json!(expected.tags));
    let warnings = facts["warnings"].as_array().unwrap();
    let warnings: Vec<_> = warnings.iter().map(|warning| warning["code"].clone()).collect();
    let codes: Vec<_> = expected.warnings.iter().map(|code| Value::from(code.text())).collect();
    assert_eq!(warnings, codes, "the warnings that it keeps");
}

/// Compares what was restored beside losses: what is there is right, what is not is named.
pub fn check_parts(expected: &Expected, target: &Path, report: &RestoreReport) {
    let lost: BTreeSet<&str> = report.losses.iter().map(|loss| loss.what.as_str()).collect();
    match fs::read_to_string(target.join("db.sql")) {
        Ok(dump) => assert!(Some(&dump) == expected.dump.as_deref(), "the dump differs"),
        Err(_) => assert!(expected.dump.is_none() || lost.contains("db.sql"), "{lost:?}"),
    }
    let Some(tree) = &expected.uploads else { return };
    if !target.join("uploads").exists() {
        return assert!(!lost.is_empty());
    }
    let (seen, found) = (tree.seen(), tree::look_at(&target.join("uploads")));
    for (path, found) in &found {
        match (&seen.get(path), found) {
            (Some(tree::Seen::File { bytes, .. }), tree::Seen::File { bytes: found, .. }) => {
                assert!(bytes == found, "{} differs", path.display());
            }
            (Some(_), _) => {}
            (None, _) => panic!("{} was never there", path.display()),
        }
    }
}

fn differences(tree: &Tree, target: &Path) -> Vec<PathBuf> {
    tree::differences(&tree.seen(), &tree::look_at(&target.join("uploads")))
}

//! Power cuts between any two steps of the disk: what was acknowledged is whole, what was not is
//! whole or absent, and the next run goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{Gate, OpenGate};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::store::{LocalStore, Store};

use super::init::{Beginning, Then};
use crate::support::crash::scratch;
use crate::support::invariants::{Invariants, contents_of};
use crate::support::lossy::LossyDisk;
use crate::support::vault::{TestVault, local, noise};
use crate::support::{FaultyStore, Figure, Mode, is_long};

/// How many of the states that a power cut left are gone on from; all of them are looked at.
const FINISHED_EVERY: usize = 4;

fn gated(vault: &Path, name: &str, gate: &Arc<LossyDisk>) -> Arc<dyn Store> {
    let store = LocalStore::new(name, &format!("file:///{name}"), vault.join(name));
    Arc::new(store.gated(gate.clone() as Arc<dyn Gate>))
}

fn fresh(store_names: &[&'static str]) -> TestVault {
    let stores = |dir: &Path| store_names.iter().map(|name| local(&dir.join(name), name)).collect();
    let vault = TestVault::within(scratch(), stores, Parameters::initial());
    vault.write("documents/a.jpg", &noise(1, 5000));
    vault.write_dump(&["1\tx".to_owned()]);
    vault
}

fn places(vault: &TestVault) -> Vec<PathBuf> {
    let stores = vault.stores.iter().map(|store| vault.path(store.name()));
    stores.chain([vault.path("state")]).collect()
}

fn reopen(vault: &mut TestVault) {
    let names = vault.stores.iter().map(|store| store.name());
    vault.stores = names.map(|name| local(&vault.path(name), name)).collect();
    vault.gate = OpenGate::shared();
}

/// Takes a snapshot, and looks at every state that a power cut on the way could leave.
fn sweep(mut vault: TestVault, invariants: &Invariants) -> (usize, usize) {
    let disk = LossyDisk::new(places(&vault));
    let names: Vec<_> = vault.stores.iter().map(|store| store.name().to_owned()).collect();
    vault.stores = names.iter().map(|name| gated(vault.dir.path(), name, &disk)).collect();
    vault.gate = disk.clone();
    let taken = vault.try_snapshot(&vault.sources()).unwrap();
    let (cut_count, images) = disk.images();
    disk.cut();
    let (_, after) = disk.images();
    let every = if is_long() { 1 } else { FINISHED_EVERY };
    for (index, image) in images.iter().enumerate() {
        image.put_back();
        reopen(&mut vault);
        invariants.assert_hold(&vault);
        if index % every == 0 {
            let again = vault.try_snapshot(&vault.sources()).unwrap();
            assert!(invariants.assert_hold(&vault).contains(&again.snapshot));
        }
    }
    // What was reported as taken is there in every way in which the power can fail after it.
    for image in &after {
        image.put_back();
        reopen(&mut vault);
        assert!(invariants.assert_hold(&vault).contains(&taken.snapshot));
    }
    (cut_count + 1, images.len() + after.len())
}

fn record(what: &str, test: &str, (cut_count, image_count): (usize, usize)) {
    Figure { what: &format!("places of power cuts in {what}"), test }.record(cut_count);
    Figure { what: &format!("disks after power cuts in {what}"), test }.record(image_count);
}

/// V-138, V-162, V-166
#[test]
fn a_spool_for_a_mirror_survives_a_power_cut_between_any_two_steps() {
    let mut vault = fresh(&["local", "mirror"]);
    vault.clock.pass_hours(1);
    let invariants = Invariants::before_run(&vault, BTreeMap::new());
    // The spool is made by this run, as the first one of a vault makes it.
    let disk = LossyDisk::new(places(&vault));
    let silent = FaultyStore::new(gated(vault.dir.path(), "mirror", &disk));
    let silent = Arc::new(silent.fail_calls(Mode::NotDone, |_| true));
    // What can be read needs no spool.
    let primary = FaultyStore::new(gated(vault.dir.path(), "local", &disk)).put_only();
    vault.stores = vec![Arc::new(primary), silent];
    vault.gate = disk.clone();
    vault.try_snapshot(&vault.sources()).unwrap();
    disk.cut();
    let (cut_count, images) = disk.images();
    for image in &images {
        image.put_back();
        reopen(&mut vault);
        invariants.assert_hold(&vault);
    }
    images.last().unwrap().put_back();
    let again = vault.try_snapshot(&vault.sources()).unwrap();
    assert!(again.lagging.is_empty());
    assert_eq!(invariants.assert_hold(&vault).len(), 2);
    let what = "a snapshot whose mirror lags";
    record(what, "a_spool_for_a_mirror_survives", (cut_count, images.len()));
}

/// V-45, V-138, V-162, V-166
#[test]
fn a_snapshot_that_rolls_survives_a_power_cut_between_any_two_steps() {
    let vault = fresh(&["local"]);
    let before = contents_of(vault.dir.path());
    let first = vault.snapshot().snapshot;
    vault.write("documents/b.jpg", &noise(2, 5000));
    vault.write_dump(&["1\tx".to_owned(), "2\ty".to_owned()]);
    vault.clock.pass_hours(24 * 366);
    let invariants = Invariants::before_run(&vault, BTreeMap::from([(first, before)]));
    let swept = sweep(vault, &invariants);
    let what = "a snapshot that rolls the generation";
    record(what, "a_snapshot_that_rolls_survives_a_power_cut", swept);
}

/// V-46, V-162, V-166
#[test]
fn an_init_survives_a_power_cut_between_any_two_steps() {
    let mut beginning = Beginning::new();
    let disk = LossyDisk::new(beginning.places());
    let dir = beginning.path("");
    let stores = ["local", "mirror"].map(|name| gated(&dir, name, &disk)).into();
    beginning.init(stores, disk.clone()).unwrap();
    let (cut_count, images) = disk.images();
    disk.cut();
    let (_, after) = disk.images();
    for (index, image) in images.iter().enumerate() {
        image.put_back();
        beginning.assert_left();
        if is_long() || index % FINISHED_EVERY == 0 {
            beginning = beginning.finish(Then::Snapshot);
        }
    }
    // What was reported as made is there in every way in which the power can fail after it.
    for image in &after {
        image.put_back();
        assert!(beginning.path("state/nightly/vault.json").exists());
        beginning.assert_left();
    }
    let swept = (cut_count + 1, images.len() + after.len());
    record("init", "an_init_survives_a_power_cut", swept);
}

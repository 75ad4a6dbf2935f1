//! After every step: what the program says is what the model says.

use std::collections::BTreeSet;

use idswyft_vault::base::SnapshotId;

use super::place::Place;
use super::reference::check_reference;
use super::restore::check_restore;
use super::verify::{check_stored, check_verify};
use super::world::World;

/// Compares the lists of snapshots of every store.
pub fn check_lists(world: &World) {
    for (index, vault) in world.vaults.iter().enumerate() {
        let durable: BTreeSet<SnapshotId> = vault.archive.durable.keys().copied().collect();
        for (at, place) in vault.places.iter().enumerate() {
            let Some(found) = listed(world, index, at) else { continue };
            let found: BTreeSet<SnapshotId> = found.into_iter().collect();
            if place.lags && at > 0 {
                assert!(found.is_subset(&durable), "{} {}: {found:?}", vault.name, place.name);
            } else {
                assert_eq!(found, durable, "{} {}", vault.name, place.name);
            }
        }
    }
}

/// Restores and verifies what the seed chooses.
pub fn check_contents(world: &mut World) {
    let vault = world.random.index(world.vaults.len());
    let place = world.random.index(world.vaults[vault].places.len());
    let Some(ids) = listed(world, vault, place) else { return };
    if world.vaults[vault].places[place].is_cold() {
        check_stored(world, vault, place);
    }
    check_verify(world, vault, place, world.thawed_store(vault, place));
    if !ids.is_empty() {
        let id = *world.random.pick(&ids);
        check_restore(world, vault, world.thawed_store(vault, place), id);
        check_reference(world, vault, place, id);
    }
    world.events.warnings();
}

/// Returns the snapshots that a store has, each of them sound unless planted; nothing if it never
/// got the vault.
pub fn listed(world: &World, vault: usize, place: usize) -> Option<Vec<SnapshotId>> {
    let Place { lags, touched, .. } = &world.vaults[vault].places[place];
    let is_lagging = place > 0 && *lags;
    let auditor = match world.auditor(vault, world.store(vault, place)) {
        Ok(auditor) => auditor,
        Err(error) => {
            assert!(is_lagging, "{error}");
            return None;
        }
    };
    let mut snapshots = auditor.snapshots().unwrap();
    snapshots.problems.retain(|(key, _)| !touched.contains(&key.to_string()));
    assert!(snapshots.problems.is_empty(), "{:?}", snapshots.problems);
    Some(snapshots.sound.into_keys().collect())
}

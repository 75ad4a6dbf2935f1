//! The same seed is the same history and the same bytes, whatever the number of threads.
//!
//! Two kinds of objects hold what this program does not draw: generation files are sealed by the
//! `age` crate, as data recipients of any kind need, and it draws for itself. Their digest is in
//! the record that opens the generation, and every checkpoint from there on covers that record. So
//! of generation files the sealed text is compared, of those records all but the digests, and of
//! checkpoints that they are there. Everything else is the same byte for byte: vault notes, packs,
//! trees, segments, bodies, lists, snapshot notes and all other records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::store::STAGING_PREFIX;
use walkdir::WalkDir;

use super::world::World;
use super::{live, scratch};
use crate::support::{Random, is_long, sha256};

/// Tells a child of this test whose world it is to write down, and where.
const CHILD: &str = "IDSWYFT_VAULT_TEST_SIMULATION_CHILD";
const TEST: &str = "simulation::determinism::the_same_seed_is_the_same_history_and_the_same_bytes";
const THREAD_COUNTS: [&str; 2] = ["1", "7"];

#[test]
fn the_same_seed_is_the_same_history_and_the_same_bytes() {
    if let Some(root) = std::env::var_os(CHILD) {
        let root = PathBuf::from(root);
        let seed = fs::read_to_string(root.join("seed")).unwrap().parse().unwrap();
        let lived = write_down(seed, &root);
        return fs::write(root.join("lived"), lived).unwrap();
    }
    let mut random = Random::new();
    let mut seed = random.seed();
    for _ in 0..if is_long() { 200 } else { 2 } {
        let dir = scratch();
        let lived = THREAD_COUNTS.map(|count| live_in_child(seed, dir.path(), count));
        assert!(lived[0].lines().count() > 50);
        for (one, other) in lived[0].lines().zip(lived[1].lines()) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(lived[0], lived[1], "seed {seed}");
        seed = random.next();
    }
}

/// Lives in a process of its own, in which every hash map has another order.
fn live_in_child(seed: u64, root: &Path, thread_count: &str) -> String {
    fs::write(root.join("seed"), seed.to_string()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, root)
        .env("RAYON_NUM_THREADS", thread_count)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    fs::read_to_string(root.join("lived")).unwrap()
}

/// Lets the world of a seed live, always in the same place, whose path snapshots hold.
fn write_down(seed: u64, root: &Path) -> String {
    let place = root.join("world");
    fs::create_dir(&place).unwrap();
    let (world, history) = live(seed, &place);
    let objects = world.vaults.iter().flat_map(|vault| &vault.places).flat_map(|place| {
        let digests = digests(&world, place.directory()).into_iter();
        digests.map(|(name, digest)| format!("{} {name} {digest}", place.dir.display()))
    });
    let lines: Vec<String> = history.into_iter().chain(objects).collect();
    fs::remove_dir_all(place).unwrap();
    lines.join("\n")
}

/// Returns every object of a store and the digest of what must be the same in it.
fn digests(world: &World, store: &Path) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for entry in WalkDir::new(store).into_iter().map(Result::unwrap) {
        let name = entry.path().strip_prefix(store).unwrap().to_str().unwrap().to_owned();
        if !entry.file_type().is_file() || name.starts_with(STAGING_PREFIX) {
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        digests.insert(name.clone(), sha256(&comparable(world, &name, bytes)).to_string());
    }
    digests
}

/// Returns what must be the same in an object.
fn comparable(world: &World, name: &str, bytes: Vec<u8>) -> Vec<u8> {
    if name.starts_with("generations/") {
        let text = world.operator.to_secret_text();
        let identities = DataIdentities::parse("operator", text.as_bytes(), &NoPassphrase).unwrap();
        return identities.open(name, &bytes).unwrap().to_vec();
    }
    let is_first = name.ends_with("/0000000000.checkpoint");
    if name.ends_with(".checkpoint") && !is_first {
        return Vec::new();
    }
    let mut record = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(record) if record["event"] == "generation.opened" => record,
        Ok(mut record) if record["event"] == "store.completed" => {
            record["receipts_sha256"] = serde_json::Value::Null;
            return record.to_string().into_bytes();
        }
        _ => return bytes,
    };
    let revs = record["revs"].as_array_mut().expect("the record names its files");
    revs.iter_mut().for_each(|rev| rev["sha256"] = serde_json::Value::Null);
    record.to_string().into_bytes()
}

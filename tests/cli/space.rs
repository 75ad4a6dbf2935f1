//! The bytes that commands tell, against what is in the store.

use std::fs;

use crate::retention::install;
use crate::support::{Install, noise};

/// Returns the bytes of all packs and tree objects.
fn stored(install: &Install) -> u64 {
    let names = ["packs", "trees"].into_iter().flat_map(|folder| install.objects(folder));
    names.map(|name| fs::metadata(install.path("store").join(name)).unwrap().len()).sum()
}

#[test]
fn what_commands_tell_of_bytes_is_what_a_naive_count_of_the_store_says() {
    let (install, _) = install("keep_last = 1", 0);
    let mut ids = Vec::new();
    for seed in 1..=2 {
        install.write("uploads/selfies/own.jpg", &noise(seed, 40_000));
        ids.push(install.snapshot());
    }
    ids.sort();
    let total = stored(&install);
    let listed = install.run(["snapshots", "--json"]).json(0);
    let rows = listed["snapshots"].as_array().unwrap();
    let len = |nth: usize, name: &str| rows[nth][name].as_u64().unwrap();
    assert_eq!(len(0, "new_len"), len(0, "stored_len"), "the first leans on nothing");
    assert_eq!(len(0, "new_len") + len(1, "new_len"), total);
    // What is not in the one is unique to the other.
    let unique = [total - len(1, "stored_len"), total - len(0, "stored_len")];
    assert!(unique.iter().all(|len| *len > 40_000) && unique[0] < total);
    for (id, unique) in ids.iter().zip(unique) {
        let shown = install.run(["show", id, "--json"]).json(0);
        let told = ["unique_len", "generation_len", "vault_len"].map(|name| shown[name].as_u64());
        assert_eq!(told, [Some(unique), Some(total), Some(total)], "{id}");
    }
    let plan = install.run(["retain", "--json"]).json(0);
    let vault = &plan["vaults"][0];
    assert_eq!((&vault["needed_len"], &vault["freed_len"]), (&total.into(), &unique[0].into()));
    let status = install.run(["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let space = &status["vaults"][0]["generation_space"];
    assert_eq!(space["stored_len"], total, "{space}");
    let generations = install.run(["generation", "list", "--json"]).json(0);
    assert_eq!(generations["generations"][0]["stored_len"], total);
}

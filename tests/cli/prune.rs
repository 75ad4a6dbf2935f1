//! Pruning with the real program: as a host that may not, and as a janitor on another machine.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::retention::{install, janitor, with};
use crate::support::{Install, KYC, NIGHTLY, fields, tree_of};

/// Puts a pack that nothing names into the store, so many days ago.
pub fn orphan(install: &Install, days: u64) -> std::path::PathBuf {
    let bytes = format!("left by a run {days} days ago");
    let name = hex::encode(Sha256::digest(&bytes));
    let path = install.path(&format!("store/packs/{}/{name}", &name[..2]));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
    path
}

#[test]
fn a_prune_tells_why_everything_stays_and_changes_nothing() {
    let (install, _) = install("keep_last = 1", 2);
    let before = tree_of(&install.path("store"));
    let told = install.run(["prune"]).exits(0);
    for said in ["vault nightly", "stay: snapshots need them", "nothing was changed"] {
        assert!(told.out.contains(said), "{said:?}: {told}");
    }
    let told = install.run(["prune", "--json"]).json(0);
    let vault = &told["vaults"][0];
    assert_eq!(fields(vault), ["applied", "currency", "guards", "stores", "vault"]);
    let store = &vault["stores"][0];
    assert_eq!(fields(store), ["charge", "goes", "stays", "store", "unfinished"]);
    assert_eq!(store["goes"]["object_count"], 0);
    assert!(store["stays"]["needed"]["object_count"].as_u64().unwrap() > 0, "{store}");
    assert_eq!(tree_of(&install.path("store")), before);
}

#[test]
fn what_stops_one_vault_hides_nothing_of_what_came_of_the_others() {
    let install = Install::with_vaults(&[NIGHTLY, KYC].concat());
    install.run(["init", "--kit", "kit"]).exits(0);
    install.run(["snapshot"]).exits(0);
    fs::remove_dir_all(install.path("archive")).unwrap();
    let told = install.run(["prune"]).exits(1);
    for said in ["vault nightly\n", "nothing was changed\n", "vault kyc: failed to"] {
        assert!(told.err.contains(said), "{said:?}: {told}");
    }
}

#[test]
fn two_runs_of_a_janitor_are_kept_apart() {
    let (install, _) = install("keep_last = 2", 2);
    let janitor = janitor(&install);
    install.run(with(&["prune", "--apply"], &janitor)).exits(0);
    let is_lock = |path: &std::path::PathBuf| path.extension().is_some_and(|ext| ext == "lock");
    let files = walkdir::WalkDir::new(install.path("janitor")).into_iter();
    let lock = files.map(|file| file.unwrap().into_path()).find(is_lock).unwrap();
    let other = File::options().write(true).open(&lock).unwrap();
    other.try_lock().unwrap();
    for command in ["prune", "retain"] {
        let refused = install.run(with(&[command, "--apply"], &janitor));
        refused.fails(5, "locked", &["signer-", "another run holds it"]);
    }
    drop(other);
    install.run(with(&["prune", "--apply"], &janitor)).exits(0);
}

#[test]
fn a_janitor_deletes_what_a_crashed_run_left_long_ago_and_records_it() {
    let (install, ids) = install("keep_last = 2", 2);
    // What is older than the vault is of no run that goes on.
    let (old, young) = (orphan(&install, 60), orphan(&install, 0));
    let plan = install.run(["prune", "--json"]).json(0);
    assert_eq!(plan["vaults"][0]["stores"][0]["goes"]["object_count"], 1);
    let refused = install.run(["prune", "--apply"]);
    refused.exits(2).warned("retention-elsewhere", &["packs go", "--signer FILE"]);
    assert!(old.exists());
    let janitor = janitor(&install);
    let pruned = install.run(with(&["prune", "--apply"], &janitor)).exits(0);
    assert!(pruned.out.contains("deleted 1 object, "), "{pruned}");
    assert!(!old.exists() && young.exists());
    let shown = install.run(["ledger", "show"]).exits(0);
    assert!(shown.out.contains("packs.deleted"), "{shown}");
    let again = install.run(with(&["prune", "--apply"], &janitor)).exits(0);
    assert!(again.out.contains("nothing goes"), "{again}");
    install.unlock(["verify", "--level", "contents"]).exits(4);
    install.assert_restores(&ids[0]);
}

#[test]
fn a_clock_that_jumped_prunes_nothing_until_that_is_accepted() {
    let (install, _) = install("keep_last = 2", 1);
    let janitor = janitor(&install);
    let old = orphan(&install, 60);
    // Everything in the store is of last month, as if the clock had jumped since.
    for entry in walkdir::WalkDir::new(install.path("store")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() && entry.path() != old {
            let then = SystemTime::now() - Duration::from_secs(20 * 24 * 3600);
            let file = File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(then).unwrap();
        }
    }
    let refused = install.run(with(&["prune", "--apply"], &janitor));
    refused.fails(1, "retention-guarded", &["--accept-clock"]);
    assert!(old.exists());
    install.run(with(&["prune", "--apply", "--accept-clock"], &janitor)).exits(0);
    assert!(!old.exists());
}

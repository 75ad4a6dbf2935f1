//! A network and a server that fail one request in twenty: nothing is lost, and success is true.

use std::collections::BTreeSet;
use std::thread;

use super::in_bucket;
use crate::support::{Install, noise, tree_of};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::Proxy;

/// Of a hundred requests, so many meet a fault.
const FAULT_PERCENT: u64 = 5;
/// Snapshots and restores of the short form.
const ROUNDS: u64 = 20;
/// Snapshots and restores of the long one, and how many vaults take part in them at a time.
const ROUNDS_LONG: u64 = 1000;
const VAULTS_LONG: u64 = 8;
/// Times that a command may fail in a row before something else is wrong than the network.
const TRIES: u32 = 10;

/// What became of the commands of one vault.
#[derive(Debug, Default)]
struct Tally {
    snapshots: u64,
    failed_snapshots: u64,
    restores: u64,
    failed_restores: u64,
    requests: usize,
}

/// Takes a snapshot until one succeeds.
fn snapshot(install: &Install, tally: &mut Tally) -> String {
    for _ in 0..TRIES {
        let outcome = install.run(["snapshot", "--json"]);
        if outcome.exit == 0 {
            tally.snapshots += 1;
            let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
            let id = report["snapshots"][0]["id"].as_str().unwrap().to_owned();
            install.keep(&id);
            return id;
        }
        assert!([1, 4].contains(&outcome.exit) && outcome.err.contains("hint: "), "{outcome}");
        tally.failed_snapshots += 1;
    }
    panic!("no snapshot in {TRIES} tries");
}

/// Restores a snapshot until that succeeds; what is reported as restored must be it.
fn restore(install: &Install, id: &str, tally: &mut Tally) {
    for _ in 0..TRIES {
        let target = tempfile::tempdir_in(install.path("")).unwrap();
        let words = ["restore", id, "--target", target.path().to_str().unwrap()];
        let outcome = install.unlock(words);
        if outcome.exit == 0 {
            let mut restored = tree_of(target.path());
            restored.remove("facts.json").unwrap();
            assert!(restored == tree_of(&install.path("kept").join(id)), "{id} is not as it was");
            tally.restores += 1;
            return;
        }
        assert!(outcome.err.contains("hint: "), "{outcome}");
        tally.failed_restores += 1;
    }
    panic!("no restore in {TRIES} tries");
}

/// Takes and restores so many snapshots through faults, and looks at them all without.
fn run(rounds: u64, seed: u64) -> Option<Tally> {
    let place = Place::on(Server::SeaweedFs, Keeping::Versions)?;
    let (proxy, mut tally) = (Proxy::before(&place.address()), Tally::default());
    let install = Install::with_vaults(&in_bucket(&place, "operator", Some(&proxy)));
    install.run(["init", "--kit", "kit"]).exits(0);
    proxy.fail_some(FAULT_PERCENT, seed);
    let mut taken = Vec::new();
    for round in 0..rounds {
        install.write("uploads/documents/a.jpg", &noise(seed + round, 30_000));
        install.write_dump(400 + u32::try_from(round).unwrap());
        let id = snapshot(&install, &mut tally);
        restore(&install, &id, &mut tally);
        taken.push(id);
    }
    proxy.behave();
    tally.requests = proxy.seen().len();
    let listed = install.run(["snapshots", "--json", "--store", "bucket"]).json(0);
    let rows = listed["snapshots"].as_array().unwrap();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    for id in &taken {
        assert!(listed.contains(id.as_str()), "snapshot {id} was lost");
    }
    install.unlock(["verify", "--level", "contents"]).exits(0);
    // The oldest leans on nothing that came after it.
    install.assert_restores(&taken[0]);
    Some(tally)
}

#[test]
fn snapshots_and_restores_through_a_failing_network_to_s3_lose_nothing() {
    let Some(tally) = run(ROUNDS, 1) else { return };
    assert_eq!((tally.snapshots, tally.restores), (ROUNDS, ROUNDS));
}

#[test]
fn a_thousand_snapshots_and_restores_through_a_failing_network_to_s3_lose_nothing() {
    if std::env::var_os("IDSWYFT_VAULT_TEST_LONG").is_none() {
        return;
    }
    let each = ROUNDS_LONG / VAULTS_LONG;
    let tallies: Vec<Option<Tally>> = thread::scope(|scope| {
        let start = |vault| scope.spawn(move || run(each, 1_000_000 * (vault + 1)));
        let threads: Vec<_> = (0..VAULTS_LONG).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let tallies: Vec<Tally> = tallies.into_iter().flatten().collect();
    eprintln!("{tallies:#?}");
    let taken: u64 = tallies.iter().map(|tally| tally.snapshots).sum();
    assert!(tallies.is_empty() || taken == ROUNDS_LONG);
}

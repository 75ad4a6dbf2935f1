//! A host that lost a part of its state, or all of it, with the real program.

use std::fs;

use crate::support::{Install, fields};

/// Returns the verification key in the kit.
fn vault_key(install: &Install) -> String {
    let kit = fs::read_dir(install.path("kit")).unwrap().next().unwrap().unwrap().path();
    kit.join("vault.key").to_str().unwrap().to_owned()
}

#[test]
fn a_lost_manifest_is_named_and_rebuilt() {
    let (install, old) = Install::with_snapshot();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(install.path(&format!("state/nightly/manifest.sqlite{suffix}")));
    }
    let lost = install.run(["snapshot"]);
    lost.fails(1, "manifest-damaged", &["manifest.sqlite", "not there"]);
    let report = install.run(["manifest", "rebuild", "--json"]).json(0);
    let report = &report["vaults"][0];
    let expected = [
        "opened",
        "pack_count",
        "recorded",
        "replicated_count",
        "replicated_len",
        "snapshot_count",
        "unknown_count",
        "vault",
    ];
    assert_eq!(fields(report), expected);
    assert_eq!((&report["snapshot_count"], &report["unknown_count"]), (&1.into(), &0.into()));
    let new = install.snapshot();
    install.assert_snapshots(&[&old, &new]);
    install.assert_restores(&old);
    install.assert_restores(&new);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

#[test]
fn a_host_that_lost_its_state_rejoins_and_counts_once_the_operator_adds_it() {
    let (install, old) = Install::with_snapshot();
    fs::rename(install.path("state"), install.path("lost")).unwrap();
    install.run(["snapshot"]).fails(1, "vault-missing", &[]);
    let key = vault_key(&install);
    install.run(["init", "--rejoin"]).exits(2).says(&["--vault-key"]);
    let rejoin = ["init", "--rejoin", "--vault-key", &key];
    let report = install.run([&rejoin[..], &["--json"]].concat()).json(4);
    let signer_key = report["signer_key"].as_str().unwrap();
    install.run(rejoin).fails(1, "vault-exists", &["move it away first"]);
    // A night without a copy cannot be made up for, so it is taken all the same.
    install.run(["snapshot"]).warns("signer-pending", &[signer_key]).exits(4);
    install.unlock(["verify", "--level", "contents"]).exits(3);
    let add = ["signer", "add", "--role", "writer", "--key", signer_key, "--kit", "kit"];
    install.unlock(add).exits(0);
    let new = install.snapshot();
    install.assert_restores(&old);
    install.assert_restores(&new);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

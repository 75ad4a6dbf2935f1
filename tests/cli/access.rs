//! Who may open what: identities, passphrases, and a store alone on a machine without a config.

use std::fs;
use std::process::Command;

use crate::support::{Install, Outcome, tree_of};

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn without_an_identity_nothing_is_opened_and_nothing_written() {
    let (install, id) = Install::with_snapshot();
    let refused = install.run(["restore", &id, "--target", "out"]);
    refused.fails(6, "identity-missing", &["restore: no identity is given"]);
    install.run(["cat", &id, "db"]).fails(6, "identity-missing", &["read the snapshot"]);
    assert!(!install.path("out").exists());
    let json = install.run(["cat", &id, "db", "--json"]).json(6);
    assert_eq!(json["error"]["code"], "identity-missing");
    assert_eq!(json["error"]["family"], "refused");
    assert!(json["error"]["hint"].as_str().unwrap().contains("--identity FILE"));
    let named = install.run(["restore", &id, "--target", "out", "-i", "gone.key"]);
    named.fails(6, "identity-missing", &["gone.key", "No such file"]);
    install.assert_restores(&id);
}

#[test]
fn an_identity_of_somebody_else_opens_nothing() {
    let (install, id) = Install::with_snapshot();
    install.keygen("wrong.key");
    let wrong = ["--identity", "wrong.key"];
    let refused = install.run(["restore", &id, "--target", "out"].into_iter().chain(wrong));
    refused.fails(6, "identity-wrong", &["generation", "none of the 1 identities"]);
    assert!(!install.path("out").exists(), "a refused restore left its target");
    install.run(["cat", &id, "db"].into_iter().chain(wrong)).fails(6, "identity-wrong", &[]);
    install.run(["show", &id].into_iter().chain(wrong)).fails(6, "identity-wrong", &[]);
    let verified = install.run(["verify", "--level", "contents"].into_iter().chain(wrong));
    verified.fails(6, "identity-wrong", &["generation"]);
    // The right one among several is enough.
    let both = ["restore", &id, "--target", "out", "-i", "wrong.key", "-i", "operator.key"];
    install.run(both).exits(0);
}

#[test]
fn a_file_that_is_no_identity_is_told_from_a_wrong_one() {
    let (install, id) = Install::with_snapshot();
    install.write("notes.txt", b"milk, bread\n");
    let refused = install.run(["cat", &id, "db", "-i", "notes.txt"]);
    let refused = refused.fails(2, "identity-invalid", &["notes.txt"]);
    assert!(!refused.err.contains("milk"), "the file's contents are shown: {refused}");
}

#[test]
fn a_wrong_or_missing_passphrase_opens_nothing() {
    let install = Install::new();
    let keygen = ["keygen", "-o", "safe.key", "--json"];
    let made = install.command(keygen).env("IDSWYFT_VAULT_PASSPHRASE", PASSPHRASE).output();
    let made = Outcome::of(made.unwrap()).json(0);
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let (head, tail) = config.split_once("recipients = [\"").unwrap();
    let (_, tail) = tail.split_once('"').unwrap();
    let recipient = made["recipient"].as_str().unwrap();
    install.write("config.toml", format!("{head}recipients = [\"{recipient}\"{tail}").as_bytes());
    install.run(["init", "--kit", "kit"]).exits(0);
    let id = install.snapshot();
    let words = ["cat", &id, "db", "--identity", "safe.key"];
    install.run(words).fails(6, "passphrase-wrong", &["safe.key", "missing"]);
    let wrong = install.command(words).env("IDSWYFT_VAULT_PASSPHRASE", "hunter2").output();
    let wrong = Outcome::of(wrong.unwrap()).fails(6, "passphrase-wrong", &["safe.key", "wrong"]);
    assert!(!wrong.err.contains("hunter2"), "{wrong}");
    let right = install.command(words).env("IDSWYFT_VAULT_PASSPHRASE", PASSPHRASE).output();
    let right = Outcome::of(right.unwrap()).exits(0);
    assert_eq!(right.out.as_bytes(), fs::read(install.path("db.sql")).unwrap());
}

#[test]
fn a_fresh_machine_restores_with_a_store_a_verification_key_and_an_identity() {
    let (install, id) = Install::with_snapshot();
    let expected = tree_of(&install.path("kept").join(&id));
    let kit = fs::read_dir(install.path("kit")).unwrap().next().unwrap().unwrap().path();
    // What is carried to the other machine: a copy of the store, the kit's key, the identity.
    let fresh = tempfile::tempdir().unwrap();
    let carried = |from: &std::path::Path, to: &str| {
        let status = Command::new("cp").arg("-a").arg(from).arg(fresh.path().join(to)).status();
        assert!(status.unwrap().success());
    };
    carried(&install.path("store"), "copy");
    carried(&kit.join("vault.key"), "vault.key");
    carried(&install.path("operator.key"), "operator.key");
    drop(install);
    let store = format!("file://{}/copy", fresh.path().display());
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
        command.args(words).args(["--store", &store, "--vault-key", "vault.key"]);
        for name in ["CONFIG", "IDENTITY", "PASSPHRASE"] {
            command.env_remove(format!("IDSWYFT_VAULT_{name}"));
        }
        Outcome::of(command.current_dir(fresh.path()).output().unwrap())
    };
    let listed = run(&["snapshots", "--json"]).json(0);
    assert_eq!(listed["snapshots"][0]["id"], id.as_str());
    run(&["ledger", "show"]).exits(0);
    for level in ["ledger", "stored", "bytes"] {
        run(&["verify", "--level", level]).exits(0);
    }
    run(&["verify", "--level", "contents", "--identity", "operator.key"]).exits(0);
    let words = ["restore", "latest", "--target", "restored", "--identity", "operator.key"];
    run(&words).exits(0);
    let mut restored = tree_of(&fresh.path().join("restored"));
    restored.remove("facts.json").unwrap();
    assert_eq!(restored, expected);
}

#[test]
fn the_verification_key_of_another_vault_is_not_believed() {
    let (install, id) = Install::with_snapshot();
    let other = Install::ready();
    let key = other.run(["ledger", "key"]).exits(0).out;
    let words = ["restore", &id, "--target", "out", "--vault-key", key.trim()];
    install.unlock(words).fails(1, "signature-invalid", &["vault/1.note"]);
    let garbage = install.run(["snapshots", "--store", "local", "--vault-key", "nonsense"]);
    garbage.fails(2, "usage-invalid", &["nonsense", "ledger key"]);
    install.run(["snapshots", "--store", "moon"]).fails(2, "usage-invalid", &["moon", "local"]);
}

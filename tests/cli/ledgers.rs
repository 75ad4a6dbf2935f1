//! What the ledgers prove: that a snapshot was taken, and that nothing was rewritten since.

use std::fs;
use std::path::Path;
use std::process::Command;

use idswyft_vault::crypto::checkpoint::TreeHead;
use idswyft_vault::crypto::merkle::check_inclusion;
use idswyft_vault::crypto::signing::{VerificationKey, verify};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::proof::LogProof;
use serde_json::Value;

use crate::support::Install;

pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Keeps the checkpoint of the host's log.
fn keep_checkpoint(install: &Install, name: &str) {
    let ledgers = install.run(["ledger", "checkpoint", "--json"]).json(0);
    let logs = ledgers["ledgers"].as_array().unwrap().clone();
    let longest = logs.into_iter().max_by_key(|log| log["size"].as_u64()).unwrap();
    install.write(name, longest["checkpoint"].as_str().unwrap().as_bytes());
}

/// V-209
#[test]
fn a_proof_needs_nothing_but_the_key_of_the_signer() {
    let (install, id) = Install::with_snapshot();
    install.snapshot();
    let proven = install.run(["ledger", "prove", &id]).exits(0);
    let proof = LogProof::parse(proven.out.as_bytes()).unwrap();
    let event: Value = serde_json::from_slice(&proof.leaf).unwrap();
    assert_eq!((&event["event"], &event["snapshot"]), (&"snapshot.taken".into(), &Value::from(id)));
    let signers = install.run(["signer", "list", "--json"]).json(0);
    let signers = signers["signers"].as_array().unwrap();
    let signer = signers.iter().find(|signer| signer["id"] == event["signer"]).unwrap();
    let key: VerificationKey = signer["key"].as_str().unwrap().parse().unwrap();
    let text = verify(&proof.checkpoint, &[&key]).unwrap();
    let event = |leaf: &[u8]| {
        let (vault, seq) = (key.vault(), proof.index);
        LedgerEvent::parse(leaf, vault, key.signer_id(), seq)
    };
    assert!(event(&proof.leaf).is_ok());
    let head = TreeHead::parse_checkpoint(text.text(), key.vault(), key.signer_id()).unwrap();
    check_inclusion(&head, proof.index, &proof.leaf, &proof.hashes).unwrap();
    let other = [proof.leaf.as_slice(), b" "].concat();
    assert!(check_inclusion(&head, proof.index, &other, &proof.hashes).is_err());
    let unknown = install.run(["ledger", "prove", "20200101"]);
    unknown.fails(1, "snapshot-unknown", &["20200101"]);
}

/// V-210
#[test]
fn a_log_that_only_grew_extends_every_checkpoint_that_was_kept() {
    let (install, _) = Install::with_snapshot();
    keep_checkpoint(&install, "first");
    install.snapshot();
    keep_checkpoint(&install, "second");
    let words = ["ledger", "check", "--since", "first", "--since", "second"];
    let checked = install.run(words).exits(0);
    assert_eq!(checked.out.matches("extends it").count(), 2, "{checked}");
    install.run(["ledger", "check"]).exits(0);
    // What is printed of several logs is taken as it is.
    let second = install.keygen("second.key");
    install.unlock(["recipients", "add", &second, "--kit", "kit"]).exits(0);
    let printed = install.run(["ledger", "checkpoint"]).exits(0).out;
    install.write("both", printed.as_bytes());
    let checked = install.run(["ledger", "check", "--since", "both"]).exits(0);
    assert_eq!(checked.out.matches("extends it").count(), 2, "{checked}");
}

/// V-210, V-122
#[test]
fn a_store_that_was_rolled_back_or_rewritten_is_found_by_a_kept_checkpoint() {
    let (install, _) = Install::with_snapshot();
    let places = ["store", "state"];
    for place in places {
        copy(&install.path(place), &install.path(&format!("{place}.then")));
    }
    install.write("uploads/new.jpg", b"one history");
    install.snapshot();
    keep_checkpoint(&install, "kept.checkpoint");
    let roll_back = || {
        for place in places {
            fs::remove_dir_all(install.path(place)).unwrap();
            copy(&install.path(&format!("{place}.then")), &install.path(place));
        }
    };
    roll_back();
    install.run(["verify", "--level", "ledger"]).exits(0);
    let words = ["ledger", "check", "--since", "kept.checkpoint"];
    let found = install.run(words).exits(3);
    assert!(found.out.contains("was cut or rewritten"), "{found}");
    install.write("uploads/new.jpg", b"another history");
    install.snapshot();
    install.snapshot();
    install.run(["verify", "--level", "ledger"]).exits(0);
    let found = install.run(["ledger", "check", "--since", "kept.checkpoint", "--json"]).json(3);
    let problem = found["since"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("root"), "{problem}");
}

#[test]
fn a_checkpoint_that_is_not_there_is_an_error_and_no_empty_file() {
    let (install, _) = Install::with_snapshot();
    let refused = install.run(["ledger", "checkpoint", "--signer", "0011223344556677"]);
    refused.fails(2, "usage-invalid", &["print a checkpoint", "signer list"]);
}

/// V-210
#[test]
fn a_checkpoint_of_somebody_else_is_refused() {
    let (install, _) = Install::with_snapshot();
    let (other, _) = Install::with_snapshot();
    keep_checkpoint(&other, "kept.checkpoint");
    install.write("foreign", &fs::read(other.path("kept.checkpoint")).unwrap());
    keep_checkpoint(&install, "own.checkpoint");
    let own = fs::read_to_string(install.path("own.checkpoint")).unwrap();
    let forged = own.replacen("\n", "\n1", 1);
    install.write("forged", forged.as_bytes());
    install.write("noise", b"no checkpoint at all");
    for name in ["foreign", "forged", "noise"] {
        let refused = install.run(["ledger", "check", "--since", name]);
        refused.fails(2, "checkpoint-invalid", &["accept the checkpoint"]);
    }
    let missing = install.run(["ledger", "check", "--since", "missing"]);
    missing.fails(2, "usage-invalid", &["missing"]);
}

/// V-215
#[test]
fn logs_of_two_stores_are_compared_and_the_shorter_one_is_told() {
    let install = Install::with_vaults(
        "[[vault]]\nname = \"nightly\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n\
         [[vault.store]]\nname = \"mirror\"\nurl = \"file://DIR/mirror\"\n",
    );
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    let same = install.run(["ledger", "check"]).exits(0);
    assert!(!same.out.contains("mirror"), "{same}");
    copy(&install.path("mirror"), &install.path("old"));
    install.snapshot();
    fs::remove_dir_all(install.path("mirror")).unwrap();
    fs::rename(install.path("old"), install.path("mirror")).unwrap();
    let told = install.run(["ledger", "check"]).exits(0);
    assert!(told.out.contains("in store mirror: the shorter lags"), "{told}");
}

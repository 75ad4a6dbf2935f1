//! Changing recipients and signers with the real program, as an operator does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Install, NIGHTLY, Outcome, fields, tree_of};

/// Runs a command that changes the vault, on the host, with the operator's identity and the kit.
fn change(install: &Install, words: &[&str]) -> Outcome {
    install.unlock([words, &["--kit", "kit"]].concat())
}

/// Restores with an identity and compares what came back.
fn restores(install: &Install, identity: &str, id: &str) -> Outcome {
    let target = tempfile::tempdir_in(install.path("")).unwrap().keep();
    let words = ["restore", id, "--target", target.to_str().unwrap(), "-i", identity];
    let outcome = install.run(words);
    if outcome.exit == 0 {
        let mut restored = tree_of(&target);
        restored.remove("facts.json").unwrap();
        assert_eq!(restored, tree_of(&install.path("kept").join(id)));
    }
    outcome
}

/// Names these recipients in the config.
fn name_in_config(install: &Install, recipients: &[&str]) {
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("recipients")).unwrap();
    let text = config.replace(line, &format!("recipients = {recipients:?}"));
    install.write("config.toml", text.as_bytes());
}

fn own_recipient(install: &Install) -> String {
    let listed = install.run(["recipients", "list", "--json"]).json(0);
    listed["vaults"][0]["recipients"][0]["recipient"].as_str().unwrap().to_owned()
}

#[test]
fn an_added_recipient_restores_old_snapshots_and_a_removed_one_no_new_ones() {
    let (install, old) = Install::with_snapshot();
    let own = own_recipient(&install);
    let second = install.keygen("second.key");
    restores(&install, "second.key", &old).fails(6, "identity-wrong", &[]);
    let report = change(&install, &["recipients", "add", &second, "--json"]).json(0);
    let expected = [
        "changed",
        "completed",
        "kit",
        "number",
        "opened",
        "recipients",
        "resealed_count",
        "vault",
    ];
    assert_eq!(fields(&report), expected);
    assert_eq!((&report["number"], &report["resealed_count"]), (&Value::from(2), &Value::from(1)));
    restores(&install, "second.key", &old).exits(0);
    restores(&install, "operator.key", &old).exits(0);
    install.run(["snapshot"]).warns("policy-differs", &["signed, not in the config"]);
    name_in_config(&install, &[&own, &second]);
    install.run(["verify", "--level", "contents", "-i", "second.key"]).exits(0);

    let listed = install.run(["recipients", "list", "--json"]).json(0);
    let digest = listed["vaults"][0]["recipients"][1]["sha256"].as_str().unwrap().to_owned();
    let removed = change(&install, &["recipients", "remove", &digest[..8]]).exits(0);
    for said in ["rolled: ", "not taken back", "may have kept the root key", "config.toml"] {
        assert!(removed.out.contains(said), "{said:?}: {removed}");
    }
    name_in_config(&install, &[&own]);
    let new = install.snapshot();
    restores(&install, "operator.key", &new).exits(0);
    restores(&install, "second.key", &old).exits(0);
    restores(&install, "second.key", &new).fails(6, "identity-wrong", &[]);
    let kit = install.unlock(["recipients", "add", &second, "--kit", "kit", "-i", "second.key"]);
    kit.fails(6, "identity-wrong", &["root.age"]);
    let ledger = install.run(["ledger", "show", "--json"]).json(0);
    let events = ledger["events"].as_array().unwrap();
    let changes = events.iter().filter(|event| event["event"] == "recipients.changed");
    assert_eq!(changes.count(), 2);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

#[test]
fn a_change_on_another_machine_reaches_the_host_with_its_next_snapshot() {
    let (install, old) = Install::with_snapshot();
    let (own, second) = (own_recipient(&install), install.keygen("second.key"));
    // The other machine has the config of the kit, the stores, and no state.
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let away = config.replace("/state\"", "/no-state-here\"");
    install.write("away.toml", away.as_bytes());
    let away = |words: &[&str]| {
        install.unlock([words, &["--kit", "kit", "--config", "away.toml"]].concat())
    };
    away(&["recipients", "add", &second]).exits(0);
    assert!(!install.path("no-state-here").exists());
    restores(&install, "second.key", &old).exits(0);
    name_in_config(&install, &[&own, &second]);
    install.snapshot();
    let text = fs::read_to_string(install.path("away.toml")).unwrap();
    install.write("away.toml", text.replace(&own, &format!("{own}\", \"{second}")).as_bytes());
    let removed = away(&["recipients", "remove", &second]).exits(0);
    assert!(removed.out.contains("by the host's next snapshot"), "{removed}");
    name_in_config(&install, &[&own]);
    let new = install.snapshot();
    restores(&install, "second.key", &new).fails(6, "identity-wrong", &[]);
    restores(&install, "operator.key", &new).exits(0);
    let listed = install.run(["generation", "list", "--json"]).json(0);
    let mut states: Vec<&str> = listed["generations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    // Both may be of one second.
    states.sort_unstable();
    assert_eq!(states, ["closed", "open"]);
}

#[test]
fn a_retired_writer_takes_no_snapshot_and_the_hint_says_what_to_do() {
    let (install, old) = Install::with_snapshot();
    let listed = install.run(["signer", "list", "--json"]).json(0);
    let signers = listed["signers"].as_array().unwrap();
    let id = |role| {
        let one = signers.iter().find(|signer| signer["role"] == role).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    let retired = change(&install, &["signer", "retire", &id("writer")]);
    retired.warns("signer-not-delegated", &["no writer"]);
    let refused = install.run(["snapshot"]).fails(1, "signer-not-delegated", &[&id("writer")]);
    assert!(refused.err.contains("--rejoin"), "{refused}");
    install.run(["generation", "roll"]).fails(1, "signer-not-delegated", &["vault note 2"]);
    install.assert_snapshots(&[&old]);
    install.assert_restores(&old);
    install.unlock(["verify", "--level", "contents"]).exits(0);
    let refused = change(&install, &["signer", "retire", &id("operator")]);
    refused.fails(2, "signer-refused", &["derived from the root key"]);
}

#[test]
fn a_new_signers_key_is_private_never_printed_and_never_replaced() {
    let install = Install::ready();
    let words = ["signer", "add", "--role", "janitor", "-o", "janitor.key"];
    let refused = change(&install, &[&words[..], &["--event", "snapshot.taken"]].concat());
    refused.fails(2, "signer-refused", &["snapshot.taken", "janitor"]);
    assert!(!install.path("janitor.key").exists());
    let event = ["--event", "generation.shredded", "--json"];
    let added = change(&install, &[&words[..], &event].concat());
    let text = fs::read_to_string(install.path("janitor.key")).unwrap();
    let secret = text.trim().splitn(5, '+').last().unwrap();
    assert!(!added.out.contains(secret) && !added.err.contains(secret));
    let mode = install.path("janitor.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let added = added.json(0);
    assert!(added["events"].as_array().unwrap().contains(&Value::from("generation.shredded")));
    // The same again ends what may have been interrupted; another role is another signer.
    let again = change(&install, &[&words[..], &event].concat()).json(0);
    assert_eq!((&again["completed"], &again["number"]), (&Value::from(true), &Value::from(2)));
    change(&install, &["signer", "add", "--role", "auditor", "-o", "janitor.key"]).fails(
        2,
        "signer-refused",
        &["as janitor"],
    );
    install.write("notes.txt", b"milk");
    change(&install, &["signer", "add", "--role", "auditor", "-o", "notes.txt"]).fails(
        1,
        "file-exists",
        &["notes.txt"],
    );
    let key = added["key"].as_str().unwrap();
    change(&install, &["signer", "add", "--role", "janitor", "--key", key]).fails(
        2,
        "signer-refused",
        &["it already"],
    );
    let other = Install::ready();
    change(&other, &["signer", "add", "--role", "janitor", "--key", key]).fails(
        2,
        "signer-refused",
        &["another vault"],
    );
    change(&install, &["signer", "add", "--role", "janitor", "--key", "nonsense"]).fails(
        2,
        "usage-invalid",
        &["nonsense"],
    );
    install.unlock(["signer", "add", "--role", "janitor", "--kit", "kit"]).exits(2);
    change(&install, &["signer", "retire", "0011223344556677"]).fails(
        2,
        "signer-refused",
        &["0011223344556677"],
    );
}

#[test]
fn what_is_needed_for_a_change_is_named_when_it_is_missing() {
    let install = Install::ready();
    let second = install.keygen("second.key");
    let add = ["recipients", "add", &second];
    install.run([&add[..], &["--kit", "kit"]].concat()).fails(
        6,
        "identity-missing",
        &["recipient"],
    );
    install.unlock([&add[..], &["--kit", "nowhere"]].concat()).fails(
        2,
        "kit-unusable",
        &["nowhere"],
    );
    let other = Install::ready();
    let kit = other.text("kit");
    let wrong = install.run([&add[..], &["--kit", &kit, "-i", "operator.key"]].concat());
    wrong.fails(6, "identity-wrong", &["root.age"]);
    let key = other.text("operator.key");
    let wrong = install.run([&add[..], &["--kit", &kit, "-i", &key]].concat());
    wrong.fails(2, "kit-unusable", &["another"]);
    let own = own_recipient(&install);
    change(&install, &["recipients", "add", &own]).fails(2, "recipients-refused", &["already"]);
    change(&install, &["recipients", "add", "age1x"]).fails(2, "recipient-invalid", &["age1x"]);
    change(&install, &["recipients", "remove", &own]).fails(2, "recipients-refused", &["every"]);
    change(&install, &["recipients", "remove", "ffff"]).fails(2, "recipients-refused", &["ffff"]);
    change(&install, &add).exits(0);
    // The config does not name the second one: its text is not known to whoever comes next.
    let third = install.keygen("third.key");
    change(&install, &["recipients", "add", &third]).fails(
        2,
        "recipients-refused",
        &["in `recipients` of the config"],
    );
    let listed = install.run(["recipients", "list"]).exits(0).out;
    assert!(listed.contains(&own) && listed.contains("not in the config"), "{listed}");
    name_in_config(&install, &[&own, &second, &third]);
    let listed = install.run(["recipients", "list"]).exits(0).out;
    assert!(listed.contains("not signed"), "{listed}");
}

#[test]
fn an_exported_identity_restores_one_generation_and_not_another() {
    let (install, first) = Install::with_snapshot();
    let rolled = install.run(["generation", "roll", "--json"]).json(0);
    assert_eq!(fields(&rolled), ["closed", "lagging", "opened", "vault"]);
    let second = install.snapshot();
    let id = rolled["closed"].as_str().unwrap();
    let words = ["generation", "export", id, "-o", "first.key"];
    install.run(words).fails(6, "identity-missing", &[]);
    install.unlock(words).exits(0);
    let mode = install.path("first.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    install.unlock(words).fails(1, "file-exists", &["first.key"]);
    install.unlock(["generation", "export", "1999", "-o", "x.key"]).fails(
        2,
        "generation-unknown",
        &["1999"],
    );
    restores(&install, "first.key", &first).exits(0);
    restores(&install, "first.key", &second).fails(6, "identity-wrong", &[]);
    let verify = ["verify", &first, "--level", "contents", "--json", "-i", "first.key"];
    let report = install.run(verify).json(0);
    let gaps = report["vaults"][0]["not_covered"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap.as_str().unwrap().contains(id)), "{gaps:?}");
    let listed = install.run(["generation", "list"]).exits(0).out;
    assert!(listed.contains("closed") && listed.contains("open"), "{listed}");
}

#[test]
fn several_vaults_need_one_to_be_named() {
    let install = Install::with_vaults(&format!("{NIGHTLY}{}", crate::support::KYC));
    install.run(["init", "--kit", "kit"]).exits(0);
    let second = install.keygen("second.key");
    let add = ["recipients", "add", &second];
    change(&install, &add).fails(2, "usage-invalid", &["--vault"]);
    change(&install, &[&add[..], &["--vault", "kyc"]].concat()).exits(0);
    install.run(["generation", "roll"]).fails(2, "usage-invalid", &["--vault"]);
    let listed = install.run(["recipients", "list", "--json"]).json(0);
    let counts: Vec<usize> = listed["vaults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vault| vault["recipients"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1, 2]);
}

//! Samples, turns and parts, as an auditor and a host ask for them. Spec: `sampling.md`.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Install, Outcome};

/// Makes an installation with so many snapshots, each with content of its own.
fn with_snapshots(count: u64) -> (Install, Vec<String>) {
    let install = Install::ready();
    let ids = (0..count).map(|seed| {
        let noise = crate::support::noise(100 + seed, 9_000);
        install.write(&format!("uploads/{seed}.jpg"), &noise);
        install.write_dump(300 + u32::try_from(seed).unwrap());
        install.snapshot()
    });
    let ids = ids.collect();
    (install, ids)
}

/// Runs the program as an auditor: with a copy and a key, and nothing else.
fn audit(install: &Install, words: &[&str]) -> Outcome {
    audit_in(install, "store", words)
}

fn audit_in(install: &Install, store: &str, words: &[&str]) -> Outcome {
    let key = install.run(["ledger", "key"]).exits(0).out;
    let store = format!("file://{}", install.text(store));
    let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
    command.arg("verify").args(words).args(["--store", &store, "--vault-key", key.trim()]);
    for name in ["CONFIG", "IDENTITY", "PASSPHRASE"] {
        command.env_remove(format!("IDSWYFT_VAULT_{name}"));
    }
    fs::create_dir_all(install.path("auditor")).unwrap();
    Outcome::of(command.current_dir(install.path("auditor")).output().unwrap())
}

fn vault_of(report: &Value) -> &Value {
    &report["vaults"][0]
}

/// Y-3, Y-6
#[test]
fn an_auditor_without_config_looks_at_a_sample_that_nobody_chose() {
    let (install, _) = with_snapshots(3);
    let report = audit(&install, &["--level", "bytes", "--sample", "40%", "--json"]).json(0);
    let sample = &vault_of(&report)["sample"];
    assert_eq!(sample["method"], serde_json::json!({ "kind": "share", "share": "40 %" }));
    assert!(sample["public"].as_str().unwrap().starts_with("ledgers "), "{sample}");
    assert_eq!(sample["public_given"], false);
    let words = ["--level", "stored", "--confidence", "99%", "--loss", "50%"];
    let public = ["--public", "drand 4711: 8c1f"];
    let said = audit(&install, &[&words[..], &public].concat()).exits(0).out;
    let sentence = "it says: if 50 % or more of the 6 packs were damaged, a sample of 4 would have \
                    met one with 99 % probability";
    assert!(said.starts_with("sound (4 of 6 packs looked at): vault "), "{said}");
    for line in [sentence, "sample: 4 of 6 packs", "chosen by: drand 4711: 8c1f (given), seed "] {
        assert!(said.contains(line), "{line} is not in: {said}");
    }
    assert!(said.contains("not covered: 2 of 6 packs: they are not in the sample"), "{said}");
    assert!(said.contains("not covered: damage of fewer than 3 packs"), "{said}");
}

/// Y-7, Y-9
#[test]
fn turns_are_remembered_with_the_vaults_state_or_in_a_file_that_is_named() {
    let (install, _) = with_snapshots(3);
    let rolling = ["--level", "bytes", "--rolling", "1/2"];
    audit(&install, &rolling).fails(2, "usage-invalid", &["--memory"]);
    let words = [&rolling[..], &["--memory", "seen.sqlite", "--json"]].concat();
    let never = |outcome: Outcome| vault_of(&outcome.json(0))["coverage"]["never_count"].clone();
    assert_eq!(never(audit(&install, &words)), 3);
    assert_eq!(never(audit(&install, &words)), 0);
    assert!(install.path("auditor/seen.sqlite").exists());
    let own = install.path("state/nightly/coverage.sqlite");
    assert!(!own.exists());
    let said = install.run([&["verify"], &rolling[..]].concat()).exits(0).out;
    assert!(own.exists());
    let line = "found sound at level bytes, of 6 packs: 3 within a month, 3 within 3, 3 within 12, \
                3 never; the oldest on 20";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("2 such runs look at each of them"), "{said}");
    // It remembers of other runs too, and is nothing that the next snapshot minds.
    install.run(["verify", "--level", "bytes"]).exits(0);
    let report = install.run([&["verify", "--json"], &rolling[..]].concat());
    assert_eq!(never(report), 0);
    install.snapshot();
    install.write("auditor/other", b"a list of the things to buy\n");
    let words = [&rolling[..], &["--memory", "other"]].concat();
    audit(&install, &words).fails(2, "usage-invalid", &["other", "something else"]);
}

/// Y-12, Y-17
#[test]
fn parts_of_several_machines_are_joined_and_end_as_one_run_would() {
    let (install, _) = with_snapshots(3);
    let part = |index: u32, exit| {
        let (name, file) = (format!("{index}/2"), format!("../part-{index}.json"));
        let words = ["--level", "bytes", "--shard", &name, "--report", &file];
        audit(&install, &words).exits(exit)
    };
    let said = part(1, 0).out;
    assert!(said.contains("not covered: the other parts: this is 1 of 2, and `report merge`"));
    part(2, 0);
    let merge = |files: &[&str]| install.run([&["report", "merge"], files].concat());
    let said = merge(&["part-1.json", "part-2.json", "--report", "whole.json"]).exits(0).out;
    assert!(said.contains("sound: vault ") && said.contains("joined of 2 parts"), "{said}");
    assert!(!said.contains("not covered: the other parts"), "{said}");
    let whole: Value =
        serde_json::from_slice(&fs::read(install.path("whole.json")).unwrap()).unwrap();
    let alone = audit(&install, &["--level", "bytes", "--json"]).json(0);
    for field in ["object_count", "read_len", "not_covered", "ledgers", "scope_sha256", "stored"] {
        assert_eq!(vault_of(&whole)[field], vault_of(&alone)[field], "{field}");
    }
    merge(&["part-2.json"]).fails(2, "usage-invalid", &["part 1 of 2 is missing"]);
    let twice = ["part-1.json", "part-2.json", "part-1.json"];
    merge(&twice).fails(2, "usage-invalid", &["part-1.json and part-1.json are both part 1 of 2"]);
    merge(&["whole.json"]).fails(2, "usage-invalid", &["whole.json is no part"]);
    let over = ["part-1.json", "part-2.json", "--report", "part-2.json"];
    merge(&over).fails(2, "usage-invalid", &["part-2.json", "name another file"]);
    merge(&["config.toml"]).fails(1, "format-invalid", &["verification report"]);
    merge(&["part-1.json", "part-2.json", "--report", "x.txt"]).fails(
        2,
        "usage-invalid",
        &["x.txt"],
    );
    // A part of another copy is none of these, though both are given by their URLs.
    crate::ledgers::copy(&install.path("store"), &install.path("copy"));
    let words = ["--level", "bytes", "--shard", "2/2", "--report", "../copied.json", "--json"];
    let copied = audit_in(&install, "copy", &words).json(0);
    let place = |name: &str| format!("file://{}", install.text(name));
    assert_eq!(vault_of(&copied)["location"], place("copy"));
    assert_eq!(vault_of(&whole)["location"], place("store"));
    let lacking = format!("store given ({}), part 1 of 2 is missing", place("copy"));
    merge(&["part-1.json", "copied.json"]).fails(2, "usage-invalid", &[&lacking]);
    let pack = install.objects("packs").remove(0);
    install.change(&format!("store/{pack}"), |bytes| bytes[99] ^= 1);
    let exits: Vec<i32> = [1, 2]
        .map(|index| {
            let (name, file) = (format!("{index}/2"), format!("../part-{index}.json"));
            let words = ["--level", "bytes", "--shard", &name, "--report", &file];
            audit(&install, &words).exit
        })
        .into();
    assert!(exits == [0, 3] || exits == [3, 0], "one part has the pack: {exits:?}");
    let damaged = merge(&["part-1.json", "part-2.json", "--json"]).json(3);
    assert_eq!(vault_of(&damaged)["findings"][0]["object"], pack.as_str());
}

/// Y-2, Y-13
#[test]
fn what_is_no_sample_turn_or_part_is_refused() {
    let install = Install::ready();
    for words in [
        &["--confidence", "99%"][..],
        &["--loss", "1%"],
        &["--confidence", "100%", "--loss", "1%"],
        &["--confidence", "99", "--loss", "1%"],
        &["--confidence", "99%", "--loss", "0%"],
        &["--sample", "1.5"],
        &["--sample", "-1%"],
        &["--sample", "101%"],
        &["--sample", "NaN%"],
        &["--sample", "5%", "--rolling", "1/2"],
        &["--sample", "5%", "--confidence", "99%", "--loss", "1%"],
        &["--rolling", "2/12"],
        &["--shard", "0/4"],
        &["--shard", "5/4"],
        &["--shard", "1/0"],
        &["--shard", "1/100000"],
        &["--public", "x"],
        &["--sample", "5%", "--public", "x\ny"],
        &["--sample", "5%", "--public", ""],
        &["--sample", "5%", "--level", "ledger"],
        &["--shard", "1/2", "--level", "ledger"],
        &["--rolling", "1/2", "--level", "stored"],
        &["--rolling", "1/2", "--level", "bytes", "--shard", "1/2"],
        &["--memory", "x"],
        &["--until", "latest", "latest"],
    ] {
        install.run([&["verify"], words].concat()).exits(2);
    }
}

#[test]
fn only_snapshots_up_to_one_are_looked_at() {
    let (install, ids) = with_snapshots(3);
    let report = install.run(["verify", "--until", &ids[1], "--json"]).json(0);
    assert_eq!(vault_of(&report)["snapshot_count"], 2);
    let gap = Value::from("snapshots that were not named");
    assert!(vault_of(&report)["not_covered"].as_array().unwrap().contains(&gap));
    install.run(["verify", "--until", "2020"]).fails(1, "snapshot-unknown", &["2020"]);
}

#[test]
fn a_ledger_records_of_a_part_no_more_than_was_looked_at() {
    let (install, ids) = with_snapshots(3);
    let add = ["signer", "add", "--role", "auditor", "-o", "auditor.key", "--kit", "kit"];
    install.unlock(add).exits(0);
    let attest = |words: &[&str], exit| {
        let vouch = ["verify", "--level", "bytes", "--attest", "--signer", "auditor.key"];
        install.run([&vouch[..], words].concat()).exits(exit);
    };
    let scopes = || -> Vec<(Value, Value)> {
        let events = install.objects("ledger").into_iter().filter(|name| name.ends_with(".json"));
        let events = events.map(|name| fs::read(install.path("store").join(name)).unwrap());
        let events = events.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
        let scopes = events.filter(|event| event["event"] == "verified").map(|event| {
            let scope = &event["scope"];
            (scope["snapshot"].clone(), scope["sample_percent"].clone())
        });
        scopes.collect()
    };
    attest(&["--sample", "40%"], 0);
    assert_eq!(scopes(), [(Value::Null, 50.into())], "3 of 6 packs");
    attest(&["--until", &ids[0]], 0);
    assert_eq!(scopes()[1], (Value::Null, 100.into()));
    attest(&["--shard", "1/1"], 0);
    attest(&["--shard", "1/2"], 0);
    let last = scopes();
    assert_eq!((last.len(), &last[2].1), (4, &100.into()));
    assert!(last[3].1.as_u64() < Some(100), "{last:?}");
}

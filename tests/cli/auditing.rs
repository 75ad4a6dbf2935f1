//! What an auditor learns from a store, the root verification key and what was kept of last year.

use std::fs::{self, File};

use idswyft_vault::base::limits::KEPT_LEN_MAX;
use serde_json::Value;

use crate::support::{Install, NIGHTLY, fields};

/// Returns the words with which somebody verifies who has the store and the key alone.
fn as_auditor(install: &Install, more: &[&str]) -> Vec<String> {
    let key = install.run(["ledger", "key"]).exits(0).out;
    install.write("vault.key", key.as_bytes());
    let store = format!("file://{}", install.text("store"));
    let words = ["verify", "--store", &store, "--vault-key", "vault.key", "--config", "none.toml"];
    words.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["vaults"][0]["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// L-1 L-2 L-7
#[test]
fn an_auditor_without_a_config_gets_the_whole_record() {
    let (install, first) = Install::with_snapshot();
    let second = install.snapshot();
    let report = install.run(as_auditor(&install, &["--json"])).json(0);
    let record = &report["vaults"][0]["record"];
    let rows = record["snapshots"].as_array().unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&first.as_str()) && ids.contains(&second.as_str()) && ids.len() == 2);
    let expected = [
        "ceiling",
        "finding_count",
        "floor",
        "gone",
        "holds",
        "id",
        "locked_until",
        "new_len",
        "policy",
        "signer",
        "state",
        "stored_len",
        "time",
    ];
    assert_eq!(fields(&rows[0]), expected);
    assert_eq!(record["rpo"], serde_json::json!({ "hours": 26, "source": "default" }));
    let said = install.run(as_auditor(&install, &["--level", "ledger"])).exits(0);
    for line in [
        "  record: 2 snapshots ever, 2 stand, 0 forgotten\n",
        "  kept: 0 under a hold, 0 past the ceiling\n",
        "  nights: 0 gaps of more than 26 h, as nothing says otherwise\n",
    ] {
        assert!(said.out.contains(line), "{line:?}: {said}");
    }
    let said = install.run(["verify", "--level", "ledger"]).exits(0);
    assert!(said.out.contains("26 h, by the config"), "{said}");
}

/// L-6 L-7
#[test]
fn how_long_a_vault_may_go_without_a_snapshot_is_given_or_of_the_config() {
    let (install, _) = Install::with_snapshot();
    for (words, source) in [(&["--rpo", "1h"][..], "given"), (&[], "config")] {
        let words: Vec<&str> = ["verify", "--json"].iter().chain(words).copied().collect();
        let report = install.run(words).json(0);
        assert_eq!(report["vaults"][0]["record"]["rpo"]["source"], source);
        assert!(codes(&report).is_empty());
    }
    for wrong in ["", "26", "0h", "soon", "-3h", "1.5d"] {
        let refused = install.run(["verify", &format!("--rpo={wrong}")]);
        refused.fails(2, "usage-invalid", &["--rpo", "26h or 8d"]);
    }
    install.write_config(&format!("rpo = \"30h\"\n{NIGHTLY}"));
    let report = install.run(["verify", "--json"]).json(0);
    assert_eq!(report["vaults"][0]["record"]["rpo"]["hours"], 30);
}

/// L-11 L-13
#[test]
fn last_years_checkpoint_and_last_years_report_are_compared_with_what_there_is() {
    let (install, _) = Install::with_snapshot();
    let printed = install.run(["ledger", "checkpoint"]).exits(0).out;
    install.write("checkpoints", printed.as_bytes());
    install.run(["verify", "--report", "report.json"]).exits(0);
    let printed = install.run(["verify", "--json"]).exits(0).out;
    install.write("printed.json", printed.as_bytes());
    let printed = install.run(["ledger", "checkpoint", "--json"]).exits(0).out;
    install.write("checkpoints.json", printed.as_bytes());
    // Of a report of a newer program the heads count all the same.
    let mut newer: Value =
        serde_json::from_slice(&fs::read(install.path("report.json")).unwrap()).unwrap();
    let finding = serde_json::json!({ "code": "object-bewitched", "object": "x", "detail": "y" });
    newer["vaults"][0]["findings"] = serde_json::json!([finding]);
    install.write("newer.json", newer.to_string().as_bytes());
    install.run(["report", "show", "newer.json"]).fails(7, "format-too-new", &["object-bewitched"]);
    install.snapshot();
    let all = ["checkpoints", "report.json", "printed.json", "checkpoints.json", "newer.json"];
    let since: Vec<&str> = all.iter().flat_map(|file| ["--since", file]).collect();
    let said = install.run(as_auditor(&install, &since)).exits(0);
    for file in all {
        assert!(said.out.contains(&format!(" extends {file}: ")), "{file}: {said}");
    }
    assert!(said.out.contains("not covered: events that were recorded after what"), "{said}");
    assert!(!said.out.contains("that you kept yourself"), "{said}");
    let report = install.run(as_auditor(&install, &[&since[..], &["--json"]].concat())).json(0);
    let rows = report["vaults"][0]["since"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["problem"].is_null()) && rows.len() >= 4, "{rows:?}");
}

/// L-11
#[test]
fn a_store_that_was_rolled_back_is_found_by_the_report_of_last_year() {
    let (install, _) = Install::with_snapshot();
    let before = install.objects("ledger");
    let notes = install.objects("snapshots");
    install.snapshot();
    install.run(["verify", "--report", "report.json"]).exits(0);
    for folder in ["ledger", "snapshots"] {
        for name in install.objects(folder) {
            if !before.contains(&name) && !notes.contains(&name) {
                fs::remove_file(install.path("store").join(&name)).unwrap();
            }
        }
    }
    install.run(as_auditor(&install, &["--level", "ledger"])).exits(0);
    let words = as_auditor(&install, &["--level", "ledger", "--since", "report.json"]);
    let found = install.run(words).exits(3);
    assert_eq!(found.out.matches("ledger-broken: ").count(), 1, "{found}");
    assert!(found.out.contains("report.json has 4 events of this log"), "{found}");
    assert!(found.out.contains("does NOT extend report.json"), "{found}");
}

/// L-12
#[test]
fn what_was_kept_of_nothing_is_refused_and_says_why() {
    let (install, _) = Install::with_snapshot();
    let (other, _) = Install::with_snapshot();
    let foreign = other.run(["ledger", "checkpoint"]).exits(0).out;
    install.write("foreign", foreign.as_bytes());
    other.run(["verify", "--report", "report.json"]).exits(0);
    install.write("foreign.json", &fs::read(other.path("report.json")).unwrap());
    install.write("empty", b"");
    install.write("prose", b"keep me\n");
    install.write("list.json", b"{\"snapshots\": []}");
    for (file, said) in [
        ("foreign", "foreign: "),
        ("foreign.json", "a report of other vaults"),
        ("empty", "empty: the file is empty"),
        ("prose", "prose: "),
        ("list.json", "neither checkpoints nor a report"),
    ] {
        let refused = install.run(["verify", "--since", file]);
        refused.fails(2, "checkpoint-invalid", &["accept the checkpoint", said]);
    }
    File::create(install.path("huge")).unwrap().set_len(KEPT_LEN_MAX + 1).unwrap();
    for (file, said) in
        [("huge", "longer than"), ("missing", "missing: "), ("uploads", "uploads: ")]
    {
        let refused = install.run(["verify", "--since", file]);
        refused.fails(2, "usage-invalid", &["compare with --since", said]);
    }
}

/// L-12
#[test]
fn what_was_kept_is_of_one_vault() {
    let vaults = format!("{NIGHTLY}{}", crate::support::KYC);
    let install = Install::with_vaults(&vaults);
    install.run(["init", "--kit", "kit"]).exits(0);
    install.run(["snapshot"]).exits(0);
    let words = ["--vault", "nightly", "ledger", "checkpoint"];
    let printed = install.run(words).exits(0).out;
    install.write("kept", printed.as_bytes());
    let refused = install.run(["verify", "--since", "kept"]);
    refused.fails(2, "usage-invalid", &["2 vaults are meant", "--vault"]);
    let said = install.run(["--vault", "nightly", "verify", "--since", "kept"]).exits(0);
    assert!(said.out.contains("extends kept"), "{said}");
    let said = install.run(["verify", "--level", "ledger"]).exits(0);
    assert!(said.out.contains("768 h, by the policy"), "{said}");
}

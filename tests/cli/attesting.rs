//! The record of a verification as a file, and what a failure leaves behind. Spec: `report.md` §4.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use idswyft_vault::base::SnapshotId;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::reports::{signer, verified};
use crate::retention::with;
use crate::support::{Install, KYC, NIGHTLY, Outcome, noise, tree_of};
use crate::vouching::key_of;

#[track_caller]
fn leaves_nothing(install: &Install, run: impl FnOnce() -> Outcome) -> Outcome {
    let names = || -> Vec<String> {
        let all = tree_of(&install.path("")).into_keys();
        all.filter(|name| !name.starts_with("auditor/")).collect()
    };
    let before = names();
    let outcome = run();
    assert_eq!(names(), before, "{outcome}");
    outcome
}

/// Q-11 Q-16 Q-18
#[test]
fn a_file_of_one_record_takes_no_second_one_and_is_never_left_half_written() {
    let install = Install::with_vaults(&(NIGHTLY.to_owned() + KYC));
    install.run(["init", "--kit", "kit"]).exits(0);
    let first = install.run(["snapshot", "--vault", "nightly", "--json"]).json(0);
    let first = first["snapshots"][0]["id"].as_str().unwrap().to_owned();
    install.run(["snapshot"]).exits(0);
    let mut own = Vec::new();
    for vault in ["nightly", "kyc"] {
        let file = format!("{vault}.key");
        let words = ["signer", "add", "--role", "auditor", "-o", &file, "--kit", "kit"];
        install.unlock([&words[..], &["--vault", vault]].concat()).exits(0);
        own.extend(["--signer".to_owned(), file]);
    }
    let attest = |words: &[&str]| {
        leaves_nothing(&install, || {
            let base = ["verify", "--attestation", "a.json"];
            install.run(with(&[&base[..], words].concat(), &own))
        })
    };
    attest(&[]).fails(2, "usage-invalid", &["the record of one vault", "--vault"]);
    attest(&["--sign", "--report", "r.json"]).fails(2, "usage-invalid", &["several vaults"]);
    let both = ["--vault", "nightly", "latest", "--until", &first];
    assert_eq!(attest(&both).exit, 2);
    let two = ["--vault", "nightly", "latest", &first[..first.len() - 3]];
    attest(&two).fails(2, "usage-invalid", &["a file holds one record"]);
    let nightly = ["--vault", "nightly"];
    install.write("a.json", b"another record\n");
    attest(&nightly).fails(1, "file-exists", &["a.json: it is there already"]);
    fs::remove_file(install.path("a.json")).unwrap();
    fs::create_dir(install.path("a.json")).unwrap();
    attest(&nightly).fails(1, "system-failed", &["a.json"]);
    fs::remove_dir(install.path("a.json")).unwrap();
    let nowhere = ["verify", "--vault", "nightly", "--attestation", "none/a.json"];
    let refused = leaves_nothing(&install, || install.run(with(&nowhere, &own)));
    refused.fails(1, "system-failed", &["none/a.json"]);
    install.run(with(&["verify", "--attestation", "a.json", "--vault", "nightly"], &own)).exits(0);
    assert!(fs::read(install.path("a.json")).unwrap().ends_with(b"\n"));
    // Each vault has its own record in its own ledger, in one run.
    install.run(["ledger", "add", "a.json", "--vault", "nightly"]).exits(0);
    install.run(with(&["verify", "latest", "--attest"], &own)).exits(0);
    for (vault, count) in [("nightly", 2), ("kyc", 1)] {
        let shown = install.run(["ledger", "show", "--json", "--vault", vault]).json(0);
        let events = shown["events"].as_array().unwrap().iter();
        assert_eq!(events.filter(|event| event["event"] == "verified").count(), count, "{vault}");
    }
    let foreign = install.run(["ledger", "add", "a.json", "--vault", "kyc"]);
    foreign.fails(2, "signer-refused", &["vault note 2 does not have it"]);
}

///
#[test]
fn what_cannot_be_written_or_vouched_for_is_known_before_anything_is_verified() {
    let (install, _) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    fs::create_dir(install.path("d.json")).unwrap();
    let verify = |words: &[&str]| {
        leaves_nothing(&install, || install.run([&["verify", "--level", "bytes"], words].concat()))
    };
    verify(&["--report", "none/r.json"]).fails(1, "system-failed", &["none/r.json"]);
    verify(&["--report", "r.html", "--report", "d.json"]).fails(1, "system-failed", &["d.json"]);
    verify(&["--sign", "--report", "r.json"]).fails(2, "usage-invalid", &["no signer is given"]);
    verify(&["--attestation", "a"]).fails(2, "usage-invalid", &["no signer is given"]);
    verify(&["--signer", "auditor.key"]).fails(2, "usage-invalid", &["--sign, --attest"]);
    let own = |words: &[&str]| verify(&with(words, &auditor));
    let page = ["--sign", "--report", "r.html"];
    own(&page).fails(2, "usage-invalid", &["exactly one of its files must be the report as JSON"]);
    let apart = ["--sign", "--report", "r.json", "--report", "uploads/r.html"];
    own(&apart).fails(2, "usage-invalid", &["in one directory"]);
    for (file, code, exit) in [
        ("none.key", "system-failed", 1),
        ("db.sql", "usage-invalid", 2),
        ("kit", "system-failed", 1),
    ] {
        let words = ["--attest", "--signer", file];
        verify(&words).fails(exit, code, &[file]);
    }
    // Nobody is who records it where neither the host's state nor a signer is.
    let store = format!("file://{}", install.text("store"));
    let away = ["--attest", "--store", &store, "--vault-key", "vault.key"];
    verify(&away).fails(2, "usage-invalid", &["nobody here may record it"]);
    let sealed = install.path("sealed");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o555)).unwrap();
    if File::create(install.path("sealed/try")).is_err() {
        verify(&["--report", "sealed/r.json"]).fails(1, "system-failed", &["sealed/r.json"]);
    }
}

/// Q-10 Q-23
#[test]
fn each_snapshot_that_was_named_has_what_came_of_it_and_no_other() {
    let (install, first) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    let own_of_first = install.objects("packs");
    install.write("uploads/of-the-next-night.jpg", &noise(7, 20_000));
    let second = install.snapshot();
    let came = |words: &[&str], exit: i32| -> Vec<Value> {
        let base = ["verify", "--attest"];
        install.run(with(&[&base[..], words].concat(), &auditor)).exits(exit);
        let shown = install.run(["ledger", "show", "--json"]).out;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let events = shown["events"].as_array().unwrap().iter();
        events.filter(|event| event["event"] == "verified").cloned().collect()
    };
    let both = [first.as_str(), second.as_str()];
    let said = came(&both, 0);
    let count_of = |event: &Value| event["result"]["object_count"].as_u64().unwrap();
    let names = |id: &str| install.objects("snapshots").iter().filter(|n| n.contains(id)).count();
    // Note, list, body and segment, and what the list names.
    for (event, id) in said.iter().zip(&both) {
        assert_eq!(
            (&event["scope"]["snapshot"], &event["scope"]["until"]),
            (&(*id).into(), &Value::Null)
        );
        let list =
            fs::read_to_string(install.path(&format!("store/snapshots/{id}.sha256"))).unwrap();
        let listed = list.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(count_of(event), (names(id) + 1 + listed) as u64, "{list}");
    }
    let outcomes = |said: &[Value]| -> Vec<(String, u64)> {
        let of = |event: &Value| {
            let result = &event["result"];
            (
                result["outcome"].as_str().unwrap().to_owned(),
                result["finding_count"].as_u64().unwrap(),
            )
        };
        said.iter().map(of).collect()
    };
    let own = install.objects("packs").into_iter().find(|pack| !own_of_first.contains(pack));
    let own = own.unwrap();
    let bytes = fs::read(install.path("store").join(&own)).unwrap();
    fs::remove_file(install.path("store").join(&own)).unwrap();
    let passed = ("passed".to_owned(), 0);
    let failed = ("failed".to_owned(), 1);
    assert_eq!(outcomes(&came(&both, 3)[2..]), [passed.clone(), failed.clone()]);
    // Up to one, and all, are one record each.
    let said = came(&["--until", &first], 0);
    assert_eq!(outcomes(&said[4..]), std::slice::from_ref(&passed));
    let until: Timestamp = said[4]["scope"]["until"].as_str().unwrap().parse().unwrap();
    let [of_first, of_second] = both.map(|id| id.parse::<SnapshotId>().unwrap().time());
    assert!(said[4]["scope"]["snapshot"].is_null() && until < of_second, "{until}");
    assert!(until >= of_first - SignedDuration::from_secs(1), "{until}");
    assert_eq!(outcomes(&came(&[], 3)[5..]), [failed]);
    // What is of no one snapshot is of each.
    install.write(&format!("store/{own}"), &bytes);
    let verifier = key_of(&install, "auditor").signer_id().to_string();
    let is_other = |name: &&String| name.ends_with("0.json") && !name.contains(&verifier);
    let ledgers = install.objects("ledger");
    let ledger = ledgers.iter().find(is_other).unwrap();
    install.change(&format!("store/{ledger}"), |bytes| bytes[20] ^= 1);
    let said = came(&both, 3);
    assert!(outcomes(&said[6..]).iter().all(|(outcome, count)| outcome == "failed" && *count > 0));
}

///
#[test]
fn what_is_no_attestation_or_not_the_next_one_is_refused_and_nothing_is_put() {
    let (install, _) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    let attest = |file: &str| {
        let words = ["verify", "--level", "bytes", "--attestation", file];
        install.run(with(&words, &auditor)).exits(0)
    };
    attest("one.json");
    let text = fs::read_to_string(install.path("one.json")).unwrap();
    // The next one is no other event: while no store has the first, it is written once more.
    let words = ["verify", "--level", "bytes", "--attestation", "two.json"];
    install.run(with(&words, &auditor)).warns("record-pending", &["which no store has yet"]);
    assert_eq!(fs::read_to_string(install.path("two.json")).unwrap(), text);
    let add = |file: &str| install.run(["ledger", "add", file]);
    let before = tree_of(&install.path("store"));
    for (from, to, code) in [
        ("\"v\":1", "\"v\":2", "format-too-new"),
        ("passed", "failed", "ledger-broken"),
        ("\\\"event\\\":\\\"verified\\\"", "\\\"event\\\":\\\"drilled\\\"", "format-invalid"),
        ("/report", "/report", "format-invalid"),
    ] {
        let altered = match from == to {
            true => text[..text.len() / 2].to_owned(),
            false => text.replacen(from, to, 1),
        };
        assert_ne!(altered, text, "{from}");
        install.write("bad.json", altered.as_bytes());
        let refused = add("bad.json");
        assert!(refused.err.contains(&format!("error[{code}]")), "{from}: {refused}");
    }
    add("none.json").fails(1, "system-failed", &["none.json"]);
    add("uploads").fails(1, "system-failed", &["uploads"]);
    add("config.toml").fails(1, "format-invalid", &["attestation"]);
    assert_eq!(tree_of(&install.path("store")), before);
    // An event that an interrupted run put without its checkpoint is completed.
    add("one.json").exits(0);
    let after = tree_of(&install.path("store"));
    let new: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    let checkpoint = new.iter().find(|name| name.ends_with(".checkpoint")).unwrap();
    fs::remove_file(install.path("store").join(checkpoint)).unwrap();
    add("one.json").exits(0);
    assert_eq!(tree_of(&install.path("store")), after);
    let key = key_of(&install, "auditor");
    attest("three.json");
    install.unlock(["signer", "retire", &key.signer_id().to_string(), "--kit", "kit"]).exits(0);
    add("three.json").fails(2, "signer-refused", &["retired it"]);
    assert_eq!(verified(&install), ["passed"]);
}

//! Reports with the real program: written, shown, signed, checked, and recorded. Spec: `report.md`.

use std::fs;

use serde_json::Value;

use crate::retention::with;
use crate::support::{Install, tree_of};

/// Adds a signer, and returns the words with which it works on a machine of its own.
pub fn signer(install: &Install, role: &str) -> Vec<String> {
    let file = format!("{role}.key");
    let words = ["signer", "add", "--role", role, "-o", &file, "--kit", "kit"];
    install.unlock(words).exits(0);
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let away = format!("{role}.toml");
    install.write(&away, config.replace("/state\"", &format!("/{role}\"")).as_bytes());
    let key = install.run(["ledger", "key"]).exits(0).out;
    install.write("vault.key", key.as_bytes());
    let words = ["--config", &away, "--vault-key", "vault.key", "--signer", &file];
    words.map(str::to_owned).to_vec()
}

pub const FILES: [&str; 4] = ["--report", "r.json", "--report", "r.html"];

/// An installation with a report in both forms that an auditor signed.
pub fn signed() -> (Install, Vec<String>) {
    let (install, _) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    let words = [&["verify", "--sign", "--level", "bytes"][..], &FILES].concat();
    install.run(with(&words, &auditor)).exits(0);
    (install, auditor)
}

///
#[test]
fn a_report_is_written_by_extension_and_shown_again() {
    let (install, _) = Install::with_snapshot();
    let before = tree_of(&install.path("store"));
    let bad = install.run(["verify", "--report", "r.json", "--report", "r.pdf"]);
    bad.fails(2, "usage-invalid", &["r.pdf must end with .json or .html"]);
    assert!(!install.path("r.json").exists(), "refused before anything is verified");
    let said = install.run([&["verify"][..], &FILES].concat()).exits(0).out;
    let shown = install.run(["report", "show", "r.json", "--report", "again.html"]).exits(0).out;
    assert_eq!(shown, said);
    assert_eq!(install.run(["report", "show", "r.json"]).exits(0).out, said);
    let page = fs::read_to_string(install.path("r.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("What was not covered"));
    assert_eq!(fs::read_to_string(install.path("again.html")).unwrap(), page);
    let text = fs::read_to_string(install.path("r.json")).unwrap();
    std::os::unix::fs::symlink("r.json", install.path("same.json")).unwrap();
    for same in ["r.json", "./r.json", "same.json"] {
        let over = install.run(["report", "show", "r.json", "--report", same]);
        over.fails(2, "usage-invalid", &[same, "name another file"]);
    }
    assert_eq!(fs::read_to_string(install.path("r.json")).unwrap(), text);
    install.write("newer.json", text.replacen("\"v\": 1", "\"v\": 2", 1).as_bytes());
    install.run(["report", "show", "newer.json"]).fails(7, "format-too-new", &[]);
    install.write("broken.json", &text.as_bytes()[..text.len() / 2]);
    assert_ne!(install.run(["report", "show", "broken.json"]).exit, 0);
    assert_eq!(tree_of(&install.path("store")), before);
}

///
#[test]
fn a_signed_report_is_checked_and_what_was_altered_is_found() {
    let (install, _) = signed();
    let checked = install.run(["report", "check", "r.json", "--json"]).json(0);
    assert_eq!(checked["role"], "auditor");
    let names: Vec<&Value> =
        checked["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["r.json", "r.html"]);
    for name in ["r.json", "r.html"] {
        let text = fs::read(install.path(name)).unwrap();
        let mut altered = text.clone();
        let at = altered.len() / 2;
        altered[at] ^= 1;
        install.write(name, &altered);
        let found = install.run(["report", "check", "r.json"]).exits(3).out;
        assert!(found.contains(&format!("report-mismatch: {name}: its SHA-256")), "{found}");
        install.write(name, &[&text[..], b"\n"].concat());
        let found = install.run(["report", "check", "r.json"]).exits(3).out;
        assert!(found.contains("were signed"), "{found}");
        fs::remove_file(install.path(name)).unwrap();
        let found = install.run(["report", "check", "r.json"]).exits(3).out;
        assert!(found.contains("it is signed and not there"), "{found}");
        install.write(name, &text);
    }
    install.snapshot();
    install.run(["report", "check", "r.json"]).exits(0);
    let signature = fs::read(install.path("r.json.sig")).unwrap();
    install.write("other.json.sig", &signature);
    install.write("other.json", &fs::read(install.path("r.json")).unwrap());
    let found = install.run(["report", "check", "other.json"]).exits(3).out;
    assert!(found.contains("does not cover it as the report"), "{found}");
    let mut altered = signature.clone();
    let at = altered.iter().position(|byte| *byte == b'{').unwrap() + 8;
    altered[at] ^= 1;
    install.write("r.json.sig", &altered);
    assert_ne!(install.run(["report", "check", "r.json"]).exit, 0);
    fs::remove_file(install.path("r.json.sig")).unwrap();
    assert_ne!(install.run(["report", "check", "r.json"]).exit, 0);
    // Another vault's signer is a stranger here.
    let (other, _) = signed();
    install.write("r.json.sig", &fs::read(other.path("r.json.sig")).unwrap());
    assert_ne!(install.run(["report", "check", "r.json"]).exit, 0);
}

///
#[test]
fn a_host_cannot_vouch_for_itself() {
    let (install, _) = Install::with_snapshot();
    let writer = signer(&install, "writer");
    let words = [&["verify", "--sign"][..], &FILES].concat();
    let refused = install.run(with(&words, &writer));
    assert_ne!(refused.exit, 0);
    assert!(refused.err.contains("a host, which cannot vouch"), "{refused}");
    assert!(!install.path("r.json").exists(), "refused before anything is verified");
}

///
#[test]
fn a_report_whose_ledger_was_rewritten_since_is_told() {
    let (install, _) = signed();
    let ledgers = install.objects("ledger");
    let host = ledgers.iter().filter(|name| !name.contains("checkpoint")).max().unwrap();
    let signer = host.split('/').nth(1).unwrap();
    fs::remove_dir_all(install.path(&format!("store/ledger/{signer}"))).unwrap();
    let found = install.run(["report", "check", "r.json"]);
    assert_eq!(found.exit, 3, "{found}");
}

/// Returns what came of the verifications that are in a ledger.
pub fn verified(install: &Install) -> Vec<String> {
    let shown = install.run(["ledger", "show", "--json"]).json(0);
    let events = shown["events"].as_array().unwrap().iter();
    let verified = events.filter(|event| event["event"] == "verified");
    verified.map(|event| event["result"]["outcome"].as_str().unwrap().to_owned()).collect()
}

///
#[test]
fn what_an_auditor_verified_is_in_its_own_ledger() {
    let (install, _) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    let words = ["verify", "--attest", "--level", "bytes"];
    install.run(with(&words, &auditor)).exits(0);
    assert_eq!(verified(&install), ["passed"]);
    let pack = install.objects("packs")[0].clone();
    install.change(&format!("store/{pack}"), |bytes| bytes[40] ^= 1);
    install.run(with(&words, &auditor)).exits(3);
    assert_eq!(verified(&install), ["passed", "failed"], "damage is recorded as well");
}

///
#[test]
fn an_operator_adds_what_an_auditor_that_only_reads_has_signed() {
    let (install, _) = Install::with_snapshot();
    let auditor = signer(&install, "auditor");
    let attest = |file: &str| {
        let words = ["verify", "--level", "bytes", "--attestation", file];
        install.run(with(&words, &auditor))
    };
    let before = tree_of(&install.path("store"));
    attest("one.json").exits(0);
    assert_eq!(tree_of(&install.path("store")), before, "an auditor that reads writes nothing");
    let text = fs::read_to_string(install.path("one.json")).unwrap();
    install.write("bad.json", text.replacen("passed", "failed", 1).as_bytes());
    assert_ne!(install.run(["ledger", "add", "bad.json"]).exit, 0);
    assert_eq!(tree_of(&install.path("store")), before);
    install.run(["ledger", "add", "one.json"]).exits(0);
    assert_eq!(verified(&install), ["passed"]);
    let after = tree_of(&install.path("store"));
    let again = install.run(["ledger", "add", "one.json"]).exits(0).out;
    assert!(again.contains("was there already"), "{again}");
    assert_eq!(tree_of(&install.path("store")), after);
    attest("two.json").exits(0);
    install.run(["ledger", "add", "two.json"]).exits(0);
    assert_eq!(verified(&install), ["passed", "passed"], "its next event follows");
    install.run(["verify", "--level", "ledger"]).exits(0);
}

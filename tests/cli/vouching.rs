//! Who may vouch for a report, what of it is believed, and what a failure leaves behind. Spec:
//! `report.md` §3 and §4.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;

use idswyft_vault::base::limits::REPORT_LEN_MAX;
use idswyft_vault::base::{SignerId, VaultId};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::report_note::{ReportFile, ReportNote};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::reports::{FILES, signed, signer, verified};
use crate::retention::with;
use crate::support::{Install, NIGHTLY, tree_of};

const CHECK: [&str; 3] = ["report", "check", "r.json"];

/// Returns the key that a signer's file holds.
pub fn key_of(install: &Install, role: &str) -> SigningKey {
    let text = fs::read_to_string(install.path(&format!("{role}.key"))).unwrap();
    SigningKey::from_secret_text(text.trim_end()).unwrap()
}

/// What a signature is made to say.
struct Said {
    vault: VaultId,
    signer: SignerId,
    time: Timestamp,
    names: Vec<&'static str>,
}

impl Said {
    fn by(key: &SigningKey) -> Self {
        let vault = key.verification_key().vault();
        Self { vault, signer: key.signer_id(), time: Timestamp::now(), names: vec!["r.json"] }
    }

    /// Signs what lies there, as whoever has a key can.
    fn sign(&self, install: &Install, key: &SigningKey) {
        let file = |name: &&str| {
            let bytes = fs::read(install.path(name)).unwrap();
            let (name, len) = ((*name).to_owned(), bytes.len() as u64);
            ReportFile { name, len, sha256: sha256(&bytes) }
        };
        let files = self.names.iter().map(file).collect();
        let Self { vault, signer, time, .. } = *self;
        let text = ReportNote { vault, signer, time, files }.compose().unwrap();
        install.write("r.json.sig", &key.sign(&text).unwrap());
    }
}

#[track_caller]
fn mismatch(install: &Install, named: &[&str]) {
    let found = install.run(CHECK).exits(3);
    for name in named {
        assert!(found.out.contains(name), "{name}: {found}");
    }
    assert!(found.out.contains("NOT WHAT WAS SIGNED by auditor"), "{found}");
    let count = found.out.matches("report-mismatch: ").count();
    assert_eq!(count, 1, "{found}");
}

///
#[test]
fn every_way_to_alter_a_signed_report_is_found() {
    let (install, auditor) = signed();
    install.run(CHECK).exits(0);
    let read = |name: &str| fs::read_to_string(install.path(name)).unwrap();
    let (json, page) = (read("r.json"), read("r.html"));
    // A number of the report, and the same number as the page shows it.
    let altered = json.replacen("\"snapshot_count\": 1", "\"snapshot_count\": 9", 1);
    assert!(altered != json && altered.len() == json.len());
    install.write("r.json", altered.as_bytes());
    mismatch(&install, &["report-mismatch: r.json: its SHA-256 is "]);
    install.write("r.json", json.as_bytes());
    let altered = page.replacen("1 snapshot", "9 snapshot", 1);
    assert!(altered != page && altered.len() == page.len());
    install.write("r.html", altered.as_bytes());
    mismatch(&install, &["report-mismatch: r.html: its SHA-256 is "]);
    install.write("r.html", &page.as_bytes()[..page.len() / 2]);
    mismatch(&install, &["report-mismatch: r.html: it has ", " were signed"]);
    install.write("r.html", page.as_bytes());
    install.write("r.json", &json.as_bytes()[..json.len() - 1]);
    mismatch(&install, &["report-mismatch: r.json: it has "]);
    fs::remove_file(install.path("r.json")).unwrap();
    mismatch(&install, &["report-mismatch: r.json: it is signed and not there"]);
    install.write("r.json", json.as_bytes());
    // The signature of another report, and another report in the place of this one.
    install.snapshot();
    let words = ["verify", "--sign", "--report", "next.json"];
    install.run(with(&words, &auditor)).exits(0);
    let own = read("r.json.sig");
    install.write("r.json.sig", read("next.json.sig").as_bytes());
    mismatch(&install, &["report-mismatch: r.json: its signature does not cover it"]);
    install.write("r.json.sig", own.as_bytes());
    install.write("r.json", read("next.json").as_bytes());
    let found = install.run(CHECK).exits(3).out;
    assert!(found.contains("report-mismatch: r.json: "), "{found}");
    install.write("r.json", json.as_bytes());
    // What nobody but its own signer vouches for.
    let key = key_of(&install, "auditor");
    let foreign = json.replacen("\"vault\": \"", "\"vault\": \"0", 1);
    install.write("r.json", foreign.as_bytes());
    Said::by(&key).sign(&install, &key);
    mismatch(&install, &["report-mismatch: report: it is about vault 0"]);
    let mut empty: Value = serde_json::from_str(&json).unwrap();
    empty["vaults"] = Value::Array(Vec::new());
    install.write("r.json", empty.to_string().as_bytes());
    Said::by(&key).sign(&install, &key);
    mismatch(&install, &["report-mismatch: report: it is about no vault"]);
}

/// Q-8 Q-9 Q-14
#[test]
fn a_report_that_cannot_be_believed_is_refused_with_words_of_its_own() {
    let (install, _) = signed();
    let check = |name: &str| install.run(["report", "check", name]);
    check("none.json").fails(1, "system-failed", &["read the report none.json"]);
    install.run(["verify", "--report", "plain.json"]).exits(0);
    let named = ["check the report plain.json", "there is no plain.json.sig beside it"];
    check("plain.json").fails(1, "report-unsigned", &named);
    check("r.html").fails(1, "report-unsigned", &["r.html.sig"]);
    check("uploads").fails(1, "system-failed", &["uploads"]);
    install.write("plain.json.sig", b"signed by me\n");
    check("plain.json").fails(1, "signature-invalid", &["malformed"]);
    // A signature that is sound, of something that is no report.
    let (json, key) = (fs::read(install.path("r.json")).unwrap(), key_of(&install, "auditor"));
    install.write("r.json", b"{\"v\":1,\"requires\":[]}\n");
    Said::by(&key).sign(&install, &key);
    install.run(CHECK).fails(1, "format-invalid", &["verification report"]);
    install.write("r.json", b"{\"v\":2,\"requires\":[]}\n");
    Said::by(&key).sign(&install, &key);
    install.run(CHECK).fails(7, "format-too-new", &["verification report"]);
    install.write("r.json", &json);
    // The signature of a report of another vault, signed with a key of this one.
    let vault = VaultId::from_bytes([7; 16]);
    Said { vault, ..Said::by(&key) }.sign(&install, &key);
    install.run(CHECK).fails(1, "object-foreign", &["report signature"]);
    let signer = SignerId::from_bytes([7; 8]);
    Said { signer, ..Said::by(&key) }.sign(&install, &key);
    install.run(CHECK).fails(1, "object-foreign", &["its signer is 0707070707070707"]);
    // A signer of nobody, which is one of another vault.
    let (other, _) = signed();
    install.write("r.json.sig", &fs::read(other.path("r.json.sig")).unwrap());
    install.run(CHECK).fails(1, "signature-invalid", &["known keys"]);
    Said::by(&key).sign(&install, &key);
    install.run(CHECK).exits(0);
    let store = format!("file://{}", install.text("store"));
    let foreign = [&CHECK[..], &["--store", &store, "--vault-key", &other.text("vault.key")]];
    install.run(foreign.concat()).fails(1, "signature-invalid", &["vault/1.note"]);
    let nowhere = format!("file://{}", install.text("nowhere"));
    let gone = [&CHECK[..], &["--store", &nowhere, "--vault-key", "vault.key"]].concat();
    assert!(install.run(gone).err.contains("error[store-"), "a code of its own");
    install.run([&CHECK[..], &["--vault", "moon"]].concat()).fails(2, "usage-invalid", &["moon"]);
}

///
#[test]
fn neither_a_host_nor_a_janitor_vouches_for_what_it_did_itself() {
    let (install, _) = signed();
    for (role, why) in [
        ("writer", "a host, which cannot vouch for what it wrote itself"),
        ("janitor", "a janitor, which cannot vouch for what its own deletions left"),
    ] {
        let own = signer(&install, role);
        let key = key_of(&install, role);
        Said::by(&key).sign(&install, &key);
        install.run(CHECK).fails(1, "signer-not-delegated", &[why, &key.signer_id().to_string()]);
        let before = tree_of(&install.path(""));
        let words = ["verify", "--sign", "--report", "own.json"];
        install.run(with(&words, &own)).fails(1, "signer-not-delegated", &[why]);
        let words = ["report", "sign", "r.json"];
        install.run(with(&words, &own)).fails(1, "signer-not-delegated", &[why]);
        let mut after = tree_of(&install.path(""));
        after.retain(|name, _| before.contains_key(name));
        assert_eq!(after, before, "nothing was written over");
        assert!(!install.path("own.json").exists() && !install.path("own.json.sig").exists());
    }
}

///
#[test]
fn what_a_retired_signer_says_of_the_time_is_its_own_word_until_the_report_says_otherwise() {
    let (install, _) = signed();
    let key = key_of(&install, "auditor");
    let early = Timestamp::now() - SignedDuration::from_hours(2);
    install.unlock(["signer", "retire", &key.signer_id().to_string(), "--kit", "kit"]).exits(0);
    let told = install.run(CHECK);
    told.warns("signer-not-delegated", &["was retired at", "its own word alone"]);
    let page = fs::read(install.path("r.html")).unwrap();
    // As whoever has its key can: later, and dated back.
    Said::by(&key).sign(&install, &key);
    let refused = install.run(CHECK);
    refused.fails(1, "signer-not-delegated", &["it was retired at", "and signed at"]);
    install.run(["verify", "--report", "r.json"]).exits(0);
    Said { time: early, ..Said::by(&key) }.sign(&install, &key);
    let refused = install.run(CHECK);
    refused.fails(1, "signer-not-delegated", &["has events that were recorded after"]);
    assert_eq!(fs::read(install.path("r.html")).unwrap(), page);
    let words = ["verify", "--sign", "--report", "r.json", "--signer", "auditor.key"];
    let before = fs::read(install.path("r.json")).unwrap();
    assert_ne!(install.run(words).exit, 0);
    assert_eq!(fs::read(install.path("r.json")).unwrap(), before);
}

/// Q-14 Q-17
#[test]
fn what_lies_beside_a_report_and_never_ends_is_not_read_to_its_end() {
    let (install, auditor) = signed();
    let fifo = |name: &str| {
        fs::remove_file(install.path(name)).unwrap();
        assert!(Command::new("mkfifo").arg(install.path(name)).status().unwrap().success());
    };
    let endless = |name: &str| {
        fs::remove_file(install.path(name)).unwrap();
        symlink("/dev/zero", install.path(name)).unwrap();
    };
    for name in ["r.html", "r.json.sig", "r.json"] {
        let bytes = fs::read(install.path(name)).unwrap();
        fifo(name);
        install.run(CHECK).fails(1, "system-failed", &[name, "it is no plain file"]);
        endless(name);
        install.run(CHECK).fails(1, "system-failed", &[name, "it is no plain file"]);
        fs::remove_file(install.path(name)).unwrap();
        fs::create_dir(install.path(name)).unwrap();
        install.run(CHECK).fails(1, "system-failed", &[name]);
        fs::remove_dir(install.path(name)).unwrap();
        install.write(name, &bytes);
    }
    install.run(CHECK).exits(0);
    symlink("/dev/zero", install.path("zero.json")).unwrap();
    let whole = format!("it is longer than {REPORT_LEN_MAX} bytes");
    let long = |words: &[&str]| install.run(words).fails(1, "limit-exceeded", &[&whole]);
    long(&["report", "show", "zero.json"]);
    long(&["report", "merge", "zero.json"]);
    long(&with(&["report", "sign", "zero.json"], &auditor));
    File::create(install.path("r.json")).unwrap().set_len(REPORT_LEN_MAX + 1).unwrap();
    long(&CHECK);
    File::create(install.path("r.json.sig")).unwrap().set_len(1_000_001).unwrap();
    fs::remove_file(install.path("r.json")).unwrap();
    install.run(CHECK).fails(1, "limit-exceeded", &["signature"]);
    let added = install.run(["ledger", "add", "/dev/zero"]);
    added.fails(1, "limit-exceeded", &["attestation"]);
}

///
#[test]
fn an_operator_signs_with_the_recovery_kit_in_every_store() {
    let stores = "[[vault.store]]\nname = \"mirror\"\nurl = \"file://DIR/mirror\"\n";
    let install = Install::with_vaults(&format!("{NIGHTLY}{stores}"));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    let kit = ["--kit", "kit"];
    let words = [&["verify", "--level", "bytes", "--sign", "--attest"][..], &FILES, &kit].concat();
    install.run(&words).fails(6, "identity-missing", &["sign as the operator"]);
    assert!(!install.path("r.json").exists(), "refused before anything is verified");
    install.unlock(&words).exits(0);
    let said = install.run(CHECK).exits(0).out;
    assert!(said.starts_with("signed by operator "), "{said}");
    assert_eq!(verified(&install), ["passed"]);
    assert_eq!(tree_of(&install.path("store/ledger")), tree_of(&install.path("mirror/ledger")));
    let mirror = [&CHECK[..], &["--store", "mirror"]].concat();
    install.run(mirror).exits(0);
    install.unlock(["report", "sign", "r.json", "r.html", "--kit", "kit"]).exits(0);
    install.run(CHECK).exits(0);
    let wrong = ["report", "sign", "r.json", "--kit", "uploads"];
    install.unlock(wrong).fails(2, "kit-unusable", &["uploads"]);
}

/// Q-7 Q-8
#[test]
fn a_page_is_signed_only_with_the_report_of_which_it_is() {
    let (install, auditor) = signed();
    let page = fs::read_to_string(install.path("r.html")).unwrap();
    let sign = |words: &[&str]| {
        let words = [&["report", "sign"], words].concat();
        install.run(with(&words, &auditor))
    };
    let before = fs::read(install.path("r.json.sig")).unwrap();
    install.write("r.html", page.replacen("1 snapshot", "9 snapshot", 1).as_bytes());
    let refused = sign(&["r.json", "r.html"]);
    refused.fails(2, "usage-invalid", &["r.html is not the page of r.json", "report show"]);
    sign(&["r.html"]).fails(2, "usage-invalid", &["exactly one"]);
    sign(&["r.json", "none.html"]).fails(2, "usage-invalid", &["there is no none.html"]);
    sign(&["none.json"]).fails(1, "system-failed", &["none.json"]);
    sign(&["config.toml", "r.json", "uploads"]).fails(1, "system-failed", &["no plain file"]);
    assert_eq!(fs::read(install.path("r.json.sig")).unwrap(), before, "nothing was signed");
    install.write("r.html", page.as_bytes());
    sign(&["./r.json", "r.html", "config.toml"]).exits(0);
    let said = install.run(CHECK).exits(0).out;
    assert!(said.contains("r.json, r.html, config.toml; the ledgers go on from it"), "{said}");
}

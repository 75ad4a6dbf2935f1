//! Objects that are missing, cut short, altered, of another vault, or of a newer program.

use std::fs;

use idswyft_vault::base::{Digest, SystemEntropy};
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::seal;
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::frame::encode_document;
use idswyft_vault::vault::state::{GenerationSlot, StateDir};

use crate::support::{Install, noise, tree_of};

/// Two snapshots, the second of which has a picture, and so packs, of its own.
struct Damaged {
    install: Install,
    first: String,
    second: String,
    /// The packs that only the second one needs.
    packs: Vec<String>,
}

impl Damaged {
    fn new() -> Self {
        let (install, first) = Install::with_snapshot();
        let before = install.objects("packs");
        install.write("uploads/documents/new.jpg", &noise(5, 90_000));
        let second = install.snapshot();
        let mut packs = install.objects("packs");
        packs.retain(|pack| !before.contains(pack));
        assert_eq!(packs.len(), 1, "the picture made one pack: {packs:?}");
        Self { install, first, second, packs }
    }

    /// Asserts that `verify` names an object with a code, at a level, and exits 3.
    #[track_caller]
    fn assert_found(&self, level: &str, code: &str, object: &str) {
        let report = self.install.unlock(["verify", "--level", level, "--json"]).json(3);
        let findings = report["vaults"][0]["findings"].as_array().unwrap().clone();
        let found = findings.iter().any(|finding| {
            finding["code"] == code && finding["object"].as_str().unwrap().starts_with(object)
        });
        assert!(found, "{code} of {object} is not among {findings:#?}");
        let plain = self.install.unlock(["verify", "--level", level]).exits(3);
        assert!(plain.out.contains(&format!("{code}: {object}")), "{plain}");
        assert!(plain.out.contains("\nhint: ") && plain.out.contains("DAMAGED: "), "{plain}");
    }

    /// Asserts that what the damage does not touch restores, and what it does is named.
    #[track_caller]
    fn assert_only_the_picture_is_lost(&self) {
        let words = ["restore", &self.second, "--target", "partly", "--json"];
        let report = self.install.unlock(words).json(3);
        let losses = report["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert_eq!(losses[0]["what"], "uploads/documents/new.jpg");
        let restored = tree_of(&self.install.path("partly"));
        assert!(!restored.contains_key("uploads/documents/new.jpg"));
        assert_eq!(restored["uploads/selfies/b.jpg"], noise(2, 5_000));
        let plain = self.install.unlock(["restore", &self.second, "--target", "partly-2"]);
        let plain = plain.exits(3);
        assert!(plain.out.contains("]: uploads/documents/new.jpg: "), "{plain}");
        assert!(plain.out.contains("\nhint: ") && plain.out.contains("\nINCOMPLETE, 1 thing lost"));
        self.install.assert_restores(&self.first);
    }
}

#[test]
fn a_missing_pack_is_found_and_costs_only_what_it_held() {
    let damaged = Damaged::new();
    fs::remove_file(damaged.install.path("store").join(&damaged.packs[0])).unwrap();
    damaged.assert_found("stored", "object-missing", &damaged.packs[0]);
    damaged.assert_only_the_picture_is_lost();
}

#[test]
fn a_truncated_pack_is_found_and_costs_only_what_it_held() {
    let damaged = Damaged::new();
    let pack = format!("store/{}", damaged.packs[0]);
    damaged.install.change(&pack, |bytes| bytes.truncate(bytes.len() / 2));
    damaged.assert_found("stored", "object-truncated", &damaged.packs[0]);
    damaged.assert_only_the_picture_is_lost();
}

#[test]
fn a_flipped_bit_in_a_pack_is_found_without_a_key_and_costs_only_what_it_touched() {
    let damaged = Damaged::new();
    let pack = format!("store/{}", damaged.packs[0]);
    damaged.install.change(&pack, |bytes| bytes[20_000] ^= 1);
    damaged.install.run(["verify"]).exits(0);
    damaged.install.run(["verify", "--level", "bytes"]).exits(3);
    damaged.assert_found("bytes", "object-altered", &damaged.packs[0]);
    damaged.assert_only_the_picture_is_lost();
    let cat = damaged.install.unlock(["cat", &damaged.second, "documents/new.jpg"]);
    cat.fails(1, "object-unreadable", &[&damaged.packs[0]]);
}

#[test]
fn a_flipped_bit_in_the_pack_of_the_dump_loses_the_dump_and_says_so() {
    let (install, id) = Install::with_snapshot();
    let list = fs::read_to_string(install.path(&format!("store/snapshots/{id}.sha256"))).unwrap();
    for pack in list.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name) {
        if pack.starts_with("packs/") {
            install.change(&format!("store/{pack}"), |bytes| bytes[300] ^= 1);
        }
    }
    let report = install.unlock(["restore", &id, "--target", "out", "--json"]).json(3);
    let losses = report["losses"].as_array().unwrap();
    assert!(losses.iter().any(|loss| loss["what"] == "db.sql"), "{losses:?}");
    assert!(!install.path("out/db.sql").exists());
}

#[test]
fn an_altered_body_list_or_note_is_named_and_the_other_snapshot_restores() {
    for (suffix, code) in
        [("age", "object-altered"), ("sha256", "object-altered"), ("note", "signature-invalid")]
    {
        let damaged = Damaged::new();
        let object = format!("snapshots/{}.{suffix}", damaged.second);
        damaged.install.change(&format!("store/{object}"), |bytes| {
            let at = bytes.len() / 2;
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        });
        damaged.assert_found("bytes", code, &object);
        damaged.install.assert_restores(&damaged.first);
        if suffix != "sha256" {
            let words = ["restore", &damaged.second, "--target", "out"];
            damaged.install.unlock(words).fails(1, code, &[&object]);
        }
    }
}

#[test]
fn a_damaged_newest_note_is_passed_over_with_a_warning() {
    let damaged = Damaged::new();
    let object = format!("snapshots/{}.note", damaged.second);
    damaged.install.change(&format!("store/{object}"), |bytes| bytes.truncate(40));
    // Ids of one second are in no order, so the damaged one is made the newest.
    let late = damaged.second.replacen("20", "29", 1);
    let store = damaged.install.path("store/snapshots");
    let name = |id: &str| store.join(format!("{id}.note"));
    fs::rename(name(&damaged.second), name(&late)).unwrap();
    let words = ["restore", "latest", "--target", "out", "--json"];
    let report = damaged.install.unlock(words).json(4);
    assert_eq!(report["id"], damaged.first.as_str());
    let detail = report["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains(&late) && detail.contains(&damaged.first), "{detail}");
    damaged.install.unlock(["show", &late]).fails(1, "signature-invalid", &[&late]);
}

#[test]
fn a_body_of_another_vault_is_refused() {
    let damaged = Damaged::new();
    let (other, planted) = Install::with_snapshot();
    let body = fs::read(other.path(&format!("store/snapshots/{planted}.age"))).unwrap();
    let object = format!("snapshots/{}.age", damaged.second);
    fs::write(damaged.install.path("store").join(&object), &body).unwrap();
    damaged.assert_found("bytes", "object-altered", &object);
    let words = ["restore", &damaged.second, "--target", "out"];
    damaged.install.unlock(words).fails(1, "object-altered", &[&object]);
    // A host that signs what it planted gains nothing: it was sealed for another vault.
    damaged.sign_body(&body);
    damaged.install.run(["verify", "--level", "ledger"]).exits(3);
    let refused = damaged.install.unlock(words);
    assert!(refused.exit != 0 && refused.err.contains(&object), "{refused}");
    damaged.install.assert_restores(&damaged.first);
    // Sealed for this vault and still telling of another snapshot, it is foreign.
    let own = damaged.body_of(&damaged.first);
    damaged.sign_body(&damaged.seal(&own));
    damaged.install.unlock(words).fails(1, "object-foreign", &[&object]);
    damaged.install.assert_restores(&damaged.first);
}

impl Damaged {
    fn state(&self) -> StateDir {
        StateDir::new(&self.install.path("state"), "nightly")
    }

    fn writer_key(&self) -> SigningKey {
        SigningKey::from_secret_text(self.state().writer_key().unwrap().trim_end()).unwrap()
    }

    /// Seals a document to the open generation, as the host could.
    fn seal(&self, json: &[u8]) -> Vec<u8> {
        let generation = self.state().generation(GenerationSlot::Open).unwrap();
        seal::seal(&generation.recipient, &encode_document(json, 3), &SystemEntropy).unwrap()
    }

    /// Opens the body of a snapshot, as the operator could.
    fn body_of(&self, id: &str) -> Vec<u8> {
        let identity = fs::read(self.install.path("operator.key")).unwrap();
        let identities = DataIdentities::parse("operator", &identity, &NoPassphrase).unwrap();
        let file = &self.install.objects("generations")[0];
        let sealed = fs::read(self.install.path("store").join(file)).unwrap();
        let secrets = identities.open(file, &sealed).unwrap();
        let text = std::str::from_utf8(&secrets).unwrap();
        let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap();
        let generation = idswyft_vault::crypto::identity::GenerationIdentity::parse(line).unwrap();
        let sealed = fs::read(self.install.path(&format!("store/snapshots/{id}.age"))).unwrap();
        let plain = seal::open("body", &sealed, &generation).unwrap();
        idswyft_vault::format::frame::decode_document(&plain, 1 << 20).unwrap().to_vec()
    }

    /// Stores a body for the second snapshot and signs a note that fits it.
    fn sign_body(&self, sealed: &[u8]) {
        let body = format!("store/snapshots/{}.age", self.second);
        fs::write(self.install.path(&body), sealed).unwrap();
        let digest: Digest = idswyft_vault::crypto::digest::sha256(sealed);
        self.sign_note(|note| {
            let signed = serde_json::json!({"sha256": digest, "len": sealed.len()});
            note["body"] = signed;
        });
    }

    /// Changes the second snapshot's note and signs it again.
    fn sign_note(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.install.path(&format!("store/snapshots/{}.note", self.second));
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let (first, json) = (lines.next().unwrap(), lines.next().unwrap());
        let mut note = serde_json::from_str(json).unwrap();
        change(&mut note);
        let signed = self.writer_key().sign(&format!("{first}\n{note}\n")).unwrap();
        fs::write(path, signed).unwrap();
    }
}

#[test]
fn a_note_of_a_newer_format_is_exit_7_and_older_snapshots_restore() {
    let damaged = Damaged::new();
    damaged.sign_note(|note| note["requires"] = serde_json::json!(["sparse-lists"]));
    let object = format!("snapshots/{}.note", damaged.second);
    let words = ["restore", &damaged.second, "--target", "out"];
    let refused = damaged.install.unlock(words);
    refused.fails(7, "format-too-new", &[&object, "sparse-lists"]);
    let json = damaged.install.unlock(["verify", "--json"]).json(3);
    assert!(json.to_string().contains("format-too-new"), "{json}");
    damaged.install.assert_restores(&damaged.first);
}

#[test]
fn a_body_of_a_newer_format_is_exit_7_and_older_snapshots_restore() {
    let damaged = Damaged::new();
    let text = String::from_utf8(damaged.body_of(&damaged.second)).unwrap();
    let newer = text.replacen("\"requires\":[]", "\"requires\":[\"holes\"]", 1);
    assert_ne!(newer, text);
    damaged.sign_body(&damaged.seal(newer.as_bytes()));
    let object = format!("snapshots/{}.age", damaged.second);
    let words = ["restore", &damaged.second, "--target", "out"];
    damaged.install.unlock(words).fails(7, "format-too-new", &[&object, "holes"]);
    assert!(!damaged.install.path("out").exists());
    damaged.install.assert_restores(&damaged.first);
}

#[test]
fn a_vault_note_of_a_newer_format_is_exit_7_and_nothing_is_changed() {
    let damaged = Damaged::new();
    let Damaged { install, first, .. } = &damaged;
    let kit = fs::read_dir(install.path("kit")).unwrap().next().unwrap().unwrap().path();
    let identity = fs::read(install.path("operator.key")).unwrap();
    let identities = DataIdentities::parse("operator", &identity, &NoPassphrase).unwrap();
    let root = identities.open("root", &fs::read(kit.join("root.age")).unwrap()).unwrap();
    let root = SigningKey::from_secret_text(std::str::from_utf8(&root).unwrap().trim()).unwrap();
    let path = install.path("store/vault/1.note");
    let old = fs::read_to_string(&path).unwrap();
    let text: String = old.split_inclusive('\n').take(2).collect();
    let newer = text.replacen("\"requires\":[]", "\"requires\":[\"quorum\"]", 1);
    assert_ne!(newer, text);
    fs::write(&path, root.sign(&newer).unwrap()).unwrap();
    let before = tree_of(&install.path("store"));
    for words in [&["verify"][..], &["show", "latest"], &["snapshots", "--store", "local"]] {
        install.run(words).fails(7, "format-too-new", &["vault/1.note", "quorum"]);
    }
    // The host keeps a copy of the note in force, which it must not write under either.
    fs::write(install.path("state/nightly/vault.note"), root.sign(&newer).unwrap()).unwrap();
    install.run(["snapshot"]).fails(7, "format-too-new", &["vault/1.note", "quorum"]);
    assert!(tree_of(&install.path("store")) == before, "the store was changed");
    fs::write(&path, old).unwrap();
    install.assert_restores(first);
}

#[test]
fn what_a_run_left_over_is_no_damage_and_exit_4() {
    let (install, id) = Install::with_snapshot();
    let stray = format!("store/packs/00/{}", "0".repeat(64));
    install.write(&stray, b"what an interrupted run left");
    let verified = install.run(["verify"]).exits(4);
    assert!(verified.out.contains("object-unreferenced: "), "{verified}");
    assert!(verified.out.contains("sound, with remarks: 1 finding"), "{verified}");
    install.assert_restores(&id);
}

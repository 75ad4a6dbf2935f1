//! A host that has turned against its own archive, with the credentials that it was given, and
//! somebody who may even delete. Spec: `vault-v1.md` §12.1 (I8), `capabilities.md` §4.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;

use super::{Elsewhere, in_bucket};
use crate::support::{Install, noise};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place, wait};

/// A vault in a bucket that keeps versions, and two snapshots of an honest host.
struct Hosted {
    place: Place,
    install: Install,
    role: &'static str,
    taken: Vec<String>,
}

impl Hosted {
    /// Makes it with the credentials of a role; none where there are no servers.
    fn by(role: &'static str) -> Option<Self> {
        let place = Place::on(Server::SeaweedFs, Keeping::Versions)?;
        let install = Install::with_vaults(&in_bucket(&place, "operator", None));
        install.run(["init", "--kit", "kit"]).exits(0);
        let mut hosted = Self { place, install, role, taken: Vec::new() };
        let strict = if role.ends_with("strict") { "put_only = true\n" } else { "" };
        hosted.install.write_config(&(in_bucket(&hosted.place, role, None) + strict));
        hosted.night(1);
        hosted.night(2);
        Some(hosted)
    }

    fn night(&mut self, index: u64) {
        self.install.write(&format!("uploads/documents/{index}.jpg"), &noise(index, 20_000));
        let id = self.install.snapshot();
        self.taken.push(id);
    }

    fn hostile(&self) -> Client {
        self.place.client_of(self.role)
    }

    /// Puts bytes whatever is there, and tells whether the server let it.
    fn put(&self, name: &str, bytes: &[u8]) -> bool {
        let put = self.hostile().put_object().bucket(&self.place.bucket).key(self.place.key(name));
        wait(put.body(ByteStream::from(bytes.to_vec())).send()).is_ok()
    }

    fn delete(&self, name: &str, version: Option<String>) -> bool {
        let delete = self.hostile().delete_object().bucket(&self.place.bucket);
        let delete = delete.key(self.place.key(name)).set_version_id(version);
        wait(delete.send()).is_ok()
    }

    fn seen_by(&self, principal: &str) -> Elsewhere<'_> {
        Elsewhere::new(&self.install, self.place.url_in_full(principal, None))
    }

    /// Asserts that whoever may read finds every snapshot, no other one, and each as it was.
    #[track_caller]
    fn assert_all_is_read(&self) {
        let operator = self.seen_by("role-operator");
        assert_eq!(operator.snapshots(), self.taken);
        for id in &self.taken {
            operator.assert_restores(id);
        }
    }

    /// Asserts that verifying at a level ends with findings, and that each of these is named.
    #[track_caller]
    fn assert_named(&self, level: &str, code: &str, names: &[String]) {
        let verified = self.seen_by("role-auditor").run(&["verify", "--level", level, "--json"]);
        let report = verified.json(3);
        let findings = report["vaults"][0]["findings"].as_array().unwrap();
        let of = |finding: &serde_json::Value| {
            let text = |field: &str| finding[field].as_str().unwrap().to_owned();
            (text("code"), text("object"))
        };
        let found: BTreeSet<(String, String)> = findings.iter().map(of).collect();
        let named: BTreeSet<(String, String)> =
            names.iter().map(|name| (code.to_owned(), name.clone())).collect();
        let unnamed: Vec<_> = named.difference(&found).collect();
        assert!(unnamed.is_empty(), "{level}: not named: {unnamed:#?}, but {found:#?}");
    }
}

/// I8
#[test]
fn what_a_host_that_may_only_put_to_s3_puts_over_every_object_is_named_and_the_first_counts() {
    put_over_every_object("role-host-strict");
}

/// I8
#[test]
fn what_a_host_of_s3_puts_over_every_object_is_named_and_the_first_version_counts() {
    put_over_every_object("role-host");
}

fn put_over_every_object(role: &'static str) {
    let Some(mut hosted) = Hosted::by(role) else { return };
    let names = hosted.place.names();
    let notes: Vec<&String> = names.iter().filter(|name| name.ends_with(".note")).collect();
    let other = hosted.place.get(notes[0]);
    for name in &names {
        // A note of the vault's own elsewhere, garbage, or nothing at all.
        let bytes: &[u8] = match name.rsplit('.').next() {
            Some("note") => &other,
            Some("age") => b"",
            _ => b"forged",
        };
        assert!(hosted.put(name, bytes), "{role} {name}: nothing forbids it to this host");
        assert!(!hosted.delete(name, None), "{role} {name}");
        let oldest = hosted.place.versions(name).pop();
        assert!(oldest.is_some() && !hosted.delete(name, oldest), "{role} {name}");
    }
    hosted.assert_all_is_read();
    let is_put_over = |name: &&String| **name != *notes[0];
    let put_over: Vec<String> = names.iter().filter(is_put_over).cloned().collect();
    for level in ["stored", "bytes"] {
        hosted.assert_named(level, "object-overwritten", &put_over);
    }
    // An honest run of the same host goes on, and is read as well.
    hosted.night(3);
    hosted.assert_all_is_read();
}

/// I8
#[test]
fn what_is_planted_by_a_host_that_may_only_put_to_s3_and_hidden_keeps_nobody_from_reading() {
    plant_and_hide("role-host-strict");
}

/// I8
#[test]
fn what_is_planted_by_a_host_of_s3_and_hidden_keeps_nobody_from_reading() {
    plant_and_hide("role-host");
}

fn plant_and_hide(role: &'static str) {
    let Some(hosted) = Hosted::by(role) else { return };
    let names = hosted.place.names();
    let first = |folder: &str, end: &str| {
        let mut found = names.iter().filter(|it| it.starts_with(folder) && it.ends_with(end));
        found.next().unwrap().clone()
    };
    // Copies under other names, garbage in every folder, and the next record of each log.
    let note = hosted.place.get(&first("snapshots/", ".note"));
    let (pack, log) = (hosted.place.get(&first("packs/", "")), first("ledger/", ".json"));
    let log = log.rsplit_once('/').unwrap().0;
    let event = hosted.place.get(&first("ledger/", ".json"));
    let hex = "0123456789abcdef".repeat(4);
    for (name, bytes) in [
        ("snapshots/20200101T000000Z-00000001.note".to_owned(), &note),
        ("snapshots/20990101T000000Z-00000001.note".to_owned(), &note),
        ("snapshots/latest.note".to_owned(), &note),
        (format!("packs/01/{hex}"), &pack),
        (format!("trees/01/{hex}"), &pack),
        ("packs/01/x".to_owned(), &pack),
        (format!("{log}/0000009999.json"), &event),
        (format!("{log}/0000009999.checkpoint"), &event),
        ("ledger/ffffffffffffffff/0000000000.json".to_owned(), &event),
        ("ledger/ffffffffffffffff/0000000000.checkpoint".to_owned(), &event),
        ("generations/20990101T000000Z-00000001/1.age".to_owned(), &note),
        ("segments/20990101T000000Z-00000001".to_owned(), &note),
    ] {
        assert!(hosted.put(&name, bytes), "{role} {name}");
    }
    for name in ["vault/2.note", "vault/9.note", "elsewhere/x"] {
        assert!(!hosted.put(name, b"forged"), "{role} {name}");
    }
    // Whoever may delete hides everything that the snapshots need.
    for name in &names {
        hosted.place.hide(name);
    }
    hosted.assert_all_is_read();
    for level in ["stored", "bytes"] {
        hosted.assert_named(level, "object-hidden", &names);
    }
}

/// I8
#[test]
fn a_history_that_a_host_of_s3_signs_anew_over_its_own_does_not_count() {
    let role = "role-host-strict";
    let Some(mut hosted) = Hosted::by(role) else { return };
    let copy = |from: &str, to: &str| {
        let paths = [from, to].map(|name| hosted.install.text(name));
        let copied = std::process::Command::new("cp").arg("-a").args(paths).status().unwrap();
        assert!(copied.success());
    };
    copy("state", "before");
    hosted.night(3);
    let (show, stored) = (["ledger", "show", "--json"], ["verify", "--json"]);
    let shown = hosted.seen_by("role-auditor").run(&show).json(0);
    hosted.seen_by("role-auditor").run(&stored).json(0);
    // The same host, as it was before that night, takes another snapshot, to another place.
    let elsewhere = Place::on(Server::SeaweedFs, Keeping::Versions).unwrap();
    std::fs::rename(hosted.install.path("state"), hosted.install.path("after")).unwrap();
    std::fs::rename(hosted.install.path("before"), hosted.install.path("state")).unwrap();
    hosted.install.write_config(&(in_bucket(&elsewhere, role, None) + "put_only = true\n"));
    hosted.install.write("uploads/documents/3.jpg", &noise(33, 20_000));
    hosted.install.run(["snapshot"]).exits(0);
    let there = hosted.place.names();
    let anew = elsewhere.names().into_iter().filter(|name| there.contains(name));
    let anew: Vec<String> = anew.collect();
    assert!(anew.iter().any(|name| name.ends_with(".checkpoint")), "{anew:?}");
    for name in &anew {
        assert!(hosted.put(name, &elsewhere.get(name)), "{name}");
    }
    assert_eq!(hosted.seen_by("role-auditor").run(&show).json(0), shown);
    hosted.assert_all_is_read();
    hosted.assert_named("stored", "object-overwritten", &anew);
}

//! A monthly vault in Deep Archive, from the snapshot to the restore. Spec: `thaw.md`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};

use idswyft_vault::base::SystemClock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::in_bucket;
use crate::reports::signer;
use crate::retention::with;
use crate::support::{Install, NIGHTLY, Outcome, tree_of};
use crate::support_s3::Server;
use crate::support_s3::clocked::Clocked;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy, Request};

/// A vault in a bucket whose packs are archived, with a snapshot, and all that came by.
struct Cold {
    install: Install,
    proxy: Proxy,
    place: Place,
    server: Clocked,
    begun: Timestamp,
    id: String,
}

impl Cold {
    /// Makes it; none where there are no servers.
    fn start() -> Option<Self> {
        let server = Clocked::start()?;
        let place = Place::at(server.addresses(), Server::MiniStack, Keeping::Newest);
        let proxy = Proxy::before(&place.address());
        let vaults = format!(
            "[[vault]]\nname = \"kyc\"\n[[vault.store]]\nname = \"glacier\"\n\
             pack_class = \"DEEP_ARCHIVE\"\n{}",
            place.table("admin", Some(&proxy))
        );
        let install = Install::with_vaults(&vaults);
        install.run(["init", "--kit", "kit"]).exits(4);
        let id = install.snapshot();
        proxy.forget();
        let cold = Self { install, proxy, place, server, begun: Timestamp::now(), id };
        cold.pass_hours(0);
        Some(cold)
    }

    /// Stops the server's clock so many hours after the beginning.
    fn pass_hours(&self, hours: i64) {
        let time = self.begun + SignedDuration::from_hours(hours);
        self.server.set_clock(&time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    }

    /// Runs the program with the operator's identity, on the vault's host.
    fn unlock(&self, words: &[&str]) -> Outcome {
        self.install.unlock(words)
    }

    /// Returns the names of all packs that a kind of request was made for, sorted; a pack that two
    /// were made for is there twice.
    fn packs_of(&self, operation: &str) -> Vec<String> {
        let seen = self.proxy.seen();
        let is_meant =
            |request: &&Request| request.operation() == operation && request.is_below("packs");
        let name = |request: &Request| {
            let (_, name) = request.path.split_once("/packs/").expect("it is a pack");
            format!("packs/{name}")
        };
        let mut packs: Vec<String> = seen.iter().filter(is_meant).map(name).collect();
        packs.sort();
        packs
    }

    /// Asserts that what was restored is what was archived.
    fn assert_restored(&self, target: &str) {
        let mut restored = tree_of(&self.install.path(target));
        restored.remove("facts.json").expect("the facts are there");
        assert_eq!(restored, tree_of(&self.install.path("kept").join(&self.id)));
    }
}

/// T-2, T-5, T-6, T-7
#[test]
fn s3_deep_archive_is_planned_asked_for_killed_resumed_elsewhere_and_restored() {
    let Some(cold) = Cold::start() else { return };
    let planned = cold.install.run(["thaw", "latest", "--json"]).json(0);
    let plan = &planned["plan"];
    assert!(plan["frozen"]["pack_count"].as_u64() > Some(0), "{plan}");
    let tiers: Vec<&str> =
        plan["tiers"].as_array().unwrap().iter().filter_map(|t| t["tier"].as_str()).collect();
    assert_eq!(tiers, ["bulk", "standard"]);
    assert!(plan["tiers"][0]["price"]["total_micros"].as_u64() > Some(0), "{plan}");
    let words = cold.install.run(["thaw", "latest"]).exits(0).out;
    assert!(words.contains("DEEP_ARCHIVE") && words.contains("USD"), "{words}");
    let restore = ["restore", "latest", "--target", "out"];
    let refused = cold.unlock(&restore).fails(8, "object-archived", &["nothing was asked for"]);
    refused.says(&["To thaw", "bulk", "standard"]);
    assert!(!cold.install.path("out").exists());
    let needed: Vec<String> = packs_in(plan);
    assert_eq!(cold.packs_of("RestoreObject"), [""; 0]);
    assert_eq!(cold.packs_of("GetObject"), [""; 0]);

    // Asked for and waited for, until somebody ends it.
    let mut command = cold.install.command(restore.iter().chain(&["--thaw", "bulk", "--wait"]));
    command.env("IDSWYFT_VAULT_IDENTITY", "operator.key").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = told.map(|line| line.unwrap()).find(|line| line.starts_with("thawing: 0 of "));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told.is_some_and(|line| line.contains("the others by ")));
    assert_eq!(cold.packs_of("RestoreObject").len(), needed.len());
    let lists = cold.install.path("state/kyc/thaws");
    assert_eq!(std::fs::read_dir(lists).unwrap().count(), 1);

    // Another machine: no state, no list; the store, the key and the identity.
    let store = format!("{}?endpoint={}&path_style=true", cold.place.url(), cold.proxy.url());
    let key = cold.install.run(["ledger", "key"]).exits(0).out.trim().to_owned();
    let elsewhere = |words: &[&str]| {
        let standalone = ["--store", &store, "--vault-key", &key];
        let mut command = cold.install.command(words.iter().chain(&standalone));
        command.envs(cold.place.environment("admin", Some(&cold.proxy)));
        command.env("IDSWYFT_VAULT_IDENTITY", "operator.key");
        command.env("IDSWYFT_VAULT_CONFIG", "").env("XDG_CACHE_HOME", cold.install.path("cache"));
        Outcome::of(command.output().unwrap())
    };
    let bulk = ["restore", "latest", "--target", "out", "--thaw", "bulk"];
    let waiting = elsewhere(&bulk).fails(8, "thaw-waiting", &["0 of "]);
    waiting.says(&["are ready, the others by "]);
    cold.pass_hours(49);
    elsewhere(&bulk).exits(0);
    cold.assert_restored("out");
    assert_eq!(cold.packs_of("RestoreObject"), needed, "each was asked for once");

    // The copies expire, and nobody asks for them again by himself.
    cold.pass_hours(49 + 10 * 24);
    elsewhere(&["cat", "latest", "db"]).fails(8, "object-archived", &[]);
    assert_eq!(cold.packs_of("RestoreObject"), needed);
}

/// T-3
#[test]
fn s3_verifying_what_is_stored_in_deep_archive_reads_no_pack_and_thaws_none() {
    let Some(cold) = Cold::start() else { return };
    cold.install.run(["verify"]).exits(0);
    assert_eq!(cold.packs_of("GetObject"), [""; 0]);
    assert_eq!(cold.packs_of("RestoreObject"), [""; 0]);
    cold.install.run(["verify", "--level", "bytes"]).fails(8, "object-archived", &["To thaw"]);
    assert_eq!(cold.packs_of("RestoreObject"), [""; 0]);
}

/// Returns the names of a plan's packs, sorted.
fn packs_in(plan: &Value) -> Vec<String> {
    let packs = plan["packs"].as_array().unwrap();
    let mut keys: Vec<String> = packs.iter().map(|pack| text_of(&pack["key"])).collect();
    keys.sort();
    keys
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Y-18, Y-19
#[test]
fn s3_a_sample_of_archived_packs_is_the_same_one_when_it_is_run_again() {
    let Some(cold) = Cold::start() else { return };
    let sample = ["verify", "--level", "bytes", "--sample", "50%"];
    let planned = cold.install.run(sample.iter().chain(&["--json"])).json(8);
    let chosen = packs_in(&planned["plan"]);
    assert_eq!((chosen.len(), &planned["sample"]["until"]), (1, &Value::from(cold.id.as_str())));
    let public = planned["sample"]["public"].as_str().unwrap();
    let line = format!("run it again with --public '{public}' --until {}", cold.id);
    cold.install.run(sample).fails(8, "object-archived", &[&line]);
    cold.install.write("uploads/of-the-next-night.jpg", &[7; 20_000]);
    cold.install.snapshot();
    cold.proxy.forget();
    let again = ["--public", public, "--until", &cold.id];
    let with = |more: &[&str]| cold.install.run(sample.iter().chain(&again).chain(more));
    with(&["--thaw", "bulk"]).fails(8, "thaw-waiting", &["0 of 1"]);
    assert_eq!(cold.packs_of("RestoreObject"), chosen);
    cold.pass_hours(49);
    let report = with(&["--json"]).json(0);
    assert_eq!(report["vaults"][0]["sample"]["sample_count"], 1);
    assert_eq!(cold.packs_of("RestoreObject"), chosen, "nothing else was asked for");
    let read: std::collections::BTreeSet<_> = cold.packs_of("GetObject").into_iter().collect();
    assert_eq!(read.into_iter().collect::<Vec<_>>(), chosen);
}

///
#[test]
fn nothing_is_asked_for_before_it_is_known_that_a_verification_can_end() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let proxy = Proxy::before(&fake.url());
    let cold = format!(
        "[[vault]]\nname = \"kyc\"\n[[vault.store]]\nname = \"glacier\"\n\
         pack_class = \"DEEP_ARCHIVE\"\n{}",
        place.table("admin", Some(&proxy))
    );
    let install = Install::with_vaults(&(cold + NIGHTLY));
    install.run(["init", "--kit", "kit"]).exits(4);
    install.run(["snapshot"]).exits(0);
    let add = ["signer", "add", "--role", "auditor", "-o", "auditor.key", "--kit", "kit"];
    install.unlock([&add[..], &["--vault", "kyc"]].concat()).exits(0);
    proxy.forget();
    let asked = || proxy.seen().iter().filter(|one| one.operation() == "RestoreObject").count();
    let signer = ["--signer", "auditor.key"];
    let sign = [&["--sign", "--report", "r.json"][..], &signer].concat();
    let one = ["--vault", "kyc"];
    for (words, exit) in [
        (&["--vault", "kyc", "--level", "contents"][..], 6),
        (&["--rpo", "a while"], 2),
        (&["--vault", "kyc", "--since", "none.checkpoint"], 2),
        (&["--since", "config.toml"], 2),
        (&["--receipts", "config.toml"], 2),
        (&["--vault", "kyc", "--receipts", "none.txt"], 2),
        (&["--vault", "kyc", "--provider-report", "none.csv"], 2),
        (&sign, 2),
        (&[&one[..], &signer, &["--attestation", "config.toml"]].concat(), 1),
        (&[&one[..], &["--write-batch-manifest", "config.toml"]].concat(), 1),
    ] {
        let verify = ["verify", "--level", "bytes", "--thaw", "bulk"];
        let base =
            if words.contains(&"--level") { &["verify", "--thaw", "bulk"] } else { &verify[..] };
        let refused = install.run([base, words].concat()).exits(exit);
        assert!(!refused.err.contains("To thaw"), "{words:?}: {refused}");
        assert_eq!(asked(), 0, "{words:?}: {refused}");
    }
    install.run(["verify", "--level", "bytes", "--thaw", "bulk"]).exits(8);
    assert!(asked() > 0);
}

/// Q-10 Q-11 Y-19
#[test]
fn the_next_night_makes_no_list_of_a_verification_of_all() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let proxy = Proxy::before(&fake.url());
    let install = Arc::new(Install::with_vaults(&in_bucket(&place, "admin", None)));
    install.run(["init", "--kit", "kit"]).exits(4);
    install.run(["snapshot"]).exits(0);
    install.run(["snapshot"]).exits(0);
    let auditor = signer(&install, "auditor");
    install.change("auditor.toml", |text| {
        let direct = String::from_utf8(text.clone()).unwrap();
        *text = direct.replace(&fake.url(), &proxy.url()).into_bytes();
    });
    // While the packs are looked after, the night comes.
    let (host, taken) = (Arc::clone(&install), Arc::new(OnceLock::new()));
    let night = Arc::clone(&taken);
    proxy.meddle(move |request| {
        if request.operation() == "HeadObject" && request.is_below("packs") {
            night.get_or_init(|| (Timestamp::now(), host.snapshot()));
        }
        Act::Pass
    });
    let words = ["verify", "--level", "bytes", "--sample", "100%", "--wait"];
    let words = [&words[..], &["--attestation", "a.json", "--json"]].concat();
    let report = install.run(with(&words, &auditor)).json(0);
    let (night, _) = taken.get().expect("the night came");
    proxy.behave();
    assert_eq!(report["vaults"][0]["snapshot_count"], 2, "{report}");
    install.run(["ledger", "add", "a.json"]).exits(0);
    let shown = install.run(["ledger", "show", "--json"]).json(0);
    let mut events = shown["events"].as_array().unwrap().iter();
    let scope = &events.find(|event| event["event"] == "verified").unwrap()["scope"];
    let until: Timestamp = scope["until"].as_str().unwrap().parse().unwrap();
    assert!(scope["snapshot"].is_null() && until < *night, "{scope}");
}

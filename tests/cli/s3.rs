//! The real program and a real server of S3, with a proxy between that sees every request.

mod evidence;
mod faults;
mod hostile;
mod liar;
mod nights;
mod put_only;
mod roles;
mod thaw;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::support::{Install, tree_of};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::Proxy;

/// Returns a vault in a bucket alone.
fn in_bucket(place: &Place, principal: &str, proxy: Option<&Proxy>) -> String {
    let table = place.table(principal, proxy);
    let vault = "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n";
    format!("{vault}[[vault.store]]\nname = \"bucket\"\n{table}")
}

/// Returns the file with the root verification key that `init` put into the kit.
fn vault_key(install: &Install) -> String {
    let kit = tree_of(&install.path("kit"));
    let name = kit.into_keys().find(|name| name.ends_with("vault.key")).unwrap();
    install.text(&format!("kit/{name}"))
}

/// A machine that has nothing but an identity, the root verification key and the words for a store.
struct Elsewhere<'a> {
    install: &'a Install,
    dir: tempfile::TempDir,
    store: String,
}

impl<'a> Elsewhere<'a> {
    fn new(install: &'a Install, store: String) -> Self {
        Self { install, dir: tempfile::tempdir().unwrap(), store }
    }

    /// Runs the program there.
    fn run(&self, words: &[&str]) -> crate::support::Outcome {
        let key = vault_key(self.install);
        let there = ["--store", &self.store, "--vault-key", &key];
        let mut command = self.install.command(words.iter().chain(&there));
        command.current_dir(self.dir.path()).env("HOME", self.dir.path());
        command.env_remove("IDSWYFT_VAULT_CONFIG");
        command.env("IDSWYFT_VAULT_IDENTITY", self.install.text("operator.key"));
        crate::support::Outcome::of(command.output().unwrap())
    }

    /// Returns the ids of the snapshots that are seen there.
    fn snapshots(&self) -> Vec<String> {
        let listed = self.run(&["snapshots", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
        let rows = listed["snapshots"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that a snapshot is listed and restores byte for byte.
    #[track_caller]
    fn assert_restores(&self, id: &str) {
        assert!(self.snapshots().iter().any(|listed| listed == id), "{id} is not listed");
        self.run(&["restore", id, "--target", id]).exits(0);
        let mut restored = tree_of(&self.dir.path().join(id));
        restored.remove("facts.json").unwrap();
        assert_eq!(restored, tree_of(&self.install.path("kept").join(id)));
    }
}

/// Asserts that a snapshot restores byte for byte on a machine that has nothing but these words.
#[track_caller]
fn assert_restores_elsewhere(install: &Install, id: &str, store: &str) {
    let elsewhere = Elsewhere::new(install, store.to_owned());
    elsewhere.assert_restores(id);
    elsewhere.run(&["verify", "--level", "contents"]).exits(0);
}

/// Asserts that the host, with these credentials, did nothing but put, and that no PUT was refused.
#[track_caller]
fn assert_puts_alone(proxy: &Proxy, principal: &str) {
    let seen = proxy.seen();
    assert!(seen.iter().any(|request| request.is_below("packs")), "{seen:?}");
    for request in &seen {
        assert_eq!(request.operation(), "PutObject", "{request:?}");
        assert!([0, 200].contains(&request.status), "{request:?}");
        assert_eq!(request.principal, format!("{}KEY", principal.to_uppercase()));
    }
}

#[test]
fn a_bucket_is_reached_through_the_proxy_that_the_environment_names() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = vec![0; 4096];
            let len = stream.read(&mut head).unwrap_or(0);
            seen.lock().unwrap().push(String::from_utf8_lossy(&head[..len]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let store = "url = \"s3://bucket/prefix\"\nendpoint = \"https://store.invalid\"\n";
    let vault = "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n";
    let install = Install::with_vaults(&format!(
        "{vault}[[vault.store]]\nname = \"bucket\"\nregion = \"eu-central-1\"\n{store}"
    ));
    let mut command = install.command(["store", "check"]);
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.env("HTTPS_PROXY", format!("http://user:password@127.0.0.1:{port}"));
    let outcome = crate::support::Outcome::of(command.output().unwrap());
    assert!(outcome.err.contains("hint: ") && !outcome.err.contains("password"), "{outcome}");
    let heads = heads.lock().unwrap();
    assert!(
        heads.iter().all(|head| head.starts_with("CONNECT bucket.store.invalid:443 ")),
        "{heads:?}"
    );
    assert!(heads[0].to_lowercase().contains("\r\nproxy-authorization: basic "), "{heads:?}");
}

#[test]
fn no_vault_is_made_where_a_later_one_has_a_store_that_cannot_be_used() {
    let (vault, store) = ("[[vault]]\nkeep_daily = 30\nname = ", "[[vault.store]]\nname = ");
    let bucket = "url = \"s3://bucket/prefix\"\nendpoint = \"http://127.0.0.1:9\"\n";
    let install = Install::with_vaults(&format!(
        "{vault}\"first\"\n{store}\"disk\"\nurl = \"file://DIR/first\"\n\
         {vault}\"second\"\n{store}\"bucket\"\n{bucket}"
    ));
    let mut command = install.command(["init", "--kit", "kit"]);
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let outcome = crate::support::Outcome::of(command.output().unwrap());
    outcome.fails(1, "store-unavailable", &["bucket"]);
    for name in ["first", "state/first"] {
        assert!(!install.path(name).exists(), "{name} was made");
    }
}

#[test]
fn a_lock_that_is_asked_for_is_listed_as_one_only_if_it_was_seen() {
    let vault = "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n";
    let install = Install::with_vaults(&format!(
        "{vault}[[vault.store]]\nname = \"bucket\"\nurl = \"s3://bucket/prefix\"\n\
         object_lock = \"governance\"\n"
    ));
    let listed = || {
        let store = install.run(["store", "list", "--json"]).json(0)["stores"][0].clone();
        (store["object_lock"].clone(), store["lock_seen"].clone())
    };
    assert_eq!(listed(), ("governance".into(), false.into()));
    let text = || install.run(["store", "list"]).exits(0).out;
    assert!(text().contains("asked, not seen"), "{}", text());
    let all = ["versioning", "version-id", "lock-configuration", "lock"];
    let seen = all.map(|name| format!("{name:?}:{{\"verdict\":\"yes\",\"detail\":\"seen\"}}"));
    let record = format!(
        "{{\"v\":1,\"requires\":[],\"url\":\"s3://bucket/prefix\",\
         \"time\":\"2026-11-22T02:30:00Z\",\"seen\":{{{}}},\"left\":[]}}\n",
        seen.join(",")
    );
    install.write("state/nightly/stores/bucket.json", record.as_bytes());
    assert_eq!(listed(), ("governance".into(), true.into()));
    assert!(!text().contains("asked") && text().contains("governance"), "{}", text());
}

#[test]
fn a_vault_in_s3_alone_is_taken_verified_and_restored_here_and_elsewhere() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "operator", None));
    install.run(["init", "--kit", "kit"]).exits(0);
    let first = install.snapshot();
    install.write("uploads/documents/c.jpg", &crate::support::noise(3, 20_000));
    let second = install.snapshot();
    let listed = install.run(["snapshots", "--json", "--store", "bucket"]).json(0);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    for id in [&first, &second] {
        install.assert_restores(id);
    }
    for level in ["ledger", "stored", "bytes", "contents"] {
        install.unlock(["verify", "--level", level]).exits(0);
    }
    assert_restores_elsewhere(&install, &second, &place.url_in_full("auditor", None));
}

#[test]
fn verifying_a_whole_archive_in_s3_as_stored_reads_no_pack_and_thaws_nothing() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let proxy = Proxy::before(&place.address());
    let install = Install::with_vaults(&in_bucket(&place, "operator", Some(&proxy)));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    install.write("uploads/documents/c.jpg", &crate::support::noise(3, 20_000));
    install.snapshot();
    proxy.forget();
    install.run(["verify", "--level", "stored"]).exits(0);
    let seen = proxy.seen();
    assert!(seen.iter().any(|request| request.method == "GET"), "nothing came by");
    for request in &seen {
        let operation = request.operation();
        assert!(!matches!(operation.as_str(), "RestoreObject" | "DeleteObject"), "{request:?}");
        assert!(operation != "GetObject" || !request.is_below("packs"), "{request:?}");
    }
    proxy.forget();
    install.run(["verify", "--level", "bytes"]).exits(0);
    let reads = proxy.seen().into_iter().filter(|request| request.is_below("packs"));
    assert!(reads.count() > 0, "the proxy sees what is read of packs");
}

#[test]
fn a_mirror_in_s3_holds_what_the_local_primary_holds() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let mirror = format!("[[vault.store]]\nname = \"bucket\"\n{}", place.table("operator", None));
    let install = Install::with_vaults(&format!("{}{mirror}", crate::support::NIGHTLY));
    install.run(["init", "--kit", "kit"]).exits(0);
    let id = install.snapshot();
    let local: Vec<String> = tree_of(&install.path("store")).into_keys().collect();
    assert_eq!(place.names(), local);
    for level in ["stored", "contents"] {
        install.unlock(["verify", "--store", "bucket", "--level", level]).exits(0);
    }
    std::fs::remove_dir_all(install.path("store")).unwrap();
    assert_restores_elsewhere(&install, &id, &place.url_in_full("auditor", None));
}

#[test]
fn two_vaults_in_one_place_of_s3_are_refused() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let vault = in_bucket(&place, "operator", None);
    Install::with_vaults(&vault).run(["init", "--kit", "kit"]).exits(0);
    let before = place.names();
    let second = Install::with_vaults(&vault).run(["init", "--kit", "kit"]);
    second.fails(1, "store-foreign", &["bucket"]);
    assert_eq!(place.names(), before);
}

#[test]
fn a_clock_that_is_a_day_off_is_refused_by_s3_and_said() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let proxy = Proxy::before(&place.address());
    let install = Install::with_vaults(&in_bucket(&place, "operator", Some(&proxy)));
    install.run(["init", "--kit", "kit"]).exits(0);
    proxy.meddle(|_| crate::support_s3::proxy::Act::error(403, "RequestTimeTooSkewed"));
    install.run(["snapshot"]).fails(1, "clock-skewed", &["bucket"]);
    proxy.behave();
    let id = install.snapshot();
    install.assert_restores(&id);
}

#[test]
fn a_pack_that_a_delete_marker_hides_in_s3_is_found_and_named() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "operator", None));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    let pack = place.names().into_iter().find(|name| name.starts_with("packs/")).unwrap();
    place.hide(&pack);
    let verified = install.run(["verify", "--level", "stored"]).exits(3);
    assert!(verified.out.contains(&pack), "{verified}");
}

#[test]
fn what_is_put_over_an_s3_pack_is_found_and_named() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "operator", None));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    let pack = place.names().into_iter().find(|name| name.starts_with("packs/")).unwrap();
    place.plant(&pack, b"forged");
    for level in ["stored", "bytes"] {
        let verified = install.run(["verify", "--level", level]).exits(3);
        assert!(verified.out.contains(&pack), "{verified}");
    }
}

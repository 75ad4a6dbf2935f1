//! Nights on which the endpoint of a mirror is down, and the one on which it is back. Spec:
//! `mirrors.md` §3 and §4, `repair.md` §3.

use std::fs;

use serde_json::Value;

use super::{Elsewhere, assert_puts_alone, assert_restores_elsewhere};
use crate::support::{Install, NIGHTLY, Outcome, noise, tree_of};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy, Request};

/// The nights on which the endpoint is down; it is there before, and back after.
const DOWN: std::ops::Range<u64> = 2..5;
/// For how long a run waits for a mirror that is down; else no test would end soon.
const TIMEOUT: &str = "timeout = \"1s\"\n";

/// Takes the snapshot of a night; returns its id, and the stores that were warned of.
fn night(install: &Install, index: u64, exit: i32) -> (String, Vec<String>) {
    install.write(&format!("uploads/documents/{index}.jpg"), &noise(index, 60_000));
    install.write_dump(400 + u32::try_from(index).unwrap());
    let report = install.run(["snapshot", "--json"]).json(exit);
    let id = report["snapshots"][0]["id"].as_str().unwrap().to_owned();
    install.keep(&id);
    let warnings = report["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    let word = |warning: &Value| {
        let of = |field: &str| warning[field].as_str().unwrap().to_owned();
        assert_eq!(of("code"), "mirror-lagging", "{report}");
        of("detail")
    };
    (id, warnings.iter().map(word).collect())
}

/// Returns how much waits for a store, by the host's own state.
fn waiting(install: &Install, store: &str) -> u64 {
    let listed = install.run(["store", "list", "--json"]).json(0);
    let stores = listed["stores"].as_array().unwrap();
    let found = stores.iter().find(|one| one["name"] == store).unwrap();
    found["waiting"].as_u64().unwrap()
}

/// Returns the names of the packs and trees in the spool, and their length; segments are journaled
/// with what is small, and no bound is meant for them.
fn spooled(install: &Install) -> (Vec<String>, u64) {
    let files = tree_of(&install.path("state/nightly/spool"));
    let packs = files.into_iter().filter(|(name, _)| !name.starts_with("segment-"));
    let (names, lens): (Vec<_>, Vec<_>) =
        packs.map(|(name, bytes)| (name, bytes.len() as u64)).unzip();
    (names, lens.into_iter().sum())
}

/// M-7, M-9, H-1, H-10
#[test]
fn a_mirror_in_s3_that_is_down_for_three_nights_catches_up_and_heals_the_primary() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let proxy = Proxy::before(&place.address());
    let table = place.table("operator", Some(&proxy));
    let vault = format!("{NIGHTLY}[[vault.store]]\nname = \"bucket\"\n{table}");
    let install = Install::with_vaults(&vault);
    install.run(["init", "--kit", "kit"]).exits(0);
    let mut taken = vec![night(&install, 1, 0).0];
    proxy.meddle(|_| Act::Drop);
    install.write_config(&format!("{vault}{TIMEOUT}"));
    for index in DOWN {
        let before = waiting(&install, "bucket");
        let (id, warned) = night(&install, index, 4);
        assert!(warned.len() == 1 && warned[0].contains("bucket"), "{warned:?}");
        assert!(waiting(&install, "bucket") > before);
        taken.push(id);
    }
    proxy.behave();
    install.write_config(&vault);
    taken.push(night(&install, DOWN.end, 0).0);
    assert_eq!((waiting(&install, "bucket"), spooled(&install).1), (0, 0));
    for store in ["local", "bucket"] {
        install.unlock(["verify", "--store", store, "--level", "contents"]).exits(0);
    }
    let whole = tree_of(&install.path("store"));
    assert_eq!(place.names(), whole.keys().cloned().collect::<Vec<_>>());

    // A pack is gone from the disk, and another is not what it was.
    let packs = install.objects("packs");
    fs::remove_file(install.path(&format!("store/{}", packs[0]))).unwrap();
    install.change(&format!("store/{}", packs[1]), |bytes| bytes[1000] ^= 1);
    install.run(["verify", "--store", "local", "--level", "bytes"]).exits(3);
    install.run(["repair", "--from", "bucket", "--level", "bytes"]).exits(0);
    for pack in &packs[..2] {
        assert!(fs::read(install.path("store").join(pack)).unwrap() == whole[pack], "{pack}");
    }
    install.unlock(["verify", "--store", "local", "--level", "contents"]).exits(0);

    // The disk is gone, and the host with it.
    fs::remove_dir_all(install.path("store")).unwrap();
    fs::remove_dir_all(install.path("state")).unwrap();
    let elsewhere = Elsewhere::new(&install, place.url_in_full("auditor", None));
    for id in &taken {
        elsewhere.assert_restores(id);
    }
}

/// Stores of one vault in S3 that a host may do nothing with but put to them, each behind a proxy.
struct Apart {
    stores: Vec<(&'static str, Place, Proxy)>,
    install: Install,
    spool_max: u64,
}

const HOST: &str = "role-host-strict";
const NAMES: [&str; 3] = ["first", "second", "third"];

impl Apart {
    fn start(spool_max: u64) -> Option<Self> {
        let mut stores = Vec::new();
        for name in NAMES {
            let place = Place::on(Server::SeaweedFs, Keeping::Versions)?;
            let proxy = Proxy::before(&place.address());
            stores.push((name, place, proxy));
        }
        let apart = Self { stores, install: Install::new(), spool_max };
        apart.install.write_config(&apart.config(HOST, "put_only = true\n"));
        // It warns: what the endpoints do cannot be found out with these credentials.
        apart.install.run(["init", "--kit", "kit"]).warns("store-unprobed", &NAMES);
        Some(apart)
    }

    /// Returns a config with the credentials of somebody, and more keys of each store.
    fn config(&self, principal: &str, more: &str) -> String {
        let store = |(name, place, proxy): &(&str, Place, Proxy)| {
            let table = place.table(principal, Some(proxy));
            format!("[[vault.store]]\nname = \"{name}\"\n{table}{more}")
        };
        let stores: String = self.stores.iter().map(store).collect();
        let spool = format!("spool_max = \"{}\"\n", self.spool_max);
        format!("{spool}[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n{stores}")
    }

    /// Lets the endpoints of both mirrors be down, or be back.
    fn set_down(&self, is_down: bool) {
        for (_, _, proxy) in &self.stores[1..] {
            match is_down {
                true => proxy.meddle(|_| Act::Drop),
                false => proxy.behave(),
            }
        }
        let more = if is_down { TIMEOUT } else { "" };
        self.install.write_config(&self.config(HOST, &format!("put_only = true\n{more}")));
    }

    /// Returns the command line's words for a store, as the operator has them.
    fn url(&self, at: usize) -> String {
        self.stores[at].1.url_in_full("role-operator", None)
    }

    /// Runs the program as the operator, whose credentials may read, and puts the host's back.
    fn as_operator(&self, words: &[&str]) -> Outcome {
        self.install.write_config(&self.config("role-operator", ""));
        let outcome = self.install.run(words);
        self.set_down(false);
        outcome
    }
}

/// M-3, M-7, M-9, H-1, H-10
#[test]
fn two_mirrors_in_s3_that_were_down_catch_up_from_the_spool_of_a_host_that_may_only_put() {
    const SPOOL_MAX: u64 = 4 << 20;
    let Some(apart) = Apart::start(SPOOL_MAX) else { return };
    let install = &apart.install;
    let mut taken = vec![night(install, 1, 0).0];
    apart.set_down(true);
    for index in DOWN {
        let before = spooled(install).1;
        let (id, warned) = night(install, index, 4);
        assert_eq!(warned.len(), 2, "{warned:?}");
        assert!(waiting(install, "second") > 0 && waiting(install, "third") > 0);
        assert!(spooled(install).1 > before && spooled(install).1 <= SPOOL_MAX);
        taken.push(id);
    }
    apart.set_down(false);
    taken.push(night(install, DOWN.end, 0).0);
    assert_eq!(spooled(install).1, 0);
    for (_, place, proxy) in &apart.stores {
        assert_eq!(place.names(), apart.stores[0].1.names());
        assert_puts_alone(proxy, HOST);
    }
    for at in 0..3 {
        assert_restores_elsewhere(install, &taken[at + 1], &apart.url(at));
    }

    // The host cannot heal what it cannot read; the operator can.
    let (_, first, _) = &apart.stores[0];
    let pack = first.names().into_iter().find(|name| name.starts_with("packs/")).unwrap();
    let bytes = first.get(&pack);
    first.destroy(&pack);
    install.run(["repair"]).fails(1, "store-denied", &["put_only"]);
    let healed = apart.as_operator(&["repair", "--store", "first", "--from", "third"]).exits(0);
    assert!(healed.out.contains("healed from store third"), "{healed}");
    assert!(first.get(&pack) == bytes);
    assert_restores_elsewhere(install, &taken[0], &apart.url(0));
}

/// M-10
#[test]
fn what_does_not_fit_into_the_spool_reaches_s3_by_the_operators_hands() {
    let Some(apart) = Apart::start(1) else { return };
    let install = &apart.install;
    apart.set_down(true);
    let report = install.run(["snapshot", "--json"]).json(4);
    let id = report["snapshots"][0]["id"].as_str().unwrap().to_owned();
    install.keep(&id);
    let warnings = report["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning["code"] == "spool-full"), "{report}");
    assert_eq!(spooled(install).0, [""; 0]);
    apart.set_down(false);
    for store in ["second", "third"] {
        apart.as_operator(&["replicate", "--from", "first", "--to", store]).exits(0);
    }
    let later = night(install, 9, 0).0;
    for at in 1..3 {
        assert_restores_elsewhere(install, &id, &apart.url(at));
        assert_restores_elsewhere(install, &later, &apart.url(at));
    }
    for (_, _, proxy) in &apart.stores {
        let seen = proxy.seen();
        let by_host = |request: &&Request| request.principal == "ROLE-HOST-STRICTKEY";
        assert!(seen.iter().any(|request| by_host(&request)));
        let mut calls = seen.iter().filter(by_host).map(Request::operation);
        assert!(calls.all(|operation| operation == "PutObject"), "{seen:?}");
    }
}

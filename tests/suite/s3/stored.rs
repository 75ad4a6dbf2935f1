//! What the real program asks of a real server at level `stored`, and how much memory that takes.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use idswyft_vault::base::{Clock, PackId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::store::{Content, LockMode, S3Settings, open_with};
use idswyft_vault::vault::at_once::map_at_once;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::unread::put_snapshot;
use crate::support::vault::TestVault;
use crate::support::{is_long, sha256};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::Proxy;

/// How much memory the program may need in all.
const PEAK_KIB_MAX: u64 = 200 * 1024;
/// Packs that are put at a time.
const PUTS_AT_ONCE: usize = 16;

/// Makes a vault in a bucket that locks, whose one snapshot needs so many small packs.
fn vault_of(place: &Place, count: u32) -> TestVault {
    let own = place.settings("admin");
    let settings =
        S3Settings { object_lock: Some(LockMode::Compliance), requests_in_flight: Some(16), ..own };
    let store = open_with(&place.url(), "bucket", Some(&settings)).unwrap();
    let fields: PolicyFields = toml::from_str("keep_last = 9\nfloor = '10y'").unwrap();
    let policy = Policy::new(fields).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let vault = TestVault::governed(dir, |_| vec![store], Parameters::initial(), &policy);
    let until = vault.clock.now() + SignedDuration::from_hours(24 * 366 * 12);
    let locking = vault.stores[0].locking(until).unwrap();
    let bytes_of = |index: u32| blake3::hash(&index.to_le_bytes()).as_bytes().to_vec();
    let indexes: Vec<u32> = (0..count).collect();
    let packs = map_at_once(PUTS_AT_ONCE, &indexes, |index| {
        let bytes = bytes_of(*index);
        let digest = sha256(&bytes);
        let id = PackId::from_bytes(*digest.as_bytes());
        locking.put_new(&ObjectKey::Pack(id), Content::Bytes(&bytes), &digest).unwrap();
        (id, bytes.len() as u64)
    });
    let floor: Timestamp = policy.floor_at(vault.clock.now()).unwrap();
    put_snapshot(&vault, &locking, packs.into_iter().collect::<BTreeMap<_, _>>(), Some(floor));
    vault
}

/// Runs the program to its end; returns what it printed, its greatest size and how long it took.
fn run(words: &[&str], home: &std::path::Path) -> (Value, u64, Duration) {
    let begun = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"))
        .args(words)
        .env("HOME", home)
        .env_remove("IDSWYFT_VAULT_CONFIG")
        .stdin(Stdio::null())
        .stdout(fs::File::create(home.join("out")).unwrap())
        .spawn()
        .unwrap();
    let (status, mut peak) = (format!("/proc/{}/status", program.id()), 0);
    while program.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        peak = peak.max(size.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    let text = fs::read_to_string(home.join("out")).unwrap();
    (serde_json::from_str(&text).unwrap(), peak, took)
}

/// W-4, W-20
#[test]
fn an_s3_server_is_asked_once_for_each_pack_and_no_pack_is_read() {
    let Some(place) = Place::alone_on(Server::SeaweedFs, Keeping::Locks) else { return };
    let count = if is_long() { 20_000 } else { 60 };
    let vault = vault_of(&place, count);
    let proxy = Arc::new(Proxy::before(&place.address()));
    let url = place.url_in_full("admin", Some(&proxy));
    let key = vault.report.root_key.as_str();
    // The vault's clock stands, and the program's goes on.
    let words = ["verify", "--store", &url, "--vault-key", key, "--lock", "compliance"];
    let words = [&words[..], &["--rpo", "3650d", "--json"]].concat();
    let (report, peak, took) = run(&words, vault.dir.path());
    let mut asked: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for request in proxy.seen() {
        *asked.entry((request.operation(), request.is_below("packs"))).or_default() += 1;
    }
    println!("{count} packs: {} ms, peak {peak} KiB, {asked:?}", took.as_millis());
    let codes: Vec<&str> = report["vaults"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    // Nobody recorded the snapshot, and everything else is as it must be, locks included.
    assert_eq!(codes, ["record-pending"], "{report}");
    let stored = &report["vaults"][0]["stored"];
    let locked = stored["locks"]["compliance"].as_u64().unwrap();
    assert_eq!((locked, stored["not_locked_count"].as_u64()), (u64::from(count) + 4, Some(0)));
    let of = |operation: &str| asked.get(&(operation.to_owned(), true)).copied().unwrap_or(0);
    assert_eq!(of("HeadObject"), u64::from(count));
    assert_eq!((of("GetObject"), of("GET Object retention")), (0, 0), "{asked:?}");
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}

//! Receipts of a host that may not look at packs, and the manifest of a job, on a real server.

use std::fs;

use super::{Elsewhere, in_bucket};
use crate::support::{Install, noise};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};

/// W-8, W-13
#[test]
fn a_host_proves_by_receipts_what_s3_lets_it_not_look_at() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "operator", None));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.write_config(&in_bucket(&place, "role-host", None));
    install.snapshot();
    install.write("uploads/documents/c.jpg", &noise(3, 20_000));
    install.snapshot();
    let own = install.run(["verify", "--json"]).json(0);
    let own = &own["vaults"][0];
    let receipts = &own["stored"]["receipts"];
    assert!(receipts["object_count"].as_u64().unwrap() > 4, "{own}");
    assert_eq!(receipts["without_count"], 0);
    let words = ["store", "receipts", "--store", "bucket", "--out", "receipts.txt", "--json"];
    let handed = install.run(words).json(0);
    assert_eq!((&handed["group_count"], &handed["store"]), (&2.into(), &"bucket".into()));
    let again = install.run(words).json(1);
    assert_eq!(again["error"]["code"], "file-exists", "{again}");
    // By hand: the digest of a group's lines is the one that its event has.
    let text = fs::read_to_string(install.path("receipts.txt")).unwrap();
    assert!(text.starts_with("# idswyft-vault/v1 receipts "), "{text}");
    let elsewhere = Elsewhere::new(&install, place.url_in_full("role-host", None));
    let path = install.text("receipts.txt");
    let report = elsewhere.run(&["verify", "--receipts", &path, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["vaults"][0]["findings"], serde_json::json!([]));
    assert_eq!(&report["vaults"][0]["stored"]["receipts"], receipts);
    let said = elsewhere.run(&["verify", "--receipts", &path]).exits(0);
    assert!(said.out.contains("by receipt only: "), "{said}");
    assert!(said.out.contains("nobody looked at since store bucket acknowledged"), "{said}");
    fs::write(install.path("receipts.txt"), text.replace("packs/", "trees/")).unwrap();
    let altered = elsewhere.run(&["verify", "--receipts", &path]).exits(3);
    assert!(altered.out.contains("receipt-mismatch: ledger/"), "{altered}");
}

/// W-17
#[test]
fn the_manifest_of_a_job_names_what_is_in_the_s3_bucket() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Newest) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "admin", None));
    let made = install.run(["init", "--kit", "kit"]);
    assert!(matches!(made.exit, 0 | 4), "{made}");
    install.snapshot();
    let elsewhere = Elsewhere::new(&install, place.url_in_full("admin", None));
    let path = install.text("job.csv");
    let job = ["verify", "--write-batch-manifest", &path];
    elsewhere.run(&job).exits(0);
    elsewhere.run(&job).fails(1, "file-exists", &["job.csv: it is there already"]);
    let mut named: Vec<String> =
        fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    named.sort();
    let is_named = |name: &&String| {
        ["packs/", "trees/", "segments/"].iter().any(|folder| name.starts_with(folder))
            || name.ends_with(".age") && name.starts_with("snapshots/")
    };
    let names = place.names();
    let expected = names.iter().filter(is_named);
    let mut expected: Vec<String> =
        expected.map(|name| format!("{},{}", place.bucket, place.key(name))).collect();
    expected.sort();
    assert_eq!(named, expected);
}

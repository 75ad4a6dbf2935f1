//! A server that overwrites, checks nothing and says that it locks. Spec: `capabilities.md`.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::{Elsewhere, in_bucket};
use crate::support::{Install, noise};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place, wait};
use crate::support_s3::proxy::Proxy;

/// K-4, K-5
#[test]
fn a_vault_on_an_s3_server_that_lies_is_warned_of_and_restored_all_the_same() {
    let Some(place) = Place::on(Server::Rclone, Keeping::Newest) else { return };
    let proxy = Proxy::before(&place.address());
    let install = Install::with_vaults(&in_bucket(&place, "admin", Some(&proxy)));
    let told = ["put-new:", "put-new-at-once:", "checksum-checked:", "versioning:"];
    install.run(["init", "--kit", "kit"]).warns("store-lacking", &told);
    proxy.forget();
    let first = install.snapshot();
    install.write("uploads/documents/c.jpg", &noise(3, 20_000));
    let second = install.snapshot();
    // What the server would put over another is looked for first.
    let (mut looked, mut put_count) = (std::collections::BTreeSet::new(), 0);
    for request in proxy.seen() {
        match request.operation().as_str() {
            "HeadObject" if request.status == 404 => drop(looked.insert(request.path)),
            "PutObject" => {
                assert!(looked.contains(&request.path), "{} was not looked for", request.path);
                put_count += 1;
            }
            _ => {}
        }
    }
    assert!(put_count > 10, "{put_count}");
    let checked = install.run(["store", "check"]).exits(4);
    for name in ["put-new", "put-new-at-once", "checksum-checked", "versioning"] {
        assert!(checked.out.contains(&format!("warning: {name}: ")), "{name}: {checked}");
    }
    assert!(checked.out.contains("nothing can be locked"), "{checked}");
    install.unlock(["verify", "--level", "contents"]).exits(0);
    // The digests that it tells are those that were sent along.
    let verified = install.run(["verify", "--level", "stored", "--json"]).json(0);
    let stored = &verified["vaults"][0]["stored"];
    assert_eq!(stored["attested_count"], 0, "{verified}");
    assert!(stored["not_attested_count"].as_u64() > Some(0), "{verified}");
    let elsewhere = Elsewhere::new(&install, place.url_in_full("admin", None));
    for id in [&first, &second] {
        install.assert_restores(id);
        elsewhere.assert_restores(id);
    }
}

/// K-4
#[test]
fn locks_on_an_s3_server_that_lies_about_them_are_refused_before_anything_is_made() {
    let Some(place) = Place::on(Server::Rclone, Keeping::Newest) else { return };
    for mode in ["governance", "compliance"] {
        let vault = in_bucket(&place, "admin", None) + &format!("object_lock = \"{mode}\"\n");
        let install = Install::with_vaults(&vault);
        let refused = install.run(["init", "--kit", "kit"]);
        refused.fails(1, "store-unfit", &["object_lock is configured and cannot be relied on"]);
        assert!(place.names().is_empty() && !install.path("kit").exists());
    }
}

#[test]
fn what_is_changed_on_an_s3_server_that_checks_nothing_is_named() {
    let Some(place) = Place::on(Server::Rclone, Keeping::Newest) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "admin", None));
    install.run(["init", "--kit", "kit"]).exits(4);
    install.snapshot();
    let names = place.names();
    let pack = names.iter().find(|name| name.starts_with("packs/")).unwrap();
    let mut bytes = place.get(pack);
    let sent = BASE64.encode(Sha256::digest(&bytes));
    bytes[1000] ^= 1;
    let put = place.client().put_object().bucket(&place.bucket).key(place.key(pack));
    wait(put.checksum_sha256(sent).body(ByteStream::from(bytes)).send()).unwrap();
    // Nothing shows but in the bytes, and that they were not looked at is said.
    let stored = install.run(["verify", "--level", "stored"]).exits(0);
    assert!(stored.out.contains("whose SHA-256 the store does not tell"), "{stored}");
    let verified = install.run(["verify", "--level", "bytes"]).exits(3);
    assert!(verified.out.contains(pack.as_str()), "{verified}");
}

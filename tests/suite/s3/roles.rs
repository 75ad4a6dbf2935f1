//! What each role may do, by the very policies that operators are given, on a server that enforces
//! them.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use crate::support_s3::Server;
use crate::support_s3::gate::ROLES;
use crate::support_s3::place::{Keeping, Place, wait};

/// A call, and the folders in which each role may make it; `*` stands for all of them.
const ALLOWED: [(&str, [&str; 6]); 6] = [
    ("put", [WRITTEN, WRITTEN, "ledger", "*", "", "ledger"]),
    ("get", ["", PUBLIC, PUBLIC, "*", "*", PUBLIC]),
    ("list", ["", PUBLIC, "*", "*", "*", "*"]),
    ("delete", ["", "", PRUNED, "generations", "", SHREDDED]),
    ("delete version", ["", "", PRUNED, "generations", "", SHREDDED]),
    ("tell of versioning", ["", "", "", "*", "*", ""]),
];
const WRITTEN: &str = "generations packs trees segments notes ledger";
const PUBLIC: &str = "vault ledger notes";
const PRUNED: &str = "packs trees segments notes";
const SHREDDED: &str = "generations packs trees segments notes";

/// An object of each folder.
const OBJECTS: [(&str, &str); 7] = [
    ("vault", "vault/2.note"),
    ("generations", "generations/20261122T023000Z-00000001/1.age"),
    ("packs", "packs/aa/aa"),
    ("trees", "trees/aa/aa"),
    ("segments", "segments/20261122T023000Z-00000001"),
    ("notes", "snapshots/20261122T023000Z-00000001.note"),
    ("ledger", "ledger/0011223344556677/0000000000.json"),
];

fn is_allowed<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            let status = error.raw_response().map(|raw| raw.status().as_u16());
            assert!(status.is_some(), "the server did not answer");
            status != Some(403)
        }
    }
}

/// Makes a call on an object and tells whether it was allowed.
fn call(client: &Client, place: &Place, what: &str, name: &str, version: &str) -> bool {
    let (bucket, key) = (place.bucket.as_str(), place.key(name));
    let body = || ByteStream::from_static(b"x");
    match what {
        "put" => {
            let put = client.put_object().bucket(bucket).key(format!("{key}.new"));
            is_allowed(wait(put.if_none_match("*").body(body()).send()))
        }
        "get" => is_allowed(wait(client.get_object().bucket(bucket).key(key).send())),
        "list" => {
            let folder = name.split('/').next().unwrap();
            let list = client.list_objects_v2().bucket(bucket);
            is_allowed(wait(list.prefix(place.key(&format!("{folder}/"))).send()))
        }
        "delete version" => {
            let delete = client.delete_object().bucket(bucket).key(key);
            is_allowed(wait(delete.version_id(version).send()))
        }
        "delete" => is_allowed(wait(client.delete_object().bucket(bucket).key(key).send())),
        "tell of versioning" => {
            is_allowed(wait(client.get_bucket_versioning().bucket(bucket).send()))
        }
        other => panic!("{other}"),
    }
}

fn put(place: &Place, name: &str) -> String {
    let put = place.client().put_object().bucket(&place.bucket).key(place.key(name));
    let put = wait(put.body(ByteStream::from_static(b"sound")).send()).unwrap();
    put.version_id().unwrap_or_default().to_owned()
}

#[test]
fn each_role_may_do_in_s3_what_its_policy_says_and_nothing_else() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let mut wrong = BTreeMap::new();
    for (at, role) in ROLES.into_iter().enumerate() {
        let client = place.client_of(&format!("role-{role}"));
        for (what, allowed) in &ALLOWED {
            for (folder, name) in OBJECTS {
                let words: Vec<&str> = allowed[at].split(' ').collect();
                let expected = words.contains(&"*") || words.contains(&folder);
                let version = put(&place, name);
                let found = call(&client, &place, what, name, &version);
                if found != expected {
                    wrong.insert((role, *what, folder), found);
                }
            }
        }
    }
    assert_eq!(wrong, BTreeMap::new(), "(role, call, folder): whether it was allowed");
}

#[test]
fn what_a_hostile_host_puts_over_an_s3_object_leaves_the_first_version_where_it_was() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    for role in ["host-strict", "host"] {
        let name = format!("packs/aa/{role}");
        let version = put(&place, &name);
        let client = place.client_of(&format!("role-{role}"));
        let over = client.put_object().bucket(&place.bucket).key(place.key(&name));
        let _ = wait(over.body(ByteStream::from_static(b"planted")).send());
        let delete = client.delete_object().bucket(&place.bucket).key(place.key(&name));
        assert!(!is_allowed(wait(delete.clone().send())));
        assert!(!is_allowed(wait(delete.version_id(&version).send())));
        let get = place.client().get_object().bucket(&place.bucket).key(place.key(&name));
        let get = get.version_id(&version).send();
        let bytes = wait(async { get.await.unwrap().body.collect().await }).unwrap();
        assert_eq!(bytes.to_vec(), b"sound");
        // It cannot reach beyond the store's place, nor into another bucket's.
        let elsewhere = client.put_object().bucket(&place.bucket).key("elsewhere/x");
        assert!(!is_allowed(wait(elsewhere.body(ByteStream::from_static(b"x")).send())));
    }
}

#[test]
fn every_policy_is_json_that_names_a_bucket_and_a_prefix() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/policies");
    for role in ROLES.into_iter().chain(["bucket"]) {
        let text = std::fs::read_to_string(dir.join(format!("{role}.json"))).unwrap();
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        assert!(text.contains("arn:aws:s3:::BUCKET/PREFIX/"), "{role}");
        let is_host = role.starts_with("host");
        assert!(!is_host || !text.contains("Delete"), "{role} may delete");
    }
}

//! Locks that go on, and what erasing leaves in a bucket: `generations.md`.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, PackId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{
    Content, Error, LockMode, Prolonged, Receipt, S3Settings, Sight, Store, open_with,
};
use idswyft_vault::vault::versions::Versions;
use jiff::{SignedDuration, Timestamp};

use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy};

const NOTE: ObjectKey = ObjectKey::Vault(1);

fn key_file() -> ObjectKey {
    ObjectKey::Generation("20261122T023000Z-00000001".parse().unwrap(), 1)
}

fn put(store: &dyn Store, key: &ObjectKey, bytes: &[u8]) -> Result<Receipt, Error> {
    store.put_new(key, Content::Bytes(bytes), &sha256(bytes))
}

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

/// Opens a bucket whose objects can be locked, as its owner.
fn locking(place: &Place) -> Arc<dyn Store> {
    let own = place.settings("admin");
    let settings = S3Settings { object_lock: Some(LockMode::Compliance), ..own };
    open_with(&place.url(), "cold", Some(&settings)).unwrap()
}

/// G-9
#[test]
fn an_s3_server_lets_a_locked_key_file_go_to_who_may_bypass_and_nothing_else() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let store = locking(&place);
    let view = store.locking(in_hours(24)).unwrap();
    put(&*view, &key_file(), b"sealed").unwrap();
    put(&*view, &NOTE, b"note").unwrap();
    assert_eq!(store.delete(&key_file()).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(store.erase(&key_file()).unwrap(), 1);
    let remains = store.remains(&key_file()).unwrap();
    assert!(remains.is_nothing() && remains.sight == Sight::Versions, "{remains:?}");
    // COMPLIANCE binds everybody.
    assert_eq!(store.erase(&NOTE).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(store.get(&NOTE, 9).unwrap(), b"note");
}

/// G-13 G-14
#[test]
fn an_s3_server_locks_for_longer_and_never_for_less() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let store = locking(&place);
    let view = store.locking(in_hours(24)).unwrap();
    put(&*view, &key_file(), b"sealed").unwrap();
    put(&*store, &NOTE, b"note").unwrap();
    for (key, mode) in [(key_file(), LockMode::Governance), (NOTE, LockMode::Compliance)] {
        let until = in_hours(48);
        let extended = store.prolong(&key, until).unwrap();
        let Prolonged::Extended(lock) = extended else { panic!("{key}: {extended:?}") };
        assert_eq!(store.stat(&key).unwrap().unwrap().lock, Some(lock));
        assert!(lock.mode == mode && lock.until >= until, "{key}: {lock:?}");
        assert!(matches!(store.prolong(&key, in_hours(1)), Ok(Prolonged::Stood(_))), "{key}");
        assert_eq!(store.stat(&key).unwrap().unwrap().lock, Some(lock));
    }
    assert_eq!(
        store.prolong(&ObjectKey::Vault(9), in_hours(1)).unwrap_err().code(),
        Code::ObjectMissing
    );
}

/// F-40 F-41
#[test]
fn an_s3_server_keeps_what_is_under_a_legal_hold_from_everybody_until_it_is_taken_off() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let store = locking(&place);
    put(&*store, &NOTE, b"note").unwrap();
    assert!(!store.is_held(&NOTE).unwrap());
    store.set_held(&NOTE, true).unwrap();
    assert!(store.is_held(&NOTE).unwrap());
    assert_eq!(store.delete(&NOTE).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(store.erase(&NOTE).unwrap_err().code(), Code::StoreDenied);
    store.set_held(&NOTE, false).unwrap();
    assert!(!store.is_held(&NOTE).unwrap());
    store.delete(&NOTE).unwrap();
    assert_eq!(store.is_held(&NOTE).unwrap_err().code(), Code::ObjectMissing);
}

/// P-7 F-29 F-41
#[test]
fn what_a_delete_marker_hides_in_s3_is_locked_for_who_may_look_at_nothing_but_locks() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let pack = ObjectKey::Pack(PackId::from_bytes(*sha256(b"pack").as_bytes()));
    let until = in_hours(24);
    for key in [pack, NOTE] {
        put(&*locking(&place).locking(until).unwrap(), &key, b"pack").unwrap();
        place.hide(&key.to_string());
    }
    // Of a delete marker AWS tells no lock and no legal hold, and a janitor may ask for no pack.
    let proxy = Proxy::before(&place.address());
    proxy.meddle(|request| {
        let of_version = request.query.contains("versionId=");
        match request.operation().as_str() {
            "GET Object retention" | "GET Object legal-hold" | "PUT Object legal-hold"
                if !of_version =>
            {
                Act::error(405, "MethodNotAllowed")
            }
            "HeadObject" | "GetObject" => Act::error(403, "AccessDenied"),
            _ => Act::Pass,
        }
    });
    let settings = S3Settings { endpoint: Some(proxy.url()), ..place.settings("admin") };
    let store = open_with(&place.url(), "cold", Some(&settings)).unwrap();
    for key in [pack, NOTE] {
        assert_eq!(store.lock(&key).unwrap(), None);
        assert_eq!(store.is_held(&key).unwrap_err().code(), Code::ObjectMissing);
        assert_eq!(store.set_held(&key, true).unwrap_err().code(), Code::ObjectMissing);
        let versions = Versions::new(Arc::clone(&store));
        versions.list_all(key.folder()).unwrap();
        let locked = versions.locked_until(key).unwrap().unwrap();
        assert!(locked >= until, "{key}: {locked}");
    }
}

/// F-41
#[test]
fn nothing_is_under_a_legal_hold_in_a_bucket_of_s3_that_has_none() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let proxy = Proxy::before(&place.address());
    proxy.meddle(|request| match request.operation().as_str() {
        // So says AWS.
        "GET Object legal-hold" => Act::error(400, "InvalidRequest"),
        _ => Act::Pass,
    });
    let settings = S3Settings { endpoint: Some(proxy.url()), ..place.settings("admin") };
    let store = open_with(&place.url(), "cold", Some(&settings)).unwrap();
    put(&*store, &NOTE, b"note").unwrap();
    assert!(!store.is_held(&NOTE).unwrap());
}

/// G-10
#[test]
fn every_version_and_delete_marker_is_seen_and_erased_on_s3_servers() {
    for server in [Server::SeaweedFs, Server::LocalStack, Server::MiniStack] {
        let Some(place) = Place::on(server, Keeping::Versions) else { return };
        let store = open_with(&place.url(), "cold", Some(&place.settings("admin"))).unwrap();
        put(&*store, &key_file(), b"sealed").unwrap();
        place.plant(&key_file().to_string(), b"put over it");
        place.hide(&key_file().to_string());
        let remains = store.remains(&key_file()).unwrap();
        let counts = (remains.version_count, remains.marker_count, remains.sight);
        assert_eq!(counts, (2, 1, Sight::Versions), "{}", server.name());
        assert_eq!(store.erase(&key_file()).unwrap(), 2, "{}", server.name());
        assert!(store.remains(&key_file()).unwrap().is_nothing(), "{}", server.name());
    }
}

//! Locks that go on, and what erasing leaves in a bucket: `generations.md`.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{
    Content, Error, LockMode, Prolonged, Receipt, S3Settings, Sight, Store, open_with,
};
use jiff::{SignedDuration, Timestamp};

use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};

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

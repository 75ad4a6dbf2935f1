//! How objects get into a bucket: one PUT, with what, and what becomes of lost answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use idswyft_vault::base::{Code, Coded, PackId, SystemClock};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Content, Error, LockMode, Quirks, Receipt, S3Settings, StorageClass, Store, open_with,
};
use s3s::S3ErrorCode;

use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy};

const NOTE: ObjectKey = ObjectKey::Vault(1);

fn pack(bytes: &[u8]) -> ObjectKey {
    ObjectKey::Pack(PackId::from_bytes(*sha256(bytes).as_bytes()))
}

fn put(store: &dyn Store, key: &ObjectKey, bytes: &[u8]) -> Result<Receipt, Error> {
    store.put_new(key, Content::Bytes(bytes), &sha256(bytes))
}

fn before(fake: &Fake) -> (Place, Proxy) {
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let proxy = Proxy::before(&fake.url());
    (place, proxy)
}

fn open(place: &Place, proxy: &Proxy, more: S3Settings) -> Arc<dyn Store> {
    let own = place.settings("admin");
    let endpoint = Some(proxy.url());
    let S3Settings { region, path_style, credentials_file, .. } = own;
    let settings = S3Settings { region, endpoint, path_style, credentials_file, ..more };
    open_with(&place.url(), "cold", Some(&settings)).unwrap()
}

/// B-6, B-8
#[test]
fn an_s3_object_is_one_put_with_its_sha_256_in_a_header() {
    let fake = Fake::start(Arc::new(SystemClock));
    let (place, proxy) = before(&fake);
    let class = S3Settings { pack_class: StorageClass::DeepArchive, ..S3Settings::default() };
    let store = open(&place, &proxy, class);
    let scratch = tempfile::NamedTempFile::new().unwrap();
    let bytes = vec![5; 3 << 20];
    std::fs::write(scratch.path(), &bytes).unwrap();
    let content = Content::File(scratch.path());
    store.put_new(&pack(&bytes), content, &sha256(&bytes)).unwrap();
    put(&*store, &NOTE, b"note").unwrap();
    let seen = proxy.seen();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        let has = |name: &str| request.headers.iter().any(|header| header == name);
        assert_eq!(request.operation(), "PutObject");
        assert!(has("if-none-match") && has("x-amz-checksum-sha256") && has("content-length"));
        assert!(!has("x-amz-trailer") && !has("content-encoding") && !has("transfer-encoding"));
        assert_eq!(has("x-amz-storage-class"), request.is_below("packs"), "{}", request.path);
    }
    assert_eq!(seen[0].sent_len, 3 << 20);
}

/// B-16
#[test]
fn what_s3_is_to_lock_has_a_mode_and_a_date() {
    let fake = Fake::start(Arc::new(SystemClock));
    let (place, proxy) = before(&fake);
    let plain = open(&place, &proxy, S3Settings::default());
    assert!(plain.locking("2030-01-01T00:00:00Z".parse().unwrap()).is_none());
    let more = S3Settings {
        object_lock: Some(LockMode::Compliance),
        sse: Some("AES256".to_owned()),
        ..S3Settings::default()
    };
    let store = open(&place, &proxy, more);
    put(&*store, &NOTE, b"note").unwrap();
    let view = store.locking("2030-01-01T00:00:00.5Z".parse().unwrap()).unwrap();
    put(&*view, &ObjectKey::Vault(2), b"note").unwrap();
    let has = |at: usize, name: &str| proxy.seen()[at].headers.iter().any(|it| it == name);
    for name in ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"] {
        assert!(!has(0, name) && has(1, name), "{name}");
    }
    assert!(has(0, "x-amz-server-side-encryption") && !has(1, "x-amz-object-lock-legal-hold"));
}

/// B-16
#[test]
fn an_s3_server_holds_what_it_was_given_to_lock() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let own = place.settings("admin");
    let settings = S3Settings { object_lock: Some(LockMode::Governance), ..own };
    let store = open_with(&place.url(), "cold", Some(&settings)).unwrap();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let receipt = put(&*store.locking(until).unwrap(), &NOTE, b"note").unwrap();
    assert!(receipt.version_id.is_some() && receipt.checksum == Some(sha256(b"note")));
    let lock = store.stat(&NOTE).unwrap().unwrap().lock.expect("it is locked");
    assert_eq!(lock.mode, LockMode::Governance);
    assert!(lock.until >= until && lock.until.duration_since(until).as_secs() <= 1);
    assert_eq!(store.delete(&NOTE).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(store.get(&NOTE, 9).unwrap(), b"note");
}

/// B-9
#[test]
fn an_s3_put_whose_answer_was_lost_is_recognised_and_another_object_is_not() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Newest) else { return };
    let proxy = Proxy::before(&place.address());
    let lost_once = |proxy: &Proxy, act: Act| {
        let count = AtomicU32::new(0);
        proxy.meddle(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => act.clone(),
            _ => Act::Pass,
        });
    };
    let store = open(&place, &proxy, S3Settings::default());
    lost_once(&proxy, Act::error_after(500, "InternalError"));
    let receipt = put(&*store, &NOTE, b"note").unwrap();
    assert_eq!(receipt.checksum, Some(sha256(b"note")));
    lost_once(&proxy, Act::error(500, "InternalError"));
    assert_eq!(put(&*store, &NOTE, b"other").unwrap_err().code(), Code::ObjectExists);
    assert_eq!(store.get(&NOTE, 9).unwrap(), b"note");
    proxy.behave();
    assert_eq!(put(&*store, &NOTE, b"note").unwrap_err().code(), Code::ObjectExists);
}

/// B-9
#[test]
fn two_s3_puts_at_a_time_are_told_apart_and_tried_again() {
    let fake = Fake::start(Arc::new(SystemClock));
    let (place, proxy) = before(&fake);
    let store = open(&place, &proxy, S3Settings::default());
    fake.refuse("PutObject", S3ErrorCode::ConditionalRequestConflict, 1);
    put(&*store, &NOTE, b"note").unwrap();
    assert_eq!((fake.refusals_left(), proxy.seen().len()), (0, 2));
}

#[test]
fn an_s3_server_that_overwrites_is_asked_first() {
    let Some(place) = Place::on(Server::Rclone, Keeping::Newest) else { return };
    let proxy = Proxy::before(&place.address());
    let quirks =
        Quirks { ignores_if_none_match: true, ignores_checksum: true, ..Quirks::default() };
    let store = open(&place, &proxy, S3Settings { quirks, ..S3Settings::default() });
    put(&*store, &NOTE, b"first").unwrap();
    assert_eq!(put(&*store, &NOTE, b"second").unwrap_err().code(), Code::ObjectExists);
    assert_eq!(store.get(&NOTE, 9).unwrap(), b"first");
    let scratch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scratch.path(), b"altered").unwrap();
    let content = Content::File(scratch.path());
    let refused = store.put_new(&ObjectKey::Vault(2), content, &sha256(b"signed")).unwrap_err();
    assert!(matches!(refused, Error::DigestMismatch { .. }), "{refused}");
    assert_eq!(store.stat(&ObjectKey::Vault(2)).unwrap(), None);
}

#[test]
fn an_s3_upload_keeps_to_its_limit() {
    let fake = Fake::start(Arc::new(SystemClock));
    let (place, proxy) = before(&fake);
    let limited = S3Settings { upload_limit: Some(512 * 1024), ..S3Settings::default() };
    let store = open(&place, &proxy, limited);
    let began = std::time::Instant::now();
    let bytes = vec![7; 256 * 1024];
    // Two at a time share the rate.
    std::thread::scope(|scope| {
        for number in 1..=2 {
            let (store, bytes) = (&store, &bytes);
            scope.spawn(move || put(&**store, &ObjectKey::Vault(number), bytes).unwrap());
        }
    });
    assert!(began.elapsed().as_millis() >= 900, "{:?}", began.elapsed());
    assert_eq!(store.get(&NOTE, 1 << 20).unwrap(), bytes);
    assert_eq!(store.list(Folder::Vault).unwrap().count(), 2);
}

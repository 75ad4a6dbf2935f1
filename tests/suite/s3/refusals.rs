//! What is wrong with a server, its bucket or the credentials is told in words and by a code.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use idswyft_vault::base::{Code, Coded, SystemClock};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, S3Settings, Store, open, open_with};

use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy};

const NOTE: ObjectKey = ObjectKey::Vault(1);

/// A store behind a proxy, before a server that would do everything.
struct Behind {
    place: Place,
    proxy: Proxy,
}

impl Behind {
    fn fake() -> Self {
        let fake = Fake::start(Arc::new(SystemClock));
        let place = Place::make(&fake.url(), None, Keeping::Newest);
        Self { proxy: Proxy::before(&place.address()), place }
    }

    fn settings(&self) -> S3Settings {
        S3Settings { endpoint: Some(self.proxy.url()), ..self.place.settings("host") }
    }

    fn store(&self) -> Arc<dyn Store> {
        open_with(&self.place.url(), "cold", Some(&self.settings())).unwrap()
    }
}

fn put(store: &dyn Store) -> Result<(), Error> {
    store.put_new(&NOTE, Content::Bytes(b"note"), &sha256(b"note")).map(drop)
}

/// Returns the code of an error and its words with those beneath it.
fn told<T>(result: Result<T, Error>) -> (Code, String) {
    let error = result.err().expect("it is refused");
    let words = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    (error.code(), words)
}

fn body(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

/// B-12, B-15
#[test]
fn each_refusal_of_an_s3_server_is_told_in_words_and_by_a_code() {
    let behind = Behind::fake();
    let store = behind.store();
    let region = "the region 'eu-central-1' is wrong; expecting 'eu-west-1'";
    let lock = "Bucket is missing Object Lock Configuration";
    for (status, code, message, expected, said) in [
        (403, "InvalidAccessKeyId", "no such key", Code::CredentialsRefused, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch", "check", Code::CredentialsRefused, "does not accept"),
        (400, "ExpiredToken", "expired", Code::CredentialsRefused, "ExpiredToken: expired"),
        (403, "AccessDenied", "Access Denied", Code::StoreDenied, "s3:PutObject: HTTP 403"),
        (404, "NoSuchBucket", "gone", Code::BucketMissing, "no such bucket"),
        (400, "AuthorizationHeaderMalformed", region, Code::RegionWrong, "bucket is in eu-west-1"),
        (301, "PermanentRedirect", "elsewhere", Code::RegionWrong, "region is wrong"),
        (403, "RequestTimeTooSkewed", "too large", Code::ClockSkewed, "clocks of this host"),
        (400, "InvalidRequest", lock, Code::LockUnavailable, "no Object Lock"),
        (400, "InvalidRequest", "unknown x-amz-checksum", Code::ChecksumRefused, "checksum header"),
        (400, "KMS.DisabledException", "off", Code::EncryptionKeyUnusable, "encryption key"),
        (403, "QuotaExceeded", "full", Code::StoreFull, "no room"),
        (418, "Teapot", "short&#10;and", Code::StoreUnavailable, "HTTP 418 Teapot: short and"),
    ] {
        let answer = body(code, message);
        behind.proxy.meddle(move |_| Act::Answer(status, "application/xml", answer.clone()));
        let (found, words) = told(put(&*store));
        assert_eq!(found, expected, "{words}");
        assert!(words.contains(said) && words.contains("store cold"), "{words}");
        assert!(!words.contains("HOSTSECRET") && !words.contains("Signature="), "{words}");
    }
}

/// B-12, B-13
#[test]
fn a_page_of_a_proxy_is_no_s3_store() {
    let behind = Behind::fake();
    let store = behind.store();
    let page = "<!DOCTYPE html><html><body>Please log in</body></html>";
    for status in [200, 403, 404] {
        behind.proxy.meddle(move |_| Act::Answer(status, "text/html", page.to_owned()));
        let told = [
            told(put(&*store)),
            told(store.get(&NOTE, 100)),
            told(store.list(Folder::Packs)),
            told(store.list(Folder::Vault)),
            told(store.prepare()),
        ];
        for (code, words) in told {
            assert_eq!(code, Code::EndpointForeign, "{status}: {words}");
        }
        assert!(store.stat(&NOTE).is_err(), "{status}");
    }
}

/// B-13
#[test]
fn a_missing_s3_bucket_never_looks_empty() {
    let behind = Behind::fake();
    let url = "s3://nowhere-at-all/archive";
    let store = open_with(url, "cold", Some(&behind.settings())).unwrap();
    for (code, words) in [
        told(store.prepare()),
        told(store.get(&NOTE, 9)),
        told(store.get_range(&NOTE, 0, 1)),
        told(store.open(&NOTE)),
        told(store.stat(&NOTE)),
        told(store.list(Folder::Packs)),
        told(store.list(Folder::Vault)),
        told(put(&*store)),
    ] {
        assert_eq!(code, Code::BucketMissing, "{words}");
    }
}

/// B-13
#[test]
fn an_s3_server_that_is_not_there_never_looks_empty() {
    let behind = Behind::fake();
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    let timeout = Some(Duration::from_secs(2));
    let settings = S3Settings { endpoint, timeout, ..behind.settings() };
    let store = open_with(&behind.place.url(), "cold", Some(&settings)).unwrap();
    assert_eq!(told(store.stat(&NOTE)).0, Code::StoreUnavailable);
    assert_eq!(told(store.list(Folder::Packs)).0, Code::StoreUnavailable);
}

/// B-12
#[test]
fn what_s3_refuses_without_words_is_asked_for_again_with_words() {
    let behind = Behind::fake();
    let store = behind.store();
    behind.proxy.meddle(|request| match request.method.as_str() {
        "HEAD" => Act::Answer(403, "application/xml", String::new()),
        _ => Act::Answer(403, "application/xml", body("InvalidAccessKeyId", "who?")),
    });
    assert_eq!(told(store.stat(&NOTE)).0, Code::CredentialsRefused);
    behind.proxy.meddle(|request| match request.method.as_str() {
        "HEAD" => Act::Answer(403, "application/xml", String::new()),
        _ => Act::Pass,
    });
    let (code, words) = told(store.stat(&NOTE));
    assert_eq!(code, Code::StoreDenied);
    assert!(words.contains("s3:GetObject"), "{words}");
}

/// B-4, B-5
#[test]
fn an_unusable_credentials_file_of_s3_is_told_before_anything_is_sent() {
    let behind = Behind::fake();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("keys");
    let settings = S3Settings { credentials_file: Some(path.clone()), ..behind.settings() };
    let store = || open_with(&behind.place.url(), "cold", Some(&settings)).unwrap();
    let (code, words) = told(put(&*store()));
    assert_eq!(code, Code::CredentialsMissing, "{words}");
    assert!(words.contains("No such file"), "{words}");
    std::fs::copy(behind.place.credentials_file("host"), &path).unwrap();
    for mode in [0o644, 0o604, 0o660, 0o602] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, words) = told(put(&*store()));
        assert_eq!(code, Code::CredentialsMissing, "{words}");
        assert!(words.contains("make it 0600") && !words.contains("SECRET"), "{words}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "[other]\naws_access_key_id = A\naws_secret_access_key = B\n").unwrap();
    assert_eq!(told(put(&*store())).0, Code::CredentialsMissing);
    assert!(behind.proxy.seen().is_empty());
}

#[test]
fn an_unusable_ca_file_of_s3_is_told_and_trusts_nobody() {
    let behind = Behind::fake();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("ca.pem");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in [None, Some(""), Some("no PEM"), Some(garbage)] {
        text.iter().for_each(|text| std::fs::write(&path, text).unwrap());
        let settings = S3Settings { ca_file: Some(path.clone()), ..behind.settings() };
        let store = open_with(&behind.place.url(), "cold", Some(&settings)).unwrap();
        let (code, words) = told(put(&*store));
        assert_eq!(code, Code::EndpointUntrusted, "{words}");
        assert!(words.contains("ca.pem"), "{words}");
    }
}

/// B-12
#[test]
fn an_s3_certificate_of_an_unknown_authority_is_refused() {
    let Some(place) = Place::on(Server::SeaweedFsTls, Keeping::Newest) else { return };
    let known = open_with(&place.url(), "cold", Some(&place.settings("admin"))).unwrap();
    put(&*known).unwrap();
    assert_eq!(known.get(&NOTE, 9).unwrap(), b"note");
    let settings = S3Settings { ca_file: None, ..place.settings("admin") };
    let unknown = open_with(&place.url(), "cold", Some(&settings)).unwrap();
    let (code, words) = told(unknown.get(&NOTE, 9));
    assert_eq!(code, Code::EndpointUntrusted, "{words}");
}

#[test]
fn an_s3_server_that_wants_fewer_requests_is_obeyed_and_then_told_of() {
    let behind = Behind::fake();
    behind.proxy.meddle(|_| Act::error(503, "SlowDown"));
    assert_eq!(told(put(&*behind.store())).0, Code::StoreBusy);
    assert_eq!(behind.proxy.seen().len(), 4);
}

/// B-14
#[test]
fn a_put_only_s3_store_is_asked_for_nothing_but_put() {
    let behind = Behind::fake();
    let settings = S3Settings { put_only: true, ..behind.settings() };
    let store = open_with(&behind.place.url(), "cold", Some(&settings)).unwrap();
    assert!(!store.is_readable());
    store.prepare().unwrap();
    for (code, words) in [
        told(store.get(&NOTE, 9)),
        told(store.get_range(&NOTE, 0, 1)),
        told(store.open(&NOTE)),
        told(store.stat(&NOTE)),
        told(store.list(Folder::Packs)),
        told(store.list(Folder::Vault)),
        told(store.versions(&NOTE)),
        told(store.delete(&NOTE)),
        told(store.thaw(&NOTE, idswyft_vault::store::ThawTier::Bulk, 1)),
    ] {
        assert_eq!(code, Code::StoreDenied, "{words}");
        assert!(words.contains("put_only"), "{words}");
    }
    assert!(behind.proxy.seen().is_empty());
    put(&*store).unwrap();
    assert_eq!(told_code(put(&*store)), Code::ObjectExists);
    let operations: Vec<_> = behind.proxy.seen().iter().map(|it| it.operation()).collect();
    assert_eq!(operations, ["PutObject", "PutObject"]);
}

fn told_code<T>(result: Result<T, Error>) -> Code {
    result.err().expect("it is refused").code()
}

/// B-5
#[test]
fn opening_an_s3_store_touches_nothing() {
    let url = "s3://bucket/a?endpoint=http://127.0.0.1:1&credentials_file=/nowhere&ca_file=/none";
    let store = open(url, "given").unwrap();
    assert_eq!((store.name(), store.url()), ("given", "s3://bucket/a"));
    for wrong in ["s3://", "s3://bucket/a?zone=b", "s3://bucket/a?region", "s3://b/../c"] {
        assert_eq!(open(wrong, "given").err().unwrap().code(), Code::ConfigInvalid, "{wrong}");
    }
}

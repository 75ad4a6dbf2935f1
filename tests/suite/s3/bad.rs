//! What is wrong between the program and a bucket is said, and never looks like an empty store.

use std::collections::BTreeMap;

use idswyft_vault::base::{Code, Coded, PackId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Error, Listed, S3Settings, Store, Versioned, open_with};

use crate::support::sha256;
use crate::support::vault::FixedClock;
use crate::support_s3::Server;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy, Request};

const KEY: ObjectKey = ObjectKey::Vault(1);

fn open(place: &Place, settings: &S3Settings) -> std::sync::Arc<dyn Store> {
    open_with(&place.url(), "bucket", Some(settings)).unwrap()
}

fn put(store: &dyn Store) -> Result<(), Error> {
    store.put_new(&KEY, Content::Bytes(b"note"), &sha256(b"note")).map(drop)
}

/// Asserts that every call fails with this code: none is taken for an answer.
#[track_caller]
fn assert_all_fail(store: &dyn Store, code: Code) {
    let list =
        |folder| store.list(folder).and_then(|mut names| names.try_for_each(|it| it.map(drop)));
    for (call, result) in [
        ("put", put(store)),
        ("get", store.get(&KEY, 100).map(drop)),
        ("range", store.get_range(&KEY, 0, 4).map(drop)),
        ("open", store.open(&KEY).map(drop)),
        ("stat", store.stat(&KEY).map(drop)),
        ("list", list(Folder::Vault)),
        ("list packs", list(Folder::Packs)),
        ("delete", store.delete(&KEY)),
        ("prepare", store.prepare()),
    ] {
        let error = result.expect_err(call);
        assert_eq!(error.code(), code, "{call}: {error:?}");
    }
}

/// A bucket with one object, and a proxy before it.
fn behind_a_proxy() -> Option<(Place, Proxy, S3Settings)> {
    let place = Place::on(Server::SeaweedFs, Keeping::Versions)?;
    place.plant("vault/1.note", b"note");
    let proxy = Proxy::before(&place.address());
    let settings = S3Settings { endpoint: Some(proxy.url()), ..place.settings("operator") };
    Some((place, proxy, settings))
}

#[test]
fn wrong_credentials_of_s3_are_told_from_missing_rights() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    place.plant("vault/1.note", b"note");
    // A key that nobody has, and the right key with another secret.
    assert_all_fail(&*open(&place, &place.settings("stranger")), Code::CredentialsRefused);
    let settings = place.settings("operator");
    let path = settings.credentials_file.clone().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("OPERATORSECRET", "GUESSED")).unwrap();
    assert_all_fail(&*open(&place, &settings), Code::CredentialsRefused);
    assert_all_fail(&*open(&place, &place.settings("nobody")), Code::StoreDenied);
}

#[test]
fn a_missing_bucket_of_s3_is_no_empty_store() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Newest) else { return };
    let settings = place.settings("admin");
    let store = open_with("s3://no-such-bucket/archive", "bucket", Some(&settings)).unwrap();
    assert_all_fail(&*store, Code::BucketMissing);
}

#[test]
fn a_clock_that_is_wrong_is_said_by_s3_and_not_worked_around() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    proxy.meddle(|_| Act::error(403, "RequestTimeTooSkewed"));
    let store = open(&place, &settings);
    for result in [put(&*store), store.get(&KEY, 100).map(drop)] {
        assert_eq!(result.unwrap_err().code(), Code::ClockSkewed);
    }
}

#[test]
fn the_wrong_region_of_s3_is_told_with_the_right_one() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    proxy.meddle(|_| {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization \
                    header is malformed; the region 'eu-central-1' is wrong; expecting 'eu-west-1'\
                    </Message></Error>";
        Act::Answer(400, "application/xml", body.to_owned())
    });
    let store = open(&place, &settings);
    let error = put(&*store).unwrap_err();
    assert_eq!(error.code(), Code::RegionWrong);
    assert!(error.to_string().contains("eu-west-1"), "{error}");
}

#[test]
fn an_s3_endpoint_that_refuses_checksums_is_said_and_can_be_lived_with() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    proxy.meddle(|request: &Request| {
        match request.headers.iter().any(|name| name == "x-amz-checksum-sha256") {
            true => {
                let body = "<Error><Code>InvalidRequest</Code><Message>The checksum header is not \
                            supported.</Message></Error>";
                Act::Answer(400, "application/xml", body.to_owned())
            }
            false => Act::Pass,
        }
    });
    let key = ObjectKey::Vault(2);
    let put = |store: &dyn Store| {
        store.put_new(&key, Content::Bytes(b"second"), &sha256(b"second")).map(drop)
    };
    assert_eq!(put(&*open(&place, &settings)).unwrap_err().code(), Code::ChecksumRefused);
    let mut settings = settings;
    settings.quirks.refuses_checksum_header = true;
    put(&*open(&place, &settings)).unwrap();
    assert_eq!(place.get("vault/2.note"), b"second");
}

#[test]
fn a_web_page_is_no_answer_of_s3() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    for status in [200, 403, 404] {
        let page = "<!DOCTYPE html><html><body>Please log in.</body></html>";
        proxy.meddle(move |_| Act::Answer(status, "text/html", page.to_owned()));
        assert_all_fail(&*open(&place, &settings), Code::EndpointForeign);
    }
}

#[test]
fn what_breaks_on_the_way_from_s3_is_read_again_or_said() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    place.plant("vault/3.note", &[5; 300_000]);
    let key = ObjectKey::Vault(3);
    for act in [Act::Drop, Act::DropAnswer, Act::CutAnswer, Act::error(503, "SlowDown")] {
        // Every other request meets it: one more try gets through.
        let faulty = act.clone();
        proxy.meddle(move |request| match request.number % 2 {
            0 => faulty.clone(),
            _ => Act::Pass,
        });
        let store = open(&place, &settings);
        assert!(store.get(&key, u64::MAX).unwrap() == [5; 300_000], "{act:?}");
        proxy.meddle(move |_| act.clone());
        assert!(store.get(&key, u64::MAX).is_err());
    }
}

#[test]
fn a_put_to_s3_that_was_done_but_reported_failed_is_never_done_twice() {
    let Some((place, proxy, settings)) = behind_a_proxy() else { return };
    for (number, act) in
        [Act::error_after(500, "InternalError"), Act::DropAnswer].into_iter().enumerate()
    {
        let key = ObjectKey::Vault(10 + u32::try_from(number).unwrap());
        let first = proxy.seen().len() as u64;
        proxy.meddle(move |request| match request.number == first {
            true => act.clone(),
            false => Act::Pass,
        });
        let store = open(&place, &settings);
        // It may be told as taken, and must be there either way.
        if let Err(error) = store.put_new(&key, Content::Bytes(b"once"), &sha256(b"once")) {
            assert_eq!(error.code(), Code::ObjectExists);
        }
        assert_eq!(store.get(&key, 100).unwrap(), b"once");
        assert!(store.versions(&key).unwrap().is_empty(), "it was put twice");
    }
}

#[test]
fn what_was_put_over_an_s3_object_and_what_hides_it_is_shown_oldest_first() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let store = open(&place, &place.settings("auditor"));
    place.plant("vault/1.note", b"note");
    place.plant("vault/1.note", b"forged");
    place.hide("vault/1.note");
    let seen: Vec<_> = store.versions(&KEY).unwrap();
    let seen: Vec<_> = seen.iter().map(|version| version.get(&KEY, 100).unwrap()).collect();
    assert_eq!(seen, [b"note".to_vec(), b"forged".to_vec()]);
}

/// C18
#[test]
fn packs_of_s3_are_listed_with_their_versions_and_with_what_is_hidden() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let store = open(&place, &place.settings("auditor"));
    let key = |number| ObjectKey::Pack(PackId::from_bytes([number; 32]));
    for number in 1..=4 {
        place.plant(&key(number).to_string(), b"a pack");
    }
    place.plant(&key(2).to_string(), b"put over it");
    place.hide(&key(3).to_string());
    let listed = store.list_versions(Folder::Packs).unwrap().expect("it lists versions");
    let listed = listed.map(|row| {
        let Versioned { listed, version_count, is_hidden } = row.unwrap();
        let Listed::Object(key, stat) = listed else { panic!("{listed:?}") };
        (key, (stat.len, version_count, is_hidden))
    });
    let expected = [(1, (6, 1, false)), (2, (11, 2, false)), (3, (6, 1, true)), (4, (6, 1, false))];
    let expected = expected.map(|(number, row)| (key(number), row));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
}

/// B-19
#[test]
fn a_listing_of_s3_that_goes_on_for_ever_is_refused() {
    let fake = Fake::start(FixedClock::new());
    let proxy = Proxy::before(&fake.url());
    let place = Place::make(&proxy.url(), None, Keeping::Newest);
    proxy.meddle(|request| match request.operation().as_str() {
        "ListObjectVersions" => Act::error(501, "NotImplemented"),
        // The same page again and again, each time with another token.
        "ListObjects" => Act::Answer(
            200,
            "application/xml",
            format!(
                "<ListBucketResult><Name>bucket</Name><IsTruncated>true</IsTruncated>\
                 <NextContinuationToken>{}</NextContinuationToken><Contents><Key>foreign</Key>\
                 <Size>1</Size></Contents></ListBucketResult>",
                request.number
            ),
        ),
        _ => Act::Pass,
    });
    let store = open(&place, &place.settings("admin"));
    for folder in [Folder::Vault, Folder::Packs] {
        let rows: Vec<_> = store.list(folder).unwrap().take(10).collect();
        let last = rows.last().unwrap().as_ref().unwrap_err();
        assert_eq!((rows.len(), last.code()), (2, Code::StoreUnavailable));
        assert!(format!("{last:?}").contains("does not come to an end"), "{last:?}");
    }
}

//! What the probe sees of servers as they really are.

use aws_sdk_s3::types::ObjectLockRetentionMode;
use idswyft_vault::base::{Clock as _, SystemClock, SystemEntropy};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::probing;
use idswyft_vault::store::probe::{Capability, Probe, Verdict, Wanted, Weight};
use idswyft_vault::store::{Content, LockMode, Quirks, S3Settings, S3Store, StorageClass, Store};
use idswyft_vault::vault::Outside;
use std::sync::Arc;

use crate::support::vault::FixedClock;
use crate::support_s3::Server;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place, wait};
use crate::support_s3::proxy::{Act, Proxy};

const PACK_LEN: u64 = 5 * 1024 * 1024;

fn probe_of(place: &Place, settings: S3Settings) -> Option<Probe> {
    let store = S3Store::open(&place.url(), "glacier", settings).unwrap();
    let gate = idswyft_vault::base::OpenGate::shared();
    let outside = Outside { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), gate };
    probing::probe(&store, PACK_LEN, &outside).unwrap()
}

/// Returns the key and the id of every version in a place.
fn versions_in(place: &Place) -> Vec<(String, String)> {
    let request = place.client().list_object_versions().bucket(&place.bucket);
    let page = wait(request.prefix(place.key("")).send()).unwrap();
    let versions = page.versions().iter().map(|it| (it.key(), it.version_id()));
    let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id()));
    let all = versions.chain(markers);
    all.map(|(key, id)| (key.unwrap().to_owned(), id.unwrap().to_owned())).collect()
}

fn lacking(probe: &Probe) -> Vec<Capability> {
    let seen = probe.seen.iter().filter(|(_, seen)| seen.verdict != Verdict::Yes);
    seen.map(|(capability, _)| *capability).collect()
}

/// K-1, K-3
#[test]
fn an_s3_server_that_keeps_its_word_passes_the_probe_and_nothing_of_it_stays() {
    for keeping in [Keeping::Locks, Keeping::Versions, Keeping::Newest] {
        let Some(place) = Place::on(Server::SeaweedFs, keeping) else { return };
        let proxy = Proxy::before(&place.address());
        let settings = S3Settings { endpoint: Some(proxy.url()), ..place.settings("admin") };
        let probe = probe_of(&place, settings).unwrap();
        let unseen = lacking(&probe);
        let mut expected = vec![Capability::PutOverRefused];
        if keeping == Keeping::Newest {
            expected.extend([Capability::Versioning, Capability::VersionId]);
        }
        if keeping != Keeping::Locks {
            expected.extend([Capability::LockConfiguration, Capability::Lock]);
        }
        expected.push(Capability::RetentionBounded);
        expected.sort();
        assert_eq!(unseen, expected, "{keeping:?}: {probe:#?}");
        assert_eq!(probe.can_lock(), keeping == Keeping::Locks);
        assert_eq!((probe.left.len(), place.names().len()), (0, 0));
        assert!(versions_in(&place).is_empty());
        let wanted = Wanted { object_lock: Some(LockMode::Compliance), ..Wanted::default() };
        let is_refused =
            probe.shortfalls(&wanted).iter().any(|short| short.weight == Weight::Refused);
        assert_eq!(is_refused, keeping != Keeping::Locks);
        let own = format!("/{}/{}", place.bucket, place.key("probe/"));
        let seen = proxy.seen();
        let mut puts = seen.iter().filter(|it| ["PUT", "POST"].contains(&it.method.as_str()));
        assert!(puts.clone().count() > 8, "{seen:?}");
        assert!(puts.all(|request| request.path.starts_with(&own)), "{seen:?}");
    }
}

/// K-2
#[test]
fn what_a_probe_may_not_delete_in_s3_is_told_and_locked_for_a_day_at_most() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let probe = probe_of(&place, place.settings("operator")).unwrap();
    assert!(probe.can_lock(), "{probe:#?}");
    let (left, mut locked) = (versions_in(&place), 0);
    assert!(!left.is_empty() && !probe.left.is_empty(), "{probe:#?}");
    for (key, version) in left {
        let get = place.client().get_object_retention().bucket(&place.bucket);
        let Ok(said) = wait(get.key(key).version_id(version).send()) else { continue };
        let Some(retention) = said.retention().cloned() else { continue };
        assert_eq!(retention.mode, Some(ObjectLockRetentionMode::Governance));
        let until = retention.retain_until_date.unwrap().secs();
        assert!(until <= SystemClock.now().as_second() + 86_400, "{until}");
        locked += 1;
    }
    assert_eq!(locked, 1);
}

/// K-7
#[test]
fn nothing_is_put_into_an_s3_bucket_that_locks_by_default() {
    let fake = Fake::start(FixedClock::new());
    let proxy = Proxy::before(&fake.url());
    let place = Place::make(&proxy.url(), None, Keeping::Newest);
    for mode in ["COMPLIANCE", "GOVERNANCE"] {
        proxy.forget();
        proxy.meddle(move |request| match request.operation().as_str() {
            "GET Bucket object-lock" => {
                let body = format!(
                    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>\
                     <DefaultRetention><Mode>{mode}</Mode><Days>1</Days></DefaultRetention></Rule>\
                     </ObjectLockConfiguration>"
                );
                Act::Answer(200, "application/xml", body)
            }
            _ => Act::Pass,
        });
        let probe = probe_of(&place, place.settings("admin")).unwrap();
        assert!(!probe.is_tried() && probe.left.is_empty(), "{probe:#?}");
        assert!(probe.seen[&Capability::NoDefaultRetention].detail.contains(mode), "{probe:#?}");
        let seen = proxy.seen();
        assert!(!seen.is_empty() && seen.iter().all(|request| request.method == "GET"), "{seen:?}");
    }
}

#[test]
fn an_s3_probe_sees_classes_and_a_default_retention() {
    // A default retention is the bucket's, and other tests are not to meet it.
    let Some(place) = Place::alone_on(Server::LocalStack, Keeping::Locks) else { return };
    let settings = S3Settings { pack_class: StorageClass::DeepArchive, ..place.settings("admin") };
    let probe = probe_of(&place, settings.clone()).unwrap();
    assert!(probe.has(Capability::Class) && probe.can_lock(), "{probe:#?}");
    assert!(probe.has(Capability::NoDefaultRetention));
    use aws_sdk_s3::types as s3;
    let retention = s3::DefaultRetention::builder()
        .mode(s3::ObjectLockRetentionMode::Governance)
        .days(1)
        .build();
    let rule = s3::ObjectLockRule::builder().default_retention(retention).build();
    let configuration = s3::ObjectLockConfiguration::builder()
        .object_lock_enabled(s3::ObjectLockEnabled::Enabled)
        .rule(rule)
        .build();
    let put = place.client().put_object_lock_configuration().bucket(&place.bucket);
    wait(put.object_lock_configuration(configuration).send()).unwrap();
    let probe = probe_of(&place, settings).unwrap();
    assert_eq!(probe.verdict(Capability::NoDefaultRetention), Verdict::No);
    let wanted = Wanted { object_lock: Some(LockMode::Governance), ..Wanted::default() };
    assert!(probing::refuse("x", &probe.shortfalls(&wanted)).is_err());
}

#[test]
fn an_s3_store_that_may_only_be_put_to_is_not_probed() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let settings = S3Settings { put_only: true, ..place.settings("host") };
    assert_eq!(probe_of(&place, settings), None);
    assert!(place.names().is_empty());
    let store = S3Store::open(&place.url(), "x", place.settings("nobody")).unwrap();
    assert!(store.prepare().is_err());
}

/// K-3
#[test]
fn every_lie_of_an_s3_server_is_caught() {
    let Some(place) = Place::on(Server::Rclone, Keeping::Newest) else { return };
    let probe = probe_of(&place, place.settings("admin")).unwrap();
    let lies = [
        Capability::PutNew,
        Capability::PutNewAtOnce,
        Capability::ChecksumChecked,
        // It tells what was sent along.
        Capability::ChecksumReturned,
        Capability::Versioning,
        Capability::VersionId,
        Capability::ListVersions,
        Capability::PutOverRefused,
        Capability::LockConfiguration,
        Capability::Lock,
        Capability::RetentionBounded,
    ];
    assert_eq!(lacking(&probe), lies, "{probe:#?}");
    for capability in lies {
        assert_eq!(probe.verdict(capability), Verdict::No, "{capability}: {probe:#?}");
    }
    assert!(!probe.can_lock() && probe.left.is_empty() && place.names().is_empty());
    let quirks = probe.quirks();
    assert!(quirks.ignores_if_none_match && quirks.ignores_checksum && quirks.echoes_checksum);
    // What it says of an object counts only as far as it was seen to be so.
    let store = |quirks| {
        let settings = S3Settings { quirks, ..place.settings("admin") };
        S3Store::open(&place.url(), "liar", settings).unwrap()
    };
    let (key, sha256) = (ObjectKey::Vault(1), crate::support::sha256(b"note"));
    let receipt = store(quirks).put_new(&key, Content::Bytes(b"note"), &sha256).unwrap();
    assert_eq!(receipt.checksum, None);
    assert_eq!(store(quirks).stat(&key).unwrap().unwrap().checksum, None);
    let told = store(Quirks::default()).stat(&key).unwrap().unwrap().checksum;
    assert_eq!(told, Some(sha256), "it has something to tell");
    let wanted = Wanted { object_lock: Some(LockMode::Compliance), ..Wanted::default() };
    let error = probing::refuse("liar", &probe.shortfalls(&wanted)).unwrap_err();
    assert!(error.to_string().contains("object_lock is configured"), "{error}");
}

//! What each role must not do, by the very documents that operators are given: judged as IAM does,
//! before a server that really keeps versions and locks. Spec: `capabilities.md` §4.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
};
use idswyft_vault::base::{Code, Coded, PackId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{Content, S3Settings, open_with};
use jiff::{SignedDuration, Timestamp};

use crate::support::sha256;
use crate::support_s3::gate::{Gate, ROLES, gated_place};
use crate::support_s3::place::{Place, wait};
use crate::support_s3::policy::{Ask, Policy, allows};
use crate::support_s3::proxy::Proxy;

/// What is tried on an object, and which roles may do it: in the order of `ROLES`, on an object of
/// `packs/` and on one of `generations/`.
const DEEDS: [(&str, [[bool; 6]; 2]); 16] = [
    ("put a new one", [HOSTS_AND_OPERATOR, HOSTS_AND_OPERATOR]),
    ("put one over it", [NOBODY, NOBODY]),
    ("put a new one, locked as a vault does", [HOSTS_AND_OPERATOR, HOSTS_AND_OPERATOR]),
    ("put a new one, locked for all", [HOSTS_AND_OPERATOR, OPERATOR]),
    ("put a new one, locked beyond the bound", [NOBODY, NOBODY]),
    ("put a new one, held", [OPERATOR, OPERATOR]),
    ("lock it for longer", [ALL_BUT_AUDITOR, ALL_BUT_AUDITOR]),
    ("lock one without a lock, for all", [ALL_BUT_AUDITOR, OPERATOR]),
    ("lock it beyond the bound", [NOBODY, NOBODY]),
    ("lock it for less", [NOBODY, NOBODY]),
    ("lock it for less, past the lock", [NOBODY, WHO_SHREDS]),
    ("hold it", [OPERATOR, OPERATOR]),
    ("delete it", [NOBODY, NOBODY]),
    ("delete it, past the lock", [NOBODY, WHO_SHREDS]),
    ("delete one without a lock", [JANITORS, WHO_SHREDS]),
    ("hide it", [JANITORS, WHO_SHREDS]),
];
const NOBODY: [bool; 6] = [false; 6];
const HOSTS_AND_OPERATOR: [bool; 6] = [true, true, false, true, false, false];
const ALL_BUT_AUDITOR: [bool; 6] = [true, true, true, true, false, true];
const JANITORS: [bool; 6] = [false, false, true, false, false, true];
const OPERATOR: [bool; 6] = [false, false, false, true, false, false];
const WHO_SHREDS: [bool; 6] = [false, false, false, true, false, true];

/// The bound of the documents.
const DAYS_MAX: i64 = 4018;

/// A place behind the documents.
struct Gated {
    place: Place,
    proxy: Proxy,
}

impl Gated {
    fn start() -> Option<Self> {
        let (place, proxy) = gated_place()?;
        Some(Self { place, proxy })
    }

    fn client(&self, role: &str) -> Client {
        self.place.client_through(&format!("gated-{role}"), &self.proxy)
    }

    /// Puts an object as whoever may do everything, perhaps locked for days; returns its version.
    fn put(&self, key: &str, days: Option<i64>) -> String {
        let put = self.place.client().put_object().bucket(&self.place.bucket).key(key);
        let put = put.set_object_lock_mode(days.map(|_| ObjectLockMode::Governance));
        let put = put.set_object_lock_retain_until_date(days.map(in_days));
        let put = wait(put.body(ByteStream::from_static(b"sound")).send()).unwrap();
        put.version_id().unwrap().to_owned()
    }

    /// Does something to an object, and tells whether it was allowed.
    fn may(&self, client: &Client, deed: &str, key: &str) -> bool {
        let bucket = self.place.bucket.as_str();
        let version = self.put(key, Some(30).filter(|_| !deed.contains("without a lock")));
        let new = || {
            let new = client.put_object().bucket(bucket).key(format!("{key}.new"));
            new.if_none_match("*").body(ByteStream::from_static(b"new"))
        };
        let locked = |mode, days| {
            let new = new().object_lock_mode(mode);
            is_allowed(wait(new.object_lock_retain_until_date(in_days(days)).send()))
        };
        let lock_as = |mode, days, bypass: bool| {
            let retention = ObjectLockRetention::builder().mode(mode);
            let retention = retention.retain_until_date(in_days(days)).build();
            let lock = client.put_object_retention().bucket(bucket).key(key).version_id(&version);
            let lock = lock.set_bypass_governance_retention(bypass.then_some(true));
            is_allowed(wait(lock.retention(retention).send()))
        };
        let lock = |days, bypass| lock_as(ObjectLockRetentionMode::Governance, days, bypass);
        let delete = |bypass: bool| {
            let delete = client.delete_object().bucket(bucket).key(key).version_id(&version);
            is_allowed(wait(delete.set_bypass_governance_retention(bypass.then_some(true)).send()))
        };
        match deed {
            "put a new one" => is_allowed(wait(new().send())),
            "put one over it" => {
                let over = client.put_object().bucket(bucket).key(key);
                is_allowed(wait(over.body(ByteStream::from_static(b"forged")).send()))
            }
            "put a new one, locked as a vault does" => match key.contains("/generations/") {
                true => locked(ObjectLockMode::Governance, 365),
                false => locked(ObjectLockMode::Compliance, 365),
            },
            "put a new one, locked for all" => locked(ObjectLockMode::Compliance, 365),
            "put a new one, locked beyond the bound" => {
                locked(ObjectLockMode::Governance, DAYS_MAX + 2)
            }
            "put a new one, held" => {
                let hold = ObjectLockLegalHoldStatus::On;
                is_allowed(wait(new().object_lock_legal_hold_status(hold).send()))
            }
            "lock it for longer" => lock(60, false),
            "lock one without a lock, for all" => {
                lock_as(ObjectLockRetentionMode::Compliance, 60, false)
            }
            "lock it beyond the bound" => lock(DAYS_MAX + 2, false),
            "lock it for less" => lock(1, false),
            "lock it for less, past the lock" => lock(1, true),
            "hold it" => {
                let on = aws_sdk_s3::types::ObjectLockLegalHold::builder();
                let on = on.status(ObjectLockLegalHoldStatus::On).build();
                let hold = client.put_object_legal_hold().bucket(bucket).key(key);
                is_allowed(wait(hold.version_id(&version).legal_hold(on).send()))
            }
            "delete it" => delete(false),
            "delete it, past the lock" => delete(true),
            "delete one without a lock" => delete(false),
            "hide it" => is_allowed(wait(client.delete_object().bucket(bucket).key(key).send())),
            other => panic!("{other}"),
        }
    }
}

fn in_days(days: i64) -> DateTime {
    let until = Timestamp::now() + SignedDuration::from_hours(24 * days + 1);
    DateTime::from_secs(until.as_second())
}

fn is_allowed<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            let status = error.raw_response().map(|raw| raw.status().as_u16());
            assert_eq!(status, Some(403), "{error:?}");
            false
        }
    }
}

#[test]
fn no_role_overwrites_shortens_a_lock_or_locks_beyond_the_bound_in_s3() {
    let Some(gated) = Gated::start() else { return };
    let mut wrong = BTreeMap::new();
    for (at, role) in ROLES.into_iter().enumerate() {
        let client = gated.client(role);
        for (number, (deed, allowed)) in DEEDS.into_iter().enumerate() {
            for (folder, allowed) in ["packs/aa", "generations/x"].into_iter().zip(allowed) {
                let key = gated.place.key(&format!("{folder}/{role}-{number}"));
                let found = gated.may(&client, deed, &key);
                if found != allowed[at] {
                    wrong.insert((role, deed, folder), found);
                }
            }
        }
    }
    assert_eq!(wrong, BTreeMap::new(), "(role, deed, folder): whether it was allowed");
}

#[test]
fn a_host_is_bound_by_its_own_document_where_the_bucket_has_none() {
    let Some(gated) = Gated::start() else { return };
    Gate::of(&gated.place).without_bucket().stand_in(&gated.proxy);
    for role in ["host-strict", "host"] {
        let client = gated.client(role);
        let key = gated.place.key(&format!("packs/aa/{role}"));
        assert!(gated.may(&client, "put a new one, locked as a vault does", &key));
        let refused = "put a new one, locked beyond the bound";
        for deed in [refused, "lock it beyond the bound", "lock it for less", "delete it"] {
            assert!(!gated.may(&client, deed, &key), "{role}: {deed}");
        }
    }
}

#[test]
fn without_tls_no_role_does_anything_in_s3() {
    let Some(gated) = Gated::start() else { return };
    Gate::of(&gated.place).without_tls().stand_in(&gated.proxy);
    let key = gated.place.key("vault/1.note");
    gated.put(&key, None);
    let bucket = gated.place.bucket.as_str();
    for role in ROLES {
        let client = gated.client(role);
        assert!(!is_allowed(wait(client.get_object().bucket(bucket).key(&key).send())));
        let list = client.list_objects_v2().bucket(bucket).prefix(gated.place.key("vault/"));
        assert!(!is_allowed(wait(list.send())));
        assert!(!gated.may(&client, "put a new one", &key));
    }
}

#[test]
fn a_janitor_deletes_in_s3_what_no_lock_covers_and_nothing_else() {
    let Some(gated) = Gated::start() else { return };
    let open = |principal: &str, settings: S3Settings| {
        let endpoint = Some(gated.proxy.url());
        let settings = S3Settings { endpoint, ..settings };
        open_with(&gated.place.url(), principal, Some(&settings)).unwrap()
    };
    let by = |role: &str| {
        let principal = format!("gated-{role}");
        open(role, gated.place.settings(&principal))
    };
    let keys =
        [ObjectKey::Pack(PackId::from_bytes(*sha256(b"pack").as_bytes())), ObjectKey::Vault(1)];
    for key in &keys {
        by("host").put_new(key, Content::Bytes(b"pack"), &sha256(b"pack")).unwrap();
    }
    let janitor = by("janitor");
    assert_eq!(janitor.delete(&keys[1]).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(janitor.get(&keys[0], 9).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(by("host").delete(&keys[0]).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(gated.place.names().len(), 2);
    janitor.delete(&keys[0]).unwrap();
    assert_eq!(gated.place.names(), ["vault/1.note"]);
    assert!(gated.place.versions(&keys[0].to_string()).is_empty());

    let mode = Some(idswyft_vault::store::LockMode::Compliance);
    let settings = gated.place.settings("gated-host");
    let host = open("host", S3Settings { object_lock: mode, ..settings });
    let until = Timestamp::now() + SignedDuration::from_hours(24 * 400);
    let host = host.locking(until).unwrap();
    host.put_new(&keys[0], Content::Bytes(b"pack"), &sha256(b"pack")).unwrap();
    assert_eq!(janitor.delete(&keys[0]).unwrap_err().code(), Code::StoreDenied);
    assert_eq!(gated.place.get(&keys[0].to_string()), b"pack");
}

fn ask(action: &'static str, resource: &str, context: &[(&'static str, &str)]) -> Ask {
    let context = context.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Ask { action, resource: resource.to_owned(), context }
}

fn document(statements: &str) -> Policy {
    Policy::parse(&format!("{{\"Version\": \"2012-10-17\", \"Statement\": [{statements}]}}"))
}

#[test]
fn s3_documents_are_judged_as_iam_does() {
    let statement = |effect: &str, action: &str, condition: &str| {
        format!(
            "{{\"Sid\": \"x\", \"Effect\": \"{effect}\", \"Action\": [\"{action}\"], \
             \"Resource\": [\"arn:aws:s3:::b/p/*\"], \"Condition\": {condition}}}"
        )
    };
    let (put, object) = ("s3:PutObject", "arn:aws:s3:::b/p/packs/aa/x");
    let open = document(&statement("Allow", put, "{}"));
    // What nothing allows is refused; what one denies is refused whatever allows it.
    assert!(allows(&[&open], &ask(put, object, &[])));
    assert!(!allows(&[], &ask(put, object, &[])));
    assert!(!allows(&[&open], &ask("s3:PutObjectRetention", object, &[])));
    assert!(!allows(&[&open], &ask(put, "arn:aws:s3:::b/other/x", &[])));
    let shut = document(&statement("Deny", "s3:*", "{}"));
    assert!(!allows(&[&open, &shut], &ask(put, object, &[])));
    // A condition on what is not known does not hold, but for the one that asks whether it is.
    for (condition, context, holds) in [
        ("{\"Bool\": {\"k\": \"true\"}}", None, false),
        ("{\"Bool\": {\"k\": \"true\"}}", Some("true"), true),
        ("{\"Bool\": {\"k\": \"true\"}}", Some("false"), false),
        ("{\"Null\": {\"K\": \"true\"}}", None, true),
        ("{\"Null\": {\"k\": \"true\"}}", Some("*"), false),
        ("{\"Null\": {\"k\": \"false\"}}", Some("*"), true),
        ("{\"NumericGreaterThan\": {\"k\": \"9\"}}", Some("10"), true),
        ("{\"NumericGreaterThan\": {\"k\": \"9\"}}", Some("9"), false),
        ("{\"NumericGreaterThan\": {\"k\": \"9\"}}", None, false),
        ("{\"NumericLessThanEquals\": {\"k\": \"9\"}}", Some("9"), true),
        ("{\"NumericLessThanEquals\": {\"k\": \"9\"}}", Some("10"), false),
        ("{\"NumericLessThanEquals\": {\"k\": \"9\"}}", None, false),
        ("{\"StringEquals\": {\"k\": \"a*\"}}", Some("a*"), true),
        ("{\"StringEquals\": {\"k\": \"a*\"}}", Some("ab"), false),
        ("{\"StringEquals\": {\"k\": \"a*\"}}", None, false),
        ("{\"StringLike\": {\"k\": [\"a/*\", \"b/*c\"]}}", Some("b/xc"), true),
        ("{\"StringLike\": {\"k\": [\"a/*\", \"b/*c\"]}}", Some("a/"), true),
        ("{\"StringLike\": {\"k\": [\"a/*\", \"b/*c\"]}}", Some("b/x"), false),
        ("{\"Bool\": {\"k\": \"true\"}, \"Null\": {\"j\": \"false\"}}", Some("true"), false),
    ] {
        let policy = document(&statement("Allow", put, condition));
        let context: Vec<_> = context.map(|value| ("k", value)).into_iter().collect();
        assert_eq!(allows(&[&policy], &ask(put, object, &context)), holds, "{condition}");
    }
}

#[test]
fn s3_documents_with_what_is_not_known_here_are_judged_by_no_test() {
    for unknown in [
        "\"NotAction\": [\"s3:*\"]",
        "\"Condition\": {\"StringNotLike\": {\"k\": \"v\"}}",
        "\"Effect\": \"Perhaps\"",
    ] {
        let statement = format!(
            "{{\"Sid\": \"x\", \"Action\": [\"s3:*\"], \"Resource\": [\"*\"], {unknown}{}}}",
            if unknown.contains("Effect") { "" } else { ", \"Effect\": \"Allow\"" }
        );
        assert!(std::panic::catch_unwind(|| document(&statement)).is_err(), "{statement}");
    }
}

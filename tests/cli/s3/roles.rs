//! Each role does its job by the very policies that operators are given, as IAM would judge them,
//! before a server that really keeps versions and locks. Spec: `capabilities.md` §4.

use std::sync::Arc;

use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockRetentionMode};
use idswyft_vault::base::SystemClock;
use jiff::{SignedDuration, Timestamp};

use super::{Elsewhere, assert_puts_alone, assert_restores_elsewhere, in_bucket};
use crate::support::{Install, noise};
use crate::support_s3::fake::Fake;
use crate::support_s3::gate::{Gate, gated_place};
use crate::support_s3::place::{Keeping, Place, wait};
use crate::support_s3::proxy::{Proxy, Request};

/// A key of KMS.
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/vault";

/// A place behind the documents, and who stands in the way.
struct Gated {
    place: Place,
    proxy: Proxy,
}

impl Gated {
    fn start() -> Option<Self> {
        let (place, proxy) = gated_place()?;
        Some(Self { place, proxy })
    }

    /// Returns a config for a role, with more keys of the store.
    fn config(&self, role: &str, more: &str) -> String {
        in_bucket(&self.place, &format!("gated-{role}"), Some(&self.proxy)) + more
    }

    /// Returns the words for the store as a role has it.
    fn url(&self, role: &str) -> String {
        self.place.url_in_full(&format!("gated-{role}"), Some(&self.proxy))
    }

    /// Asserts that nothing was asked for that the documents do not allow; but who may not list the
    /// bucket is not told that there is no newer vault note.
    #[track_caller]
    fn assert_none_is_refused(&self) {
        let seen = self.proxy.seen();
        let is_refused = |it: &&Request| it.status == 403 && !it.path.ends_with("/vault/2.note");
        let refused: Vec<&Request> = seen.iter().filter(is_refused).collect();
        assert!(refused.is_empty() && !seen.is_empty(), "{refused:#?}");
    }

    /// Asserts that every object is locked to the last day of its generation and no longer, and
    /// that the role that shreds can still remove keys.
    fn assert_all_is_locked(&self) {
        let (now, client) = (Timestamp::now(), self.place.client());
        for name in self.place.names() {
            let get = client.get_object_retention().bucket(&self.place.bucket);
            let said = wait(get.key(self.place.key(&name)).send()).unwrap();
            let retention = said.retention.unwrap();
            let is_key = name.starts_with("generations/");
            let mode = match is_key {
                true => ObjectLockRetentionMode::Governance,
                false => ObjectLockRetentionMode::Compliance,
            };
            assert_eq!(retention.mode, Some(mode), "{name}");
            let until = Timestamp::from_second(retention.retain_until_date.unwrap().secs());
            let left = until.unwrap().duration_since(now);
            let day = SignedDuration::from_hours(24);
            assert!(left > day * 364 && left <= day * 366, "{name}: {left}");
        }
    }
}

const LOCKED: &str = "object_lock = \"compliance\"\n";

#[test]
fn a_bucket_of_s3_as_the_documents_make_it_lacks_nothing() {
    let Some(gated) = Gated::start() else { return };
    let install = Install::with_vaults(&gated.config("operator", LOCKED));
    install.run(["init", "--kit", "kit"]).exits(0);
    let checked = install.run(["store", "check", "--json"]).json(0);
    assert_eq!(checked["stores"][0]["shortfalls"].as_array().unwrap().len(), 0, "{checked}");
    assert_eq!(checked["stores"][0]["can_lock"], true);
    for capability in ["put-over-refused", "retention-bounded", "lock"] {
        let seen = &checked["stores"][0]["probe"]["seen"][capability];
        assert_eq!(seen["verdict"], "yes", "{checked}");
    }
}

#[test]
fn each_role_does_its_job_in_a_locked_s3_bucket_by_the_documents_alone() {
    for role in ["host-strict", "host"] {
        let Some(gated) = Gated::start() else { return };
        let own = match role {
            "host-strict" => format!("{LOCKED}put_only = true\n"),
            _ => LOCKED.to_owned(),
        };
        let install = Install::with_vaults(&gated.config("operator", LOCKED));
        // Who may read finds out what the bucket does; who may not says that nobody did.
        match role {
            "host" => install.run(["init", "--kit", "kit"]).exits(0),
            _ => {
                install.write_config(&gated.config(role, &own));
                install.run(["init", "--kit", "kit"]).warns("store-unprobed", &["bucket"])
            }
        };
        install.write_config(&gated.config(role, &own));
        gated.proxy.forget();
        let first = install.snapshot();
        install.write("uploads/documents/c.jpg", &noise(3, 20_000));
        let second = install.snapshot();
        match role {
            "host-strict" => assert_puts_alone(&gated.proxy, "gated-host-strict"),
            _ => {
                let words = ["snapshots", "--json", "--store", "bucket"];
                let listed = install.run(words).json(0);
                assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
            }
        }
        gated.assert_all_is_locked();
        for id in [&first, &second] {
            assert_restores_elsewhere(&install, id, &gated.url("operator"));
        }
        let auditor = Elsewhere::new(&install, gated.url("auditor"));
        for level in ["ledger", "stored", "bytes"] {
            auditor.run(&["verify", "--level", level]).exits(0);
        }
        // What a janitor has to read before anything may go.
        let janitor = Elsewhere::new(&install, gated.url("janitor"));
        janitor.run(&["ledger", "show"]).exits(0);
        assert_eq!(janitor.snapshots(), [first, second]);
        gated.assert_none_is_refused();
    }
}

#[test]
fn the_operator_changes_recipients_in_s3_by_its_document_and_the_host_goes_on() {
    let Some(gated) = Gated::start() else { return };
    let install = Install::with_vaults(&gated.config("operator", LOCKED));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.write_config(&gated.config("host", LOCKED));
    let first = install.snapshot();
    let second = install.keygen("second.key");
    let add = ["recipients", "add", &second, "--kit", "kit"];
    install.unlock(add).fails(1, "store-denied", &["vault/2.note"]);
    install.write_config(&gated.config("operator", LOCKED));
    install.unlock(add).exits(0);
    install.write_config(&gated.config("host", LOCKED));
    install.write("uploads/documents/c.jpg", &noise(3, 20_000));
    // The config names one recipient, the vault now two.
    let report = install.run(["snapshot", "--json"]).json(4);
    let later = report["snapshots"][0]["id"].as_str().unwrap().to_owned();
    install.keep(&later);
    std::fs::rename(install.path("second.key"), install.path("operator.key")).unwrap();
    for id in [&first, &later] {
        assert_restores_elsewhere(&install, id, &gated.url("operator"));
    }
}

#[test]
fn a_lock_beyond_the_bound_of_the_documents_ends_an_init_in_s3() {
    let Some(gated) = Gated::start() else { return };
    let own = format!("{LOCKED}put_only = true\n");
    let vault = gated.config("host-strict", &own);
    let install = Install::with_vaults(&vault.replace("keep_daily = 30", "floor = \"12y\""));
    install.run(["init", "--kit", "kit"]).fails(1, "store-denied", &["bucket"]);
    assert!(gated.place.names().is_empty());
}

#[test]
fn a_legal_hold_in_s3_takes_a_right_that_hosts_do_not_have() {
    let Some(gated) = Gated::start() else { return };
    let held = "legal_hold = true\n";
    let refused =
        Install::with_vaults(&gated.config("host-strict", &format!("{held}put_only = true\n")));
    refused.run(["init", "--kit", "kit"]).fails(1, "store-denied", &["bucket"]);
    assert!(gated.place.names().is_empty());

    let install = Install::with_vaults(&gated.config("operator", held));
    install.run(["init", "--kit", "kit"]).exits(0);
    let id = install.snapshot();
    let client = gated.place.client();
    for name in gated.place.names() {
        let get = client.get_object_legal_hold().bucket(&gated.place.bucket);
        let said = wait(get.key(gated.place.key(&name)).send()).unwrap();
        let status = said.legal_hold.and_then(|hold| hold.status);
        assert_eq!(status, Some(ObjectLockLegalHoldStatus::On), "{name}");
        // Not even whoever may do everything, and says so, gets past it.
        let version = gated.place.versions(&name).remove(0);
        let delete = client.delete_object().bucket(&gated.place.bucket).version_id(version);
        let delete = delete.key(gated.place.key(&name)).bypass_governance_retention(true);
        assert!(wait(delete.send()).is_err(), "{name}");
    }
    assert_restores_elsewhere(&install, &id, &gated.url("operator"));
}

#[test]
fn an_operator_holds_settles_and_releases_in_s3_by_its_document() {
    let Some(gated) = Gated::start() else { return };
    let install = Install::with_vaults(&gated.config("operator", LOCKED));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.write_config(&gated.config("host", LOCKED));
    let id = install.snapshot();
    install.write_config(&gated.config("operator", LOCKED));
    gated.proxy.forget();
    let more = ["--reason", "case 12/26", "--kit", "kit", "--json"];
    let held = install.unlock([&["hold", "add", &id][..], &more].concat()).json(0);
    assert!(held["stores"][0]["held_count"].as_u64().unwrap() > 0, "{held}");
    assert_eq!(held["stores"][0]["unsettled_count"], 0, "{held}");
    // Elsewhere the URL says whether the store locks.
    let plain = Elsewhere::new(&install, gated.url("operator"));
    let said = plain.run(&["hold", "settle"]).exits(0);
    assert!(said.out.contains("no store here is configured to lock"), "{said}");
    let locking = gated.url("operator") + "&object_lock=compliance";
    let locking = Elsewhere::new(&install, locking).run(&["hold", "settle", "--json"]).json(0);
    assert_eq!(locking["stores"][0]["unsettled_count"], 0, "{locking}");
    let released = install.unlock([&["hold", "release", &id][..], &more].concat()).json(0);
    assert!(released["stores"][0]["released_count"].as_u64().unwrap() > 0, "{released}");
    gated.assert_none_is_refused();
}

#[test]
fn encryption_under_a_key_of_kms_is_asked_of_s3_for_every_object_and_takes_a_right_of_its_own() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let gated = Gated { proxy: Proxy::before(&place.address()), place };
    let own = format!("put_only = true\nsse = \"aws:kms\"\nsse_kms_key = \"{KEY}\"\n");
    let statement = |action: &str| {
        format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Sid\": \"UseTheKey\", \
             \"Effect\": \"Allow\", \"Action\": [\"{action}\"], \"Resource\": [\"{KEY}\"]}}]}}"
        )
    };
    Gate::of(&gated.place).stand_in(&gated.proxy);
    let install = Install::with_vaults(&gated.config("host-strict", &own));
    install.run(["init", "--kit", "kit"]).fails(1, "store-denied", &["bucket"]);
    assert!(gated.place.names().is_empty());

    let gate = Gate::of(&gated.place);
    let gate = gate.and_more("host-strict", &statement("kms:GenerateDataKey"));
    gate.stand_in(&gated.proxy);
    install.run(["init", "--kit", "kit"]).exits(0);
    gated.proxy.forget();
    let id = install.snapshot();
    assert_puts_alone(&gated.proxy, "gated-host-strict");
    for request in gated.proxy.seen() {
        let said = |name: &str| request.terms.get(name).map(String::as_str);
        assert_eq!(said("x-amz-server-side-encryption"), Some("aws:kms"), "{request:?}");
        let key = said("x-amz-server-side-encryption-aws-kms-key-id");
        assert_eq!(key, Some(KEY), "{request:?}");
    }
    // Whoever reads needs another right on that key.
    let operator = Elsewhere::new(&install, gated.url("operator"));
    operator.run(&["snapshots"]).fails(1, "store-denied", &[]);
    gate.and_more("operator", &statement("kms:Decrypt")).stand_in(&gated.proxy);
    operator.assert_restores(&id);
}

#[test]
fn a_janitor_forgets_prunes_and_shreds_in_s3_by_its_documents_for_a_host_that_may_only_put() {
    let Some(gated) = Gated::start() else { return };
    let config = |role: &str, more| gated.config(role, more).replace("daily = 30", "last = 1");
    let install = Install::with_vaults(&config("operator", ""));
    install.run(["init", "--kit", "kit"]).exits(0);
    let shredded = ["--event", "generation.shredded", "-o", "janitor.key", "--kit", "kit"];
    install.unlock([&["signer", "add", "--role", "janitor"][..], &shredded].concat()).exits(0);
    install.write_config(&config("host-strict", "put_only = true\n"));
    gated.proxy.forget();
    install.snapshot();
    let old = install.run(["generation", "roll", "--json"]).json(0)["closed"].clone();
    let old = old.as_str().unwrap();
    install.snapshot();
    let last = install.snapshot();
    assert_puts_alone(&gated.proxy, "gated-host-strict");

    let key = install.text("janitor.key");
    let janitor = Elsewhere::new(&install, gated.url("janitor"));
    let apply = ["retain", "--apply", "--accept-many", "--signer", &key, "--json"];
    let done = janitor.run(&apply).json(0);
    assert_eq!(done["vaults"][0]["applied"]["forgotten"].as_array().unwrap().len(), 2, "{done}");
    // What is young waits: nothing goes yet, and a prune was made all the same.
    assert!(done["vaults"][0]["pruned"].is_object(), "{done}");
    assert_eq!(janitor.snapshots(), std::slice::from_ref(&last));
    let shredder = Elsewhere::new(&install, gated.url("shredder"));
    shredder.run(&["shred", old, "--apply", "--signer", &key]).exits(0);
    assert!(
        gated.place.names().iter().all(|name| !name.starts_with(&format!("generations/{old}")))
    );
    gated.assert_none_is_refused();
    assert_restores_elsewhere(&install, &last, &gated.url("operator"));
    Elsewhere::new(&install, gated.url("auditor")).run(&["verify", "--level", "bytes"]).exits(0);
}

//! What erasing leaves, in every kind of store. What then opens is in `leftovers`.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::shred;
use idswyft_vault::store::{Content, LockMode, Sight, StorageClass, Store};

use super::bench::{ALL, Bench};
use super::shredding::Shredder;
use crate::support::bucket::{Bucket, Rights};
use crate::support::sha256;
use crate::support::vault::{local, noise};

fn in_a_bucket(lock: Option<LockMode>) -> (Shredder, Bucket) {
    let (policy, class) = ("keep_last = 1", StorageClass::Standard);
    let (bench, bucket) = Bench::in_bucket(Parameters::initial(), policy, 1, class, lock);
    (Shredder::of(bench), bucket)
}

/// G-9 G-10
#[test]
fn in_a_bucket_every_version_and_delete_marker_of_a_key_file_goes() {
    let (shredder, bucket) = in_a_bucket(None);
    shredder.bench.apply(&ALL).unwrap();
    let name = ObjectKey::Generation(shredder.old, 1).to_string();
    bucket.plant(&name, b"put over it");
    bucket.hide(&name);
    let hidden = ObjectKey::Generation(shredder.old, 2).to_string();
    bucket.plant(&hidden, b"an older rev");
    bucket.hide(&hidden);
    let done = shredder.shred().unwrap();
    assert_eq!(done.stores[0].sight, Some(Sight::Versions));
    assert_eq!(done.stores[0].erased_count, 3);
    let store = &shredder.bench.vault.stores[0];
    for rev in [1, 2] {
        let remains = store.remains(&ObjectKey::Generation(shredder.old, rev)).unwrap();
        assert!(remains.is_nothing(), "{remains:?}");
    }
    assert!(done.certificate.is_some());
}

/// G-9
#[test]
fn a_key_file_under_governance_goes_only_with_the_right_to_bypass() {
    let (shredder, bucket) = in_a_bucket(Some(LockMode::Governance));
    // What a snapshot needs is locked too: until then it cannot be forgotten.
    shredder.bench.vault.clock.pass_hours(24 * 300);
    let store = &shredder.bench.vault.stores[0];
    let key = ObjectKey::Generation(shredder.old, 1);
    let limited = bucket.seen_by(Rights { bypass: false, ..Rights::ALL });
    assert_eq!(Store::erase(&limited, &key).unwrap_err().code(), Code::StoreDenied);
    assert!(!store.remains(&key).unwrap().is_nothing());
    assert_eq!(store.delete(&key).unwrap_err().code(), Code::StoreDenied, "nothing else may");
    assert_eq!(store.erase(&key).unwrap(), 1);
    assert!(store.remains(&key).unwrap().is_nothing());
}

/// G-7
#[test]
fn in_a_directory_what_was_set_aside_and_what_a_crash_left_staged_goes_as_well() {
    let scratch = tempfile::tempdir().unwrap();
    let store = local(&scratch.path().join("store"), "local");
    store.prepare().unwrap();
    let key = ObjectKey::Generation("20261122T023000Z-00000001".parse().unwrap(), 1);
    let bytes = noise(1, 700);
    store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    let aside = store.set_aside(&key).unwrap().unwrap();
    store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    let staged = store.staging_dir().unwrap().join(".idswyft-vault-77-0");
    std::fs::write(&staged, &bytes).unwrap();
    let other = store.staging_dir().unwrap().join(".idswyft-vault-77-1");
    std::fs::write(&other, noise(2, 700)).unwrap();
    let writing = std::fs::File::open(&other).unwrap();
    writing.lock().unwrap();
    assert_eq!(store.remains(&key).unwrap().version_count, 3);
    assert_eq!(store.erase(&key).unwrap(), 2);
    assert!(store.remains(&key).unwrap().is_nothing());
    assert!(!std::path::Path::new(&aside).exists() && !staged.exists());
    assert!(other.exists(), "another run is writing it");
    assert_eq!(store.erase(&key).unwrap(), 0);
    // Of one that crashed nobody knows whether it is a key, whatever its bytes.
    drop(writing);
    assert_eq!(store.remains(&key).unwrap().version_count, 1);
    store.erase(&key).unwrap();
    assert!(store.remains(&key).unwrap().is_nothing() && !other.exists());
}

/// G-19
#[test]
fn a_store_that_a_ledger_names_and_that_was_not_given_is_named_by_plan_and_certificate() {
    let shredder = Shredder::emptied(Bench::over("keep_last = 1", 1, |clock| {
        let bucket = |name| Bucket::new(name, clock.clone(), StorageClass::Standard);
        vec![Arc::new(bucket("bucket")), Arc::new(bucket("second"))]
    }));
    let (vault, old) = (&shredder.bench.vault, shredder.old.to_string());
    let survey = shredder.bench.survey(&vault.stores).unwrap();
    let plan = shred::plan(&survey, &old, vault.clock.now()).unwrap();
    assert!(plan.unseen().is_empty(), "{plan:?}");
    let done = shredder.shred_in(&vault.stores[..1]).unwrap();
    let certificate = done.certificate.unwrap();
    assert_eq!(certificate.unseen, ["second"]);
    assert!(certificate.not_covered.contains(&"unseen-stores".to_owned()));
    assert!(!shredder.key_files(&vault.stores[1]).is_empty(), "nothing there was touched");
    assert_eq!(shredder.said(&vault.stores[0])[1].certificate, Some(certificate));
}

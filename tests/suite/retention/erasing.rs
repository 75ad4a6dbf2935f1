//! What erasing leaves, in every kind of store, and what then opens: nothing.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::keys::DedupSecret;
use idswyft_vault::crypto::seal;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Content, Listed, LockMode, Sight, StorageClass, Store};

use super::bench::{ALL, Bench};
use super::shredding::Shredder;
use crate::support::bucket::{Bucket, Rights};
use crate::support::sha256;
use crate::support::vault::{local, noise};

fn in_a_bucket(lock: Option<LockMode>) -> (Shredder, Bucket) {
    let mut made = None;
    let bench = Bench::over("keep_last = 1", 1, |clock| {
        let bucket = Bucket::with_lock("bucket", clock, StorageClass::Standard, lock);
        let store: Arc<dyn Store> = Arc::new(bucket.clone());
        made = Some(bucket);
        vec![store]
    });
    (Shredder::of(bench), made.unwrap())
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
    assert_eq!(store.remains(&key).unwrap().version_count, 2);
    assert_eq!(store.erase(&key).unwrap(), 2);
    assert!(store.remains(&key).unwrap().is_nothing());
    assert!(!std::path::Path::new(&aside).exists() && !staged.exists());
    assert!(other.exists(), "another run may be writing it");
    assert_eq!(store.erase(&key).unwrap(), 0);
}

/// Everything that anybody ever had but the operator's copies: every key the host ever had, and
/// every object that any store has, sealed key files that the operator could open included.
#[test]
fn after_shredding_nothing_that_is_left_anywhere_opens_a_byte_of_the_generation() {
    let bench = Bench::new("keep_last = 1", 0);
    bench.vault.write("document", &noise(5, 300_000));
    bench.vault.write_dump(&["1\tAda".to_owned()]);
    bench.night();
    let shredder = Shredder::emptied(bench);
    let vault = &shredder.bench.vault;
    let old_segments = |store: &Arc<dyn Store>| -> Vec<ObjectKey> {
        let listed = store.list(Folder::Segments).unwrap().map(Result::unwrap);
        let keys = listed.filter_map(|listed| match listed {
            Listed::Object(key, _) => Some(key),
            Listed::Foreign(_) => None,
        });
        keys.collect()
    };
    let before = opened_count(&shredder);
    assert!(before > 3, "before, packs, trees and segments open: {before}");
    assert_eq!(old_segments(&vault.stores[0]).len(), 2);
    let key = ObjectKey::Generation(shredder.old, 1);
    let sealed = vault.stores[0].get(&key, 1_000_000).unwrap();
    shredder.shred().unwrap();
    // Nor has the host a copy of the sealed file, in its journal or anywhere.
    let middle = &sealed[sealed.len() / 2..][..64];
    for entry in walkdir::WalkDir::new(vault.path("state")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let is_there = bytes.windows(middle.len()).any(|window| window == middle);
            assert!(!is_there, "{}", entry.path().display());
        }
    }
    assert_eq!(old_segments(&vault.stores[0]).len(), 1, "the next generation keeps its own");
    assert_eq!(opened_count(&shredder), 0);
}

/// Returns how many objects that are not of the open generation open with any key that is left, or
/// that the host ever had.
fn opened_count(shredder: &Shredder) -> usize {
    let vault = &shredder.bench.vault;
    let open = vault.writer().generation().id;
    let mut keys: Vec<GenerationIdentity> = Vec::new();
    for secret in &shredder.secrets {
        let secret = DedupSecret::from_hex(secret).unwrap();
        keys.push(secret.index_identity());
    }
    let mut own: Vec<GenerationIdentity> = Vec::new();
    for store in &vault.stores {
        for listed in store.list(Folder::Generations).unwrap() {
            let Listed::Object(key @ ObjectKey::Generation(id, _), _) = listed.unwrap() else {
                continue;
            };
            let sealed = store.get(&key, 1_000_000).unwrap();
            let plain = vault.identities().open("key", &sealed).unwrap();
            let text = String::from_utf8(plain.to_vec()).unwrap();
            let line = text.lines().last().unwrap();
            let identity = GenerationIdentity::parse(line).unwrap();
            if id == open { own.push(identity) } else { keys.push(identity) }
        }
    }
    let index = DedupSecret::from_hex(&shredder.secrets[1]).unwrap();
    own.push(index.index_identity());
    let opens = |sealed: &[u8], keys: &[GenerationIdentity]| {
        keys.iter().any(|key| seal::open("object", sealed, key).is_ok())
    };
    let mut count = 0;
    for store in &vault.stores {
        for folder in [Folder::Packs, Folder::Trees, Folder::Segments, Folder::Snapshots] {
            for listed in store.list(folder).unwrap() {
                let Listed::Object(key, stat) = listed.unwrap() else { continue };
                let sealed = store.get(&key, stat.len).unwrap();
                count += usize::from(!opens(&sealed, &own) && opens(&sealed, &keys));
            }
        }
    }
    count
}

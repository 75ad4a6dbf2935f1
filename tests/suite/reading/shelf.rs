//! A vault in a bucket in memory, and what its snapshots restore to.

use std::fs;
use std::sync::Arc;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::verify::{self, Level, VerifyReport};
use idswyft_vault::store::{Listed, LockMode, StorageClass, Store};
use idswyft_vault::vault::Auditor;

use crate::support::bucket::Bucket;
use crate::support::vault::{FixedClock, TestVault, assert_same_tree, noise};

/// A vault with two snapshots in a bucket.
pub struct Shelf {
    /// The bucket.
    pub bucket: Bucket,
    /// The vault.
    pub vault: TestVault,
    /// The newest snapshot; the sources are as it has them.
    pub newest: SnapshotId,
}

impl Shelf {
    /// Makes the vault in a bucket whose packs have a class.
    pub fn new(pack_class: StorageClass, lock: Option<LockMode>) -> Self {
        Self::by(FixedClock::new(), pack_class, lock)
    }

    /// As [`Self::new`], where the bucket has this clock.
    pub fn by(clock: Arc<FixedClock>, pack_class: StorageClass, lock: Option<LockMode>) -> Self {
        let bucket = Bucket::with_lock("bucket", clock, pack_class, lock);
        let store: Arc<dyn Store> = Arc::new(bucket.clone());
        let vault = TestVault::with(|_| vec![store], Parameters::initial());
        vault.write("a.jpg", &noise(1, 50_000));
        vault.write("notes.txt", "what somebody wrote\n".repeat(900).as_bytes());
        vault.write_dump(&(0..100).map(|row| format!("{row}\tx{row}")).collect::<Vec<_>>());
        vault.snapshot();
        vault.write("b.jpg", &noise(2, 30_000));
        let newest = vault.snapshot().snapshot;
        bucket.forget_calls();
        Self { bucket, vault, newest }
    }

    /// Returns every object, in the order of names.
    pub fn keys(&self) -> Vec<ObjectKey> {
        let mut keys = Vec::new();
        for folder in Folder::ALL {
            for listed in self.bucket.list(folder).unwrap() {
                if let Listed::Object(key, _) = listed.unwrap() {
                    keys.push(key);
                }
            }
        }
        keys.sort();
        keys
    }

    /// Returns the bytes of an object.
    pub fn bytes(&self, key: &ObjectKey) -> Vec<u8> {
        self.bucket.get(key, u64::MAX).unwrap()
    }

    /// Opens the auditor's side.
    pub fn auditor(&self) -> Auditor {
        self.vault.auditor(&self.vault.stores[0])
    }

    /// Verifies as an auditor does.
    pub fn verify(&self, level: Level) -> VerifyReport {
        verify::verify(&self.auditor(), None, level, None, self.vault.events.as_ref()).unwrap()
    }

    /// Restores the newest snapshot and compares every byte with the sources.
    pub fn assert_restores(&self) {
        self.assert_restores_from(&self.vault.stores[0]);
    }

    /// Restores it from a store that stands before the bucket.
    pub fn assert_restores_from(&self, store: &Arc<dyn Store>) {
        let target = tempfile::tempdir().unwrap();
        let report = self.vault.try_restore_from(store, self.newest, target.path()).unwrap();
        assert_eq!(report.losses, [], "nothing is lost");
        assert_same_tree(&self.vault.path("uploads"), &target.path().join("uploads"));
        let dump = fs::read(target.path().join("db.sql")).unwrap();
        assert_eq!(dump, fs::read(self.vault.path("db.sql")).unwrap());
    }
}

/// Returns each finding's code and object.
pub fn found(report: &VerifyReport) -> Vec<(&'static str, String)> {
    report.findings.iter().map(|one| (one.code.text(), one.object.clone())).collect()
}

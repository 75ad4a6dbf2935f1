//! What a host gives its stores: put-only ones, mirrors that fail, packs side by side, locks,
//! receipts. Spec: `mirrors.md`.

mod apart;
mod catching;
mod hostile;
mod locks;
mod putting;
mod receipts;
mod sending;
mod tuned;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{Clock, OpenGate};
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::manifest::Manifest;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{StorageClass, Store};
use jiff::Timestamp;

use crate::support::bucket::{Bucket, Rights};
use crate::support::names_in;
use crate::support::vault::{TestVault, noise};

/// The clock of a bucket, which tells the age of nothing here.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_795_314_600).unwrap()
    }
}

fn bucket(name: &str) -> Bucket {
    Bucket::new(name, Arc::new(Noon), StorageClass::Standard)
}

/// Returns a bucket as a host sees it that can only put.
fn put_only(bucket: &Bucket) -> Arc<dyn Store> {
    Arc::new(bucket.seen_by(Rights::PUT_ONLY))
}

fn shared(bucket: &Bucket) -> Arc<dyn Store> {
    Arc::new(bucket.clone())
}

/// Returns parameters with the least packs, so that a small tree makes several.
fn small_packs() -> Parameters {
    let fields = Parameters::initial().fields().clone();
    Parameters::try_from(ParameterFields { pack_len: 4 * 1024 * 1024, ..fields }).unwrap()
}

/// Makes a vault over stores, with something to archive.
fn vault_over(stores: impl FnOnce(&Path) -> Vec<Arc<dyn Store>>) -> TestVault {
    let vault = TestVault::with(stores, small_packs());
    vault.write_dump(&(0..500).map(|row| format!("{row}\tx{row}")).collect::<Vec<_>>());
    vault.write("documents/first.jpg", &noise(1, 40_000));
    vault
}

/// Takes the snapshot of the next night, with a new upload.
fn night(vault: &TestVault, index: u64) -> Vec<String> {
    vault.clock.pass_hours(23);
    vault.write(&format!("documents/{index}.jpg"), &noise(index, 60_000));
    vault.snapshot().lagging
}

/// Asserts that two stores hold the same objects, and that the second is whole.
fn assert_same(vault: &TestVault, one: &dyn Store, other: &Arc<dyn Store>, snapshots: u64) {
    assert_eq!(names_in(one), names_in(other.as_ref()));
    let auditor = vault.auditor(other);
    let report = verify::verify(&auditor, None, Level::Bytes, None, vault.events.as_ref());
    let report = report.unwrap();
    assert_eq!((report.findings, report.snapshot_count), (vec![], snapshots));
}

fn spooled_files(vault: &TestVault) -> usize {
    fs::read_dir(vault.path("state/nightly/spool")).unwrap().count()
}

fn manifest(vault: &TestVault) -> Manifest {
    Manifest::open(&vault.path("state/nightly/manifest.sqlite"), &OpenGate::shared()).unwrap()
}

//! One store of every kind.

use std::fs;
use std::sync::Arc;

use idswyft_vault::base::SystemClock;
use idswyft_vault::store::{MemoryStore, StorageClass, Store, open};
use tempfile::TempDir;

use crate::support::bucket::Bucket;
use crate::support::{FaultyStore, RecordingStore};

/// Puts bytes under any name behind the store's back.
pub type Plant = Box<dyn Fn(&str, &[u8])>;

/// A store under test, empty and prepared.
pub struct Fixture {
    pub label: &'static str,
    pub store: Arc<dyn Store>,
    pub plant: Plant,
    /// Objects that are more than one page of a listing.
    pub many: u32,
    /// Seconds by which a receipt's time may differ from the object's.
    pub slack: i64,
    /// Whether its receipts tell the checksum.
    pub checksums: bool,
    /// What goes with the store.
    pub _scratch: Option<TempDir>,
}

/// Objects that a quick store lists.
const MANY: u32 = 3000;

/// Every kind of store, one of each.
pub fn fixtures() -> Vec<Fixture> {
    let faulty = |inner| -> Arc<dyn Store> { Arc::new(FaultyStore::new(inner)) };
    let recording = |inner| -> Arc<dyn Store> { Arc::new(RecordingStore::new(inner)) };
    vec![
        memory("memory", |inner| inner),
        local("local", |inner| inner),
        bucket("bucket"),
        memory("faulty memory", faulty),
        local("faulty local", faulty),
        memory("recording memory", recording),
        local("recording local", recording),
    ]
}

fn memory(label: &'static str, wrap: impl Fn(Arc<dyn Store>) -> Arc<dyn Store>) -> Fixture {
    let store = Arc::new(MemoryStore::new("memory", Arc::new(SystemClock)));
    let planted = Arc::clone(&store);
    let plant = Box::new(move |name: &str, bytes: &[u8]| planted.plant(name, bytes));
    Fixture {
        label,
        store: wrap(store),
        plant,
        many: MANY,
        slack: 0,
        checksums: true,
        _scratch: None,
    }
}

fn bucket(label: &'static str) -> Fixture {
    let store = Bucket::new("bucket", Arc::new(SystemClock), StorageClass::Standard);
    let planted = store.clone();
    let plant = Box::new(move |name: &str, bytes: &[u8]| planted.plant(name, bytes));
    Fixture {
        label,
        store: Arc::new(store),
        plant,
        many: MANY,
        slack: 0,
        checksums: true,
        _scratch: None,
    }
}

fn local(label: &'static str, wrap: impl Fn(Arc<dyn Store>) -> Arc<dyn Store>) -> Fixture {
    let scratch = tempfile::tempdir().expect("the scratch directory is writable");
    let root = scratch.path().join("store");
    let url = format!("file://{}", root.display());
    let store = open(&url, "local").expect("the URL is well formed");
    store.prepare().expect("the scratch directory is writable");
    let plant = Box::new(move |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a name is below the root")).expect("writable");
        fs::write(path, bytes).expect("writable");
    });
    Fixture {
        label,
        store: wrap(store),
        plant,
        many: MANY,
        slack: 0,
        checksums: true,
        _scratch: Some(scratch),
    }
}

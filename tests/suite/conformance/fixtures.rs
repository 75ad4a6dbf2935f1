//! One store of every kind.

use std::fs;
use std::sync::Arc;

use idswyft_vault::base::SystemClock;
use idswyft_vault::store::{MemoryStore, StorageClass, Store, open, open_with};
use tempfile::TempDir;

use crate::support::bucket::Bucket;
use crate::support::{FaultyStore, RecordingStore};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};

/// Puts bytes under any name behind the store's back.
pub type Plant = Box<dyn Fn(&str, &[u8])>;

/// A store under test, empty and prepared.
pub struct Fixture {
    pub label: &'static str,
    pub store: Arc<dyn Store>,
    pub plant: Plant,
    /// Whether it is a server: its clock has seconds, and planting takes time.
    pub is_remote: bool,
    _scratch: Option<TempDir>,
}

/// Every kind of store, one of each.
pub fn fixtures() -> Vec<Fixture> {
    let faulty = |inner| -> Arc<dyn Store> { Arc::new(FaultyStore::new(inner)) };
    let recording = |inner| -> Arc<dyn Store> { Arc::new(RecordingStore::new(inner)) };
    let mut fixtures = vec![
        memory("memory", |inner| inner),
        local("local", |inner| inner),
        bucket("bucket"),
        memory("faulty memory", faulty),
        local("faulty local", faulty),
        memory("recording memory", recording),
        local("recording local", recording),
    ];
    let servers = [Server::SeaweedFs, Server::LocalStack, Server::MiniStack];
    fixtures.extend(servers.into_iter().filter_map(server));
    fixtures
}

/// A bucket of a real server; none where there are no servers, which fails where `CI` is set.
fn server(server: Server) -> Option<Fixture> {
    let place = Place::on(server, Keeping::Versions)?;
    let store = open_with(&place.url(), "bucket", Some(&place.settings("admin")))
        .expect("the URL is well formed");
    store.prepare().expect("the bucket was made");
    let plant = Box::new(move |name: &str, bytes: &[u8]| place.plant(name, bytes));
    Some(Fixture { label: server.name(), store, plant, is_remote: true, _scratch: None })
}

fn memory(label: &'static str, wrap: impl Fn(Arc<dyn Store>) -> Arc<dyn Store>) -> Fixture {
    let store = Arc::new(MemoryStore::new("memory", Arc::new(SystemClock)));
    let planted = Arc::clone(&store);
    let plant = Box::new(move |name: &str, bytes: &[u8]| planted.plant(name, bytes));
    Fixture { label, store: wrap(store), plant, is_remote: false, _scratch: None }
}

fn bucket(label: &'static str) -> Fixture {
    let store = Bucket::new("bucket", Arc::new(SystemClock), StorageClass::Standard);
    let planted = store.clone();
    let plant = Box::new(move |name: &str, bytes: &[u8]| planted.plant(name, bytes));
    Fixture { label, store: Arc::new(store), plant, is_remote: false, _scratch: None }
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
    Fixture { label, store: wrap(store), plant, is_remote: false, _scratch: Some(scratch) }
}

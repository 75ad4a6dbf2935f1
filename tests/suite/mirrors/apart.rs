//! Several vaults in one run: the sources are read once, and what fails alone fails alone.

use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idswyft_vault::base::{Code, Coded, Observer, OpenGate, SystemEntropy};
use idswyft_vault::crypto::identity::{NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::ops::init::{self, Kit, NewVault};
use idswyft_vault::ops::snapshot::{self, RunReport, Sources, Uploads, UploadsPath, VaultJob};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::source::stream;
use idswyft_vault::source::{OpenStream, StreamSource};
use idswyft_vault::store::Store;
use idswyft_vault::vault::state::StateDir;
use idswyft_vault::vault::{Outside, Writer};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bucket, shared, small_packs};
use crate::support::bucket::Bucket;
use crate::support::vault::{Events, FixedClock, dump_of, noise};
use crate::support::{FaultyStore, Mode};

/// A dump that counts how often it is read.
struct CountedDump(Arc<AtomicU64>);

struct Open(std::io::Cursor<Vec<u8>>);

impl StreamSource for CountedDump {
    fn describe(&self) -> Value {
        json!({"kind": "counted"})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, stream::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let rows: Vec<String> = (0..3000).map(|row| format!("{row}\tname {row}")).collect();
        Ok(Box::new(Open(std::io::Cursor::new(dump_of(&rows).into_bytes()))))
    }
}

impl Read for Open {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl OpenStream for Open {
    fn finish(self: Box<Self>) -> Result<(), stream::Error> {
        Ok(())
    }
}

/// A host with a nightly and a monthly vault.
struct Host {
    dir: TempDir,
    clock: Arc<FixedClock>,
    recipient: String,
    events: Arc<Events>,
}

impl Host {
    fn new(buckets: [&Bucket; 2]) -> Self {
        let clock = FixedClock::new();
        let recipient = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH).recipient;
        let (dir, events) = (tempfile::tempdir().unwrap(), Arc::new(Events::default()));
        let host = Self { dir, clock, recipient, events };
        for ((name, every), bucket) in VAULTS.into_iter().zip(buckets) {
            host.init(name, every, shared(bucket));
        }
        for index in 0..3 {
            let path = host.path("uploads").join(format!("{index}.jpg"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, noise(index, 4_500_000)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn outside(&self) -> Outside {
        let (clock, entropy) = (self.clock.clone(), Arc::new(SystemEntropy));
        Outside { clock, entropy, gate: OpenGate::shared() }
    }

    fn recipients(&self) -> DataRecipients {
        DataRecipients::parse(&[&self.recipient]).unwrap()
    }

    fn init(&self, name: &str, every: &str, store: Arc<dyn Store>) {
        let fields = PolicyFields { every: Some(every.to_owned()), ..PolicyFields::default() };
        let new = NewVault {
            name,
            policy: &Policy::new(fields).unwrap(),
            parameters: small_packs(),
            recipients: &self.recipients(),
            stores: vec![store],
        };
        let (dir, forbidden, identities) = (&self.path("kit"), Vec::new(), Vec::new());
        let kit = Kit { dir, forbidden, identities, config: None };
        let (state, outside) = (self.path("state"), self.outside());
        init::create(new, &state, &kit, &NoPassphrase, &outside, self.events.as_ref()).unwrap();
    }

    fn run(&self, stores: [Arc<dyn Store>; 2], dumps: &Arc<AtomicU64>) -> RunReport {
        let job = |((name, _), store)| {
            let state = StateDir::new(&self.path("state"), name);
            let writer = Writer::open(state, vec![store], self.outside()).unwrap();
            VaultJob { writer, recipients: self.recipients() }
        };
        let jobs = VAULTS.into_iter().zip(stores).map(job).collect();
        let root = self.path("uploads");
        let sources = Sources {
            database: Some(Box::new(CountedDump(Arc::clone(dumps)))),
            uploads: Some(Uploads::from(UploadsPath { root, exclusions: Vec::new() })),
            facts: serde_json::Map::new(),
            sealed: Vec::new(),
        };
        let observer: Arc<dyn Observer> = self.events.clone();
        snapshot::run(jobs, &sources, &[], &NoPassphrase, &observer).unwrap()
    }
}

const VAULTS: [(&str, &str); 2] = [("nightly", "day"), ("monthly", "month")];

fn names(report: &RunReport) -> Vec<&str> {
    report.taken.iter().map(|taken| taken.vault.as_str()).collect()
}

/// M-16
#[test]
fn sources_are_read_once_for_all_vaults_that_are_due() {
    let (nightly, monthly) = (bucket("s3"), bucket("glacier"));
    let host = Host::new([&nightly, &monthly]);
    let dumps = Arc::new(AtomicU64::new(0));
    let report = host.run([shared(&nightly), shared(&monthly)], &dumps);
    assert_eq!((names(&report), report.failed.len()), (vec!["nightly", "monthly"], 0));
    assert_eq!(dumps.load(Ordering::SeqCst), 1);
    let lens: Vec<u64> = report.taken.iter().map(|taken| taken.content_len).collect();
    assert_eq!(lens[0], lens[1]);
    host.clock.pass_hours(24);
    let report = host.run([shared(&nightly), shared(&monthly)], &dumps);
    assert_eq!(names(&report), ["nightly"]);
    assert_eq!(dumps.load(Ordering::SeqCst), 2);
}

/// M-17
#[test]
fn a_vault_that_fails_while_sources_are_read_fails_alone() {
    for failing in [0, 1] {
        for folder in ["packs/", "trees/", "segments/"] {
            let buckets = [bucket("s3"), bucket("glacier")];
            let host = Host::new([&buckets[0], &buckets[1]]);
            let mut stores = [shared(&buckets[0]), shared(&buckets[1])];
            let failed = FaultyStore::new(stores[failing].clone());
            let failed = failed.fail_calls(Mode::NotDone, move |call| {
                call.key().is_some_and(|key| key.to_string().starts_with(folder))
            });
            stores[failing] = Arc::new(failed);
            let dumps = Arc::new(AtomicU64::new(0));
            let report = host.run(stores, &dumps);
            assert_eq!(names(&report), [VAULTS[1 - failing].0], "{folder}");
            let [(name, error)] = &report.failed[..] else { panic!("{:?}", report.failed) };
            assert_eq!((name.as_str(), error.code()), (VAULTS[failing].0, Code::StoreUnavailable));
            assert_eq!(dumps.load(Ordering::SeqCst), 1);
            // The next run makes up for it, and for nothing else: what was committed is delivered.
            let report = host.run([shared(&buckets[0]), shared(&buckets[1])], &dumps);
            let late = if folder == "segments/" { vec![] } else { vec![VAULTS[failing].0] };
            assert_eq!((names(&report), report.failed.len()), (late, 0));
        }
    }
}

/// M-17
#[test]
fn when_every_vault_fails_the_reading_ends() {
    let buckets = [bucket("s3"), bucket("glacier")];
    let host = Host::new([&buckets[0], &buckets[1]]);
    let fail =
        |bucket: &Bucket| -> Arc<dyn Store> {
            let store = FaultyStore::new(shared(bucket));
            Arc::new(store.fail_calls(Mode::NotDone, |call| {
                call.key().is_some_and(|key| key.pack().is_some())
            }))
        };
    let dumps = Arc::new(AtomicU64::new(0));
    let report = host.run([fail(&buckets[0]), fail(&buckets[1])], &dumps);
    assert_eq!((names(&report).len(), report.failed.len()), (0, 2));
}

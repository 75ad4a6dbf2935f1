//! A vault in a temporary directory, with its host, its operator and a source to archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{
    Clock, Code, Event, Gate, Observer, OpenGate, SnapshotId, SystemEntropy,
};
use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::ops::init::{self, InitReport, Kit, NewVault};
use idswyft_vault::ops::restore::{self, Existing, RestoreReport, RestoreRequest};
use idswyft_vault::ops::snapshot::{self, SnapshotReport, Sources, UploadsPath, VaultJob};
use idswyft_vault::ops::verify::{self, Level, VerifyReport};
use idswyft_vault::ops::{self};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::source::StreamSource;
use idswyft_vault::source::command::CommandSource;
use idswyft_vault::store::Store;
use idswyft_vault::vault::state::StateDir;
use idswyft_vault::vault::{Auditor, Outside, Unlocked, Writer};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::reference;

/// A clock that stands still until it is told to go on.
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Starts at 2026-11-22T02:30:00Z.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_795_314_600)))
    }

    /// Goes on by some seconds.
    pub fn pass_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Goes on by some hours.
    pub fn pass_hours(&self, hours: i64) {
        self.0.fetch_add(hours * 3600, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Keeps every event.
#[derive(Default)]
pub struct Events(Mutex<Vec<Event>>);

impl Events {
    /// Returns every event so far, and forgets them.
    pub fn all(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Returns the codes of all warnings so far, and forgets them.
    pub fn warnings(&self) -> Vec<Code> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        let code = |event| match event {
            Event::Warning { code, .. } => Some(code),
            _ => None,
        };
        events.into_iter().filter_map(code).collect()
    }
}

impl Observer for Events {
    fn observe(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// One vault and everything around it.
pub struct TestVault {
    /// Where everything is.
    pub dir: TempDir,
    /// The clock.
    pub clock: Arc<FixedClock>,
    /// What the operations said.
    pub events: Arc<Events>,
    /// The operator's identity file.
    pub identity: String,
    /// The operator's recipient.
    pub recipient: String,
    /// What `init` said.
    pub report: InitReport,
    /// The stores, the primary first.
    pub stores: Vec<Arc<dyn Store>>,
    /// What every change of the host's state passes.
    pub gate: Arc<dyn Gate>,
}

impl TestVault {
    /// Makes a vault with one local store.
    pub fn new() -> Self {
        Self::with(|dir| vec![local(&dir.join("store"), "local")], Parameters::initial())
    }

    /// Makes a vault whose packs are closed at 4 MiB, so that small trees make several.
    pub fn with_small_packs() -> Self {
        let fields = Parameters::initial().fields().clone();
        let fields = ParameterFields { pack_len: 4 * 1024 * 1024, ..fields };
        let parameters = Parameters::try_from(fields).unwrap();
        Self::with(|dir| vec![local(&dir.join("store"), "local")], parameters)
    }

    /// Makes a vault over any stores.
    pub fn with(stores: impl FnOnce(&Path) -> Vec<Arc<dyn Store>>, parameters: Parameters) -> Self {
        Self::within(tempfile::tempdir().unwrap(), stores, parameters)
    }

    /// Makes a vault in a directory, over any stores.
    pub fn within(
        dir: TempDir,
        stores: impl FnOnce(&Path) -> Vec<Arc<dyn Store>>,
        parameters: Parameters,
    ) -> Self {
        let policy = Policy::new(PolicyFields::default()).unwrap();
        Self::governed(dir, stores, parameters, &policy)
    }

    /// Makes a vault in a directory, over any stores, with a policy.
    pub fn governed(
        dir: TempDir,
        stores: impl FnOnce(&Path) -> Vec<Arc<dyn Store>>,
        parameters: Parameters,
        policy: &Policy,
    ) -> Self {
        let stores = stores(dir.path());
        let clock = FixedClock::new();
        let new = NewIdentity::generate(clock.now());
        let recipients = DataRecipients::parse(&[&new.recipient]).unwrap();
        let gate = OpenGate::shared();
        let entropy = Arc::new(SystemEntropy);
        let outside = Outside { clock: clock.clone(), entropy, gate: gate.clone() };
        let vault = NewVault {
            name: "nightly",
            policy,
            parameters,
            recipients: &recipients,
            stores: stores.clone(),
        };
        let (state, kit_dir) = (dir.path().join("state"), dir.path().join("kit"));
        let kit = Kit {
            dir: &kit_dir,
            forbidden: vec![state.clone()],
            identities: Vec::new(),
            config: None,
        };
        let events = Arc::new(Events::default());
        let report =
            init::create(vault, &state, &kit, &NoPassphrase, &outside, events.as_ref()).unwrap();
        fs::create_dir(dir.path().join("uploads")).unwrap();
        let (identity, recipient) = (new.file.to_string(), new.recipient);
        Self { dir, clock, events, identity, recipient, report, stores, gate }
    }

    /// Returns a path in the vault's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes an upload.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("uploads").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes a dump with rows, as `pg_dump` would.
    pub fn write_dump(&self, rows: &[String]) {
        fs::write(self.path("db.sql"), dump_of(rows)).unwrap();
    }

    /// Returns what the next snapshot archives.
    pub fn sources(&self) -> Sources {
        let command = CommandSource::new(["cat".into(), self.path("db.sql")]).unwrap();
        let database: Option<Box<dyn StreamSource>> =
            self.path("db.sql").exists().then(|| Box::new(command) as _);
        let root = self.path("uploads");
        Sources {
            database,
            uploads: Some(UploadsPath { root, exclusions: Vec::new() }.into()),
            facts: serde_json::Map::new(),
            sealed: Vec::new(),
        }
    }

    /// Returns the time and the randomness.
    pub fn outside(&self) -> Outside {
        let entropy = Arc::new(SystemEntropy);
        Outside { clock: self.clock.clone(), entropy, gate: self.gate.clone() }
    }

    /// Opens the host's side.
    pub fn writer(&self) -> Writer {
        let outside = self.outside();
        let state = StateDir::new(&self.path("state"), "nightly");
        Writer::open(state, self.stores.clone(), outside).unwrap()
    }

    /// Takes a snapshot.
    pub fn try_snapshot(&self, sources: &Sources) -> Result<SnapshotReport, ops::Error> {
        let recipients = DataRecipients::parse(&[&self.recipient]).unwrap();
        let job = VaultJob { writer: self.writer(), recipients };
        let observer: Arc<dyn Observer> = self.events.clone();
        let mut report = snapshot::run(vec![job], sources, &[], &NoPassphrase, &observer)?;
        match report.failed.pop() {
            Some((_, error)) => Err(error),
            None => Ok(report.taken.remove(0)),
        }
    }

    /// Takes a snapshot of the usual sources, an hour after the last one.
    pub fn snapshot(&self) -> SnapshotReport {
        self.clock.pass_hours(1);
        self.try_snapshot(&self.sources()).unwrap()
    }

    /// Opens the auditor's side of a store.
    pub fn auditor(&self, store: &Arc<dyn Store>) -> Auditor {
        Auditor::open(store.clone(), self.report.root_key.parse().unwrap()).unwrap()
    }

    /// Opens the operator's side of the primary store.
    pub fn unlocked(&self) -> Unlocked {
        Unlocked::new(self.auditor(&self.stores[0]), self.identities()).unwrap()
    }

    /// Returns the operator's identity.
    pub fn identities(&self) -> DataIdentities {
        DataIdentities::parse("operator", self.identity.as_bytes(), &NoPassphrase).unwrap()
    }

    /// Restores a snapshot whole into a new directory.
    pub fn try_restore(
        &self,
        snapshot: SnapshotId,
        target: &Path,
    ) -> Result<RestoreReport, ops::Error> {
        self.try_restore_from(&self.stores[0], snapshot, target)
    }

    /// Restores a snapshot whole from a store.
    pub fn try_restore_from(
        &self,
        store: &Arc<dyn Store>,
        snapshot: SnapshotId,
        target: &Path,
    ) -> Result<RestoreReport, ops::Error> {
        let unlocked = Unlocked::new(self.auditor(store), self.identities()).unwrap();
        let request = RestoreRequest {
            snapshot,
            target,
            only: None,
            paths: None,
            existing: Existing::Refuse,
        };
        restore::restore(&unlocked, &request, self.events.as_ref())
    }

    /// Verifies the primary store; the reference reader has to say the same of its contents.
    pub fn verify(&self, level: Level) -> VerifyReport {
        let unlocked = self.unlocked();
        let observer = self.events.as_ref();
        let report = verify::verify(unlocked.auditor(), Some(&unlocked), level, None, observer);
        let (report, store) = (report.unwrap(), self.path("store"));
        if level == Level::Contents && store.is_dir() {
            let (root_key, identity) = (&self.report.root_key, &self.identity);
            reference::confirms(&store, root_key, identity, reference::by_code(&report));
        }
        report
    }
}

/// Opens a local store.
pub fn local(path: &Path, name: &str) -> Arc<dyn Store> {
    idswyft_vault::store::open(&format!("file://{}", path.display()), name).unwrap()
}

/// Returns a dump with rows.
pub fn dump_of(rows: &[String]) -> String {
    format!(
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\
         -- Dumped by pg_dump version 15.8\n\nCOPY public.users (id, name) FROM stdin;\n{}\\.\n\n\
         --\n-- PostgreSQL database dump complete\n--\n\n",
        rows.iter().map(|row| format!("{row}\n")).collect::<String>()
    )
}

/// Returns bytes that look random and depend on a seed alone.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Asserts that two trees are the same: names, kinds, contents, modes and times.
pub fn assert_same_tree(a: &Path, b: &Path) {
    use std::os::unix::fs::MetadataExt;
    let list = |root: &Path| -> Vec<(PathBuf, u32, u64, i64, i64)> {
        walkdir::WalkDir::new(root)
            .sort_by_file_name()
            .into_iter()
            .map(|entry| {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                let len = if metadata.is_dir() { 0 } else { metadata.len() };
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                (path, metadata.mode(), len, metadata.mtime(), metadata.mtime_nsec())
            })
            .collect()
    };
    let (left, right) = (list(a), list(b));
    assert_eq!(left, right);
    for (path, mode, ..) in left {
        if mode & 0o170_000 == 0o100_000 {
            let same = fs::read(a.join(&path)).unwrap() == fs::read(b.join(&path)).unwrap();
            assert!(same, "{}", path.display());
        }
    }
}

//! A vault in memory whose stores know its clock, and a janitor.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::{EventKind, EventPayload};
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::format::role::Role;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::desk::Desk;
use idswyft_vault::ops::recorder::{KeptFile, Recorder, check_delegated};
use idswyft_vault::ops::retain::{self, Applied, Scribe, Survey, Wish};
use idswyft_vault::ops::{self, signers};
use idswyft_vault::policy::{Acceptance, RetentionPlan};
use idswyft_vault::store::{Content, Listed, LockMode, MemoryStore, StorageClass, Store};
use idswyft_vault::vault::journal::Journal;
use idswyft_vault::vault::{Auditor, ledger};
use jiff::Timestamp;

use crate::support::bucket::Bucket;
use crate::support::sha256;
use crate::support::vault::{FixedClock, TestVault};

/// Every flag there is.
pub const ALL: [Acceptance; 3] = [Acceptance::Clock, Acceptance::LastVerified, Acceptance::Many];

/// Returns parameters by which a generation ends after so many days, or never.
pub fn ending_after(days: Option<u32>) -> Parameters {
    let fields = Parameters::initial().fields().clone();
    Parameters::try_from(ParameterFields { generation_max_age_days: days, ..fields }).unwrap()
}

/// The clock of a vault, for stores that are made before it.
#[derive(Default)]
struct LateClock(OnceLock<Arc<FixedClock>>);

impl Clock for LateClock {
    fn now(&self) -> Timestamp {
        self.0.get().map_or_else(|| FixedClock::new().now(), |clock| clock.now())
    }
}

/// A vault with two stores, a janitor and a policy.
pub struct Bench {
    pub vault: TestVault,
    pub janitor: SigningKey,
}

impl Bench {
    /// Makes one with so many snapshots, a day apart.
    pub fn new(policy: &str, count: u32) -> Self {
        Self::over(policy, count, in_memory)
    }

    /// Makes one over any stores, which are given the vault's clock.
    pub fn over(
        policy: &str,
        count: u32,
        stores: impl FnOnce(Arc<dyn Clock>) -> Vec<Arc<dyn Store>>,
    ) -> Self {
        Self::written_as(Parameters::initial(), policy, count, stores)
    }

    /// Makes one whose vault has other parameters.
    pub fn written_as(
        parameters: Parameters,
        policy: &str,
        count: u32,
        stores: impl FnOnce(Arc<dyn Clock>) -> Vec<Arc<dyn Store>>,
    ) -> Self {
        let clock = Arc::new(LateClock::default());
        let stores = stores(clock.clone());
        let (dir, policy) = (crate::support::crash::scratch(), super::policy(policy));
        let vault = TestVault::governed(dir, |_| stores, parameters, &policy);
        drop(clock.0.set(vault.clock.clone()));
        let key = SigningKey::from_seed(vault.report.vault, KeyUse::Signer, &[7; 32]);
        let bench = Self { vault, janitor: key };
        bench.add_janitor();
        for _ in 0..count {
            bench.night();
        }
        bench
    }

    /// Makes one in a bucket.
    pub fn in_bucket(
        parameters: Parameters,
        policy: &str,
        count: u32,
        class: StorageClass,
        lock: Option<LockMode>,
    ) -> (Self, Bucket) {
        let mut made = None;
        let bench = Self::written_as(parameters, policy, count, |clock| {
            let bucket = Bucket::with_lock("bucket", clock, class, lock);
            let store: Arc<dyn Store> = Arc::new(bucket.clone());
            made = Some(bucket);
            vec![store]
        });
        (bench, made.unwrap())
    }

    fn add_janitor(&self) {
        let events = signers::events_for(Role::Janitor, &[]).unwrap();
        let key = self.janitor.verification_key();
        let observer = self.vault.events.as_ref();
        signers::add(&mut self.desk(), key, Role::Janitor, events, observer).unwrap();
    }

    /// Opens the vault for the operator.
    pub fn desk(&self) -> Desk {
        let (vault, kit) = (&self.vault, self.vault.path("kit"));
        let (stores, observer) = (vault.stores.clone(), vault.events.as_ref());
        let identities = vault.identities();
        Desk::open("nightly", &kit, identities, stores, None, vault.outside(), observer).unwrap()
    }

    /// Takes a snapshot a day after the last one.
    pub fn night(&self) -> SnapshotId {
        self.vault.clock.pass_hours(23);
        self.vault.snapshot().snapshot
    }

    /// Reads what these stores say.
    pub fn survey(&self, stores: &[Arc<dyn Store>]) -> Result<Survey, ops::Error> {
        let root = self.vault.report.root_key.parse().unwrap();
        let open = |store: &Arc<dyn Store>| Auditor::open(store.clone(), Clone::clone(&root));
        let auditors: Result<Vec<Auditor>, _> = stores.iter().map(open).collect();
        Survey::read(auditors?, self.vault.events.as_ref())
    }

    /// Plans by the policy.
    pub fn plan(&self) -> RetentionPlan {
        let survey = self.survey(&self.vault.stores).unwrap();
        retain::plan(&survey, Wish::Policy, self.vault.clock.now()).unwrap()
    }

    /// Applies as the janitor does, in these stores.
    pub fn apply_in(
        &self,
        stores: &[Arc<dyn Store>],
        wish: Wish<'_>,
        accepted: &[Acceptance],
    ) -> Result<Applied, ops::Error> {
        let kept = KeptFile::new(&self.vault.path("janitor"), self.janitor.signer_id());
        let key = SigningKey::from_secret_text(&self.janitor.to_secret_text()).unwrap();
        self.sign_in(stores, wish, accepted, key, kept)
    }

    /// Applies as any signer.
    pub fn sign_in(
        &self,
        stores: &[Arc<dyn Store>],
        wish: Wish<'_>,
        accepted: &[Acceptance],
        key: SigningKey,
        kept: KeptFile,
    ) -> Result<Applied, ops::Error> {
        let mut survey = self.survey(stores)?;
        check_delegated(survey.note(), key.signer_id(), EventKind::SnapshotForgotten)?;
        let now = self.vault.clock.now();
        let until = survey.event_locked_until(now)?;
        let outside = self.vault.outside();
        let (recorder, completed) =
            Recorder::open(key, survey.stores(), &survey.logs, until, Box::new(kept), &outside)?;
        if completed.is_some() || survey.is_uneven(recorder.signer()) {
            survey = self.survey(stores)?;
        }
        let plan = retain::plan(&survey, wish, now)?;
        let mut scribe = Scribe::Own(Box::new(recorder));
        let (observer, again) = (self.vault.events.as_ref(), || self.survey(stores));
        retain::apply(&survey, &plan, wish, &mut scribe, accepted, &again, observer)
    }

    /// Applies the policy as the janitor does.
    pub fn apply(&self, accepted: &[Acceptance]) -> Result<Applied, ops::Error> {
        self.apply_in(&self.vault.stores, Wish::Policy, accepted)
    }

    /// Records an event as the operator.
    pub fn say(&self, event: EventPayload) {
        let mut desk = self.desk();
        let kept = desk.operator.append_kept(event, |_| Ok::<(), std::convert::Infallible>(()));
        kept.unwrap().unwrap();
        desk.settle(self.vault.events.as_ref()).unwrap();
    }

    /// Puts the first event of the janitor's log into stores, whatever its time, as whoever has the
    /// janitor's key can.
    pub fn forge(&self, stores: &[Arc<dyn Store>], time: Timestamp, payload: EventPayload) {
        self.forge_as(&self.janitor, stores, time, vec![payload]);
    }

    /// Puts the first events of a signer's log into stores.
    pub fn forge_as(
        &self,
        key: &SigningKey,
        stores: &[Arc<dyn Store>],
        time: Timestamp,
        payloads: Vec<EventPayload>,
    ) {
        let (vault, mut journal) = (self.vault.report.vault, Journal::empty());
        let append = |payload| journal.append(key, vault, time, payload, Vec::new()).unwrap();
        for object in payloads.into_iter().flat_map(append) {
            let Payload::Bytes(bytes) = object.payload else { panic!("what is signed is bytes") };
            for store in stores {
                store.put_new(&object.key, Content::Bytes(&bytes), &object.sha256).unwrap();
            }
        }
    }

    /// Returns the snapshots that a ledger of a store says are forgotten, as often as it says so.
    pub fn said_forgotten(&self, store: &Arc<dyn Store>) -> Vec<SnapshotId> {
        let logs = ledger::read_all(&self.vault.auditor(store)).unwrap();
        assert!(logs.iter().all(|log| log.problems.is_empty() && log.pending.is_none()));
        let events = logs.into_iter().flat_map(|log| log.events);
        let forgotten = events.filter_map(|event| match event.payload {
            EventPayload::SnapshotForgotten(said) => Some(said.snapshot),
            _ => None,
        });
        forgotten.collect()
    }
}

/// Makes two stores in memory.
pub fn in_memory(clock: Arc<dyn Clock>) -> Vec<Arc<dyn Store>> {
    let store = |name| -> Arc<dyn Store> { Arc::new(MemoryStore::new(name, clock.clone())) };
    vec![store("local"), store("mirror")]
}

/// Returns the snapshots of which a store has note or body. Their lists stay until they are pruned.
pub fn there(store: &Arc<dyn Store>) -> [BTreeSet<SnapshotId>; 2] {
    let mut found = [const { BTreeSet::new() }; 2];
    for listed in store.list(Folder::Snapshots).unwrap() {
        match listed.unwrap() {
            Listed::Object(ObjectKey::Note(id), _) => found[0].insert(id),
            Listed::Object(ObjectKey::Body(id), _) => found[1].insert(id),
            _ => false,
        };
    }
    found
}

/// Stands at the time at which an object that is copied was written.
struct CopyClock(AtomicI64);

impl Clock for CopyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Copies a store with the times of its objects; what is put later is of `now`.
pub fn copy_of(store: &Arc<dyn Store>, now: Timestamp) -> Arc<dyn Store> {
    copy_with(store, now, |modified| modified)
}

/// Copies a store whose objects get other times; what is put later is of `now`.
pub fn copy_with(
    store: &Arc<dyn Store>,
    now: Timestamp,
    time: impl Fn(Timestamp) -> Timestamp,
) -> Arc<dyn Store> {
    let clock = Arc::new(CopyClock(AtomicI64::new(0)));
    let copy: Arc<dyn Store> = Arc::new(MemoryStore::new(store.name(), clock.clone()));
    for folder in Folder::ALL {
        for listed in store.list(folder).unwrap() {
            if let Listed::Object(key, stat) = listed.unwrap() {
                clock.0.store(time(stat.modified.unwrap()).as_second(), Ordering::SeqCst);
                let bytes = store.get(&key, stat.len).unwrap();
                copy.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
            }
        }
    }
    clock.0.store(now.as_second(), Ordering::SeqCst);
    copy
}

//! A small vault with every kind of record: three logs that quote one another, a hold, a policy
//! that was changed, snapshots that were forgotten, packs that were deleted. It is made once.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use idswyft_vault::base::{Clock, Code, Coded, Digest, SignerId, SnapshotId, VaultId};
use idswyft_vault::crypto::signing::{SigningKey, VerificationKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{
    HoldPlaced, Outcome, PacksDeleted, Verified, VerifiedResult, VerifiedScope,
};
use idswyft_vault::format::ledger::{LedgerEvent, SeenCheckpoint};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::policies;
use idswyft_vault::ops::recorder::{KeptFile, Recorder};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::store::{Content, Listed, MemoryStore, Store};
use idswyft_vault::vault::journal::Journal;
use idswyft_vault::vault::{Auditor, ledger};
use jiff::Timestamp;

use crate::retention::bench::Bench;
use crate::support::sha256;
use crate::support::vault::{Events, FixedClock};

/// Objects by name, as a store has them.
pub type Objects = BTreeMap<ObjectKey, Vec<u8>>;

/// What a vault has, and every key that signs for it.
pub struct Books {
    pub objects: Objects,
    pub root: VerificationKey,
    pub host: SigningKey,
    pub operator: SigningKey,
    pub janitor: SigningKey,
    /// Every snapshot that was taken, in order.
    pub taken: Vec<SnapshotId>,
    /// The one under a hold.
    pub held: SnapshotId,
    /// When the newest event was recorded.
    pub now: Timestamp,
}

/// The one vault of all tests here.
pub static BOOKS: LazyLock<Books> = LazyLock::new(make);

/// Copies a key, which must not be cloned where it is used.
pub fn same(key: &SigningKey) -> SigningKey {
    SigningKey::from_secret_text(&key.to_secret_text()).unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::new(toml::from_str::<PolicyFields>(text).unwrap()).unwrap()
}

/// Says something as the janitor does.
fn janitor_says(bench: &Bench, payload: EventPayload) {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let kept = KeptFile::new(&bench.vault.path("janitor"), bench.janitor.signer_id());
    let (stores, outside) = (survey.stores(), bench.vault.outside());
    let opened =
        Recorder::open(same(&bench.janitor), stores, &survey.logs, None, Box::new(kept), &outside);
    opened.unwrap().0.append(payload).unwrap();
}

pub fn verified() -> EventPayload {
    let (store, level) = ("local".to_owned(), "ledger".to_owned());
    let scope = VerifiedScope { store, level, snapshot: None, sample_percent: 100, until: None };
    let result = VerifiedResult { outcome: Outcome::Passed, object_count: 9, finding_count: 0 };
    EventPayload::Verified(Verified { scope, result })
}

pub fn deleted(objects: Vec<ObjectKey>) -> EventPayload {
    let store = "local".to_owned();
    EventPayload::PacksDeleted(PacksDeleted { store, objects, stored_len: 9 })
}

pub fn hold(snapshot: SnapshotId) -> EventPayload {
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    EventPayload::HoldPlaced(HoldPlaced { snapshot, until: None, reason_digest, reason_sealed })
}

fn make() -> Books {
    let bench = Bench::new("keep_last = 1\nfloor = '1d'", 0);
    bench.vault.write("a", b"first");
    let mut taken = vec![bench.night(), bench.night(), bench.night()];
    let held = taken[1];
    bench.say(hold(held));
    bench.vault.write("a", b"second");
    taken.push(bench.night());
    bench.vault.clock.pass_hours(25);
    bench.apply(&[]).unwrap();
    let (stores, observer) = (&bench.vault.stores, bench.vault.events.as_ref());
    let wanted = policy("keep_last = 2\nfloor = '30d'");
    policies::set(&mut bench.desk(), &wanted, stores, observer).unwrap();
    let pack = ObjectKey::Pack(idswyft_vault::base::PackId::from_bytes([5; 32]));
    janitor_says(&bench, deleted(vec![pack]));
    taken.extend([bench.night(), bench.night()]);
    // Whoever speaks last is quoted by nobody.
    janitor_says(&bench, verified());
    bench.vault.clock.pass_hours(1);
    bench.say(verified());
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    let operator = bench.desk().kit.root(&bench.vault.identities()).unwrap().operator_signer();
    Books {
        objects: objects_of(&bench.vault.stores[0]),
        root: bench.vault.report.root_key.parse().unwrap(),
        host: same(bench.vault.writer().key()),
        operator,
        janitor: bench.janitor,
        taken,
        held,
        now: bench.vault.clock.now(),
    }
}

/// Returns what level `ledger` reads: the rest of a store it does not look at.
fn objects_of(store: &Arc<dyn Store>) -> Objects {
    let mut objects = Objects::new();
    for folder in [Folder::Vault, Folder::Generations, Folder::Snapshots, Folder::Ledger] {
        for listed in store.list(folder).unwrap() {
            if let Listed::Object(key, stat) = listed.unwrap()
                && !matches!(key, ObjectKey::Body(_))
            {
                objects.insert(key, store.get(&key, stat.len).unwrap());
            }
        }
    }
    objects
}

/// Makes a store of objects.
pub fn store_of(objects: &Objects) -> Arc<dyn Store> {
    let store = MemoryStore::new("local", FixedClock::new());
    for (key, bytes) in objects {
        store.put_new(key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
    }
    Arc::new(store)
}

/// Returns the codes of what is found in a store of these objects, with what each is about.
pub fn found(objects: &Objects) -> Vec<(Code, String)> {
    let auditor = match Auditor::open(store_of(objects), BOOKS.root.clone()) {
        Ok(auditor) => auditor,
        // The first note proves all others, so without it there is no vault.
        Err(error) => return vec![(error.code(), error.to_string())],
    };
    let events = Events::default();
    let report = verify::verify(&auditor, None, Level::Ledger, None, &events).unwrap();
    let findings = report.findings.into_iter();
    findings.map(|one| (one.code, format!("{}: {}", one.object, one.detail))).collect()
}

/// Returns the logs of a store of these objects.
pub fn logs_of(objects: &Objects) -> Vec<ledger::SignerLog> {
    let auditor = Auditor::open(store_of(objects), BOOKS.root.clone()).unwrap();
    ledger::read_all(&auditor).unwrap()
}

impl Books {
    pub fn vault(&self) -> VaultId {
        self.root.vault()
    }

    /// Returns the number of events in a log.
    pub fn size(&self, signer: SignerId) -> u64 {
        let is_event =
            |key: &&ObjectKey| matches!(key, ObjectKey::LedgerEvent(id, _) if *id == signer);
        self.objects.keys().filter(is_event).count() as u64
    }

    /// Returns a log's events of which something is true.
    pub fn events(&self, wanted: impl Fn(&EventPayload) -> bool) -> Vec<LedgerEvent> {
        let events = logs_of(&self.objects).into_iter().flat_map(|log| log.events);
        events.filter(|event| wanted(&event.payload)).collect()
    }

    /// Returns what a signer puts who goes on behind the first `size` events of its log.
    pub fn signed(
        &self,
        key: &SigningKey,
        size: u64,
        time: Timestamp,
        payload: EventPayload,
        seen: Vec<SeenCheckpoint>,
    ) -> [(ObjectKey, Vec<u8>); 2] {
        let (vault, signer, mut journal) = (self.vault(), key.signer_id(), Journal::empty());
        for seq in 0..size {
            let leaf = &self.objects[&ObjectKey::LedgerEvent(signer, seq)];
            journal.append_leaf(key, vault, leaf).unwrap();
        }
        let event = LedgerEvent { vault, signer, seq: size, time, payload, seen };
        let leaf = event.compose().unwrap();
        let Payload::Bytes(checkpoint) = journal.append_leaf(key, vault, &leaf).unwrap().payload
        else {
            panic!("a checkpoint is bytes")
        };
        [
            (ObjectKey::LedgerEvent(signer, size), leaf),
            (ObjectKey::LedgerCheckpoint(signer, size), checkpoint),
        ]
    }

    /// Returns what a signer puts who goes on behind its log.
    pub fn appended(&self, key: &SigningKey, payload: EventPayload) -> [(ObjectKey, Vec<u8>); 2] {
        self.signed(key, self.size(key.signer_id()), self.now, payload, Vec::new())
    }
}

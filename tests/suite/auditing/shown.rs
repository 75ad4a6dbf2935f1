//! One vault with two hundred snapshots in two buckets: generations that closed, snapshots that the
//! policy let go, a hold, drills, and a mirror. It is made once.

use std::sync::{Arc, LazyLock};

use idswyft_vault::base::{Clock, SignerId, SnapshotId};
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{Drilled, DrilledResult, HoldReleased, Outcome};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::verify::{self, Evidence, Level, Request, VerifyReport};
use idswyft_vault::store::{LockMode, StorageClass, Store};
use idswyft_vault::vault::journal::Journal;
use idswyft_vault::vault::{Auditor, Unlocked};
use jiff::Timestamp;

use crate::books::fixture::{hold, same, verified};
use crate::retention::bench::{ALL, Bench, ending_after};
use crate::support::bucket::Bucket;
use crate::support::vault::{Events, noise};

pub const NIGHTS: usize = 200;
/// What is kept goes at this age at the latest; the one under a hold is older.
pub const POLICY: &str = "keep_daily = 120\nfloor = '10d'\nceiling = '150d'";
/// The number of the snapshot under a hold.
const HELD: usize = 9;

/// The vault, as it is at the end of its last night.
pub struct Shown {
    pub bench: Bench,
    pub clean: Bucket,
    pub mirror: Bucket,
    pub host: SigningKey,
    pub operator: SigningKey,
    /// Every snapshot that was taken, in order.
    pub taken: Vec<SnapshotId>,
    pub held: SnapshotId,
    /// Where the hold stands in the operator's log.
    pub hold_seq: u64,
    pub now: Timestamp,
    /// The same vault after a night without a snapshot and one with.
    pub later: Bucket,
    pub later_now: Timestamp,
}

pub static SHOWN: LazyLock<Shown> = LazyLock::new(make);

fn make() -> Shown {
    let mut made = Vec::new();
    let bench = Bench::written_as(ending_after(Some(20)), POLICY, 0, |clock| {
        let mode = Some(LockMode::Compliance);
        let primary = Bucket::with_lock("local", clock.clone(), StorageClass::StandardIa, mode);
        let mirror = Bucket::new("mirror", clock, StorageClass::Standard);
        made = vec![primary.clone(), mirror.clone()];
        vec![Arc::new(primary) as Arc<dyn Store>, Arc::new(mirror)]
    });
    let mut taken = Vec::new();
    for night in 0..NIGHTS {
        bench.vault.write(&format!("{}", night % 7), &noise(night as u64, 300));
        taken.push(bench.night());
        match night {
            20 => bench.say(hold(taken[HELD])),
            40 | 150 => bench.say(drilled(taken[night])),
            130 | 160 | 199 => drop(bench.apply(&ALL).unwrap()),
            _ => {}
        }
    }
    let (store, mirror) = (&made[0], made[1].copied());
    let (clean, now) = (store.copied(), bench.vault.clock.now());
    let operator = bench.desk().kit.root(&bench.vault.identities()).unwrap().operator_signer();
    let is_hold = |event: &LedgerEvent| matches!(event.payload, EventPayload::HoldPlaced(_));
    let events = events_of(&bench, &clean, operator.signer_id());
    let hold_seq = events.iter().find(|event| is_hold(event)).unwrap().seq;
    bench.vault.clock.pass_hours(24);
    bench.night();
    let (later, later_now) = (store.copied(), bench.vault.clock.now());
    let (host, held) = (same(bench.vault.writer().key()), taken[HELD]);
    Shown { clean, mirror, host, operator, taken, held, hold_seq, now, later, later_now, bench }
}

fn drilled(snapshot: SnapshotId) -> EventPayload {
    let result = DrilledResult { outcome: Outcome::Passed, duration_s: 600, finding_count: 0 };
    EventPayload::Drilled(Drilled { store: "local".to_owned(), snapshot, result })
}

fn events_of(bench: &Bench, bucket: &Bucket, signer: SignerId) -> Vec<LedgerEvent> {
    let store: Arc<dyn Store> = Arc::new(bucket.clone());
    let auditor = bench.vault.auditor(&store);
    let logs = idswyft_vault::vault::ledger::read_all(&auditor).unwrap();
    logs.into_iter().find(|log| log.signer == signer).unwrap().events
}

impl Shown {
    /// Opens a bucket as an auditor does.
    pub fn auditor(&self, store: Arc<dyn Store>) -> Auditor {
        Auditor::open(store, self.bench.vault.report.root_key.parse().unwrap()).unwrap()
    }

    /// Verifies the first store at a level, by somebody who was told its class and its locks.
    pub fn verify(&self, store: Arc<dyn Store>, level: Level, now: Timestamp) -> VerifyReport {
        let (class, lock) = (Some(StorageClass::StandardIa), Some(LockMode::Compliance));
        let evidence = Evidence { class, lock, ..Evidence::NONE };
        self.verify_as(store, &Request { now: Some(now), evidence, ..Request::of(level) })
    }

    /// Verifies a store, with an identity where that needs one.
    pub fn verify_as(&self, store: Arc<dyn Store>, request: &Request<'_>) -> VerifyReport {
        let (auditor, observer) = (self.auditor(store), Events::default());
        if request.level < Level::Contents {
            return verify::verify_as(&auditor, None, request, &observer).unwrap();
        }
        let unlocked = Unlocked::new(auditor, self.bench.vault.identities()).unwrap();
        verify::verify_as(unlocked.auditor(), Some(&unlocked), request, &observer).unwrap()
    }

    /// Returns the events in a signer's log.
    pub fn events(&self, signer: SignerId) -> Vec<LedgerEvent> {
        events_of(&self.bench, &self.clean, signer)
    }

    /// Returns the newest snapshot but so many.
    pub fn newest(&self, before: usize) -> SnapshotId {
        self.taken[NIGHTS - 1 - before]
    }

    /// Returns the name of a pack that only the newest snapshot needs.
    pub fn last_pack(&self) -> String {
        let auditor = self.auditor(Arc::new(self.clean.clone()));
        let packs_of = |id| {
            let list = auditor.list(&auditor.snapshot(id).unwrap()).unwrap().into_iter();
            list.map(|entry| entry.key).filter(|key| matches!(key, ObjectKey::Pack(_)))
        };
        let before: Vec<ObjectKey> = packs_of(self.newest(1)).collect();
        let own = packs_of(self.newest(0)).find(|key| !before.contains(key));
        own.expect("another file came in the last night").to_string()
    }

    /// Returns a pack that several snapshots need.
    pub fn shared_pack(&self) -> ObjectKey {
        let auditor = self.auditor(Arc::new(self.clean.clone()));
        let list = |id| auditor.list(&auditor.snapshot(id).unwrap()).unwrap();
        let (one, other) = (list(self.newest(2)), list(self.newest(3)));
        let shared = one.iter().find(|entry| {
            matches!(entry.key, ObjectKey::Pack(_)) && other.iter().any(|it| it.key == entry.key)
        });
        shared.expect("files of earlier nights are needed by both").key
    }

    /// Lets a signer say something more, in a bucket, at a time.
    pub fn append(&self, bucket: &Bucket, key: &SigningKey, time: Timestamp, said: EventPayload) {
        let signer = key.signer_id();
        let (mut journal, mut size) = (Journal::empty(), 0);
        let vault = self.bench.vault.report.vault;
        while let Some(leaf) = bytes(bucket, ObjectKey::LedgerEvent(signer, size)) {
            journal.append_leaf(key, vault, &leaf).unwrap();
            size += 1;
        }
        for object in journal.append(key, vault, time, said, Vec::new()).unwrap() {
            let Payload::Bytes(bytes) = &object.payload else { panic!("what is signed is bytes") };
            let like = ObjectKey::LedgerEvent(signer, size - 1).to_string();
            bucket.put_like(&object.key.to_string(), &like, bytes);
        }
    }

    /// Rewrites an event of a signer's log, and signs everything after it anew.
    pub fn fork(&self, bucket: &Bucket, key: &SigningKey, seq: u64, said: &EventPayload) {
        let (signer, vault) = (key.signer_id(), self.bench.vault.report.vault);
        let mut journal = Journal::empty();
        for mut event in self.events(signer) {
            if event.seq == seq {
                event.payload = said.clone();
            }
            let leaf = event.compose().unwrap();
            let checkpoint = journal.append_leaf(key, vault, &leaf).unwrap();
            let Payload::Bytes(signed) = &checkpoint.payload else { panic!("they are bytes") };
            put(bucket, ObjectKey::LedgerEvent(signer, event.seq), &leaf);
            put(bucket, ObjectKey::LedgerCheckpoint(signer, event.seq), signed);
        }
    }

    /// Returns the release of the one hold.
    pub fn release(&self) -> EventPayload {
        let EventPayload::HoldPlaced(placed) = hold(self.held) else { panic!("it is a hold") };
        EventPayload::HoldReleased(HoldReleased {
            snapshot: self.held,
            placed_by: self.operator.signer_id(),
            placed_seq: self.hold_seq,
            reason_digest: placed.reason_digest,
            reason_sealed: placed.reason_sealed,
        })
    }

    /// Returns what a signer may say that changes nothing.
    pub fn small_talk() -> EventPayload {
        verified()
    }
}

/// Lets an object of a bucket be these bytes, with the class and the lock that it has.
pub fn put(bucket: &Bucket, key: ObjectKey, bytes: &[u8]) {
    bucket.put_like(&key.to_string(), &key.to_string(), bytes);
}

/// Returns what a bucket has under a name.
pub fn bytes(bucket: &Bucket, key: ObjectKey) -> Option<Vec<u8>> {
    Store::get(bucket, &key, 1 << 30).ok()
}

//! A vault in a bucket whose packs are archived, and a clock that only waiting moves.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::restore::{Part, PathFilter};
use idswyft_vault::ops::thaw::{DAYS_DEFAULT, Need, PriceTable, Thaw, Waiter, need};
use idswyft_vault::store::{StorageClass, Store, ThawTier};

use crate::support::Call;
use crate::support::bucket::Bucket;
use crate::support::vault::{FixedClock, TestVault, noise};

/// What else happens while somebody waits.
type Meanwhile = Box<dyn FnMut(usize) + Send>;

/// Lets the clock of the bucket go on instead of waiting, and remembers how long.
#[derive(Default)]
pub struct PassingTime {
    clock: Option<Arc<FixedClock>>,
    waits: Mutex<Vec<Duration>>,
    /// Is called before each wait with how many there were.
    pub meanwhile: Mutex<Option<Meanwhile>>,
}

impl PassingTime {
    pub fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl Waiter for PassingTime {
    fn wait(&self, time: Duration) {
        let count = self.waits.lock().unwrap().len();
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().as_mut() {
            meanwhile(count);
        }
        self.waits.lock().unwrap().push(time);
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.clock.as_ref().unwrap().pass_seconds(seconds);
    }
}

/// The vault, its bucket, and four snapshots, each of which has a file and a dump of its own.
pub struct ColdVault {
    pub vault: TestVault,
    pub bucket: Bucket,
    pub clock: Arc<FixedClock>,
    pub waiter: Arc<PassingTime>,
    pub snapshots: Vec<SnapshotId>,
}

impl ColdVault {
    pub fn new(class: StorageClass) -> Self {
        let clock = FixedClock::new();
        let bucket = Bucket::new("glacier", clock.clone(), class);
        let store: Arc<dyn Store> = Arc::new(bucket.clone());
        let vault = TestVault::with(|_| vec![store], Parameters::initial());
        let mut snapshots = Vec::new();
        for (name, seed) in [("a.jpg", 1), ("deep/b.jpg", 2), ("deep/c.jpg", 3), ("z.jpg", 4)] {
            vault.write(name, &noise(seed, 150_000));
            vault.write_dump(&[format!("{seed}\tJane\t{}", hex::encode(noise(seed, 40_000)))]);
            snapshots.push(vault.snapshot().snapshot);
        }
        bucket.forget_calls();
        let waiter = PassingTime { clock: Some(clock.clone()), ..PassingTime::default() };
        Self { vault, bucket, clock, waiter: Arc::new(waiter), snapshots }
    }

    /// Returns the newest snapshot.
    pub fn last(&self) -> SnapshotId {
        self.snapshots[self.snapshots.len() - 1]
    }

    /// Returns what thaws packs of the bucket, on the machine with this name.
    pub fn thaw_on(&self, machine: &str, tier: Option<ThawTier>) -> Thaw {
        self.thaw_of(Arc::new(self.bucket.clone()), machine, tier)
    }

    /// Returns what thaws packs of a store that stands before the bucket.
    pub fn thaw_of(&self, store: Arc<dyn Store>, machine: &str, tier: Option<ThawTier>) -> Thaw {
        Thaw {
            store,
            tier,
            days: DAYS_DEFAULT,
            prices: PriceTable::default(),
            lists: Some(self.lists_of(machine)),
            clock: self.clock.clone() as Arc<dyn Clock>,
            waiter: self.waiter.clone(),
            observer: self.vault.events.clone(),
        }
    }

    pub fn lists_of(&self, machine: &str) -> PathBuf {
        self.vault.path(machine).join("thaws")
    }

    /// Returns what a whole snapshot needs.
    pub fn need(&self, snapshot: SnapshotId) -> Need {
        need::of_snapshot(&self.vault.unlocked(), snapshot, None, None).unwrap()
    }

    /// Returns what some files of the newest snapshot need.
    pub fn need_of(&self, pattern: &str) -> Need {
        let filter = PathFilter::parse(&[pattern]).unwrap();
        let part = Some(Part::Uploads);
        need::of_snapshot(&self.vault.unlocked(), self.last(), part, Some(&filter)).unwrap()
    }

    /// Returns every pack that was asked to be thawed, in order, and forgets all calls.
    pub fn asked(&self) -> Vec<ObjectKey> {
        let calls = self.bucket.calls();
        self.bucket.forget_calls();
        let asked = calls.into_iter().filter_map(|call| match call {
            Call::Thaw(key) => Some(key),
            _ => None,
        });
        asked.collect()
    }

    /// Returns every pack that was read, in order.
    pub fn read(&self) -> Vec<ObjectKey> {
        let is_read =
            |call: &Call| matches!(call, Call::Get(_) | Call::GetRange(..) | Call::Open(_));
        let calls = self.bucket.calls().into_iter().filter(is_read);
        calls.filter_map(|call| call.key()).filter(|key| key.folder() == Folder::Packs).collect()
    }

    /// Returns every pack in the bucket.
    pub fn all_packs(&self) -> BTreeSet<ObjectKey> {
        let listed = self.bucket.list(Folder::Packs).unwrap();
        let keys = listed.filter_map(|listed| match listed {
            Ok(idswyft_vault::store::Listed::Object(key, _)) => Some(key),
            _ => None,
        });
        keys.collect()
    }
}

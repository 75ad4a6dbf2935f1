//! Everything that one seed decides: vaults, stores, sources, the clock and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Observer, SnapshotId};
use idswyft_vault::crypto::identity::{DataIdentities, GenerationIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::store::Store;
use idswyft_vault::vault::state::StateDir;
use idswyft_vault::vault::{Auditor, Outside, Unlocked, Writer};

use super::dump::Database;
use super::faults::{Attempt, Crash, Disk, Faults, Scope};
use super::place::Place;
use super::tree::{Time, Tree};
use super::uploads::Uploads;
use crate::support::vault::{Events, FixedClock};
use crate::support::{FaultyStore, Random, SeededEntropy};

/// What a snapshot is to hold.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The dump.
    pub dump: Option<Arc<String>>,
    /// Its rows.
    pub row_count: u64,
    /// The uploads.
    pub uploads: Option<Arc<Tree>>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What its run warned of and kept.
    pub warnings: Vec<Code>,
}

/// What a vault is to hold.
#[derive(Default)]
pub struct Archive {
    /// The snapshots that the primary store has.
    pub durable: BTreeMap<SnapshotId, Expected>,
    /// The one that is committed and on its way there.
    pub pending: Option<(SnapshotId, Expected)>,
    /// All snapshots, in the order in which they were committed.
    pub order: Vec<SnapshotId>,
    /// Those whose ids sort before that of the one before them: the clock had gone back.
    pub behind: BTreeSet<SnapshotId>,
}

impl Archive {
    /// Returns the newest snapshot.
    pub fn newest(&self) -> Option<SnapshotId> {
        let pending = self.pending.as_ref().map(|(id, _)| *id);
        self.durable.keys().copied().chain(pending).max()
    }

    /// Takes note that a snapshot was committed; what was committed before is delivered by then.
    pub fn commit(&mut self, id: SnapshotId, expected: Expected) {
        self.settle();
        if self.order.last().is_some_and(|last| id < *last) {
            self.behind.insert(id);
        }
        self.order.push(id);
        self.pending = Some((id, expected));
    }

    /// Takes note that the pending one is in the primary store.
    pub fn settle(&mut self) {
        self.durable.extend(self.pending.take());
    }

    /// Takes note that what was on its way is lost.
    pub fn forget_pending(&mut self) {
        if self.pending.take().is_some() {
            self.order.pop();
        }
    }
}

/// A vault and what it is to hold.
pub struct Vault {
    /// Its name.
    pub name: &'static str,
    /// The period whose first snapshot it admits, as its policy says.
    pub every: Option<&'static str>,
    /// Its root verification key.
    pub root_key: String,
    /// Its stores, the primary first.
    pub places: Vec<Place>,
    /// What it is to hold.
    pub archive: Archive,
}

/// What an attempt to write meets of one vault.
pub struct Met {
    /// Its stores, the primary first.
    pub stores: Vec<Arc<FaultyStore>>,
    /// The host's own disk.
    pub disk: Arc<Disk>,
}

impl Met {
    /// Returns the stores for the program.
    pub fn stores(&self) -> Vec<Arc<dyn Store>> {
        self.stores.iter().map(|store| Arc::clone(store) as Arc<dyn Store>).collect()
    }

    /// Returns how many faults no run can end well with: those of mirrors are none.
    pub fn fatal_count(&self) -> u64 {
        let primary = &self.stores[0];
        primary.fault_count() - primary.reading_fault_count() + self.disk.fault_count()
    }

    /// Returns how many faults of the primary store a run may or may not end well with: it is read
    /// for a name that is taken, and for a mirror that lags.
    pub fn reading_count(&self) -> u64 {
        self.stores[0].reading_fault_count()
    }

    /// Returns how many faults there were.
    pub fn fault_count(&self) -> u64 {
        self.disk.fault_count() + self.stores.iter().map(|store| store.fault_count()).sum::<u64>()
    }

    /// Takes note of what the stores of a vault may lack, and may have too much of.
    pub fn mark(&self, places: &mut [Place], left_nothing: bool) {
        for (place, store) in places.iter_mut().zip(&self.stores) {
            let fault_count = self.fatal_count() + self.reading_count() + store.fault_count();
            place.is_clean &= left_nothing && fault_count == 0;
            // Mirrors come behind the primary store.
            place.lags = fault_count > 0;
        }
    }
}

/// Everything.
pub struct World {
    /// The seed.
    pub seed: u64,
    /// Draws the steps.
    pub random: Random,
    /// Where everything is.
    pub root: PathBuf,
    /// The time.
    pub clock: Arc<FixedClock>,
    /// What the operations said.
    pub events: Arc<Events>,
    /// What goes wrong.
    pub faults: Faults,
    /// The uploads, if any are archived.
    pub uploads: Option<Uploads>,
    /// The database, if it is archived.
    pub database: Option<Database>,
    /// The vaults, which share the sources.
    pub vaults: Vec<Vault>,
    /// How many steps were taken.
    pub step_count: u64,
    /// The operator.
    pub operator: GenerationIdentity,
}

impl World {
    /// Returns the time as files have it.
    pub fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Draws the time that a file gets: usually about now.
    pub fn draw_time(&mut self) -> Time {
        let nsec = i64::try_from(self.random.below(1_000_000_000)).unwrap();
        let sec = match self.random.below(12) {
            0 => *self.random.pick(&[-1, 0, 1, 1_000_000_000, 4_000_000_000]),
            _ => self.now(),
        };
        (sec, nsec)
    }

    /// Returns a seed of this step alone, so that no step depends on how much another drew.
    pub fn step_seed(&self, purpose: u64) -> u64 {
        Random::from_seed(self.seed ^ (self.step_count << 20) ^ (purpose << 56)).next()
    }

    /// Returns time, randomness and disk for one vault in this step.
    ///
    /// Each vault draws from a stream of its own: two work at the same time, in any order.
    pub fn outside(&self, vault: usize, disk: &Arc<Disk>) -> Outside {
        let entropy = Arc::new(SeededEntropy::new(self.step_seed(1 + vault as u64)));
        Outside { clock: self.clock.clone(), entropy, gate: disk.clone() }
    }

    /// Starts an attempt to write.
    pub fn attempt(&self, crash: Option<Crash>, scope: Scope) -> Arc<Attempt> {
        Attempt::new(self.step_seed(0), crash, scope)
    }

    /// Returns what an attempt to write meets of a vault.
    pub fn meet(&self, vault: usize, attempt: &Arc<Attempt>) -> Met {
        let meet = |(index, place): (usize, &Place)| {
            let permille = match (place.is_up, index) {
                (false, _) => 1000,
                (true, 0) => self.faults.primary_permille,
                (true, _) => self.faults.mirror_permille,
            };
            attempt.meet(place.host_store(), permille)
        };
        let stores = self.vaults[vault].places.iter().enumerate().map(meet).collect();
        Met { stores, disk: Disk::new(attempt) }
    }

    /// Returns a store of a vault without faults.
    pub fn store(&self, vault: usize, place: usize) -> Arc<dyn Store> {
        self.vaults[vault].places[place].store()
    }

    /// Returns a store of a vault without faults, as it would be with everything in it thawed.
    pub fn thawed_store(&self, vault: usize, place: usize) -> Arc<dyn Store> {
        self.vaults[vault].places[place].thawed_store()
    }

    /// Returns the state directory of a vault.
    pub fn state(&self, vault: usize) -> StateDir {
        StateDir::new(&self.root.join("state"), self.vaults[vault].name)
    }

    /// Opens the host's side of a vault.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn writer(&self, vault: usize, met: &Met) -> Result<Writer, idswyft_vault::vault::Error> {
        Writer::open(self.state(vault), met.stores(), self.outside(vault, &met.disk))
    }

    /// Returns to whom generations are sealed.
    pub fn recipients(&self) -> DataRecipients {
        DataRecipients::parse(&[self.operator.recipient().to_string()]).unwrap()
    }

    /// Opens the auditor's side of a store.
    ///
    /// # Errors
    /// If the store fails.
    pub fn auditor(
        &self,
        vault: usize,
        store: Arc<dyn Store>,
    ) -> Result<Auditor, idswyft_vault::vault::Error> {
        Auditor::open(store, self.vaults[vault].root_key.parse().unwrap())
    }

    /// Opens the operator's side of a store.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unlocked(
        &self,
        vault: usize,
        store: Arc<dyn Store>,
    ) -> Result<Unlocked, idswyft_vault::vault::Error> {
        let text = self.operator.to_secret_text();
        let identities = DataIdentities::parse("operator", text.as_bytes(), &NoPassphrase).unwrap();
        Unlocked::new(self.auditor(vault, store)?, identities)
    }

    /// Returns who listens.
    pub fn observer(&self) -> Arc<dyn Observer> {
        self.events.clone()
    }
}

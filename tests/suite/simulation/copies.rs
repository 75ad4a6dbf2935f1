//! Steps that give one store what another has. Spec: `repair.md` §2.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::Error;
use idswyft_vault::ops::replicate::{self, Replicated, Replication, Settling};
use idswyft_vault::store::{Receipt, Store};
use idswyft_vault::vault::signed::Signed;

use super::check::listed;
use super::faults::Scope;
use super::world::{Vault, World};

/// One store of a vault gets what another has.
#[derive(Debug)]
pub struct Copies {
    vault: usize,
    from: usize,
    to: usize,
    who: Who,
}

/// Whose machine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The host's own: its manifest learns what went over.
    Host,
    /// Another one.
    Other,
}

impl Who {
    /// Returns the host's manifest, if this is the host.
    pub fn settling(self, world: &World, vault: usize) -> Option<Settling> {
        match self {
            Self::Host => Settling::open(&world.state(vault)).unwrap(),
            Self::Other => None,
        }
    }
}

/// Tells a manifest, if there is one, of an object that a store got.
pub fn settle(
    settling: Option<&Settling>,
    store: &dyn Store,
    key: &ObjectKey,
    receipt: &Receipt,
) -> Result<(), Error> {
    settling.map_or(Ok(()), |settling| settling.settle(store.name(), key, receipt))
}

/// Makes an empty directory for objects on their way.
pub fn scratch_dir(world: &World) -> PathBuf {
    let path = world.root.join("scratch");
    fs::create_dir_all(&path).unwrap();
    path
}

impl Copies {
    /// Draws two stores of one vault that answer, if there are.
    pub fn draw(world: &mut World) -> Option<Self> {
        let up = world.places_where(|place| place.is_up);
        let (vault, from) = *world.random.pick(&up);
        let others: Vec<usize> = up
            .into_iter()
            .filter(|&(other, place)| other == vault && place != from)
            .map(|(_, place)| place)
            .collect();
        if others.is_empty() {
            return None;
        }
        let (to, who) = (*world.random.pick(&others), *world.random.pick(&[Who::Host, Who::Other]));
        // A store without the vault's first note has nothing to give.
        listed(world, vault, from).map(|_| Self { vault, from, to, who })
    }

    /// Copies; without a fault every snapshot is there then, or waits for a thaw.
    pub fn apply(&self, world: &mut World) -> String {
        let attempt = world.attempt(None, Scope::Every);
        let meet = |place| attempt.meet(world.store(self.vault, place), world.faults.read_permille);
        let (source, target) = (meet(self.from), meet(self.to));
        let copied = self.copy(world, source.clone(), target.clone());
        let faults = source.fault_count() + target.fault_count();
        world.events.warnings();
        let outcome = match &copied {
            Ok(report) if faults == 0 => {
                self.check_copied(world, report);
                let held = report.held_back.len();
                format!("{} objects, {held} snapshots wait", report.object_count)
            }
            Ok(report) => format!("{} objects", report.object_count),
            Err(error) => {
                assert!(faults > 0, "{error}");
                "failed".to_owned()
            }
        };
        // What was put and reported as failed is no damage, and half a file may be left.
        world.vaults[self.vault].places[self.to].is_clean &= faults == 0;
        outcome
    }

    fn copy(
        &self,
        world: &World,
        source: Arc<dyn Store>,
        target: Arc<dyn Store>,
    ) -> Result<Replicated, Error> {
        let root = world.vaults[self.vault].root_key.parse().unwrap();
        let signed = Signed::gather(&[Arc::clone(&source), Arc::clone(&target)], &root)?;
        assert_eq!(signed.forks(), [], "nobody wrote two histories");
        let settling = self.who.settling(world, self.vault);
        let scratch = scratch_dir(world);
        let request = Replication {
            source: &source,
            target: &target,
            signed: &signed,
            begun: &BTreeMap::new(),
            scratch: &scratch,
            now: world.clock.now(),
            settle: &|key, receipt| settle(settling.as_ref(), target.as_ref(), key, receipt),
        };
        replicate::replicate(&request, world.events.as_ref())
    }

    fn check_copied(&self, world: &World, report: &Replicated) {
        let Vault { places, .. } = &world.vaults[self.vault];
        // What was planted there or put over another is nobody's loss, and is told of.
        let touched = &places[self.from].touched;
        let damaged = report.damaged.iter().filter(|one| !touched.contains(&one.object));
        assert_eq!(damaged.count(), 0, "{:?}", report.damaged);
        let snapshots = |place| -> BTreeSet<SnapshotId> {
            listed(world, self.vault, place).into_iter().flatten().collect()
        };
        let waiting: BTreeSet<SnapshotId> = report.held_back.iter().copied().collect();
        assert!(waiting.is_empty() || places[self.from].is_cold(), "{waiting:?}");
        let (there, here) = (snapshots(self.from), snapshots(self.to));
        let lacking: BTreeSet<_> = there.difference(&here).copied().collect();
        assert!(lacking.is_subset(&waiting), "{lacking:?} did not go over");
    }
}

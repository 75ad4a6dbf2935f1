//! Steps over archived packs: plan, request, wait, restore. Spec: `thaw.md`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use idswyft_vault::base::{Code, Coded, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::Error;
use idswyft_vault::ops::restore::RestoreReport;
use idswyft_vault::ops::thaw::{Need, PriceTable, Thaw, Waiter, WaitingStore, need};
use idswyft_vault::store::{Readiness, StorageClass, Store, ThawTier};

use super::check::listed;
use super::faults::Scope;
use super::restore::{check_parts, check_whole, remove, restore_with};
use super::world::World;
use crate::support::vault::FixedClock;
use crate::support::{Call, FaultyStore};

/// A snapshot whose packs are archived is asked for.
#[derive(Debug)]
pub struct Thawing {
    vault: usize,
    place: usize,
    snapshot: SnapshotId,
    tier: Option<ThawTier>,
    days: u32,
    patience: Patience,
}

/// What is done once it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Another call comes back for it.
    Leaves,
    /// It is restored as its packs become ready.
    Stays,
}

/// Lets the clock go on instead of waiting.
struct PassingTime(Arc<FixedClock>);

impl Waiter for PassingTime {
    fn wait(&self, time: Duration) {
        self.0.pass_seconds(i64::try_from(time.as_secs()).unwrap());
    }
}

impl Thawing {
    /// Draws a snapshot in a store with archived packs, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        let cold = world.places_where(|place| place.is_cold() && place.touched.is_empty());
        if cold.is_empty() {
            return None;
        }
        let (vault, place) = *world.random.pick(&cold);
        let ids = listed(world, vault, place)?;
        let random = &mut world.random;
        let tiers = [None, None, Some(ThawTier::Bulk), Some(ThawTier::Standard)];
        let patience = *random.pick(&[Patience::Leaves, Patience::Stays]);
        (!ids.is_empty()).then(|| Self {
            vault,
            place,
            snapshot: *random.pick(&ids),
            tier: match random.below(8) {
                0 => Some(ThawTier::Expedited),
                _ => *random.pick(&tiers),
            },
            days: *random.pick(&[1, 3, 30]),
            patience,
        })
    }

    /// Asks; what is ready is restored, and what is not is told with the right code.
    pub fn apply(&self, world: &mut World) -> String {
        let real = world.store(self.vault, self.place);
        let unlocked = world.unlocked(self.vault, Arc::clone(&real)).unwrap();
        let need = need::of_snapshot(&unlocked, self.snapshot, None, None).unwrap();
        let frozen = those(real.as_ref(), &need, &[Readiness::Frozen]);
        let cold = those(real.as_ref(), &need, &[Readiness::Frozen, Readiness::Thawing]);
        let attempt = world.attempt(None, Scope::Every);
        let store = attempt.meet(real, world.faults.read_permille);
        let thaw = self.thaw(world, &store);
        let bucket = world.vaults[self.vault].places[self.place].bucket.clone().unwrap();
        bucket.forget_calls();
        let target = world.root.join("restored");
        let restored = thaw.ask(&need).and_then(|packs| match self.patience {
            Patience::Leaves => {
                thaw.check(&packs)?;
                restore_with(world, &unlocked, self.snapshot, &target)
            }
            Patience::Stays => {
                let waiting = WaitingStore::new(thaw, need.clone());
                let unlocked = unlocked.through(Arc::new(waiting));
                restore_with(world, &unlocked, self.snapshot, &target)
            }
        });
        let asked: Vec<ObjectKey> = bucket.calls().iter().filter_map(asked_for).collect();
        let faults = store.fault_count();
        self.check_asked(world, &asked, &need, (&frozen, faults));
        let outcome = self.check_restored(world, restored, (&frozen, &cold), faults);
        remove(&target);
        world.events.warnings();
        format!("{outcome}; asked for {} of {} packs", asked.len(), need.len())
    }

    fn thaw(&self, world: &World, store: &Arc<FaultyStore>) -> Thaw {
        Thaw {
            store: store.clone(),
            tier: self.tier,
            days: self.days,
            prices: PriceTable::default(),
            lists: Some(world.root.join("thaws").join(world.vaults[self.vault].name)),
            clock: world.clock.clone(),
            waiter: Arc::new(PassingTime(world.clock.clone())),
            observer: world.observer(),
        }
    }

    /// Nothing is asked for without a tier, nothing that is not needed, and nothing twice in a
    /// call that does not wait.
    fn check_asked(
        &self,
        world: &World,
        asked: &[ObjectKey],
        need: &Need,
        (frozen, faults): (&Need, u64),
    ) {
        let set: BTreeSet<ObjectKey> = asked.iter().copied().collect();
        assert!(set.is_subset(need), "{set:?} of {need:?}");
        if self.tier.is_none() || !self.is_offered(world) {
            return assert_eq!(asked, [], "nobody chose to pay for it");
        }
        if faults == 0 {
            assert!(frozen.is_subset(&set), "{frozen:?} of {set:?}");
            let is_once = self.patience == Patience::Stays || set.len() == asked.len();
            assert!(is_once, "something was asked for twice: {asked:?}");
        }
    }

    /// Tells whether the class of the packs has the tier.
    fn is_offered(&self, world: &World) -> bool {
        let bucket = world.vaults[self.vault].places[self.place].bucket.as_ref().unwrap();
        bucket.pack_class() != StorageClass::DeepArchive || self.tier != Some(ThawTier::Expedited)
    }

    fn check_restored(
        &self,
        world: &World,
        restored: Result<RestoreReport, Error>,
        (frozen, cold): (&Need, &Need),
        faults: u64,
    ) -> String {
        let expected = &world.vaults[self.vault].archive.durable[&self.snapshot];
        let target = world.root.join("restored");
        let error = match restored {
            Ok(report) if report.losses.is_empty() => {
                check_whole(expected, &target);
                return "whole".to_owned();
            }
            Ok(report) => {
                assert!(faults > 0, "{:?}", report.losses);
                check_parts(expected, &target, &report);
                return format!("{} losses", report.losses.len());
            }
            Err(error) => error,
        };
        if faults > 0 {
            return "failed".to_owned();
        }
        let code = match self.tier {
            None if !frozen.is_empty() => Code::ObjectArchived,
            Some(_) if !frozen.is_empty() && !self.is_offered(world) => Code::UsageInvalid,
            _ => Code::ThawWaiting,
        };
        assert_eq!(error.code(), code, "{error}");
        let may_wait = self.patience == Patience::Leaves;
        assert!(!cold.is_empty() && (may_wait || code != Code::ThawWaiting), "{error}");
        code.text().to_owned()
    }
}

/// Returns the packs of which a store says one of these.
fn those(store: &dyn Store, need: &Need, readiness: &[Readiness]) -> Need {
    let is_one = |key: &&ObjectKey| {
        store.stat(key).unwrap().is_some_and(|stat| readiness.contains(&stat.readiness))
    };
    need.iter().filter(is_one).copied().collect()
}

fn asked_for(call: &Call) -> Option<ObjectKey> {
    if let Call::Thaw(key) = call { Some(*key) } else { None }
}

//! Steps that damage a store, and heal it from the others. Spec: `repair.md` §3.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use idswyft_vault::base::Clock;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::Error;
use idswyft_vault::ops::repair::{self, Depth, Outcome, Remedy, Repair, RepairReport};
use idswyft_vault::store::Store;
use idswyft_vault::vault::signed::Signed;

use super::copies::{Who, scratch_dir, settle};
use super::faults::{Attempt, Faults, Scope};
use super::place::Place;
use super::world::World;
use crate::support::names_in;

/// Objects of one store are damaged, and healed from the others.
#[derive(Debug)]
pub struct Healing {
    vault: usize,
    place: usize,
    /// Which of the objects that another store has as well, and what happens to each.
    harms: Vec<(u64, Harm)>,
    who: Who,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Removed,
    Cut,
    Altered,
}

const HARMS: [Harm; 3] = [Harm::Removed, Harm::Cut, Harm::Altered];

impl Healing {
    /// Draws a store of a vault that has another one, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        let shared = world.places_where(|place| place.is_up);
        let is_shared = |&(vault, _): &(usize, usize)| {
            shared.iter().filter(|(other, _)| *other == vault).count() > 1
        };
        let places: Vec<_> = shared.iter().copied().filter(is_shared).collect();
        if places.is_empty() {
            return None;
        }
        let random = &mut world.random;
        let (vault, place) = *random.pick(&places);
        let count = 1 + random.below(3);
        let harms = (0..count).map(|_| (random.next(), *random.pick(&HARMS))).collect();
        Some(Self { vault, place, harms, who: *random.pick(&[Who::Host, Who::Other]) })
    }

    /// Damages and repairs; then everything is as it was.
    pub fn apply(&self, world: &mut World) -> String {
        let shared = self.shared(world);
        if shared.is_empty() {
            return "no other store has anything".to_owned();
        }
        let mut harmed = BTreeSet::new();
        let place = &world.vaults[self.vault].places[self.place];
        let before = contents(place);
        for (at, harm) in &self.harms {
            let index = usize::try_from(at % shared.len() as u64).unwrap();
            let (key, bytes) = shared.iter().nth(index).unwrap();
            if harmed.insert(key.to_string()) {
                damage(place, key, bytes, *harm);
            }
        }
        let attempt = world.attempt(None, Scope::Every);
        let (mut repaired, mut faults) = self.repair(world, &attempt);
        if faults > 0 {
            let usual = std::mem::replace(&mut world.faults, Faults::none());
            world.step_count += 1;
            (repaired, _) = self.repair(world, &world.attempt(None, Scope::Every));
            world.faults = usual;
        }
        let report = repaired.unwrap();
        world.events.warnings();
        assert!(report.forks.is_empty(), "nobody wrote two histories: {:?}", report.forks);
        // What a read that failed showed as damaged was replaced as well, in two attempts.
        if faults == 0 {
            self.check_cases(world, &report, &harmed);
        }
        let after = contents(&world.vaults[self.vault].places[self.place]);
        for (name, bytes) in &before {
            assert!(after.get(name) == Some(bytes), "{name} is another: {:?}", report.cases);
        }
        faults += u64::from(!self.harms.iter().all(|(_, harm)| *harm == Harm::Removed));
        world.vaults[self.vault].places[self.place].is_clean &= faults == 0;
        let names: Vec<String> = harmed.into_iter().collect();
        format!("{} healed: {}", report.healed_count, names.join(", "))
    }

    /// Returns what must be in the store, is there, and can be read in another one.
    fn shared(&self, world: &World) -> BTreeMap<ObjectKey, Vec<u8>> {
        let places = &world.vaults[self.vault].places;
        let others = self.others(world);
        let own = places[self.place].thawed_store();
        let mut shared = BTreeMap::new();
        for key in self.needed(world) {
            let is_touched = places.iter().any(|place| place.touched.contains(&key.to_string()));
            let Ok(bytes) = own.get(&key, u64::MAX) else { continue };
            if !is_touched && others.iter().any(|other| other.get(&key, u64::MAX).is_ok()) {
                shared.insert(key, bytes);
            }
        }
        shared
    }

    /// Returns every object that something signed names.
    fn needed(&self, world: &World) -> BTreeSet<ObjectKey> {
        let root = world.vaults[self.vault].root_key.parse().unwrap();
        let every: Vec<_> =
            self.others(world).into_iter().chain([world.store(self.vault, self.place)]).collect();
        let signed = Signed::gather(&every, &root).unwrap();
        let mut needed: BTreeSet<_> =
            Folder::ALL.into_iter().flat_map(|folder| signed.objects(folder)).collect();
        for snapshot in signed.snapshots() {
            let list = signed.list(&every, &snapshot.note).unwrap().unwrap_or_default();
            needed.extend(list.into_iter().map(|entry| entry.key));
        }
        needed
    }

    /// Returns the other stores that answer.
    fn others(&self, world: &World) -> Vec<Arc<dyn Store>> {
        let places = world.vaults[self.vault].places.iter().enumerate();
        let others = places.filter(|(at, place)| *at != self.place && place.is_up);
        others.map(|(_, place)| place.store()).collect()
    }

    /// Repairs the store; returns how many faults there were, too.
    fn repair(&self, world: &World, attempt: &Arc<Attempt>) -> (Result<RepairReport, Error>, u64) {
        let meet = |store| attempt.meet(store, world.faults.read_permille);
        let faulty = meet(world.store(self.vault, self.place));
        let sources: Vec<_> = self.others(world).into_iter().map(meet).collect();
        let target: Arc<dyn Store> = faulty.clone();
        let others: Vec<Arc<dyn Store>> =
            sources.iter().map(|source| Arc::clone(source) as Arc<dyn Store>).collect();
        let repaired = self.repair_from(world, &target, &others);
        let faults = sources.iter().map(|source| source.fault_count()).sum::<u64>();
        (repaired, faults + faulty.fault_count())
    }

    fn repair_from(
        &self,
        world: &World,
        target: &Arc<dyn Store>,
        sources: &[Arc<dyn Store>],
    ) -> Result<RepairReport, Error> {
        let root = world.vaults[self.vault].root_key.parse().unwrap();
        let every: Vec<_> = sources.iter().chain([target]).cloned().collect();
        let signed = Signed::gather(&every, &root)?;
        let settling = self.who.settling(world, self.vault);
        let is_bucket = world.vaults[self.vault].places[self.place].bucket.is_some();
        let scratch = scratch_dir(world);
        let request = Repair {
            target,
            sources,
            signed: &signed,
            depth: Depth::Bytes,
            remedy: if is_bucket { Remedy::Replace } else { Remedy::Heal },
            scratch: &scratch,
            now: world.clock.now(),
            settle: &|key, receipt| settle(settling.as_ref(), target.as_ref(), key, receipt),
        };
        repair::repair(&request, None, world.events.as_ref())
    }

    /// What was damaged is told, and nothing else is.
    fn check_cases(&self, world: &World, report: &RepairReport, harmed: &BTreeSet<String>) {
        let place = &world.vaults[self.vault].places[self.place];
        let told: BTreeSet<&String> = report.cases.iter().map(|case| &case.object).collect();
        assert!(harmed.iter().all(|name| told.contains(name)), "{harmed:?}: {:?}", report.cases);
        let is_known = |case: &repair::Case| {
            let is_older = case.outcome == Outcome::OlderVersionCounts;
            // What a mirror lacks that comes behind is given to it as well.
            place.lags
                || is_older && place.touched.contains(&case.object)
                || harmed.contains(&case.object)
        };
        assert!(report.cases.iter().all(is_known), "{:?}", report.cases);
    }
}

/// Returns everything that the vault's own programs put into a store.
fn contents(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let store = place.written_store();
    let bytes = |name: &String| store.get(&name.parse().unwrap(), u64::MAX).unwrap();
    names_in(store.as_ref()).into_iter().map(|name| (name.clone(), bytes(&name))).collect()
}

/// Damages an object behind the back of whoever uses the store.
fn damage(place: &Place, key: &ObjectKey, bytes: &[u8], harm: Harm) {
    let mut harmed = bytes.to_vec();
    match harm {
        Harm::Altered => harmed[bytes.len() / 2] ^= 1,
        Harm::Cut | Harm::Removed => harmed.truncate(bytes.len() / 2),
    }
    let (name, path) = (key.to_string(), place.dir.join(key.to_string()));
    match (&place.bucket, harm) {
        (Some(bucket), Harm::Removed) => bucket.erase(&name),
        (Some(bucket), _) => bucket.damage(&name, &harmed),
        (None, Harm::Removed) => fs::remove_file(path).unwrap(),
        (None, _) => fs::write(path, harmed).unwrap(),
    }
}

//! Steps of somebody who may put into a bucket whatever they like, and delete nothing. Spec: §12.1.

use idswyft_vault::base::Code;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::Store;

use super::check::listed;
use super::restore::check_restore;
use super::world::World;
use crate::support::names_in;
use crate::support::vault::noise;

/// Objects of a bucket are overwritten or hidden, and others planted.
#[derive(Debug)]
pub struct Hostile {
    vault: usize,
    place: usize,
    /// Which of the objects, and what is done to each.
    acts: Vec<(u64, Act)>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Other bytes are put over an object.
    Overwrite,
    /// So are those of another object.
    Swap,
    /// A delete marker hides an object.
    Hide,
    /// Bytes are put where there is nothing yet.
    Plant,
}

const ACTS: [Act; 5] = [Act::Overwrite, Act::Overwrite, Act::Swap, Act::Hide, Act::Plant];

/// Names that a vault could have, and does not.
const PLANTED: [&str; 6] = [
    "packs/07/0707070707070707070707070707070707070707070707070707070707070707",
    "trees/07/0707070707070707070707070707070707070707070707070707070707070707",
    "segments/20300101T000000Z-0badcafe",
    "snapshots/20300101T000000Z-0badcafe.age",
    "snapshots/20300101T000000Z-0badcafe.note",
    "vault/2.note",
];

impl Hostile {
    /// Draws a bucket that has everything, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        // What waits could be put nowhere any more; a host that meets this says so.
        let buckets = world.places_where(|place| place.bucket.is_some() && !place.lags);
        let is_whole = |&(vault, _): &(usize, usize)| world.vaults[vault].archive.pending.is_none();
        let buckets: Vec<_> = buckets.into_iter().filter(is_whole).collect();
        if buckets.is_empty() {
            return None;
        }
        let random = &mut world.random;
        let (vault, place) = *random.pick(&buckets);
        let count = 1 + random.below(5);
        let acts = (0..count).map(|_| (random.next(), *random.pick(&ACTS))).collect();
        Some(Self { vault, place, acts })
    }

    /// Does it; then it is told of, and everything of before is restored.
    pub fn apply(&self, world: &mut World) -> String {
        let place = &mut world.vaults[self.vault].places[self.place];
        let bucket = place.bucket.clone().unwrap();
        let names: Vec<String> = names_in(&bucket.as_written()).into_iter().collect();
        let index = |at: u64, len: usize| usize::try_from(at % len as u64).unwrap();
        let mut touched = Vec::new();
        for (at, act) in &self.acts {
            let name = match act {
                Act::Plant => PLANTED[index(*at, PLANTED.len())],
                _ => names[index(*at, names.len())].as_str(),
            };
            match act {
                Act::Hide => bucket.hide(name),
                Act::Overwrite | Act::Plant => bucket.plant(name, &noise(*at, 900)),
                Act::Swap => {
                    let other = &names[index(at >> 32, names.len())];
                    let written = bucket.as_written();
                    bucket.plant(name, &written.get(&other.parse().unwrap(), u64::MAX).unwrap());
                }
            }
            place.touched.insert(name.to_owned());
            if *act == Act::Plant {
                // Packs that no snapshot names are told of together.
                place.touched.insert("packs and trees".to_owned());
            }
            touched.push(format!("{act:?} {name}"));
        }
        self.check_told(world);
        let ids = listed(world, self.vault, self.place).unwrap();
        if !ids.is_empty() {
            let id = *world.random.pick(&ids);
            check_restore(world, self.vault, world.thawed_store(self.vault, self.place), id);
        }
        world.events.warnings();
        touched.join(", ")
    }

    /// An object of the vault that was overwritten or hidden is a finding.
    fn check_told(&self, world: &World) {
        let store = world.store(self.vault, self.place);
        let auditor = world.auditor(self.vault, store).unwrap();
        let observer = world.events.as_ref();
        let report = verify::verify(&auditor, None, Level::Stored, None, observer).unwrap();
        let touched = &world.vaults[self.vault].places[self.place].touched;
        for finding in &report.findings {
            // Clocks go back here, and what was left by a crash is nobody's deed.
            let is_usual = matches!(finding.code, Code::ObjectUnreferenced | Code::RecordBackdated);
            assert!(is_usual || touched.contains(&finding.object), "{finding:?}");
        }
        let is_done = self.acts.iter().any(|(_, act)| matches!(act, Act::Overwrite | Act::Hide));
        let is_told = report.findings.iter().any(|finding| touched.contains(&finding.object));
        assert!(!is_done || is_told, "nothing is told of {touched:?}");
    }
}

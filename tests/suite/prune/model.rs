//! A prune against a naive one that knows everything, over many random nights.

use std::collections::{BTreeMap, BTreeSet};

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use jiff::{SignedDuration, Timestamp};

use super::bench::{How, LEAN_HOURS, lasting, named_by, packs, prune_in, renew};
use crate::support::{Random, is_long};

/// What a vault did, as whoever stood by has it.
#[derive(Default)]
struct Seen {
    taken: BTreeMap<SnapshotId, (Timestamp, BTreeSet<ObjectKey>)>,
    forgotten: BTreeSet<SnapshotId>,
    stored: BTreeMap<ObjectKey, Timestamp>,
}

impl Seen {
    /// Returns what must be there now.
    fn must_stay(&self, now: Timestamp) -> BTreeSet<ObjectKey> {
        let lean = SignedDuration::from_hours(LEAN_HOURS);
        let keeps =
            |id: &SnapshotId, at: Timestamp| !self.forgotten.contains(id) || at + lean > now;
        let named = self.taken.iter().filter(|(id, (at, _))| keeps(id, *at));
        let named = named.flat_map(|(_, (_, packs))| packs.iter().copied());
        let fresh = self.stored.iter().filter(|(_, at)| **at + lean > now).map(|(key, _)| *key);
        named.chain(fresh).collect()
    }
}

/// P-3 P-4 P-6 P-15
#[test]
fn after_every_prune_exactly_what_a_naive_one_keeps_is_there() {
    let mut random = Random::new();
    for round in 0..if is_long() { 20 } else { 1 } {
        let bench = lasting("keep_last = 3\nkeep_monthly = 2");
        let mut seen = Seen::default();
        for _ in 0..40 {
            bench.vault.clock.pass_hours(24 * i64::try_from(random.index(6)).unwrap());
            if random.index(3) > 0 {
                renew(&bench, random.index(4) as u64);
            }
            let id = bench.night();
            let (now, named) = (bench.vault.clock.now(), named_by(&bench, id));
            for key in &named {
                seen.stored.entry(*key).or_insert(now);
            }
            seen.taken.insert(id, (now, named));
            if random.index(2) == 0 {
                let wish = Wish::Policy;
                let applied = bench.apply_in(&bench.vault.stores, wish, &[Acceptance::Many]);
                seen.forgotten.extend(applied.unwrap().forgotten);
            }
            if random.index(3) == 0 {
                let how = How::default();
                prune_in(&bench, &bench.vault.stores, &how).unwrap();
                let expected = seen.must_stay(now);
                for store in &bench.vault.stores {
                    assert_eq!(packs(store), expected, "round {round} at {now}");
                }
                seen.stored.retain(|key, _| expected.contains(key));
            }
        }
        assert!(seen.forgotten.len() > 20);
        assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    }
}

//! How many bytes snapshots need, share and would free. Spec: `generations.md` §3.
//!
//! A pure count of what signed lists name; it holds one small record a pack, whatever the number of
//! snapshots.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{GenerationId, PackId, SnapshotId};

/// Bytes that belong to one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotSpace {
    /// What it needs.
    pub needed_len: u64,
    /// What nobody else needs.
    pub unique_len: u64,
    /// Packs and tree objects that it needs.
    pub pack_count: u64,
}

/// Bytes that belong to one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GenerationSpace {
    /// What its snapshots need, each pack once.
    pub needed_len: u64,
    /// Its snapshots.
    pub snapshot_count: u64,
    /// Packs and tree objects that they need.
    pub pack_count: u64,
}

/// A pack, and who needs it.
#[derive(Debug, Clone, Copy)]
struct Needed {
    len: u64,
    generation: GenerationId,
    owner_count: u64,
    last_owner: SnapshotId,
    is_kept: bool,
}

/// Counts what lists name, one after the other.
#[derive(Debug, Default)]
pub struct SpaceCount {
    dropped: BTreeSet<SnapshotId>,
    packs: BTreeMap<PackId, Needed>,
    snapshots: BTreeMap<SnapshotId, SnapshotSpace>,
    generations: BTreeMap<GenerationId, GenerationSpace>,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// By snapshot.
    pub snapshots: BTreeMap<SnapshotId, SnapshotSpace>,
    /// By generation.
    pub generations: BTreeMap<GenerationId, GenerationSpace>,
    /// What is needed by any.
    pub needed_len: u64,
    /// What only snapshots that go need.
    pub freed_len: u64,
}

impl SpaceCount {
    /// Begins to count; `dropped` are the snapshots that a plan lets go.
    pub fn new(dropped: BTreeSet<SnapshotId>) -> Self {
        Self { dropped, ..Self::default() }
    }

    /// Adds what a snapshot's list names, each pack once.
    pub fn add(
        &mut self,
        snapshot: SnapshotId,
        generation: GenerationId,
        packs: impl IntoIterator<Item = (PackId, u64)>,
    ) {
        let is_kept = !self.dropped.contains(&snapshot);
        let own = self.snapshots.entry(snapshot).or_default();
        for (id, len) in packs {
            own.needed_len += len;
            own.pack_count += 1;
            let (owner_count, last_owner) = (0, snapshot);
            let fresh = Needed { len, generation, owner_count, last_owner, is_kept: false };
            let needed = self.packs.entry(id).or_insert(fresh);
            needed.owner_count += 1;
            needed.last_owner = snapshot;
            needed.is_kept |= is_kept;
        }
        self.generations.entry(generation).or_default().snapshot_count += 1;
    }

    /// Returns what was counted.
    pub fn finish(mut self) -> Space {
        let (mut needed_len, mut freed_len) = (0, 0);
        for needed in self.packs.values() {
            needed_len += needed.len;
            if !needed.is_kept {
                freed_len += needed.len;
            }
            if needed.owner_count == 1
                && let Some(own) = self.snapshots.get_mut(&needed.last_owner)
            {
                own.unique_len += needed.len;
            }
            let generation = self.generations.entry(needed.generation).or_default();
            generation.needed_len += needed.len;
            generation.pack_count += 1;
        }
        let Self { snapshots, generations, .. } = self;
        Space { snapshots, generations, needed_len, freed_len }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn snapshot(number: u8) -> SnapshotId {
        SnapshotId::new(Timestamp::UNIX_EPOCH, [0, 0, 0, number])
    }

    fn generation(number: u8) -> GenerationId {
        GenerationId::new(Timestamp::UNIX_EPOCH, [0, 0, 0, number])
    }

    fn pack(number: u8) -> (PackId, u64) {
        (PackId::from_bytes([number; 32]), 10_u64.pow(u32::from(number)))
    }

    /// G-15
    #[test]
    fn a_pack_counts_once_for_all_and_as_unique_for_its_only_owner() {
        let mut count = SpaceCount::new(BTreeSet::from([snapshot(1)]));
        count.add(snapshot(1), generation(1), [pack(0), pack(1)]);
        count.add(snapshot(2), generation(1), [pack(1), pack(2)]);
        count.add(snapshot(3), generation(2), [pack(3)]);
        let space = count.finish();
        let lens = |number| {
            let own = space.snapshots[&snapshot(number)];
            (own.needed_len, own.unique_len, own.pack_count)
        };
        assert_eq!([lens(1), lens(2), lens(3)], [(11, 1, 2), (110, 100, 2), (1000, 1000, 1)]);
        assert_eq!((space.needed_len, space.freed_len), (1111, 1));
        let of = space.generations[&generation(1)];
        assert_eq!((of.needed_len, of.snapshot_count, of.pack_count), (111, 2, 3));
    }

    /// G-15
    #[test]
    fn what_two_that_go_share_is_freed_and_is_unique_to_none() {
        let mut count = SpaceCount::new(BTreeSet::from([snapshot(1), snapshot(2)]));
        count.add(snapshot(1), generation(1), [pack(1)]);
        count.add(snapshot(2), generation(1), [pack(1), pack(2)]);
        count.add(snapshot(3), generation(1), [pack(2)]);
        let space = count.finish();
        assert_eq!(space.freed_len, 10);
        assert!(space.snapshots.values().all(|own| own.unique_len == 0));
    }
}

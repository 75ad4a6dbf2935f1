//! A host that may only put: it deduplicates by what it keeps itself, and is told nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::random::Random;
use super::setup::Setup;
use super::shelf::{PackNumber, Shelf, Slot, index_of};
use super::source::{Content, Kind, Source};

/// Content that is not in the index.
const NOWHERE: Slot = Slot::MAX;

/// What the host keeps of a pack of the open generation.
struct Known {
    raw_len: u64,
    used_at: Timestamp,
    is_named: bool,
    is_retired: bool,
}

/// A snapshot that was committed.
pub struct Taken {
    pub time: Timestamp,
    pub packs: Vec<PackNumber>,
    pub slots: Vec<Slot>,
}

/// The host's state.
pub struct Host {
    generation: usize,
    opened: Timestamp,
    index: Vec<Slot>,
    packs: BTreeMap<PackNumber, Known>,
    last: Option<Timestamp>,
}

/// A pack that is being filled, and where its pieces are to be found once it is put.
#[derive(Default)]
struct Filling {
    contents: Vec<Content>,
    at: Vec<usize>,
    len: u64,
}

impl Host {
    pub fn new(now: Timestamp) -> Self {
        let (index, packs) = (Vec::new(), BTreeMap::new());
        Self { generation: 0, opened: now, index, packs, last: None }
    }

    /// Returns the open generation.
    pub const fn generation(&self) -> usize {
        self.generation
    }

    /// Returns when that was opened.
    pub const fn opened(&self) -> Timestamp {
        self.opened
    }

    /// Takes a snapshot, if one is due and the host does not die over it.
    pub fn night(
        &mut self,
        setup: &Setup,
        source: &Source,
        shelf: &mut Shelf,
        now: Timestamp,
        random: &mut Random,
    ) -> Option<Taken> {
        if !setup.policy.due(self.last, now) {
            return None;
        }
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        if setup.max_age_days.is_some_and(|age| now >= self.opened + days(age)) {
            self.generation += 1;
            self.opened = now;
            self.index.clear();
            self.packs.clear();
        }
        let since = now - days(setup.reuse_days);
        // A run that dies does so somewhere in its packs.
        let mut left = random.happens(setup.crash_permille).then(|| random.below(6));
        let (mut slots, mut used) = (Vec::new(), BTreeMap::<PackNumber, u64>::new());
        for kind in Kind::ALL {
            let piece_len = kind.piece_len(&setup.source);
            let (mut filling, first) = (Filling::default(), slots.len());
            for (at, content) in source.pieces(kind).enumerate() {
                match self.find(content, since, shelf) {
                    Some(slot) => slots.push(slot),
                    None => {
                        slots.push(NOWHERE);
                        filling.add(content, first + at, piece_len);
                    }
                }
                if filling.len >= setup.pack_len
                    && !self.close(&mut filling, shelf, now, &mut slots, &mut left)
                {
                    return None;
                }
            }
            if !self.close(&mut filling, shelf, now, &mut slots, &mut left) {
                return None;
            }
            for slot in &slots[first..] {
                *used.entry(shelf.pack_of(*slot)).or_default() += piece_len;
            }
        }
        self.commit(setup, &used, now);
        let packs = used.into_keys().collect();
        Some(Taken { time: now, packs, slots })
    }

    /// Finds content in a pack that may be leaned on (I9).
    fn find(&self, content: Content, since: Timestamp, shelf: &Shelf) -> Option<Slot> {
        let slot = self.index.get(index_of(content)).copied().filter(|slot| *slot != NOWHERE)?;
        let known = self.packs.get(&shelf.pack_of(slot))?;
        (!known.is_retired && known.used_at >= since).then_some(slot)
    }

    /// Puts a pack, unless it is empty; tells whether the host lives on.
    fn close(
        &mut self,
        filling: &mut Filling,
        shelf: &mut Shelf,
        now: Timestamp,
        slots: &mut [Slot],
        left: &mut Option<usize>,
    ) -> bool {
        let Filling { contents, at, len } = std::mem::take(filling);
        if contents.is_empty() {
            return true;
        }
        match left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        let each = len / u64::try_from(contents.len()).expect("a length fits");
        let (number, first) = shelf.put(self.generation, &contents, each, now);
        let (used_at, is_named, is_retired) = (now, false, false);
        self.packs.insert(number, Known { raw_len: len, used_at, is_named, is_retired });
        for (nth, (content, at)) in contents.into_iter().zip(at).enumerate() {
            slots[at] = first + nth;
            let content = index_of(content);
            if self.index.len() <= content {
                self.index.resize(content + 1, NOWHERE);
            }
            self.index[content] = first + nth;
        }
        true
    }

    /// Takes note of what the snapshot names, and of what nothing leans on from now on.
    fn commit(&mut self, setup: &Setup, used: &BTreeMap<PackNumber, u64>, now: Timestamp) {
        for (number, known) in &mut self.packs {
            match used.get(number) {
                Some(used_len) => {
                    known.used_at = now;
                    known.is_named = true;
                    known.is_retired = used_len * 100 < known.raw_len * setup.retire_below_percent;
                }
                None => known.is_retired |= known.is_named && setup.retire_below_percent > 0,
            }
        }
        self.last = Some(now);
    }
}

impl Filling {
    fn add(&mut self, content: Content, at: usize, len: u64) {
        self.contents.push(content);
        self.at.push(at);
        self.len += len;
    }
}

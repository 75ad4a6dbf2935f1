//! What a verification remembers of packs, and whose turn it is. Spec: `sampling.md` §3.
//!
//! - Only what was read and proven is remembered, and of what has a finding nothing any more.
//! - Within as many rolling runs as there are parts every pack has its turn, whatever is added or
//!   pruned between them.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::Level;
use crate::base::PackId;
use crate::format::ObjectKey;
use crate::manifest::{Coverage, Look, Needed, Shelf};
use crate::ops::Error;
use crate::ops::report::CoverageReport;
use crate::policy::Rolling;
use crate::vault::Auditor;

/// Packs that are looked up before the next are taken from the disk.
const PAGE_COUNT: u32 = 4096;
/// Days of one, three and twelve months, as long as they can be.
const PERIODS_DAYS: [i64; 3] = [31, 92, 366];

/// When a pack's turn comes in a rolling verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now: it has waited for as many runs as there are parts.
    Due,
    /// Before all that were looked at.
    Never,
    /// After those that were looked at before this time.
    After(Timestamp),
}

impl Turn {
    pub const fn is_due(self) -> bool {
        matches!(self, Self::Due)
    }

    /// Returns a number that is lower the sooner it comes.
    pub fn number(self) -> i64 {
        match self {
            Self::Due => i64::MIN,
            Self::Never => i64::MIN + 1,
            Self::After(time) => time.as_second(),
        }
    }
}

/// What is remembered of the packs of one vault in one store.
pub(super) struct Memory {
    coverage: Coverage,
    /// One for each level that reads packs: what is damaged at one is sound at none.
    shelves: [(Level, Shelf); 2],
    /// The one of this run.
    own: (Level, Shelf),
    /// How many rolling runs there were at its level, this one included if it is one.
    this_run: u64,
    now: Timestamp,
}

impl Memory {
    /// Opens the memory, for a run at a level that reads packs.
    pub fn open(
        path: &Path,
        auditor: &Auditor,
        level: Level,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let (vault, store) = (auditor.vault().to_string(), auditor.store().location());
        Self::of(Coverage::open(path)?, &vault, &store, level, now)
    }

    fn of(
        coverage: Coverage,
        vault: &str,
        store: &str,
        level: Level,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let shelf = |level: Level| coverage.shelf(vault, store, level.name());
        let (bytes, contents) = (shelf(Level::Bytes)?, shelf(Level::Contents)?);
        let own = if level < Level::Contents { bytes } else { contents };
        let this_run = coverage.run(own)? + 1;
        let shelves = [(Level::Bytes, bytes), (Level::Contents, contents)];
        Ok(Self { coverage, shelves, own: (level, own), this_run, now })
    }

    /// Returns when the turn of a pack comes.
    pub fn turn(&self, id: &PackId, rolling: Rolling) -> Result<Turn, Error> {
        let (_, shelf) = self.own;
        let this_run = self.this_run;
        let look = self.coverage.look(shelf, id)?;
        let since = look.map_or(this_run - 1, |look| look.run);
        Ok(match look.and_then(|look| look.at) {
            _ if since + u64::from(rolling.parts()) <= this_run => Turn::Due,
            Some(at) => Turn::After(at),
            None => Turn::Never,
        })
    }

    /// Remembers what was proven, and forgets what has a finding, and what is gone if the run knows
    /// of every pack; counts how long ago packs were looked at.
    pub fn remember(
        &self,
        needed: &Needed,
        damaged: &BTreeSet<ObjectKey>,
        rolling: Option<Rolling>,
        is_whole: bool,
    ) -> Result<CoverageReport, Error> {
        let (level, own) = self.own;
        self.coverage.remember(|coverage| {
            for &(level, shelf) in &self.shelves {
                let is_rolling = rolling.is_some() && shelf == own;
                let run = coverage.run(shelf)? + u64::from(is_rolling);
                self.keep(needed, (level, shelf), damaged, run, is_rolling)?;
                coverage.set_run(shelf, run)?;
                if is_whole {
                    self.forget_gone(needed, shelf)?;
                }
            }
            self.count(needed, level, own)
        })
    }

    fn keep(
        &self,
        needed: &Needed,
        (level, shelf): (Level, Shelf),
        damaged: &BTreeSet<ObjectKey>,
        run: u64,
        is_rolling: bool,
    ) -> Result<(), Error> {
        each_pack(needed, |id| {
            if damaged.contains(&ObjectKey::Pack(*id)) {
                self.coverage.forget(shelf, id)?;
            } else if needed.is_proven(id, level.number())? {
                return Ok(self.coverage.set(shelf, id, Look { at: Some(self.now), run })?);
            }
            // From the run on that sees it first, its turn comes in time.
            if is_rolling && self.coverage.look(shelf, id)?.is_none() {
                self.coverage.set(shelf, id, Look { at: None, run: run - 1 })?;
            }
            Ok(())
        })
    }

    fn forget_gone(&self, needed: &Needed, shelf: Shelf) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.coverage.page(shelf, after, PAGE_COUNT)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for id in &page {
                if !needed.contains(&ObjectKey::Pack(*id))? {
                    self.coverage.forget(shelf, id)?;
                }
            }
        }
    }

    fn count(&self, needed: &Needed, level: Level, shelf: Shelf) -> Result<CoverageReport, Error> {
        let since = |days| {
            let period = SignedDuration::from_hours(24 * days);
            self.now.checked_sub(period).unwrap_or(Timestamp::MIN)
        };
        let periods = PERIODS_DAYS.map(since);
        let (mut pack_count, mut never_count, mut counts) = (0, 0, [0u64; 3]);
        let mut oldest: Option<Timestamp> = None;
        each_pack(needed, |id| {
            pack_count += 1;
            let Some(at) = self.coverage.look(shelf, id)?.and_then(|look| look.at) else {
                never_count += 1;
                return Ok(());
            };
            oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
            for (count, since) in counts.iter_mut().zip(periods) {
                *count += u64::from(at >= since);
            }
            Ok(())
        })?;
        let [month_count, quarter_count, year_count] = counts;
        Ok(CoverageReport {
            level,
            pack_count,
            month_count,
            quarter_count,
            year_count,
            never_count,
            oldest,
        })
    }
}

/// Does something with every pack.
pub(super) fn each_pack(
    needed: &Needed,
    mut work: impl FnMut(&PackId) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = needed.pack_page(after, PAGE_COUNT)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        page.iter().try_for_each(&mut work)?;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::{Digest, VaultId};
    use crate::crypto::digest::sha256;
    use crate::ops::verify::part::{Method, PublicValue};
    use crate::ops::verify::sample;

    const STORE: &str = "file:///store";

    fn pack(number: u32) -> PackId {
        PackId::from_bytes(*sha256(&number.to_be_bytes()).as_bytes())
    }

    /// Draws a turn of these packs at level `bytes`, remembers what of it is sound, and returns it.
    fn turn(path: &Path, packs: &BTreeSet<PackId>, parts: &str, day: i64) -> BTreeSet<PackId> {
        let now = Timestamp::from_second(day * 86_400).unwrap();
        let coverage = Coverage::open(path).unwrap();
        let memory = Memory::of(coverage, "v", STORE, Level::Bytes, now).unwrap();
        let needed = Needed::new().unwrap();
        packs.iter().for_each(|id| needed.add(&ObjectKey::Pack(*id), 1).unwrap());
        let (rolling, vault) = (parts.parse().unwrap(), VaultId::from_bytes([1; 16]));
        let public = PublicValue { text: format!("day {day}"), is_given: true };
        let method = Method::Rolling(rolling);
        sample::draw(&needed, method, public, vault, Some(&memory)).unwrap();
        let drawn: BTreeSet<PackId> =
            packs.iter().filter(|id| needed.is_drawn(id).unwrap()).copied().collect();
        for id in &drawn {
            needed.prove(&ObjectKey::Pack(*id), Level::Bytes.number()).unwrap();
        }
        memory.remember(&needed, &BTreeSet::new(), Some(rolling), true).unwrap();
        drawn
    }

    /// Y-7
    #[test]
    fn the_never_looked_at_come_first_then_those_of_longest_ago_then_the_lowest_ranks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        let packs: BTreeSet<PackId> = (0..10).map(pack).collect();
        let (first, rest): (BTreeSet<PackId>, BTreeSet<PackId>) =
            packs.iter().partition(|id| id.as_bytes()[0] % 2 == 0);
        // A run that is not rolling counts as a look like any other.
        let seed: Digest = PublicValue { text: "day 2".to_owned(), is_given: true }
            .seed(VaultId::from_bytes([1; 16]));
        assert_eq!(turn(&path, &first, "1/1", 1), first);
        let drawn = turn(&path, &packs, "1/10", 2);
        let by_rank = rest.iter().min_by_key(|id| sample::rank(&seed, id)).unwrap();
        assert_eq!(drawn, BTreeSet::from([*by_rank]), "of those never looked at, the lowest rank");
        let rest: BTreeSet<PackId> = rest.difference(&drawn).copied().collect();
        let mut left = rest.clone();
        for day in 3..3 + rest.len() as i64 {
            for id in turn(&path, &packs, "1/10", day) {
                assert!(left.remove(&id), "none of the others before they had their turn");
            }
        }
        assert!(left.is_empty());
        let next = turn(&path, &packs, "1/10", 20);
        assert!(next.is_subset(&first), "then one of those of the first day");
    }

    /// Y-8
    #[test]
    fn each_pack_has_its_turn_within_as_many_runs_as_parts_whatever_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        for parts in [1u32, 4, 7] {
            let path = dir.path().join(parts.to_string());
            let mut packs: BTreeSet<PackId> = (0..40).map(pack).collect();
            let mut waiting: BTreeMap<PackId, u32> = BTreeMap::new();
            for run in 1..=4 * parts {
                let drawn = turn(&path, &packs, &format!("1/{parts}"), i64::from(run));
                let least = packs.len().div_ceil(parts as usize);
                assert!(drawn.len() >= least && (run > 1 || drawn.len() == least));
                for id in &packs {
                    let runs = waiting.entry(*id).or_default();
                    *runs = if drawn.contains(id) { 0 } else { *runs + 1 };
                    assert!(*runs < parts, "a pack waited for {runs} runs of {parts}");
                }
                // Whatever was just looked at goes, which leaves the others more than their share.
                for id in drawn.iter().take(drawn.len() / 2) {
                    packs.remove(id);
                }
                packs.extend((0..9).map(|number| pack(1000 * run + number)));
            }
        }
    }

    /// Y-9, Y-15
    #[test]
    fn what_is_damaged_or_was_not_read_is_not_remembered_and_what_is_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        let remember = |packs: &[u32], proven: &[u32], damaged: &[u32], day: i64, is_whole| {
            let now = Timestamp::from_second(day * 86_400).unwrap();
            let coverage = Coverage::open(&path).unwrap();
            let memory = Memory::of(coverage, "v", STORE, Level::Contents, now).unwrap();
            let needed = Needed::new().unwrap();
            let key = |number: &u32| ObjectKey::Pack(pack(*number));
            packs.iter().for_each(|number| needed.add(&key(number), 1).unwrap());
            for number in proven {
                needed.prove(&key(number), Level::Bytes.number()).unwrap();
                needed.prove(&key(number), Level::Contents.number()).unwrap();
            }
            let damaged = damaged.iter().map(key).collect();
            memory.remember(&needed, &damaged, None, is_whole).unwrap()
        };
        let first = remember(&[1, 2, 3, 4], &[1, 2, 3], &[3], 1, true);
        assert_eq!((first.pack_count, first.never_count, first.month_count), (4, 2, 2));
        assert_eq!(first.oldest, Timestamp::from_second(86_400).ok());
        let later = remember(&[1, 2, 3, 4], &[2], &[], 60, true);
        let counts = [later.month_count, later.quarter_count, later.year_count, later.never_count];
        assert_eq!(counts, [1, 2, 2, 2]);
        // A run that knows of a part forgets nothing.
        remember(&[2], &[], &[], 61, false);
        assert_eq!(remember(&[1, 2], &[], &[], 61, true).never_count, 0);
        remember(&[2], &[], &[], 62, true);
        let again = remember(&[1, 2], &[], &[], 500, true);
        let counts = [again.month_count, again.quarter_count, again.year_count, again.never_count];
        assert_eq!(counts, [0, 0, 0, 1], "the first was gone, and came back as a new one");
        let looked = |level| {
            let coverage = Coverage::open(&path).unwrap();
            let shelf = coverage.shelf("v", STORE, level).unwrap();
            coverage.look(shelf, &pack(2)).unwrap().is_some()
        };
        assert!(looked("bytes"), "contents counts for bytes");
        let coverage = Coverage::open(&path).unwrap();
        let now = Timestamp::from_second(86_400 * 501).unwrap();
        let memory = Memory::of(coverage, "v", STORE, Level::Bytes, now).unwrap();
        let needed = Needed::new().unwrap();
        needed.add(&ObjectKey::Pack(pack(2)), 1).unwrap();
        let damaged = BTreeSet::from([ObjectKey::Pack(pack(2))]);
        assert_eq!(memory.remember(&needed, &damaged, None, true).unwrap().never_count, 1);
        assert!(!looked("bytes") && !looked("contents"), "what is damaged is sound at no level");
    }
}

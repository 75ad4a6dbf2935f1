//! What a verification remembers of packs, and whose turn it is. Spec: `sampling.md` §3.
//!
//! - Only what was read and proven is remembered, and of what has a finding nothing.
//! - Within as many rolling runs as there are parts every pack has its turn, whatever is added or
//!   pruned between them.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::Level;
use crate::base::PackId;
use crate::format::ObjectKey;
use crate::manifest::{self, Coverage, Look, Needed, Shelf};
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
    /// One for each level that is read, the one of this run last.
    shelves: Vec<(Level, Shelf)>,
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
        let coverage = Coverage::open(path)?;
        let levels = [Level::Bytes, Level::Contents].into_iter().filter(|one| *one <= level);
        let (vault, store) = (auditor.vault().to_string(), auditor.store().url());
        let shelves: Result<Vec<_>, manifest::Error> =
            levels.map(|level| Ok((level, coverage.shelf(&vault, store, level.name())?))).collect();
        let shelves = shelves?;
        Ok(Self { coverage, shelves, now })
    }

    /// Returns the shelf of this run's level.
    ///
    /// # Panics
    /// Never: a memory is opened for levels that read packs, and each has a shelf.
    fn shelf(&self) -> (Level, Shelf) {
        *self.shelves.last().expect("a level that reads packs has a shelf")
    }

    /// Returns when the turn of a pack comes.
    pub fn turn(&self, id: &PackId, rolling: Rolling) -> Result<Turn, Error> {
        let (_, shelf) = self.shelf();
        let this_run = self.coverage.run(shelf)? + 1;
        let look = self.coverage.look(shelf, id)?;
        let since = look.map_or(this_run - 1, |look| look.run);
        Ok(match look.and_then(|look| look.at) {
            _ if since + u64::from(rolling.parts()) <= this_run => Turn::Due,
            Some(at) => Turn::After(at),
            None => Turn::Never,
        })
    }

    /// Remembers what was proven and has no finding, and forgets what is gone if the run knows of
    /// every pack; counts how long ago packs were looked at.
    pub fn remember(
        &self,
        needed: &Needed,
        damaged: &BTreeSet<ObjectKey>,
        rolling: Option<Rolling>,
        is_whole: bool,
    ) -> Result<CoverageReport, Error> {
        let (level, own) = self.shelf();
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
            let is_damaged = damaged.contains(&ObjectKey::Pack(*id));
            if !is_damaged && needed.is_proven(id, level.number())? {
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

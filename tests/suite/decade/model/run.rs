//! Night after night, and what must hold after each.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::host::Host;
use super::janitor::{Janitor, OpenGeneration};
use super::random::Random;
use super::setup::Setup;
use super::shelf::Shelf;
use super::source::Source;

/// The first night: 2026-01-22T02:30:00Z.
const BEGIN_SECOND: i64 = 1_769_049_000;
/// Nights by which a stay may be longer than stated: a day of the calendar, and a night's sleep.
const SLACK_NIGHTS: i64 = 3;

/// What a night leaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Night {
    /// From 1.
    pub number: u32,
    /// Stored bytes of all packs.
    pub stored_len: u64,
    /// Bytes of pieces that a standing snapshot reads, each once.
    pub needed_len: u64,
    /// Bytes of contents that a standing snapshot reads, however often they are stored.
    pub content_len: u64,
    /// Packs.
    pub pack_count: u64,
    /// Packs, and what belongs to snapshots and ledgers.
    pub object_count: u64,
    /// Generations of which a pack is there.
    pub generation_count: u64,
    /// Snapshots that stand.
    pub snapshot_count: u64,
    /// Packs that a restore of the newest snapshot reads.
    pub restore_pack_count: u64,
    /// Packs that were put this night.
    pub put_count: u64,
    /// Packs that were deleted this night.
    pub deleted_count: u64,
    /// Byte-days that were paid for nothing.
    pub early_byte_days: u64,
    /// What the night cost, in millionths of a dollar.
    pub cost: u64,
    /// Whether it is the last of its month.
    pub ends_month: bool,
}

impl Night {
    /// Returns stored over needed bytes, in percent.
    pub fn percent(&self) -> u64 {
        self.stored_over(self.needed_len)
    }

    /// Returns stored bytes over those of the contents, in percent: what generations cost besides.
    pub fn multiple(&self) -> u64 {
        self.stored_over(self.content_len)
    }

    fn stored_over(&self, len: u64) -> u64 {
        let product = u128::from(self.stored_len) * 100;
        u64::try_from(product / u128::from(len.max(1))).unwrap_or(u64::MAX)
    }
}

/// A vault over many nights.
pub struct Run {
    /// What it is like.
    pub setup: Setup,
    random: Random,
    now: Timestamp,
    number: u32,
    source: Source,
    shelf: Shelf,
    host: Host,
    janitor: Janitor,
    event_count: u64,
}

impl Run {
    /// Begins before the first night.
    pub fn new(setup: Setup) -> Self {
        let now = Timestamp::from_second(BEGIN_SECOND).expect("it is a time");
        Self {
            random: Random::new(setup.seed),
            now,
            number: 0,
            source: Source::new(&setup.source),
            shelf: Shelf::default(),
            host: Host::new(now),
            janitor: Janitor::new(&setup, now),
            event_count: 2,
            setup,
        }
    }

    /// Passes so many nights.
    pub fn pass(&mut self, nights: u32) -> Vec<Night> {
        (0..nights).map(|_| self.night()).collect()
    }

    /// Passes a night: the host, then the janitor, then the checks.
    ///
    /// # Panics
    /// If a promise is broken.
    pub fn night(&mut self) -> Night {
        self.now += SignedDuration::from_hours(24);
        self.number += 1;
        self.source.pass_night(&mut self.random);
        let (now, before) = (self.now, self.shelf.put_count);
        let Self { setup, random, source, shelf, host, .. } = self;
        let taken = host.night(setup, source, shelf, now, random);
        self.event_count += u64::from(taken.is_some());
        if let Some(mut taken) = taken {
            self.shelf.need(&taken.packs, &taken.slots);
            if self.keeps_everything() {
                // They are never released, and there would be too many.
                taken.slots = Vec::new();
            }
            self.janitor.see(taken);
        }
        let (number, opened) = (self.host.generation(), self.host.opened());
        let open = OpenGeneration { number, opened };
        let Self { setup, random, shelf, janitor, .. } = self;
        let done = janitor.night(setup, open, shelf, now, random);
        self.event_count += done.forgotten_count + u64::from(done.deleted_count > 0);
        self.check();
        let mut night = self.describe();
        night.put_count = self.shelf.put_count - before;
        night.deleted_count = done.deleted_count;
        night.early_byte_days = done.early_byte_days;
        night.cost = self.setup.prices.of(&night);
        night
    }

    fn keeps_everything(&self) -> bool {
        let policy = &self.setup.policy;
        policy.keeps_everything() && policy.ceiling().is_none()
    }

    /// Nothing is readable for longer than was stated, where there is a bound.
    fn check(&self) {
        let setup = &self.setup;
        let lean = setup.reuse_days + setup.grace_days;
        let Some(days) = setup.policy.longest_readable_days(setup.max_age_days, lean) else {
            return;
        };
        let days = days.max(setup.prices.days_min);
        // While the janitor is dead nothing goes, and nobody stated otherwise.
        let allowed = SignedDuration::from_hours(24 * (i64::from(days) + SLACK_NIGHTS));
        for number in self.shelf.there() {
            let age = self.janitor.ended().duration_since(self.shelf.pack(*number).put_at);
            assert!(age <= allowed, "night {}: pack {number} is {age} old", self.number);
        }
    }

    fn describe(&self) -> Night {
        let wide = |count: usize| u64::try_from(count).expect("a length fits");
        let packs = self.shelf.there();
        let generations: BTreeSet<usize> =
            packs.iter().map(|number| self.shelf.pack(*number).generation).collect();
        let snapshot_count = wide(self.janitor.standing().count());
        let newest = self.janitor.standing().next_back();
        let month = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).month();
        Night {
            number: self.number,
            stored_len: self.shelf.stored_len(),
            needed_len: self.shelf.needed_len(),
            content_len: self.shelf.content_len(),
            pack_count: wide(packs.len()),
            // Note, list, body and segment; event and checkpoint.
            object_count: wide(packs.len()) + 4 * snapshot_count + 2 * self.event_count,
            generation_count: wide(generations.len()),
            snapshot_count,
            restore_pack_count: newest.map_or(0, |newest| wide(newest.packs.len())),
            ends_month: month(self.now) != month(self.now + SignedDuration::from_hours(24)),
            ..Night::default()
        }
    }
}

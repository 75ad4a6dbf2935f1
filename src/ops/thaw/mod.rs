//! Making packs in archive classes readable: plan, request, wait. Spec: `thaw.md`.
//!
//! - Nothing is thawed without a tier, which only a person names.
//! - What the store says of a pack counts; the list of requests only tells when others are there.
//! - Whoever waits reads through [`WaitingStore`], and knows nothing of thawing.

mod ask;
mod error;
mod list;
pub mod need;
mod plan;
pub mod prices;
mod standing;
mod waiting_store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use error::ThawError;
pub use list::{Request, RequestList, Said};
pub use need::Need;
pub use plan::{Amount, ClassPlan, PlannedPack, ThawPlan, TierCost, TierPlan};
pub use prices::PriceTable;
pub use standing::{Pack, State, survey};
pub use waiting_store::WaitingStore;

use super::Error;
use crate::base::{Clock, Code, Coded, Event, Family, Observer};
use crate::store::{Store, ThawTier};

/// Days for which a copy is kept, unless told.
pub const DAYS_DEFAULT: u32 = 7;
/// Days for which a copy is kept at most.
pub const DAYS_MAX: u32 = 365;

/// Parts of a tier's time after which a store is asked again whether packs are ready.
const POLLS: u64 = 24;
const INTERVAL_MIN: Duration = Duration::from_secs(60);
const INTERVAL_MAX: Duration = Duration::from_secs(30 * 60);
/// Looks in a row that a store may leave without an answer while it is waited for.
const SILENT_COUNT_MAX: u32 = 12;

/// Lets time pass.
pub trait Waiter: Send + Sync {
    /// Returns after this time.
    fn wait(&self, time: Duration);
}

/// Sleeps.
#[derive(Debug, Clone, Copy)]
pub struct Sleeper;

impl Waiter for Sleeper {
    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// One store's packs, and everything that thawing them takes.
#[derive(Clone)]
pub struct Thaw {
    /// The store.
    pub store: Arc<dyn Store>,
    /// How fast to thaw, if anything may be thawed.
    pub tier: Option<ThawTier>,
    /// For how many days copies are kept.
    pub days: u32,
    /// What it costs.
    pub prices: PriceTable,
    /// The directory of the lists of requests, if there is a place for it.
    pub lists: Option<PathBuf>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Lets time pass.
    pub waiter: Arc<dyn Waiter>,
    /// Is told how it goes.
    pub observer: Arc<dyn Observer>,
}

/// What has to be there before a command goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Every pack.
    All,
    /// One of them, or nothing that is waited for.
    Any,
}

impl Thaw {
    /// Returns where packs stand; a store without classes is not asked.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn survey(&self, need: &Need) -> Result<Vec<Pack>, Error> {
        if !self.store.has_classes() {
            return Ok(Vec::new());
        }
        Ok(survey(&self.store, need, self.clock.now())?)
    }

    /// Makes the plan of packs as they stand. Nothing is changed or asked for.
    pub fn plan(&self, packs: &[Pack]) -> ThawPlan {
        plan::plan(self.store.name(), packs, self.days, &self.prices, self.clock.now())
    }

    /// Asks for what is frozen, if a tier is given, and returns where everything stands then.
    ///
    /// # Errors
    /// [`ThawError::Archived`] if something is frozen and there is no tier, and if a request fails.
    pub fn ask(&self, need: &Need) -> Result<Vec<Pack>, Error> {
        let packs = self.survey(need)?;
        match self.ask_for(&packs)? {
            0 => Ok(packs),
            _ => self.survey(need),
        }
    }

    /// Succeeds if every pack is ready.
    ///
    /// # Errors
    /// [`ThawError::Waiting`] if not.
    pub fn check(&self, packs: &[Pack]) -> Result<(), Error> {
        let (ready_count, pack_count, expected) = self.progress(packs);
        if ready_count == pack_count {
            return Ok(());
        }
        let store = self.store.name().to_owned();
        Err(ThawError::Waiting { store, ready_count, pack_count, expected }.into())
    }

    /// Asks for what is frozen and waits; returns where everything stands then.
    ///
    /// # Errors
    /// As [`Self::ask`], and if the store does not answer any more.
    pub fn wait(&self, need: &Need, until: Until) -> Result<Vec<Pack>, Error> {
        let (mut silent_count, mut told) = (0, None);
        loop {
            let packs = match self.ask(need) {
                Ok(packs) => packs,
                Err(error) if is_silence(&error) && silent_count < SILENT_COUNT_MAX => {
                    silent_count += 1;
                    self.waiter.wait(INTERVAL_MIN);
                    continue;
                }
                Err(error) => return Err(error),
            };
            silent_count = 0;
            let cold_count = packs.iter().filter(|pack| pack.is_cold()).count();
            if cold_count == 0 || (until == Until::Any && cold_count < packs.len()) {
                return Ok(packs);
            }
            let (ready_count, pack_count, expected) = self.progress(&packs);
            if told != Some(ready_count) {
                self.observer.observe(Event::Thawing { ready_count, pack_count, expected });
                told = Some(ready_count);
            }
            self.waiter.wait(self.interval(&packs));
        }
    }

    /// Returns how many packs are ready, of how many, and when all are at the latest.
    fn progress(&self, packs: &[Pack]) -> (u64, u64, Option<Timestamp>) {
        let cold: Vec<&Pack> = packs.iter().filter(|pack| pack.is_cold()).collect();
        let now = self.clock.now();
        let list = self.list();
        let expected = cold.iter().map(|pack| {
            let request = list.as_ref().and_then(|list| list.get(&pack.key));
            // Who asked elsewhere may have chosen the slowest, and just now.
            let (tier, asked) =
                request.map_or((ThawTier::Bulk, None), |request| (request.tier, request.asked()));
            let minutes = i64::from(self.prices.minutes(pack.class, tier));
            asked.unwrap_or(now).checked_add(SignedDuration::from_mins(minutes)).ok()
        });
        let (cold_count, pack_count) = (cold.len() as u64, packs.len() as u64);
        (pack_count - cold_count, pack_count, expected.max().flatten())
    }

    fn interval(&self, packs: &[Pack]) -> Duration {
        let tier = self.tier.unwrap_or(ThawTier::Standard);
        let cold = packs.iter().filter(|pack| pack.is_cold());
        let minutes = cold.map(|pack| self.prices.minutes(pack.class, tier)).max().unwrap_or(0);
        let interval = Duration::from_secs(u64::from(minutes) * 60 / POLLS);
        interval.clamp(INTERVAL_MIN, INTERVAL_MAX)
    }

    /// Reads the list of requests; says if it is damaged.
    fn list(&self) -> Option<RequestList> {
        let now = self.clock.now();
        let (list, wrong) = RequestList::load(self.lists.as_ref()?, self.store.url(), now);
        if let Some(wrong) = wrong {
            let detail = format!(
                "the list of requests {} is begun anew, the store knows what is under way: {wrong}",
                list.path().display()
            );
            self.observer.observe(Event::Warning { code: Code::StateUnavailable, detail });
        }
        Some(list)
    }
}

fn is_silence(error: &Error) -> bool {
    !matches!(error, Error::Thaw(ThawError::List { .. } | ThawError::NoPlace))
        && !matches!(error.code(), Code::ObjectArchived | Code::ThawWaiting)
        && error.code().family() == Family::Unavailable
}

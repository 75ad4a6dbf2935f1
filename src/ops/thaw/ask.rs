//! Asking for packs: on the list first, as many at a time as the store takes. Spec: `thaw.md` §3.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;

use super::list::{RequestList, Said};
use super::prices::tiers_of;
use super::standing::{Pack, State};
use super::{Thaw, ThawError};
use crate::base::{Coded, Family};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::ops::readers::each_at_once;
use crate::store::{self, ThawAnswer, ThawTier};

/// Requests after which the list is written again.
const SAVED_COUNT: usize = 1000;
/// How often a request is made at most, and the first pause between two times.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(5);
/// How long a copy must outlast the moment in which the last pack is ready.
const READING: SignedDuration = SignedDuration::from_hours(24);
/// By how much asking again must prolong a copy to be worth a request.
const GAIN: SignedDuration = SignedDuration::from_hours(1);

/// The answers to some requests.
type Answers = Vec<(ObjectKey, Result<ThawAnswer, store::Error>)>;

impl Thaw {
    /// Asks for every pack that is frozen or expires too soon; returns how many that were.
    pub(super) fn ask_for(&self, packs: &[Pack]) -> Result<usize, Error> {
        let frozen: Vec<&Pack> = packs.iter().filter(|pack| pack.state == State::Frozen).collect();
        let Some(tier) = self.tier else {
            return match frozen.len() {
                0 => Ok(0),
                _ => Err(self.archived(packs, &frozen).into()),
            };
        };
        for pack in &frozen {
            let offered = tiers_of(pack.class);
            if !offered.contains(&tier) {
                let class = pack.class;
                return Err(ThawError::TierNotOffered { tier, class, offered }.into());
            }
        }
        let mut due: Vec<&Pack> = frozen.clone();
        due.extend(self.expiring(packs, tier));
        if !due.is_empty() {
            self.request(&due, tier)?;
        }
        Ok(due.len())
    }

    fn archived(&self, packs: &[Pack], frozen: &[&Pack]) -> ThawError {
        ThawError::Archived {
            store: self.store.name().to_owned(),
            frozen_count: frozen.len() as u64,
            pack_count: packs.len() as u64,
            len: frozen.iter().map(|pack| pack.len).sum(),
        }
    }

    /// Returns the packs whose copies end before the others are there and read (T-8).
    fn expiring<'a>(
        &self,
        packs: &'a [Pack],
        tier: ThawTier,
    ) -> impl Iterator<Item = &'a Pack> + use<'a> {
        let now = self.clock.now();
        let cold = packs.iter().filter(|pack| pack.is_cold());
        let minutes = cold.map(|pack| self.prices.minutes(pack.class, tier)).max().unwrap_or(0);
        let needed = now + SignedDuration::from_mins(i64::from(minutes)) + READING;
        let prolonged = now + SignedDuration::from_hours(24 * i64::from(self.days));
        packs.iter().filter(move |pack| {
            let State::Ready(Some(until)) = pack.state else { return false };
            until < needed && until + GAIN < prolonged
        })
    }

    fn request(&self, due: &[&Pack], tier: ThawTier) -> Result<(), Error> {
        let mut list = self.list().ok_or(ThawError::NoPlace)?;
        let now = self.clock.now();
        due.iter().for_each(|pack| list.ask(&pack.key, tier, self.days, now));
        list.save()?;
        let mut left = due.to_vec();
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.waiter.wait(PAUSE * 2_u32.pow(attempt));
            }
            let mut failed = BTreeSet::new();
            for some in left.chunks(SAVED_COUNT) {
                for (key, error) in self.request_some(some, tier, &mut list)? {
                    failed.insert(key);
                    last = Some(error);
                }
            }
            left.retain(|pack| failed.contains(&pack.key));
            if left.is_empty() {
                return Ok(());
            }
        }
        match last {
            Some(error) => Err(ThawError::NotAsked {
                store: self.store.name().to_owned(),
                failed_count: left.len(),
                pack_count: due.len(),
                source: Box::new(error),
            }
            .into()),
            None => Ok(()),
        }
    }

    /// Makes some requests and writes the list; returns those that are worth making again.
    fn request_some(
        &self,
        packs: &[&Pack],
        tier: ThawTier,
        list: &mut RequestList,
    ) -> Result<Vec<(ObjectKey, store::Error)>, Error> {
        let answers: Mutex<Answers> = Mutex::default();
        // The first refusal ends it: the next would be refused as well.
        let refused =
            each_at_once(self.store.calls_at_once(), packs, |Pack { key, view, .. }| {
                let answer = view.thaw(key, tier, self.days);
                let is_refused = answer.as_ref().is_err_and(|error| !is_passing(error));
                answers
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .push((*key, answer));
                if is_refused { Err(()) } else { Ok(()) }
            });
        let mut failed = Vec::new();
        let mut refusal = None;
        for (key, answer) in answers.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            match answer {
                Ok(answer) => list.answer(&key, answer.into()),
                // Whoever reads it says that it is not there.
                Err(store::Error::Missing { .. }) => list.answer(&key, Said::Failed),
                Err(error) => {
                    list.answer(&key, Said::Failed);
                    match is_passing(&error) {
                        true => failed.push((key, error)),
                        false => refusal = Some(error),
                    }
                }
            }
        }
        list.save()?;
        match (refused, refusal) {
            (Err(()), Some(source @ store::Error::Denied { .. })) => {
                let (store, source) = (self.store.name().to_owned(), Box::new(source));
                Err(ThawError::Denied { store, source }.into())
            }
            (_, Some(error)) => Err(error.into()),
            (_, None) => Ok(failed),
        }
    }
}

/// Tells an error that may pass, or is of one pack only, from one that the next request meets too.
fn is_passing(error: &store::Error) -> bool {
    matches!(error, store::Error::Missing { .. }) || error.code().family() == Family::Unavailable
}

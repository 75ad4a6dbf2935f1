//! Looking through a store: what of it may go, and why the rest stays. Spec: `prune.md` §1.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::PruneRequest;
use super::needs::{Needs, is_known, snapshot_of};
use super::over::Over;
use crate::format::{Folder, ObjectKey};
use crate::manifest::{Going, Named, Sweep};
use crate::ops::Error;
use crate::ops::thaw::prices::Micros;
use crate::policy::prune::{ObjectFacts, StayReason, paid_until, why_it_stays};
use crate::store::{self, Listed, Stat};
use crate::vault::at_once::map_at_once;
use crate::vault::{self, Auditor};

/// Objects of which locks are asked for at a time.
const PAGE_COUNT: usize = 1000;
/// Seconds of a day.
const DAY_S: i64 = 24 * 3600;

/// So many objects, and their stored bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub object_count: u64,
    /// Their stored bytes.
    pub stored_len: u64,
}

impl Amount {
    /// Adds one object.
    pub const fn add(&mut self, stored_len: u64) {
        self.object_count += 1;
        self.stored_len = self.stored_len.saturating_add(stored_len);
    }
}

/// What stays for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stays {
    /// How much.
    pub amount: Amount,
    /// When the first of it could go, if that is a matter of time.
    pub first: Option<Timestamp>,
    /// When all of it could.
    pub last: Option<Timestamp>,
}

/// What becomes of one store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorePlan {
    /// The store's name.
    pub store: String,
    /// What goes.
    pub goes: Amount,
    /// How much of it an earlier run recorded and did not delete.
    pub unfinished: Amount,
    /// What stays, by the name of the reason.
    pub stays: BTreeMap<&'static str, Stays>,
    /// What is charged for the days that are left of what is paid for, if it is deleted now.
    pub charge: Micros,
}

impl StorePlan {
    fn stay(&mut self, reason: StayReason, stored_len: u64) {
        let stays = self.stays.entry(reason.name()).or_default();
        stays.amount.add(stored_len);
        let until = reason.until();
        stays.first = [stays.first, until].into_iter().flatten().min();
        stays.last = stays.last.max(until);
    }
}

/// Looks through one store.
pub struct Census<'a> {
    request: &'a PruneRequest<'a>,
    needs: &'a Needs,
    sweep: &'a Sweep,
    number: usize,
    auditor: &'a Auditor,
    settled_before: Option<Timestamp>,
    plan: StorePlan,
    page: Vec<(ObjectKey, Stat, ObjectFacts)>,
}

impl<'a> Census<'a> {
    /// Finds what may go from the store of this number.
    ///
    /// # Errors
    /// If the store does not answer, or the scratch file cannot be used.
    pub fn take(
        request: &'a PruneRequest<'a>,
        needs: &'a Needs,
        over: &Over,
        sweep: &'a Sweep,
        number: usize,
    ) -> Result<StorePlan, Error> {
        let auditor = &request.survey.auditors[number];
        let store = auditor.store().name().to_owned();
        let plan = StorePlan { store, ..StorePlan::default() };
        let (settled_before, page) = (over.settled_before(auditor)?, Vec::new());
        let mut census =
            Self { request, needs, sweep, number, auditor, settled_before, plan, page };
        for folder in [Folder::Packs, Folder::Trees, Folder::Segments, Folder::Snapshots] {
            each_object(auditor, folder, &mut |key, stat| census.look(key, stat))?;
        }
        census.flush()?;
        Ok(census.plan)
    }

    fn look(&mut self, key: ObjectKey, stat: Stat) -> Result<(), Error> {
        let Some(facts) = self.facts(&key, &stat)? else { return Ok(()) };
        match self.judge(&facts) {
            Some(reason) => self.stay(reason, &stat),
            None => self.page.push((key, stat, facts)),
        }
        if self.page.len() >= PAGE_COUNT { self.flush() } else { Ok(()) }
    }

    /// Returns what is known of an object but for its lock; nothing, if it is none of prune's.
    fn facts(&self, key: &ObjectKey, stat: &Stat) -> Result<Option<ObjectFacts>, Error> {
        // What a store tells no time of is as young as can be.
        let stored = stat.modified.filter(is_known).unwrap_or(self.request.now);
        let (is_needed, named, is_own) = match key {
            ObjectKey::Pack(_) | ObjectKey::Tree(_) => {
                let is_over = self.settled_before.is_some_and(|before| stored < before);
                match self.named(key)? {
                    Some(named) => {
                        let is_own = named.is_own && self.host_made(key)?;
                        (named.is_needed, named.at, is_own || is_over)
                    }
                    None => (false, None, is_over),
                }
            }
            ObjectKey::Segment(_) | ObjectKey::Body(_) | ObjectKey::List(_) => {
                let past = snapshot_of(key).and_then(|id| self.needs.past.get(&id));
                let Some(past) = past.filter(|_| !self.has_note(key)) else {
                    return Ok(None);
                };
                (false, Some(past.at).filter(|_| !past.is_own), past.is_own)
            }
            _ => return Ok(None),
        };
        let policy = self.request.survey.history.in_force();
        let class = self.request.prices.classes.get(&stat.class);
        let paid_until = class.and_then(|price| paid_until(policy, stored, price.days_min));
        let locked_until = None;
        Ok(Some(ObjectFacts { is_needed, named, is_own, stored, locked_until, paid_until }))
    }

    fn named(&self, key: &ObjectKey) -> Result<Option<Named>, Error> {
        Ok(self.sweep.named(key).map_err(vault::Error::from)?)
    }

    /// Tells whether the host that prunes made a pack: by its manifest, or because it recorded
    /// earlier that the pack goes, and forgot it then. A list that nothing proves may only keep.
    fn host_made(&self, key: &ObjectKey) -> Result<bool, Error> {
        let recorded = || self.sweep.is_recorded_by_host(self.number, key);
        match self.request.own {
            Some(own) if own.made(key) => Ok(true),
            Some(_) => Ok(recorded().map_err(vault::Error::from)?),
            None => Ok(false),
        }
    }

    /// Tells whether a store has the note of the snapshot that an object is of: then forgetting
    /// deletes what is of it.
    fn has_note(&self, key: &ObjectKey) -> bool {
        let note = snapshot_of(key).map(ObjectKey::Note);
        note.is_some_and(|note| self.request.survey.has(&note))
    }

    fn judge(&self, facts: &ObjectFacts) -> Option<StayReason> {
        let paid_until = facts.paid_until.filter(|_| !self.request.is_early);
        let facts = ObjectFacts { paid_until, ..*facts };
        why_it_stays(&facts, self.request.lean_time(), self.request.now)
    }

    fn stay(&mut self, reason: StayReason, stat: &Stat) {
        self.plan.stay(reason, stat.len);
        if let StayReason::Paid { until } = reason {
            self.charge(until, stat);
        }
    }

    fn charge(&mut self, until: Timestamp, stat: &Stat) {
        let left = until.duration_since(self.request.now).as_secs().max(0);
        let days = u32::try_from(left.saturating_add(DAY_S - 1) / DAY_S).unwrap_or(u32::MAX);
        if let Some(price) = self.request.prices.classes.get(&stat.class) {
            let charge = price.storage_gb.of_storing(stat.len, days);
            self.plan.charge = self.plan.charge.plus(charge);
        }
    }

    /// Asks for the locks of what would go.
    fn flush(&mut self) -> Result<(), Error> {
        let page = std::mem::take(&mut self.page);
        let (auditor, at_once) = (self.auditor, self.auditor.store().calls_at_once());
        let locks = map_at_once(at_once, &page, |(key, ..)| auditor.versions().locked_until(*key));
        for ((key, listed, facts), locked_until) in page.into_iter().zip(locks) {
            match self.judge(&ObjectFacts { locked_until: locked_until?, ..facts }) {
                Some(reason) => self.stay(reason, &listed),
                None => self.let_go(key, &listed, &facts)?,
            }
        }
        Ok(())
    }

    fn let_go(&mut self, key: ObjectKey, stat: &Stat, facts: &ObjectFacts) -> Result<(), Error> {
        let going = Going { key, stored_len: stat.len };
        self.plan.goes.add(stat.len);
        if self.sweep.let_go(self.number, &going).map_err(vault::Error::from)? {
            self.plan.unfinished.add(stat.len);
        }
        if let Some(until) = facts.paid_until.filter(|until| *until > self.request.now) {
            self.charge(until, stat);
        }
        Ok(())
    }
}

/// Gives every object of a folder to `take`, hidden ones included where they can be listed.
fn each_object(
    auditor: &Auditor,
    folder: Folder,
    take: &mut dyn FnMut(ObjectKey, Stat) -> Result<(), Error>,
) -> Result<(), Error> {
    let wrap = |error: store::Error| Error::from(vault::Error::from(error));
    match auditor.store().list_versions(folder) {
        Ok(Some(listing)) => {
            for versioned in listing {
                let versioned = versioned.map_err(wrap)?;
                auditor.versions().meet(&versioned);
                if let Listed::Object(key, stat) = versioned.listed {
                    take(key, stat)?;
                }
            }
            Ok(())
        }
        Ok(None) | Err(store::Error::Denied { .. }) => {
            for listed in auditor.store().list(folder).map_err(wrap)? {
                if let Listed::Object(key, stat) = listed.map_err(wrap)? {
                    take(key, stat)?;
                }
            }
            Ok(())
        }
        Err(error) => Err(wrap(error)),
    }
}

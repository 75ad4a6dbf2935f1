//! What a store says of the packs that are needed. Spec: `thaw.md` §1.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use jiff::Timestamp;

use super::Need;
use crate::format::{Folder, ObjectKey};
use crate::ops::readers::each_at_once;
use crate::store::{Error, Listed, Readiness, Stat, StorageClass, Store};

/// Up to how many packs are asked for one by one without a look at a listing.
const STAT_COUNT_MAX: usize = 4;
/// Objects that one request lists.
const PAGE_COUNT: usize = 1000;

/// Where a pack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It can be read, until this time if that is known to end.
    Ready(Option<Timestamp>),
    /// It is being thawed.
    UnderWay,
    /// It must be thawed first.
    Frozen,
    /// It is not there; whoever reads says so.
    Missing,
}

/// A pack as a store tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Pack {
    /// Its name.
    pub key: ObjectKey,
    /// Where it stands.
    pub state: State,
    /// Its class.
    pub class: StorageClass,
    /// Its length in bytes.
    pub len: u64,
    /// When it was written.
    pub modified: Timestamp,
}

impl Pack {
    fn of(key: ObjectKey, stat: Option<Stat>, now: Timestamp) -> Self {
        let Some(stat) = stat else {
            let class = StorageClass::Standard;
            return Self { key, state: State::Missing, class, len: 0, modified: now };
        };
        let state = match stat.readiness {
            Readiness::Ready => State::Ready(None),
            Readiness::Thawed(until) if until.is_none_or(|until| now < until) => {
                State::Ready(until)
            }
            Readiness::Thawing => State::UnderWay,
            Readiness::Thawed(_) | Readiness::Frozen | Readiness::Unsaid => State::Frozen,
        };
        Self { key, state, class: stat.class, len: stat.len, modified: stat.modified }
    }

    /// Tells whether reading it fails before it is thawed.
    pub const fn is_cold(&self) -> bool {
        matches!(self.state, State::UnderWay | State::Frozen)
    }
}

/// Asks a store where some packs stand, in the order of their names.
///
/// # Errors
/// If it does not answer.
pub fn survey(store: &dyn Store, need: &Need, now: Timestamp) -> Result<Vec<Pack>, Error> {
    let mut stats: BTreeMap<ObjectKey, Option<Stat>> = BTreeMap::new();
    if need.len() > STAT_COUNT_MAX {
        list(store, need, &mut stats);
    }
    let left: Vec<ObjectKey> =
        need.iter().filter(|key| !stats.contains_key(key)).copied().collect();
    let found = Mutex::new(Vec::new());
    each_at_once(store.calls_at_once(), &left, |key| {
        let stat = store.stat(key)?;
        found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((*key, stat));
        Ok::<(), Error>(())
    })?;
    stats.extend(found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()));
    Ok(stats.into_iter().map(|(key, stat)| Pack::of(key, stat, now)).collect())
}

/// Finds packs by listing, as long as that takes fewer requests than asking for each. What it does
/// not find, or a listing does not tell, is asked for: so nothing that fails here is an error.
fn list(store: &dyn Store, need: &Need, stats: &mut BTreeMap<ObjectKey, Option<Stat>>) {
    let folders: BTreeSet<Folder> = need.iter().map(ObjectKey::folder).collect();
    let mut budget = need.len().saturating_mul(PAGE_COUNT);
    for folder in folders {
        let Ok(listing) = store.list(folder) else { return };
        for listed in listing {
            budget = budget.saturating_sub(1);
            match listed {
                Ok(Listed::Object(key, stat)) if need.contains(&key) => {
                    if stat.readiness == Readiness::Unsaid {
                        return;
                    }
                    stats.insert(key, Some(stat));
                }
                Ok(_) => {}
                Err(_) => return,
            }
            if budget == 0 || stats.len() == need.len() {
                return;
            }
        }
    }
}

//! What a store says of the packs that are needed. Spec: `thaw.md` §1.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::Need;
use crate::format::{Folder, ObjectKey};
use crate::ops::readers::each_at_once;
use crate::store::{Error, Listed, Readiness, Stat, StorageClass, Store, Versioned};
use crate::vault;
use crate::vault::versions::{Standing, Versions};

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

/// The objects that a listing shows.
type Rows<'a> = Box<dyn Iterator<Item = Result<Option<(ObjectKey, Stat)>, Error>> + Send + 'a>;

/// A pack as a store tells of it.
#[derive(Clone)]
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
    /// The store that has the version in its place that is meant.
    pub view: Arc<dyn Store>,
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Pack");
        shown.field("key", &self.key).field("state", &self.state).field("class", &self.class);
        shown.finish_non_exhaustive()
    }
}

impl Pack {
    fn of(key: ObjectKey, stat: Option<Stat>, view: &Arc<dyn Store>, now: Timestamp) -> Self {
        let view = Arc::clone(view);
        let Some(stat) = stat else {
            let class = StorageClass::Standard;
            return Self { key, state: State::Missing, class, len: 0, modified: now, view };
        };
        let state = match stat.readiness {
            Readiness::Ready => State::Ready(None),
            Readiness::Thawed(until) if until.is_none_or(|until| now < until) => {
                State::Ready(until)
            }
            Readiness::Thawing => State::UnderWay,
            Readiness::Thawed(_) | Readiness::Frozen | Readiness::Unsaid => State::Frozen,
        };
        let modified = stat.modified.unwrap_or(now);
        Self { key, state, class: stat.class, len: stat.len, modified, view }
    }

    /// Tells whether reading it fails before it is thawed.
    pub const fn is_cold(&self) -> bool {
        matches!(self.state, State::UnderWay | State::Frozen)
    }
}

/// Asks a store where some packs stand, in the order of their names: of a pack that something was
/// put over, or that a delete marker hides, the version that is read (T-11).
///
/// # Errors
/// If it does not answer.
pub fn survey(
    store: &Arc<dyn Store>,
    need: &Need,
    now: Timestamp,
) -> Result<Vec<Pack>, vault::Error> {
    let mut stats: BTreeMap<ObjectKey, Stat> = BTreeMap::new();
    if need.len() > STAT_COUNT_MAX {
        list(store.as_ref(), need, &mut stats);
    }
    let left: Vec<ObjectKey> =
        need.iter().filter(|key| !stats.contains_key(key)).copied().collect();
    let seen = stats.into_iter().map(|(key, stat)| Pack::of(key, Some(stat), store, now));
    let found = Mutex::new(seen.collect::<Vec<_>>());
    let versions = Versions::new(Arc::clone(store));
    each_at_once(store.calls_at_once(), &left, |key| {
        let standing = match key.pack() {
            Some(id) => versions.standing(*key, id)?,
            None => None,
        };
        let pack = match standing {
            Some(Standing { view, stat, .. }) => Pack::of(*key, Some(stat), &view, now),
            None => Pack::of(*key, None, store, now),
        };
        found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(pack);
        Ok::<(), vault::Error>(())
    })?;
    let mut packs = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    packs.sort_by_key(|pack| pack.key);
    Ok(packs)
}

/// Finds packs by listing, as long as that takes fewer requests than asking for each. What it does
/// not find, what has several versions and what a listing does not tell is asked for one by one: so
/// nothing that fails here is an error.
fn list(store: &dyn Store, need: &Need, stats: &mut BTreeMap<ObjectKey, Stat>) {
    let folders: BTreeSet<Folder> = need.iter().map(ObjectKey::folder).collect();
    let mut budget = need.len().saturating_mul(PAGE_COUNT);
    for folder in folders {
        let Ok(listing) = single(store, folder) else { return };
        for listed in listing {
            budget = budget.saturating_sub(1);
            match listed {
                Ok(Some((key, stat))) if need.contains(&key) => {
                    if stat.readiness == Readiness::Unsaid {
                        return;
                    }
                    stats.insert(key, stat);
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

/// Lists a folder; nothing stands for what is no object, or has other versions.
fn single(store: &dyn Store, folder: Folder) -> Result<Rows<'_>, Error> {
    let object = |listed| match listed {
        Listed::Object(key, stat) => Some((key, stat)),
        Listed::Foreign(_) => None,
    };
    // Who may not list versions sees none of them one by one either.
    if let Ok(Some(listing)) = store.list_versions(folder) {
        return Ok(Box::new(listing.map(move |row| {
            let Versioned { listed, version_count, is_hidden } = row?;
            Ok(object(listed).filter(|_| version_count == 1 && !is_hidden))
        })));
    }
    Ok(Box::new(store.list(folder)?.map(move |row| row.map(object))))
}

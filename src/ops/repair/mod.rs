//! Finding what is missing or damaged in one store, and healing it from the others. Spec:
//! `repair.md` §3.
//!
//! - What must be there is what is signed, wherever it is signed; no store is believed.
//! - Nothing is overwritten. In a directory the damaged file is set aside; in a bucket it stays
//!   where it is, and does not count where an older version is sound.
//! - Objects are healed in the order of writing, so I1 to I3 hold at every moment.

mod check;
mod heal;
mod touched;

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::Serialize;

pub use touched::Touched;

use self::check::State;
use super::Error;
use super::carrying::{remove_scratch, scratch_file};
use super::locks::Locks;
use super::replicate::Settle;
use super::workers::{count_for, work_each};
use crate::base::limits::LISTED_COUNT_MAX;
use crate::base::{Code, Event, Observer};
use crate::format::{Folder, ObjectKey};
use crate::manifest::Inventory;
use crate::store::Store;
use crate::vault::Unlocked;
use crate::vault::signed::{Expected, Signed};

/// How closely the store is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Sizes, and checksums where the store keeps them; small objects are read.
    Stored,
    /// Every byte.
    Bytes,
}

/// What is done about what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is told; nothing is written.
    Look,
    /// It is healed; nothing is deleted.
    Heal,
    /// It is healed; where nothing else helps, the damaged object is deleted first.
    Replace,
}

/// A store to be repaired.
pub struct Repair<'a> {
    /// The store.
    pub target: &'a Arc<dyn Store>,
    /// Where sound copies may be.
    pub sources: &'a [Arc<dyn Store>],
    /// What every object must be, gathered from all of them.
    pub signed: &'a Signed,
    /// How closely it is looked at.
    pub depth: Depth,
    /// What is done.
    pub remedy: Remedy,
    /// A directory for one object for each worker.
    pub scratch: &'a Path,
    /// The time, for locks.
    pub now: Timestamp,
    /// Told of every object that was put.
    pub settle: Settle<'a>,
}

/// What became of an object that was missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// A sound copy is in its place.
    Healed {
        /// The store it came from.
        from: String,
        /// Where what was there is now, if anything was.
        aside: Option<String>,
    },
    /// The damaged object was deleted, and a sound copy is in its place.
    Replaced {
        /// The store it came from.
        from: String,
    },
    /// An older version in the store is sound, and it is the one that counts.
    OlderVersionCounts,
    /// It would be healed.
    Healable {
        /// The store with a sound copy.
        from: String,
    },
    /// It stays as it is.
    Unhealed {
        /// Why, and what to do.
        reason: String,
    },
}

/// An object that was missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The object.
    pub object: String,
    /// What kind of damage.
    #[serde(serialize_with = "code_text")]
    pub code: Code,
    /// What is wrong with it.
    pub detail: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

fn code_text<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.text())
}

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The vault.
    pub vault: String,
    /// The store.
    pub store: String,
    /// How closely it was looked at.
    pub depth: Depth,
    /// Objects looked at.
    pub object_count: u64,
    /// Bytes read to the end.
    pub read_len: u64,
    /// What was missing or damaged; at most the first thousand.
    pub cases: Vec<Case>,
    /// How many there were.
    pub case_count: u64,
    /// How many of them are sound now, or would be.
    pub healed_count: u64,
    /// How many stay as they are.
    pub unhealed_count: u64,
    /// Snapshots that what stays touches.
    pub touched: Vec<Touched>,
    /// Archived objects of which only size and checksum were looked at.
    pub archived_count: u64,
    /// Where the logs of two stores part: somebody who can sign has written two histories.
    pub forks: Vec<String>,
}

/// Repairs a store; with identities, files that cannot be healed are named.
///
/// # Errors
/// If a store does not answer. What was healed stays so.
pub fn repair(
    request: &Repair<'_>,
    unlocked: Option<&Unlocked>,
    observer: &dyn Observer,
) -> Result<RepairReport, Error> {
    observer.observe(Event::PhaseStarted { phase: "repair", total_len: None });
    let stores = std::iter::once(request.target).chain(request.sources);
    let workers = count_for(stores.map(AsRef::as_ref));
    let every: Vec<Arc<dyn Store>> =
        std::iter::once(request.target).chain(request.sources).cloned().collect();
    let locks = match request.remedy {
        Remedy::Look => None,
        _ => {
            Some(Locks::read(request.target, &every, request.signed, request.scratch, request.now)?)
        }
    };
    let run = Run { request, observer, workers, every, locks, found: Mutex::default() };
    for folder in Folder::ALL {
        match folder {
            Folder::Packs => run.repair_packs()?,
            Folder::Trees => {}
            _ => {
                // What leans on another object comes after it (I2, I3).
                let ranked =
                    request.signed.objects(folder).into_iter().map(|key| (rank(&key), key));
                let mut ranked: Vec<(u64, ObjectKey)> = ranked.collect();
                ranked.sort_unstable();
                for same in ranked.chunk_by(|one, other| one.0 == other.0) {
                    run.repair_each(same.iter().map(|(_, key)| Ok((*key, None))))?;
                }
            }
        }
    }
    observer.observe(Event::PhaseFinished { phase: "repair" });
    let mut found = run.found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    found.cases.sort_by(|a, b| a.object.cmp(&b.object));
    let touched = touched::find(request, &found.unhealed, unlocked)?;
    Ok(RepairReport {
        vault: request.signed.vault_note().vault.to_string(),
        store: request.target.name().to_owned(),
        depth: request.depth,
        object_count: found.object_count,
        read_len: found.read_len,
        cases: found.cases,
        case_count: found.case_count,
        healed_count: found.case_count - found.unhealed.len() as u64,
        unhealed_count: found.unhealed.len() as u64,
        touched,
        archived_count: found.archived_count,
        forks: request.signed.forks().iter().map(ToString::to_string).collect(),
    })
}

/// What the workers found.
#[derive(Default)]
struct Found {
    object_count: u64,
    read_len: u64,
    archived_count: u64,
    cases: Vec<Case>,
    case_count: u64,
    unhealed: std::collections::BTreeSet<ObjectKey>,
}

/// One run.
struct Run<'a> {
    request: &'a Repair<'a>,
    observer: &'a dyn Observer,
    workers: usize,
    /// The target and the sources.
    every: Vec<Arc<dyn Store>>,
    locks: Option<Locks<'a>>,
    found: Mutex<Found>,
}

/// Returns which objects of a folder have no order among themselves: those of the same rank.
fn rank(key: &ObjectKey) -> u64 {
    match key {
        ObjectKey::Vault(number) => u64::from(*number),
        ObjectKey::List(_) => 1,
        ObjectKey::Note(_) => 2,
        ObjectKey::LedgerEvent(_, seq) => seq.saturating_mul(2),
        ObjectKey::LedgerCheckpoint(_, seq) => seq.saturating_mul(2).saturating_add(1),
        _ => 0,
    }
}

impl Run<'_> {
    /// Repairs every pack and tree object that a list names, each once.
    fn repair_packs(&self) -> Result<(), Error> {
        let mut seen = Inventory::create(self.request.scratch)?;
        for snapshot in self.request.signed.snapshots() {
            // A list that nobody has is a case of its own; what it names may be in other lists.
            let entries =
                self.request.signed.list(&self.every, &snapshot.note)?.unwrap_or_default();
            let mut fresh = Vec::new();
            for entry in entries {
                if seen.add(&entry.key, entry.stored_len)? {
                    fresh.push(Ok((entry.key, Some(entry.stored_len))));
                }
            }
            self.repair_each(fresh.into_iter())?;
        }
        Ok(())
    }

    fn repair_each(
        &self,
        keys: impl Iterator<Item = Result<(ObjectKey, Option<u64>), Error>>,
    ) -> Result<(), Error> {
        let done = work_each(self.workers, keys, |worker, (key, len)| {
            match self.request.signed.expected(&key) {
                Some(expected) => {
                    let len = len.or(expected.len);
                    self.repair_one(worker, &key, &Expected { len, ..expected })
                }
                None => Ok(()),
            }
        });
        let removed = (0..self.workers)
            .try_for_each(|worker| remove_scratch(&scratch_file(self.request.scratch, worker)));
        done.and(removed)
    }

    fn repair_one(&self, worker: usize, key: &ObjectKey, expected: &Expected) -> Result<(), Error> {
        let seen = check::look(self.request, key, expected)?;
        self.observer.observe(Event::Advanced { len: seen.read_len });
        let mut found = self.found();
        found.object_count += 1;
        found.read_len += seen.read_len;
        found.archived_count += u64::from(seen.is_archived);
        drop(found);
        let (code, detail) = match &seen.state {
            State::Sound => return Ok(()),
            State::Missing => (Code::ObjectMissing, "it is not there".to_owned()),
            State::Damaged(code, detail) | State::Unread(code, detail) => (*code, detail.clone()),
        };
        let path = scratch_file(self.request.scratch, worker);
        let outcome =
            heal::heal(self.request, self.locks.as_ref(), key, expected, &seen.state, &path)?;
        let mut found = self.found();
        found.case_count += 1;
        if matches!(outcome, Outcome::Unhealed { .. }) {
            found.unhealed.insert(*key);
        }
        if found.cases.len() < LISTED_COUNT_MAX {
            found.cases.push(Case { object: key.to_string(), code, detail, outcome });
        }
        Ok(())
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

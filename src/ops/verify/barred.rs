//! Kinds of objects that the credentials of a store may not look at, as those of a host. Spec:
//! `nights.md` §2.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::base::{GenerationId, PackId, SnapshotId, SystemEntropy, entropy};
use crate::format::ObjectKey;
use crate::store::{Error, Store};

/// Refused objects of a kind after which most of the others are not looked at.
const LOOKED_AT: u64 = 64;

/// A kind of objects that not everybody may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Packs,
    Trees,
    Segments,
    Bodies,
    Generations,
}

/// What a store refused of a kind, and what it showed.
#[derive(Debug, Default)]
struct Refusals {
    /// Whether it refuses also what is not there.
    is_barred: bool,
    count: u64,
    first: Option<ObjectKey>,
    /// Of files of generations, of which there are few, each that was refused.
    files: BTreeSet<ObjectKey>,
    skipped: u64,
    /// Whether it said of any object of the kind what there is.
    has_answered: bool,
}

/// The kinds of which a store refused something.
///
/// Who may not list is refused what is not there as well. So whoever deleted one object must not
/// make a kind look barred: some are looked at all the same, and nobody knows which. If one of them
/// is shown, those that were refused are found.
#[derive(Debug, Default)]
pub(super) struct Barred(Mutex<BTreeMap<Kind, Refusals>>);

impl Barred {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Kind, Refusals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that the store said what there is of an object.
    pub fn note_answer(&self, key: &ObjectKey) {
        if let Some(kind) = Kind::of(key) {
            self.held().entry(kind).or_default().has_answered = true;
        }
    }

    /// Takes note that an object was refused; tells whether what is not there is refused too.
    pub fn note_refusal(&self, key: &ObjectKey, store: &dyn Store) -> bool {
        let Some(kind) = Kind::of(key) else { return false };
        let mut held = self.held();
        let refusals = held.entry(kind).or_default();
        if refusals.count == 0 {
            refusals.is_barred = kind.is_barred_in(store);
        }
        refusals.count += 1;
        refusals.first = refusals.first.min(Some(*key)).or(Some(*key));
        if kind == Kind::Generations {
            refusals.files.insert(*key);
        }
        refusals.is_barred
    }

    /// Tells whether an object is not looked at, as so many like it were refused.
    pub fn skips(&self, key: &ObjectKey) -> bool {
        let mut held = self.held();
        let refusals = Kind::of(key).and_then(|kind| held.get_mut(&kind));
        let Some(refusals) = refusals.filter(|refusals| refusals.is_barred) else { return false };
        let draw: [u8; 1] = entropy::draw(&SystemEntropy);
        let skips = !refusals.has_answered && refusals.count >= LOOKED_AT && draw[0] != 0;
        refusals.skipped += u64::from(skips);
        skips
    }

    /// Tells whether a file of a generation was left out.
    pub fn has_file(&self, key: &ObjectKey) -> bool {
        let held = self.held();
        let refusals = held.get(&Kind::Generations);
        refusals.is_some_and(|refusals| refusals.is_barred && refusals.files.contains(key))
    }

    /// Returns what was refused although others like it were shown, with what is to be said of it.
    pub fn withheld(&self) -> Vec<(ObjectKey, String)> {
        let held = self.held();
        let odd = held.iter().filter(|(_, refusals)| refusals.is_barred && refusals.has_answered);
        odd.filter_map(|(kind, refusals)| {
            let (more, kind) = (refusals.count - 1, kind.name());
            let detail = format!(
                "the store refuses to show it and {more} more {kind}, and shows others: they may \
                 be gone"
            );
            Some((refusals.first?, detail))
        })
        .collect()
    }

    /// Returns what was left out.
    pub fn gaps(&self) -> Vec<String> {
        let held = self.held();
        let barred = held.iter().filter(|(_, refusals)| refusals.is_barred);
        let gap = |(kind, refusals): (&Kind, &Refusals)| match refusals.has_answered {
            false => Some(format!("{}: these credentials may not look at them", kind.name())),
            true if refusals.skipped > 0 => {
                Some(format!("{}: not all of them were looked at", kind.name()))
            }
            true => None,
        };
        barred.filter_map(gap).collect()
    }
}

impl Kind {
    /// Returns the kind of an object; none of what every reader may read.
    pub const fn of(key: &ObjectKey) -> Option<Self> {
        match key {
            ObjectKey::Pack(_) => Some(Self::Packs),
            ObjectKey::Tree(_) => Some(Self::Trees),
            ObjectKey::Segment(_) => Some(Self::Segments),
            ObjectKey::Body(_) => Some(Self::Bodies),
            ObjectKey::Generation(..) => Some(Self::Generations),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Packs => "packs",
            Self::Trees => "trees",
            Self::Segments => "segments",
            Self::Bodies => "bodies of snapshots",
            Self::Generations => "files of generations",
        }
    }

    /// Tells whether a store refuses to look even at an object of a name that nobody can know.
    pub fn is_barred_in(self, store: &dyn Store) -> bool {
        let random: [u8; 32] = entropy::draw(&SystemEntropy);
        let tail = [random[0], random[1], random[2], random[3]];
        let snapshot = || SnapshotId::new(Timestamp::UNIX_EPOCH, tail);
        let key = match self {
            Self::Packs => ObjectKey::Pack(PackId::from_bytes(random)),
            Self::Trees => ObjectKey::Tree(PackId::from_bytes(random)),
            Self::Segments => ObjectKey::Segment(snapshot()),
            Self::Bodies => ObjectKey::Body(snapshot()),
            Self::Generations => {
                ObjectKey::Generation(GenerationId::new(Timestamp::UNIX_EPOCH, tail), 1)
            }
        };
        matches!(store.stat(&key), Err(Error::Denied { .. }))
    }
}

//! What the snapshots of a vault need, and on what its writers may still lean. Spec: `prune.md` §2.
//!
//! - A list counts from whichever store has the one that is signed.
//! - Where the note is gone, or does not verify, the list is believed as it is: it only keeps.
//! - A list that nobody can read any more is no list of nothing: it is told, and stops the run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::over::Over;
use super::{PruneRequest, recorded_everywhere};
use crate::base::{Code, Coded, Event, Family, Observer, SnapshotId};
use crate::format::event::EventPayload;
use crate::format::list::ListEntry;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::manifest::{Naming, Sweep};
use crate::ops::Error;
use crate::policy::prune::named_at;
use crate::vault::list_reader::{read_list, read_unproven_list};
use crate::vault::{self, Auditor};

/// What is known of the snapshots before a store is looked through.
pub struct Needs {
    /// Snapshots of which nobody knows what they named, though it matters.
    pub missing: BTreeSet<SnapshotId>,
    /// Snapshots of which nothing must be deleted but by forgetting them.
    pub stands: BTreeSet<SnapshotId>,
    /// When the others were taken, and whether this host took them itself.
    pub past: BTreeMap<SnapshotId, Past>,
}

/// A snapshot that does not stand, or never became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it was taken.
    pub at: Timestamp,
    /// Whether the host that took it is the one that prunes.
    pub is_own: bool,
}

impl Needs {
    /// Reads every list that matters.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn gather(
        request: &PruneRequest<'_>,
        over: &Over,
        sweep: &Sweep,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let mut needs =
            Self { missing: BTreeSet::new(), stands: BTreeSet::new(), past: BTreeMap::new() };
        // I3: it is there as long as its note is; forgetting deletes that, and looks at floor, hold
        // and lock before.
        for note in request.survey.signed() {
            needs.stands.insert(note.snapshot);
            if !read_signed(request, note, sweep)? {
                needs.missing.insert(note.snapshot);
                read_unproven(request, note.snapshot, Naming::Needs, sweep)?;
                let key = ObjectKey::List(note.snapshot);
                let detail = format!("{key} is in no store as it was signed");
                observer.observe(Event::Warning { code: Code::ObjectMissing, detail });
            }
        }
        let (taken, pruned) = (taken_in(request), pruned_lists(request));
        for id in ids_of(request)?.into_iter().chain(taken.keys().copied()) {
            if !needs.stands.contains(&id) && !needs.past.contains_key(&id) {
                needs.add_other(request, over, id, taken.get(&id), sweep)?;
            }
        }
        // Whoever let a list go knew what it named: its host, or who waited until nobody leans.
        needs.missing.retain(|id| needs.stands.contains(id) || !pruned.contains(id));
        Ok(needs)
    }

    /// Returns a snapshot under a hold of which nobody can tell what it needs.
    pub fn held_and_missing(&self, request: &PruneRequest<'_>) -> Option<SnapshotId> {
        self.missing.iter().copied().find(|id| is_held(request, *id))
    }

    /// Adds a snapshot without a note that verifies.
    fn add_other(
        &mut self,
        request: &PruneRequest<'_>,
        over: &Over,
        id: SnapshotId,
        taken: Option<&Taken>,
        sweep: &Sweep,
    ) -> Result<(), Error> {
        let survey = request.survey;
        let has = |key: ObjectKey| survey.has(&key);
        let has_list = has(ObjectKey::List(id));
        // A note that verifies nowhere is one that may yet: of a signer that was not added so far.
        let stands = has(ObjectKey::Note(id))
            || match survey.forgotten.contains_key(&id) {
                true => is_held(request, id),
                false => taken.is_some(),
            };
        let written = survey.written(&ObjectKey::List(id)).or(taken.and_then(|one| one.written));
        let at = named_at(id.time(), written.filter(is_known), request.now);
        // What its manifest says it made is of the open generation alone.
        let is_own = request.own.is_some_and(|own| over.is_of(id, own.generation))
            && taken.is_some_and(|one| one.is_own);
        let is_young = !at.checked_add(request.lean_time()).is_ok_and(|until| until <= request.now);
        let naming = match (stands, is_own) {
            (true, _) => Naming::Needs,
            (false, true) => Naming::Own,
            (false, false) => Naming::At(at),
        };
        if stands {
            self.stands.insert(id);
        } else {
            self.past.insert(id, Past { at, is_own });
        }
        // Of what is long past nothing is kept by it, and its list may be pruned already. On what
        // is of a generation that is over nobody leans.
        if !stands && (over.has(id) || !is_own && !is_young) {
            return Ok(());
        }
        let found = match has_list {
            true => read_unproven(request, id, naming, sweep)?,
            false => Found::default(),
        };
        // A list that no ledger records and that is none keeps nothing: whoever may put can put it.
        // What a host forgot itself nobody else leans on.
        if !found.is_read && (taken.is_some() || found.is_hurt) && naming != Naming::Own {
            self.missing.insert(id);
        }
        Ok(())
    }
}

/// Tells whether a store told a time at all.
pub fn is_known(at: &Timestamp) -> bool {
    *at > Timestamp::UNIX_EPOCH
}

/// Tells whether a legal hold covers a snapshot.
fn is_held(request: &PruneRequest<'_>, id: SnapshotId) -> bool {
    let counts = |until: Option<Timestamp>| until.is_none_or(|until| until > request.now);
    request.survey.candidate(id).holds.iter().any(|hold| counts(hold.until))
}

/// What a ledger says of a snapshot that was taken.
struct Taken {
    is_own: bool,
    /// When a store had that event.
    written: Option<Timestamp>,
}

fn taken_in(request: &PruneRequest<'_>) -> BTreeMap<SnapshotId, Taken> {
    let mut taken = BTreeMap::new();
    for event in request.survey.distinct_events() {
        if let EventPayload::SnapshotTaken(said) = &event.payload {
            let written = request.survey.written(&ObjectKey::LedgerEvent(event.signer, event.seq));
            let is_own = request.own.is_some_and(|own| own.signer == event.signer);
            taken.insert(said.snapshot, Taken { is_own, written });
        }
    }
    taken
}

/// Returns the snapshots of which a prune let the list go.
fn pruned_lists(request: &PruneRequest<'_>) -> BTreeSet<SnapshotId> {
    let objects = recorded_everywhere(request.survey).flat_map(|(_, said)| &said.objects);
    let list = |key: &ObjectKey| match key {
        ObjectKey::List(id) => Some(*id),
        _ => None,
    };
    objects.filter_map(list).collect()
}

/// Returns every snapshot of which a store has a note or a list, hidden or not, or anything else.
fn ids_of(request: &PruneRequest<'_>) -> Result<BTreeSet<SnapshotId>, Error> {
    let mut ids = BTreeSet::new();
    for auditor in &request.survey.auditors {
        for folder in [Folder::Snapshots, Folder::Segments] {
            ids.extend(auditor.versions().list(folder)?.iter().filter_map(snapshot_of));
        }
    }
    Ok(ids)
}

/// Returns the snapshot that an object is of.
pub const fn snapshot_of(key: &ObjectKey) -> Option<SnapshotId> {
    match key {
        ObjectKey::Note(id)
        | ObjectKey::List(id)
        | ObjectKey::Body(id)
        | ObjectKey::Segment(id) => Some(*id),
        _ => None,
    }
}

/// Takes up what a list names that a note signs, from the first store that has it.
fn read_signed(
    request: &PruneRequest<'_>,
    note: &SnapshotNote,
    sweep: &Sweep,
) -> Result<bool, Error> {
    for auditor in &request.survey.auditors {
        let read = auditor.versions().named(ObjectKey::List(note.snapshot), |view| {
            sweep.name_all(Naming::Needs, |staging| {
                let mut take = |entry: ListEntry| Ok(staging.add(&entry.key)?);
                read_list(view.as_ref(), note, &mut take)
            })
        });
        match read {
            Ok(()) => return Ok(true),
            Err(error) => pass_over(auditor, error)?,
        }
    }
    Ok(false)
}

/// What came of reading a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    /// Whether one of its versions is a list.
    is_read: bool,
    /// Whether one is there that its store does not read: it may be the one.
    is_hurt: bool,
}

/// Takes up what every version of a list in every store names.
fn read_unproven(
    request: &PruneRequest<'_>,
    id: SnapshotId,
    naming: Naming,
    sweep: &Sweep,
) -> Result<Found, Error> {
    let mut found = Found::default();
    for auditor in &request.survey.auditors {
        let mut views = auditor.versions().views(ObjectKey::List(id))?;
        if views.is_empty() {
            views.push(auditor.store().clone());
        }
        for view in views {
            let read = sweep.name_all(naming, |staging| {
                let mut take = |entry: ListEntry| Ok(staging.add(&entry.key)?);
                read_unproven_list(view.as_ref(), auditor.vault(), id, &mut take)
            });
            match read {
                Ok(()) => found.is_read = true,
                Err(error) => {
                    found.is_hurt |= error.code() == Code::StoreUnavailable;
                    pass_over(auditor, error)?;
                }
            }
        }
    }
    Ok(found)
}

/// Passes over a list that is damaged or not there; that a store does not answer, or that there is
/// no room for what lists name, is an error.
fn pass_over(auditor: &Auditor, error: vault::Error) -> Result<(), Error> {
    if matches!(error, vault::Error::Manifest(_)) || error.code().family() == Family::Unsupported {
        return Err(error.into());
    }
    match auditor.damage_of_signed(&error) {
        Some(_) => Ok(()),
        None => Err(error.into()),
    }
}

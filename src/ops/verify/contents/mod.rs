//! Level `contents`: everything opens, every chunk has its id, every stream and file its digest.
//! Spec: `vault-v1.md` §12.3.
//!
//! - Each pack is read once: its SHA-256, its chunks and what files have in it are checked as it
//!   passes. Only dumps are read again.
//! - Damage has one finding, the object; what leans on it is told as what it touches.

mod dumps;
mod files;
mod packs;
mod spread;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use self::spread::{Joined, Spread};
use super::{Collector, Scope, held, stored};
use crate::base::{Code, Digest, GenerationId, PackId, Profile};
use crate::crypto::parts_hasher::PartsHasher;
use crate::format::ObjectKey;
use crate::format::body::Body;
use crate::format::snapshot_note::{SignedObject, SnapshotNote};
use crate::manifest::{FilePlan, PackPlace, PlannedFile};
use crate::ops::Error;
use crate::ops::readers::read_each;
use crate::store;
use crate::vault::{self, Unlocked};

/// Stored bytes of bodies that are kept; what is beyond is read again.
const BODIES_LEN: u64 = 16 * 1024 * 1024;

/// What a run reads with, and what it knows so far.
struct Reading<'a> {
    unlocked: &'a Unlocked,
    scope: &'a Scope,
    collector: &'a Collector<'a>,
    plan: Mutex<FilePlan>,
    /// The generations, in the order of the plan's numbers.
    generations: Vec<GenerationId>,
    dumps: Mutex<dumps::Plan>,
    spread: Mutex<Spread>,
}

/// A snapshot that is read, and its body if that is kept.
struct Opened<'a> {
    note: &'a SnapshotNote,
    kept: Option<Body>,
}

/// Checks everything that opens with the generations' keys, and reads every needed object to its
/// end.
///
/// # Errors
/// If the store does not answer, or there is no room for the plan.
pub fn check(unlocked: &Unlocked, scope: &Scope, collector: &Collector<'_>) -> Result<(), Error> {
    let generations: BTreeSet<GenerationId> =
        scope.notes.values().map(|note| note.generation).collect();
    let reading = Reading {
        unlocked,
        scope,
        collector,
        plan: Mutex::new(FilePlan::new().map_err(vault::Error::from)?),
        generations: generations.into_iter().collect(),
        dumps: Mutex::default(),
        spread: Mutex::default(),
    };
    let (mut opened, mut kept_len) = (Vec::new(), 0);
    for note in scope.notes.values() {
        match unlocked.body(note) {
            Ok(body) => {
                reading.check_list(note, &body)?;
                dumps::plan(&reading, &body)?;
                kept_len += note.body.len;
                let kept = (kept_len <= BODIES_LEN).then_some(body);
                opened.push(Opened { note, kept });
            }
            Err(error) => collector.add_error(ObjectKey::Body(note.snapshot), error)?,
        }
    }
    reading.check_packs(|key| matches!(key, ObjectKey::Tree(_)))?;
    reading.each_body(&opened, |body| files::plan(&reading, body))?;
    reading.check_packs(|key| matches!(key, ObjectKey::Pack(_)))?;
    reading.plan().put_off_rest().map_err(vault::Error::from)?;
    files::check_later(&reading)?;
    reading.each_body(&opened, |body| dumps::check(&reading, body))?;
    if reading.plan().failed_count().map_err(vault::Error::from)? > 0 {
        for body in &opened {
            reading.with_body(body, |body| files::tell(&reading, body))?;
        }
    }
    Ok(())
}

impl Reading<'_> {
    fn plan(&self) -> MutexGuard<'_, FilePlan> {
        held(&self.plan)
    }

    /// Checks that the packs of a body are those of the signed list, and takes note of where each
    /// belongs.
    fn check_list(&self, note: &SnapshotNote, body: &Body) -> Result<(), Error> {
        let read;
        let list = match self.scope.lists.get(&note.snapshot) {
            Some(list) => list,
            None => match self.unlocked.auditor().list(note) {
                Ok(list) => {
                    read = list;
                    &read
                }
                Err(error) => {
                    return self.collector.add_error(ObjectKey::List(note.snapshot), error);
                }
            },
        };
        let listed: BTreeSet<PackId> = list.iter().filter_map(|entry| entry.key.pack()).collect();
        let named: BTreeSet<PackId> = body.packs.iter().copied().collect();
        if listed != named {
            let detail = "its packs are not those of the signed list";
            self.collector.add(Code::NoteMismatch, ObjectKey::Body(note.snapshot), detail);
        }
        let dumps: BTreeSet<PackId> = body
            .database
            .iter()
            .flat_map(|database| database.stream.recipe.pieces())
            .map(|piece| body.packs[piece.pack as usize])
            .collect();
        let (plan, generation) = (self.plan(), self.number_of(note.generation));
        for entry in list {
            let profile = match entry.key {
                ObjectKey::Tree(_) => Profile::Meta,
                ObjectKey::Pack(id) if dumps.contains(&id) => Profile::Stream,
                _ => Profile::File,
            };
            let Some(id) = entry.key.pack() else { continue };
            let place = PackPlace { generation, profile: profile.code() };
            let first = plan.place(id, place).map_err(vault::Error::from)?;
            if first.generation != generation {
                let detail = "snapshots of two generations name it, and one key opens it";
                self.collector.add(Code::ObjectUnreadable, entry.key, detail);
            }
        }
        Ok(())
    }

    /// Judges files by what a pack had of them, and keeps that of those that go on in others.
    fn settle(&self, files: &[PlannedFile], parts: Vec<PartsHasher>) -> Result<(), vault::Error> {
        let mut found = Vec::new();
        for (file, part) in files.iter().zip(parts) {
            match held(&self.spread).join(file.number, part) {
                Joined::Whole(hash) => found.push((file.number, files::judge(&file.b3, hash))),
                Joined::Part => {}
                Joined::Refused => self.plan().put_off(file.number)?,
            }
        }
        Ok(self.plan().settle(&found)?)
    }

    /// Checks every needed pack or tree of a kind, a few at a time.
    fn check_packs(&self, is_meant: fn(&ObjectKey) -> bool) -> Result<(), Error> {
        stored::for_each_page(self.scope, |page| {
            let meant = page.iter().filter(|(key, _)| is_meant(key)).copied();
            let meant: Vec<(ObjectKey, SignedObject)> = meant.collect();
            read_each(&meant, |(key, signed)| packs::check(self, key, signed))
        })
    }

    /// Gives every body that opened to `work`, a few at a time.
    fn each_body(
        &self,
        opened: &[Opened<'_>],
        work: impl Fn(&Body) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        read_each(opened, |one| self.with_body(one, &work))
    }

    fn with_body(
        &self,
        opened: &Opened<'_>,
        work: impl Fn(&Body) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &opened.kept {
            Some(body) => work(body),
            None => match self.unlocked.body(opened.note) {
                Ok(body) => work(&body),
                Err(error) => {
                    self.collector.add_error(ObjectKey::Body(opened.note.snapshot), error)
                }
            },
        }
    }

    /// Returns the plan's number of a generation.
    fn number_of(&self, id: GenerationId) -> u32 {
        let at = self.generations.iter().position(|known| *known == id);
        at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
    }

    /// Returns the generation of a number of the plan.
    fn generation(&self, number: u32) -> Option<GenerationId> {
        self.generations.get(number as usize).copied()
    }

    /// Tells whether one of these packs is damaged. What other parts of this verification look at
    /// is looked at here as well: its finding is in the words of theirs, so joined it is one.
    fn is_blamed(&self, packs: impl IntoIterator<Item = PackId>) -> Result<bool, Error> {
        let packs: BTreeSet<PackId> = packs.into_iter().collect();
        for id in &packs {
            if self.plan().is_judged(*id).map_err(vault::Error::from)? {
                continue;
            }
            self.check_named(&ObjectKey::Tree(*id))?;
            self.check_named(&ObjectKey::Pack(*id))?;
        }
        Ok(self.plan().is_blamed(packs).map_err(vault::Error::from)?)
    }

    /// Checks a pack or tree object, if a list names it.
    fn check_named(&self, key: &ObjectKey) -> Result<(), Error> {
        let len = self.scope.needed.len_of(key).map_err(vault::Error::from)?;
        let Some((id, len)) = key.pack().zip(len) else { return Ok(()) };
        let sha256 = Digest::from_bytes(*id.as_bytes());
        packs::check(self, key, &SignedObject { sha256, len })
    }

    /// Returns what an error says of something that leans on packs: nothing, if one of them is
    /// known to be damaged, for that has its finding; trouble with reaching the store is passed on.
    fn cause_of(
        &self,
        error: vault::Error,
        packs: impl IntoIterator<Item = PackId>,
    ) -> Result<Option<(Code, String)>, Error> {
        // One that was sound and is gone by now may have been pruned: its finding is its own.
        if let vault::Error::Store(store::Error::Missing { key, .. }) = &error {
            self.check_named(key)?;
        }
        if self.is_blamed(packs)? {
            return Ok(None);
        }
        match self.unlocked.auditor().damage(&error) {
            Some(code) => Ok(Some((code, super::with_causes(&error)))),
            None => Err(error.into()),
        }
    }
}

//! Whether objects are kept as they must be: in which class, and locked until when. Spec:
//! `evidence.md` §1 and §2.
//!
//! - A fault of many objects is one finding for each folder, or a report would hold nothing else.
//! - That a lock is not told is not that there is none.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Evidence, EvidenceError};
use super::{Collector, Scope, held};
use crate::base::{Code, GenerationId, SnapshotId};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::manifest::Floor;
use crate::ops::Error;
use crate::policy::{Policy, PolicyTimes};
use crate::store::{self, LockMode, Stat, StorageClass};
use crate::vault::at_once::map_at_once;
use crate::vault::{self, Auditor};

/// Objects with the same fault that are findings of their own; of more, one finding tells.
const NAMED_MAX: u64 = 100;
/// For how long after a snapshot locks of what it leans on may wait to be extended: whoever runs
/// `retain --apply` once a week is in time.
const EXTENDED_WITHIN: SignedDuration = SignedDuration::from_hours(8 * 24);
/// By how much less what young snapshots need may be locked: it may have been put by a run before
/// theirs that was interrupted, and months are not all of one length.
const YOUNG_SLACK: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Notes and lists whose locks are looked at before the next ones are.
const PAGE_COUNT: usize = 1000;

/// How objects must be kept, and which are not.
#[derive(Default)]
pub struct Keeping {
    class: Option<StorageClass>,
    lock: Option<LockMode>,
    now: Option<Timestamp>,
    shows_locks: AtomicBool,
    faults: Mutex<BTreeMap<Fault, Group>>,
}

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Its class.
    Class(Folder, StorageClass),
    /// It has no lock.
    Unlocked(Folder),
    /// Its lock is too short.
    Short(Folder),
    /// Its lock is too weak.
    Weak(Folder),
}

impl Fault {
    const fn code(self) -> Code {
        match self {
            Self::Class(..) => Code::ClassWrong,
            _ => Code::LockCut,
        }
    }

    const fn folder(self) -> Folder {
        match self {
            Self::Class(folder, _)
            | Self::Unlocked(folder)
            | Self::Short(folder)
            | Self::Weak(folder) => folder,
        }
    }
}

/// The objects with one fault, of which the first are named.
#[derive(Default)]
struct Group {
    named: BTreeMap<ObjectKey, String>,
    count: u64,
}

impl Keeping {
    /// Takes what is said on how objects must be kept; what is not said the store's settings say.
    ///
    /// # Errors
    /// If a directory is said to lock.
    pub fn new(
        auditor: &Auditor,
        evidence: &Evidence<'_>,
        now: Option<Timestamp>,
    ) -> Result<Self, EvidenceError> {
        let store = auditor.store();
        if evidence.lock.is_some() && store::directory(store.url()).is_some() {
            return Err(EvidenceError::NoLocks { store: store.name().to_owned() });
        }
        let terms = store.terms();
        Ok(Self {
            class: evidence.class.or(terms.pack_class),
            lock: evidence.lock.or(terms.lock),
            now,
            shows_locks: AtomicBool::new(false),
            faults: Mutex::default(),
        })
    }

    /// Judges what the store says of an object that must be locked until a time, if it must be.
    pub fn judge(&self, key: ObjectKey, stat: &Stat, until: Option<Timestamp>) {
        self.judge_class(key, stat);
        self.judge_lock(key, stat, until);
    }

    /// Judges the class of an object alone.
    pub fn judge_class(&self, key: ObjectKey, stat: &Stat) {
        let fault = Fault::Class(key.folder(), stat.class);
        if !matches!(key, ObjectKey::Pack(_)) {
            if stat.class.is_archive() || stat.is_cold() {
                let class = stat.class;
                let detail = format!("it is archived ({class}), and is needed before any thaw");
                self.note(fault, key, detail);
            }
        } else if let Some(class) = self.class.filter(|class| *class != stat.class) {
            self.note(fault, key, format!("it is in {}, and must be in {class}", stat.class));
        }
    }

    fn judge_lock(&self, key: ObjectKey, stat: &Stat, until: Option<Timestamp>) {
        if stat.lock.is_some() {
            self.shows_locks.store(true, Ordering::Relaxed);
        }
        let (Some(until), folder) = (until, key.folder()) else { return };
        // Only so can the role that shreds remove a key.
        let is_exempt = folder == Folder::Generations;
        match stat.lock {
            None => {
                let detail = format!("it is not locked, and must be until {until}");
                self.note(Fault::Unlocked(folder), key, detail);
            }
            Some(lock) if lock.until.as_second() < until.as_second() => {
                let detail =
                    format!("it is locked until {}, and must be until {until}", lock.until);
                self.note(Fault::Short(folder), key, detail);
            }
            Some(lock) if !is_exempt && self.lock.is_some_and(|mode| lock.mode < mode) => {
                let mode = lock.mode.name();
                let detail =
                    format!("its lock until {} is of {mode} and can be lifted", lock.until);
                self.note(Fault::Weak(folder), key, detail);
            }
            Some(_) => {}
        }
    }

    fn note(&self, fault: Fault, key: ObjectKey, detail: String) {
        let mut faults = held(&self.faults);
        let group = faults.entry(fault).or_default();
        group.count += 1;
        group.named.insert(key, detail);
        // Whatever came first: of many the least name is told, run after run.
        if group.named.len() as u64 > NAMED_MAX {
            group.named.pop_last();
        }
    }

    /// Tells whether the store locks: somebody says so, or it showed a lock.
    fn locks(&self) -> bool {
        self.lock.is_some() || self.shows_locks.load(Ordering::Relaxed)
    }

    /// Returns the floor of every snapshot that must stay for some time still.
    pub fn floors(
        &self,
        auditor: &Auditor,
        notes: &BTreeMap<SnapshotId, SnapshotNote>,
        is_forgotten: impl Fn(&SnapshotId) -> bool,
    ) -> BTreeMap<SnapshotId, Floor> {
        let Some(now) = self.now.filter(|_| store::directory(auditor.store().url()).is_none())
        else {
            return BTreeMap::new();
        };
        let policies = auditor
            .chain()
            .iter()
            .filter_map(|link| Some((link.note.time, Policy::from_json(&link.note.policy).ok()?)));
        let policies = PolicyTimes::new(policies.collect());
        let floor_of = |note: &SnapshotNote| {
            let at = |time| policies.floor_of(note.time, Some(note.floor), time);
            // What a new policy gives beyond is locked by the next run that extends locks.
            let before = now.checked_sub(EXTENDED_WITHIN).unwrap_or(now);
            let until = at(now).min(at(before));
            let is_old = now.duration_since(note.time) > EXTENDED_WITHIN;
            let slack = if is_old { SignedDuration::ZERO } else { YOUNG_SLACK };
            let until = until.and_then(|until| until.checked_sub(slack).ok());
            until.filter(|until| *until > now).map(|until| Floor { until, is_old })
        };
        let standing = notes.iter().filter(|(id, _)| !is_forgotten(id));
        standing.filter_map(|(id, note)| Some((*id, floor_of(note)?))).collect()
    }
}

/// Looks at the locks of what is read and otherwise not looked at: notes, lists, generation files.
pub fn check_records(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    if !collector.keeping.locks() || scope.floors.is_empty() {
        return Ok(());
    }
    let mut generations: BTreeMap<GenerationId, (Option<Timestamp>, Option<Timestamp>)> =
        BTreeMap::new();
    let mut records: Vec<(ObjectKey, Timestamp)> = Vec::new();
    for (id, floor) in &scope.floors {
        let Some(note) = scope.notes.get(id) else { continue };
        let own = [(ObjectKey::Note(*id), note.body), (ObjectKey::List(*id), note.list)];
        let here = own.into_iter().filter(|(_, one)| scope.is_here(one.sha256.as_bytes()));
        records.extend(here.map(|(key, _)| (key, floor.until)));
        let (old, young) = generations.entry(note.generation).or_default();
        match floor.is_old {
            true => *old = (*old).max(Some(floor.until)),
            false => {
                // It was put as the generation was opened, and not with the first snapshot.
                let begun = note.time.duration_since(note.generation.time());
                let early = floor.until.checked_sub(begun.max(SignedDuration::ZERO));
                *young = [*young, early.ok()].into_iter().flatten().min();
            }
        }
    }
    for (key, sha256) in &scope.generation_files {
        if !scope.is_here(sha256.as_bytes()) {
            continue;
        }
        let ObjectKey::Generation(id, _) = key else { continue };
        let until = generations.get(id).and_then(|(old, young)| old.or(*young));
        records.extend(until.map(|until| (*key, until)));
    }
    for page in records.chunks(PAGE_COUNT) {
        let looked = map_at_once(auditor.store().calls_at_once(), page, |(key, until)| {
            check_record(auditor, *key, *until, collector)
        });
        looked.into_iter().collect::<Result<(), Error>>()?;
    }
    Ok(())
}

fn check_record(
    auditor: &Auditor,
    key: ObjectKey,
    until: Timestamp,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    if collector.barred.skips(&key) {
        return Ok(());
    }
    let seen = auditor.store().stat(&key).map_err(vault::Error::from);
    let seen = match seen {
        // Which of several counts was found when they were read; whoever hides one locks nothing.
        Ok(Some(stat)) if !auditor.versions().is_rewritten(key) => Some(stat),
        Ok(_) => oldest(auditor, key)?,
        Err(error) => return collector.add_error(key, error),
    };
    if let Some(stat) = seen {
        collector.count_lock(&stat);
        collector.keeping.judge_lock(key, &stat, Some(until));
    }
    Ok(())
}

/// Returns what is said of the oldest version of an object, which was put when it was locked.
fn oldest(auditor: &Auditor, key: ObjectKey) -> Result<Option<Stat>, Error> {
    let views = auditor.versions().views(key)?;
    let stat = views.first().map(|view| view.stat(&key)).transpose();
    Ok(stat.map_err(vault::Error::from)?.flatten())
}

/// Reports everything that is not kept as it must be, once all was looked at.
pub fn report(auditor: &Auditor, collector: &Collector<'_>) -> Result<(), Error> {
    let keeping = &collector.keeping;
    let faults = std::mem::take(&mut *held(&keeping.faults));
    let is_unlocked = |fault: &Fault| matches!(fault, Fault::Unlocked(_));
    let unlocked = faults.iter().find(|(fault, _)| is_unlocked(fault));
    let unlocked = unlocked.and_then(|(_, group)| group.named.keys().next()).copied();
    let is_told = match unlocked.filter(|_| keeping.locks()) {
        Some(key) => auditor.store().tells_locks(&key).map_err(vault::Error::from)?,
        None => true,
    };
    let is_cut = keeping.locks() && is_told;
    let (open, faults): (BTreeMap<_, _>, BTreeMap<_, _>) =
        faults.into_iter().partition(|(fault, _)| is_unlocked(fault) && !is_cut);
    faults.into_iter().for_each(|(fault, group)| tell(fault, group, collector));
    if !open.is_empty() {
        let gap = match is_told {
            false => {
                "the locks of objects that must stay: these credentials are not told of any, which \
                 takes s3:GetObjectRetention"
            }
            true => {
                "whether objects should be locked until their floors: this store shows no lock, \
                 and nobody said with --lock that it must"
            }
        };
        collector.leave_out(gap.to_owned());
    }
    Ok(())
}

/// Reports the objects with a fault: each of a few, and many as one.
fn tell(fault: Fault, group: Group, collector: &Collector<'_>) {
    let code = fault.code();
    if group.count <= NAMED_MAX {
        // Of what cannot be read the class says why; its lock is another matter.
        let is_known = |key: &ObjectKey| {
            matches!(fault, Fault::Class(..)) && collector.has_lost(&key.to_string())
        };
        let found = group.named.into_iter().filter(|(key, _)| !is_known(key));
        let found: Vec<(ObjectKey, String)> = found.collect();
        found.into_iter().for_each(|(key, detail)| collector.add(code, key, detail));
        return;
    }
    let (folder, count) = (fault.folder().name(), group.count);
    if let Some((key, detail)) = group.named.into_iter().next() {
        let detail = format!("{count} objects of it, the first of them {key}: {detail}");
        collector.add(code, format!("{folder}/"), detail);
    }
}

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
use crate::base::{Code, Digest, GenerationId, SnapshotId};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::manifest::Floor;
use crate::ops::Error;
use crate::policy::plan::SKEW_MAX;
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
    pub fn floors(&self, auditor: &Auditor, scope: &Scope) -> BTreeMap<SnapshotId, Floor> {
        let Some(rule) = self.rule(auditor) else { return BTreeMap::new() };
        let floor = |note: &SnapshotNote| {
            let begins = scope.begins.get(&note.snapshot)?;
            Some((note.snapshot, rule.floor(note, *begins)?))
        };
        standing(scope).filter_map(floor).collect()
    }

    /// Returns what gives floors; nothing, where nothing can be locked or no time is known.
    fn rule(&self, auditor: &Auditor) -> Option<Rule> {
        let now = self.now.filter(|_| store::directory(auditor.store().url()).is_none())?;
        let links = auditor.chain().iter();
        let policies = links
            .filter_map(|link| Some((link.note.time, Policy::from_json(&link.note.policy).ok()?)));
        Some(Rule { policies: PolicyTimes::new(policies.collect()), now })
    }
}

/// What gives floors, and at what time.
struct Rule {
    policies: PolicyTimes,
    now: Timestamp,
}

impl Rule {
    /// Returns the floor of a snapshot whose age is counted from a time, if it is ahead.
    fn floor(&self, note: &SnapshotNote, begins: Timestamp) -> Option<Floor> {
        let Self { policies, now } = self;
        let at = |time| policies.floor_of(begins, Some(note.floor), time);
        // What a new policy gives beyond is locked by the next run that extends locks.
        let before = now.checked_sub(EXTENDED_WITHIN).unwrap_or(*now);
        let until = at(*now).min(at(before));
        let is_old = now.duration_since(begins) > EXTENDED_WITHIN;
        let slack = if is_old { SignedDuration::ZERO } else { YOUNG_SLACK };
        let until = until.and_then(|until| until.checked_sub(slack).ok());
        until.filter(|until| until > now).map(|until| Floor { until, is_old })
    }
}

/// Returns the snapshots that no ledger says are forgotten.
fn standing(scope: &Scope) -> impl Iterator<Item = &SnapshotNote> {
    scope.notes.values().filter(|note| !scope.forgotten.contains(&note.snapshot))
}

/// An object that is read and otherwise not looked at.
struct Object {
    key: ObjectKey,
    /// Until when it must be locked.
    until: Timestamp,
    /// Whether it is judged by this part; that it shows a lock every part knows.
    is_here: bool,
}

/// Looks at the locks of what is read and otherwise not looked at: notes, lists, generation files.
pub fn check_records(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let mut generations: BTreeMap<GenerationId, (Option<Timestamp>, Option<Timestamp>)> =
        BTreeMap::new();
    let mut objects: Vec<Object> = Vec::new();
    let mut add = |key, until, sha256: Digest| {
        objects.push(Object { key, until, is_here: scope.is_here(sha256.as_bytes()) });
    };
    for (id, floor) in &scope.floors {
        let (Some(note), Some(begins)) = (scope.notes.get(id), scope.begins.get(id)) else {
            continue;
        };
        add(ObjectKey::Note(*id), floor.until, note.body.sha256);
        add(ObjectKey::List(*id), floor.until, note.list.sha256);
        let (old, young) = generations.entry(note.generation).or_default();
        match floor.is_old {
            true => *old = (*old).max(Some(floor.until)),
            false => {
                // It was put as the generation was opened, and not with the first snapshot.
                let begun = begins.duration_since(note.generation.time());
                let early = floor.until.checked_sub(begun.max(SignedDuration::ZERO));
                *young = [*young, early.ok()].into_iter().flatten().min();
            }
        }
    }
    for (key, sha256) in &scope.generation_files {
        let ObjectKey::Generation(id, _) = key else { continue };
        let until = generations.get(id).and_then(|(old, young)| old.or(*young));
        until.into_iter().for_each(|until| add(*key, until, *sha256));
    }
    for page in objects.chunks(PAGE_COUNT) {
        let looked = map_at_once(auditor.store().calls_at_once(), page, |object| {
            check_record(auditor, object, collector)
        });
        looked.into_iter().collect::<Result<(), Error>>()?;
    }
    leave_out_late(auditor, scope, collector)
}

fn check_record(
    auditor: &Auditor,
    object: &Object,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let Object { key, until, is_here } = *object;
    if collector.barred.skips(&key) || collector.barred.has_file(&key) {
        return Ok(());
    }
    let seen = match put_first(auditor, key) {
        Ok(seen) => seen,
        Err(error) => return collector.add_error(key, error),
    };
    collector.barred.note_answer(&key);
    let Some(stat) = seen else { return Ok(()) };
    if is_here {
        collector.count_lock(&stat);
        collector.keeping.judge_lock(key, &stat, Some(until));
    } else if stat.lock.is_some() {
        collector.keeping.shows_locks.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Tells of snapshots that the store first had so long after their dates that their floors would be
/// ahead: as it has what a mirror got late, and what was dated back.
fn leave_out_late(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let Some(rule) = collector.keeping.rule(auditor) else { return Ok(()) };
    let is_past = |note: &&SnapshotNote| {
        !scope.floors.contains_key(&note.snapshot) && rule.floor(note, rule.now).is_some()
    };
    let past: Vec<&SnapshotNote> = standing(scope).filter(is_past).collect();
    let looked = map_at_once(auditor.store().calls_at_once(), &past, |note| {
        put_first(auditor, ObjectKey::Note(note.snapshot))
    });
    let mut count = 0;
    for (note, seen) in past.into_iter().zip(looked) {
        let stat = match seen {
            // What is wrong with one that cannot be looked at was found when it was read.
            Err(error) if auditor.damage_of_signed(&error).is_some() => None,
            other => other?,
        };
        let Some(stat) = stat else { continue };
        let said = scope.begins.get(&note.snapshot).copied().unwrap_or(note.time);
        let put = stat.modified.filter(|at| at.duration_since(said) > SKEW_MAX);
        let until = put.and_then(|at| rule.floor(note, at)).map(|floor| floor.until);
        let locked = stat.lock.map(|lock| lock.until);
        count += u64::from(until.is_some_and(|until| locked.is_none_or(|locked| locked < until)));
    }
    if count > 0 && collector.keeping.locks() {
        collector.leave_out(format!(
            "whether {count} snapshots should be locked still: the store first had them more than \
             a day after their dates, as it has what came late and what is dated back"
        ));
    }
    Ok(())
}

/// Returns what is said of the version of an object that was put when it was locked: which of
/// several counts was found when they were read, and whoever hides one locks nothing.
fn put_first(auditor: &Auditor, key: ObjectKey) -> Result<Option<Stat>, vault::Error> {
    let seen = auditor.store().stat(&key)?;
    match seen.filter(|_| !auditor.versions().is_rewritten(key)) {
        Some(stat) => Ok(Some(stat)),
        None => {
            let views = auditor.versions().views(key)?;
            Ok(views.first().map(|view| view.stat(&key)).transpose()?.flatten())
        }
    }
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

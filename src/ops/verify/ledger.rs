//! Level `ledger`: every note and every log is signed by whoever may, and they agree.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::books::Books;
use super::receipts::Completed;
use super::record::Record;
use super::{Collector, LedgerHead, Request, books, changed, since};
use crate::base::limits::{GENERATION_FILE_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{Code, Coded, Digest, Family, GenerationId, SignerId, SnapshotId};
use crate::crypto::digest::sha256;
use crate::format::ObjectKey;
use crate::format::event::{EventKind, EventPayload};
use crate::format::event_fields::GenerationRev;
use crate::format::ledger::LedgerEvent;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::ops::report::SinceRow;
use crate::vault::at_once::map_at_once;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Auditor, changes, ledger};

/// How many of many are named in one finding.
const NAMED_MAX: usize = 5;

pub(super) type Notes = BTreeMap<SnapshotId, SnapshotNote>;

/// What verified of notes and ledgers.
pub struct Checked {
    /// The heads of the ledgers.
    pub heads: Vec<LedgerHead>,
    /// The notes.
    pub notes: Notes,
    /// The generations whose secrets were destroyed.
    pub shredded: BTreeSet<GenerationId>,
    /// What ledgers say was deleted.
    pub deleted: books::Deleted,
    /// The snapshots that a ledger says are forgotten.
    pub forgotten: BTreeSet<SnapshotId>,
    /// From when the age of each is counted that has a note, where it is known what time it is.
    pub begins: BTreeMap<SnapshotId, Timestamp>,
    /// What they were compared with, that somebody kept.
    pub since: Vec<SinceRow>,
    /// What they say of every snapshot.
    pub record: Record,
    /// The generation files that were recorded and not shredded, each with its digest.
    pub generation_files: BTreeMap<ObjectKey, Digest>,
    /// The events that cover receipts.
    pub completed: Completed,
}

/// Checks notes and ledgers.
pub fn check(
    auditor: &Auditor,
    request: &Request<'_>,
    collector: &Collector<'_>,
) -> Result<Checked, Error> {
    for (key, error) in auditor.problems() {
        collector.add(error.code(), key, error);
    }
    let checked = auditor.snapshots()?;
    let (mut unread, mut damaged) = (BTreeSet::new(), BTreeSet::new());
    for (key, error) in checked.problems {
        if let ObjectKey::Note(id) = key {
            unread.insert(id);
            // One of a newer program may be another than was recorded all the same.
            if error.code().family() != Family::Unsupported {
                damaged.insert(id);
            }
        }
        collector.add_error(key, error)?;
    }
    let mut said = Said::default();
    let logs = ledger::read_all(auditor)?;
    let heads = heads_of(&logs);
    let shredded = ledger::shredded_of(&logs);
    let books = Books::of(auditor, &logs, &checked.sound, unread)?;
    books.check(request.now, collector);
    let record = Record::of(&books, request.rpo, request.now, collector)?;
    let begins = |now| checked.sound.keys().map(|id| (*id, books.begins(*id, now))).collect();
    let begins = request.now.map(begins).unwrap_or_default();
    said.forgotten = books.forgotten().map(|(id, _)| *id).collect();
    let broken = Broken::of(auditor, &logs);
    let since = since::check(auditor, &logs, request.since, collector)?;
    let deleted = books::Deleted::of(&logs);
    for log in logs {
        let events = 2 * log.events.len() as u64;
        collector.saw(events, 0);
        for (key, error) in log.problems {
            collector.add_error(key, error)?;
        }
        if let Some(seq) = log.pending {
            let detail = "its checkpoint is not there, so it does not count yet";
            collector.add(Code::RecordPending, ObjectKey::LedgerEvent(log.signer, seq), detail);
        }
        log.events.into_iter().for_each(|event| said.take(event));
    }
    collector.saw(checked.sound.len() as u64, 0);
    let untold = check_agreement(auditor, &said, &damaged, &broken, collector)?;
    check_unrecorded(&checked.sound, &said, &broken, collector);
    check_generations(auditor, &said, &shredded, collector)?;
    check_shredded(&checked.sound, &said, &shredded, collector);
    let is_bare = auditor.chain().len() == 1
        && checked.sound.is_empty()
        && heads.iter().all(|head| head.size == 0);
    changed::check_created(auditor, &said, is_bare.then_some(request.now), &broken, collector);
    changed::check(auditor, &said, &broken, collector);
    let files = said.files.iter().filter(|(_, generation, _)| !shredded.contains(generation));
    let files = files.map(|(_, id, file)| (ObjectKey::Generation(*id, file.rev), file.sha256));
    let generation_files = files.collect();
    let Said { mut forgotten, mut completed, .. } = said;
    completed.cut = broken.may_have_said(EventKind::StoreCompleted);
    forgotten.extend(untold);
    Ok(Checked {
        heads,
        notes: checked.sound,
        shredded,
        deleted,
        forgotten,
        begins,
        since,
        record,
        generation_files,
        completed,
    })
}

/// Returns the heads of logs.
pub fn heads_of(logs: &[SignerLog]) -> Vec<LedgerHead> {
    let head = |log: &SignerLog| LedgerHead {
        signer: log.signer.to_string(),
        size: log.head.size,
        root: log.head.root.to_string(),
    };
    logs.iter().map(head).collect()
}

/// What the ledgers say that the notes must agree with.
#[derive(Default)]
pub struct Said {
    taken: BTreeMap<SnapshotId, Digest>,
    /// The last that each signer recorded; after a clock went back it is not the newest.
    last_taken: BTreeMap<SignerId, SnapshotId>,
    /// Those that an event which counts says are forgotten.
    forgotten: BTreeSet<SnapshotId>,
    /// What rests on a vault note.
    pub changes: Vec<EventPayload>,
    /// Every generation file that an event names, after the event.
    files: Vec<(ObjectKey, GenerationId, GenerationRev)>,
    /// Every event that covers receipts.
    completed: Completed,
}

impl Said {
    fn take(&mut self, event: LedgerEvent) {
        let (signer, key) = (event.signer, ObjectKey::LedgerEvent(event.signer, event.seq));
        match &event.payload {
            EventPayload::GenerationOpened(opened) => {
                let files = opened.revs.iter().map(|file| (key, opened.generation, file.clone()));
                self.files.extend(files);
            }
            EventPayload::RecipientsChanged(changed) => {
                self.files.extend(changed.generations.iter().map(|sealed| {
                    let file = GenerationRev { rev: sealed.rev, sha256: sealed.sha256 };
                    (key, sealed.generation, file)
                }));
            }
            _ => {}
        }
        match event.payload {
            EventPayload::SnapshotTaken(taken) => {
                self.last_taken.insert(signer, taken.snapshot);
                self.taken.insert(taken.snapshot, taken.note_sha256);
            }
            EventPayload::StoreCompleted(said) => {
                let of = (said.store, said.snapshot);
                let covering = self.completed.events.entry(of).or_default();
                covering.push((key, said.receipts_sha256));
            }
            change if changes::note_of(&change).is_some() => self.changes.push(change),
            _ => {}
        }
    }
}

/// The signers whose logs break off: what else these say is not known. That one breaks off is found
/// as it is; what follows from it is not found again, object by object.
pub struct Broken<'a> {
    auditor: &'a Auditor,
    signers: Vec<SignerId>,
}

impl<'a> Broken<'a> {
    fn of(auditor: &'a Auditor, logs: &[SignerLog]) -> Self {
        let broken = logs.iter().filter(|log| !log.problems.is_empty());
        Self { auditor, signers: broken.map(|log| log.signer).collect() }
    }

    /// Returns the first that may have said something of a kind.
    pub fn may_have_said(&self, kind: EventKind) -> Option<SignerId> {
        let may = |signer: &&SignerId| {
            let delegate = self.auditor.note().delegate(**signer);
            delegate.is_some_and(|delegate| delegate.may_append(kind))
        };
        self.signers.iter().find(may).copied()
    }
}

/// Checks the notes that ledgers record and that were not forgotten. Returns those that are gone of
/// which it is not known whether they were: that is one finding (V-219).
fn check_agreement(
    auditor: &Auditor,
    said: &Said,
    damaged: &BTreeSet<SnapshotId>,
    broken: &Broken<'_>,
    collector: &Collector<'_>,
) -> Result<BTreeSet<SnapshotId>, Error> {
    // What is wrong with one that does not verify was found.
    let is_open = |id: &SnapshotId| !said.forgotten.contains(id) && !damaged.contains(id);
    let standing = said.taken.iter().filter(|(id, _)| is_open(id));
    let standing: Vec<(&SnapshotId, &Digest)> = standing.collect();
    let read = map_at_once(auditor.store().calls_at_once(), &standing, |(id, signed)| {
        read_recorded(auditor, ObjectKey::Note(**id), &[**signed], NOTE_LEN_MAX)
    });
    let untold_by = broken.may_have_said(EventKind::SnapshotForgotten);
    let mut untold = BTreeSet::new();
    for ((id, _), found) in standing.into_iter().zip(read) {
        let key = ObjectKey::Note(*id);
        match found {
            Ok(_) => {}
            Err(error) if error.code() == Code::ObjectMissing && untold_by.is_some() => {
                untold.insert(*id);
            }
            Err(vault::Error::Altered { .. }) => collector.add(
                Code::NoteMismatch,
                key,
                "its SHA-256 is not the one that the ledger recorded",
            ),
            Err(error) => collector.add_error(key, error)?,
        }
    }
    if let Some((signer, first)) = untold_by.zip(untold.first()) {
        let object = match untold.len() {
            1 => ObjectKey::Note(*first).to_string(),
            count => format!("notes of {count} snapshots"),
        };
        let names: Vec<String> = untold.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let detail = format!(
            "gone are {}{}: whether they were forgotten nobody can tell, as the log of {signer} \
             breaks off",
            names.join(", "),
            if untold.len() > NAMED_MAX { " and more" } else { "" },
        );
        collector.add(Code::ObjectMissing, object, detail);
    }
    Ok(untold)
}

/// Reads an object of which a ledger recorded a SHA-256, or several; returns which it has.
fn read_recorded(
    auditor: &Auditor,
    key: ObjectKey,
    recorded: &[Digest],
    len_max: u64,
) -> Result<Digest, vault::Error> {
    auditor.versions().named(key, |view| {
        let found = sha256(&view.get(&key, len_max)?);
        if recorded.contains(&found) {
            return Ok(found);
        }
        let expected = recorded.first().map(ToString::to_string).unwrap_or_default();
        Err(vault::Error::Altered { key, found: found.to_string(), expected })
    })
}

/// Checks the notes that no ledger records. A run journals the record with the note and delivers it
/// right behind, before anything of the next run: so an interrupted one leaves the last snapshot of
/// its signer unrecorded, and never a second one.
fn check_unrecorded(notes: &Notes, said: &Said, broken: &Broken<'_>, collector: &Collector<'_>) {
    let mut unrecorded: BTreeMap<SignerId, Vec<SnapshotId>> = BTreeMap::new();
    for (id, note) in notes.iter().filter(|(id, _)| !said.taken.contains_key(id)) {
        unrecorded.entry(note.signer).or_default().push(*id);
    }
    for (signer, ids) in unrecorded {
        if broken.signers.contains(&signer) {
            let count = ids.len();
            collector.leave_out(format!(
                "whether the ledger records {count} snapshots: the log of {signer} breaks off"
            ));
            continue;
        }
        let last = said.last_taken.get(&signer);
        match ids[..] {
            [id] if last.is_none_or(|last| id > *last) => {
                let detail = "no ledger records it yet; the next run of its host does";
                collector.add(Code::RecordPending, ObjectKey::Note(id), detail);
            }
            _ => ids.iter().for_each(|id| {
                let detail = "no ledger records this snapshot";
                collector.add(Code::NoteMismatch, ObjectKey::Note(*id), detail);
            }),
        }
    }
}

/// Checks that each generation's sealed files are there and are the ones that were recorded.
fn check_generations(
    auditor: &Auditor,
    said: &Said,
    shredded: &BTreeSet<GenerationId>,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let mut files: BTreeMap<ObjectKey, Vec<(ObjectKey, Digest)>> = BTreeMap::new();
    for (event, generation, file) in &said.files {
        if !shredded.contains(generation) {
            let key = ObjectKey::Generation(*generation, file.rev);
            files.entry(key).or_default().push((*event, file.sha256));
        }
    }
    for (key, recorded) in files {
        collector.saw(1, 0);
        let digests: Vec<Digest> = recorded.iter().map(|(_, signed)| *signed).collect();
        let read = read_recorded(auditor, key, &digests, GENERATION_FILE_LEN_MAX);
        if matches!(read, Ok(_) | Err(vault::Error::Altered { .. })) {
            collector.barred.note_answer(&key);
        }
        let found = match read {
            Ok(found) => found,
            Err(vault::Error::Altered { .. }) => {
                let detail = "its SHA-256 is not the one that the ledger recorded";
                collector.add(Code::ObjectAltered, key, detail);
                continue;
            }
            Err(error) => {
                collector.add_error(key, error)?;
                continue;
            }
        };
        let wrong = recorded.into_iter().filter(|(_, signed)| *signed != found);
        // Who signs a second record cannot make the right file look wrong.
        for (event, _) in wrong {
            let detail = format!("it records another SHA-256 of {key} than an event that is right");
            collector.add(Code::NoteMismatch, event, detail);
        }
    }
    Ok(())
}

/// Checks that no generation was shredded of which a snapshot stands (G-16).
fn check_shredded(
    notes: &Notes,
    said: &Said,
    shredded: &BTreeSet<GenerationId>,
    collector: &Collector<'_>,
) {
    let stands = |id: &SnapshotId| !said.forgotten.contains(id);
    for (id, note) in notes.iter().filter(|(id, _)| stands(id)) {
        if shredded.contains(&note.generation) {
            let generation = note.generation;
            let detail = format!("a ledger says that generation {generation} of it was shredded");
            collector.add(Code::NoteMismatch, ObjectKey::Note(*id), detail);
        }
    }
}

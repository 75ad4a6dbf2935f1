//! Rebuilding a lost manifest from the stores. Spec: §9.4.
//!
//! The new manifest is made beside the old one and takes its place in one step, with everything
//! that is still to be signed in its journal: a crash leaves the old state or the new one.

mod stores;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Error;
use super::replicate::Replicated;
use crate::base::limits::{GENERATION_FILE_LEN_MAX, LEDGER_EVENT_LEN_MAX};
use crate::base::{Code, Coded, Event, GenerationId, Observer, SnapshotId};
use crate::crypto::digest::sha256;
use crate::crypto::identity::{AskPassphrase, DataIdentities};
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::{SigningKey, VerificationKey};
use crate::format::event::EventPayload;
use crate::format::event_fields::{GenerationOpened, GenerationRef, SnapshotTaken};
use crate::format::ledger::LedgerEvent;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::manifest::{self, Manifest, Outgoing};
use crate::store::{Listed, Store};
use crate::vault::adopting::NEWEST_ELSEWHERE;
use crate::vault::generation::{OPEN_GENERATION, ROLL_DUE};
use crate::vault::journal::{FRONTIER, Journal};
use crate::vault::ledger::{self, SignerLog};
use crate::vault::notes::newest_vault_note;
use crate::vault::rebuild::{Replay, Replayed};
use crate::vault::state::{GenerationSlot, OpenGeneration, StateDir};
use crate::vault::{self, Auditor, Outside, Unlocked, Writer};

/// A manifest to be rebuilt.
pub struct Rebuild<'a> {
    /// The host's state, without a manifest or with a damaged one.
    pub state: StateDir,
    /// The vault's stores, the primary first. All of them must answer: what the lost journal owed
    /// to one cannot be told otherwise.
    pub stores: Vec<Arc<dyn Store>>,
    /// To whom a new generation is sealed, if one must be opened.
    pub recipients: &'a DataRecipients,
    /// What opens the segments of closed generations; without it, tags and counts of their
    /// snapshots stay unknown.
    pub identities: Option<DataIdentities>,
}

/// What was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// The vault's name.
    pub vault: String,
    /// What came back.
    pub replayed: Replayed,
    /// Snapshots that were delivered and whose record was lost: they are recorded now.
    pub recorded: Vec<SnapshotId>,
    /// The generation that was opened because the ledger did not record the one in the state.
    pub opened: Option<GenerationId>,
    /// What stores lacked and were given.
    pub replicated: Replicated,
}

/// Rebuilds the manifest, and ends what a delivery left half done.
///
/// # Errors
/// If a store does not answer, this writer's log does not verify, or the state cannot be written.
pub fn rebuild(
    request: Rebuild<'_>,
    ask: &impl AskPassphrase,
    outside: &Outside,
    observer: &dyn Observer,
) -> Result<RebuildReport, Error> {
    let Rebuild { state, stores, recipients, identities } = request;
    refuse_to_forget(&state, &stores)?;
    let known = Known::read(&state, &stores)?;
    let auditor = known.auditor()?;
    let pending = known.log.pending.map(|seq| provable(&known, &auditor, seq)).transpose()?;
    let begun = pending.as_ref().map(stores::begun_by).unwrap_or_default();
    let replicated = stores::complete(&known, &begun, &stores, &state, outside, observer)?;
    let unlocked = match identities {
        Some(identities) => Some(Unlocked::new(known.auditor()?, identities)?),
        None => None,
    };
    let staged = state.file("manifest.rebuilt.sqlite");
    manifest::remove(&staged, state.gate())?;
    let mut manifest = Manifest::create(&staged, state.gate())?;
    let replay = Replay {
        auditor: &auditor,
        signer: known.key.signer_id(),
        open: &known.open,
        unlocked: unlocked.as_ref(),
    };
    let replayed = replay.run(&mut manifest, observer)?;
    for store in &stores {
        manifest.keep_found(store.name(), &found_in(store.as_ref())?)?;
    }
    let recorded = journal_lost(&known, pending, &auditor, &stores, outside, &mut manifest)?;
    manifest.replace(&state.file("manifest.sqlite"))?;
    let mut writer = Writer::open(state, stores, outside.clone())?;
    let mut opened = None;
    if !writer.generation_is_recorded() {
        let generation = writer.roll(recipients, ask)?;
        observer.observe(Event::GenerationOpened { generation });
        opened = Some(generation);
    }
    writer.deliver(observer)?;
    Ok(RebuildReport { vault: writer.name().to_owned(), replayed, recorded, opened, replicated })
}

/// What the state and the stores say of this writer.
struct Known {
    root: VerificationKey,
    key: SigningKey,
    open: OpenGeneration,
    note_number: u32,
    store: Arc<dyn Store>,
    log: SignerLog,
    opened: BTreeSet<GenerationId>,
    closed: BTreeSet<GenerationId>,
}

impl Known {
    fn read(state: &StateDir, stores: &[Arc<dyn Store>]) -> Result<Self, Error> {
        let anchor = state.anchor()?;
        let root: VerificationKey = anchor.root_key.parse()?;
        let key = SigningKey::from_secret_text(state.writer_key()?.trim_end())?;
        let (store, log) = longest_log(stores, &root, &key)?;
        let ids = |pick: fn(&EventPayload) -> Option<GenerationId>| {
            log.events.iter().filter_map(|event| pick(&event.payload)).collect()
        };
        let opened: BTreeSet<GenerationId> = ids(|payload| match payload {
            EventPayload::GenerationOpened(opened) => Some(opened.generation),
            _ => None,
        });
        let closed = ids(|payload| match payload {
            EventPayload::GenerationClosed(closed) => Some(closed.generation),
            _ => None,
        });
        let open = open_generation(state, &opened)?;
        let note_number = newest_vault_note(state, &root)?.number;
        Ok(Self { root, key, open, note_number, store, log, opened, closed })
    }

    fn auditor(&self) -> Result<Auditor, Error> {
        Ok(Auditor::open(Arc::clone(&self.store), self.root.clone())?)
    }
}

/// Returns the generation that the next packs are sealed to, finishing a roll that was recorded and
/// undoing one that was not.
fn open_generation(
    state: &StateDir,
    opened: &BTreeSet<GenerationId>,
) -> Result<OpenGeneration, Error> {
    if state.has_generation(GenerationSlot::Next)? {
        let next = state.generation(GenerationSlot::Next)?;
        if opened.contains(&next.id) || !state.has_generation(GenerationSlot::Open)? {
            state.erase_generation(GenerationSlot::Open)?;
            state.set_generation(GenerationSlot::Open, &next)?;
        }
    }
    state.erase_generation(GenerationSlot::Next)?;
    Ok(state.generation(GenerationSlot::Open)?)
}

/// Refuses to throw away a manifest that is not damaged and still has objects on their way, or of
/// which that cannot be told now, as of one that a newer program made.
fn refuse_to_forget(state: &StateDir, stores: &[Arc<dyn Store>]) -> Result<(), Error> {
    let path = state.file("manifest.sqlite");
    let count = || {
        let manifest = Manifest::open(&path, state.gate())?;
        let waiting = |store: &Arc<dyn Store>| manifest.outgoing_count(store.name());
        stores.iter().map(waiting).sum::<Result<u64, manifest::Error>>()
    };
    match count() {
        Ok(0) => Ok(()),
        Ok(count) => Err(Error::NotDelivered { path, count }),
        Err(error) if error.code() == Code::ManifestDamaged => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns this writer's longest log, and the store that has it.
fn longest_log(
    stores: &[Arc<dyn Store>],
    root: &VerificationKey,
    key: &SigningKey,
) -> Result<(Arc<dyn Store>, SignerLog), Error> {
    let mut longest: Option<(Arc<dyn Store>, SignerLog)> = None;
    for store in stores {
        let auditor = Auditor::open(Arc::clone(store), root.clone())?;
        let logs = ledger::read_all(&auditor)?;
        let own = logs.into_iter().find(|log| log.signer == key.signer_id());
        let Some(mut log) = own else { continue };
        if let Some((_, problem)) = log.problems.pop() {
            return Err(problem.into());
        }
        let reach = |log: &SignerLog| (log.head.size, log.pending);
        if longest.as_ref().is_none_or(|(_, other)| reach(other) < reach(&log)) {
            longest = Some((Arc::clone(store), log));
        }
    }
    longest.ok_or_else(|| {
        let reason = "the vault note does not name the signer of this host".to_owned();
        vault::Error::NotDelegated { key: ObjectKey::LedgerEvent(key.signer_id(), 0), reason }
            .into()
    })
}

fn found_in(store: &dyn Store) -> Result<Vec<(ObjectKey, i64)>, Error> {
    let mut found = Vec::new();
    for folder in Folder::ALL {
        for listed in store.list(folder)? {
            if let Listed::Object(key, stat) = listed? {
                found.push((key, stat.modified.unwrap_or_default().as_second()));
            }
        }
    }
    Ok(found)
}

/// Journals what the lost journal would have recorded of what is there; returns the snapshots.
fn journal_lost(
    known: &Known,
    pending: Option<(LedgerEvent, Vec<u8>)>,
    auditor: &Auditor,
    stores: &[Arc<dyn Store>],
    outside: &Outside,
    manifest: &mut Manifest,
) -> Result<Vec<SnapshotId>, Error> {
    let signer = known.key.signer_id();
    let mut journal = Journal::following(known.log.frontier.clone());
    let mut objects: Vec<Outgoing> = Vec::new();
    let mut recorded: BTreeSet<SnapshotId> = BTreeSet::new();
    recorded.extend(known.log.events.iter().filter_map(|event| taken(&event.payload)));
    let (mut opened, mut closed) = (known.opened.clone(), known.closed.clone());
    let sound = auditor.sound_snapshots()?;
    if let Some((event, leaf)) = pending {
        match &event.payload {
            EventPayload::GenerationOpened(event) => drop(opened.insert(event.generation)),
            EventPayload::GenerationClosed(event) => drop(closed.insert(event.generation)),
            other => recorded.extend(taken(other)),
        }
        objects.push(journal.append_leaf(&known.key, auditor.vault(), &leaf)?);
    }
    let now = outside.clock.now();
    let mut append =
        |payload| journal.append(&known.key, auditor.vault(), now, payload, Vec::new());
    let lost: Vec<&SnapshotNote> = sound
        .values()
        .filter(|note| note.signer == signer && !recorded.contains(&note.snapshot))
        .collect();
    for note in &lost {
        let note_sha256 = sha256(&auditor.stored_note(note.snapshot)?);
        let SnapshotNote { snapshot, stored_len, new_len, .. } = **note;
        let payload = SnapshotTaken { snapshot, note_sha256, stored_len, new_len };
        objects.extend(append(EventPayload::SnapshotTaken(payload))?);
    }
    for generation in opened.difference(&closed).filter(|id| **id != known.open.id) {
        let payload = GenerationRef { generation: *generation };
        objects.extend(append(EventPayload::GenerationClosed(payload))?);
    }
    let names: Vec<String> = stores.iter().map(|store| store.name().to_owned()).collect();
    let mut notes = vec![(FRONTIER, journal.to_bytes())];
    let elsewhere = sound.values().filter(|note| note.signer != signer).map(|note| note.snapshot);
    notes.extend(elsewhere.max().map(|id| (NEWEST_ELSEWHERE, id.to_string().into_bytes())));
    if must_roll(known, auditor) {
        notes.push((ROLL_DUE, b"due".to_vec()));
    }
    if opened.contains(&known.open.id) {
        notes.push((OPEN_GENERATION, known.open.id.to_string().into_bytes()));
    }
    manifest.enqueue(&names, &objects, &notes)?;
    Ok(lost.into_iter().map(|note| note.snapshot).collect())
}

/// Tells whether a note that the host took up after it opened its generation dropped a recipient.
fn must_roll(known: &Known, auditor: &Auditor) -> bool {
    auditor.chain().windows(2).any(|links| {
        let [before, after] = links else { return false };
        let dropped = |digest| !after.note.recipients.contains(digest);
        after.note.number <= known.note_number
            && after.note.time >= known.open.opened
            && before.note.recipients.iter().any(dropped)
    })
}

fn taken(payload: &EventPayload) -> Option<SnapshotId> {
    match payload {
        EventPayload::SnapshotTaken(taken) => Some(taken.snapshot),
        _ => None,
    }
}

/// Returns the event behind the last checkpoint, if this writer can prove that it wrote it: until
/// the checkpoint is there nobody signed it, and whoever can write to the store may have planted
/// it.
fn provable(known: &Known, auditor: &Auditor, seq: u64) -> Result<(LedgerEvent, Vec<u8>), Error> {
    let key = ObjectKey::LedgerEvent(known.key.signer_id(), seq);
    let (event, leaf) = auditor.versions().signed(key, |view| {
        let leaf = view.get(&key, LEDGER_EVENT_LEN_MAX)?;
        let event = LedgerEvent::parse(&leaf, auditor.vault(), known.key.signer_id(), seq)
            .map_err(|error| vault::Error::format(key, error))?;
        Ok((event, leaf))
    })?;
    let is_ours = match &event.payload {
        EventPayload::VaultCreated(created) => {
            created.number == 1 && created.note_sha256 == auditor.chain()[0].sha256
        }
        EventPayload::GenerationOpened(opened) => {
            opened.generation == known.open.id
                && opened.recipient_sha256 == known.open.recipient.digest()
                && are_there(auditor, opened)?
        }
        EventPayload::GenerationClosed(closed) => {
            closed.generation != known.open.id && known.opened.contains(&closed.generation)
        }
        EventPayload::SnapshotTaken(taken) => {
            let note = auditor.snapshot(taken.snapshot)?;
            note.signer == known.key.signer_id()
                && taken.note_sha256 == sha256(&auditor.stored_note(taken.snapshot)?)
        }
        _ => false,
    };
    if is_ours && event.seen.is_empty() {
        return Ok((event, leaf));
    }
    let reason = "it has no checkpoint, and this host cannot prove that it wrote it".to_owned();
    Err(vault::Error::Ledger { key, reason }.into())
}

/// Tells whether every sealed file of a generation is the one that its event names.
fn are_there(auditor: &Auditor, opened: &GenerationOpened) -> Result<bool, Error> {
    for rev in &opened.revs {
        let key = ObjectKey::Generation(opened.generation, rev.rev);
        let found = auditor.versions().named(key, |view| {
            let found = sha256(&view.get(&key, GENERATION_FILE_LEN_MAX)?);
            if found == rev.sha256 {
                return Ok(());
            }
            let (found, expected) = (found.to_string(), rev.sha256.to_string());
            Err(vault::Error::Altered { key, found, expected })
        });
        match found {
            Ok(()) => {}
            Err(vault::Error::Altered { .. }) => return Ok(false),
            Err(vault::Error::Store(crate::store::Error::Missing { .. })) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(!opened.revs.is_empty())
}

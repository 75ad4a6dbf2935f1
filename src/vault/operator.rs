//! The operator: signs the next vault note, and says in its own log what that changes. Spec: §5.6.
//!
//! - Its key is derived from the root key, so whoever can open the recovery kit goes on with the
//!   one log of changes, on whatever machine.
//! - A change is: generation files sealed again, then the note, then its events. Nothing of it is
//!   in force before the note is there; what an interrupted run left, the next one completes.
//! - It never signs an event that it did not derive itself from two notes, or compose itself.

mod kept;

use std::sync::Arc;

use super::Error;
use super::auditor::{Auditor, ChainLink};
use super::changes::{events_between, records};
use super::delivery::put_or_recognise;
use super::journal::{Journal, outgoing};
use super::ledger::{self, SignerLog};
use super::mirrors::Mirrors;
use super::unlocked::Unlocked;
use super::writer::Outside;
use crate::base::limits::{GENERATION_FILE_LEN_MAX, LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};
use crate::base::{Coded, Event, Family, GenerationId, Observer, SignerId, VaultId};
use crate::crypto::digest::sha256;
use crate::crypto::identity::{AskPassphrase, DataIdentities};
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::SigningKey;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::ResealedGeneration;
use crate::format::ledger::{LedgerEvent, SeenCheckpoint};
use crate::format::role::Role;
use crate::format::vault_note::{Delegate, VaultNote};
use crate::manifest::{Outgoing, Payload};
use crate::store::{self, Content, Store};

/// A vault, open for changing what its root key signs.
pub struct Operator {
    root: SigningKey,
    key: SigningKey,
    unlocked: Unlocked,
    logs: Vec<SignerLog>,
    mirrors: Mirrors,
    outside: Outside,
    journal: Journal,
    newest: ChainLink,
    // What this run put and the mirrors lack.
    resealed: Vec<ResealedGeneration>,
    // An event that follows from no vault note, and whose delivery may have been interrupted.
    kept: Option<Vec<u8>>,
}

impl Operator {
    /// Reads the vault notes and every log of the primary store.
    ///
    /// # Errors
    /// If the root key is not the vault's, or a later note or the operator's own log is not sound:
    /// then nothing may be signed on top of it.
    pub fn open(
        root: SigningKey,
        identities: DataIdentities,
        stores: Vec<Arc<dyn Store>>,
        outside: Outside,
    ) -> Result<Self, Error> {
        let mirrors = Mirrors::new(stores, Arc::clone(&outside.clock));
        let key = root.operator_signer();
        let verification = root.verification_key().clone();
        let auditor = Auditor::open(Arc::clone(mirrors.primary()), verification)?.sound()?;
        let mut logs = ledger::read_all(&auditor)?;
        let own = logs.iter_mut().find(|log| log.signer == key.signer_id());
        let journal = match own {
            None => Journal::empty(),
            Some(own) => match own.problems.pop() {
                Some((_, problem)) => return Err(problem),
                None => Journal::following(own.frontier.clone()),
            },
        };
        let newest = auditor.newest().clone();
        let unlocked = Unlocked::with_logs(auditor, identities, &logs);
        let resealed = Vec::new();
        let kept = None;
        Ok(Self { root, key, unlocked, logs, mirrors, outside, journal, newest, resealed, kept })
    }

    /// Returns the vault.
    pub const fn vault(&self) -> VaultId {
        self.newest.note.vault
    }

    /// Returns the vault note in force.
    pub const fn note(&self) -> &VaultNote {
        &self.newest.note
    }

    /// Returns the vault note before the one that was in force when this was opened.
    pub fn note_before(&self) -> Option<&VaultNote> {
        let chain = self.unlocked.auditor().chain();
        chain.len().checked_sub(2).map(|at| &chain[at].note)
    }

    /// Returns the id of the operator signer.
    pub const fn signer(&self) -> SignerId {
        self.key.signer_id()
    }

    /// Returns time and randomness.
    pub const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Returns what is read with the operator's identities.
    pub const fn unlocked(&self) -> &Unlocked {
        &self.unlocked
    }

    /// Seals the root key to recipients, as the recovery kit holds it.
    ///
    /// # Errors
    /// If a recipient's plugin is missing or refuses.
    pub fn seal_root(
        &self,
        recipients: &DataRecipients,
        ask: &impl AskPassphrase,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let text = zeroize::Zeroizing::new(format!("{}\n", self.root.to_secret_text().as_str()));
        Ok(recipients.seal(text.as_bytes(), ask)?)
    }

    /// Appends the events of the newest vault note that an interrupted run did not; returns whether
    /// there were any.
    ///
    /// # Errors
    /// If the store fails, or an event stands in their place that this operator did not write.
    pub fn complete(&mut self) -> Result<bool, Error> {
        let mut missing = self.unrecorded()?;
        let found = !missing.is_empty();
        let pending = self.own_log().and_then(|log| log.pending);
        if let Some(seq) = pending
            && !self.complete_kept(seq)?
        {
            let next = if found { Some(missing.remove(0)) } else { None };
            self.complete_pending(seq, next.as_ref())?;
        }
        for event in missing {
            self.append(event)?;
        }
        Ok(found)
    }

    fn own_log(&self) -> Option<&SignerLog> {
        self.logs.iter().find(|log| log.signer == self.key.signer_id())
    }

    /// Returns the events of the newest vault note that are not in the operator's log.
    fn unrecorded(&mut self) -> Result<Vec<EventPayload>, Error> {
        let Some(before) = self.note_before() else { return Ok(Vec::new()) };
        let said = self.own_log().map_or(&[][..], |log| &log.events);
        let is_missing =
            |event: &EventPayload| !said.iter().any(|said| records(&said.payload, event));
        let mut missing = events_between(before, &self.newest, &[]);
        missing.retain(is_missing);
        let revs = match missing.last() {
            Some(EventPayload::RecipientsChanged(_)) => self.unrecorded_revs()?,
            _ => Vec::new(),
        };
        if let Some(EventPayload::RecipientsChanged(changed)) = missing.last_mut() {
            changed.generations.clone_from(&revs);
        }
        self.resealed.extend(revs);
        Ok(missing)
    }

    /// Returns the generation files that no log names and that hold what they must: those that the
    /// interrupted run sealed. Nobody who does not hold those secrets can have made one.
    fn unrecorded_revs(&self) -> Result<Vec<ResealedGeneration>, Error> {
        let mut found = Vec::new();
        for generation in self.standing_generations() {
            for rev in self.unlocked.revs(generation)? {
                if !self.unlocked.signed_rev(generation, rev).is_empty() {
                    continue;
                }
                match self.unlocked.open_rev(generation, rev) {
                    Ok(file) => {
                        let sha256 = file.sha256;
                        found.push(ResealedGeneration { generation, rev, sha256 });
                    }
                    Err(error) if error.code().family() == Family::Unavailable => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(found)
    }

    /// Returns the generations whose secrets were not destroyed.
    pub fn standing_generations(&self) -> Vec<GenerationId> {
        let shredded = ledger::shredded_of(&self.logs);
        let all = self.unlocked.signed().keys().copied();
        all.filter(|generation| !shredded.contains(generation)).collect()
    }

    /// Signs the event behind the newest checkpoint if it is the one that comes next. Whoever may
    /// put into the store can have put it there, so all of it is looked at.
    fn complete_pending(&mut self, seq: u64, expected: Option<&EventPayload>) -> Result<(), Error> {
        let signer = self.key.signer_id();
        let key = ObjectKey::LedgerEvent(signer, seq);
        let leaf = self.mirrors.primary().get(&key, LEDGER_EVENT_LEN_MAX)?;
        let event = LedgerEvent::parse(&leaf, self.vault(), signer, seq)
            .map_err(|e| Error::format(key, e))?;
        let in_time = self.note().time <= event.time && event.time <= self.outside.clock.now();
        let is_ours = expected.is_some_and(|expected| names_no_more(&event.payload, expected));
        if !in_time || !is_ours || !self.has_seen(&event.seen)? {
            let reason = format!(
                "it has no checkpoint and is not what vault note {} asks for, so it is not signed",
                self.note().number
            );
            return Err(Error::Ledger { key, reason });
        }
        let checkpoint = self.journal.append_leaf(&self.key, self.vault(), &leaf)?;
        self.put(&checkpoint)
    }

    fn has_seen(&self, seen: &[SeenCheckpoint]) -> Result<bool, Error> {
        for seen in seen {
            match ledger::checkpoint(self.unlocked.auditor(), seen.signer, seen.size) {
                Ok(head) if (head.size, head.root) == (seen.size, seen.root) => {}
                Err(error) if error.code().family() == Family::Unavailable => return Err(error),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Signs the next vault note, changed as told, and records it.
    ///
    /// # Errors
    /// If a store fails, the change contradicts itself, or another note was signed meanwhile.
    pub fn publish(
        &mut self,
        revs: &[ResealedGeneration],
        change: impl FnOnce(&mut VaultNote),
    ) -> Result<(), Error> {
        let before = self.newest.note.clone();
        let mut note = before.clone();
        note.number += 1;
        note.previous = Some(self.newest.sha256);
        note.time = self.outside.clock.now();
        if note.delegate(self.signer()).is_none() {
            let key = self.key.verification_key();
            note.signers.push(Delegate::usual(self.signer(), key, Role::Operator));
        }
        change(&mut note);
        let key = ObjectKey::Vault(note.number);
        let text = note.compose().map_err(|e| Error::format(key, e))?;
        let bytes = self.root.sign(&text)?;
        let link = ChainLink { note, sha256: sha256(&bytes) };
        self.put(&outgoing(key, bytes))?;
        self.newest = link;
        self.resealed.extend_from_slice(revs);
        for event in events_between(&before, &self.newest, revs) {
            self.append(event)?;
        }
        Ok(())
    }

    fn append(&mut self, event: EventPayload) -> Result<(), Error> {
        let objects = self.compose(event)?;
        objects.iter().try_for_each(|object| self.put(object))
    }

    fn compose(&mut self, event: EventPayload) -> Result<Vec<Outgoing>, Error> {
        let own = self.key.signer_id();
        let others = self.logs.iter().filter(|log| log.signer != own && log.head.size > 0);
        let others = others.filter(|log| self.is_everywhere(log));
        let seen = others.map(|log| SeenCheckpoint {
            signer: log.signer,
            size: log.head.size,
            root: log.head.root,
        });
        let (seen, now) = (seen.collect(), self.outside.clock.now());
        self.journal.append(&self.key, self.newest.note.vault, now, event, seen)
    }

    /// Tells whether every mirror that answers has all of a log: what gets there must quote nothing
    /// that is not there (V-214).
    fn is_everywhere(&self, log: &SignerLog) -> bool {
        let key = ObjectKey::LedgerCheckpoint(log.signer, log.head.size.saturating_sub(1));
        let lacks = |mirror: &Arc<dyn Store>| matches!(mirror.stat(&key), Ok(None));
        !self.mirrors.mirrors().iter().any(lacks)
    }

    /// Puts an object into the primary store; a name that was taken meanwhile is another change.
    pub(super) fn put(&self, object: &Outgoing) -> Result<(), Error> {
        let Outgoing { key, sha256, payload: Payload::Bytes(bytes), .. } = object else {
            return Ok(());
        };
        match put_or_recognise(self.mirrors.primary().as_ref(), key, Content::Bytes(bytes), sha256)
        {
            Ok(_) => Ok(()),
            Err(Error::Store(store::Error::Exists { .. })) => {
                Err(Error::ChangedMeanwhile { key: *key })
            }
            Err(error) => Err(error),
        }
    }

    /// Gives every mirror what it lacks of generation files, vault notes and the operator's log:
    /// the same bytes, in the same order. One that fails gets it the next time.
    pub fn copy_to_mirrors(&mut self, observer: &dyn Observer) {
        for mirror in self.mirrors.mirrors() {
            match self.copy_to(mirror.as_ref()) {
                Ok(()) => {}
                Err(Error::Store(cause)) => {
                    self.mirrors.note_lagging(mirror.name(), &cause, observer);
                }
                Err(error) => observer.observe(Event::Warning {
                    code: error.code(),
                    detail: format!("copy to store {}: {error}", mirror.name()),
                }),
            }
        }
    }

    fn copy_to(&self, mirror: &dyn Store) -> Result<(), Error> {
        let signed = self.unlocked.signed().values().flatten().flat_map(|opened| {
            let key = |rev| ObjectKey::Generation(opened.generation, rev);
            opened.revs.iter().map(move |rev| (key(rev.rev), Some(rev.sha256)))
        });
        let resealed = self.resealed.iter().map(|sealed| {
            (ObjectKey::Generation(sealed.generation, sealed.rev), Some(sealed.sha256))
        });
        let shredded = ledger::shredded_of(&self.logs);
        let stands = |(key, _): &(ObjectKey, _)| match key {
            ObjectKey::Generation(generation, _) => !shredded.contains(generation),
            _ => true,
        };
        let notes = (1..=self.note().number).map(|number| (ObjectKey::Vault(number), None));
        let own = self.key.signer_id();
        let events = (0..self.journal.head().size).flat_map(|seq| {
            [ObjectKey::LedgerEvent(own, seq), ObjectKey::LedgerCheckpoint(own, seq)]
        });
        let events = events.map(|key| (key, None));
        let objects = signed.chain(resealed).filter(stands).chain(notes).chain(events);
        for (key, digest) in objects {
            if mirror.stat(&key)?.is_some() {
                continue;
            }
            let bytes = self.mirrors.primary().get(&key, len_max(&key))?;
            let found = sha256(&bytes);
            if let Some(signed) = digest.filter(|signed| *signed != found) {
                let (found, expected) = (found.to_string(), signed.to_string());
                return Err(Error::Altered { key, found, expected });
            }
            put_or_recognise(mirror, &key, Content::Bytes(&bytes), &found)?;
        }
        Ok(())
    }
}

/// Tells whether an event is the expected one, and names no generation file but those that may be
/// named: an older interrupted run can have left more of them.
fn names_no_more(found: &EventPayload, expected: &EventPayload) -> bool {
    let (EventPayload::RecipientsChanged(some), EventPayload::RecipientsChanged(all)) =
        (found, expected)
    else {
        return found == expected;
    };
    let generations = |named: &[ResealedGeneration]| {
        let all = named.iter().map(|sealed| sealed.generation);
        all.collect::<std::collections::BTreeSet<_>>()
    };
    records(found, expected)
        && some.generations.iter().all(|sealed| all.generations.contains(sealed))
        && generations(&some.generations) == generations(&all.generations)
}

const fn len_max(key: &ObjectKey) -> u64 {
    match key {
        ObjectKey::Generation(..) => GENERATION_FILE_LEN_MAX,
        ObjectKey::LedgerEvent(..) => LEDGER_EVENT_LEN_MAX,
        _ => NOTE_LEN_MAX,
    }
}

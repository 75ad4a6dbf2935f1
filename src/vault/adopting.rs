//! The host takes up what happened elsewhere: vault notes of an operator, snapshots of the signer
//! before it. Spec: §8.2, §11.
//!
//! A host that may not read, or a store that does not answer, changes nothing: the note in force
//! stays the one that the host has. A planted note is a warning (I8).

use std::sync::Arc;

use super::auditor::{ChainLink, check_link};
use super::generation::ROLL_DUE;
use super::versions::Versions;
use super::writer::Writer;
use super::{Error, notes};
use crate::base::limits::NOTE_LEN_MAX;
use crate::base::{Code, Coded, Event, Family, Observer, SnapshotId};
use crate::crypto::digest::sha256;
use crate::crypto::signing::VerificationKey;
use crate::format::ObjectKey;
use crate::format::event::EventKind;

/// The manifest's name for the newest snapshot that another signer of the vault took before.
pub const NEWEST_ELSEWHERE: &str = "newest elsewhere";

impl Writer {
    /// Returns the vault's newest snapshot that this host knows of.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn newest_snapshot(&self) -> Result<Option<SnapshotId>, Error> {
        let elsewhere = self.manifest().note(NEWEST_ELSEWHERE)?;
        let elsewhere = elsewhere.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        Ok(self.manifest().snapshots()?.last().map(|snapshot| snapshot.id).max(elsewhere))
    }

    /// Takes up every vault note that follows the one in force in the first store that may be read,
    /// if there is one. A run looks once.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub fn adopt_notes(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        if self.look_for_notes() {
            return Ok(());
        }
        let Some(store) = self.mirrors().readable().into_iter().next() else { return Ok(()) };
        let root: VerificationKey = self.root_key().parse()?;
        let sha256_of = sha256(&self.state().vault_note()?);
        let mut link = ChainLink { note: self.note().clone(), sha256: sha256_of };
        let versions = Versions::new(Arc::clone(&store));
        loop {
            let number = link.note.number.saturating_add(1);
            let key = ObjectKey::Vault(number);
            let check = |bytes: Vec<u8>| {
                check_link(&bytes, number, &root, Some(&link)).map(|next| (next, bytes))
            };
            let checked = match store.get(&key, NOTE_LEN_MAX) {
                Ok(bytes) => check(bytes),
                Err(crate::store::Error::Missing { .. }) => return Ok(()),
                Err(error) if error.code().family() != Family::Damaged => return Ok(()),
                Err(error) => Err(error.into()),
            };
            // A note that something was put over is still there where versions are kept.
            let checked = checked.or_else(|error| {
                let read = versions.named(key, |view| check(view.get(&key, NOTE_LEN_MAX)?));
                read.map_err(|_| error)
            });
            let (next, bytes) = match checked {
                Ok(next) => next,
                Err(error) => {
                    let detail = format!("vault note {number} is not taken up: {error}");
                    observer.observe(Event::Warning { code: error.code(), detail });
                    return Ok(());
                }
            };
            let dropped = |digest| !next.note.recipients.contains(digest);
            let must_roll = link.note.recipients.iter().any(dropped);
            self.adopt_note(&bytes, next.note.clone(), must_roll)?;
            link = next;
        }
    }

    /// Tells whether a recipient was removed and the generation not rolled since.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn roll_is_due(&self) -> Result<bool, Error> {
        Ok(self.manifest().note(ROLL_DUE)?.is_some_and(|due| !due.is_empty()))
    }

    /// Refuses to go on for a signer that was retired; one that was not added yet is warned of.
    ///
    /// # Errors
    /// If the vault note in force has this host's signer retired.
    pub fn check_standing(&self, observer: &dyn Observer) -> Result<(), Error> {
        let (signer, number) = (self.key().signer_id(), self.note().number);
        let Some(delegate) = self.note().delegate(signer) else {
            let detail = format!(
                "vault note {number} does not delegate to signer {signer} of this host yet: what \
                 it takes is safe, and counts once an operator adds its key {}",
                self.key().verification_key()
            );
            observer.observe(Event::Warning { code: Code::SignerPending, detail });
            return Ok(());
        };
        let now = self.outside().clock.now();
        match delegate.retired.filter(|retired| *retired <= now) {
            Some(retired) => Err(Error::SignerRetired { signer, retired, number }),
            None if delegate.may_append(EventKind::SnapshotTaken) => Ok(()),
            None => {
                let reason = format!("signer {signer} of this host may not take snapshots");
                Err(notes::not_delegated(ObjectKey::Vault(number), reason))
            }
        }
    }
}

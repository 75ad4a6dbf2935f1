//! Packs on their way: sent without the writer's lock, recorded with it. Spec: §9, `mirrors.md` §1,
//! §4.
//!
//! A mirror that did not take a pack finds it later in another store that can be read; if there is
//! none in the spool, which is bounded.

use jiff::Timestamp;

use super::Error;
use super::delivery::{Load, Parcel, remove_file};
use super::mirrors::{Mirrors, Sent, spooled_len};
use super::pack_writer::FinishedPack;
use super::writer::{Writer, pack_key};
use crate::base::{Code, Event, Observer};
use crate::format::ObjectKey;
use crate::manifest::{NewPack, Outgoing, PackNumber, Payload};
use crate::store::{Readiness, Stat, Store};

/// Sends packs, from any thread and without the writer.
#[derive(Clone)]
pub struct Courier {
    mirrors: Mirrors,
    locked_until: Option<Timestamp>,
}

impl Courier {
    /// Makes a pack durable in the primary store, and sends it to the mirrors.
    ///
    /// # Errors
    /// If the primary store fails.
    pub fn send(&self, pack: &FinishedPack, observer: &dyn Observer) -> Result<Sent, Error> {
        let (file, entry) = (pack.file(), pack.entry());
        let parcel = Parcel {
            key: pack_key(entry.profile, entry.id),
            sha256: file.sha256,
            load: Load::File(file.path.clone()),
            locked_until: self.locked_until,
        };
        self.mirrors.send(&parcel, observer)
    }

    /// Returns how many packs are worth sending at a time.
    pub fn packs_at_once(&self) -> usize {
        self.mirrors.primary().calls_at_once().max(1)
    }
}

impl Writer {
    /// Returns what sends packs of the open generation.
    ///
    /// # Errors
    /// If the policy is one of a newer program.
    pub fn courier(&self) -> Result<Courier, Error> {
        let (mirrors, locked_until) = (self.mirrors().clone(), self.locked_until()?);
        Ok(Courier { mirrors, locked_until })
    }

    /// Records a pack that the primary store took: from here on its chunks are found.
    ///
    /// # Errors
    /// If the manifest or the spool fails.
    pub fn record_pack(
        &mut self,
        number: PackNumber,
        pack: &FinishedPack,
        sent: &Sent,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let (file, entry) = (pack.file(), pack.entry());
        let key = pack_key(entry.profile, entry.id);
        let now = self.outside().clock.now();
        let primary = self.mirrors().primary().name().to_owned();
        // First, for it is where a mirror's copy may have to come from.
        self.manifest_mut().keep_receipt(&primary, &key, &sent.primary.receipt_row(now))?;
        for (mirror, taken) in &sent.mirrors {
            self.manifest_mut().keep_receipt(mirror, &key, &taken.receipt_row(now))?;
        }
        if !sent.waiting.is_empty() {
            self.owe(&key, pack, &sent.waiting, observer)?;
        }
        self.manifest_mut().add_pack(&NewPack {
            number,
            id: entry.id,
            profile: entry.profile,
            stored_len: entry.stored_len,
            raw_len: entry.raw_len,
            made_at: now,
            chunks: &pack.chunks(),
            segment_entry: &entry.compose(),
        })?;
        remove_file(&file.path)
    }

    /// Journals a pack for the mirrors that do not have it.
    fn owe(
        &mut self,
        key: &ObjectKey,
        pack: &FinishedPack,
        waiting: &[String],
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let is_held = self.is_held(key, waiting);
        let payload = match is_held || !self.has_room(pack) {
            true => Payload::Elsewhere,
            false => self.spool(pack)?,
        };
        if payload == Payload::Elsewhere && !is_held {
            let detail = format!(
                "{key} waits for {} without a copy: the spool holds {} bytes of at most {}",
                waiting.join(", "),
                self.spooled_len(),
                self.spool_max(),
            );
            let warning = Event::Warning { code: Code::SpoolFull, detail };
            self.mirrors().tell_once("spool", || observer.observe(warning));
        }
        let locked_until = self.locked_until()?;
        let object = Outgoing { key: *key, sha256: pack.file().sha256, payload, locked_until };
        Ok(self.manifest_mut().enqueue(waiting, &[object], &[])?)
    }

    /// Tells whether a store that does not wait for an object has it where it can be read at once.
    fn is_held(&self, key: &ObjectKey, waiting: &[String]) -> bool {
        let is_ready = |stat: Stat| stat.readiness == Readiness::Ready;
        let waits = |store: &dyn Store| waiting.iter().any(|name| name == store.name());
        let holders = self.mirrors().readable();
        let mut holders = holders.iter().filter(|store| !waits(store.as_ref()));
        holders.any(|store| matches!(store.stat(key), Ok(Some(stat)) if is_ready(stat)))
    }

    fn has_room(&self, pack: &FinishedPack) -> bool {
        self.spooled_len().saturating_add(pack.file().stored_len) <= self.spool_max()
    }

    fn spooled_len(&self) -> u64 {
        self.state().path().parent().map_or(0, spooled_len)
    }

    fn spool(&self, pack: &FinishedPack) -> Result<Payload, Error> {
        let path = self.state().spool()?.join(pack.entry().id.to_string());
        let copied = std::fs::copy(&pack.file().path, &path);
        copied.map_err(|cause| Error::state("spool", &path, cause))?;
        self.state().sync_spooled(&path)?;
        Ok(Payload::File(path.to_string_lossy().into_owned()))
    }

    /// Removes what crashed runs left in the staging directories and in the spool.
    ///
    /// # Errors
    /// If the primary store or the state fails.
    pub fn clean_staging(
        &mut self,
        before: Timestamp,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        // Where nothing but putting is allowed, nothing is staged either.
        let primary = self.mirrors().primary();
        if primary.is_readable() {
            primary.clean_staging(before)?;
        }
        for mirror in self.mirrors().mirrors().iter().filter(|mirror| mirror.is_readable()) {
            if let Err(cause) = mirror.clean_staging(before) {
                self.mirrors().note_lagging(mirror.name(), &cause, observer);
            }
        }
        let spool = self.state().spool()?;
        let wrap = |cause| Error::state("clean", &spool, cause);
        for entry in std::fs::read_dir(&spool).map_err(wrap)? {
            let path = entry.map_err(wrap)?.path();
            if !self.manifest().is_spooled(&path.to_string_lossy())? {
                std::fs::remove_file(&path).map_err(wrap)?;
            }
        }
        Ok(())
    }
}

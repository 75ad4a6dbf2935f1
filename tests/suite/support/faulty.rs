//! A store that fails when told to.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use idswyft_vault::base::Digest;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Content, Error, Listing, Prolonged, Receipt, Remains, STAGING_PREFIX, Stat, Store, ThawAnswer,
    ThawTier, VersionListing,
};
use jiff::Timestamp;

use super::{Call, check_content};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing was done.
    NotDone,
    /// It was done, and reported as failed.
    DoneButReported,
    /// It was cut off half-way. `put_new` leaves half a file in staging, as a crash would; `get`
    /// and `open` give half the bytes and no error; `get_range` is `Truncated`; `list` fails after
    /// half its names. Whatever cannot be half done is not done.
    Torn,
}

/// What follows a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Later calls work.
    Recovers,
    /// No later call is done, as if this process had died.
    IsDead,
}

type Predicate = Box<dyn Fn(&Call) -> bool + Send + Sync>;

struct Fault {
    strikes: Predicate,
    // The how many-th of the calls that the predicate selects, from 0; or each of them.
    index: Option<u64>,
    seen_count: AtomicU64,
    mode: Mode,
    then: Then,
}

/// Wraps a store and fails as its faults say; without any it is transparent.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Vec<Fault>,
    dead: AtomicBool,
    call_count: AtomicU64,
    fault_count: AtomicU64,
    reading_fault_count: AtomicU64,
    is_put_only: bool,
}

impl FaultyStore {
    /// Wraps a store, without faults.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            faults: Vec::new(),
            dead: AtomicBool::new(false),
            call_count: AtomicU64::new(0),
            fault_count: AtomicU64::new(0),
            reading_fault_count: AtomicU64::new(0),
            is_put_only: false,
        }
    }

    /// Says that its credentials may do nothing but put.
    pub fn put_only(self) -> Self {
        Self { is_put_only: true, ..self }
    }

    /// Fails the call of any kind with this index, counted from 0.
    pub fn fail_nth(mut self, index: u64, mode: Mode, then: Then) -> Self {
        self.add(Box::new(|_| true), Some(index), mode, then);
        self
    }

    /// Fails every call that the predicate selects.
    pub fn fail_calls(
        mut self,
        mode: Mode,
        strikes: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.add(Box::new(strikes), None, mode, Then::Recovers);
        self
    }

    /// Returns how many calls there were: a crash test ends when it fails none of them.
    pub fn call_count(&self) -> u64 {
        self.call_count.load(Ordering::SeqCst)
    }

    /// Returns how many calls failed by a fault.
    pub fn fault_count(&self) -> u64 {
        self.fault_count.load(Ordering::SeqCst)
    }

    /// Returns how many of them were calls that read an object or ask for one.
    pub fn reading_fault_count(&self) -> u64 {
        self.reading_fault_count.load(Ordering::SeqCst)
    }

    fn add(&mut self, strikes: Predicate, index: Option<u64>, mode: Mode, then: Then) {
        let seen_count = AtomicU64::new(0);
        self.faults.push(Fault { strikes, index, seen_count, mode, then });
    }

    fn strike(&self, call: &Call) -> Option<Mode> {
        self.call_count.fetch_add(1, Ordering::SeqCst);
        let dead = self.dead.load(Ordering::SeqCst).then_some(Mode::NotDone);
        let mode = dead.or_else(|| self.faults.iter().find_map(|fault| self.apply(fault, call)));
        if mode.is_some() {
            self.fault_count.fetch_add(1, Ordering::SeqCst);
            let is_reading = matches!(call, Call::Open(_) | Call::Stat(_));
            self.reading_fault_count.fetch_add(u64::from(is_reading), Ordering::SeqCst);
        }
        mode
    }

    fn apply(&self, fault: &Fault, call: &Call) -> Option<Mode> {
        if !(fault.strikes)(call) {
            return None;
        }
        let seen_count = fault.seen_count.fetch_add(1, Ordering::SeqCst);
        if fault.index.is_some_and(|index| index != seen_count) {
            return None;
        }
        if fault.then == Then::IsDead {
            self.dead.store(true, Ordering::SeqCst);
        }
        Some(fault.mode)
    }

    fn injected(&self, call: &Call) -> Error {
        Error::Unavailable {
            store: self.inner.name().to_owned(),
            action: "do",
            place: format!("{call:?}"),
            source: "injected fault".into(),
        }
    }

    /// Does a call that has no half.
    fn whole<T>(&self, call: Call, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match self.strike(&call) {
            None => act(),
            Some(Mode::NotDone | Mode::Torn) => Err(self.injected(&call)),
            Some(Mode::DoneButReported) => {
                drop(act());
                Err(self.injected(&call))
            }
        }
    }

    fn leave_torn_file(&self, content: Content<'_>) {
        let Some(staging) = self.inner.staging_dir() else { return };
        let bytes = match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::File(path) => fs::read(path).expect("the caller's file is readable"),
        };
        let name = format!("{STAGING_PREFIX}torn-{}", self.call_count());
        fs::write(staging.join(name), &bytes[..bytes.len() / 2])
            .expect("the staging directory is writable");
    }
}

impl Store for FaultyStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn url(&self) -> &str {
        self.inner.url()
    }

    fn prepare(&self) -> Result<(), Error> {
        self.whole(Call::Prepare, || self.inner.prepare())
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        check_content(self.name(), key, content, digest)?;
        let call = Call::PutNew(*key);
        match self.strike(&call) {
            None => self.inner.put_new(key, content, digest),
            Some(Mode::NotDone) => Err(self.injected(&call)),
            Some(Mode::Torn) => {
                self.leave_torn_file(content);
                Err(self.injected(&call))
            }
            Some(Mode::DoneButReported) => {
                // The caller does not learn what came of it: not even that the name was taken.
                drop(self.inner.put_new(key, content, digest));
                Err(self.injected(&call))
            }
        }
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        let call = Call::Get(*key);
        match self.strike(&call) {
            None => self.inner.get(key, len_max),
            Some(Mode::Torn) => {
                let mut bytes = self.inner.get(key, len_max)?;
                bytes.truncate(bytes.len() / 2);
                Ok(bytes)
            }
            Some(_) => Err(self.injected(&call)),
        }
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let call = Call::GetRange(*key, offset, len);
        match self.strike(&call) {
            None => self.inner.get_range(key, offset, len),
            Some(Mode::Torn) => Err(Error::Truncated {
                store: self.inner.name().to_owned(),
                key: *key,
                len: offset + len as u64 / 2,
                need: offset + len as u64,
            }),
            Some(_) => Err(self.injected(&call)),
        }
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        let call = Call::Open(*key);
        match self.strike(&call) {
            None => self.inner.open(key),
            Some(Mode::NotDone) => Err(self.injected(&call)),
            Some(Mode::Torn) => {
                let stat = self.inner.stat(key)?;
                let reader = self.inner.open(key)?;
                Ok(Box::new(reader.take(stat.map_or(0, |stat| stat.len / 2))))
            }
            Some(Mode::DoneButReported) => Ok(Box::new(self.inner.open(key)?.chain(FailingEnd))),
        }
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.whole(Call::Stat(*key), || self.inner.stat(key))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let call = Call::List(folder);
        let mode = self.strike(&call);
        let names = match mode {
            None => return self.inner.list(folder),
            Some(Mode::NotDone) => return Err(self.injected(&call)),
            Some(Mode::Torn | Mode::DoneButReported) => self.inner.list(folder)?,
        };
        let mut names: Vec<_> = names.collect();
        if mode == Some(Mode::Torn) {
            names.truncate(names.len() / 2);
        }
        names.push(Err(self.injected(&call)));
        Ok(Box::new(names.into_iter()))
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.whole(Call::Delete(*key), || self.inner.delete(key))
    }

    fn set_aside(&self, key: &ObjectKey) -> Result<Option<String>, Error> {
        self.whole(Call::SetAside(*key), || self.inner.set_aside(key))
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        self.inner.staging_dir()
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.whole(Call::CleanStaging, || self.inner.clean_staging(before))
    }

    fn is_readable(&self) -> bool {
        self.inner.is_readable() && !self.is_put_only
    }

    fn calls_at_once(&self) -> usize {
        self.inner.calls_at_once()
    }

    fn patience(&self) -> Option<Duration> {
        self.inner.patience()
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        // Where there are none, nothing is asked that could fail.
        match self.inner.versions(key)? {
            none if none.is_empty() => Ok(none),
            views => self.whole(Call::Versions(*key), || Ok(views)),
        }
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        match self.inner.list_versions(folder)? {
            None => Ok(None),
            listing => self.whole(Call::ListVersions(folder), || Ok(listing)),
        }
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.whole(Call::Remains(*key), || self.inner.remains(key))
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.whole(Call::Erase(*key), || self.inner.erase(key))
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.whole(Call::Prolong(*key), || self.inner.prolong(key, until))
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.whole(Call::Thaw(*key), || self.inner.thaw(key, tier, days))
    }
}

/// A reader that fails instead of ending.
struct FailingEnd;

impl Read for FailingEnd {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("injected fault"))
    }
}

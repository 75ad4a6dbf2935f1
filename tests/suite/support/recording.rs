//! A store that remembers its calls, so that a test can ask for their order.

use std::collections::HashSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use idswyft_vault::base::{Code, Coded, Digest};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Content, Error, Listing, Prolonged, Receipt, Remains, Stat, Store, ThawAnswer, ThawTier,
    VersionListing,
};
use jiff::Timestamp;

use super::{Call, check_content};

/// One call as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The call.
    pub call: Call,
    /// When it began, in steps of the store's own count.
    pub began: u64,
    /// When it ended, and whether well; nothing while it runs.
    pub ended: Option<(u64, Result<(), Code>)>,
}

/// Wraps a store and records every call in order.
///
/// Beginning and end are recorded apart, because a write order means that one write has ended
/// before another begins.
pub struct RecordingStore {
    inner: Arc<dyn Store>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    step: u64,
    calls: Vec<Recorded>,
}

impl RecordingStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, log: Mutex::default() }
    }

    /// Returns every call so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Recorded> {
        self.lock().calls.clone()
    }

    /// Returns the keys that were put, in the order in which that ended well.
    pub fn puts(&self) -> Vec<ObjectKey> {
        let mut puts: Vec<_> = self.finished_puts().map(|(_, ended, key)| (ended, key)).collect();
        puts.sort_unstable();
        puts.into_iter().map(|(_, key)| key).collect()
    }

    /// Forgets what was recorded so far.
    pub fn clear(&self) {
        self.lock().calls.clear();
    }

    /// Asserts that every put of a lower rank ended before any put of a higher rank began.
    ///
    /// Keys without a rank may be put at any time.
    #[track_caller]
    pub fn assert_put_order(&self, rank: impl Fn(&ObjectKey) -> Option<u32>) {
        let puts: Vec<_> = self.finished_puts().collect();
        for (_, ended, earlier) in &puts {
            for (began, _, later) in &puts {
                let (Some(low), Some(high)) = (rank(earlier), rank(later)) else { continue };
                assert!(low >= high || ended < began, "{later} was begun before {earlier} ended");
            }
        }
    }

    /// Asserts that no key was sent more than once, not even in vain.
    #[track_caller]
    pub fn assert_nothing_sent_twice(&self) {
        let mut seen = HashSet::new();
        for recorded in self.calls() {
            if let Call::PutNew(key) = recorded.call {
                assert!(seen.insert(key), "{key} was sent twice");
            }
        }
    }

    /// Asserts that no byte was asked for more than once.
    #[track_caller]
    pub fn assert_nothing_read_twice(&self) {
        let reads: Vec<_> = self.calls().iter().filter_map(|one| read_of(&one.call)).collect();
        for (index, (key, start, end)) in reads.iter().enumerate() {
            for (other, other_start, other_end) in &reads[..index] {
                let apart = end <= other_start || other_end <= start;
                assert!(
                    key != other || apart,
                    "{key} was read twice: {start}..{end} and {other_start}..{other_end}"
                );
            }
        }
    }

    fn finished_puts(&self) -> impl Iterator<Item = (u64, u64, ObjectKey)> {
        self.calls().into_iter().filter_map(|recorded| match (recorded.call, recorded.ended) {
            (Call::PutNew(key), Some((ended, Ok(())))) => Some((recorded.began, ended, key)),
            _ => None,
        })
    }

    fn record<T>(&self, call: Call, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let began = {
            let mut log = self.lock();
            log.step += 1;
            let began = log.step;
            log.calls.push(Recorded { call, began, ended: None });
            began
        };
        let result = act();
        let mut log = self.lock();
        log.step += 1;
        let ended = (log.step, result.as_ref().map(|_| ()).map_err(Coded::code));
        // Absent if the log was cleared meanwhile.
        if let Some(recorded) = log.calls.iter_mut().find(|recorded| recorded.began == began) {
            recorded.ended = Some(ended);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no test panics while it holds the log")
    }
}

/// Returns the bytes that a call asks for.
fn read_of(call: &Call) -> Option<(ObjectKey, u64, u64)> {
    match call {
        Call::Get(key) | Call::Open(key) => Some((*key, 0, u64::MAX)),
        Call::GetRange(key, offset, len) => Some((*key, *offset, offset + *len as u64)),
        _ => None,
    }
}

impl Store for RecordingStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn url(&self) -> &str {
        self.inner.url()
    }

    fn prepare(&self) -> Result<(), Error> {
        self.record(Call::Prepare, || self.inner.prepare())
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.record(Call::PutNew(*key), || {
            check_content(self.name(), key, content, digest)?;
            self.inner.put_new(key, content, digest)
        })
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.record(Call::Get(*key), || self.inner.get(key, len_max))
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let call = Call::GetRange(*key, offset, len);
        self.record(call, || self.inner.get_range(key, offset, len))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.record(Call::Open(*key), || self.inner.open(key))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.record(Call::Stat(*key), || self.inner.stat(key))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.record(Call::List(folder), || self.inner.list(folder))
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.record(Call::Delete(*key), || self.inner.delete(key))
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        self.inner.staging_dir()
    }

    fn clean_staging(&self, before: Timestamp) -> Result<u64, Error> {
        self.record(Call::CleanStaging, || self.inner.clean_staging(before))
    }

    fn is_readable(&self) -> bool {
        self.inner.is_readable()
    }

    fn calls_at_once(&self) -> usize {
        self.inner.calls_at_once()
    }

    fn patience(&self) -> Option<Duration> {
        self.inner.patience()
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.record(Call::Versions(*key), || self.inner.versions(key))
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.record(Call::ListVersions(folder), || self.inner.list_versions(folder))
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.record(Call::Remains(*key), || self.inner.remains(key))
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.record(Call::Erase(*key), || self.inner.erase(key))
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.record(Call::Prolong(*key), || self.inner.prolong(key, until))
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.record(Call::Thaw(*key), || self.inner.thaw(key, tier, days))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use idswyft_vault::base::SystemClock;
    use idswyft_vault::store::MemoryStore;

    use super::*;
    use crate::support::sha256;

    fn recording() -> RecordingStore {
        RecordingStore::new(Arc::new(MemoryStore::new("memory", Arc::new(SystemClock))))
    }

    fn put(store: &dyn Store, number: u32) -> Result<Receipt, Error> {
        store.put_new(&ObjectKey::Vault(number), Content::Bytes(b"note"), &sha256(b"note"))
    }

    fn fails(assertion: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(assertion)).is_err()
    }

    #[test]
    fn a_recording_store_tells_calls_results_and_order() {
        let store = recording();
        put(&store, 2).unwrap();
        put(&store, 1).unwrap();
        put(&store, 1).unwrap_err();
        let [one, two] = [ObjectKey::Vault(1), ObjectKey::Vault(2)];
        assert_eq!(store.puts(), [two, one]);
        assert_eq!(store.calls()[2].ended.unwrap().1, Err(Code::ObjectExists));
        let number = |key: &ObjectKey| match key {
            ObjectKey::Vault(number) => Some(*number),
            _ => None,
        };
        store.assert_put_order(|key| number(key).map(|number| 10 - number));
        assert!(fails(|| store.assert_put_order(number)));
        store.assert_put_order(|_| None);
        store.clear();
        assert!(store.calls().is_empty());
    }

    #[test]
    fn a_recording_store_notices_what_is_sent_or_read_twice() {
        let store = recording();
        let key = ObjectKey::Vault(1);
        put(&store, 1).unwrap();
        store.get_range(&key, 0, 2).unwrap();
        store.get_range(&key, 2, 2).unwrap();
        store.assert_nothing_sent_twice();
        store.assert_nothing_read_twice();
        store.get_range(&key, 1, 2).unwrap();
        assert!(fails(|| store.assert_nothing_read_twice()));
        put(&store, 1).unwrap_err();
        assert!(fails(|| store.assert_nothing_sent_twice()));
    }
}

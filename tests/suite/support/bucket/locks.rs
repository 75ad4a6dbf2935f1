//! What is left of a name in a bucket, and locks that go on.

use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Error, Lock, LockMode, Prolonged, Remains, Sight};
use jiff::Timestamp;

use super::Bucket;
use crate::support::Call;

impl Bucket {
    /// Counts every version and delete marker.
    pub(super) fn left_of(&self, key: &ObjectKey) -> Result<Remains, Error> {
        let contents = self.call(Call::Remains(*key), self.rights.list)?;
        let versions = || contents.names.get(&key.to_string()).into_iter().flatten();
        let version_count = versions().filter(|version| version.bytes.is_some()).count() as u64;
        let marker_count = versions().count() as u64 - version_count;
        Ok(Remains { version_count, marker_count, sight: Sight::Versions })
    }

    /// Removes what is left, unless a lock keeps a version that this principal may not bypass.
    pub(super) fn erase_all(&self, key: &ObjectKey) -> Result<u64, Error> {
        let mut contents = self.call(Call::Erase(*key), self.rights.delete)?;
        let (now, name) = (self.inner.clock.now(), key.to_string());
        let bypass = self.rights.bypass;
        let keeps = |lock: Lock| now < lock.until && (lock.mode == LockMode::Compliance || !bypass);
        let Some(versions) = contents.names.get_mut(&name) else { return Ok(0) };
        let before = versions.len();
        let with_bytes = versions.iter().filter(|version| version.bytes.is_some()).count();
        versions.retain(|version| version.is_held || version.lock.is_some_and(keeps));
        let (left, removed) = (versions.len(), before - versions.len());
        if left == 0 {
            contents.names.remove(&name);
            return Ok(with_bytes as u64);
        }
        let store = self.inner.name.clone();
        let source = format!("{removed} versions were removed, and {left} are locked").into();
        Err(Error::Denied { store, action: "delete", place: name, source })
    }

    /// Puts a legal hold on the version that is seen, or takes it off.
    pub(super) fn put_hold(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        let mut contents = self.call(Call::Hold(*key), self.rights.put)?;
        let seen = self.version(&contents, key)?.id;
        let versions = contents.names.get_mut(&key.to_string()).into_iter().flatten();
        for version in versions.filter(|version| version.id == seen) {
            version.is_held = is_held;
        }
        Ok(())
    }

    /// Locks the version that is seen for longer.
    pub(super) fn extend_lock(
        &self,
        key: &ObjectKey,
        until: Timestamp,
    ) -> Result<Prolonged, Error> {
        let mut contents = self.call(Call::Prolong(*key), self.rights.put)?;
        let seen = self.version(&contents, key)?;
        let Some(usual) = self.inner.lock_mode else { return Ok(Prolonged::Never) };
        let mode = match (seen.lock, key.folder()) {
            (Some(lock), _) if lock.until >= until => return Ok(Prolonged::Stood(lock)),
            (Some(lock), _) => lock.mode,
            (None, Folder::Generations) => LockMode::Governance,
            (None, _) => usual,
        };
        let lock = Lock { mode, until };
        let versions = contents.names.get_mut(&key.to_string()).into_iter().flatten();
        for version in versions.filter(|version| version.id == seen.id) {
            version.lock = Some(lock);
        }
        Ok(Prolonged::Extended(lock))
    }
}

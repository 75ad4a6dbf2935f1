//! Locks that go on: GetObjectRetention, PutObjectRetention (C21). Spec: `generations.md` §2.
//!
//! Whoever extends locks need not be allowed to read what is locked, so nothing is asked by HEAD.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode};
use jiff::Timestamp;

use super::read::is_missing_or_hidden;
use super::{S3Store, time_of};
use crate::format::{Folder, ObjectKey};
use crate::store::{Error, Lock, LockMode, Prolonged};

/// What servers say of an object without a lock, and of one in a bucket that has none.
const UNLOCKED: [&str; 3] =
    ["NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"];

impl S3Store {
    /// Locks an object until a time, if it is not for as long.
    pub(super) fn extend_lock(
        &self,
        key: &ObjectKey,
        until: Timestamp,
    ) -> Result<Prolonged, Error> {
        let Some(usual) = self.inner.settings.object_lock else { return Ok(Prolonged::Never) };
        let mode = match self.retention(key)? {
            Some(lock) if lock.until >= until => return Ok(Prolonged::Stood(lock)),
            Some(lock) => lock.mode,
            // Only so can the role that shreds remove a key.
            None if key.folder() == Folder::Generations => LockMode::Governance,
            None => usual,
        };
        // Whole seconds, and never a moment too short.
        let second = until.as_second() + i64::from(until.subsec_nanosecond() > 0);
        let retention = ObjectLockRetention::builder()
            .mode(match mode {
                LockMode::Governance => ObjectLockRetentionMode::Governance,
                LockMode::Compliance => ObjectLockRetentionMode::Compliance,
            })
            .retain_until_date(DateTime::from_secs(second))
            .build();
        let place = self.address(key);
        let call = self.call("lock", "s3:PutObjectRetention", &place);
        let version = self.version_of(key);
        let locked = self.inner.send(call, |live| {
            let request = live.client.put_object_retention().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.retention(retention).send()
        });
        match locked {
            Ok(_) => {
                let until = Timestamp::from_second(second).unwrap_or(until);
                Ok(Prolonged::Extended(Lock { mode, until }))
            }
            Err(failure) if is_missing_or_hidden(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Returns the lock of an object; where nobody tells it so, by looking at the object.
    pub(super) fn lock_of(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        match self.retention(key) {
            Ok(lock) => Ok(lock),
            Err(Error::Missing { .. }) => Ok(None),
            Err(_) => Ok(self.head(key)?.and_then(|stat| stat.lock)),
        }
    }

    /// Tells whether the lock of an object is told to these credentials.
    pub(super) fn is_told_locks(&self, key: &ObjectKey) -> Result<bool, Error> {
        match self.retention(key) {
            Ok(_) | Err(Error::Missing { .. }) => Ok(true),
            Err(Error::Denied { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the lock of an object, if it has one.
    fn retention(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        let place = self.address(key);
        let call = self.call("look at the lock of", "s3:GetObjectRetention", &place);
        let version = self.version_of(key);
        let found = self.inner.send(call, |live| {
            let request = live.client.get_object_retention().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.send()
        });
        let found = match found {
            Ok(found) => found,
            Err(failure) if UNLOCKED.contains(&failure.code()) => return Ok(None),
            Err(failure) if is_missing_or_hidden(&failure) => return Err(self.missing(key)),
            Err(failure) => return Err(failure.into()),
        };
        let Some(retention) = found.retention() else { return Ok(None) };
        let mode = match retention.mode().map(ObjectLockRetentionMode::as_str) {
            Some(mode) if mode == ObjectLockMode::Governance.as_str() => LockMode::Governance,
            Some(_) => LockMode::Compliance,
            None => return Ok(None),
        };
        Ok(retention.retain_until_date().and_then(time_of).map(|until| Lock { mode, until }))
    }
}

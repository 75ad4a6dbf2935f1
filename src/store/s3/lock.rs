//! Locks that go on: PutObjectRetention (C21). Spec: `generations.md` §2.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use jiff::Timestamp;

use super::S3Store;
use super::read::is_missing;
use crate::format::{Folder, ObjectKey};
use crate::store::{Error, Lock, LockMode, Prolonged};

impl S3Store {
    /// Locks an object until a time, if it is not for as long.
    pub(super) fn extend_lock(
        &self,
        key: &ObjectKey,
        until: Timestamp,
    ) -> Result<Prolonged, Error> {
        let stat = self.head(key)?.ok_or_else(|| self.missing(key))?;
        let mode = match (stat.lock, self.inner.settings.object_lock) {
            (Some(lock), _) if lock.until >= until => return Ok(Prolonged::Stood(lock)),
            (Some(lock), _) => lock.mode,
            (None, None) => return Ok(Prolonged::Never),
            // Only so can the role that shreds remove a key.
            (None, Some(_)) if key.folder() == Folder::Generations => LockMode::Governance,
            (None, Some(mode)) => mode,
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
            Err(failure) if is_missing(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }
}

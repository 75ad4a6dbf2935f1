//! Deleting one object, with every version of it (C11), and erasing what is left (C19, C20).

use super::S3Store;
use super::read::is_missing;
use crate::format::ObjectKey;
use crate::store::{Error, Remains, Sight};

/// Which locks a deletion asks to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// None.
    Nothing,
    /// One under GOVERNANCE, which takes `s3:BypassGovernanceRetention`.
    Governance,
}

impl S3Store {
    /// Removes an object: all its versions, the oldest first, and then what hides them.
    pub(super) fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        if let Some(id) = self.version_of(key) {
            return self.remove_version(key, Some(id), Past::Nothing);
        }
        let Some(mut ids) = self.version_ids(key)? else {
            // Without versions to list, DELETE answers alike whether there was an object or not.
            self.head(key)?.ok_or_else(|| self.missing(key))?;
            return self.remove_version(key, None, Past::Nothing);
        };
        if ids.iter().all(|(_, is_marker)| *is_marker) {
            return Err(self.missing(key));
        }
        ids.sort_by_key(|(_, is_marker)| *is_marker);
        ids.iter().try_for_each(|(id, _)| self.remove_version(key, Some(id), Past::Nothing))
    }

    /// Counts the versions and delete markers of an object.
    pub(super) fn left_of(&self, key: &ObjectKey) -> Result<Remains, Error> {
        let Some(ids) = self.version_ids(key)? else {
            let version_count = u64::from(self.head(key)?.is_some());
            return Ok(Remains { version_count, marker_count: 0, sight: Sight::Newest });
        };
        let marker_count = ids.iter().filter(|(_, is_marker)| *is_marker).count() as u64;
        let version_count = ids.len() as u64 - marker_count;
        Ok(Remains { version_count, marker_count, sight: Sight::Versions })
    }

    /// Removes all versions and delete markers, each past a lock that may be bypassed.
    pub(super) fn erase_all(&self, key: &ObjectKey) -> Result<u64, Error> {
        let Some(mut ids) = self.version_ids(key)? else {
            let is_there = self.head(key)?.is_some();
            if is_there {
                self.force_version(key, None)?;
            }
            return Ok(u64::from(is_there));
        };
        ids.sort_by_key(|(_, is_marker)| *is_marker);
        ids.iter().try_for_each(|(id, _)| self.force_version(key, Some(id)))?;
        Ok(ids.iter().filter(|(_, is_marker)| !is_marker).count() as u64)
    }

    /// Removes a version; what is denied is asked for again with the right to bypass, which a
    /// bucket without locks does not understand.
    fn force_version(&self, key: &ObjectKey, version: Option<&str>) -> Result<(), Error> {
        let removed = match self.remove_version(key, version, Past::Nothing) {
            Err(denied @ Error::Denied { .. }) => {
                match self.remove_version(key, version, Past::Governance) {
                    Err(Error::Server { .. }) => Err(denied),
                    other => other,
                }
            }
            other => other,
        };
        match removed {
            Err(Error::Missing { .. }) => Ok(()),
            other => other,
        }
    }

    fn remove_version(
        &self,
        key: &ObjectKey,
        version: Option<&str>,
        past: Past,
    ) -> Result<(), Error> {
        let place = self.address(key);
        let right = match (past, version) {
            (Past::Governance, _) => "s3:BypassGovernanceRetention",
            (Past::Nothing, Some(_)) => "s3:DeleteObjectVersion",
            (Past::Nothing, None) => "s3:DeleteObject",
        };
        let bypass = (past == Past::Governance).then_some(true);
        let call = self.call("delete", right, &place);
        let deleted = self.inner.send(call, |live| {
            let request = live.client.delete_object().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.set_bypass_governance_retention(bypass).send()
        });
        match deleted {
            Ok(_) => Ok(()),
            Err(failure) if is_missing(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }
}

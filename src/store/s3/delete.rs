//! Deleting one object, with every version of it (C11).

use super::S3Store;
use super::read::is_missing;
use crate::format::ObjectKey;
use crate::store::Error;

impl S3Store {
    /// Removes an object: all its versions, the oldest first, and then what hides them.
    pub(super) fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        if let Some(id) = self.version_of(key) {
            return self.remove_version(key, Some(id));
        }
        let Some(mut ids) = self.version_ids(key)? else {
            // Without versions to list, DELETE answers alike whether there was an object or not.
            self.head(key)?.ok_or_else(|| self.missing(key))?;
            return self.remove_version(key, None);
        };
        if ids.iter().all(|(_, is_marker)| *is_marker) {
            return Err(self.missing(key));
        }
        ids.sort_by_key(|(_, is_marker)| *is_marker);
        ids.iter().try_for_each(|(id, _)| self.remove_version(key, Some(id)))
    }

    fn remove_version(&self, key: &ObjectKey, version: Option<&str>) -> Result<(), Error> {
        let place = self.address(key);
        let right = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let call = self.call("delete", right, &place);
        let deleted = self.inner.send(call, |live| {
            let request = live.client.delete_object().bucket(&self.inner.place.bucket);
            request.key(self.full(key)).set_version_id(version.map(str::to_owned)).send()
        });
        match deleted {
            Ok(_) => Ok(()),
            Err(failure) if is_missing(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }
}

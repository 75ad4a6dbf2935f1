//! Legal holds of S3: GetObjectLegalHold, PutObjectLegalHold (C22). Spec: `generations.md` §2.1.

use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus};

use super::S3Store;
use super::read::is_missing_or_hidden;
use crate::format::ObjectKey;
use crate::store::Error;

/// What servers say of an object that never had a legal hold, and of one in a bucket that has none.
const UNHELD: [&str; 3] =
    ["NoSuchObjectLockConfiguration", "NoSuchObjectLegalHold", "InvalidRequest"];

impl S3Store {
    /// Tells whether a legal hold is on an object.
    pub(super) fn legal_hold(&self, key: &ObjectKey) -> Result<bool, Error> {
        let place = self.address(key);
        let call = self.call("look at the legal hold of", "s3:GetObjectLegalHold", &place);
        let version = self.version_of(key);
        let found = self.inner.send(call, |live| {
            let request = live.client.get_object_legal_hold().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.send()
        });
        match found {
            Ok(found) => {
                let status = found.legal_hold().and_then(ObjectLockLegalHold::status);
                Ok(status == Some(&ObjectLockLegalHoldStatus::On))
            }
            Err(failure) if UNHELD.contains(&failure.code()) => Ok(false),
            Err(failure) if is_missing_or_hidden(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Puts a legal hold on an object, or takes it off; it stays where whatever is put gets one.
    pub(super) fn put_legal_hold(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        let status = match is_held || self.inner.settings.legal_hold {
            true => ObjectLockLegalHoldStatus::On,
            false => ObjectLockLegalHoldStatus::Off,
        };
        let place = self.address(key);
        let call = self.call("hold", "s3:PutObjectLegalHold", &place);
        let version = self.version_of(key);
        let put = self.inner.send(call, |live| {
            let request = live.client.put_object_legal_hold().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.legal_hold(ObjectLockLegalHold::builder().status(status).build()).send()
        });
        match put {
            Ok(_) => Ok(()),
            Err(failure) if is_missing_or_hidden(&failure) => Err(self.missing(key)),
            Err(failure) => Err(failure.into()),
        }
    }
}

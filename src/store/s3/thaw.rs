//! Asking for copies of archived objects: RestoreObject. Spec: `stores.md` §3.

use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};

use super::S3Store;
use super::read::is_missing;
use crate::format::ObjectKey;
use crate::store::{Error, StorageClass, ThawAnswer, ThawTier};

impl S3Store {
    /// Asks for a copy that can be read for some days.
    pub(super) fn ask_to_thaw(
        &self,
        key: &ObjectKey,
        tier: ThawTier,
        days: u32,
    ) -> Result<ThawAnswer, Error> {
        let place = self.address(key);
        let call = self.call("thaw", "s3:RestoreObject", &place);
        let not_thawable = |reason| {
            let store = self.inner.name.clone();
            Error::NotThawable { store, key: *key, reason }
        };
        let wanted_tier = match tier {
            ThawTier::Bulk => Tier::Bulk,
            ThawTier::Standard => Tier::Standard,
            ThawTier::Expedited => Tier::Expedited,
        };
        let job = GlacierJobParameters::builder().tier(wanted_tier).build();
        let job = job.map_err(|_| not_thawable("the tier is not one"))?;
        let version = self.version_of(key);
        // The client does not tell 200 from 202, so what was there before is looked at.
        let before = self.head(key)?.ok_or_else(|| self.missing(key))?;
        // Out of the archive tiers of this class it moves for good: there is no copy, and no days.
        let is_moved = before.class == StorageClass::IntelligentTiering;
        let days = i32::try_from(days.max(1)).unwrap_or(i32::MAX);
        let wanted = RestoreRequest::builder()
            .set_days(Some(days).filter(|_| !is_moved))
            .glacier_job_parameters(job)
            .build();
        let asked = self.inner.send(call, |live| {
            let request = live.client.restore_object().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.restore_request(wanted).send()
        });
        match asked {
            Ok(_) => Ok(match before.readiness {
                crate::store::Readiness::Thawed(_) => ThawAnswer::Prolonged,
                crate::store::Readiness::Thawing => ThawAnswer::UnderWay,
                _ => ThawAnswer::Begun,
            }),
            Err(failure) if failure.code() == "RestoreAlreadyInProgress" => {
                Ok(ThawAnswer::UnderWay)
            }
            Err(failure) if is_missing(&failure) => Err(self.missing(key)),
            Err(failure) => Err(match failure.code() {
                "InvalidObjectState" => not_thawable("it is in no archive class"),
                "InvalidTier" | "InvalidArgument" | "MalformedXML" => {
                    not_thawable("this tier is not for its class")
                }
                "GlacierExpeditedRetrievalNotAvailable" => {
                    Error::TierBusy { store: self.inner.name.clone(), key: *key, tier }
                }
                "MethodNotAllowed" | "NotImplemented" => not_thawable("the server thaws nothing"),
                _ => *failure.error,
            }),
        }
    }
}

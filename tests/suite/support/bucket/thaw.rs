//! How a bucket thaws.

use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{Error, Readiness, StorageClass, ThawAnswer, ThawTier};
use jiff::SignedDuration;

use super::Bucket;
use crate::support::Call;

impl Bucket {
    /// Asks for a copy that can be read for some days.
    pub(super) fn ask_to_thaw(
        &self,
        key: &ObjectKey,
        tier: ThawTier,
        days: u32,
    ) -> Result<ThawAnswer, Error> {
        let mut contents = self.call(Call::Thaw(*key), self.rights.thaw)?;
        let seen = self.version(&contents, key)?;
        let (store, key) = (self.inner.name.clone(), *key);
        let hours = match (seen.class, tier) {
            (StorageClass::Glacier, ThawTier::Expedited) => 0,
            (StorageClass::Glacier, ThawTier::Standard) => 4,
            (StorageClass::Glacier, ThawTier::Bulk) | (_, ThawTier::Standard) => 12,
            (_, ThawTier::Bulk) => 48,
            (_, ThawTier::Expedited) => {
                let reason = "this tier is not for its class";
                return Err(Error::NotThawable { store, key, reason });
            }
        };
        if !seen.class.is_archive() {
            let reason = "it is in no archive class";
            return Err(Error::NotThawable { store, key, reason });
        }
        let now = self.inner.clock.now();
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        let versions = contents.names.get_mut(&key.to_string()).into_iter().flatten();
        let version = versions.filter(|one| one.id == seen.id).last().expect("it was seen");
        let (answer, ready) = match self.readiness(&seen) {
            Readiness::Thawing => return Ok(ThawAnswer::UnderWay),
            Readiness::Thawed(_) => (ThawAnswer::Prolonged, now),
            _ => (ThawAnswer::Begun, now + SignedDuration::from_hours(hours)),
        };
        version.thawed = Some((ready, ready + kept));
        Ok(answer)
    }
}

//! When a host leans on nothing that it made before, because it may be gone. Spec: `prune.md` §4
//! (I9).

use jiff::{SignedDuration, Timestamp};

use super::{Error, Writer};
use crate::base::{Code, Event, Observer, SnapshotId};

/// How far a pack may have been named ahead of the clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

impl Writer {
    /// Leans on nothing from now on, if a snapshot is about to be delivered later than a prune
    /// waits for it: nobody knew what it names until now.
    ///
    /// # Errors
    /// If the manifest cannot be read or written.
    pub(super) fn give_up_what_is_late(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        let days = self.note().parameters.fields().grace_days;
        let grace = SignedDuration::from_hours(24 * i64::from(days));
        let now = self.outside().clock.now();
        let is_late = |id: &SnapshotId| now.duration_since(id.time()) > grace;
        let undelivered = self.manifest().undelivered(self.mirrors().primary().name())?;
        let late: Vec<SnapshotId> = undelivered.into_iter().filter(is_late).collect();
        if late.is_empty() {
            return Ok(());
        }
        self.manifest_mut().give_up_packs(Timestamp::UNIX_EPOCH)?;
        for snapshot in late {
            let detail = format!("snapshot {snapshot} is delivered more than {days} days late");
            observer.observe(Event::Warning { code: Code::DeliveryLate, detail });
        }
        Ok(())
    }

    /// Leans no more on what was named more than a day ahead of the clock: it went back since, and
    /// a prune counts by another.
    ///
    /// # Errors
    /// If the manifest cannot be read or written.
    pub fn give_up_what_is_ahead(&mut self) -> Result<(), Error> {
        let now = self.outside().clock.now();
        let latest = now.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        if self.manifest().packs()?.iter().any(|pack| pack.used_at > latest) {
            self.manifest_mut().give_up_packs(latest)?;
        }
        Ok(())
    }
}

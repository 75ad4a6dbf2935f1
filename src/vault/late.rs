//! Snapshots that reach the first store so late that what they lean on may be gone. Spec:
//! `prune.md` §4 (I9).

use jiff::SignedDuration;

use super::{Error, Writer};
use crate::base::{Code, Event, Observer, SnapshotId};

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
        self.manifest_mut().lean_on_nothing()?;
        for snapshot in late {
            let detail = format!("snapshot {snapshot} is delivered more than {days} days late");
            observer.observe(Event::Warning { code: Code::DeliveryLate, detail });
        }
        Ok(())
    }
}

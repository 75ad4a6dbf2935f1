//! Until when objects are locked: the generation's last day and the floor. Spec: `mirrors.md` §5.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::Error;
use super::writer::Writer;
use crate::format::ObjectKey;
use crate::format::parameters::Parameters;
use crate::policy::Policy;

/// Returns until when what is put at `now` into a generation is locked; nothing, if that is past.
///
/// A generation that goes on beyond its greatest age, or has none, counts as ending now.
///
/// # Errors
/// If the policy is one of a newer program.
pub fn locked_until(
    policy: &Map<String, Value>,
    parameters: &Parameters,
    opened: Timestamp,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let policy =
        Policy::from_json(policy).map_err(|error| Error::format(ObjectKey::Vault(1), error))?;
    let days = parameters.fields().generation_max_age_days;
    let age = days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
    let last = age.map_or(now, |age| opened + age).max(now);
    let until = policy.floor_at(last).unwrap_or(last);
    // Whole seconds, and never one too early.
    let second = until.as_second() + i64::from(until.subsec_nanosecond() > 0);
    let until = Timestamp::from_second(second).unwrap_or(until);
    Ok(Some(until).filter(|until| *until > now))
}

impl Writer {
    /// Returns until when what is put now is locked, in a store that locks.
    ///
    /// # Errors
    /// If the policy is one of a newer program.
    pub fn locked_until(&self) -> Result<Option<Timestamp>, Error> {
        self.locked_until_for(self.generation().opened)
    }

    /// As [`Self::locked_until`], for a generation opened at a time.
    pub(super) fn locked_until_for(&self, opened: Timestamp) -> Result<Option<Timestamp>, Error> {
        let (note, now) = (self.note(), self.outside().clock.now());
        locked_until(&note.policy, &note.parameters, opened, now)
    }
}

//! When a night's run begins.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::ScheduleError;
use crate::policy::hours::{
    MINUTES_A_DAY, is_quiet, minutes_until_stack_hours, nearest_quiet_minute, offsets_in_a_year,
    stack_hours_at, to_utc,
};

/// The minute of the day in UTC at which a run begins unless it is told: 02:40.
pub const DEFAULT_MINUTE_UTC: u16 = 2 * 60 + 40;
/// Minutes over which the starts of many hosts are spread at most.
const DELAY_MINUTES_MAX: u16 = 15;

const _: () = assert!(DEFAULT_MINUTE_UTC < MINUTES_A_DAY);

/// A minute of the day, such as `02:40`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Makes one of a minute of the day.
    pub const fn of_minute(minute: u16) -> Self {
        Self(minute % MINUTES_A_DAY)
    }

    /// Returns the minute of the day.
    pub const fn minute(self) -> u16 {
        self.0
    }

    /// Returns the hour of the day.
    pub const fn hour(self) -> u16 {
        self.0 / 60
    }

    /// Returns the minute of the hour.
    pub const fn minute_of_hour(self) -> u16 {
        self.0 % 60
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute_of_hour())
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str, max: u16| {
            let is_sound = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|value| is_sound && *value <= max)
        };
        let parts = text.split_once(':').map(|(h, m)| (digits(h, 23), digits(m, 59)));
        match parts {
            Some((Some(hour), Some(minute))) => Ok(Self(hour * 60 + minute)),
            _ => Err("write a time of the day as HH:MM, such as 04:40".to_owned()),
        }
    }
}

/// The zone of this host as a schedule sees it.
#[derive(Debug, Clone)]
pub struct LocalClock {
    /// Every offset of a year in minutes east of UTC, the present one first; at least one.
    pub offsets: Vec<i32>,
}

impl LocalClock {
    /// Looks at a zone from a time on.
    pub fn of(zone: &TimeZone, now: Timestamp) -> Self {
        Self { offsets: offsets_in_a_year(zone, now) }
    }

    fn now(&self) -> i32 {
        self.offsets.first().copied().unwrap_or(0)
    }

    /// Returns the time in UTC that a local time is now.
    pub fn utc(&self, local: TimeOfDay) -> TimeOfDay {
        TimeOfDay(to_utc(local.0, self.now()))
    }

    /// Returns the local time that a time in UTC is now.
    pub fn local(&self, utc: TimeOfDay) -> TimeOfDay {
        TimeOfDay(to_utc(utc.0, -self.now()))
    }
}

/// Chooses when a timer in UTC starts; `at` is local.
///
/// # Errors
/// If the stack works on its data then.
pub fn choose_utc(at: Option<TimeOfDay>, clock: &LocalClock) -> Result<TimeOfDay, ScheduleError> {
    let Some(at) = at else { return Ok(TimeOfDay(DEFAULT_MINUTE_UTC)) };
    let utc = clock.utc(at);
    check(at, &[clock.now()])?;
    Ok(utc)
}

/// Chooses when a cron job of the local zone starts: outside the stack's hours all the year.
///
/// # Errors
/// If the stack works on its data then, in summer or in winter.
pub fn choose_local(at: Option<TimeOfDay>, clock: &LocalClock) -> Result<TimeOfDay, ScheduleError> {
    if let Some(at) = at {
        return check(at, &clock.offsets).map(|()| at);
    }
    let wanted = clock.local(TimeOfDay(DEFAULT_MINUTE_UTC));
    let quiet = nearest_quiet_minute(wanted.0, &clock.offsets);
    Ok(quiet.map_or(wanted, TimeOfDay))
}

fn check(at: TimeOfDay, offsets: &[i32]) -> Result<(), ScheduleError> {
    if is_quiet(at.0, offsets) {
        return Ok(());
    }
    let busy = offsets.iter().find_map(|offset| {
        let utc = to_utc(at.0, *offset);
        stack_hours_at(utc).map(|hours| (TimeOfDay(utc), hours))
    });
    let Some((utc, hours)) = busy else { return Ok(()) };
    Err(ScheduleError::StackHours {
        at,
        utc,
        from: TimeOfDay(hours.from),
        until: TimeOfDay(hours.until),
        job: hours.job,
        nearest: TimeOfDay(nearest_quiet_minute(at.0, offsets).unwrap_or(at.0)),
    })
}

/// Returns by how many seconds a start may be delayed and still lie before the stack's next hours.
pub fn delay_s(utc: TimeOfDay) -> u32 {
    let room = minutes_until_stack_hours(utc.0).saturating_sub(1);
    u32::from(room.min(DELAY_MINUTES_MAX)) * 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    fn berlin() -> LocalClock {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        LocalClock::of(&zone, "2026-01-10T00:00:00Z".parse().unwrap())
    }

    fn time(text: &str) -> TimeOfDay {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_the_day_has_two_digits_a_colon_and_two_digits() {
        assert_eq!(time("02:40").to_string(), "02:40");
        for wrong in ["", "2:40", "24:00", "02:60", "02:4", "0240", "+2:40", "02:40:00", "é2:40"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }

    /// N-2
    #[test]
    fn a_time_within_the_stacks_hours_is_refused_with_the_nearest_good_one() {
        let error = choose_utc(Some(time("03:00")), &berlin()).unwrap_err();
        assert_eq!(error.code(), Code::ScheduleRefused);
        let text = error.to_string();
        assert!(text.contains("02:00 UTC") && text.contains("02:54"), "{text}");
        assert!(text.contains("01:55") && text.contains("deletes expired"), "{text}");
        assert_eq!(choose_utc(Some(time("03:20")), &berlin()).unwrap(), time("02:20"));
    }

    /// N-3
    #[test]
    fn a_cron_time_is_good_in_summer_and_in_winter() {
        // 04:00 is 03:00 UTC in winter and 02:00 UTC in summer.
        let error = choose_local(Some(time("04:00")), &berlin()).unwrap_err();
        assert!(error.to_string().contains("02:00 UTC"), "{error}");
        let chosen = choose_local(None, &berlin()).unwrap();
        assert!(is_quiet(chosen.0, &[60, 120]));
        assert_eq!(chosen, time("03:40"));
    }

    /// N-1
    #[test]
    fn no_delay_leads_into_the_stacks_hours() {
        for minute in 0..MINUTES_A_DAY {
            let time = TimeOfDay(minute);
            if is_quiet(minute, &[0]) {
                let last = minute + u16::try_from(delay_s(time) / 60).unwrap();
                assert!((minute..=last).all(|minute| is_quiet(minute, &[0])), "{time}");
            }
        }
        assert_eq!(delay_s(time("02:40")), 900);
        assert_eq!(delay_s(time("01:50")), 240);
    }
}

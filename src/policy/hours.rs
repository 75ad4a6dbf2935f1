//! The hours in which the stack changes what a snapshot reads. Spec: `nights.md`.
//!
//! Idswyft deletes, blanks and restarts at fixed times, all of them UTC. A snapshot that begins
//! then may find rows whose files are gone. Every window opens a few minutes before its job and
//! closes when a job of a usual size is done.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Minutes of a day.
pub const MINUTES_A_DAY: u16 = 24 * 60;

/// A job of the stack that changes what a snapshot reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackJob {
    /// Rows and files of verifications that are too old are deleted, at 02:00.
    Retention,
    /// Payloads of old webhook deliveries are blanked, at 03:30.
    WebhookPayloads,
    /// Watchtower replaces containers by newer ones, at 04:00.
    Watchtower,
}

impl fmt::Display for StackJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retention => "deletes expired verifications and their files",
            Self::WebhookPayloads => "blanks old webhook payloads",
            Self::Watchtower => "may restart its containers",
        })
    }
}

/// When a job runs: from a minute of the day in UTC until before another.
#[derive(Debug, Clone, Copy)]
pub struct StackHours {
    /// The first minute in which nothing should begin.
    pub from: u16,
    /// The first minute after it.
    pub until: u16,
    /// What runs then.
    pub job: StackJob,
}

/// Every window, in the order of the day.
pub const STACK_HOURS: [StackHours; 3] = [
    StackHours { from: minute(1, 55), until: minute(2, 20), job: StackJob::Retention },
    StackHours { from: minute(3, 25), until: minute(3, 35), job: StackJob::WebhookPayloads },
    StackHours { from: minute(3, 55), until: minute(4, 10), job: StackJob::Watchtower },
];

const _: () = {
    assert!(STACK_HOURS[0].from < STACK_HOURS[0].until);
    assert!(STACK_HOURS[0].until < STACK_HOURS[1].from);
    assert!(STACK_HOURS[1].until < STACK_HOURS[2].from);
    assert!(STACK_HOURS[2].until < MINUTES_A_DAY);
};

const fn minute(hour: u16, minute: u16) -> u16 {
    hour * 60 + minute
}

/// Returns the job of the stack that runs at a time, if one does.
pub fn in_stack_hours(time: Timestamp) -> Option<StackJob> {
    stack_hours_at(minute_of_day(time)).map(|hours| hours.job)
}

/// Returns the window that a minute of the day in UTC lies in, if it lies in one.
pub fn stack_hours_at(minute: u16) -> Option<StackHours> {
    let minute = minute % MINUTES_A_DAY;
    STACK_HOURS.into_iter().find(|hours| (hours.from..hours.until).contains(&minute))
}

/// Returns how many minutes there are from a minute of the day until the next window opens.
pub fn minutes_until_stack_hours(minute: u16) -> u16 {
    let minute = minute % MINUTES_A_DAY;
    let ahead = STACK_HOURS.iter().map(|hours| match hours.from >= minute {
        true => hours.from - minute,
        false => hours.from + MINUTES_A_DAY - minute,
    });
    ahead.min().unwrap_or(MINUTES_A_DAY)
}

/// Returns the minute nearest to `wanted` that lies in no window, whichever of the zone's offsets
/// (minutes east of UTC) holds. Of two at the same distance the later one.
///
/// All three are minutes of a local day, and `offsets` those that the zone has in a year; for a
/// time in UTC it is `[0]`.
pub fn nearest_quiet_minute(wanted: u16, offsets: &[i32]) -> Option<u16> {
    (0..=MINUTES_A_DAY / 2).find_map(|distance| {
        let later = (wanted + distance) % MINUTES_A_DAY;
        let earlier = (wanted + MINUTES_A_DAY - distance) % MINUTES_A_DAY;
        [later, earlier].into_iter().find(|minute| is_quiet(*minute, offsets))
    })
}

/// Tells whether a minute of the local day lies in no window under any of the offsets.
pub fn is_quiet(local: u16, offsets: &[i32]) -> bool {
    offsets.iter().all(|offset| stack_hours_at(to_utc(local, *offset)).is_none())
}

/// Returns the minute of the day in UTC of a minute of the local day.
pub fn to_utc(local: u16, offset: i32) -> u16 {
    let minute = (i32::from(local) - offset).rem_euclid(i32::from(MINUTES_A_DAY));
    u16::try_from(minute).expect("a remainder of a day's minutes is small and not negative")
}

/// Returns the offsets that a zone has in the year from `now`, in minutes, the present one first.
pub fn offsets_in_a_year(zone: &TimeZone, now: Timestamp) -> Vec<i32> {
    let minutes = |time: Timestamp| zone.to_offset(time).seconds() / 60;
    let mut offsets = vec![minutes(now)];
    let year = now + jiff::SignedDuration::from_hours(366 * 24);
    for transition in zone.following(now).take_while(|transition| transition.timestamp() < year) {
        let offset = transition.offset().seconds() / 60;
        if !offsets.contains(&offset) {
            offsets.push(offset);
        }
    }
    offsets
}

/// Returns the minute of the day in UTC.
fn minute_of_day(time: Timestamp) -> u16 {
    let minutes = time.as_second().div_euclid(60).rem_euclid(i64::from(MINUTES_A_DAY));
    u16::try_from(minutes).expect("a remainder of a day's minutes is small and not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<StackJob> {
        in_stack_hours(text.parse().unwrap())
    }

    /// N-1
    #[test]
    fn a_window_holds_its_first_minute_and_not_the_one_after_it() {
        for (inside, before, after, job) in [
            ("01:55:00", "01:54:59", "02:20:00", StackJob::Retention),
            ("03:25:00", "03:24:59", "03:35:00", StackJob::WebhookPayloads),
            ("03:55:00", "03:54:59", "04:10:00", StackJob::Watchtower),
        ] {
            assert_eq!(at(&format!("2026-07-01T{inside}Z")), Some(job));
            assert_eq!(at(&format!("2026-07-01T{before}Z")), None);
            assert_eq!(at(&format!("1969-12-31T{after}Z")), None);
        }
        assert_eq!(at("2026-07-01T04:10:00+02:00"), Some(StackJob::Retention));
    }

    #[test]
    fn the_nearest_quiet_minute_is_quiet_on_both_sides_of_a_change_of_clocks() {
        assert_eq!(nearest_quiet_minute(minute(2, 0), &[0]), Some(minute(1, 54)));
        assert_eq!(nearest_quiet_minute(minute(2, 10), &[0]), Some(minute(2, 20)));
        assert_eq!(nearest_quiet_minute(minute(2, 40), &[0]), Some(minute(2, 40)));
        // 03:10 is 02:10 UTC in winter and 01:10 in summer; 03:20 is quiet in both.
        assert_eq!(nearest_quiet_minute(minute(3, 10), &[60, 120]), Some(minute(3, 20)));
        for wanted in 0..MINUTES_A_DAY {
            let quiet = nearest_quiet_minute(wanted, &[-210, -150, 345]).unwrap();
            assert!(is_quiet(quiet, &[-210, -150, 345]), "{wanted}");
        }
    }

    #[test]
    fn a_zone_has_its_offsets_of_summer_and_winter() {
        let now = "2026-01-10T00:00:00Z".parse().unwrap();
        let offsets = |name| offsets_in_a_year(&TimeZone::get(name).unwrap(), now);
        assert_eq!(offsets("Europe/Berlin"), [60, 120]);
        assert_eq!(offsets("Asia/Kathmandu"), [345]);
        assert_eq!(offsets_in_a_year(&TimeZone::UTC, now), [0]);
    }

    #[test]
    fn the_next_window_is_found_across_midnight() {
        assert_eq!(minutes_until_stack_hours(minute(2, 40)), 45);
        assert_eq!(minutes_until_stack_hours(minute(23, 55)), 120);
        assert_eq!(minutes_until_stack_hours(minute(3, 25)), 0);
    }
}

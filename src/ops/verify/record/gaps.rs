//! Times without a snapshot that are longer than they may be. Spec: `compliance.md` §3.
//!
//! - Snapshots that were forgotten since count as taken, and so do those of every host.
//! - A clock that was wrong makes no gap: a time that goes back in the log of its host is not
//!   believed, and its snapshot counts as one somewhere between its neighbours in that log.
//! - A night is not made up for afterwards: what was recorded more than a day after its id counts
//!   when it was recorded.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::base::SnapshotId;
use crate::format::event::EventPayload;
use crate::format::role::Role;
use crate::ops::report::{GapRow, RpoRow, RpoSource};
use crate::ops::verify::books::Books;
use crate::policy::Period;
use crate::policy::plan::SKEW_MAX;
use crate::vault::ledger::SignerLog;

/// How long a vault may go without a snapshot, as whoever asks knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rpo {
    /// What the signed policy says.
    #[default]
    Derived,
    /// What the config says of vaults with a snapshot a day.
    Config {
        /// In hours.
        hours: u64,
    },
    /// So many hours, whatever the policy says.
    Given {
        /// In hours.
        hours: u64,
    },
}

impl Rpo {
    /// Returns what it comes to under a policy that admits a snapshot a period.
    pub const fn row(self, every: Option<Period>) -> RpoRow {
        let (hours, source) = match (self, every) {
            (Self::Given { hours }, _) => (hours, RpoSource::Given),
            (Self::Config { hours }, None | Some(Period::Day)) => (hours, RpoSource::Config),
            (_, Some(period)) => (period.hours_with_slack(), RpoSource::Policy),
            (Self::Derived, None) => (Period::Day.hours_with_slack(), RpoSource::Default),
        };
        RpoRow { hours, source }
    }
}

/// The snapshots that were ever taken, by their times.
#[derive(Default)]
struct Series {
    believed: BTreeSet<(Timestamp, SnapshotId)>,
    /// Between which times each was taken whose own is not believed.
    doubtful: Vec<(Timestamp, Timestamp)>,
    /// How many records the store got more than a day after their time.
    late_count: usize,
}

/// What was found.
pub struct Gaps {
    /// The gaps, the oldest first, each with the snapshot that it follows.
    pub gaps: Vec<(SnapshotId, GapRow)>,
    /// What cannot be told.
    pub not_covered: Vec<String>,
}

/// Finds the gaps of a vault among all snapshots that were ever taken, until now.
pub fn find(books: &Books<'_>, ever: &BTreeSet<SnapshotId>, rpo: Rpo, now: Timestamp) -> Gaps {
    let series = Series::of(books, ever, now);
    let breaks = breaks(books);
    let hours_at = |time| rpo.row(books.every_at(time)).hours;
    let mut gaps = Vec::new();
    let ends = series.believed.iter().skip(1).map(|(time, _)| Some(*time)).chain([None]);
    for ((from, after), to) in series.believed.iter().zip(ends) {
        let end = to.unwrap_or(now);
        let lasts = end.duration_since(*from);
        let allowed_hours = hours_at(*from).max(hours_at(end));
        if lasts <= hours(allowed_hours) || breaks.iter().any(|(since, _)| *since < end) {
            continue;
        }
        let between = series.doubtful.iter().filter(|(low, high)| *low < end && *from < *high);
        let count = u64::try_from(between.count()).unwrap_or(u64::MAX);
        if lasts <= hours(allowed_hours.saturating_mul(count.saturating_add(1))) {
            continue;
        }
        let hours = u64::try_from(lasts.as_hours()).unwrap_or(0);
        gaps.push((*after, GapRow { from: *from, to, hours, allowed_hours }));
    }
    Gaps { gaps, not_covered: series.not_covered(&breaks) }
}

impl Series {
    fn of(books: &Books<'_>, ever: &BTreeSet<SnapshotId>, now: Timestamp) -> Self {
        let mut series = Self::default();
        let mut rest = ever.clone();
        for log in books.logs {
            let taken = log.events.iter().filter_map(|event| match &event.payload {
                EventPayload::SnapshotTaken(said) => Some((event, said.snapshot)),
                _ => None,
            });
            // One that two logs record was taken once.
            let taken: Vec<_> = taken.filter(|(_, id)| rest.remove(id)).collect();
            let late = taken.iter().filter(|(event, id)| books.came_late(event, *id));
            series.late_count += late.count();
            let timed = taken.iter().map(|(_, id)| (books.taken_at(*id), *id));
            series.add_log(&timed.collect::<Vec<_>>(), now);
        }
        for id in rest {
            series.add_log(&[(books.taken_at(id), id)], now);
        }
        series
    }

    /// Adds what one host took, in the order in which it says so.
    fn add_log(&mut self, taken: &[(Timestamp, SnapshotId)], now: Timestamp) {
        let is_past = |time: &Timestamp| time.duration_since(now) <= SKEW_MAX;
        let past: Vec<Timestamp> = taken.iter().map(|(time, _)| *time).filter(is_past).collect();
        let mut forward = longest_forward(&past).into_iter().peekable();
        let (mut low, mut waiting) = (Timestamp::MIN, 0);
        for (high, id) in taken {
            let high = *high;
            if forward.next_if_eq(&high).is_none() {
                waiting += 1;
                continue;
            }
            self.doubtful.extend(std::iter::repeat_n((low, high), waiting));
            self.believed.insert((high, *id));
            (low, waiting) = (high, 0);
        }
        self.doubtful.extend(std::iter::repeat_n((low, Timestamp::MAX), waiting));
    }

    fn not_covered(&self, breaks: &[(Timestamp, String)]) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.believed.is_empty() {
            gaps.push("whether nights are missing: there is no snapshot to count from".to_owned());
        }
        if !self.doubtful.is_empty() {
            let count = self.doubtful.len();
            gaps.push(format!(
                "in which night each of {count} snapshots was taken: the clock of their host was \
                 wrong"
            ));
        }
        if self.late_count > 0 {
            let count = self.late_count;
            gaps.push(format!(
                "whether {count} snapshots were taken when their host says: this store got the \
                 record of them more than a day later, as one does that lagged or was copied"
            ));
        }
        let line = |(since, signer): &(Timestamp, String)| {
            format!("whether nights are missing since {since}: the log of {signer} breaks off")
        };
        gaps.extend(breaks.iter().map(line));
        gaps
    }
}

/// Returns when the logs of hosts break off that are damaged: what they took since is not known.
fn breaks(books: &Books<'_>) -> Vec<(Timestamp, String)> {
    let is_host = |signer| {
        let delegate = books.auditor.note().delegate(signer);
        delegate.is_some_and(|delegate| delegate.role == Role::Writer)
    };
    let broken = books.logs.iter().filter(|log| !log.problems.is_empty() && is_host(log.signer));
    let first = books.auditor.chain().first().map_or(Timestamp::MIN, |link| link.note.time);
    let end = |log: &SignerLog| {
        let last = log.events.iter().map(|event| event.time).max();
        (last.unwrap_or(first), log.signer.to_string())
    };
    broken.map(end).collect()
}

/// Returns as many of the times as never go back, in their order: what is left out is what a clock
/// got wrong, as long as that is the lesser part.
fn longest_forward(times: &[Timestamp]) -> Vec<Timestamp> {
    // Of the runs of each length, the one that ends earliest: by the index of its end. Each time
    // knows the one before it in its run.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(times.len());
    for (index, time) in times.iter().enumerate() {
        let len = ends.partition_point(|end| times[*end] <= *time);
        before.push(len.checked_sub(1).map(|last| ends[last]));
        match ends.get_mut(len) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(index) = at {
        run.push(times[index]);
        at = before[index];
    }
    run.reverse();
    run
}

fn hours(count: u64) -> SignedDuration {
    SignedDuration::from_hours(i64::try_from(count).unwrap_or(i64::MAX / 3600).min(i64::MAX / 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L-9
    #[test]
    fn of_times_that_go_back_the_lesser_part_is_left_out() {
        let days = |days: &[i64]| -> Vec<Timestamp> {
            days.iter().map(|day| Timestamp::from_second(day * 86_400).unwrap()).collect()
        };
        for (times, expected) in [
            (&[1, 2, 3][..], &[1, 2, 3][..]),
            (&[1, 2, 400, 4, 5], &[1, 2, 4, 5]),
            (&[1, 2, -50, 4, 5], &[1, 2, 4, 5]),
            (&[101, 102, 3, 4, 5], &[3, 4, 5]),
            (&[7, 7], &[7, 7]),
            (&[], &[]),
        ] {
            assert_eq!(longest_forward(&days(times)), days(expected), "{times:?}");
        }
    }

    /// L-7
    #[test]
    fn what_is_allowed_is_given_or_of_the_config_or_of_the_policy() {
        let (given, config) = (Rpo::Given { hours: 5 }, Rpo::Config { hours: 48 });
        let row = |rpo: Rpo, every| (rpo.row(every).hours, rpo.row(every).source);
        for every in [None, Some(Period::Day), Some(Period::Month)] {
            assert_eq!(row(given, every), (5, RpoSource::Given));
        }
        assert_eq!(row(config, None), (48, RpoSource::Config));
        assert_eq!(row(config, Some(Period::Day)), (48, RpoSource::Config));
        assert_eq!(row(config, Some(Period::Month)), (32 * 24, RpoSource::Policy));
        assert_eq!(row(Rpo::Derived, None), (26, RpoSource::Default));
        assert_eq!(row(Rpo::Derived, Some(Period::Day)), (26, RpoSource::Policy));
        assert_eq!(row(Rpo::Derived, Some(Period::Hour)), (2, RpoSource::Policy));
    }
}

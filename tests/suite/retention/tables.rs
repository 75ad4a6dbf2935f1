//! Plans as tables: a policy, the time, and every snapshot with what becomes of it and why.
//!
//! A row is a time, what is special about it, and after `|` the verdict. `seen=` is when a store
//! first had it, else it had it at once.

use idswyft_vault::base::SnapshotId;
use idswyft_vault::policy::{Candidate, PolicyHistory, RetentionPlan};
use jiff::Timestamp;

use super::{at, candidate, hold, only, policy, text_of};

/// Compares a table with the plan of what is in it.
pub fn check(policy_text: &str, now: &str, rows: &str) {
    check_with(&only(policy(policy_text)), now, rows);
}

fn check_with(history: &PolicyHistory, now: &str, rows: &str) {
    let rows: Vec<&str> = rows.lines().map(str::trim).filter(|row| !row.is_empty()).collect();
    let mut expected = Vec::new();
    let mut candidates = Vec::new();
    for (number, row) in (0..).zip(&rows) {
        let (head, verdict) = row.split_once(" | ").unwrap_or_else(|| panic!("{row}"));
        let one = read(head, number);
        expected.push((one.id, verdict.trim().to_owned()));
        candidates.push(one);
    }
    // F-2: whatever the order in which they were found.
    for turn in 0..candidates.len().max(1) {
        let mut found = candidates.clone();
        found.rotate_left(turn);
        let plan = RetentionPlan::make(history, found, at(now));
        for (id, verdict) in &expected {
            let planned = plan.planned().iter().find(|one| one.candidate.id == *id).unwrap();
            assert_eq!(text_of(&planned.verdict), *verdict, "{id}");
        }
    }
}

fn read(head: &str, number: u8) -> Candidate {
    let mut words = head.split_whitespace();
    let mut one = candidate(at(words.next().unwrap()), number);
    for word in words {
        let value = |name: &str| word.strip_prefix(name).map(at) as Option<Timestamp>;
        if let Some(observed) = value("seen=") {
            one.observed = Some(observed);
        } else if let Some(floor) = value("floor=") {
            one.floor = Some(floor);
        } else if let Some(until) = value("locked=") {
            one.locked_until = Some(until);
        } else if let Some(time) = value("id=") {
            one.id = SnapshotId::new(time, [0, 0, 0, number]);
        } else {
            match word {
                "unseen" => one.observed = None,
                "hold" => one.holds.push(hold()),
                "tag" => one.keep_tag = true,
                _ => panic!("{word}"),
            }
        }
    }
    one
}

/// F-1 F-2 F-9 F-10
#[test]
fn the_first_of_each_day_stays_and_a_day_without_any_takes_no_place() {
    check(
        "keep_daily = 3",
        "2026-03-10T12:00:00Z",
        "2026-03-01T02:30:00Z | drop: no rule keeps it
         2026-03-04T02:30:00Z | keep: keep_daily 3 of 3
         2026-03-08T02:30:00Z | keep: keep_daily 2 of 3
         2026-03-10T02:30:00Z | keep: keep_daily 1 of 3
         2026-03-10T08:00:00Z | drop: no rule keeps it
         2026-03-10T11:00:00Z | keep: newest",
    );
}

/// F-9
#[test]
fn months_of_any_length_count_as_one() {
    check(
        "keep_monthly = 3",
        "2027-03-31T12:00:00Z",
        "2027-01-01T00:00:00Z | keep: keep_monthly 3 of 3
         2027-01-31T23:59:59Z | drop: no rule keeps it
         2027-02-28T23:59:59Z | keep: keep_monthly 2 of 3
         2027-03-01T00:00:00Z | keep: keep_monthly 1 of 3
         2027-03-31T02:30:00Z | keep: newest",
    );
}

/// F-5 F-9
#[test]
fn a_leap_day_is_a_day_and_its_year_ends_on_the_28th() {
    check(
        "keep_daily = 2\nfloor = '1y'",
        "2029-02-28T02:29:59Z",
        "2028-02-27T02:30:00Z | drop: no rule keeps it
         2028-02-28T02:30:00Z | keep: floor until 2029-02-28T02:30:00Z
         2028-02-29T02:30:00Z | keep: floor until 2029-02-28T02:30:00Z
         2028-03-01T02:30:00Z | keep: floor until 2029-03-01T02:30:00Z; keep_daily 2 of 2
         2028-03-02T02:30:00Z | keep: floor until 2029-03-02T02:30:00Z; newest; keep_daily 1 of 2",
    );
}

/// F-9
#[test]
fn the_day_on_which_clocks_go_forward_is_one_day() {
    // 2026-03-29 in Berlin begins at 23:00 UTC of the 28th and ends at 22:00 UTC.
    check(
        "keep_daily = 2\ntime_zone = 'Europe/Berlin'",
        "2026-03-30T12:00:00Z",
        "2026-03-28T22:59:59Z | drop: no rule keeps it
         2026-03-28T23:00:00Z | keep: keep_daily 2 of 2
         2026-03-29T21:59:59Z | drop: no rule keeps it
         2026-03-29T22:00:00Z | keep: newest; keep_daily 1 of 2",
    );
}

/// F-9
#[test]
fn the_hour_that_clocks_repeat_is_two_hours() {
    // 02:30 comes twice in Berlin on 2026-10-25: at 00:30 and at 01:30 UTC.
    check(
        "keep_hourly = 2\ntime_zone = 'Europe/Berlin'",
        "2026-10-25T02:00:00Z",
        "2026-10-24T23:30:00Z | drop: no rule keeps it
         2026-10-25T00:30:00Z | keep: keep_hourly 2 of 2
         2026-10-25T01:30:00Z | keep: newest; keep_hourly 1 of 2",
    );
}

/// F-9
#[test]
fn the_week_of_new_year_is_one_week_from_monday() {
    // 2026-12-28 is a Monday; the first of January lies in its week.
    check(
        "keep_weekly = 2\nkeep_yearly = 2",
        "2027-01-05T12:00:00Z",
        "2026-01-01T02:30:00Z | keep: keep_yearly 2 of 2
         2026-12-27T02:30:00Z | drop: no rule keeps it
         2026-12-28T02:30:00Z | keep: keep_weekly 2 of 2
         2026-12-31T02:30:00Z | drop: no rule keeps it
         2027-01-01T02:30:00Z | keep: keep_yearly 1 of 2
         2027-01-04T02:30:00Z | keep: newest; keep_weekly 1 of 2",
    );
}

/// F-9
#[test]
fn the_zone_of_the_policy_tells_where_a_day_ends() {
    let rows = |first: &str, second: &str| {
        format!(
            "2026-03-01T22:30:00Z | {first}
             2026-03-02T05:30:00Z | {second}
             2026-03-03T12:00:00Z | keep: newest; keep_daily 1 of 2"
        )
    };
    let now = "2026-03-03T12:30:00Z";
    for (zone, first, second) in [
        ("UTC", "drop: no rule keeps it", "keep: keep_daily 2 of 2"),
        // In Berlin the second of them began at 23:00 UTC.
        ("Europe/Berlin", "drop: no rule keeps it", "keep: keep_daily 2 of 2"),
        // In Tokyo both are of the second of March, in New York of the first and the second.
        ("Asia/Tokyo", "keep: keep_daily 2 of 2", "drop: no rule keeps it"),
        ("America/New_York", "drop: no rule keeps it", "keep: keep_daily 2 of 2"),
        // In Los Angeles both are of the first of March.
        ("America/Los_Angeles", "keep: keep_daily 2 of 2", "drop: no rule keeps it"),
    ] {
        let text = format!("keep_daily = 2\ntime_zone = '{zone}'");
        check(&text, now, &rows(first, second));
    }
}

/// F-2
#[test]
fn of_two_of_the_same_time_the_lower_id_comes_first() {
    check(
        "keep_daily = 1\nkeep_last = 1",
        "2026-03-10T12:00:00Z",
        "2026-03-10T02:30:00Z | keep: keep_daily 1 of 1
         2026-03-10T02:30:00Z | drop: no rule keeps it
         2026-03-10T02:30:00Z | keep: newest; keep_last 1 of 1",
    );
}

/// F-3 F-4
#[test]
fn what_is_dated_in_the_future_stays_and_pushes_out_nothing() {
    check(
        "keep_last = 1\nkeep_yearly = 1",
        "2026-03-10T12:00:00Z",
        "2026-03-09T02:30:00Z | keep: keep_yearly 1 of 1
         2026-03-10T02:30:00Z | keep: newest; keep_last 1 of 1
         2026-03-11T12:00:01Z seen=2026-03-10T12:00:00Z | keep: dated in the future
         2099-01-01T00:00:00Z seen=2026-03-10T03:00:00Z | keep: dated in the future",
    );
}

/// F-3
#[test]
fn a_clock_that_is_off_by_up_to_a_day_is_believed_and_no_more() {
    check(
        "keep_daily = 9",
        "2026-03-10T12:00:00Z",
        "2026-03-01T02:30:00Z seen=2026-03-02T02:30:00Z | keep: keep_daily 4 of 9
         2026-03-02T02:30:00Z seen=2026-03-03T02:30:01Z | \
         keep: misdated: its store had it at 2026-03-03T02:30:01Z
         2026-03-05T02:30:00Z seen=2026-03-04T02:30:00Z | keep: keep_daily 3 of 9
         2026-03-07T02:30:00Z seen=2026-03-06T02:29:59Z | \
         keep: misdated: its store had it at 2026-03-06T02:29:59Z
         2026-03-09T02:30:00Z | keep: keep_daily 2 of 9
         2026-03-11T12:00:00Z seen=2026-03-10T12:00:00Z | keep: newest; keep_daily 1 of 9",
    );
}

/// F-4 F-9
#[test]
fn garbage_dated_back_takes_no_place_of_a_good_one() {
    // The first of its day by its own word, and put weeks later.
    check(
        "keep_daily = 2",
        "2026-03-10T12:00:00Z",
        "2026-03-09T00:00:01Z seen=2026-03-10T09:00:00Z | \
         keep: misdated: its store had it at 2026-03-10T09:00:00Z
         2026-03-09T02:30:00Z | keep: keep_daily 2 of 2
         2026-03-10T02:30:00Z | keep: newest; keep_daily 1 of 2",
    );
}

/// F-3 F-8
#[test]
fn an_anomaly_goes_at_the_ceiling_from_when_a_store_had_it() {
    check(
        "ceiling = '30d'",
        "2026-03-31T12:00:00Z",
        "2001-01-01T00:00:00Z seen=2026-03-01T12:00:00Z | \
         drop: ceiling 30d reached at 2026-03-31T12:00:00Z
         2001-01-02T00:00:00Z seen=2026-03-02T12:00:00Z | \
         keep: misdated: its store had it at 2026-03-02T12:00:00Z
         2026-03-30T12:00:00Z | keep: no rule: everything is kept; newest
         2099-01-01T00:00:00Z seen=2026-03-01T12:00:00Z | \
         drop: ceiling 30d reached at 2026-03-31T12:00:00Z",
    );
}

/// F-8 F-10
#[test]
fn when_everything_has_expired_the_newest_goes_as_well() {
    check(
        "keep_daily = 7\nceiling = '1mo'",
        "2027-03-28T02:30:00Z",
        "2027-01-31T02:30:00Z | drop: ceiling 1mo reached at 2027-02-28T02:30:00Z
         2027-02-28T02:30:00Z | drop: ceiling 1mo reached at 2027-03-28T02:30:00Z",
    );
}

/// F-5 F-7 F-8
#[test]
fn the_ceiling_beats_rules_and_tags_but_neither_hold_nor_floor_nor_lock() {
    let longer = policy("floor = '1y'\nkeep_last = 9\nkeep_tags = ['a']");
    let history = PolicyHistory::new(
        policy("keep_last = 9\nceiling = '30d'\nkeep_tags = ['a']"),
        vec![longer],
    );
    check_with(
        &history,
        "2026-06-01T00:00:00Z",
        "2026-01-01T00:00:00Z | drop: ceiling 30d reached at 2026-01-31T00:00:00Z
         2026-01-02T00:00:00Z tag | drop: ceiling 30d reached at 2026-02-01T00:00:00Z
         2026-01-03T00:00:00Z hold | keep: hold 3 of 0707070707070707
         2026-01-04T00:00:00Z floor=2027-01-04T00:00:00Z | keep: floor until 2027-01-04T00:00:00Z
         2026-01-05T00:00:00Z locked=2026-06-01T00:00:01Z | keep: locked until 2026-06-01T00:00:01Z
         2026-01-06T00:00:00Z locked=2026-06-01T00:00:00Z | \
         drop: ceiling 30d reached at 2026-02-05T00:00:00Z",
    );
}

/// F-5 F-6
#[test]
fn a_floor_is_what_was_promised_or_what_is_in_force_whichever_is_later() {
    let now = "2026-06-01T00:00:00Z";
    let rows = "2026-01-01T00:00:00Z floor=2031-01-01T00:00:00Z | \
                keep: floor until 2031-01-01T00:00:00Z
                2026-01-02T00:00:00Z floor=9999-01-01T00:00:00Z | \
                keep: floor until 2031-01-02T00:00:00Z
                2026-01-03T00:00:00Z | drop: no rule keeps it
                2026-05-31T00:00:00Z | \
                keep: floor until 2026-06-02T00:00:00Z; newest; keep_last 1 of 1";
    // The floor was five years, and is two days: nothing that was promised is taken back.
    let shorter = policy("keep_last = 1\nfloor = '2d'");
    check_with(&PolicyHistory::new(shorter, vec![policy("floor = '5y'")]), now, rows);
    // It was two days, and is a year: that holds for all.
    let longer = policy("keep_last = 1\nfloor = '1y'");
    check_with(
        &PolicyHistory::new(longer, vec![policy("floor = '2d'")]),
        now,
        "2026-01-01T00:00:00Z floor=2026-01-03T00:00:00Z | keep: floor until 2027-01-01T00:00:00Z
         2026-05-31T00:00:00Z | keep: floor until 2027-05-31T00:00:00Z; newest; keep_last 1 of 1",
    );
    // No policy of this vault ever had a floor: a writer that invents one is not believed.
    check(
        "keep_last = 1",
        now,
        "2026-01-01T00:00:00Z floor=9999-01-01T00:00:00Z | drop: no rule keeps it
         2026-05-31T00:00:00Z | keep: newest; keep_last 1 of 1",
    );
}

/// F-9
#[test]
fn what_is_within_an_age_stays_until_the_second_in_which_it_reaches_it() {
    check(
        "keep_within = '1mo'",
        "2027-03-31T02:30:00Z",
        "2027-02-28T02:30:00Z | drop: no rule keeps it
         2027-02-28T02:30:01Z | drop: no rule keeps it
         2027-03-01T02:30:00Z | keep: keep_within 1mo
         2027-03-30T02:30:00Z | keep: newest; keep_within 1mo",
    );
}

/// F-11
#[test]
fn a_tag_keeps_as_long_as_the_policy_has_any() {
    let rows = |verdict: &str| {
        format!(
            "2026-01-01T00:00:00Z tag | {verdict}
             2026-01-02T00:00:00Z | drop: no rule keeps it
             2026-05-31T00:00:00Z | keep: newest; keep_last 1 of 1"
        )
    };
    let now = "2026-06-01T00:00:00Z";
    check("keep_last = 1\nkeep_tags = ['audit']", now, &rows("keep: keep_tags"));
    check("keep_last = 1", now, &rows("drop: no rule keeps it"));
}

/// F-1
#[test]
fn a_policy_without_rules_keeps_everything_and_says_so() {
    check(
        "",
        "2026-06-01T00:00:00Z",
        "1999-01-01T00:00:00Z | keep: no rule: everything is kept
         2026-05-31T00:00:00Z | keep: no rule: everything is kept; newest",
    );
    check("", "2026-06-01T00:00:00Z", "");
}

/// F-15
#[test]
fn who_names_a_snapshot_gets_it_forgotten_unless_something_was_promised() {
    let history = only(policy("keep_last = 9\nfloor = '30d'\nkeep_tags = ['a']"));
    let now = at("2026-06-01T00:00:00Z");
    let mut all: Vec<Candidate> =
        ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-05-31T00:00:00Z"]
            .iter()
            .zip(0..)
            .map(|(time, number)| candidate(at(time), number))
            .collect();
    all[0].keep_tag = true;
    all[1].holds.push(hold());
    let ids: Vec<_> = all.iter().map(|one| one.id).collect();
    let plan = RetentionPlan::forget(&history, all.clone(), &ids, now);
    let told: Vec<String> = plan.planned().iter().map(|one| text_of(&one.verdict)).collect();
    assert_eq!(
        told,
        [
            "drop: asked for by name",
            "keep: hold 3 of 0707070707070707",
            "keep: floor until 2026-06-30T00:00:00Z"
        ]
    );
    let plan = RetentionPlan::forget(&history, all, &ids[..1], now);
    assert_eq!(plan.kept().count(), 2, "nobody asked for the others");
}

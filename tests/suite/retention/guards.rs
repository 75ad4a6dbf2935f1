//! What stops a command before anything goes.

use idswyft_vault::policy::guard::{Known, clock_guard, known_time, plan_guards};
use idswyft_vault::policy::{Acceptance, Candidate, Guard, RetentionPlan};
use jiff::Timestamp;

use super::{at, candidate, only, policy};

/// F-12
#[test]
fn a_clock_that_went_back_by_more_than_a_day_is_not_one_to_go_by() {
    let (policy, known) = (policy("keep_daily = 7"), Some(at("2026-03-10T12:00:00Z").into()));
    let guard = |now: &str| clock_guard(&policy, known, at(now));
    assert_eq!(guard("2026-03-10T12:00:00Z"), None);
    assert_eq!(guard("2026-03-09T12:00:00Z"), None, "a day is what clocks may differ by");
    let back = guard("2026-03-09T11:59:59Z").unwrap();
    assert_eq!(back.acceptance(), Acceptance::Clock);
    assert!(matches!(back, Guard::ClockBack { .. }) && back.to_string().contains("2026-03-10"));
    assert_eq!(clock_guard(&policy, None, at("1970-01-01T00:00:00Z")), None, "nothing is known");
}

/// F-12
#[test]
fn a_clock_that_jumped_is_told_by_a_week_in_which_nothing_was_written() {
    let known = Some(at("2026-03-01T02:30:00Z").into());
    for (text, good, bad) in [
        ("keep_daily = 7", "2026-03-08T03:30:00Z", "2026-03-08T03:30:01Z"),
        ("every = 'day'", "2026-03-09T02:30:00Z", "2026-03-09T02:30:01Z"),
        // A vault of months sleeps for one between two snapshots.
        ("every = 'month'", "2026-04-08T02:30:00Z", "2026-04-08T02:30:01Z"),
    ] {
        assert_eq!(clock_guard(&policy(text), known, at(good)), None, "{text}");
        let guard = clock_guard(&policy(text), known, at(bad));
        assert!(matches!(guard, Some(Guard::ClockAhead { .. })), "{text}");
    }
}

/// F-12
#[test]
fn an_event_that_is_dated_otherwise_than_its_store_says_tells_no_time() {
    let written = at("2026-03-10T12:00:00Z");
    let known = |said: &str| known_time([written], [(at(said), written)]);
    assert_eq!(known("2026-03-11T12:00:00Z"), Some(at("2026-03-11T12:00:00Z")));
    assert_eq!(known("2099-01-01T00:00:00Z"), Some(written));
    assert_eq!(known("2026-03-10T11:00:00Z"), Some(written));
    assert_eq!(known_time([], []), None);
}

/// F-12
#[test]
fn what_a_clock_wrote_that_jumped_proves_nothing_until_somebody_accepts_it() {
    let policy = policy("every = 'day'");
    // A year lies between the night before and tonight, whose snapshot is written already.
    let nights = ["2026-02-27", "2026-02-28", "2026-03-01", "2027-03-01", "2027-03-02"];
    let written = nights.map(|day| at(&format!("{day}T02:30:00Z")));
    let guard = |accepted: &[(Timestamp, Timestamp)], now: &str| {
        clock_guard(&policy, Known::of(&policy, written, [], accepted), at(now))
    };
    let (known, now) = (written[2], "2027-03-02T03:00:00Z");
    assert_eq!(guard(&[], now), Some(Guard::ClockAhead { known, now: at(now) }));
    assert_eq!(guard(&[(known, at(now))], now), None, "somebody looked at it");
    let before = [(written[0], written[2])];
    assert!(guard(&before, now).is_some(), "another time was accepted");
    let back = guard(&[], "2026-03-02T03:00:00Z");
    assert!(matches!(back, Some(Guard::ClockBack { .. })), "what is written stays known");
    assert_eq!(Known::of(&policy, [], [], &[]), None);
}

fn months(count: i8) -> Vec<Candidate> {
    let time = |month: i8| -> Timestamp { at(&format!("2026-{month:02}-01T02:30:00Z")) };
    (1..=count).map(|month| candidate(time(month), month.unsigned_abs())).collect()
}

fn guards(text: &str, all: Vec<Candidate>) -> Vec<Guard> {
    let plan = RetentionPlan::make(&only(policy(text)), all, at("2026-09-02T00:00:00Z"));
    plan_guards(&plan, &[])
}

/// F-14
#[test]
fn more_than_half_is_many_and_half_is_not() {
    assert_eq!(guards("keep_last = 4", months(8)), []);
    let many = guards("keep_last = 3", months(8));
    assert_eq!(many, [Guard::Many { dropped_count: 5, snapshot_count: 8 }]);
    assert_eq!(many[0].acceptance().flag(), "--accept-many");
    assert_eq!(guards("keep_last = 3", Vec::new()), []);
}

/// F-14
#[test]
fn that_everything_has_expired_is_many() {
    let guard = guards("ceiling = '1d'", months(3));
    assert_eq!(guard, [Guard::Many { dropped_count: 3, snapshot_count: 3 }]);
}

/// F-13
#[test]
fn the_newest_that_was_verified_is_not_dropped_unasked() {
    let mut all = months(8);
    all[1].is_verified = true;
    all[3].is_verified = true;
    assert_eq!(guards("keep_last = 5", all.clone()), [], "the newer of the two stays");
    let last = Guard::LastVerified { snapshot: all[3].id };
    assert_eq!(guards("keep_last = 4", all.clone()), [last]);
    all[7].is_verified = true;
    assert_eq!(guards("keep_last = 4", all), []);
}

//! Why an object stays, one rule at a time.

use idswyft_vault::policy::prune::{
    GenerationFacts, ObjectFacts, lean_time, named_at, paid_until, settled_before, why_it_stays,
};
use idswyft_vault::policy::{Policy, PolicyFields, StayReason};
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn facts() -> ObjectFacts {
    ObjectFacts {
        is_needed: false,
        named: None,
        is_own: false,
        stored: at("2026-01-01"),
        locked_until: None,
        paid_until: None,
    }
}

fn why(facts: &ObjectFacts, now: &str) -> Option<StayReason> {
    why_it_stays(facts, lean_time(30, 14), at(now))
}

fn policy(text: &str) -> Policy {
    Policy::new(toml::from_str::<PolicyFields>(text).unwrap()).unwrap()
}

/// P-3
#[test]
fn what_is_needed_stays_whatever_else_is_said() {
    let needed = ObjectFacts { is_needed: true, is_own: true, ..facts() };
    assert_eq!(why(&needed, "2126-01-01"), Some(StayReason::Needed));
}

/// P-4 P-6
#[test]
fn what_was_named_or_stored_44_days_ago_goes_on_the_day() {
    let fresh = StayReason::Fresh { until: at("2026-02-14") };
    assert_eq!(why(&facts(), "2026-02-13"), Some(fresh));
    assert_eq!(why(&facts(), "2026-02-14"), None);
    let named = ObjectFacts { named: Some(at("2026-03-01")), ..facts() };
    let until = at("2026-04-14");
    assert_eq!(why(&named, "2026-04-13"), Some(StayReason::Named { until }));
    assert_eq!(why(&named, "2026-04-14"), None);
}

/// P-17
#[test]
fn what_its_own_host_forgets_waits_for_nobody_but_for_lock_and_money() {
    let own = ObjectFacts { is_own: true, ..facts() };
    assert_eq!(why(&own, "2026-01-02"), None);
    let until = at("2026-05-01");
    let locked = ObjectFacts { locked_until: Some(until), ..own };
    assert_eq!(why(&locked, "2026-01-02"), Some(StayReason::Locked { until }));
    assert_eq!(why(&locked, "2026-05-01"), None);
}

/// P-7 P-8
#[test]
fn lock_and_money_count_after_what_is_needed_and_end_by_themselves() {
    let (locked, paid) = (at("2026-06-01"), at("2026-06-30"));
    let both = ObjectFacts { locked_until: Some(locked), paid_until: Some(paid), ..facts() };
    let of = |now| why(&both, now).map(StayReason::name);
    let told = ["2026-02-01", "2026-03-01", "2026-06-01", "2026-06-30"].map(of);
    assert_eq!(told, [Some("fresh"), Some("locked"), Some("paid"), None]);
}

/// P-8
#[test]
fn what_is_paid_for_by_the_month_is_kept_so_long_unless_it_must_be_gone_before() {
    let stored = at("2026-01-01");
    let open = policy("keep_daily = 7");
    assert_eq!(paid_until(&open, stored, 180), Some(at("2026-06-30")));
    assert_eq!(paid_until(&open, stored, 0), None);
    let bounded = policy("keep_daily = 7\nceiling = '60d'");
    assert_eq!(paid_until(&bounded, stored, 180), Some(at("2026-03-02")));
    let long = policy("keep_daily = 7\nceiling = '5y'");
    assert_eq!(paid_until(&long, stored, 180), Some(at("2026-06-30")));
}

/// P-5
#[test]
fn a_snapshot_is_as_young_as_the_later_of_two_clocks_says_but_none_is_of_the_future() {
    let (early, late, now) = (at("2026-01-01"), at("2026-01-20"), at("2026-02-01"));
    assert_eq!(named_at(early, Some(late), now), late);
    assert_eq!(named_at(late, Some(early), now), late);
    assert_eq!(named_at(at("2090-01-01"), Some(early), now), early);
    assert_eq!(named_at(at("2090-01-01"), None, now), now);
    assert_eq!(named_at(early, None, now), early);
}

/// P-21
#[test]
fn what_is_older_than_every_generation_that_may_be_open_by_a_day_is_of_closed_ones() {
    let closed = GenerationFacts { is_closed: true, opened: Some(at("2026-01-01")) };
    let opened = |text| GenerationFacts { is_closed: false, opened: Some(at(text)) };
    let unknown = GenerationFacts { is_closed: false, opened: None };
    let before = |facts: &[GenerationFacts]| settled_before(facts.iter().copied());
    assert_eq!(before(&[closed, opened("2026-03-02")]), Some(at("2026-03-01")));
    let two = [opened("2026-05-02"), closed, opened("2026-04-02")];
    assert_eq!(before(&two), Some(at("2026-04-01")));
    assert_eq!(before(&[opened("2026-04-02"), unknown]), None, "it may be older than the other");
    assert_eq!(before(&[closed]), None, "the next may be open, and not told of");
    assert_eq!(before(&[]), None);
}

//! What holds of every plan, whatever the policy and the snapshots.

use idswyft_vault::policy::{
    Candidate, DropReason, KeepReason, Policy, PolicyFields, PolicyHistory, RetentionPlan, Verdict,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::{candidate, hold, verdicts};

/// 2026-06-01T00:00:00Z.
const NOW: i64 = 1_780_272_000;
const DAY: i64 = 24 * 3600;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let count = || prop::option::of(1_u32..5);
    let zone = prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Pacific/Auckland")];
    let ages = (
        prop::option::of(1_u32..60),
        prop::option::of(1_u32..40),
        prop::option::of(3000_u32..5000),
    );
    (count(), count(), count(), count(), count(), ages, zone, any::<bool>()).prop_map(
        |(last, hourly, daily, weekly, monthly, (within, floor, ceiling), zone, tags)| {
            let days = |days: Option<u32>| days.map(|days| format!("{days}d"));
            Policy::new(PolicyFields {
                keep_last: last,
                keep_hourly: hourly,
                keep_daily: daily,
                keep_weekly: weekly,
                keep_monthly: monthly,
                keep_within: days(within),
                keep_tags: tags.then(|| vec!["a".to_owned()]),
                floor: days(floor),
                ceiling: days(ceiling),
                time_zone: Some(zone.to_owned()),
                ..PolicyFields::default()
            })
            .unwrap()
        },
    )
}

/// Snapshots of some three months, a few of them of the same hour, some of them wrongly dated.
fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one =
        (0_i64..2200, prop_oneof![6 => Just(0_i64), 1 => -9 * DAY..9 * DAY], any::<[bool; 4]>());
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let make =
            |(number, (hours, off, [held, tag, locked, floor])): (u8, (i64, i64, [bool; 4]))| {
                let time = Timestamp::from_second(NOW - hours * 3600).unwrap();
                let mut one = candidate(time, number);
                one.observed = match off {
                    // No store tells a time, or one without a clock does.
                    off if off > 3 * DAY => None,
                    off if off < -3 * DAY => Some(Timestamp::UNIX_EPOCH),
                    off => Some(Timestamp::from_second(NOW - hours * 3600 + off).unwrap()),
                };
                one.keep_tag = tag;
                one.is_verified = tag && floor;
                if held && tag && locked {
                    one.holds.push(hold());
                }
                if locked && !held {
                    one.locked_until = Some(Timestamp::from_second(NOW + hours - 1000).unwrap());
                }
                if floor {
                    one.floor = Some(time + SignedDuration::from_hours(24 * 20));
                }
                one
            };
        (0..).zip(all).map(make).collect()
    })
}

fn history(policy: Policy, earlier: Policy) -> PolicyHistory {
    PolicyHistory::new(policy, vec![earlier])
}

proptest! {
    /// F-5 F-7 F-28
    #[test]
    fn nothing_goes_before_its_floor_or_under_a_hold_or_a_lock(
        policy in any_policy(), earlier in any_policy(), all in any_candidates()
    ) {
        let history = history(policy, earlier);
        let named: Vec<_> = all.iter().map(|one| one.id).collect();
        for plan in [
            RetentionPlan::make(&history, all.clone(), now()),
            RetentionPlan::forget(&history, all.clone(), &named, now()),
        ] {
            for (one, reason) in plan.dropped() {
                prop_assert!(one.holds.is_empty());
                prop_assert!(one.locked_until.is_none_or(|until| until <= now()));
                prop_assert!(history.floor_of(one, now()).is_none_or(|floor| floor <= now()));
                // Whatever its store says: no snapshot here is dated in the future.
                let floor = history.in_force().floor_at(one.time);
                prop_assert!(floor.is_none_or(|floor| floor <= now()), "{one:?}");
                let ceiling = history.in_force().ceiling_at(one.time);
                let is_old = ceiling.is_none_or(|ceiling| ceiling <= now());
                let is_by_ceiling = matches!(reason, DropReason::Ceiling { .. });
                prop_assert!(is_old || !is_by_ceiling, "{one:?}");
            }
        }
    }

    /// F-4
    #[test]
    fn a_wrongly_dated_snapshot_changes_no_other_verdict(
        policy in any_policy(), all in any_candidates(),
        time in NOW - 100 * DAY..NOW + 900 * DAY, off in DAY + 1..800 * DAY, sooner in any::<bool>()
    ) {
        let history = history(policy.clone(), policy);
        let before = verdicts(&RetentionPlan::make(&history, all.clone(), now()));
        let mut planted = candidate(Timestamp::from_second(time).unwrap(), 250);
        let observed = if sooner { time - off } else { time + off };
        planted.observed = Some(Timestamp::from_second(observed).unwrap());
        let id = planted.id;
        let more: Vec<_> = all.into_iter().chain([planted]).collect();
        let mut after = verdicts(&RetentionPlan::make(&history, more, now()));
        after.retain(|(other, _)| *other != id);
        prop_assert_eq!(before, after);
    }

    /// F-4
    #[test]
    fn a_snapshot_of_the_future_changes_no_other_verdict_whatever_its_store_says(
        policy in any_policy(), all in any_candidates(), ahead in DAY + 1..9000 * DAY
    ) {
        let history = history(policy.clone(), policy);
        let before = verdicts(&RetentionPlan::make(&history, all.clone(), now()));
        let planted = candidate(Timestamp::from_second(NOW + ahead).unwrap(), 250);
        let id = planted.id;
        let more: Vec<_> = all.into_iter().chain([planted]).collect();
        let mut after = verdicts(&RetentionPlan::make(&history, more, now()));
        after.retain(|(other, _)| *other != id);
        prop_assert_eq!(before, after);
    }

    /// F-1 F-2
    #[test]
    fn every_snapshot_has_one_verdict_with_a_reason_in_whatever_order(
        policy in any_policy(), all in any_candidates()
    ) {
        let history = history(policy.clone(), policy);
        let plan = RetentionPlan::make(&history, all.clone(), now());
        prop_assert_eq!(plan.planned().len(), all.len());
        for one in plan.planned() {
            if let Verdict::Keep(reasons) = &one.verdict {
                prop_assert!(!reasons.is_empty());
            }
        }
        let reversed = all.into_iter().rev().collect();
        prop_assert_eq!(&plan, &RetentionPlan::make(&history, reversed, now()));
    }

    /// F-9
    #[test]
    fn what_is_left_of_a_plan_stays_when_it_is_made_again(
        policy in any_policy(), all in any_candidates()
    ) {
        let history = history(policy.clone(), policy);
        let plan = RetentionPlan::make(&history, all, now());
        let again = RetentionPlan::make(&history, plan.kept().cloned().collect(), now());
        prop_assert_eq!(again.dropped().count(), 0);
    }

    /// F-9
    #[test]
    fn a_later_snapshot_of_the_same_day_pushes_out_nothing_but_by_keep_last(
        policy in any_policy(), all in any_candidates()
    ) {
        let fields = PolicyFields { keep_last: None, keep_hourly: None, ..policy.to_fields() };
        let policy = Policy::new(fields).unwrap();
        let day = |one: &Candidate| one.time.to_zoned(policy.zone().clone()).date();
        let counted: Vec<_> = all.iter().filter(|one| one.is_counted(now())).collect();
        let newest = counted.iter().max_by_key(|one| (one.time, one.id));
        let Some(newest) = newest else { return Ok(()) };
        let later = candidate(newest.time + SignedDuration::from_secs(60), 251);
        if day(newest) != day(&later) {
            return Ok(());
        }
        let history = PolicyHistory::new(policy.clone(), Vec::new());
        let before = RetentionPlan::make(&history, all.clone(), now());
        let more = all.iter().cloned().chain([later]).collect();
        let after = RetentionPlan::make(&history, more, now());
        let gone: Vec<_> = after.dropped().map(|(one, _)| one.id).collect();
        for one in before.planned() {
            let only_newest = one.verdict == Verdict::Keep(vec![KeepReason::Newest]);
            if !one.verdict.is_drop() && !only_newest {
                prop_assert!(!gone.contains(&one.candidate.id), "{:?}", one.verdict);
            }
        }
    }
}

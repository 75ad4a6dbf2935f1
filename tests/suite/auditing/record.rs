//! What the books say of every snapshot that ever was.

use std::collections::BTreeMap;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Digest, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{Outcome, SnapshotForgotten, SnapshotTaken};
use idswyft_vault::format::role::Role;
use idswyft_vault::ops::report::{RecordReport, RpoSource, SnapshotRow, SnapshotState};
use idswyft_vault::ops::verify::{self, Finding, Level, Request, Rpo, VerifyReport};
use idswyft_vault::ops::{policies, signers};
use idswyft_vault::policy::Policy;
use jiff::{SignedDuration, Timestamp};

use super::shown::{NIGHTS, SHOWN};
use crate::books::fixture::hold;
use crate::retention::bench::{ALL, Bench};

/// Verifies notes and ledgers so many hours after the clock of a vault.
fn audit(bench: &Bench, rpo: Rpo, hours: i64) -> VerifyReport {
    let now = bench.vault.clock.now() + SignedDuration::from_hours(hours);
    let request = Request { now: Some(now), rpo, ..Request::of(Level::Ledger) };
    let auditor = bench.vault.auditor(&bench.vault.stores[0]);
    verify::verify_as(&auditor, None, &request, bench.vault.events.as_ref()).unwrap()
}

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

fn row(record: &RecordReport, id: SnapshotId) -> &SnapshotRow {
    record.snapshots.iter().find(|row| row.id == id).unwrap()
}

/// Returns what a host says of a snapshot that it took.
pub fn taken(snapshot: SnapshotId) -> EventPayload {
    let note_sha256 = Digest::from_bytes([1; 32]);
    EventPayload::SnapshotTaken(SnapshotTaken { snapshot, note_sha256, stored_len: 9, new_len: 1 })
}

fn set_policy(bench: &Bench, text: &str) {
    let policy = Policy::new(toml::from_str(text).unwrap()).unwrap();
    let (stores, observer) = (&bench.vault.stores, bench.vault.events.as_ref());
    policies::set(&mut bench.desk(), &policy, stores, observer).unwrap();
}

/// L-1 L-2 L-6
pub fn every_snapshot_that_ever_was_has_a_row_with_all_that_became_of_it() {
    let report = SHOWN.verify(Arc::new(SHOWN.clean.clone()), Level::Stored, SHOWN.now);
    let record = &report.record;
    let ids: Vec<SnapshotId> = record.snapshots.iter().map(|row| row.id).collect();
    assert_eq!(ids, SHOWN.taken, "the oldest first");
    let mut states: BTreeMap<SnapshotState, usize> = BTreeMap::new();
    record.snapshots.iter().for_each(|row| *states.entry(row.state).or_default() += 1);
    let (standing, forgotten) =
        (states[&SnapshotState::Standing], states[&SnapshotState::Forgotten]);
    assert_eq!((standing, standing + forgotten), (121, NIGHTS));
    for row in &record.snapshots {
        let day = |days: i64| Some(row.time + SignedDuration::from_hours(24 * days));
        assert_eq!((row.floor, row.ceiling, row.policy), (day(10), day(150), Some(1)));
        assert!(row.stored_len >= row.new_len && row.new_len > Some(0), "{row:?}");
        assert_eq!(row.finding_count, 0);
        assert_eq!(row.locked_until.is_some(), row.state == SnapshotState::Standing, "{row:?}");
        assert_eq!(row.gone.is_some(), row.state == SnapshotState::Forgotten);
        let gone = row.gone.iter();
        let janitor = SHOWN.bench.janitor.signer_id();
        assert!(gone.clone().all(|gone| gone.signer == janitor && gone.by == "retain"));
        let rules = ["no rule keeps it", "ceiling 150d reached at "];
        let is_told = |rule: &str| rules.iter().any(|known| rule.starts_with(known));
        assert!(gone.clone().all(|gone| is_told(&gone.rule) && gone.time > row.time));
    }
    let held = row(record, SHOWN.held);
    assert_eq!(held.holds.len(), 1);
    assert_eq!((held.holds[0].until, held.holds[0].released), (None, None));
    assert_eq!((record.gaps.len(), record.policies.len()), (0, 1));
    let drills: Vec<SnapshotId> = record.drills.iter().map(|drill| drill.snapshot).collect();
    assert_eq!(drills, [SHOWN.taken[40], SHOWN.taken[150]]);
    assert!(record.drills.iter().all(|drill| drill.outcome == Outcome::Passed));
    assert_eq!(record.rpo.map(|rpo| (rpo.hours, rpo.source)), Some((26, RpoSource::Default)));
}

/// L-6 L-8
#[test]
fn a_night_that_is_missing_is_found_once_and_none_before_the_first_snapshot() {
    let empty = Bench::new("keep_last = 2", 0);
    let report = audit(&empty, Rpo::Derived, 24 * 30);
    assert_eq!(report.findings, []);
    let gap = "whether nights are missing: there is no snapshot to count from";
    assert!(report.not_covered.iter().any(|one| one == gap), "{:?}", report.not_covered);
    let bench = Bench::new("keep_last = 2", 1);
    assert_eq!(audit(&bench, Rpo::Derived, 26).findings, []);
    let found = audit(&bench, Rpo::Derived, 27);
    assert_eq!(codes(&found.findings), [Code::NightMissing]);
    assert_eq!(found.record.gaps[0].to, None);
    assert_eq!((found.record.gaps[0].hours, found.record.gaps[0].allowed_hours), (27, 26));
    bench.vault.clock.pass_hours(24);
    for _ in 0..4 {
        bench.night();
    }
    bench.apply(&ALL).unwrap();
    let found = audit(&bench, Rpo::Derived, 1);
    assert_eq!(codes(&found.findings), [Code::NightMissing], "forgotten ones were taken");
    let gap = &found.record.gaps[0];
    assert_eq!((gap.hours, gap.to.is_some()), (48, true));
    assert_eq!(audit(&bench, Rpo::Given { hours: 48 }, 1).findings, []);
    assert_eq!(audit(&bench, Rpo::Config { hours: 50 }, 1).findings, []);
    assert_eq!(audit(&bench, Rpo::Given { hours: 20 }, 1).record.gaps.len(), 4);
}

/// L-6
pub fn a_missing_night_among_two_hundred_is_found_between_and_at_the_end() {
    let after = |store: &crate::support::bucket::Bucket, now| {
        let report = SHOWN.verify(Arc::new(store.clone()), Level::Ledger, now);
        let objects = report.findings.iter().map(|one| (one.code, one.object.clone()));
        objects.collect::<Vec<_>>()
    };
    let expected = [(Code::NightMissing, format!("snapshots after {}", SHOWN.newest(0)))];
    let late = SHOWN.now + SignedDuration::from_hours(60);
    assert_eq!(after(&SHOWN.clean, late), expected);
    assert_eq!(after(&SHOWN.later, SHOWN.later_now), expected);
}

/// L-7
#[test]
fn a_vault_with_a_snapshot_a_month_misses_no_night() {
    let bench = Bench::new("every = 'month'", 1);
    let report = audit(&bench, Rpo::Config { hours: 26 }, 24 * 31);
    assert_eq!(report.findings, []);
    assert_eq!(report.record.rpo.map(|rpo| rpo.source), Some(RpoSource::Policy));
    assert_eq!(codes(&audit(&bench, Rpo::Derived, 24 * 33).findings), [Code::NightMissing]);
    // A policy that asks for more from now on asks for nothing of what was before it.
    bench.vault.clock.pass_hours(24 * 20);
    set_policy(&bench, "every = 'day'");
    bench.night();
    bench.night();
    assert_eq!(audit(&bench, Rpo::Derived, 1).findings, []);
    assert_eq!(codes(&audit(&bench, Rpo::Derived, 40).findings), [Code::NightMissing]);
}

/// L-9
#[test]
fn a_clock_that_was_wrong_for_a_night_makes_no_finding() {
    for wrong in [24 * 400, -24 * 50] {
        let bench = Bench::new("", 3);
        bench.vault.clock.pass_hours(wrong);
        bench.night();
        bench.vault.clock.pass_hours(-wrong);
        bench.night();
        bench.night();
        let report = audit(&bench, Rpo::Derived, 1);
        let missing = |one: &&Finding| one.code == Code::NightMissing;
        assert_eq!(report.findings.iter().find(missing), None, "{wrong}");
        let told = report.not_covered.iter().any(|gap| gap.contains("the clock of their host"));
        assert!(told, "{wrong}: {:?}", report.not_covered);
        // Two nights are not made up for by one.
        bench.vault.clock.pass_hours(24 * 3);
        bench.night();
        let report = audit(&bench, Rpo::Derived, 1);
        assert_eq!(report.findings.iter().filter(missing).count(), 1, "{wrong}");
    }
}

/// L-10
#[test]
fn where_the_log_of_a_host_breaks_off_no_night_is_missed_and_the_report_says_so() {
    let bench = Bench::new("keep_last = 1", 5);
    bench.apply(&ALL).unwrap();
    let host = bench.vault.writer().key().signer_id();
    bench.vault.stores[0].delete(&ObjectKey::LedgerEvent(host, 2)).unwrap();
    let report = audit(&bench, Rpo::Derived, 1);
    assert_eq!(codes(&report.findings), [Code::LedgerBroken], "{:#?}", report.findings);
    let told = |words: &str| report.not_covered.iter().any(|gap| gap.contains(words));
    assert!(told("whether nights are missing since"), "{:?}", report.not_covered);
    assert!(told("breaks off"), "{:?}", report.not_covered);
}

/// L-4 L-5
#[test]
fn what_stands_past_its_ceiling_is_found_after_a_grace_and_not_while_something_keeps_it() {
    let bench = Bench::new("ceiling = '5d'", 1);
    let old = bench.plan().planned()[0].candidate.id;
    let over = |hours| {
        let rpo = Rpo::Given { hours: 24 * 100 };
        let short = audit(&bench, Rpo::Given { hours: 24 }, hours).findings;
        assert!(codes(&audit(&bench, rpo, hours).findings).is_empty(), "a grace of 101 days");
        short.into_iter().filter(|one| one.code == Code::OverAge).collect::<Vec<_>>()
    };
    assert_eq!(over(24 * 7), [], "two days of grace");
    let found = over(24 * 7 + 1);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].object, ObjectKey::Note(old).to_string());
    let ceiling = old.time() + SignedDuration::from_hours(24 * 5);
    assert!(found[0].detail.contains(&ceiling.to_string()), "{found:?}");
    bench.say(hold(old));
    assert_eq!(over(24 * 90), []);
}

/// L-5
#[test]
fn a_longer_ceiling_forgives_and_a_shorter_one_counts_from_its_day() {
    let bench = Bench::new("ceiling = '5d'", 1);
    bench.vault.clock.pass_hours(24 * 30);
    let over = |hours| {
        let found = codes(&audit(&bench, Rpo::Given { hours: 24 }, hours).findings);
        found.contains(&Code::OverAge)
    };
    assert!(over(0));
    set_policy(&bench, "ceiling = '1y'");
    assert!(!over(24 * 30));
    bench.vault.clock.pass_hours(24);
    set_policy(&bench, "ceiling = '6d'");
    assert!(!over(48));
    assert!(over(49));
    let policies = audit(&bench, Rpo::Derived, 1).record.policies;
    assert_eq!(policies.len(), 3);
}

/// L-3 F-31
#[test]
fn what_a_retired_janitor_dates_back_lets_nothing_go_in_any_reader() {
    let bench = Bench::new("keep_last = 9", 3);
    let old = bench.plan().planned()[0].candidate.id;
    let early: Timestamp = bench.plan().now();
    bench.vault.clock.pass_hours(1);
    let (observer, janitor) = (bench.vault.events.as_ref(), bench.janitor.signer_id());
    signers::retire(&mut bench.desk(), janitor, observer).unwrap();
    let (rule, by) = ("no rule keeps it".to_owned(), "retain".to_owned());
    let said = EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot: old, rule, by });
    bench.forge(&bench.vault.stores, early, said);
    let report = audit(&bench, Rpo::Derived, 1);
    assert_eq!(codes(&report.findings), [Code::RecordBackdated], "{:#?}", report.findings);
    assert_eq!(row(&report.record, old).state, SnapshotState::Standing);
    let auditor = bench.vault.auditor(&bench.vault.stores[0]);
    let space = idswyft_vault::ops::space::of_store(&auditor, observer).unwrap();
    assert_eq!(space.snapshots.len(), 3);
    let root = bench.vault.report.root_key.parse().unwrap();
    let signed = idswyft_vault::vault::signed::Signed::gather(&bench.vault.stores, &root).unwrap();
    assert_eq!(signed.snapshots().count(), 3);
    // A note that goes by it is missed.
    bench.vault.stores[0].delete(&ObjectKey::Note(old)).unwrap();
    let report = audit(&bench, Rpo::Derived, 1);
    assert_eq!(codes(&report.findings), [Code::ObjectMissing, Code::RecordBackdated]);
    assert_eq!(row(&report.record, old).state, SnapshotState::Missing);
    assert_eq!(row(&report.record, old).finding_count, 1);
}

/// L-6
#[test]
fn a_night_that_another_host_took_is_not_missing_also_when_it_is_forgotten() {
    let bench = Bench::new("keep_last = 9", 2);
    let (vault, observer) = (bench.vault.report.vault, bench.vault.events.as_ref());
    let other = SigningKey::from_seed(vault, KeyUse::Signer, &[9; 32]);
    let (public, events) = (other.verification_key(), signers::events_for(Role::Writer, &[]));
    signers::add(&mut bench.desk(), public, Role::Writer, events.unwrap(), observer).unwrap();
    bench.vault.clock.pass_hours(24);
    let now = bench.vault.clock.now();
    let snapshot = SnapshotId::new(now, [1; 4]);
    bench.night();
    assert_eq!(codes(&audit(&bench, Rpo::Derived, 1).findings), [Code::NightMissing]);
    let stores = &bench.vault.stores;
    bench.forge_as(&other, stores, now, vec![taken(snapshot)]);
    let (rule, by) = ("no rule keeps it".to_owned(), "retain".to_owned());
    let said = EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by });
    bench.forge(stores, bench.vault.clock.now(), said);
    let report = audit(&bench, Rpo::Derived, 1);
    assert_eq!(report.findings, []);
    let row = row(&report.record, snapshot);
    assert_eq!((row.state, row.signer), (SnapshotState::Forgotten, Some(other.signer_id())));
    assert_eq!((row.stored_len, row.new_len), (Some(9), Some(1)));
}

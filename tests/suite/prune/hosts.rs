//! Hosts beside a prune: those that are never told, those that run, those that were off for long.

use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Code, Observer};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::snapshot::{self, SnapshotReport, VaultJob};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::Store;
use idswyft_vault::vault::Writer;
use idswyft_vault::vault::state::StateDir;

use super::bench::{lasting, named_by, own_night, packs, prune, renew};
use crate::retention::bench::Bench;
use crate::support::vault::noise;
use crate::support::{Call, FaultyStore, Mode};

/// Takes a snapshot a day after the last one, into these stores.
pub fn night_into(bench: &Bench, stores: Vec<Arc<dyn Store>>) -> Option<SnapshotReport> {
    bench.vault.clock.pass_hours(24);
    let state = StateDir::new(&bench.vault.path("state"), "nightly");
    let writer = Writer::open(state, stores, bench.vault.outside()).unwrap();
    let recipients = DataRecipients::parse(&[&bench.vault.recipient]).unwrap();
    let job = VaultJob { writer, recipients };
    let observer: Arc<dyn Observer> = bench.vault.events.clone();
    let sources = bench.vault.sources();
    let report = snapshot::run(vec![job], &sources, &[], &NoPassphrase, &observer);
    report.unwrap().taken.pop()
}

/// Takes a snapshot as a host does that may only put.
fn blind_night(bench: &Bench) -> SnapshotReport {
    let blind = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        Arc::new(FaultyStore::new(store.clone()).put_only())
    };
    night_into(bench, bench.vault.stores.iter().map(blind).collect()).unwrap()
}

/// P-4 P-6
#[test]
fn content_that_recurs_after_a_janitors_prune_is_stored_again_by_a_host_that_was_never_told() {
    let bench = lasting("keep_last = 1");
    renew(&bench, 1);
    let first = blind_night(&bench);
    let content = named_by(&bench, first.snapshot);
    renew(&bench, 2);
    for _ in 0..46 {
        blind_night(&bench);
    }
    bench.apply(&[Acceptance::Many]).unwrap();
    prune(&bench);
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_disjoint(&content)));
    // The host's manifest still has the packs, and where each chunk of it was.
    assert!(bench.vault.writer().manifest().packs().unwrap().len() > 2);
    renew(&bench, 1);
    let again = blind_night(&bench);
    assert!(again.new_len > 90_000, "it is stored again: {again:?}");
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    let target = bench.vault.path("restored");
    assert!(bench.vault.try_restore(again.snapshot, &target).unwrap().losses.is_empty());
}

/// P-4 P-6
#[test]
fn a_janitor_that_forgets_and_prunes_all_the_time_takes_nothing_that_a_later_night_leans_on() {
    let bench = lasting("keep_last = 2");
    for night in 0..60_u64 {
        // Content comes back after 7, 29 and 22 nights.
        let seed = match night {
            7 | 36 | 58 => 0,
            _ => night,
        };
        renew(&bench, seed);
        blind_night(&bench);
        if night % 5 == 4 {
            bench.apply(&[Acceptance::Many]).unwrap();
            prune(&bench);
        }
        if night % 20 == 19 {
            assert_eq!(bench.vault.verify(Level::Contents).findings, [], "night {night}");
        }
    }
    let left = packs(&bench.vault.stores[0]).len();
    assert!(left < 110, "two for each night, and of {left} some are gone");
}

/// P-4 P-6
#[test]
fn a_janitor_that_works_at_every_put_of_a_running_snapshot_takes_nothing_from_it() {
    let bench = Arc::new(lasting("keep_last = 1"));
    let past = named_by(&bench, own_night(&bench, 1));
    bench.vault.clock.pass_hours(24 * 30);
    own_night(&bench, 2);
    bench.vault.clock.pass_hours(24 * 20);
    own_night(&bench, 3);
    // What comes back was named 51 days ago, 21 days ago, and last night.
    for seed in 1..4 {
        bench.vault.write(&format!("{seed}.jpg"), &noise(seed, 90_000));
    }
    let (beside, rounds) = (Arc::clone(&bench), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&rounds);
    let works = move |call: &Call| {
        if matches!(call, Call::PutNew(_)) {
            let mut rounds = counted.lock().unwrap();
            beside.apply(&[Acceptance::Clock, Acceptance::Many]).unwrap();
            prune(&beside);
            *rounds += 1;
        }
        false
    };
    let primary = FaultyStore::new(bench.vault.stores[0].clone());
    let primary: Arc<dyn Store> = Arc::new(primary.fail_calls(Mode::NotDone, works));
    let stores = vec![primary, bench.vault.stores[1].clone()];
    let taken = night_into(&bench, stores).unwrap();
    assert!(*rounds.lock().unwrap() > 5);
    assert!(packs(&bench.vault.stores[0]).is_disjoint(&past), "something was deleted meanwhile");
    assert!((90_000..200_000).contains(&taken.new_len), "it leaned on what it may: {taken:?}");
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-19
#[test]
fn a_host_whose_clock_was_far_ahead_leans_on_nothing_that_it_named_then() {
    let bench = lasting("keep_last = 9");
    bench.vault.clock.pass_hours(24 * 20);
    own_night(&bench, 1);
    bench.vault.clock.pass_hours(-24 * 20);
    let next = night_into(&bench, bench.vault.stores.clone()).unwrap();
    assert!(next.new_len > 90_000, "{next:?}");
    let last = night_into(&bench, bench.vault.stores.clone()).unwrap();
    assert!(last.new_len < 90_000, "it leans as ever: {last:?}");
}

/// P-18
#[test]
fn a_host_that_delivers_a_snapshot_too_late_leans_on_nothing_that_it_made_before() {
    for (days, leans) in [(13, true), (15, false)] {
        let bench = Bench::new("keep_last = 9", 0);
        own_night(&bench, 1);
        // Committed, and then the host is off for long before a store gets its list.
        let dies = |call: &Call| matches!(call, Call::PutNew(ObjectKey::List(_)));
        let primary = FaultyStore::new(bench.vault.stores[0].clone());
        let primary: Arc<dyn Store> = Arc::new(primary.fail_calls(Mode::NotDone, dies));
        let stores = vec![primary, bench.vault.stores[1].clone()];
        assert!(night_into(&bench, stores).is_none(), "the snapshot is committed, not delivered");
        bench.vault.clock.pass_hours(24 * (days - 1));
        bench.vault.events.all();
        let next = night_into(&bench, bench.vault.stores.clone()).unwrap();
        let warned = bench.vault.events.warnings().contains(&Code::DeliveryLate);
        assert_eq!((warned, next.new_len < 90_000), (!leans, leans), "{days} days: {next:?}");
        assert_eq!(bench.vault.verify(Level::Contents).findings, []);
        // From then on it leans as ever.
        let last = night_into(&bench, bench.vault.stores.clone()).unwrap();
        assert!(last.new_len < 90_000, "{days} days: {last:?}");
    }
}

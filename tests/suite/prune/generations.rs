//! What is of a generation that is over waits for nobody, and nothing else is taken for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::generations;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::Acceptance;
use idswyft_vault::store::{Content, Store};
use idswyft_vault::vault::Writer;
use idswyft_vault::vault::state::StateDir;

use super::bench::{
    forge_list, lasting, lists, named_by, names, orphan, own_night, packs, plan, prune, renew,
};
use super::hosts::night_into;
use crate::retention::bench::Bench;
use crate::support::{Call, FaultyStore, Mode, sha256};

/// Opens a new generation, by way of these stores.
fn roll_in(bench: &Bench, stores: &[Arc<dyn Store>]) {
    let state = StateDir::new(&bench.vault.path("state"), "nightly");
    let mut writer = Writer::open(state, stores.to_vec(), bench.vault.outside()).unwrap();
    let recipients = DataRecipients::parse(&[&bench.vault.recipient]).unwrap();
    let observer = bench.vault.events.as_ref();
    generations::roll(&mut writer, &recipients, &NoPassphrase, observer).unwrap();
}

/// Takes a snapshot, and closes its generation a day later, by way of these stores; returns what
/// the snapshot named.
fn rolled(bench: &Bench, stores: &[Arc<dyn Store>]) -> BTreeSet<ObjectKey> {
    let content = named_by(bench, own_night(bench, 1));
    bench.vault.clock.pass_hours(25);
    roll_in(bench, stores);
    content
}

/// P-20 P-21
#[test]
fn what_is_of_a_generation_that_every_store_says_is_closed_waits_for_nobody() {
    let bench = lasting("keep_last = 1");
    let content = rolled(&bench, &bench.vault.stores);
    let kept = own_night(&bench, 2);
    assert!(!plan(&bench).goes(), "while its snapshot stands it is needed");
    bench.apply(&[Acceptance::Many]).unwrap();
    prune(&bench);
    for store in &bench.vault.stores {
        assert_eq!(packs(store), named_by(&bench, kept));
        assert_eq!(lists(store).len(), 2, "its list waits as ever, which costs nothing");
    }
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
    // What comes back is stored again, and nobody leaned on what is gone.
    renew(&bench, 1);
    let again = bench.vault.snapshot();
    assert!(again.new_len > 90_000 && named_by(&bench, again.snapshot).is_disjoint(&content));
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-20 P-21
#[test]
fn while_one_store_does_not_say_that_it_is_closed_nothing_of_it_goes_in_any() {
    let bench = lasting("keep_last = 1");
    let down = FaultyStore::new(bench.vault.stores[1].clone());
    let down: Arc<dyn Store> =
        Arc::new(down.fail_calls(Mode::NotDone, |call| matches!(call, Call::PutNew(_))));
    let lagging = [bench.vault.stores[0].clone(), down];
    let content = rolled(&bench, &lagging);
    bench.vault.clock.pass_hours(24);
    // The next night of the host leaves the mirror behind, too.
    night_into(&bench, lagging.to_vec()).unwrap();
    renew(&bench, 2);
    night_into(&bench, lagging.to_vec()).unwrap();
    bench.apply(&[Acceptance::Many]).unwrap();
    assert!(!plan(&bench).goes());
    bench.night();
    bench.apply(&[Acceptance::Many]).unwrap();
    prune(&bench);
    assert!(bench.vault.stores.iter().all(|store| packs(store).is_disjoint(&content)));
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-21
#[test]
fn what_a_run_left_in_a_closed_generation_goes_with_it_and_what_the_next_left_waits() {
    let bench = lasting("keep_last = 9");
    let put = |seed| {
        let (key, bytes) = orphan(seed);
        for store in &bench.vault.stores {
            store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
        }
        key
    };
    let old = put(1);
    bench.night();
    bench.vault.clock.pass_hours(25);
    let late = put(2);
    bench.vault.clock.pass_hours(23);
    roll_in(&bench, &bench.vault.stores);
    bench.night();
    let new = put(3);
    bench.night();
    prune(&bench);
    for store in &bench.vault.stores {
        let found = packs(store);
        let told = [old, late, new].map(|key| found.contains(&key));
        assert_eq!(told, [false, true, true], "clocks may be a day apart");
    }
    assert_eq!(bench.vault.verify(Level::Contents).snapshot_count, 3);
}

/// P-22
#[test]
fn no_list_that_somebody_forged_makes_a_pack_of_the_open_generation_go() {
    let bench = lasting("keep_last = 1");
    let gone = own_night(&bench, 1);
    bench.vault.clock.pass_hours(25);
    roll_in(&bench, &bench.vault.stores);
    own_night(&bench, 2);
    bench.apply(&[Acceptance::Many]).unwrap();
    // What a run made that is about to name it, in the list of what is forgotten.
    let key = forge_list(&bench, gone);
    bench.vault.clock.pass_hours(48);
    prune(&bench);
    assert!(bench.vault.stores.iter().all(|store| packs(store).contains(&key)));
}

/// P-21
#[test]
fn an_opening_that_is_put_again_later_makes_nothing_older_than_it() {
    let bench = lasting("keep_last = 1");
    bench.night();
    bench.vault.clock.pass_hours(25);
    roll_in(&bench, &bench.vault.stores);
    let (key, bytes) = orphan(9);
    for store in &bench.vault.stores {
        store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    }
    bench.vault.clock.pass_hours(24 * 5);
    bench.night();
    for store in &bench.vault.stores {
        put_ledger_again(store);
    }
    prune(&bench);
    assert!(bench.vault.stores.iter().all(|store| packs(store).contains(&key)));
}

/// Deletes every event and puts the same bytes again, so that all of it is of today.
fn put_ledger_again(store: &Arc<dyn Store>) {
    for key in names(store, Folder::Ledger) {
        let bytes = store.get(&key, 1 << 20).unwrap();
        store.delete(&key).unwrap();
        store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    }
}

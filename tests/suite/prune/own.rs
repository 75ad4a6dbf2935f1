//! A host that prunes its own vault, under its own lock.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::Clock;
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::{EventKind, EventName};
use idswyft_vault::format::vault_note::VaultNote;
use idswyft_vault::ops;
use idswyft_vault::ops::prune::{self, OwnHost, PruneRequest, Pruned};
use idswyft_vault::ops::retain::{self, Scribe, Wish};
use idswyft_vault::ops::thaw::PriceTable;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::{Content, Store};
use idswyft_vault::vault::Writer;
use idswyft_vault::vault::state::StateDir;

use super::bench::{
    LEAN_HOURS, SLEPT, forge_list, lasting, lists, named_by, orphan, own_night, packs, plan, renew,
    said_deleted,
};
use crate::retention::bench::{Bench, copy_of};
use crate::support::{FaultyStore, Mode, Then, sha256};

/// Makes a vault whose host may forget and prune.
fn trusted() -> Bench {
    let bench = lasting("keep_last = 1");
    let host = bench.vault.writer().key().signer_id();
    let publish = |note: &mut VaultNote| {
        let own = note.signers.iter_mut().find(|one| one.id == host).unwrap();
        let kinds = [EventKind::SnapshotForgotten, EventKind::PacksDeleted];
        own.events.extend(kinds.map(EventName::Known));
    };
    bench.desk().operator.publish(&[], publish).unwrap();
    bench.desk().settle(bench.vault.events.as_ref()).unwrap();
    bench
}

/// Opens the host over these stores, as a command does that holds its lock.
fn open_host(bench: &Bench, stores: &[Arc<dyn Store>]) -> Result<Writer, ops::Error> {
    let observer = bench.vault.events.as_ref();
    let state = StateDir::new(&bench.vault.path("state"), "nightly");
    let mut writer = Writer::open(state, stores.to_vec(), bench.vault.outside())?;
    writer.adopt_notes(observer)?;
    writer.deliver(observer)?;
    Ok(writer)
}

fn forget(bench: &Bench) {
    let (stores, observer) = (&bench.vault.stores, bench.vault.events.as_ref());
    let mut scribe = Scribe::Host(Box::new(open_host(bench, stores).unwrap()));
    let survey = bench.survey(stores).unwrap();
    let dropped = retain::plan(&survey, Wish::Policy, bench.vault.clock.now()).unwrap();
    let (wish, again) = (Wish::Policy, || bench.survey(stores));
    retain::apply(&survey, &dropped, wish, &mut scribe, &[], &again, observer).unwrap();
}

fn prune_itself(bench: &Bench, stores: &[Arc<dyn Store>]) -> Result<Pruned, ops::Error> {
    let (observer, writer) = (bench.vault.events.as_ref(), open_host(bench, stores)?);
    let (survey, prices) = (bench.survey(stores)?, PriceTable::default());
    let own = OwnHost::of(&writer)?;
    let request = PruneRequest {
        survey: &survey,
        own: Some(&own),
        prices: &prices,
        is_early: false,
        scratch: bench.vault.dir.path(),
        now: bench.vault.clock.now(),
    };
    let plan = prune::plan(&request, observer)?;
    let mut scribe = Scribe::Host(Box::new(writer));
    prune::apply(&request, &plan, &mut scribe, &SLEPT, observer)
}

/// Returns the packs that the host's next snapshot may lean on.
fn leans_on(bench: &Bench) -> BTreeSet<ObjectKey> {
    let packs = bench.vault.writer().usable_packs().unwrap();
    let key = |id| [ObjectKey::Pack(id), ObjectKey::Tree(id)];
    packs.iter().flat_map(|pack| key(pack.id)).collect()
}

/// P-17
#[test]
fn a_host_that_prunes_itself_forgets_what_goes_and_waits_for_nobody() {
    let bench = trusted();
    let content = named_by(&bench, own_night(&bench, 1));
    let kept = own_night(&bench, 2);
    forget(&bench);
    assert!(!plan(&bench).goes(), "a janitor would have to wait");
    assert!(!leans_on(&bench).is_disjoint(&content));
    prune_itself(&bench, &bench.vault.stores).unwrap();
    for store in &bench.vault.stores {
        assert_eq!(packs(store), named_by(&bench, kept));
        assert_eq!(lists(store), [kept].into());
    }
    assert!(leans_on(&bench).is_disjoint(&content), "the manifest forgot it");
    // What comes back is stored again, though it was named two nights ago.
    renew(&bench, 1);
    let again = bench.vault.snapshot();
    assert!(again.new_len > 90_000, "{again:?}");
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-11 P-17
#[test]
fn a_janitor_prunes_beside_a_host_that_let_its_own_lists_go_at_once() {
    let bench = trusted();
    let (key, bytes) = orphan(9);
    bench.vault.stores[0].put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    bench.vault.clock.pass_hours(24 * 3);
    own_night(&bench, 1);
    own_night(&bench, 2);
    forget(&bench);
    prune_itself(&bench, &bench.vault.stores).unwrap();
    bench.vault.clock.pass_hours(24 * 42);
    // So young a snapshot would keep what it named, and nobody knows that any more.
    super::bench::prune(&bench);
    assert!(!packs(&bench.vault.stores[0]).contains(&key));
}

/// P-17
#[test]
fn a_host_that_prunes_itself_still_waits_for_what_it_did_not_name() {
    let bench = trusted();
    bench.night();
    let (key, bytes) = orphan(9);
    bench.vault.stores[0].put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    prune_itself(&bench, &bench.vault.stores).unwrap();
    assert!(packs(&bench.vault.stores[0]).contains(&key));
    bench.vault.clock.pass_hours(LEAN_HOURS + 1);
    prune_itself(&bench, &bench.vault.stores).unwrap();
    assert!(!packs(&bench.vault.stores[0]).contains(&key));
}

/// P-17
#[test]
fn what_a_host_cannot_tell_to_be_its_own_keeps_the_list_that_names_it() {
    let bench = trusted();
    let old = own_night(&bench, 1);
    let content = named_by(&bench, old);
    let mut writer = open_host(&bench, &bench.vault.stores).unwrap();
    let recipients = DataRecipients::parse(&[&bench.vault.recipient]).unwrap();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    drop(writer);
    own_night(&bench, 2);
    forget(&bench);
    prune_itself(&bench, &bench.vault.stores).unwrap();
    for store in &bench.vault.stores {
        assert!(packs(store).is_superset(&content) && lists(store).contains(&old));
    }
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-17
#[test]
fn no_list_that_somebody_forged_makes_a_host_delete_what_it_did_not_make() {
    let bench = trusted();
    let gone = own_night(&bench, 1);
    own_night(&bench, 2);
    forget(&bench);
    let key = forge_list(&bench, gone);
    prune_itself(&bench, &bench.vault.stores).unwrap();
    assert!(bench.vault.stores.iter().all(|store| packs(store).contains(&key)));
}

/// P-14 P-15 P-17
#[test]
fn a_host_that_dies_at_any_call_of_its_own_prune_ends_it_and_leans_on_nothing_that_is_gone() {
    let bench = trusted();
    own_night(&bench, 1);
    let needed = named_by(&bench, own_night(&bench, 2));
    forget(&bench);
    let (state, saved) = (bench.vault.path("state"), bench.vault.path("saved"));
    copy_tree(&state, &saved);
    let mut swept = 0;
    for (store, mode) in [(0, Mode::NotDone), (1, Mode::DoneButReported)] {
        let dies = |nth: &u64| {
            std::fs::remove_dir_all(&state).unwrap();
            copy_tree(&saved, &state);
            dies_at(&bench, store, *nth, mode, &needed)
        };
        swept += (0..).find(|nth| !dies(nth)).unwrap();
    }
    assert!(swept > 30, "the sweep ends after {swept} calls");
}

/// Prunes with a store that dies at its `nth` call, then again; returns whether it did.
fn dies_at(
    bench: &Bench,
    dying: usize,
    nth: u64,
    mode: Mode,
    needed: &BTreeSet<ObjectKey>,
) -> bool {
    let (place, now) =
        (format!("{mode:?} at call {nth} of store {dying}"), bench.vault.clock.now());
    let sound: Vec<Arc<dyn Store>> =
        bench.vault.stores.iter().map(|store| copy_of(store, now)).collect();
    let before: Vec<BTreeSet<ObjectKey>> = sound.iter().map(packs).collect();
    let faulty = FaultyStore::new(sound[dying].clone()).fail_nth(nth, mode, Then::IsDead);
    let faulty = Arc::new(faulty);
    let mut stores = sound.clone();
    stores[dying] = faulty.clone();
    let first = prune_itself(bench, &stores);
    let died = faulty.fault_count() > 0;
    assert!(first.is_ok() || died, "{place}: {first:?}");
    let leant = leans_on(bench);
    for (store, before) in sound.iter().zip(&before) {
        let found = packs(store);
        assert!(found.is_superset(needed), "{place}: nothing that is needed goes");
        for key in before.difference(&found) {
            assert!(!leant.contains(key), "{place}: the host leans on {key}");
            let is_said = |other| said_deleted(bench, other, store.name()).contains(key);
            assert!(sound.iter().all(is_said), "{place}: {key}");
        }
    }
    prune_itself(bench, &sound).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(sound.iter().all(|store| packs(store) == *needed), "{place}");
    died
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let place = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(place).unwrap();
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

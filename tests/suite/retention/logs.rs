//! A log that is not as its signer left it.

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::SnapshotForgotten;
use idswyft_vault::ops::desk::Desk;
use idswyft_vault::store::Content;
use idswyft_vault::vault::signed::Signed;

use super::bench::{ALL, Bench};
use crate::books::fixture::hold;
use crate::support::sha256;

/// F-21
#[test]
fn a_janitor_whose_log_was_rolled_back_appends_nothing() {
    let bench = Bench::new("keep_last = 1", 2);
    bench.apply(&[]).unwrap();
    let signer = bench.janitor.signer_id();
    for store in &bench.vault.stores {
        store.delete(&ObjectKey::LedgerCheckpoint(signer, 0)).unwrap();
        store.delete(&ObjectKey::LedgerEvent(signer, 0)).unwrap();
    }
    bench.night();
    let error = bench.apply(&ALL).unwrap_err();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains("rolled back"), "{error}");
}

/// F-21
#[test]
fn an_operator_whose_log_was_rolled_back_signs_nothing() {
    let bench = Bench::new("keep_last = 1", 2);
    let held = bench.plan().planned()[0].candidate.id;
    bench.say(hold(held));
    let desk = bench.desk();
    let (signer, last) = (desk.operator.signer(), desk.operator.head().size - 1);
    drop(desk);
    for store in &bench.vault.stores {
        store.delete(&ObjectKey::LedgerCheckpoint(signer, last)).unwrap();
        store.delete(&ObjectKey::LedgerEvent(signer, last)).unwrap();
    }
    let (vault, kit) = (&bench.vault, bench.vault.path("kit"));
    let (stores, observer) = (vault.stores.clone(), vault.events.as_ref());
    let (identities, outside) = (vault.identities(), vault.outside());
    let opened = Desk::open("nightly", &kit, identities, stores, None, outside, observer);
    let error = opened.err().unwrap();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains("not the log that this kit left"), "{error}");
}

/// F-21
#[test]
fn a_checkpoint_that_is_planted_behind_the_log_in_any_store_stops_it() {
    for planted in 0..2 {
        let bench = Bench::new("keep_last = 1", 2);
        let key = ObjectKey::LedgerCheckpoint(bench.janitor.signer_id(), 0);
        bench.vault.stores[planted].put_new(&key, Content::Bytes(b"x"), &sha256(b"x")).unwrap();
        let error = bench.apply(&ALL).unwrap_err();
        assert_eq!(error.code(), Code::LedgerBroken, "{planted}");
        let event = ObjectKey::LedgerEvent(bench.janitor.signer_id(), 0);
        assert!(bench.vault.stores.iter().all(|store| store.stat(&event).unwrap().is_none()));
    }
}

#[test]
fn a_store_that_lost_the_janitors_log_gets_it_back_from_the_other() {
    let bench = Bench::new("keep_last = 1", 2);
    bench.apply(&[]).unwrap();
    let (signer, mirror) = (bench.janitor.signer_id(), &bench.vault.stores[1]);
    mirror.delete(&ObjectKey::LedgerCheckpoint(signer, 0)).unwrap();
    mirror.delete(&ObjectKey::LedgerEvent(signer, 0)).unwrap();
    bench.night();
    bench.apply(&[]).unwrap();
    for store in &bench.vault.stores {
        assert_eq!(bench.said_forgotten(store).len(), 2);
    }
}

/// F-19
#[test]
fn what_is_forgotten_and_kept_all_the_same_is_repaired_and_copied_like_any_other() {
    let bench = Bench::new("keep_last = 1\nfloor = '2d'", 4);
    let forgets = |snapshot| {
        let (rule, by) = ("none".to_owned(), "me".to_owned());
        bench.say(EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by }));
    };
    let all: Vec<_> = bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    bench.say(hold(all[0]));
    // The second has passed its floor, the last has not.
    [all[0], all[1], all[3]].into_iter().for_each(forgets);
    let root = bench.vault.report.root_key.parse().unwrap();
    let signed = Signed::gather(&bench.vault.stores, &root).unwrap();
    let stand: Vec<_> = signed.snapshots().map(|one| one.note.snapshot).collect();
    assert_eq!(stand, [all[0], all[2], all[3]]);
}

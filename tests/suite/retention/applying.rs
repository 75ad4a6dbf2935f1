//! What is recorded, what is deleted, and what is not.

use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Clock, Code, Coded, Digest, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{
    Drilled, DrilledResult, HoldPlaced, HoldReleased, Outcome, SnapshotForgotten,
};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::ops::desk::Desk;
use idswyft_vault::ops::recorder::KeptFile;
use idswyft_vault::ops::retain::{self, Scribe, Wish};
use idswyft_vault::ops::signers;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::{Acceptance, Verdict};
use idswyft_vault::store::{Content, Store};
use idswyft_vault::vault::ledger;

use super::bench::{ALL, Bench, there};
use crate::support::vault::TestVault;
use crate::support::{Call, FaultyStore, Mode, sha256};

fn hold(snapshot: SnapshotId) -> EventPayload {
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    EventPayload::HoldPlaced(HoldPlaced { snapshot, until: None, reason_digest, reason_sealed })
}

fn dropped(bench: &Bench) -> Vec<SnapshotId> {
    bench.plan().dropped().map(|(one, _)| one.id).collect()
}

/// Lets a store tell what is done to it.
fn watched(store: &Arc<dyn Store>, calls: &Arc<Mutex<Vec<(String, Call)>>>) -> Arc<dyn Store> {
    let (name, calls) = (store.name().to_owned(), calls.clone());
    let watch = move |call: &Call| {
        if matches!(call, Call::PutNew(_) | Call::Delete(_)) {
            calls.lock().unwrap().push((name.clone(), *call));
        }
        false
    };
    Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::NotDone, watch))
}

/// F-16 F-17
#[test]
fn what_goes_is_recorded_in_every_store_and_then_deleted_note_first() {
    let bench = Bench::new("keep_last = 3", 5);
    let gone = dropped(&bench);
    assert_eq!(gone.len(), 2);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let stores: Vec<_> = bench.vault.stores.iter().map(|store| watched(store, &calls)).collect();
    let applied = bench.apply_in(&stores, Wish::Policy, &[]).unwrap();
    assert_eq!((&applied.forgotten, applied.waiting.len()), (&gone, 0));
    let calls = calls.lock().unwrap();
    let first = calls.iter().position(|(_, call)| matches!(call, Call::Delete(_))).unwrap();
    assert!(calls[first..].iter().all(|(_, call)| matches!(call, Call::Delete(_))));
    let put: Vec<&str> = calls[..first].iter().map(|(store, _)| store.as_str()).collect();
    // An event and a checkpoint for each of the two, in each of two stores.
    assert_eq!(put.len(), 8);
    for store in &bench.vault.stores {
        assert_eq!(bench.said_forgotten(store), gone);
        let deleted = calls.iter().filter_map(|(name, call)| match call {
            Call::Delete(key) if name == store.name() => Some(*key),
            _ => None,
        });
        let expected = gone.iter().flat_map(|id| [ObjectKey::Note(*id), ObjectKey::Body(*id)]);
        assert!(deleted.eq(expected));
        assert!(there(store).iter().all(|ids| ids.len() == 3));
    }
    assert_eq!(dropped(&bench), [], "nothing is left to do");
    assert!(bench.vault.verify(Level::Contents).findings.is_empty());
    let survey = bench.survey(&bench.vault.stores).unwrap();
    assert_eq!(retain::leftovers(&survey, bench.vault.clock.now()).unwrap(), []);
}

/// F-16
#[test]
fn while_one_store_does_not_take_the_event_nothing_is_deleted_in_any() {
    let bench = Bench::new("keep_last = 1", 2);
    let gone = dropped(&bench);
    let refuses = |call: &Call| matches!(call, Call::PutNew(ObjectKey::LedgerCheckpoint(..)));
    let mirror = FaultyStore::new(bench.vault.stores[1].clone());
    let mirror: Arc<dyn Store> = Arc::new(mirror.fail_calls(Mode::NotDone, refuses));
    let stores = [bench.vault.stores[0].clone(), mirror];
    let error = bench.apply_in(&stores, Wish::Policy, &[]).unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
    for store in &bench.vault.stores {
        assert!(there(store).iter().all(|ids| ids.len() == 2));
    }
    assert_eq!(bench.said_forgotten(&bench.vault.stores[0]), gone);
    let applied = bench.apply(&[]).unwrap();
    assert_eq!(applied.forgotten, [], "it was recorded before");
    for store in &bench.vault.stores {
        assert_eq!(bench.said_forgotten(store), gone);
        assert!(there(store).iter().all(|ids| ids.len() == 1));
    }
}

/// F-18
#[test]
fn a_note_that_a_late_host_delivers_after_it_was_forgotten_goes_again() {
    let bench = Bench::new("keep_last = 1", 2);
    let gone = dropped(&bench)[0];
    let mirror = &bench.vault.stores[1];
    let keys = [ObjectKey::Body(gone), ObjectKey::Note(gone)];
    let objects = keys.map(|key| (key, mirror.get(&key, 1_000_000).unwrap()));
    bench.apply(&[]).unwrap();
    for (key, bytes) in &objects {
        mirror.put_new(key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
    }
    assert!(
        bench.plan().planned().iter().all(|one| one.candidate.id != gone),
        "it stays forgotten"
    );
    let applied = bench.apply(&[]).unwrap();
    let deleted: Vec<u64> = applied.deleted.iter().map(|store| store.object_count).collect();
    assert_eq!((applied.forgotten.len(), deleted), (0, vec![0, 2]));
}

/// F-7 F-15 F-19
#[test]
fn a_snapshot_under_a_hold_goes_by_no_flag_and_by_no_earlier_record() {
    let bench = Bench::new("keep_last = 1\nceiling = '1d'", 3);
    let held = bench.plan().planned()[0].candidate.id;
    bench.say(hold(held));
    let stays = |applied: &retain::Applied| {
        assert!(!applied.forgotten.contains(&held));
        assert!(
            bench
                .vault
                .stores
                .iter()
                .all(|store| there(store).iter().all(|ids| ids.contains(&held)))
        );
    };
    stays(&bench.apply(&ALL).unwrap());
    let named = [held];
    let error = bench.apply_in(&bench.vault.stores, Wish::Named(&named), &ALL).unwrap_err();
    assert_eq!(error.code(), Code::SnapshotPromised);
    assert!(error.to_string().contains("hold"), "{error}");
    // Somebody who may forget says so all the same.
    let (rule, by) = ("none".to_owned(), "me".to_owned());
    bench.say(EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot: held, rule, by }));
    bench.vault.events.all();
    let applied = bench.apply(&ALL).unwrap();
    stays(&applied);
    assert_eq!(applied.refused.len(), 1);
    let now = bench.vault.clock.now();
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let standing = survey.standing(now).unwrap();
    let standing: Vec<_> = standing.into_iter().map(|note| note.snapshot).collect();
    assert!(standing.contains(&held), "what it needs must stay as well");
    assert!(bench.vault.events.warnings().contains(&Code::SnapshotPromised));
    // Released, it goes.
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[0])).unwrap();
    let events = logs.iter().flat_map(|log| &log.events);
    let placed = events.clone().find(|one| matches!(one.payload, EventPayload::HoldPlaced(_)));
    let (placed_by, placed_seq) = placed.map(|one| (one.signer, one.seq)).unwrap();
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    let snapshot = held;
    bench.say(EventPayload::HoldReleased(HoldReleased {
        snapshot,
        placed_by,
        placed_seq,
        reason_digest,
        reason_sealed,
    }));
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let standing = survey.standing(bench.vault.clock.now()).unwrap();
    assert!(standing.iter().all(|note| note.snapshot != held));
    bench.apply(&ALL).unwrap();
    assert!(
        bench.vault.stores.iter().all(|store| there(store).iter().all(|ids| !ids.contains(&held)))
    );
}

/// F-5 F-15 F-19
#[test]
fn a_snapshot_before_its_floor_goes_by_no_flag_and_by_no_earlier_record() {
    let bench = Bench::new("keep_last = 1\nfloor = '30d'", 3);
    assert_eq!(bench.apply(&ALL).unwrap().forgotten, []);
    let young = bench.plan().planned()[0].candidate.id;
    let named = [young];
    let error = bench.apply_in(&bench.vault.stores, Wish::Named(&named), &ALL).unwrap_err();
    assert!(error.to_string().contains("floor until 2026-12-23"), "{error}");
    let (rule, by) = ("none".to_owned(), "me".to_owned());
    bench.say(EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot: young, rule, by }));
    assert_eq!(bench.apply(&ALL).unwrap().refused.len(), 1);
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 3));
    // A month later the floor has passed.
    bench.vault.clock.pass_hours(24 * 31);
    bench.apply(&ALL).unwrap();
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 1));
}

/// F-12 F-14
#[test]
fn a_guard_stops_before_anything_is_recorded_and_its_flag_lets_it_go_on() {
    let bench = Bench::new("keep_last = 1", 4);
    let error = bench.apply(&[Acceptance::Clock, Acceptance::LastVerified]).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::RetentionGuarded, 1));
    assert!(error.to_string().contains("3 of 4") && error.to_string().contains("--accept-many"));
    bench.vault.clock.pass_hours(24 * 30);
    let error = bench.apply(&[Acceptance::Many]).unwrap_err();
    assert!(error.to_string().contains("--accept-clock"), "{error}");
    assert_eq!(bench.said_forgotten(&bench.vault.stores[0]), []);
    bench.apply(&[Acceptance::Many, Acceptance::Clock]).unwrap();
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[1])).unwrap();
    let own = logs.iter().find(|log| log.signer == bench.janitor.signer_id()).unwrap();
    let names: Vec<String> = own.events.iter().map(|one| one.payload.name().to_string()).collect();
    let forgotten = "snapshot.forgotten";
    assert_eq!(names, ["clock.anomaly", forgotten, forgotten, forgotten]);
}

/// F-12
#[test]
fn a_clock_that_jumped_before_tonights_snapshot_lets_nothing_go_until_it_is_accepted() {
    let bench = Bench::new("keep_last = 4\nceiling = '60d'", 4);
    bench.vault.clock.pass_hours(24 * 365);
    bench.night();
    // The store has the time of the same clock, so what was written last is of now.
    let accepted = [Acceptance::Many, Acceptance::LastVerified];
    for _ in 0..2 {
        let error = bench.apply(&accepted).unwrap_err();
        assert!(error.to_string().contains("--accept-clock"), "{error}");
        bench.night();
    }
    assert!(there(&bench.vault.stores[0]).iter().all(|ids| ids.len() == 7));
    assert!(!bench.apply(&ALL).unwrap().forgotten.is_empty());
    bench.night();
    bench.apply(&accepted).unwrap();
}

/// F-13
#[test]
fn the_last_that_passed_a_drill_goes_only_where_that_is_accepted() {
    let bench = Bench::new("keep_last = 2", 4);
    let drilled = bench.plan().planned()[1].candidate.id;
    let result = DrilledResult { outcome: Outcome::Passed, duration_s: 1, finding_count: 0 };
    let store = "local".to_owned();
    bench.say(EventPayload::Drilled(Drilled { store, snapshot: drilled, result }));
    let error = bench.apply(&[]).unwrap_err().to_string();
    assert!(error.contains("--accept-last-verified") && error.contains(&drilled.to_string()));
    assert_eq!(bench.apply(&[Acceptance::LastVerified]).unwrap().forgotten.len(), 2);
}

/// F-20
#[test]
fn an_event_that_somebody_planted_behind_the_janitors_log_is_never_signed() {
    let bench = Bench::new("keep_last = 1", 2);
    let (signer, newest) = (bench.janitor.signer_id(), bench.plan().planned()[1].candidate.id);
    let (rule, by) = ("none".to_owned(), "me".to_owned());
    let event = LedgerEvent {
        vault: bench.vault.report.vault,
        signer,
        seq: 0,
        time: bench.plan().now(),
        payload: EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot: newest, rule, by }),
        seen: Vec::new(),
    };
    let (key, leaf) = (ObjectKey::LedgerEvent(signer, 0), event.compose().unwrap());
    bench.vault.stores[1].put_new(&key, Content::Bytes(&leaf), &sha256(&leaf)).unwrap();
    let error = bench.apply(&ALL).unwrap_err();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(there(&bench.vault.stores[1]).iter().all(|ids| ids.len() == 2));
    let checkpoint = ObjectKey::LedgerCheckpoint(signer, 0);
    assert!(bench.vault.stores.iter().all(|store| store.stat(&checkpoint).unwrap().is_none()));
}

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

#[test]
fn a_signer_that_may_not_forget_is_refused_and_nothing_is_recorded() {
    let bench = Bench::new("keep_last = 1", 2);
    let stranger = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[8; 32]);
    let host = SigningKey::from_secret_text(bench.vault.writer().key().to_secret_text().as_str());
    for key in [stranger, host.unwrap()] {
        let kept = KeptFile::new(&bench.vault.path("other"), key.signer_id());
        let applied = bench.sign_in(&bench.vault.stores, Wish::Policy, &ALL, key, kept);
        assert_eq!(applied.unwrap_err().code(), Code::SignerRefused);
    }
    assert_eq!(bench.said_forgotten(&bench.vault.stores[0]), []);
}

/// F-16
#[test]
fn a_host_that_was_given_it_forgets_by_its_own_journal() {
    let bench = Bench::new("keep_last = 2", 3);
    let host = bench.vault.writer().key().signer_id();
    let (more, observer) = (["snapshot.forgotten".to_owned()], bench.vault.events.as_ref());
    let set = || signers::set(&mut bench.desk(), host, &more, observer).unwrap();
    assert_eq!((set().number, set().number), (3, 3), "what is so already is not signed again");
    let operator = bench.desk().operator.signer();
    assert!(signers::set(&mut bench.desk(), operator, &more, observer).is_err());
    assert_eq!(bench.vault.verify(Level::Ledger).findings, []);
    let mut writer = bench.vault.writer();
    writer.adopt_notes(bench.vault.events.as_ref()).unwrap();
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let plan = retain::plan(&survey, Wish::Policy, bench.vault.clock.now()).unwrap();
    let (mut scribe, observer) = (Scribe::Host(Box::new(writer)), bench.vault.events.as_ref());
    let (wish, again) = (Wish::Policy, || bench.survey(&bench.vault.stores));
    let applied = retain::apply(&survey, &plan, wish, &mut scribe, &[], &again, observer).unwrap();
    assert_eq!(applied.forgotten.len(), 1);
    drop(scribe);
    for store in &bench.vault.stores {
        assert_eq!(bench.said_forgotten(store), applied.forgotten);
        assert!(there(store).iter().all(|ids| ids.len() == 2));
    }
    assert_eq!(bench.vault.writer().manifest().snapshots().unwrap().len(), 2);
    bench.night();
    assert!(bench.vault.verify(Level::Contents).findings.is_empty());
}

#[test]
fn a_note_that_one_mirror_lost_is_known_from_the_other() {
    let bench = Bench::new("keep_last = 2", 3);
    let lost = bench.plan().planned()[1].candidate.id;
    bench.vault.stores[0].delete(&ObjectKey::Note(lost)).unwrap();
    let plan = bench.plan();
    assert!(matches!(&plan.planned()[1].verdict, Verdict::Keep(_)), "{plan:?}");
    assert_eq!(plan.planned().len(), 3);
}

/// F-24
#[test]
fn where_a_log_that_may_hold_a_hold_is_broken_nothing_goes() {
    let bench = Bench::new("keep_last = 1", 2);
    let first = bench.plan().planned()[0].candidate.id;
    bench.say(hold(first));
    let operator = bench.desk().operator.signer();
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[0])).unwrap();
    let size = logs.iter().find(|log| log.signer == operator).unwrap().head.size;
    let key = ObjectKey::LedgerEvent(operator, size - 1);
    let harm = |store: &Arc<dyn Store>| {
        store.delete(&key).unwrap();
        store.put_new(&key, Content::Bytes(b"{}\n"), &sha256(b"{}\n")).unwrap();
    };
    harm(&bench.vault.stores[0]);
    let plan = bench.plan();
    assert!(plan.dropped().next().is_none(), "the mirror still has it");
    harm(&bench.vault.stores[1]);
    let error = bench.survey(&bench.vault.stores).err().unwrap();
    assert_eq!(error.code(), Code::LedgerBroken);
    assert!(error.to_string().contains(&operator.to_string()), "{error}");
}

/// F-11
#[test]
fn the_note_tells_that_a_tag_keeps_and_nothing_of_the_others() {
    let bench = Bench::new("keep_last = 1\nkeep_tags = ['audit']", 0);
    let TestVault { clock, events, .. } = &bench.vault;
    let mut told = Vec::new();
    for tags in [&["audit", "x"][..], &["x"], &[]] {
        clock.pass_hours(24);
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        told.push(bench.vault.snapshot_tagged(&tags).snapshot);
    }
    events.all();
    let notes = bench.vault.auditor(&bench.vault.stores[0]).snapshots().unwrap().sound;
    assert_eq!(told.iter().map(|id| notes[id].keep_tag).collect::<Vec<_>>(), [true, false, false]);
    let bytes = bench.vault.stores[0].get(&ObjectKey::Note(told[1]), 1_000_000).unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("keep_tag"));
    assert_eq!(dropped(&bench), [told[1]]);
}

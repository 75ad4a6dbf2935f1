//! What the quotes of whom count for, and how a vault gets on without a log that is lost.

use idswyft_vault::base::{Code, Coded, Digest};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::ledger::{LedgerEvent, SeenCheckpoint};
use idswyft_vault::format::role::Role;
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::recorder::{KeptFile, Recorder};
use idswyft_vault::ops::signers;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Content;
use idswyft_vault::vault::journal::Journal;

use super::fixture::{hold, same, verified};
use crate::retention::bench::{ALL, Bench};
use crate::support::sha256;

/// Adds a signer that the operator was asked for.
fn signer(bench: &Bench, role: Role, event: &str) -> SigningKey {
    let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
    let events = signers::events_for(role, &[event.to_owned()]).unwrap();
    let (public, observer) = (key.verification_key(), bench.vault.events.as_ref());
    signers::add(&mut bench.desk(), public, role, events, observer).unwrap();
    key
}

fn retire(bench: &Bench, key: &SigningKey) {
    bench.vault.clock.pass_hours(1);
    let observer = bench.vault.events.as_ref();
    signers::retire(&mut bench.desk(), key.signer_id(), observer).unwrap();
}

/// Says something in every store as a signer does.
fn says(bench: &Bench, key: &SigningKey, payload: EventPayload) {
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let kept = KeptFile::new(&bench.vault.path("signer"), key.signer_id());
    let (stores, outside) = (survey.stores(), bench.vault.outside());
    let opened = Recorder::open(same(key), stores, &survey.logs, None, Box::new(kept), &outside);
    opened.unwrap().0.append(payload).unwrap();
}

/// Begins the log of a signer with an event that quotes what never was.
fn invents(bench: &Bench, key: &SigningKey, seen: SeenCheckpoint) {
    let (vault, signer) = (bench.vault.report.vault, key.signer_id());
    let (time, payload) = (bench.plan().now(), verified());
    let event = LedgerEvent { vault, signer, seq: 0, time, payload, seen: vec![seen] };
    let leaf = event.compose().unwrap();
    let checkpoint = Journal::empty().append_leaf(key, vault, &leaf).unwrap();
    let Payload::Bytes(checkpoint) = checkpoint.payload else { panic!("a checkpoint is bytes") };
    for store in &bench.vault.stores {
        for (key, bytes) in [
            (ObjectKey::LedgerEvent(signer, 0), &leaf),
            (ObjectKey::LedgerCheckpoint(signer, 0), &checkpoint),
        ] {
            store.put_new(&key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
        }
    }
}

fn codes(bench: &Bench) -> Vec<Code> {
    let found = bench.vault.verify(Level::Ledger).findings;
    found.into_iter().map(|finding| finding.code).collect()
}

/// V-211 F-39
#[test]
fn an_invented_quote_stops_nothing_once_its_signer_is_retired() {
    let bench = Bench::new("keep_last = 1", 2);
    let liar = signer(&bench, Role::Auditor, "verified");
    let operator = bench.desk().operator.signer();
    let root = Digest::from_bytes([1; 32]);
    invents(&bench, &liar, SeenCheckpoint { signer: operator, size: 1000, root });
    let refused = bench.survey(&bench.vault.stores).err().unwrap();
    assert_eq!(refused.code(), Code::LedgerBroken);
    let told = refused.to_string();
    assert!(told.contains(&liar.signer_id().to_string()) && told.contains("retire"), "{told}");
    assert_eq!(codes(&bench), [Code::LedgerBroken]);
    retire(&bench, &liar);
    assert_eq!(codes(&bench), []);
    assert_eq!(bench.apply(&ALL).unwrap().forgotten.len(), 1);
}

/// V-211 F-39
#[test]
fn what_a_host_quotes_stops_nothing() {
    let bench = Bench::new("keep_last = 1", 2);
    let host = signer(&bench, Role::Writer, "verified");
    let operator = bench.desk().operator.signer();
    let root = Digest::from_bytes([1; 32]);
    invents(&bench, &host, SeenCheckpoint { signer: operator, size: 1000, root });
    assert_eq!(codes(&bench), []);
    assert_eq!(bench.apply(&ALL).unwrap().forgotten.len(), 1);
}

/// V-213 F-39
#[test]
fn a_log_that_is_lost_is_closed_by_retiring_its_signer_and_one_that_is_there_is_not() {
    let bench = Bench::new("keep_last = 1", 2);
    let auditor = signer(&bench, Role::Auditor, "hold.placed");
    let held = bench.plan().planned()[0].candidate.id;
    says(&bench, &auditor, hold(held));
    says(&bench, &bench.janitor, verified());
    let id = auditor.signer_id();
    let keys = [ObjectKey::LedgerEvent(id, 0), ObjectKey::LedgerCheckpoint(id, 0)];
    let lost = || {
        let stores = bench.vault.stores.iter();
        stores.for_each(|store| keys.iter().for_each(|key| store.delete(key).unwrap()));
    };
    let [event, checkpoint] = keys.map(|key| bench.vault.stores[0].get(&key, 100_000).unwrap());
    lost();
    assert_eq!(bench.survey(&bench.vault.stores).err().unwrap().code(), Code::LedgerBroken);
    assert_eq!(codes(&bench), [Code::LedgerBroken]);
    // Who retires a signer while its log is there says how long it is.
    for store in &bench.vault.stores {
        store.put_new(&keys[0], Content::Bytes(&event), &sha256(&event)).unwrap();
        store.put_new(&keys[1], Content::Bytes(&checkpoint), &sha256(&checkpoint)).unwrap();
    }
    let other = Bench::new("keep_last = 1", 2);
    let lonely = signer(&other, Role::Auditor, "hold.placed");
    retire(&other, &lonely);
    assert_eq!((codes(&other), other.apply(&ALL).unwrap().forgotten.len()), (Vec::new(), 1));
    retire(&bench, &auditor);
    assert_eq!((codes(&bench), bench.apply(&ALL).unwrap().forgotten.len()), (Vec::new(), 0));
    lost();
    assert_eq!(bench.survey(&bench.vault.stores).err().unwrap().code(), Code::LedgerBroken);
    assert_eq!(codes(&bench), [Code::LedgerBroken]);
}

/// V-213
#[test]
fn a_log_that_was_lost_before_its_signer_was_retired_is_closed() {
    let bench = Bench::new("keep_last = 1", 2);
    let auditor = signer(&bench, Role::Auditor, "hold.placed");
    says(&bench, &auditor, hold(bench.plan().planned()[0].candidate.id));
    says(&bench, &bench.janitor, verified());
    let id = auditor.signer_id();
    for store in &bench.vault.stores {
        store.delete(&ObjectKey::LedgerEvent(id, 0)).unwrap();
        store.delete(&ObjectKey::LedgerCheckpoint(id, 0)).unwrap();
    }
    assert!(bench.survey(&bench.vault.stores).is_err());
    retire(&bench, &auditor);
    assert_eq!((codes(&bench), bench.apply(&ALL).unwrap().forgotten.len()), (Vec::new(), 1));
}

/// V-213
#[test]
fn what_a_retired_signer_dates_back_is_told_from_what_it_said_in_its_time() {
    let bench = Bench::new("keep_last = 1", 2);
    let auditor = signer(&bench, Role::Auditor, "hold.placed");
    says(&bench, &auditor, hold(bench.plan().planned()[0].candidate.id));
    let early = bench.plan().now();
    retire(&bench, &auditor);
    assert_eq!(codes(&bench), []);
    let (vault, signer, mut journal) =
        (bench.vault.report.vault, auditor.signer_id(), Journal::empty());
    let store = &bench.vault.stores[0];
    let first = store.get(&ObjectKey::LedgerEvent(signer, 0), 100_000).unwrap();
    journal.append_leaf(&auditor, vault, &first).unwrap();
    for object in journal.append(&auditor, vault, early, verified(), Vec::new()).unwrap() {
        let Payload::Bytes(bytes) = &object.payload else { panic!("these are bytes") };
        store.put_new(&object.key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
    }
    assert_eq!(codes(&bench), [Code::RecordBackdated]);
}

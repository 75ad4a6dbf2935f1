//! What came of a drill is signed once, or not at all, whatever happens on the way.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, SystemClock};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{Drilled, DrilledResult, Outcome};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops;
use idswyft_vault::ops::drill::record::record;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::{Content, MemoryStore, Store};
use idswyft_vault::vault::Operator;

use super::{Person, desk, events_of_operator, fill};
use crate::support::vault::TestVault;
use crate::support::{FaultyStore, Mode, Then, sha256};

fn drilled(vault: &TestVault, duration_s: u64) -> Drilled {
    Drilled {
        store: "local".to_owned(),
        snapshot: *vault
            .auditor(&vault.stores[0])
            .snapshots()
            .unwrap()
            .sound
            .keys()
            .next()
            .unwrap(),
        result: DrilledResult { outcome: Outcome::Passed, duration_s, finding_count: 0 },
    }
}

fn sign(vault: &TestVault, duration_s: u64) -> Result<(), ops::Error> {
    let event = drilled(vault, duration_s);
    let mut desk = desk(vault, None, &Person::of(vault))?;
    record(&mut desk, event, vault.events.as_ref()).map(drop)
}

/// D-9 D-10
#[test]
fn a_result_whose_signing_died_at_any_call_is_never_in_the_way() {
    for mode in [Mode::NotDone, Mode::DoneButReported] {
        let died = (0..).find(|nth| !signing_dies_at(*nth, mode)).unwrap();
        assert!(died > 5, "the sweep ends after {died} calls");
    }
}

/// Signs with a primary store that dies at its `nth` call, then again; returns whether it did.
fn signing_dies_at(nth: u64, mode: Mode) -> bool {
    let memory =
        |name| -> Arc<dyn Store> { Arc::new(MemoryStore::new(name, Arc::new(SystemClock))) };
    let (primary, mirror) = (memory("local"), memory("mirror"));
    let stores = vec![primary.clone(), mirror.clone()];
    let mut vault = TestVault::with(|_| stores, Parameters::initial());
    fill(&vault);
    let event = drilled(&vault, 1);
    let faulty = Arc::new(FaultyStore::new(primary.clone()).fail_nth(nth, mode, Then::IsDead));
    vault.stores[0] = faulty.clone();
    let crashed = desk(&vault, None, &Person::of(&vault))
        .and_then(|mut desk| record(&mut desk, event, vault.events.as_ref()));
    let died = faulty.fault_count() > 0;
    assert!(crashed.is_err() || !died || vault.events.warnings() == [Code::MirrorLagging]);
    vault.stores[0] = primary.clone();
    sign(&vault, 2).unwrap_or_else(|error| panic!("{mode:?} at {nth}: {error}"));
    for store in [&primary, &mirror] {
        let events = events_of_operator(&vault, store);
        let count = events.iter().filter(|name| *name == "drilled").count();
        assert!(count == 1 || count == 2, "{mode:?} at {nth}: {events:?}");
    }
    assert!(!vault.path("kit").join("drilled.pending").exists());
    assert!(vault.verify(Level::Contents).findings.is_empty(), "{mode:?} at {nth}");
    died
}

/// D-10
#[test]
fn a_result_that_somebody_else_put_into_the_store_is_not_signed() {
    let vault = TestVault::new();
    fill(&vault);
    sign(&vault, 1).unwrap();
    let planted = |operator: &Operator| {
        let (signer, vault_id) = (operator.signer(), operator.vault());
        let seq = events_of_operator(&vault, &vault.stores[0]).len() as u64;
        let payload = EventPayload::Drilled(drilled(&vault, 0));
        let time = operator.outside().clock.now();
        let event = LedgerEvent { vault: vault_id, signer, seq, time, payload, seen: Vec::new() };
        (ObjectKey::LedgerEvent(signer, seq), event.compose().unwrap())
    };
    let opened = desk(&vault, None, &Person::of(&vault)).unwrap();
    let (key, leaf) = planted(&opened.operator);
    let content = Content::Bytes(&leaf);
    vault.stores[0].put_new(&key, content, &sha256(&leaf)).unwrap();
    assert_eq!(sign(&vault, 2).unwrap_err().code(), Code::LedgerBroken);
}

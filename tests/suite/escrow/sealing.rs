//! What is sealed, when, and what a snapshot then says of it.

use std::fs;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::escrow::{EscrowKind, KeySource};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::ops::escrow::Sealing;
use idswyft_vault::ops::escrow::open::{self, Version};
use idswyft_vault::vault::ledger;

use super::{Custodian, Escrow, KEY, kinds, names};
use crate::support::vault::TestVault;

/// E-6, E-14
#[test]
fn a_secret_that_is_unchanged_is_not_sealed_again() {
    let mut escrow = Escrow::new();
    let first = escrow.seal();
    assert_eq!(kinds(&first.newly), [EscrowKind::Key, EscrowKind::Bundle]);
    let again = escrow.seal();
    assert!(again.newly.is_empty() && names(&again.needed) == names(&first.needed));
    // A file that is not the key's leaves the key as it is.
    escrow.write("caddy/Caddyfile", b"localhost");
    assert_eq!(kinds(&escrow.seal().newly), [EscrowKind::Bundle]);
    // A bundle names its keys, so a new key makes a new one.
    escrow.write(".env", format!("ENCRYPTION_KEY={}\n", KEY.to_uppercase()).as_bytes());
    assert_eq!(kinds(&escrow.seal().newly), [EscrowKind::Key, EscrowKind::Bundle]);
    escrow.custodian = Custodian::new();
    assert_eq!(escrow.seal().newly.len(), 2, "somebody else has to open it");
    assert!(escrow.seal().newly.is_empty());
    assert_eq!(escrow.objects().len(), 7, "every version stays");
    assert_eq!(escrow.events.warnings(), []);
}

/// E-14
#[test]
fn what_is_gone_from_the_store_is_sealed_again() {
    let escrow = Escrow::new();
    let first = escrow.seal();
    let path = |index: usize| escrow.path("escrow").join(names(&first.needed)[index].as_str());
    fs::remove_file(path(0)).unwrap();
    let second = escrow.seal();
    assert_eq!(kinds(&second.newly), [EscrowKind::Key, EscrowKind::Bundle]);
    assert_eq!(escrow.events.warnings(), [Code::ObjectMissing]);
    let bundle = escrow.path("escrow").join(&names(&second.needed)[1]);
    let bytes = fs::read(&bundle).unwrap();
    fs::remove_file(&bundle).unwrap();
    fs::write(&bundle, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(kinds(&escrow.seal().newly), [EscrowKind::Bundle]);
    assert_eq!(escrow.events.warnings(), [Code::ObjectAltered]);
    assert!(escrow.seal().newly.is_empty());
}

/// E-8
#[test]
fn a_stack_that_runs_with_another_key_has_both_sealed() {
    let mut escrow = Escrow::new();
    escrow.run("ENCRYPTION_KEY", "the key that the api really runs with");
    escrow.run("ENCRYPTION_KEY_PREVIOUS", "the key that it had before");
    escrow.run("JWT_SECRET", "nothing that is sealed by itself");
    let sealing = escrow.seal();
    assert_eq!(escrow.events.warnings(), [Code::EscrowKeysDiffer]);
    let of_key = |one: &idswyft_vault::format::escrow::EscrowObject| {
        (one.variable.clone().unwrap_or_default(), one.from.clone())
    };
    let found: Vec<_> = sealing.needed.iter().map(of_key).collect();
    assert_eq!(
        found,
        [
            ("ENCRYPTION_KEY".to_owned(), vec![KeySource::Env]),
            ("ENCRYPTION_KEY".to_owned(), vec![KeySource::Container]),
            ("ENCRYPTION_KEY_PREVIOUS".to_owned(), vec![KeySource::Container]),
            (String::new(), vec![]),
        ]
    );
    assert!(sealing.needed[2].object.to_string().starts_with("escrow/key_previous-"));
    let opened = escrow.open(Version::Latest);
    assert_eq!(opened.keys[0].value.as_slice(), KEY.as_bytes());
    // Once both agree again, nothing is warned of and the value is not sealed anew.
    escrow.run("ENCRYPTION_KEY", KEY);
    assert_eq!(kinds(&escrow.seal().newly), [EscrowKind::Bundle]);
    assert_eq!(escrow.events.warnings(), []);
}

/// E-11
#[test]
fn what_cannot_be_read_is_warned_of_and_what_is_missing_is_recorded() {
    let escrow = Escrow::new();
    std::os::unix::fs::symlink("/etc/hostname", escrow.path("install/caddy")).unwrap();
    fs::remove_file(escrow.path("install/caddy")).unwrap();
    fs::create_dir(escrow.path("install/caddy")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", escrow.path("install/caddy/Caddyfile")).unwrap();
    escrow.seal();
    assert_eq!(escrow.events.warnings(), [Code::EscrowIncomplete]);
    let opened = escrow.open(Version::Latest);
    let states = serde_json::to_value(&opened.index.unwrap().files).unwrap();
    let state = |at: usize| (states[at]["name"].clone(), states[at]["state"].clone());
    assert_eq!(state(0), (".env".into(), "sealed".into()));
    assert_eq!(state(1), ("caddy/Caddyfile".into(), "outside".into()));
    assert_eq!(state(2), ("docker-compose.override.yml".into(), "missing".into()));
    // Without .env there is no key either.
    fs::remove_file(escrow.path("install/.env")).unwrap();
    escrow.seal();
    assert_eq!(escrow.events.warnings(), [Code::EscrowIncomplete; 3]);
    fs::remove_dir_all(escrow.path("install")).unwrap();
    assert_eq!(escrow.try_seal().unwrap_err().code(), Code::EscrowIncomplete);
}

/// E-1
#[test]
fn a_refused_place_gets_nothing_and_costs_no_snapshot() {
    let mut escrow = Escrow::new();
    escrow.store = crate::support::vault::local(&escrow.path("state/escrow"), "escrow");
    let error = escrow.try_seal().unwrap_err();
    assert_eq!(error.code(), Code::EscrowPlaceRefused);
    assert!(error.to_string().contains("lies within the state directory"), "{error}");
    assert!(!escrow.path("state/escrow").exists());
    assert!(escrow.seal_or_last().needed.is_empty());
    assert_eq!(escrow.events.warnings(), [Code::EscrowPlaceRefused]);
}

/// E-18
#[test]
fn a_snapshot_names_what_was_sealed_last_when_the_store_fails() {
    let escrow = Escrow::new();
    let sealed = escrow.seal_or_last();
    assert!(sealed.needed.iter().all(|one| !one.stale));
    fs::rename(escrow.path("escrow"), escrow.path("not mounted")).unwrap();
    escrow.write(".env", b"ENCRYPTION_KEY=another key of more than thirty-two bytes\n");
    let stale = escrow.seal_or_last();
    assert_eq!(escrow.events.warnings(), [Code::EscrowStale]);
    assert!(stale.newly.is_empty() && stale.needed.iter().all(|one| one.stale));
    assert_eq!(names(&stale.needed), names(&sealed.needed));
    assert!(!escrow.path("escrow").exists(), "a disk that is not mounted gets no directory");
    assert_eq!(stale.fact()[0]["stale"], true);
    fs::rename(escrow.path("not mounted"), escrow.path("escrow")).unwrap();
    assert_eq!(escrow.seal_or_last().newly.len(), 2);
}

/// E-17
#[test]
fn each_vault_records_each_object_that_a_snapshot_needs_once() {
    let (escrow, vault) = (Escrow::new(), TestVault::new());
    let snapshot = |sealing: &Sealing| {
        vault.clock.pass_hours(1);
        let mut sources = vault.sources();
        sources.facts.insert("escrow".to_owned(), sealing.fact());
        sources.sealed = sealing.events();
        vault.try_snapshot(&sources).unwrap().snapshot
    };
    let (first, again) = (escrow.seal(), escrow.seal());
    let ids = [snapshot(&first), snapshot(&again)];
    escrow.write("caddy/Caddyfile", b"x");
    let changed = escrow.seal();
    snapshot(&changed);
    let logs = ledger::read_all(&vault.auditor(&vault.stores[0])).unwrap();
    let events = logs.iter().flat_map(|log| &log.events).map(|event| &event.payload);
    let recorded: Vec<_> = events
        .filter_map(|event| match event {
            EventPayload::SecretSealed(sealed) => Some(sealed.object.clone()),
            EventPayload::SnapshotTaken(_) => Some("snapshot".to_owned()),
            _ => None,
        })
        .collect();
    let [key, bundle] = [0, 1].map(|index| names(&first.needed)[index].clone());
    let newer = names(&changed.needed)[1].clone();
    let snapshot = || "snapshot".to_owned();
    assert_eq!(recorded, [key, bundle, snapshot(), snapshot(), newer, snapshot()]);
    let unlocked = vault.unlocked();
    for id in ids {
        let body = unlocked.body(&unlocked.auditor().snapshot(id).unwrap()).unwrap();
        assert_eq!(open::named(&body).unwrap(), first.needed);
    }
    let bare = vault.snapshot().snapshot;
    let body = unlocked.body(&unlocked.auditor().snapshot(bare).unwrap()).unwrap();
    assert_eq!(open::named(&body).unwrap_err().code(), Code::EscrowUnknown);
}

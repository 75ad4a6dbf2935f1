//! A generation whose key is destroyed: `generations.md` §1.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, Digest, GenerationId, SnapshotId};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{GenerationRef, GenerationShredded, HoldPlaced};
use idswyft_vault::format::role::Role;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::recorder::{KeptFile, Recorder};
use idswyft_vault::ops::retain::Wish;
use idswyft_vault::ops::shred::{self, NOT_COVERED, Shredded};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::ops::{self, generations, signers};
use idswyft_vault::store::{Content, Listed, Store};
use idswyft_vault::vault::ledger;
use idswyft_vault::vault::state::{GenerationSlot, StateDir};

use super::bench::{ALL, Bench};
use crate::support::{Call, FaultyStore, Mode, sha256};

/// A vault whose first generation is closed, with a snapshot in the next, and a signer that shreds.
pub struct Shredder {
    pub bench: Bench,
    key: SigningKey,
    pub old: GenerationId,
    /// Every dedup secret that the host ever had, as hex.
    pub secrets: Vec<String>,
}

impl Shredder {
    fn new(count: u32) -> Self {
        Self::of(Bench::new("keep_last = 1", count))
    }

    pub fn of(bench: Bench) -> Self {
        let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
        let requested = ["generation.shredded".to_owned()];
        let events = signers::events_for(Role::Janitor, &requested).unwrap();
        let observer = bench.vault.events.as_ref();
        let public = key.verification_key();
        signers::add(&mut bench.desk(), public, Role::Janitor, events, observer).unwrap();
        let mut writer = bench.vault.writer();
        let open = writer.generation();
        let (old, secret) = (open.id, open.dedup_secret.to_hex().to_string());
        let recipients = DataRecipients::parse(&[&bench.vault.recipient]).unwrap();
        bench.vault.clock.pass_hours(1);
        generations::roll(&mut writer, &recipients, &NoPassphrase, observer).unwrap();
        let next = writer.generation().dedup_secret.to_hex().to_string();
        drop(writer);
        bench.vault.write("new", b"of the next generation");
        bench.night();
        Self { bench, key, old, secrets: vec![secret, next] }
    }

    /// Makes one whose old generation has no snapshot left.
    pub fn emptied(bench: Bench) -> Self {
        let shredder = Self::of(bench);
        shredder.bench.apply(&ALL).unwrap();
        shredder
    }

    fn state(&self) -> StateDir {
        StateDir::new(&self.bench.vault.path("state"), "nightly")
    }

    pub fn shred(&self) -> Result<Shredded, ops::Error> {
        self.shred_in(&self.bench.vault.stores)
    }

    pub fn shred_in(&self, stores: &[Arc<dyn Store>]) -> Result<Shredded, ops::Error> {
        self.shred_while(stores, &|| ())
    }

    /// Shreds, while something else happens between the record and the deed.
    fn shred_while(
        &self,
        stores: &[Arc<dyn Store>],
        meanwhile: &dyn Fn(),
    ) -> Result<Shredded, ops::Error> {
        let vault = &self.bench.vault;
        let (survey, now) = (self.bench.survey(stores)?, vault.clock.now());
        let until = survey.event_locked_until(now)?;
        let key = SigningKey::from_secret_text(&self.key.to_secret_text()).unwrap();
        let kept = Box::new(KeptFile::new(&vault.path("shredder"), key.signer_id()));
        let outside = vault.outside();
        let (mut recorder, _) =
            Recorder::open(key, survey.stores(), &survey.logs, until, kept, &outside)?;
        // It may have completed what an interrupted run had begun.
        let survey = self.bench.survey(stores)?;
        let plan = shred::plan(&survey, &self.old.to_string(), now)?;
        shred::check_host(&self.state(), self.old)?;
        let anomaly = shred::check_clock(&survey, &[], now)?;
        let again = || {
            meanwhile();
            self.bench.survey(stores)
        };
        let observer = vault.events.as_ref();
        shred::apply(&survey, &plan, anomaly, &mut recorder, &again, observer)
    }

    /// Returns what the log of a store says of shredding.
    pub fn said(&self, store: &Arc<dyn Store>) -> Vec<GenerationShredded> {
        let logs = ledger::read_all(&self.bench.vault.auditor(store)).unwrap();
        let events = logs.into_iter().flat_map(|log| log.events);
        let said = events.filter_map(|event| match event.payload {
            EventPayload::GenerationShredded(said) => Some(said),
            _ => None,
        });
        said.collect()
    }

    pub fn key_files(&self, store: &Arc<dyn Store>) -> BTreeSet<ObjectKey> {
        let listed = store.list(Folder::Generations).unwrap().map(Result::unwrap);
        let keys = listed.filter_map(|listed| match listed {
            Listed::Object(key @ ObjectKey::Generation(id, _), _) if id == self.old => Some(key),
            _ => None,
        });
        keys.collect()
    }
}

fn code(result: Result<Shredded, ops::Error>) -> Code {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.code(),
    }
}

/// G-1
#[test]
fn a_generation_that_is_open_or_not_closed_in_every_store_is_not_shredded() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    let open = shredder.bench.vault.writer().generation().id;
    let survey = shredder.bench.survey(&shredder.bench.vault.stores).unwrap();
    let now = shredder.bench.vault.clock.now();
    let error = shred::plan(&survey, &open.to_string(), now).unwrap_err();
    assert_eq!(error.code(), Code::GenerationNeeded);
    // A mirror that lacks the event may be owed a key file.
    let mirror = &shredder.bench.vault.stores[1];
    let host = shredder.bench.vault.writer().key().signer_id();
    let logs = ledger::read_all(&shredder.bench.vault.auditor(mirror)).unwrap();
    let log = logs.iter().find(|log| log.signer == host).unwrap();
    let is_it = |payload: &EventPayload| matches!(payload, EventPayload::GenerationClosed(_));
    let first = log.events.iter().find(|event| is_it(&event.payload)).unwrap().seq;
    for seq in first..log.head.size {
        mirror.delete(&ObjectKey::LedgerEvent(host, seq)).unwrap();
        mirror.delete(&ObjectKey::LedgerCheckpoint(host, seq)).unwrap();
    }
    let error = shredder.shred().err().unwrap();
    assert_eq!(error.code(), Code::GenerationNeeded);
    assert!(error.to_string().contains("mirror"), "{error}");
    assert!(shredder.said(&shredder.bench.vault.stores[0]).is_empty());
}

/// G-1 P-20
#[test]
fn nobody_closes_the_generation_of_another_but_the_operator_who_retires_a_lost_host() {
    let bench = Bench::new("keep_last = 1", 2);
    let open = bench.vault.writer().generation().id;
    let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[8; 32]);
    let events = signers::events_for(Role::Writer, &[]).unwrap();
    let (public, observer) = (key.verification_key(), bench.vault.events.as_ref());
    signers::add(&mut bench.desk(), public, Role::Writer, events, observer).unwrap();
    let host = bench.vault.writer().key().signer_id();
    let logs = ledger::read_all(&bench.vault.auditor(&bench.vault.stores[0])).unwrap();
    let own = logs.iter().find(|log| log.signer == host).unwrap();
    let opened = own.events.iter().find_map(|event| match &event.payload {
        EventPayload::GenerationOpened(said) => Some(said.clone()),
        _ => None,
    });
    let closed = GenerationRef { generation: open };
    let said = vec![
        EventPayload::GenerationOpened(opened.unwrap()),
        EventPayload::GenerationClosed(closed),
    ];
    let (now, stores) = (bench.vault.clock.now(), &bench.vault.stores);
    bench.forge_as(&key, stores, now, said);
    let is_closed = || {
        let survey = bench.survey(stores).unwrap();
        survey.logs.iter().all(|logs| shred::closed_in(survey.note(), logs).contains(&open))
    };
    assert!(!is_closed(), "its host leans on what is in it");
    signers::retire(&mut bench.desk(), host, observer).unwrap();
    assert!(is_closed(), "a lost host closes nothing");
}

/// G-2
#[test]
fn a_generation_with_a_snapshot_that_stands_is_not_shredded_even_if_its_note_is_lost() {
    let shredder = Shredder::new(2);
    assert_eq!(code(shredder.shred()), Code::GenerationNeeded);
    let standing: Vec<SnapshotId> =
        shredder.bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    shredder
        .bench
        .apply_in(&shredder.bench.vault.stores, Wish::Named(&standing[..1]), &ALL)
        .unwrap();
    for store in &shredder.bench.vault.stores {
        store.delete(&ObjectKey::Note(standing[1])).unwrap();
    }
    let error = shredder.shred().err().unwrap();
    assert!(error.to_string().contains(&standing[1].to_string()), "{error}");
    assert!(shredder.bench.vault.stores.iter().all(|store| !shredder.key_files(store).is_empty()));
}

/// G-3
#[test]
fn a_generation_with_a_snapshot_under_a_hold_is_not_shredded_though_it_is_forgotten() {
    let shredder = Shredder::new(1);
    let held = shredder.bench.plan().planned()[0].candidate.id;
    shredder.bench.apply(&ALL).unwrap();
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    let hold = HoldPlaced { snapshot: held, until: None, reason_digest, reason_sealed };
    shredder.bench.say(EventPayload::HoldPlaced(hold));
    let error = shredder.shred().err().unwrap();
    assert_eq!(error.code(), Code::GenerationNeeded);
    assert!(error.to_string().contains("hold"), "{error}");
    assert!(shredder.said(&shredder.bench.vault.stores[0]).is_empty());
}

/// G-3 G-17
#[test]
fn a_hold_that_is_placed_while_it_is_recorded_comes_in_time() {
    let shredder = Shredder::new(1);
    let held = shredder.bench.plan().planned()[0].candidate.id;
    shredder.bench.apply(&ALL).unwrap();
    let (reason_digest, reason_sealed) = (Digest::from_bytes([3; 32]), "eA==".to_owned());
    let hold = HoldPlaced { snapshot: held, until: None, reason_digest, reason_sealed };
    let stores = &shredder.bench.vault.stores;
    let meanwhile = || shredder.bench.say(EventPayload::HoldPlaced(hold.clone()));
    assert_eq!(code(shredder.shred_while(stores, &meanwhile)), Code::GenerationNeeded);
    assert!(stores.iter().all(|store| !shredder.key_files(store).is_empty()));
}

/// G-18
#[test]
fn what_only_one_store_knows_to_be_forgotten_is_not_shredded_anywhere() {
    let shredder = Shredder::new(1);
    let mirror = &shredder.bench.vault.stores[1];
    shredder.bench.apply(&ALL).unwrap();
    let janitor = shredder.bench.janitor.signer_id();
    mirror.delete(&ObjectKey::LedgerCheckpoint(janitor, 0)).unwrap();
    mirror.delete(&ObjectKey::LedgerEvent(janitor, 0)).unwrap();
    let error = shredder.shred().err().unwrap();
    assert_eq!(error.code(), Code::GenerationNeeded);
    assert!(error.to_string().contains("mirror"), "{error}");
}

/// G-4, V-45
#[test]
fn a_host_that_closed_a_generation_has_no_secret_of_it() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    shred::check_host(&shredder.state(), shredder.old).unwrap();
    let secret = &shredder.secrets[0];
    for entry in walkdir::WalkDir::new(shredder.bench.vault.path("state")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(secret.as_str()), "{}", entry.path().display());
        }
    }
    let open = shredder.state().generation(GenerationSlot::Open).unwrap().id;
    let error = shred::check_host(&shredder.state(), open).unwrap_err();
    assert_eq!(error.code(), Code::GenerationNeeded);
}

/// G-5
#[test]
fn a_clock_that_jumped_ends_no_hold_and_no_floor_unless_it_is_accepted() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    shredder.bench.vault.clock.pass_hours(24 * 60);
    assert_eq!(code(shredder.shred()), Code::RetentionGuarded);
    assert!(shredder.said(&shredder.bench.vault.stores[0]).is_empty());
    let survey = shredder.bench.survey(&shredder.bench.vault.stores).unwrap();
    let now = shredder.bench.vault.clock.now();
    let anomaly = shred::check_clock(&survey, &ALL, now).unwrap();
    assert_eq!(anomaly.map(|anomaly| anomaly.found), Some(now), "it is recorded");
}

/// G-6 G-7 G-10 G-11
#[test]
fn it_is_recorded_everywhere_then_erased_everywhere_and_what_was_seen_is_signed() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 2));
    let planted = ObjectKey::Generation(shredder.old, 7);
    let mirror = &shredder.bench.vault.stores[1];
    mirror.put_new(&planted, Content::Bytes(b"x"), &sha256(b"x")).unwrap();
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let watch = |store: &Arc<dyn Store>| -> Arc<dyn Store> {
        let calls = calls.clone();
        let note = move |call: &Call| {
            if matches!(call, Call::PutNew(_) | Call::Erase(_)) {
                calls.lock().unwrap().push(*call);
            }
            false
        };
        Arc::new(FaultyStore::new(store.clone()).fail_calls(Mode::NotDone, note))
    };
    let stores: Vec<_> = shredder.bench.vault.stores.iter().map(watch).collect();
    let done = shredder.shred_in(&stores).unwrap();
    let calls = calls.lock().unwrap();
    let is_put = |call: &Call| matches!(call, Call::PutNew(_));
    // Event and checkpoint in two stores, then what is erased, then the certificate.
    assert!(calls[..4].iter().all(is_put) && !is_put(&calls[4]), "{calls:?}");
    assert!(calls[4..calls.len() - 4].iter().all(|call| !is_put(call)), "{calls:?}");
    assert!(calls[calls.len() - 4..].iter().all(is_put), "{calls:?}");
    for store in &shredder.bench.vault.stores {
        assert!(shredder.key_files(store).is_empty());
        let said = shredder.said(store);
        let [before, after] = &said[..] else { panic!("{said:?}") };
        assert_eq!((&before.certificate, &before.revs[..]), (&None, &[1, 7][..]));
        let certificate = after.certificate.as_ref().unwrap();
        assert_eq!(Some(certificate), done.certificate.as_ref());
        let words: Vec<&str> = NOT_COVERED.iter().map(|(word, _)| *word).collect();
        assert_eq!(certificate.not_covered, words);
        let seen: Vec<_> =
            certificate.stores.iter().map(|one| (one.store.as_str(), one.erased_count)).collect();
        assert_eq!(seen, [("local", 1), ("mirror", 2)]);
    }
    // What nothing opens any more is left to a prune.
    let findings = shredder.bench.vault.verify(Level::Contents).findings;
    assert!(
        findings.iter().all(|finding| finding.code == Code::ObjectUnreferenced),
        "{findings:?}"
    );
}

/// G-8 G-10
#[test]
fn what_one_store_does_not_let_go_keeps_no_other_and_is_gone_with_the_next_run() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    let refuses = |call: &Call| matches!(call, Call::Erase(ObjectKey::Generation(..)));
    let first = FaultyStore::new(shredder.bench.vault.stores[0].clone());
    let first: Arc<dyn Store> = Arc::new(first.fail_calls(Mode::NotDone, refuses));
    let stores = [first, shredder.bench.vault.stores[1].clone()];
    let done = shredder.shred_in(&stores).unwrap();
    assert!(done.certificate.is_none());
    assert_eq!(done.stores[0].left, [ObjectKey::Generation(shredder.old, 1)]);
    assert!(shredder.key_files(&shredder.bench.vault.stores[1]).is_empty());
    assert!(shredder.bench.vault.events.warnings().contains(&Code::ShredWaiting));
    let again = shredder.shred().unwrap();
    assert!(again.certificate.is_some());
    let said = shredder.said(&shredder.bench.vault.stores[1]);
    let certified: Vec<bool> = said.iter().map(|said| said.certificate.is_some()).collect();
    assert_eq!(certified, [false, true], "it is recorded once");
}

/// G-12
#[test]
fn a_key_file_that_is_there_again_is_found_and_erased_with_another_certificate() {
    let shredder = Shredder::emptied(Bench::new("keep_last = 1", 1));
    let (key, store) = (ObjectKey::Generation(shredder.old, 1), &shredder.bench.vault.stores[0]);
    let bytes = store.get(&key, 1_000_000).unwrap();
    shredder.shred().unwrap();
    store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    let report = shredder.bench.vault.verify(Level::Stored);
    let found = report.findings.iter().find(|finding| finding.object.contains(&key.to_string()));
    assert_eq!(found.map(|finding| finding.code), Some(Code::ShredWaiting));
    shredder.shred().unwrap();
    assert!(shredder.key_files(store).is_empty());
    assert_eq!(shredder.said(store).len(), 3);
}

/// G-16
#[test]
fn that_a_generation_was_shredded_under_a_snapshot_that_stands_is_found() {
    let shredder = Shredder::new(1);
    let standing = shredder.bench.plan().planned()[0].candidate.id;
    let (revs, stores, certificate) = (vec![1], vec!["local".to_owned()], None);
    let generation = shredder.old;
    let said = GenerationShredded { generation, revs, stores, certificate };
    shredder.bench.say(EventPayload::GenerationShredded(said));
    let report = shredder.bench.vault.verify(Level::Ledger);
    let note = ObjectKey::Note(standing).to_string();
    let found = report.findings.iter().find(|finding| finding.object.contains(&note));
    assert_eq!(found.map(|finding| finding.code), Some(Code::NoteMismatch));
}

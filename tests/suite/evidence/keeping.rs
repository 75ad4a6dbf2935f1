//! In which class objects are, and until when they are locked.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, GenerationId, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::SnapshotTaken;
use idswyft_vault::format::role::Role;
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::report::Verdict;
use idswyft_vault::ops::verify::{Evidence, Level, Part, Request, verify_as};
use idswyft_vault::ops::{prolong, signers};
use idswyft_vault::store::{Lock, LockMode, StorageClass, Store};
use jiff::{SignedDuration, Timestamp};

use super::{detail, found, gap, keys, try_verify, verify};
use crate::retention::bench::{Bench, ending_after};
use crate::support::bucket::{Bucket, Rights};
use crate::support::sha256;
use crate::support::unread::put_snapshot;
use crate::support::vault::noise;

/// A vault whose snapshots have floors, in a bucket.
struct Locked {
    bench: Bench,
    bucket: Bucket,
}

impl Locked {
    /// Makes one with so many nights, and a generation that ends after days, or never.
    fn new(mode: Option<LockMode>, days: Option<u32>, nights: u64) -> Self {
        let (policy, class) = ("keep_last = 99\nfloor = '30d'", StorageClass::DeepArchive);
        let (bench, bucket) = Bench::in_bucket(ending_after(days), policy, 0, class, mode);
        bench.vault.write("document", &noise(1, 9000));
        for night in 0..nights {
            bench.vault.write(&format!("{night}.jpg"), &noise(100 + night, 9000));
            bench.night();
        }
        Self { bench, bucket }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.bucket.clone())
    }

    /// Returns what is found, but for the nights in which time passes here and nothing is taken.
    fn verify(&self, evidence: Evidence<'_>) -> Vec<(&'static str, String)> {
        let mut found = found(&verify(&self.bench.vault, &self.store(), evidence));
        found.retain(|(code, _)| *code != Code::NightMissing.text());
        found
    }

    fn lock_of(&self, key: &ObjectKey) -> Lock {
        self.bucket.stat(key).unwrap().unwrap().lock.unwrap()
    }

    fn now(&self) -> Timestamp {
        self.bench.vault.clock.now()
    }

    /// Ends a lock tomorrow.
    fn cut(&self, key: &ObjectKey) -> Timestamp {
        let until = self.now() + SignedDuration::from_hours(24);
        self.bucket.relock(&key.to_string(), Lock { until, ..self.lock_of(key) });
        until
    }

    fn prolong(&self) {
        let survey = self.bench.survey(&self.bench.vault.stores).unwrap();
        let observer = self.bench.vault.events.as_ref();
        prolong::prolong(&survey, &[], self.now(), observer).unwrap();
    }
}

/// W-2
#[test]
fn a_pack_in_another_class_than_it_must_be_is_found_and_is_no_damage() {
    let locked = Locked::new(None, Some(365), 2);
    let pack = keys(&locked.bucket, Folder::Packs)[0];
    locked.bucket.move_to(&pack.to_string(), StorageClass::Glacier);
    assert_eq!(locked.verify(Evidence::NONE), [], "nobody said which class it must be in");
    let evidence = Evidence { class: Some(StorageClass::DeepArchive), ..Evidence::NONE };
    let report = verify(&locked.bench.vault, &locked.store(), evidence);
    assert_eq!(found(&report), [("class-wrong", pack.to_string())]);
    assert_eq!(detail(&report, &pack), "it is in GLACIER, and must be in DEEP_ARCHIVE");
    assert_eq!(report.verdict, Verdict::Remarks);
    assert_eq!(report.stored.unwrap().classes[&StorageClass::Glacier], 1);
}

/// W-1
#[test]
fn whatever_is_no_pack_and_needs_a_thaw_is_found_once() {
    let locked = Locked::new(None, Some(365), 1);
    let bucket = &locked.bucket;
    let snapshots = keys(bucket, Folder::Snapshots);
    let body = snapshots.iter().find(|key| matches!(key, ObjectKey::Body(_))).unwrap();
    let segment = keys(bucket, Folder::Segments)[0];
    for key in [body, &segment] {
        bucket.move_to(&key.to_string(), StorageClass::Glacier);
    }
    let expected = [("class-wrong", segment.to_string()), ("class-wrong", body.to_string())];
    assert_eq!(locked.verify(Evidence::NONE), expected);
    // An event that is read today from a thawed copy is out of reach once that expires.
    let event = keys(bucket, Folder::Ledger)[0];
    bucket.move_to(&event.to_string(), StorageClass::Glacier);
    let unread = locked.verify(Evidence::NONE);
    let names = unread.iter().filter(|(_, object)| *object == event.to_string());
    assert_eq!(names.count(), 1, "{unread:?}");
    bucket.thaw(&event, idswyft_vault::store::ThawTier::Expedited, 3).unwrap();
    assert!(locked.verify(Evidence::NONE).contains(&("class-wrong", event.to_string())));
}

/// W-3
#[test]
fn a_class_that_many_packs_share_is_one_finding() {
    let locked = Locked::new(None, Some(365), 1);
    let many = super::many::Many::new(&locked.bucket, 101);
    let snapshot = many.put_snapshot(&locked.bench.vault);
    let store: Arc<dyn Store> = Arc::new(many);
    let evidence = Evidence { class: Some(StorageClass::DeepArchive), ..Evidence::NONE };
    let report = verify(&locked.bench.vault, &store, evidence);
    let first = super::many::made_up(0);
    let pending = ("record-pending", ObjectKey::Note(snapshot).to_string());
    assert_eq!(found(&report), [pending, ("class-wrong", "packs/".to_owned())]);
    let said = &report.findings[1].detail;
    assert!(said.starts_with("101 objects of it, the first of them packs/00/"), "{said}");
    assert!(said.contains(&first.to_string()) && said.ends_with("must be in DEEP_ARCHIVE"));
}

/// W-4
#[test]
fn nothing_is_found_of_locks_that_hold_and_each_that_was_cut_is() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 4);
    assert_eq!(locked.verify(Evidence::NONE), []);
    let snapshots = keys(&locked.bucket, Folder::Snapshots);
    let note = snapshots.iter().find(|key| matches!(key, ObjectKey::Note(_))).unwrap();
    let list = snapshots.iter().find(|key| matches!(key, ObjectKey::List(_))).unwrap();
    let body = snapshots.iter().find(|key| matches!(key, ObjectKey::Body(_))).unwrap();
    let cut = [
        keys(&locked.bucket, Folder::Generations)[0],
        keys(&locked.bucket, Folder::Packs)[0],
        keys(&locked.bucket, Folder::Trees)[0],
        keys(&locked.bucket, Folder::Segments)[0],
        *body,
        *note,
        *list,
    ];
    let until = cut.map(|key| locked.cut(&key))[0];
    let report = verify(&locked.bench.vault, &locked.store(), Evidence::NONE);
    let mut expected = cut.map(|key| ("lock-cut", key.to_string()));
    expected.sort();
    assert_eq!(found(&report), expected);
    let said = detail(&report, &cut[1]);
    assert!(
        said.starts_with(&format!("it is locked until {until}, and must be until 20")),
        "{said}"
    );
    assert_eq!(report.verdict, Verdict::Damaged);
    let counts = report.stored.unwrap();
    assert_eq!(counts.locked_until, Some(until));
    assert!(counts.locks[&LockMode::Governance] == 1 && counts.not_locked_count == 0);
    locked.prolong();
    assert_eq!(locked.verify(Evidence::NONE), [], "a janitor locks anew");
}

/// W-3
#[test]
fn a_pack_that_was_moved_and_unlocked_is_told_for_both_and_costs_no_snapshot() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 2);
    let pack = keys(&locked.bucket, Folder::Packs)[0];
    locked.bucket.move_to(&pack.to_string(), StorageClass::Standard);
    locked.bucket.unlock(&pack.to_string());
    let must = Evidence { class: Some(StorageClass::DeepArchive), ..Evidence::NONE };
    let report = verify(&locked.bench.vault, &locked.store(), must);
    let pack = pack.to_string();
    assert_eq!(found(&report), [("class-wrong", pack.clone()), ("lock-cut", pack)]);
    assert_eq!(report.touched, [], "it can be read");
}

/// W-4
#[test]
fn a_note_that_promises_nothing_needs_the_lock_that_the_policy_gives() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 1);
    locked.bench.vault.clock.pass_hours(24);
    let snapshot = put_snapshot(&locked.bench.vault, &locked.store(), [], None);
    let cut = |key: ObjectKey| ("lock-cut", key.to_string());
    let found = locked.verify(Evidence::NONE);
    let own = [ObjectKey::Body, ObjectKey::List, ObjectKey::Note, ObjectKey::Segment];
    for key in own.map(|kind| kind(snapshot)) {
        assert!(found.contains(&cut(key)), "{key}: {found:?}");
    }
}

/// Puts a snapshot whose id and note are dated back; the bucket has it today.
fn put_dated_back(locked: &Locked, days: i64) -> SnapshotId {
    let (vault, bucket) = (&locked.bench.vault, &locked.bucket);
    vault.clock.pass_hours(-24 * days);
    let snapshot = put_snapshot(vault, &locked.store(), [], None);
    vault.clock.pass_hours(24 * days);
    let own = [ObjectKey::Body, ObjectKey::List, ObjectKey::Note, ObjectKey::Segment];
    for name in own.map(|kind| kind(snapshot).to_string()) {
        let bytes = bucket.get(&name.parse().unwrap(), u64::MAX).unwrap();
        bucket.damage(&name, &bytes);
    }
    snapshot
}

/// W-4
#[test]
fn a_note_that_is_dated_back_needs_the_lock_from_when_it_was_recorded() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 1);
    let (bench, store) = (&locked.bench, locked.store());
    let snapshot = put_dated_back(&locked, 40);
    let note = ObjectKey::Note(snapshot);
    let cut = ("lock-cut", note.to_string());
    // Where nothing but the store tells when it came, it may be a copy.
    let report = verify(&bench.vault, &store, Evidence::NONE);
    assert!(!found(&report).contains(&cut));
    assert!(gap(&report, "whether 1 snapshots should be locked still: ").is_some(), "{report:?}");
    let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
    let events = signers::events_for(Role::Writer, &[]).unwrap();
    let observer = bench.vault.events.as_ref();
    signers::add(&mut bench.desk(), key.verification_key(), Role::Writer, events, observer)
        .unwrap();
    let signed = bench.vault.auditor(&store).snapshot(snapshot).unwrap();
    let taken = EventPayload::SnapshotTaken(SnapshotTaken {
        snapshot,
        note_sha256: sha256(&store.get(&note, u64::MAX).unwrap()),
        stored_len: signed.stored_len,
        new_len: signed.new_len,
    });
    bench.forge_as(&key, std::slice::from_ref(&store), locked.now(), vec![taken]);
    let report = verify(&bench.vault, &store, Evidence::NONE);
    for kind in [ObjectKey::Body, ObjectKey::List, ObjectKey::Note, ObjectKey::Segment] {
        let cut = ("lock-cut", kind(snapshot).to_string());
        assert!(found(&report).contains(&cut), "{cut:?}: {:?}", report.findings);
    }
    assert!(gap(&report, "whether 1 snapshots should be locked still: ").is_none());
}

/// W-4, W-7, Y-10
#[test]
fn where_only_records_are_locked_every_part_knows_that_the_store_locks() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 3);
    let (bucket, vault) = (&locked.bucket, &locked.bench.vault);
    for folder in [Folder::Packs, Folder::Trees, Folder::Segments] {
        keys(bucket, folder).iter().for_each(|key| bucket.unlock(&key.to_string()));
    }
    let bodies = keys(bucket, Folder::Snapshots).into_iter();
    for body in bodies.filter(|key| matches!(key, ObjectKey::Body(_))) {
        bucket.unlock(&body.to_string());
    }
    let look = |shard: Option<&str>| {
        let part = Part { shard: shard.map(|text| text.parse().unwrap()), ..Part::default() };
        let now = Some(vault.clock.now());
        let request = Request { now, part: Some(&part), ..Request::of(Level::Stored) };
        let auditor = vault.auditor(&locked.store());
        let report = verify_as(&auditor, None, &request, vault.events.as_ref()).unwrap();
        assert!(!report.not_covered.iter().any(|gap| gap.contains("shows no lock")), "{shard:?}");
        let counts = report.stored.as_ref().unwrap();
        let locks: u64 = counts.locks.values().sum();
        let mut cut = found(&report);
        cut.retain(|(code, _)| *code == "lock-cut");
        (cut, locks)
    };
    let (whole, locks) = look(None);
    assert!(whole.len() > 9 && locks > 6, "{whole:?} {locks}");
    let parts = [1, 2, 3, 4, 5, 6, 7].map(|index| look(Some(&format!("{index}/7"))));
    let mut all: Vec<_> = parts.iter().flat_map(|(cut, _)| cut.clone()).collect();
    all.sort();
    assert_eq!((all, parts.iter().map(|(_, locks)| locks).sum::<u64>()), (whole, locks));
}

/// W-6
#[test]
fn a_note_that_names_a_generation_of_another_age_is_judged_like_any_other() {
    let locked = Locked::new(Some(LockMode::Compliance), None, 2);
    let vault = &locked.bench.vault;
    let auditor = vault.auditor(&locked.store());
    let newest = *auditor.snapshots().unwrap().sound.keys().next_back().unwrap();
    for time in ["9999-12-30T00:00:00Z", "0000-01-01T00:00:00Z"] {
        let generation = GenerationId::new(time.parse().unwrap(), [1; 4]);
        let note = auditor.snapshot(newest).unwrap();
        let signed =
            vault.writer().key().sign(&SnapshotNote { generation, ..note }.compose().unwrap());
        locked.bucket.put_like(
            &ObjectKey::Note(newest).to_string(),
            &ObjectKey::Note(newest).to_string(),
            &signed.unwrap(),
        );
        let found = locked.verify(Evidence::NONE);
        assert!(found.iter().all(|(code, _)| *code == "note-mismatch"), "{found:?}");
    }
}

/// W-4
#[test]
fn a_floor_that_is_past_needs_no_lock() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 2);
    let pack = keys(&locked.bucket, Folder::Packs)[0];
    let segment = keys(&locked.bucket, Folder::Segments)[0];
    locked.bench.vault.clock.pass_hours(24 * 31);
    locked.bench.night();
    // The third night leans on nothing that is as old.
    for key in [pack, segment] {
        locked.cut(&key);
    }
    assert_eq!(locked.verify(Evidence::NONE), [], "the first two snapshots may go");
    let segment = ObjectKey::Segment(locked.bench.night());
    locked.cut(&segment);
    assert_eq!(locked.verify(Evidence::NONE), [("lock-cut", segment.to_string())]);
}

/// W-6
#[test]
fn locks_may_wait_some_days_to_be_extended_and_not_for_ever() {
    let locked = Locked::new(Some(LockMode::Compliance), None, 5);
    assert_eq!(locked.verify(Evidence::NONE), [], "what the first put is locked until its floor");
    locked.bench.vault.clock.pass_hours(24 * 9);
    let late = locked.verify(Evidence::NONE);
    assert!(!late.is_empty() && late.iter().all(|(code, _)| *code == "lock-cut"), "{late:?}");
    locked.prolong();
    assert_eq!(locked.verify(Evidence::NONE), []);
    // A lock that ends before the first snapshot may go was cut, however young they all are.
    let young = Locked::new(Some(LockMode::Compliance), None, 3);
    let pack = keys(&young.bucket, Folder::Packs)[0];
    young.cut(&pack);
    assert_eq!(young.verify(Evidence::NONE), [("lock-cut", pack.to_string())]);
}

/// W-4
#[test]
fn a_vault_of_several_generations_keeps_its_locks() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(3), 9);
    assert!(keys(&locked.bucket, Folder::Generations).len() > 2);
    assert_eq!(locked.verify(Evidence::NONE), []);
    locked.prolong();
    assert_eq!(locked.verify(Evidence { lock: Some(LockMode::Compliance), ..Evidence::NONE }), []);
}

/// W-5
#[test]
fn a_lock_that_can_be_lifted_is_found_where_none_may_be() {
    let locked = Locked::new(Some(LockMode::Compliance), Some(365), 1);
    let pack = keys(&locked.bucket, Folder::Packs)[0];
    let weak = Lock { mode: LockMode::Governance, ..locked.lock_of(&pack) };
    locked.bucket.relock(&pack.to_string(), weak);
    assert_eq!(locked.verify(Evidence::NONE), [], "nobody said which mode it must be");
    let said = |mode| Evidence { lock: Some(mode), ..Evidence::NONE };
    assert_eq!(locked.verify(said(LockMode::Governance)), []);
    // The key file may be under GOVERNANCE, so that it can be shredded.
    let expected = [("lock-cut", pack.to_string())];
    assert_eq!(locked.verify(said(LockMode::Compliance)), expected);
}

/// W-7
#[test]
fn a_lock_that_is_not_told_is_not_one_that_is_missing() {
    let locked = Locked::new(None, Some(365), 1);
    let report = verify(&locked.bench.vault, &locked.store(), Evidence::NONE);
    assert_eq!(found(&report), []);
    assert!(
        gap(&report, "whether ").is_some_and(|gap| gap.contains("shows no lock")),
        "{report:?}"
    );
    let must = Evidence { lock: Some(LockMode::Compliance), ..Evidence::NONE };
    let report = verify(&locked.bench.vault, &locked.store(), must);
    assert!(found(&report).iter().all(|(code, _)| *code == "lock-cut"));
    // Its two packs or more, trees, body, segment, note, list and key file.
    assert!(report.findings.len() >= 7, "{report:?}");
    let blind: Arc<dyn Store> =
        Arc::new(locked.bucket.seen_by(Rights { bypass: false, ..Rights::ALL }));
    let report = verify(&locked.bench.vault, &blind, must);
    assert_eq!(found(&report), []);
    assert!(gap(&report, "the locks of ").is_some_and(|gap| gap.contains("GetObjectRetention")));
}

/// W-7
#[test]
fn a_directory_that_must_lock_is_refused() {
    let vault = crate::support::vault::TestVault::new();
    let must = Evidence { lock: Some(LockMode::Governance), ..Evidence::NONE };
    let error = try_verify(&vault, &vault.stores[0], must).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    assert!(error.to_string().contains("a directory locks nothing"), "{error}");
}

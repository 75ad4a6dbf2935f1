//! What somebody who may put and delete can plant, and what is then still found: at once, and not
//! hidden by it.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, SignerId, SnapshotId};
use idswyft_vault::crypto::checkpoint::TreeHead;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{ClockAnomaly, SnapshotForgotten};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::history::Kept;
use idswyft_vault::ops::report::Verdict;
use idswyft_vault::ops::verify::{self, Finding, Level, Request, VerifyReport};
use idswyft_vault::store::{Content, StorageClass, Store};
use idswyft_vault::vault::journal::Journal;
use idswyft_vault::vault::{Unlocked, ledger};
use jiff::{SignedDuration, Timestamp};

use crate::books::fixture::{hold, verified};
use crate::replicas::keys_in;
use crate::retention::bench::{Bench, copy_with};
use crate::support::sha256;

/// Verifies notes and ledgers, at the time of the vault or at none.
fn audit_at(bench: &Bench, store: &Arc<dyn Store>, now: Option<Timestamp>) -> VerifyReport {
    let request = Request { now, ..Request::of(Level::Ledger) };
    let auditor = bench.vault.auditor(store);
    verify::verify_as(&auditor, None, &request, bench.vault.events.as_ref()).unwrap()
}

fn audit(bench: &Bench) -> VerifyReport {
    audit_at(bench, &bench.vault.stores[0], Some(bench.vault.clock.now()))
}

fn found(report: &VerifyReport) -> Vec<(Code, String)> {
    let named = |one: &Finding| (one.code, one.object.clone());
    report.findings.iter().map(named).collect()
}

fn forgets(snapshot: SnapshotId) -> EventPayload {
    let (rule, by) = ("no rule keeps it".to_owned(), "retain".to_owned());
    EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by })
}

fn put(store: &Arc<dyn Store>, key: ObjectKey, bytes: &[u8]) {
    store.put_new(&key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
}

fn size(bench: &Bench, signer: SignerId) -> u64 {
    let is_event = |key: &&ObjectKey| matches!(key, ObjectKey::LedgerEvent(id, _) if *id == signer);
    let keys = keys_in(bench.vault.stores[0].as_ref(), Folder::Ledger);
    keys.iter().filter(is_event).count() as u64
}

/// V-136
#[test]
fn a_number_that_somebody_planted_costs_nothing_and_only_shows_the_gap_before_it() {
    let parameters = Parameters::initial();
    let (bench, bucket) = Bench::in_bucket(parameters, "", 2, StorageClass::Standard, None);
    let host = bench.vault.writer().key().signer_id();
    let size = size(&bench, host);
    for planted in [9_999_999_999_999, u64::MAX] {
        let bucket = bucket.copied().taking(4);
        let store: Arc<dyn Store> = Arc::new(bucket);
        put(&store, ObjectKey::LedgerEvent(host, planted), b"{}\n");
        let gap = (Code::LedgerBroken, ObjectKey::LedgerEvent(host, size).to_string());
        let auditor = bench.vault.auditor(&store);
        let unlocked = Unlocked::new(auditor, bench.vault.identities()).unwrap();
        let events = bench.vault.events.as_ref();
        let report =
            verify::verify(unlocked.auditor(), Some(&unlocked), Level::Contents, None, events);
        assert_eq!(found(&report.unwrap()), [gap]);
    }
}

/// V-217 V-219
#[test]
fn whoever_may_only_put_and_delete_cannot_hide_what_is_gone_behind_a_newer_format() {
    let bench = Bench::new("keep_last = 9", 4);
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), verified());
    let (store, janitor) = (&bench.vault.stores[0], bench.janitor.signer_id());
    let taken: Vec<SnapshotId> =
        bench.plan().planned().iter().map(|one| one.candidate.id).collect();
    for id in &taken[..3] {
        store.delete(&ObjectKey::Note(*id)).unwrap();
    }
    put(store, ObjectKey::LedgerEvent(janitor, 1), b"{\"v\":2,\"requires\":[]}\n");
    let before = store.get(&ObjectKey::LedgerCheckpoint(janitor, 0), 1 << 20).unwrap();
    put(store, ObjectKey::LedgerCheckpoint(janitor, 1), &before);
    let report = audit(&bench);
    let checkpoint = ObjectKey::LedgerCheckpoint(janitor, 1).to_string();
    let expected = [
        (Code::LedgerBroken, checkpoint),
        (Code::ObjectMissing, "notes of 3 snapshots".to_owned()),
    ];
    let mut all = found(&report);
    all.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(all, expected, "{:#?}", report.findings);
    assert_eq!(report.verdict, Verdict::Damaged);
    let missing = report.findings.iter().find(|one| one.code == Code::ObjectMissing).unwrap();
    assert!(taken[..3].iter().all(|id| missing.detail.contains(&id.to_string())), "{missing:?}");
}

/// V-217
#[test]
fn that_a_newer_program_wrote_an_event_is_believed_of_its_signer() {
    let bench = Bench::new("", 1);
    let (store, janitor) = (&bench.vault.stores[0], &bench.janitor);
    let leaf = b"{\"v\":2,\"requires\":[]}\n";
    let signed = Journal::empty().append_leaf(janitor, bench.vault.report.vault, leaf).unwrap();
    let Payload::Bytes(checkpoint) = signed.payload else { panic!("a checkpoint is bytes") };
    let signer = janitor.signer_id();
    put(store, ObjectKey::LedgerEvent(signer, 0), leaf);
    put(store, ObjectKey::LedgerCheckpoint(signer, 0), &checkpoint);
    let event = ObjectKey::LedgerEvent(signer, 0).to_string();
    assert_eq!(found(&audit(&bench)), [(Code::FormatTooNew, event)]);
}

/// L-10 V-217
#[test]
fn what_is_planted_in_the_log_of_a_host_is_found_and_the_nights_behind_it_are_not_covered() {
    let bench = Bench::new("", 2);
    let (store, host) = (&bench.vault.stores[0], bench.vault.writer().key().signer_id());
    let next = size(&bench, host);
    put(store, ObjectKey::LedgerEvent(host, next), b"{\"v\":2,\"requires\":[]}\n");
    put(store, ObjectKey::LedgerCheckpoint(host, next), b"anything\n");
    bench.vault.clock.pass_hours(24 * 9);
    let report = audit(&bench);
    let checkpoint = ObjectKey::LedgerCheckpoint(host, next).to_string();
    assert_eq!(found(&report), [(Code::SignatureInvalid, checkpoint)]);
    let is_said = |gap: &String| gap.starts_with("whether nights are missing since ");
    assert!(report.not_covered.iter().any(is_said), "{:?}", report.not_covered);
}

/// F-44 V-218
#[test]
fn a_deletion_that_is_dated_ahead_is_early_all_the_same() {
    let bench = Bench::new("keep_last = 9\nfloor = '4y'", 2);
    let (stores, janitor) = (&bench.vault.stores, bench.janitor.signer_id());
    let (old, now) = (bench.plan().planned()[0].candidate.id, bench.vault.clock.now());
    let ahead = now + SignedDuration::from_hours(24 * 365 * 5);
    // What it says of its clock itself excuses nothing.
    let anomaly = EventPayload::ClockAnomaly(ClockAnomaly { known: ahead, found: now });
    bench.forge_as(&bench.janitor, stores, ahead, vec![forgets(old), anomaly]);
    for store in stores {
        store.delete(&ObjectKey::Note(old)).unwrap();
    }
    let event = ObjectKey::LedgerEvent(janitor, 0).to_string();
    let early = [(Code::ForgottenEarly, event)];
    // The store knows when it got it, whatever time it is.
    assert_eq!(found(&audit(&bench)), early);
    assert_eq!(found(&audit_at(&bench, &stores[0], None)), early);
    // In a copy of the store that was made late, who quoted it does.
    bench.say(verified());
    let late = copy_with(&stores[0], ahead, |_| ahead);
    let report = audit_at(&bench, &late, None);
    assert_eq!(found(&report), early);
    assert!(report.findings[0].detail.contains("it is dated "), "{:?}", report.findings);
}

/// V-218
#[test]
fn an_event_that_is_dated_after_now_is_found() {
    let bench = Bench::new("", 1);
    let (now, janitor) = (bench.vault.clock.now(), bench.janitor.signer_id());
    bench.forge(&bench.vault.stores, now + SignedDuration::from_hours(25), verified());
    let event = ObjectKey::LedgerEvent(janitor, 0).to_string();
    let report = audit(&bench);
    assert_eq!(found(&report), [(Code::RecordBackdated, event)]);
    assert!(report.findings[0].detail.ends_with("a day after now"), "{:?}", report.findings);
    bench.vault.clock.pass_hours(1);
    assert_eq!(found(&audit(&bench)), []);
}

/// F-44
#[test]
fn a_deletion_under_a_hold_is_not_excused_by_a_date_after_its_end() {
    let bench = Bench::new("keep_last = 9", 2);
    let (stores, now) = (&bench.vault.stores, bench.vault.clock.now());
    let old = bench.plan().planned()[0].candidate.id;
    let EventPayload::HoldPlaced(mut placed) = hold(old) else { panic!("it is a hold") };
    placed.until = Some(now + SignedDuration::from_hours(24 * 90));
    bench.say(EventPayload::HoldPlaced(placed));
    let ahead = now + SignedDuration::from_hours(24 * 99);
    bench.forge(stores, ahead, forgets(old));
    let event = ObjectKey::LedgerEvent(bench.janitor.signer_id(), 0).to_string();
    let report = audit_at(&bench, &stores[0], None);
    assert_eq!(found(&report), [(Code::ForgottenEarly, event)]);
    assert!(report.findings[0].detail.contains("under the hold"), "{:?}", report.findings);
}

/// V-220
#[test]
fn a_store_of_which_nothing_is_left_but_its_first_note_is_not_sound() {
    let bench = Bench::new("", 1);
    let store = &bench.vault.stores[0];
    let first = ObjectKey::Vault(1);
    for folder in Folder::ALL {
        for key in keys_in(store.as_ref(), folder) {
            if key != first {
                store.delete(&key).unwrap();
            }
        }
    }
    let created = bench.vault.auditor(store).note().time;
    let later = created + SignedDuration::from_hours(25);
    let gone = audit_at(&bench, store, Some(later));
    assert_eq!(found(&gone), [(Code::LedgerBroken, first.to_string())]);
    assert_eq!(gone.verdict, Verdict::Damaged);
    // What an `init` leaves that was interrupted looks the same, for a day.
    let young = audit_at(&bench, store, Some(created));
    assert_eq!(found(&young), [(Code::RecordPending, first.to_string())]);
}

/// V-220
#[test]
fn ledgers_that_are_gone_while_notes_are_there_are_found_also_on_the_first_day() {
    let bench = Bench::new("", 1);
    let store = &bench.vault.stores[0];
    for key in keys_in(store.as_ref(), Folder::Ledger) {
        store.delete(&key).unwrap();
    }
    let created = bench.vault.auditor(store).chain()[0].note.time;
    let first = (Code::LedgerBroken, ObjectKey::Vault(1).to_string());
    assert!(found(&audit_at(&bench, store, Some(created))).contains(&first));
}

/// L-14
#[test]
fn nights_that_are_made_up_for_afterwards_stay_missing() {
    let bench = Bench::new("", 3);
    let before = bench.vault.clock.now();
    bench.vault.clock.pass_hours(24 * 7);
    // Six nights at once, with the ids of the six before.
    let (key, vault) = (bench.vault.writer(), bench.vault.report.vault);
    let (store, host) = (&bench.vault.stores[0], key.key().signer_id());
    let mut journal = Journal::empty();
    for seq in 0..size(&bench, host) {
        let leaf = store.get(&ObjectKey::LedgerEvent(host, seq), 1 << 20).unwrap();
        journal.append_leaf(key.key(), vault, &leaf).unwrap();
    }
    let now = bench.vault.clock.now();
    for night in 1..=6 {
        let time = before + SignedDuration::from_hours(24 * night);
        let snapshot = SnapshotId::new(time, [9; 4]);
        let taken = super::record::taken(snapshot);
        for object in journal.append(key.key(), vault, now, taken, Vec::new()).unwrap() {
            let Payload::Bytes(bytes) = &object.payload else { panic!("what is signed is bytes") };
            put(store, object.key, bytes);
        }
    }
    let report = audit(&bench);
    let missing: Vec<&Finding> =
        report.findings.iter().filter(|one| one.code == Code::NightMissing).collect();
    assert_eq!(missing.len(), 1, "{:#?}", report.findings);
    assert_eq!((report.record.gaps[0].from, report.record.gaps[0].to), (before, Some(now)));
}

/// L-16
#[test]
fn records_that_a_store_got_late_are_told() {
    let bench = Bench::new("", 3);
    let late = |gap: &&String| gap.contains("more than a day later");
    let told = |report: &VerifyReport| report.not_covered.iter().find(late).cloned();
    assert_eq!(told(&audit(&bench)), None);
    let now = bench.vault.clock.now();
    let copy = copy_with(&bench.vault.stores[0], now, |_| now);
    let report = audit_at(&bench, &copy, Some(now));
    assert_eq!(report.findings, []);
    let gap = told(&report).unwrap();
    assert!(gap.starts_with("whether 1 snapshots "), "{gap}");
}

/// L-15 V-210
#[test]
fn a_store_that_was_rolled_back_behind_a_signer_is_told_by_its_checkpoint() {
    let bench = Bench::new("", 1);
    let (store, janitor) = (&bench.vault.stores[0], bench.janitor.signer_id());
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), verified());
    let checkpoint = store.get(&ObjectKey::LedgerCheckpoint(janitor, 0), 1 << 20).unwrap();
    let logs = ledger::read_all(&bench.vault.auditor(store)).unwrap();
    let operator = bench.desk().operator.signer();
    let added = logs.iter().find(|log| log.signer == operator).unwrap().head.size - 1;
    // As it was before the janitor was added.
    for key in [
        ObjectKey::Vault(2),
        ObjectKey::LedgerEvent(janitor, 0),
        ObjectKey::LedgerCheckpoint(janitor, 0),
        ObjectKey::LedgerEvent(operator, added),
        ObjectKey::LedgerCheckpoint(operator, added),
    ] {
        store.delete(&key).unwrap();
    }
    assert_eq!(audit(&bench).findings, [], "nothing that is there tells");
    let kept = [Kept { name: "janitor".to_owned(), bytes: checkpoint.clone() }];
    let request = Request { since: &kept, ..Request::of(Level::Ledger) };
    let (auditor, events) = (bench.vault.auditor(store), bench.vault.events.as_ref());
    let report = verify::verify_as(&auditor, None, &request, events).unwrap();
    let first = ObjectKey::LedgerEvent(janitor, 0).to_string();
    assert_eq!(found(&report), [(Code::LedgerBroken, first)]);
    let row = &report.since[0];
    assert!(row.signer == janitor && row.size_then == 1 && row.problem.is_some(), "{row:?}");
    // One of another vault is refused, and so is what nobody signed.
    let other = TreeHead { size: 1, root: sha256(b"root") };
    let foreign = other.compose_checkpoint(Bench::new("", 0).vault.report.vault, janitor);
    let unsigned = other.compose_checkpoint(auditor.vault(), janitor);
    for text in [format!("{foreign}\n— somebody AAAA\n"), unsigned] {
        let kept = [Kept { name: "other".to_owned(), bytes: text.into_bytes() }];
        let request = Request { since: &kept, ..Request::of(Level::Ledger) };
        assert!(verify::verify_as(&auditor, None, &request, events).is_err());
    }
}

//! The ledgers against what somebody kept of them: checkpoints, and reports of earlier years.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, SignerId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::ops::Error;
use idswyft_vault::ops::history::Kept;
use idswyft_vault::ops::report::Report;
use idswyft_vault::ops::verify::{self, Level, Request, VerifyReport};
use idswyft_vault::store::Store;
use idswyft_vault::vault::ledger;
use serde_json::json;

use crate::books::fixture::verified;
use crate::retention::bench::Bench;

const NOTHING_KEPT: &str = "newest checkpoint that you kept yourself";

fn compare(bench: &Bench, store: &Arc<dyn Store>, since: &[Kept]) -> Result<VerifyReport, Error> {
    let request = Request { since, ..Request::of(Level::Ledger) };
    verify::verify_as(&bench.vault.auditor(store), None, &request, bench.vault.events.as_ref())
}

fn kept(name: &str, bytes: impl Into<Vec<u8>>) -> Kept {
    Kept { name: name.to_owned(), bytes: bytes.into() }
}

/// Returns what can be kept of a vault: checkpoints, their JSON, and a report.
fn all_kept(bench: &Bench) -> [Kept; 3] {
    let store = &bench.vault.stores[0];
    let logs = ledger::read_all(&bench.vault.auditor(store)).unwrap();
    let texts = logs.iter().filter_map(|log| log.checkpoint.clone());
    let texts: Vec<String> = texts.map(|text| String::from_utf8(text).unwrap()).collect();
    let printed: Vec<_> = texts.iter().map(|text| json!({ "checkpoint": text })).collect();
    let printed = json!({ "ledgers": printed, "warnings": [] }).to_string();
    let now = bench.vault.clock.now();
    let report = Report::new(now, now, vec![compare(bench, store, &[]).unwrap()]);
    let report = serde_json::to_vec(&report).unwrap();
    [kept("checkpoints", texts.join("\n")), kept("printed", printed), kept("report", report)]
}

fn signers(bench: &Bench) -> [SignerId; 2] {
    [bench.vault.writer().key().signer_id(), bench.desk().operator.signer()]
}

/// L-11 L-13
#[test]
fn what_only_grew_extends_everything_that_was_kept_and_the_report_lists_it() {
    let bench = Bench::new("", 2);
    let all = all_kept(&bench);
    bench.night();
    let report = compare(&bench, &bench.vault.stores[0], &all).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.since.iter().all(|row| row.problem.is_none() && row.size_then > 0));
    for name in ["checkpoints", "printed", "report"] {
        let rows: Vec<_> = report.since.iter().filter(|row| row.file == name).collect();
        assert_eq!(rows.len(), 2, "{rows:?}");
        for signer in signers(&bench) {
            let row = rows.iter().find(|row| row.signer == signer).unwrap();
            let grown = signer == signers(&bench)[0];
            assert_eq!(row.size_now > row.size_then, grown, "{row:?}");
        }
    }
    let gaps = &report.not_covered;
    assert!(!gaps.iter().any(|gap| gap.contains(NOTHING_KEPT)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| gap.contains("after what the ledgers were compared")));
    assert!(!gaps.iter().any(|gap| gap.contains("nothing that was kept names it")), "{gaps:?}");
    let without = compare(&bench, &bench.vault.stores[0], &[]).unwrap();
    assert!(without.not_covered.iter().any(|gap| gap.contains(NOTHING_KEPT)));
}

/// L-13
#[test]
fn a_ledger_that_was_compared_with_nothing_is_named() {
    let bench = Bench::new("", 1);
    let all = all_kept(&bench);
    // The janitor has said nothing until now.
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), verified());
    let janitor = bench.janitor.signer_id().to_string();
    let report = compare(&bench, &bench.vault.stores[0], &all[..1]).unwrap();
    let names = |gap: &&String| gap.contains("nothing that was kept names it");
    let named: Vec<&String> = report.not_covered.iter().filter(names).collect();
    assert!(named.len() == 1 && named[0].contains(&janitor), "{named:?}");
    assert!(!named[0].contains(&signers(&bench)[0].to_string()), "{named:?}");
}

/// L-11
#[test]
fn a_log_that_was_rolled_back_is_found_once_however_much_was_kept_of_it() {
    let bench = Bench::new("", 3);
    let all = all_kept(&bench);
    let (store, host) = (&bench.vault.stores[0], signers(&bench)[0]);
    let last = compare(&bench, store, &[]).unwrap().ledgers;
    let size = last.iter().find(|head| head.signer == host.to_string()).unwrap().size;
    let logs = ledger::read_all(&bench.vault.auditor(store)).unwrap();
    let mut events = logs.iter().flat_map(|log| &log.events).filter(|event| event.signer == host);
    let is_taken = |event: &&LedgerEvent| matches!(event.payload, EventPayload::SnapshotTaken(_));
    let taken_seq = events.rfind(is_taken).unwrap().seq;
    let last_taken = bench.plan().planned()[2].candidate.id;
    // A store that was rolled back to the night before.
    for seq in taken_seq..size {
        store.delete(&ObjectKey::LedgerEvent(host, seq)).unwrap();
        store.delete(&ObjectKey::LedgerCheckpoint(host, seq)).unwrap();
    }
    store.delete(&ObjectKey::Note(last_taken)).unwrap();
    assert_eq!(compare(&bench, store, &[]).unwrap().findings, [], "nothing else tells");
    let report = compare(&bench, store, &all).unwrap();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].code, Code::LedgerBroken);
    assert!(!report.is_sound() && report.findings[0].detail.contains("checkpoints has"));
    let wrong = report.since.iter().filter(|row| row.problem.is_some());
    assert!(wrong.clone().count() == 3 && wrong.clone().all(|row| row.signer == host));
}

/// L-11
#[test]
fn a_log_that_breaks_off_is_found_for_what_it_is_and_not_again_by_what_was_kept() {
    let bench = Bench::new("", 3);
    let all = all_kept(&bench);
    let (store, host) = (&bench.vault.stores[0], signers(&bench)[0]);
    store.delete(&ObjectKey::LedgerEvent(host, 1)).unwrap();
    let report = compare(&bench, store, &all).unwrap();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].object, ObjectKey::LedgerEvent(host, 1).to_string());
    assert_eq!(report.since.iter().filter(|row| row.problem.is_some()).count(), 3);
}

/// L-12
#[test]
fn what_is_neither_or_of_another_vault_is_refused_by_its_name() {
    let (bench, other) = (Bench::new("", 1), Bench::new("", 1));
    let [checkpoints, printed, report] = all_kept(&other);
    let newer = br#"{"v": 9, "requires": [], "vaults": []}"#;
    let mut lying: Report = Report::parse(&all_kept(&bench)[2].bytes).unwrap();
    lying.vaults[0].ledgers[0].root = "no root".to_owned();
    for (kept, said) in [
        (kept("empty", ""), "the file is empty"),
        (kept("prose", "something else\n"), ""),
        (kept("json", "{\"a\": 1}"), "neither checkpoints nor a report"),
        (kept("cut", &checkpoints.bytes[..40]), ""),
        (kept("newer", newer), "version 9"),
        (kept("lying", serde_json::to_vec(&lying).unwrap()), "the head of"),
        (checkpoints.clone(), ""),
        (printed.clone(), ""),
        (report.clone(), "a report of other vaults"),
    ] {
        let sound = all_kept(&bench);
        let [first, ..] = sound;
        let name = kept.name.clone();
        let refused = compare(&bench, &bench.vault.stores[0], &[first, kept]).unwrap_err();
        assert_eq!(refused.code(), Code::CheckpointInvalid, "{name}");
        let text = refused.to_string();
        let begin = format!("accept the checkpoint: {name}: ");
        assert!(text.starts_with(&begin) && text.contains(said), "{text}");
    }
}

/// L-11
#[test]
fn a_log_of_which_a_report_knows_and_that_is_gone_is_found() {
    let bench = Bench::new("", 1);
    bench.forge(&bench.vault.stores, bench.vault.clock.now(), verified());
    let all = all_kept(&bench);
    let (store, janitor) = (&bench.vault.stores[0], bench.janitor.signer_id());
    store.delete(&ObjectKey::LedgerEvent(janitor, 0)).unwrap();
    store.delete(&ObjectKey::LedgerCheckpoint(janitor, 0)).unwrap();
    let report = compare(&bench, store, &all[2..]).unwrap();
    let found: Vec<_> = report.findings.iter().map(|one| (one.code, &one.object)).collect();
    let first = ObjectKey::LedgerEvent(janitor, 0).to_string();
    assert_eq!(found, [(Code::LedgerBroken, &first)]);
}

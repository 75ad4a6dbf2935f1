//! Verifying in turn, and what is remembered of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::report::{CoverageReport, VerifyReport};
use idswyft_vault::ops::thaw::need;
use idswyft_vault::ops::verify::{Evidence, Level, Method, Part, Request, verify_as};
use idswyft_vault::store::{self, StorageClass, Store};

use super::bench::{damage, look, look_at, look_recorded, objects, sample_of, share, vault_of};
use crate::prune::bench::{LEAN_HOURS, lasting, own_night, prune};
use crate::reading::shelf::Shelf;
use crate::retention::bench::ALL;
use crate::support::forward::forward;
use crate::support::vault::TestVault;

fn rolling(vault: &TestVault, parts: &str) -> Part {
    let method = Some(Method::Rolling(parts.parse().unwrap()));
    Part { method, ..remembering(vault) }
}

fn remembering(vault: &TestVault) -> Part {
    Part { memory: Some(vault.path("memory.sqlite")), ..Part::default() }
}

fn coverage(report: &VerifyReport) -> &CoverageReport {
    report.coverage.as_ref().expect("the run remembers")
}

/// Y-7, Y-8, Y-9
#[test]
fn after_as_many_runs_as_parts_everything_was_looked_at_though_nights_and_prunes_came_between() {
    const PARTS: usize = 4;
    let bench = lasting("keep_last = 3");
    for seed in 0..5 {
        own_night(&bench, seed);
    }
    let store = &bench.vault.stores[0];
    let needed =
        || -> BTreeSet<ObjectKey> { need::of_lists(&bench.vault.auditor(store), None).unwrap() };
    let at_first = needed();
    let part = rolling(&bench.vault, "1/4");
    let mut counts = Vec::new();
    for run in 0..PARTS {
        let report = look(&bench.vault, store, Level::Bytes, &part, None).unwrap();
        assert!(report.findings.iter().all(|one| one.code.exit() == 4), "{:?}", report.findings);
        let (sample, coverage) = (sample_of(&report), coverage(&report));
        assert!(sample.sample_count >= sample.pack_count.div_ceil(PARTS as u64));
        counts.push((coverage.pack_count, coverage.never_count));
        match run {
            0 => drop(own_night(&bench, 100)),
            1 => {
                bench.vault.clock.pass_hours(LEAN_HOURS);
                own_night(&bench, 101);
                bench.apply(&ALL).unwrap();
                prune(&bench);
            }
            2 => drop(own_night(&bench, 102)),
            _ => {}
        }
    }
    let now = needed();
    assert!(!at_first.is_subset(&now) && !now.is_subset(&at_first), "packs came and went");
    let newer = now.difference(&at_first).count() as u64;
    let (_, never_count) = *counts.last().unwrap();
    assert!(never_count <= newer, "of those that were there at first none is left: {counts:?}");
    let memory = rusqlite::Connection::open(bench.vault.path("memory.sqlite")).unwrap();
    let mut select = memory.prepare("SELECT id FROM pack WHERE second IS NOT NULL").unwrap();
    let looked = select.query_map([], |row| row.get::<_, [u8; 32]>(0)).unwrap();
    let looked: BTreeSet<[u8; 32]> = looked.map(|id| id.unwrap()).collect();
    let key = |key: &ObjectKey| *key.pack().unwrap().as_bytes();
    assert!(at_first.intersection(&now).all(|pack| looked.contains(&key(pack))));
    assert!(
        at_first.difference(&now).all(|pack| !looked.contains(&key(pack))),
        "gone is forgotten"
    );
}

/// Y-9, Y-15
#[test]
fn any_run_that_reads_remembers_what_it_found_sound_and_nothing_else() {
    let vault = vault_of(3);
    let all = objects(&vault, Folder::Packs);
    let broken = *all.first().unwrap();
    damage(&vault, &broken);
    let stored = look_at(&vault, Level::Stored, &remembering(&vault));
    assert_eq!(stored.coverage, None, "what was not read is not remembered");
    let report = look_at(&vault, Level::Bytes, &remembering(&vault));
    assert_eq!(
        (coverage(&report).never_count, coverage(&report).month_count),
        (1, all.len() as u64 - 1)
    );
    // What was found sound before and is damaged now is sound no more.
    let other = *all.last().unwrap();
    let path = vault.path("store").join(other.to_string());
    let whole = std::fs::read(&path).unwrap();
    damage(&vault, &other);
    let report = look_at(&vault, Level::Bytes, &remembering(&vault));
    assert_eq!(coverage(&report).never_count, 2);
    std::fs::write(&path, whole).unwrap();
    assert_eq!(coverage(&look_at(&vault, Level::Bytes, &remembering(&vault))).never_count, 1);
    // So it is looked at first, and again and again.
    let (report, read) = look_recorded(&vault, Level::Bytes, &rolling(&vault, "1/6"));
    assert!(read.contains(&broken) && !report.is_sound());
    damage(&vault, &broken);
    let (report, read) = look_recorded(&vault, Level::Bytes, &rolling(&vault, "1/6"));
    assert!(read.contains(&broken) && report.is_sound());
    assert_eq!(coverage(&report).never_count, 0);
    // What was read is not what was opened, but what was opened was read.
    let sample = Part { memory: remembering(&vault).memory, ..share("40%", "x") };
    vault.clock.pass_hours(24 * 40);
    let report = look_at(&vault, Level::Contents, &sample);
    let chosen = sample_of(&report).sample_count;
    assert_eq!(coverage(&report).level, Level::Contents);
    assert_eq!(coverage(&report).never_count, all.len() as u64 - chosen);
    let report = look_at(&vault, Level::Bytes, &rolling(&vault, "1/6"));
    let counts = (coverage(&report).month_count, coverage(&report).quarter_count);
    assert_eq!(counts, (chosen + 1, all.len() as u64));
}

/// A store of the same URL in another place.
struct Elsewhere(Arc<dyn Store>);

impl Store for Elsewhere {
    forward!(0: name url prepare put_new get get_range open stat list delete staging_dir);
    forward!(0: clean_staging versions list_versions);

    fn location(&self) -> String {
        format!("{}?endpoint=https://mirror.example", self.url())
    }
}

/// Y-21
#[test]
fn what_was_found_sound_in_one_store_does_not_count_for_its_namesake_elsewhere() {
    let vault = vault_of(1);
    let part = remembering(&vault);
    let count = objects(&vault, Folder::Packs).len() as u64;
    let never = |store: &Arc<dyn Store>, part: &Part| {
        let report = look(&vault, store, Level::Bytes, part, None).unwrap();
        coverage(&report).never_count
    };
    let mirror: Arc<dyn Store> = Arc::new(Elsewhere(vault.stores[0].clone()));
    assert_eq!(never(&vault.stores[0], &part), 0);
    let none = Part { memory: part.memory.clone(), ..share("1%", "x") };
    assert_eq!(never(&mirror, &none), count - 1, "but for the one of the sample");
    // A bucket's place is that of the server, where it is not AWS's own.
    let location = |query: &str| {
        let url = format!("s3://kyc/x?credentials_file=/none{query}");
        store::open(&url, "x").unwrap().location()
    };
    let own = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
        .map(|server| location(&format!("&endpoint={server}")));
    assert_eq!(own[0], "s3://kyc/x?endpoint=http://127.0.0.1:1");
    assert!(own[0] != own[1] && own[0] == location("&endpoint=http://127.0.0.1:1/"));
    assert_eq!(location("&region=eu-central-1"), "s3://kyc/x");
}

#[test]
fn a_memory_that_cannot_be_kept_is_a_warning_and_whose_turn_it_is_an_error() {
    let vault = vault_of(1);
    std::fs::write(vault.path("memory.sqlite"), "something else, and it stays\n".repeat(40))
        .unwrap();
    drop(vault.events.warnings());
    let report = look_at(&vault, Level::Bytes, &remembering(&vault));
    assert!(report.is_sound() && report.coverage.is_none());
    assert_eq!(vault.events.warnings(), [Code::UsageInvalid]);
    let store = &vault.stores[0];
    let error = look(&vault, store, Level::Bytes, &rolling(&vault, "1/2"), None).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    let text = std::fs::read_to_string(vault.path("memory.sqlite")).unwrap();
    assert!(text.starts_with("something else"));
}

/// Y-9
#[test]
fn how_a_pack_is_kept_does_not_keep_its_bytes_from_being_remembered() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let (vault, part) = (&shelf.vault, remembering(&shelf.vault));
    let evidence = Evidence { class: Some(StorageClass::StandardIa), ..Evidence::NONE };
    let now = Some(vault.clock.now());
    let request = Request { now, evidence, part: Some(&part), ..Request::of(Level::Bytes) };
    let observer = vault.events.as_ref();
    let report = verify_as(&shelf.auditor(), None, &request, observer).unwrap();
    assert!(!report.findings.is_empty());
    assert!(report.findings.iter().all(|one| one.code == Code::ClassWrong), "{report:?}");
    assert_eq!(coverage(&report).never_count, 0);
}

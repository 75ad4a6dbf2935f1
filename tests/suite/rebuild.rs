//! A lost manifest comes back as it was, and what its journal held is mended.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, OpenGate, SignerId};
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops;
use idswyft_vault::ops::rebuild::{self, Rebuild, RebuildReport};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Store;
use idswyft_vault::vault::state::StateDir;

use crate::support::crash::scratch;
use crate::support::image::Image;
use crate::support::vault::{TestVault, assert_same_tree, local, noise};
use crate::support::{FaultyStore, Mode, Then};

fn fill(vault: &TestVault, night: u64) {
    for index in 0..4 {
        vault.write(&format!("{night}/{index}.jpg"), &noise(night * 10 + index, 300_000));
    }
    let row = |row| format!("{row}\tx{}", if row % 9 == 0 { night } else { 0 });
    vault.write_dump(&(0..4000).map(row).collect::<Vec<_>>());
}

/// Weeks of churn: files come and go, so that packs are retired.
fn churn(vault: &TestVault, nights: std::ops::Range<u64>) {
    for night in nights {
        fill(vault, night);
        if night >= 2 {
            fs::remove_dir_all(vault.path(&format!("uploads/{}", night - 2))).unwrap();
        }
        vault.clock.pass_hours(23);
        vault.snapshot();
    }
}

fn manifest_path(vault: &TestVault) -> std::path::PathBuf {
    vault.path("state/nightly/manifest.sqlite")
}

fn lose_manifest(vault: &TestVault) {
    idswyft_vault::manifest::remove(&manifest_path(vault), &OpenGate::shared()).unwrap();
}

fn try_rebuild(vault: &TestVault, identity: bool) -> Result<RebuildReport, ops::Error> {
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let parse = || DataIdentities::parse("x", vault.identity.as_bytes(), &NoPassphrase).unwrap();
    let request = Rebuild {
        state: StateDir::new(&vault.path("state"), "nightly"),
        stores: vault.stores.clone(),
        recipients: &recipients,
        identities: identity.then(parse),
    };
    rebuild::rebuild(request, &NoPassphrase, &vault.outside(), vault.events.as_ref())
}

/// Returns every row of every table, as text; but what tells one manifest from another, and what a
/// store said when it took an object, which it says once.
fn rows_of(path: &Path) -> BTreeMap<String, Vec<String>> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let tables = [
        (
            "meta",
            "SELECT name, value FROM meta WHERE name <> 'identity' AND value <> x'' ORDER BY name",
        ),
        ("pack", "SELECT * FROM pack ORDER BY number"),
        ("chunk", "SELECT * FROM chunk ORDER BY id"),
        ("snapshot", "SELECT * FROM snapshot ORDER BY id"),
        ("outbox", "SELECT * FROM outbox ORDER BY position"),
        ("receipt", "SELECT store, key, time FROM receipt ORDER BY store, key"),
    ];
    let read = |query: &str| -> Vec<String> {
        let mut statement = connection.prepare(query).unwrap();
        let count = statement.column_count();
        let text = |row: &rusqlite::Row<'_>| {
            (0..count).map(|at| format!("{:?}|", row.get_ref(at).unwrap())).collect::<String>()
        };
        statement.query_map([], |row| Ok(text(row))).unwrap().map(Result::unwrap).collect()
    };
    tables.into_iter().map(|(name, query)| (name.to_owned(), read(query))).collect()
}

fn assert_sound(vault: &TestVault) {
    let report = vault.verify(Level::Contents);
    assert_eq!(report.findings, [], "{report:?}");
}

/// V-195
#[test]
fn a_rebuilt_manifest_equals_the_old_one() {
    let stores = |dir: &Path| vec![local(&dir.join("a"), "a"), local(&dir.join("b"), "b")];
    let vault = TestVault::with(stores, Parameters::initial());
    churn(&vault, 0..5);
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let mut writer = vault.writer();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    churn(&vault, 5..10);
    let old = rows_of(&manifest_path(&vault));
    let retired = old["pack"].iter().filter(|row| row.contains("Integer(1)|Null|")).count();
    assert!(retired > 0 && old["chunk"].len() > 100 && old["snapshot"].len() == 10);

    lose_manifest(&vault);
    let report = try_rebuild(&vault, true).unwrap();
    assert_eq!(rows_of(&manifest_path(&vault)), old);
    assert_eq!((report.replayed.snapshot_count, report.replayed.unknown_count), (10, 0));
    assert_eq!((report.recorded, report.opened, report.replicated.object_count), (vec![], None, 0));

    // Without a key it is the same but for what closed generations seal.
    lose_manifest(&vault);
    let report = try_rebuild(&vault, false).unwrap();
    let mut keyless = rows_of(&manifest_path(&vault));
    assert_eq!((report.replayed.snapshot_count, report.replayed.unknown_count), (10, 5));
    let snapshots = keyless.insert("snapshot".to_owned(), old["snapshot"].clone()).unwrap();
    assert_eq!(keyless, old);
    assert_eq!(snapshots[5..], old["snapshot"][5..]);

    let before = vault.stores[0].list(idswyft_vault::format::Folder::Packs).unwrap().count();
    vault.snapshot();
    let after = vault.stores[0].list(idswyft_vault::format::Folder::Packs).unwrap().count();
    assert_eq!(before, after, "an unchanged source stores no pack after a rebuild");
    assert_sound(&vault);
}

#[test]
fn a_lost_manifest_is_not_begun_anew() {
    let vault = TestVault::new();
    fill(&vault, 0);
    vault.snapshot();
    lose_manifest(&vault);
    let state = StateDir::new(&vault.path("state"), "nightly");
    let opened =
        idswyft_vault::vault::Writer::open(state, vault.stores.clone(), vault.outside()).err();
    assert_eq!(opened.unwrap().code(), Code::ManifestDamaged);
    assert!(!manifest_path(&vault).exists());
    fs::write(manifest_path(&vault), noise(1, 50_000)).unwrap();
    let state = StateDir::new(&vault.path("state"), "nightly");
    let opened =
        idswyft_vault::vault::Writer::open(state, vault.stores.clone(), vault.outside()).err();
    assert_eq!(opened.unwrap().code(), Code::ManifestDamaged);
    try_rebuild(&vault, false).unwrap();
    vault.snapshot();
    assert_sound(&vault);
}

/// V-197, V-198
#[test]
fn a_manifest_lost_at_any_moment_of_a_night_costs_no_snapshot_and_no_record() {
    let mut recorded_count = 0;
    let mut opened_count = 0;
    let stores = |dir: &Path| vec![local(&dir.join("store"), "local")];
    let mut vault = TestVault::within(scratch(), stores, Parameters::initial());
    let store = vault.stores[0].clone();
    vault.write("a.jpg", &noise(1, 30_000));
    vault.snapshot();
    vault.write("b.jpg", &noise(2, 30_000));
    vault.write_dump(&["1\tx".to_owned()]);
    // The generation is over as well, so the night rolls it first.
    vault.clock.pass_hours(24 * 366);
    let image = Image::take(&["state", "store"].map(|name| vault.path(name)));
    for (nth, mode) in (0..).flat_map(|nth| [(nth, Mode::NotDone), (nth, Mode::DoneButReported)]) {
        image.put_back();
        let faulty = Arc::new(FaultyStore::new(store.clone()).fail_nth(nth, mode, Then::IsDead));
        vault.stores = vec![faulty.clone()];
        let crashed = vault.try_snapshot(&vault.sources());
        vault.stores = vec![store.clone()];
        lose_manifest(&vault);
        let report = try_rebuild(&vault, false).unwrap_or_else(|e| panic!("{nth} {mode:?}: {e}"));
        recorded_count += report.recorded.len();
        opened_count += usize::from(report.opened.is_some());
        let found = vault.verify(Level::Contents).findings;
        let is_orphan = |code| matches!(code, Code::ObjectUnreferenced);
        assert!(found.iter().all(|finding| is_orphan(finding.code)), "{nth} {mode:?}: {found:?}");
        let taken = vault.snapshot();
        let out = vault.path(&format!("out-{nth}-{mode:?}"));
        assert!(vault.try_restore(taken.snapshot, &out).unwrap().losses.is_empty());
        assert_same_tree(&vault.path("uploads"), &out.join("uploads"));
        if crashed.is_ok() {
            break;
        }
    }
    assert!(recorded_count > 0 && opened_count > 0, "{recorded_count} {opened_count}");
}

/// V-196
#[test]
fn an_event_that_the_host_cannot_prove_is_never_signed() {
    let vault = TestVault::new();
    fill(&vault, 0);
    vault.snapshot();
    let signer = vault.writer().key().signer_id();
    let newest = vault.path("store").join(ObjectKey::LedgerEvent(signer, 2).to_string());
    let text = fs::read_to_string(&newest).unwrap();
    let planted = vault.path("store").join(ObjectKey::LedgerEvent(signer, 3).to_string());
    let note_sha256 = text.split("note_sha256\":\"").nth(1).unwrap()[..64].to_owned();
    for (from, to) in [
        // A snapshot that is there, and a digest that its note does not have.
        (note_sha256.as_str(), "ab".repeat(32).as_str()),
        ("snapshot.taken", "snapshot.retaken"),
    ] {
        let event = text.replace("\"seq\":2", "\"seq\":3").replace(from, to);
        fs::write(&planted, event).unwrap();
        lose_manifest(&vault);
        let error = try_rebuild(&vault, false).unwrap_err();
        assert_eq!(error.code(), Code::LedgerBroken, "{error}");
        assert!(!manifest_path(&vault).exists());
    }
    fs::remove_file(planted).unwrap();
    try_rebuild(&vault, false).unwrap();
    assert_sound(&vault);
}

/// V-195
#[test]
fn the_longest_log_counts_and_every_store_gets_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let stores = ["a", "b"].map(|name| local(&dir.path().join(name), name));
    let mut vault = TestVault::with(|_| stores.to_vec(), Parameters::initial());
    fill(&vault, 0);
    vault.snapshot();
    let silent = FaultyStore::new(stores[1].clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    fill(&vault, 1);
    vault.snapshot();
    // The mirror lags now, and what it is owed is lost; the config also names it first.
    vault.stores = vec![stores[1].clone(), stores[0].clone()];
    lose_manifest(&vault);
    let report = try_rebuild(&vault, false).unwrap();
    assert!(report.replicated.object_count >= 7, "{report:?}");
    assert_eq!(report.replayed.snapshot_count, 2);
    assert_sound(&vault);
    vault.snapshot();
    let names = |store: &Arc<dyn Store>| crate::support::names_in(store.as_ref());
    assert_eq!(names(&stores[0]), names(&stores[1]));
}

/// H-5
#[test]
fn what_somebody_planted_in_one_store_is_not_spread_by_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let stores = ["a", "b"].map(|name| local(&dir.path().join(name), name));
    let mut vault = TestVault::with(|_| stores.to_vec(), Parameters::initial());
    fill(&vault, 0);
    vault.snapshot();
    let silent = FaultyStore::new(stores[1].clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    fill(&vault, 1);
    vault.snapshot();
    vault.stores = stores.to_vec();
    let before = crate::support::names_in(stores[0].as_ref());
    let (generation, other) = (vault.writer().generation().id, SignerId::from_bytes([9; 8]));
    let id = "20261122T023000Z-0badc0de";
    for name in [
        "vault/9.note".to_owned(),
        ObjectKey::Generation(generation, 9).to_string(),
        format!("generations/{id}/1.age"),
        format!("snapshots/{id}.note"),
        format!("snapshots/{id}.age"),
        format!("segments/{id}"),
        ObjectKey::LedgerEvent(other, 0).to_string(),
    ] {
        name.parse::<ObjectKey>().unwrap_or_else(|error| panic!("{name}: {error}"));
        let path = dir.path().join("a").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"planted").unwrap();
    }
    lose_manifest(&vault);
    try_rebuild(&vault, false).unwrap();
    assert_eq!(crate::support::names_in(stores[1].as_ref()), before);
}

/// V-158
#[test]
fn a_manifest_of_a_newer_program_is_not_thrown_away() {
    let vault = TestVault::new();
    fill(&vault, 0);
    vault.snapshot();
    let connection = rusqlite::Connection::open(manifest_path(&vault)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert_eq!(try_rebuild(&vault, false).unwrap_err().code(), Code::FormatTooNew);
    let connection = rusqlite::Connection::open(manifest_path(&vault)).unwrap();
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_sound_manifest_with_objects_on_their_way_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let stores = ["a", "b"].map(|name| local(&dir.path().join(name), name));
    let mut vault = TestVault::with(|_| stores.to_vec(), Parameters::initial());
    let silent = FaultyStore::new(stores[1].clone()).fail_calls(Mode::NotDone, |_| true);
    vault.stores[1] = Arc::new(silent);
    fill(&vault, 0);
    vault.snapshot();
    vault.stores = stores.to_vec();
    assert_eq!(try_rebuild(&vault, false).unwrap_err().code(), Code::DeliveryPending);
    vault.snapshot();
    try_rebuild(&vault, false).unwrap();
    assert_sound(&vault);
}

//! Every figure of the comparison, provoked.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Code, Event, Observer};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::body::Body;
use idswyft_vault::ops::rows::RowsCounts;
use idswyft_vault::ops::snapshot::{self, SnapshotReport, Sources, VaultJob};
use idswyft_vault::source::command::CommandSource;

use super::StackDump;
use crate::support::vault::TestVault;

fn body_of(vault: &TestVault, report: &SnapshotReport) -> Body {
    let unlocked = vault.unlocked();
    unlocked.body(&unlocked.auditor().snapshot(report.snapshot).unwrap()).unwrap()
}

/// Restores a snapshot; what is found of rows and files there is what the body says.
fn restored(vault: &TestVault, report: &SnapshotReport, name: &str) -> RowsCounts {
    let restored = vault.try_restore(report.snapshot, &vault.path(name)).unwrap();
    restored.rows.unwrap().counts
}

/// Returns sources whose dump command runs a script once the dump has begun.
fn sources_with(vault: &TestVault, script: &str) -> Sources {
    let script = format!("cat db.sql; {script}");
    let dir = vault.dir.path().to_str().unwrap();
    let command = CommandSource::new(["sh", "-c", &format!("cd {dir}; {script}")]).unwrap();
    Sources { database: Some(Box::new(command)), ..vault.sources() }
}

///
#[test]
fn every_way_in_which_a_row_and_a_file_fit_or_not_is_counted() {
    let vault = TestVault::new();
    for (name, len) in [
        ("documents/a b.jpg", 10),
        ("documents/enveloped", 103),
        ("documents/other", 11),
        ("documents/orphan", 1),
        ("documents/x.rotating.12.345", 1),
        ("selfies/s", 5),
        ("avatars/me.png", 7),
        ("branding/me_logo.png", 8),
    ] {
        vault.write(name, &vec![1; len]);
    }
    let uploads = vault.path("uploads");
    fs::hard_link(uploads.join("selfies/s"), uploads.join("selfies/t")).unwrap();
    fs::create_dir(uploads.join("documents/dir")).unwrap();
    let path = |name: &str| format!("uploads/{name}");
    let mut dump = StackDump { null_count: 3, ..StackDump::default() };
    for (name, size) in
        [("a b.jpg", 10), ("enveloped", 10), ("other", 10), ("never", 10), ("dir", 10)]
    {
        dump.documents.push((path(&format!("documents/{name}")), size));
    }
    for name in ["uploads/../x", "uploads/", "/etc/passwd", "https://a/b", ""] {
        dump.documents.push((name.to_owned(), 1));
    }
    dump.selfies = vec![(path("selfies/s"), 5), (path("selfies/t"), 5), (path("selfies/s"), 5)];
    let asset = |name: &str| format!("/api/public/assets/{name}");
    dump.developers = vec![
        (asset("avatars/me.png"), asset("branding/me_logo.png")),
        ("https://cdn.example.org/x.png".to_owned(), "\\N".to_owned()),
    ];
    dump.write(&vault);
    let report = vault.snapshot();
    let expected = RowsCounts {
        references: 16,
        matched: 6,
        enveloped: 1,
        erased: 0,
        missing: 2,
        size_differs: 1,
        elsewhere: 6,
        null: 3,
        orphans: 2,
    };
    assert_eq!(report.rows, Some(expected));
    assert_eq!(body_of(&vault, &report).facts["rows_files"], serde_json::json!(expected));
    let codes = [Code::FileMissing, Code::FileMissing, Code::FileSizeDiffers];
    let mut found = vault.events.warnings();
    found.sort_unstable();
    assert_eq!(found, codes);
    let warnings = body_of(&vault, &report).warnings;
    let details: Vec<_> = warnings.iter().map(|warning| warning.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "\"documents/dir\": it is not a file",
            "\"documents/never\": a row names it",
            "\"documents/other\": it has 11 bytes, its row says 10",
        ]
    );
    assert_eq!(restored(&vault, &report, "out"), expected);
}

///
#[test]
fn a_file_erased_between_dump_and_walk_is_told_from_one_that_is_missing() {
    let vault = TestVault::new();
    let mut dump = StackDump::default();
    for folder in ["documents", "selfies"] {
        for name in ["a", "b", "c"] {
            vault.write(&format!("{folder}/{name}"), b"12345");
            dump.documents.push((format!("uploads/{folder}/{name}"), 5));
        }
    }
    dump.write(&vault);
    assert_eq!(vault.snapshot().rows.unwrap().matched, 6);
    // Lost before the dump, in a directory in which nothing happens while it is taken.
    fs::remove_file(vault.path("uploads/selfies/b")).unwrap();
    // Written and removed between two walks: no tree of this vault ever had it.
    dump.documents.push(("uploads/documents/new".to_owned(), 5));
    dump.write(&vault);
    vault.write("documents/new", b"12345");
    vault.clock.pass_hours(1);
    let sources = sources_with(&vault, "rm uploads/documents/b uploads/documents/new");
    let report = vault.try_snapshot(&sources).unwrap();
    let counts = report.rows.unwrap();
    assert_eq!((counts.matched, counts.erased, counts.missing), (4, 1, 2));
    let body = body_of(&vault, &report);
    let told: Vec<_> =
        body.warnings.iter().map(|warning| (warning.code.as_str(), &warning.detail[..])).collect();
    assert_eq!(
        told,
        [
            ("file-erased", "\"documents/b\": erased between the dump and the walk"),
            ("file-missing", "\"documents/new\": a row names it"),
            ("file-missing", "\"selfies/b\": a row names it"),
        ]
    );
    vault.events.warnings();
    let restored = vault.try_restore(report.snapshot, &vault.path("out")).unwrap().rows.unwrap();
    assert_eq!(restored.counts, counts);
    assert!(restored.findings.iter().all(|finding| !finding.detail.contains("documents/b")));
    assert_eq!(vault.events.warnings(), [Code::FileMissing, Code::FileMissing]);
    // The row is still there a night later: it was no erasure.
    let counts = vault.snapshot().rows.unwrap();
    assert_eq!((counts.matched, counts.erased, counts.missing), (4, 0, 3));
}

///
#[test]
fn twenty_files_are_named_and_the_others_counted() {
    let vault = TestVault::new();
    let path = |n: u32| (format!("uploads/documents/{n:03}"), 1);
    let dump = StackDump { documents: (0..50).map(path).collect(), ..StackDump::default() };
    dump.write(&vault);
    let report = vault.snapshot();
    assert_eq!(report.rows.unwrap().missing, 50);
    let warnings = body_of(&vault, &report).warnings;
    assert_eq!(warnings.len(), 21);
    assert_eq!(warnings[19].detail, "\"documents/019\": a row names it");
    assert_eq!(warnings[20].detail, "and 30 more files missing, 50 in all");
    assert!(warnings.iter().all(|warning| warning.code == "file-missing"));
}

///
#[test]
fn objects_in_s3_are_told_once_and_are_not_missing() {
    let vault = TestVault::new();
    let path = |n: u32| (format!("documents/{n}.jpg"), 1);
    let avatar = "/api/public/assets/avatars/a.png".to_owned();
    let mut dump = StackDump { documents: (0..50).map(path).collect(), ..StackDump::default() };
    dump.developers = vec![(avatar, "\\N".to_owned())];
    dump.write(&vault);
    vault.write("documents/7.jpg", b"1");
    let report = vault.snapshot();
    let counts = report.rows.unwrap();
    assert_eq!((counts.matched, counts.elsewhere, counts.missing), (1, 50, 0));
    let warnings = body_of(&vault, &report).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        (warnings[0].code.as_str(), warnings[0].detail.as_str()),
        ("files-elsewhere", "rows name 49 objects in S3, which the uploads do not hold")
    );
}

///
#[test]
fn a_dump_without_the_names_of_columns_is_taken_and_told() {
    let vault = TestVault::new();
    let dump = StackDump::default().text();
    let rows = "INSERT INTO public.documents VALUES (1, 'uploads/documents/a');\n";
    let start = dump.find("COPY public.verification_requests").unwrap();
    let head = &dump[..dump.find("COPY").unwrap()];
    fs::write(vault.path("db.sql"), format!("{head}{rows}{rows}{}", &dump[start..])).unwrap();
    let report = vault.snapshot();
    assert_eq!((report.rows, report.row_count), (None, 2));
    assert_eq!(vault.events.warnings(), [Code::ColumnsUnknown]);
}

#[test]
fn a_dump_without_the_stacks_tables_is_compared_with_nothing() {
    let vault = TestVault::new();
    vault.write("documents/a", b"x");
    vault.write_dump(&["1\tuploads/documents/b".to_owned()]);
    let report = vault.snapshot();
    assert_eq!(report.rows, None);
    assert!(!body_of(&vault, &report).facts.contains_key("rows_files"));
    let restored = vault.try_restore(report.snapshot, &vault.path("out")).unwrap();
    assert_eq!(restored.rows, None);
    // Nor are uploads with a dump that there is not.
    let sources = Sources { database: None, ..vault.sources() };
    vault.clock.pass_hours(1);
    assert_eq!(vault.try_snapshot(&sources).unwrap().rows, None);
    assert!(vault.events.warnings().is_empty());
}

/// Removes a file when the walk has come to the third entry: the root, its directory, a file.
struct Remover {
    path: PathBuf,
    entries: Mutex<Option<u32>>,
}

impl Observer for Remover {
    fn observe(&self, event: Event) {
        let mut entries = self.entries.lock().unwrap();
        match (&mut *entries, event) {
            (slot @ None, Event::PhaseStarted { phase: "uploads", .. }) => *slot = Some(0),
            (Some(2), Event::Advanced { .. }) => {
                drop(fs::remove_file(&self.path));
                *entries = Some(3);
            }
            (Some(count), Event::Advanced { .. }) => *count += 1,
            _ => {}
        }
    }
}

///
#[test]
fn a_file_that_vanishes_under_the_walk_was_erased_though_no_tree_had_it() {
    let vault = TestVault::new();
    let mut dump = StackDump::default();
    for name in ["a", "b"] {
        vault.write(&format!("documents/{name}"), b"1");
        dump.documents.push((format!("uploads/documents/{name}"), 1));
    }
    dump.write(&vault);
    let path = vault.path("uploads/documents/b");
    let observer: Arc<dyn Observer> = Arc::new(Remover { path, entries: Mutex::new(None) });
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let job = VaultJob { writer: vault.writer(), recipients };
    let report = snapshot::run(vec![job], &vault.sources(), &[], &NoPassphrase, &observer).unwrap();
    let counts = report.taken[0].rows.unwrap();
    assert_eq!((counts.matched, counts.erased, counts.missing), (1, 1, 0));
}

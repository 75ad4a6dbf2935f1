//! The main job, end to end: what goes in comes out, and only what is new is stored.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::ops::verify::Level;

use crate::reference::agrees;
use crate::support::vault::{TestVault, assert_same_tree, dump_of, noise};

fn fill(vault: &TestVault) {
    for index in 0..40 {
        let len = 1000 + usize::try_from(index).unwrap() * 7919;
        vault.write(&format!("documents/{index}.jpg"), &noise(index, len));
    }
    vault.write("selfies/large.png", &noise(99, 7 * 1024 * 1024 + 13));
    vault.write("documents/empty.pdf", b"");
    vault.write("documents/text.pdf", "all work and no play\n".repeat(9000).as_bytes());
    vault.write("documents/copy.jpg", &noise(7, 1000 + 7 * 7919));
    let uploads = vault.path("uploads");
    symlink("documents/1.jpg", uploads.join("link")).unwrap();
    fs::hard_link(uploads.join("documents/2.jpg"), uploads.join("selfies/second-name")).unwrap();
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(uploads.join("documents/3.jpg"), mode).unwrap();
    let rows: Vec<String> = (0..30_000).map(|row| format!("{row}\tname {}", row * 7)).collect();
    vault.write_dump(&rows);
}

#[test]
fn a_snapshot_restores_byte_for_byte() {
    let vault = TestVault::with_small_packs();
    fill(&vault);
    let report = vault.snapshot();
    assert_eq!((report.file_count, report.row_count), (44, 30_000));
    let target = vault.path("restored");
    let restored = vault.try_restore(report.snapshot, &target).unwrap();
    assert!(restored.losses.is_empty());
    assert_eq!(restored.file_count, 44);
    assert_same_tree(&vault.path("uploads"), &target.join("uploads"));
    assert_eq!(fs::read(vault.path("db.sql")).unwrap(), fs::read(target.join("db.sql")).unwrap());
    let facts: serde_json::Value =
        serde_json::from_slice(&fs::read(target.join("facts.json")).unwrap()).unwrap();
    assert_eq!(facts["database"]["rows"]["public.users"], 30_000);
    assert_eq!(vault.events.warnings(), []);
    assert_eq!(agrees(&vault), 1);
}

#[test]
fn every_level_of_verify_is_content_with_a_sound_store() {
    let vault = TestVault::with_small_packs();
    fill(&vault);
    vault.snapshot();
    vault.write("documents/new.jpg", &noise(1234, 50_000));
    vault.snapshot();
    for level in [Level::Ledger, Level::Stored, Level::Bytes, Level::Contents] {
        let report = vault.verify(level);
        assert_eq!(report.findings, [], "{level:?}");
        assert_eq!(report.snapshot_count, 2);
    }
}

#[test]
fn an_unchanged_source_stores_no_pack_again() {
    let vault = TestVault::with_small_packs();
    fill(&vault);
    let first = vault.snapshot();
    let second = vault.snapshot();
    assert!(first.new_len > 9_000_000);
    assert_eq!(second.new_len, 0, "everything was known");
    assert_eq!(second.stored_len, first.stored_len);
}

#[test]
fn a_changed_row_and_a_new_file_cost_little() {
    let vault = TestVault::with_small_packs();
    fill(&vault);
    vault.snapshot();
    let rows: Vec<String> = (0..30_001)
        .map(|row| format!("{row}\tname {}", if row == 15_000 { 1 } else { row * 7 }))
        .collect();
    vault.write_dump(&rows);
    vault.write("documents/new.jpg", &noise(1234, 50_000));
    fs::remove_file(vault.path("uploads/documents/5.jpg")).unwrap();
    let report = vault.snapshot();
    assert!(report.new_len < 300_000, "{} bytes are new", report.new_len);
    let target = vault.path("restored");
    vault.try_restore(report.snapshot, &target).unwrap();
    assert_same_tree(&vault.path("uploads"), &target.join("uploads"));
    assert_eq!(fs::read_to_string(target.join("db.sql")).unwrap(), dump_of(&rows));
}

/// V-85
#[test]
fn failed_dump_never_becomes_a_snapshot() {
    let vault = TestVault::new();
    vault.write("a.jpg", b"x");
    let full = dump_of(&["1\tx".to_owned()]);
    let cut = full.replace("-- PostgreSQL database dump complete", "");
    for (dump, code) in [
        ("", Code::DumpEmpty),
        ("SELECT 1;\n", Code::DumpHeaderMissing),
        (cut.as_str(), Code::DumpTrailerMissing),
    ] {
        fs::write(vault.path("db.sql"), dump).unwrap();
        let error = vault.try_snapshot(&vault.sources()).unwrap_err();
        assert_eq!(error.code(), code);
    }
    fs::write(vault.path("db.sql"), full).unwrap();
    let script = format!("cat {}; exit 3", vault.path("db.sql").display());
    let mut sources = vault.sources();
    let command = idswyft_vault::source::command::CommandSource::new(["sh", "-c", &script]);
    sources.database = Some(Box::new(command.unwrap()));
    assert_eq!(vault.try_snapshot(&sources).unwrap_err().code(), Code::SourceFailed);
    assert!(vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.is_empty());
    assert_eq!(vault.snapshot().row_count, 1, "the next run succeeds");
}

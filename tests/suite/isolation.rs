//! What `verify --level contents` says that damage touches, and what `diff` says that differs.

use std::fs;

use idswyft_vault::base::{Code, SnapshotId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::diff::{self, Change, ChangeKind, Dumps};
use idswyft_vault::ops::verify::{Level, VerifyReport};

use crate::replicas::keys_in;
use crate::support::Random;
use crate::support::vault::{TestVault, noise};

/// Lines of a dump with two tables, of which the second has rows enough for several blocks.
fn write_dump(vault: &TestVault, users: &[&str], seed: u64) {
    let rows: String = (0..40_000u64)
        .map(|row| format!("{row}\t{}\n", hex::encode(noise(seed * 1_000_000 + row, 32))))
        .collect();
    let users: String = users.iter().map(|user| format!("{user}\n")).collect();
    let dump = format!(
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\
         -- Dumped by pg_dump version 15.8\n\nCOPY public.users (id) FROM stdin;\n{users}\\.\n\n\
         COPY public.\"audit log\" (id, hash) FROM stdin;\n{rows}\\.\n\n\
         COPY public.tail (id) FROM stdin;\n1\n\\.\n\n\
         --\n-- PostgreSQL database dump complete\n--\n\n"
    );
    fs::write(vault.path("db.sql"), dump).unwrap();
}

fn ids(report: &VerifyReport) -> Vec<SnapshotId> {
    report.touched.iter().map(|touched| touched.snapshot).collect()
}

fn flip(vault: &TestVault, key: &ObjectKey, at: impl FnOnce(usize) -> usize) {
    let path = vault.path("store").join(key.to_string());
    let mut bytes = fs::read(&path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn codes(report: &VerifyReport) -> Vec<(Code, String)> {
    report.findings.iter().map(|one| (one.code, one.object.clone())).collect()
}

/// The packs that a snapshot was the first to need.
fn new_packs(vault: &TestVault, before: &[ObjectKey]) -> Vec<ObjectKey> {
    let all = keys_in(vault.stores[0].as_ref(), Folder::Packs);
    all.into_iter().filter(|key| !before.contains(key)).collect()
}

#[test]
fn a_flipped_bit_of_a_pack_is_one_finding_and_costs_only_the_files_that_it_hits() {
    let vault = TestVault::new();
    for name in ["a", "b", "c"] {
        let seed = u64::from(name.as_bytes()[0]);
        vault.write(&format!("documents/{name}.jpg"), &noise(seed, 4_000_000));
    }
    vault.write_dump(&[]);
    let first = vault.snapshot().snapshot;
    vault.clock.pass_hours(24);
    vault.write("documents/d.jpg", &noise(9, 100_000));
    let second = vault.snapshot().snapshot;
    let sound = vault.verify(Level::Contents);
    let counts = sound.files.unwrap();
    assert_eq!((counts.checked_file_count, counts.checked_dump_count), (3 + 4, 2));
    assert!(sound.findings.is_empty() && sound.touched.is_empty());
    let packs = keys_in(vault.stores[0].as_ref(), Folder::Packs);
    let size =
        |key: &&ObjectKey| fs::metadata(vault.path("store").join(key.to_string())).unwrap().len();
    let photos = *packs.iter().max_by_key(size).unwrap();
    // The middle of three files of the same length, farther from both ends than a block is long.
    flip(&vault, &photos, |len| len / 2);
    let report = vault.verify(Level::Contents);
    assert_eq!(codes(&report), [(Code::ObjectAltered, photos.to_string())]);
    assert_eq!(ids(&report), [first, second]);
    for touched in &report.touched {
        assert_eq!(touched.files, ["uploads/documents/b.jpg"]);
        assert!(touched.object_count == 1 && touched.files_known && touched.tables.is_empty());
    }
    // Without an identity the snapshots are known, and no files.
    let keyless = vault.verify(Level::Bytes);
    assert_eq!(ids(&keyless), [first, second]);
    assert!(keyless.touched.iter().all(|touched| touched.file_count == 0));
}

#[test]
fn damage_of_a_dump_costs_the_tables_that_it_hits_and_only_the_snapshots_that_need_it() {
    let vault = TestVault::new();
    vault.write("documents/a.jpg", &noise(1, 10_000));
    write_dump(&vault, &["1", "2"], 1);
    vault.snapshot();
    let before = keys_in(vault.stores[0].as_ref(), Folder::Packs);
    vault.clock.pass_hours(24);
    write_dump(&vault, &["1", "2"], 2);
    let second = vault.snapshot().snapshot;
    assert!(vault.verify(Level::Contents).is_sound());
    let new = new_packs(&vault, &before);
    assert_eq!(new.len(), 1);
    flip(&vault, &new[0], |len| len / 2);
    let report = vault.verify(Level::Contents);
    assert_eq!(codes(&report), [(Code::ObjectAltered, new[0].to_string())]);
    assert_eq!(ids(&report), [second]);
    let touched = &report.touched[0];
    assert_eq!(touched.files, ["db.sql"]);
    let tables: Vec<&str> = touched.tables.iter().map(String::as_str).collect();
    assert_eq!(tables, ["public.\"audit log\""]);
    // Gone altogether, nothing of what it held is known to be whole.
    fs::remove_file(vault.path("store").join(new[0].to_string())).unwrap();
    let report = vault.verify(Level::Contents);
    assert_eq!(codes(&report), [(Code::ObjectMissing, new[0].to_string())]);
    assert!(report.touched[0].tables.contains("public.\"audit log\""));
}

#[test]
fn many_files_spread_over_packs_in_any_order_all_have_their_digests_checked() {
    let vault = TestVault::with_small_packs();
    let mut random = Random::new();
    let part = |random: &mut Random| noise(random.index(12) as u64, 700_000);
    for name in 0..12 {
        // Files that share parts with others, and cross the ends of packs.
        let bytes: Vec<u8> = (0..1 + random.index(3)).flat_map(|_| part(&mut random)).collect();
        vault.write(&format!("documents/{name}.bin"), &bytes);
    }
    vault.write("empty", b"");
    vault.write_dump(&["1\tAda".to_owned()]);
    vault.snapshot();
    let report = vault.verify(Level::Contents);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.files.unwrap().checked_file_count, 13);
    assert!(report.touched.is_empty());
    assert!(keys_in(vault.stores[0].as_ref(), Folder::Packs).len() > 2, "several packs");
}

#[test]
fn two_snapshots_differ_by_packs_files_and_tables() {
    let vault = TestVault::new();
    vault.write("documents/same.jpg", &noise(1, 10_000));
    vault.write("documents/other.jpg", &noise(2, 10_000));
    vault.write("documents/gone.jpg", &noise(3, 10_000));
    vault.write("documents/meta.jpg", &noise(4, 10_000));
    write_dump(&vault, &["1", "2"], 1);
    let first = vault.snapshot().snapshot;
    vault.clock.pass_hours(24);
    vault.write("documents/other.jpg", &noise(5, 10_000));
    fs::remove_file(vault.path("uploads/documents/gone.jpg")).unwrap();
    vault.write("new.jpg", &noise(6, 10_000));
    let mut mode = fs::metadata(vault.path("uploads/documents/meta.jpg")).unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(vault.path("uploads/documents/meta.jpg"), mode).unwrap();
    write_dump(&vault, &["2", "1", "3"], 1);
    let second = vault.snapshot().snapshot;
    let unlocked = vault.unlocked();
    let keyless = diff::compare(unlocked.auditor(), first, second).unwrap();
    assert!(keyless.packs.shared.count > 0 && keyless.packs.only_second.len > 10_000);
    assert_eq!(keyless.contents, None);
    let mut changes: Vec<(ChangeKind, String)> = Vec::new();
    let mut take = |change: &Change| {
        changes.push((change.kind, String::from_utf8(change.path.clone()).unwrap()));
        Ok(())
    };
    let report = diff::compare_contents(&unlocked, first, second, Dumps::Read, &mut take).unwrap();
    let is_file = |(_, path): &&(ChangeKind, String)| path.ends_with(".jpg");
    let files: Vec<_> = changes.iter().filter(is_file).cloned().collect();
    let change = |kind, path: &str| (kind, path.to_owned());
    assert_eq!(
        files,
        [
            change(ChangeKind::Removed, "documents/gone.jpg"),
            change(ChangeKind::Touched, "documents/meta.jpg"),
            change(ChangeKind::Changed, "documents/other.jpg"),
            change(ChangeKind::Added, "new.jpg"),
        ]
    );
    let contents = report.contents.unwrap();
    assert_eq!((contents.files.added.count, contents.files.added.len), (1, 10_000));
    assert_eq!(contents.same_dump, Some(false));
    let table = |name: &str| {
        let found = contents.tables.iter().find(|table| table.table == name).unwrap();
        (found.first_rows, found.second_rows, found.same_rows)
    };
    assert_eq!(table("public.users"), (Some(2), Some(3), Some(false)));
    assert_eq!(table("public.\"audit log\""), (Some(40_000), Some(40_000), Some(true)));
    assert_eq!(table("public.tail"), (Some(1), Some(1), Some(true)));
    // A snapshot and itself have nothing that differs.
    let mut none = |_: &Change| panic!("nothing differs");
    let same = diff::compare_contents(&unlocked, second, second, Dumps::Read, &mut none).unwrap();
    let contents = same.contents.unwrap();
    assert_eq!((same.packs.only_first.count, same.packs.only_second.count), (0, 0));
    assert!(contents.same_dump == Some(true) && contents.tables.iter().all(|t| !t.differs()));
}

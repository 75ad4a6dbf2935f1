//! Damage of every object: it is found, it is named, and what is not touched by it still restores.

mod audit;
mod bench;
mod bits;
mod fixture;
mod harm;
mod host;
mod hostile;
mod kinds;
mod next;
mod outage;
mod product;
mod promise;
mod shelf;

use std::fs;
use std::path::{Path, PathBuf};

use idswyft_vault::base::Code;
use idswyft_vault::format::Folder;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Listed;

use crate::support::vault::{TestVault, noise};

/// A vault with two snapshots, the second of which needs packs of its own.
fn two_snapshots() -> TestVault {
    let vault = TestVault::with_small_packs();
    for index in 0..4 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 60_000));
    }
    vault.write_dump(&(0..3000).map(|row| format!("{row}\tx{row}")).collect::<Vec<_>>());
    vault.snapshot();
    vault.write("documents/late.jpg", &noise(77, 60_000));
    vault.snapshot();
    vault
}

fn objects(vault: &TestVault) -> Vec<String> {
    let mut names = Vec::new();
    for folder in Folder::ALL {
        for listed in vault.stores[0].list(folder).unwrap() {
            if let Listed::Object(key, _) = listed.unwrap() {
                names.push(key.to_string());
            }
        }
    }
    names.sort();
    names
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn findings(vault: &TestVault, level: Level) -> Vec<(Code, String)> {
    let report = vault.verify(level);
    report.findings.into_iter().map(|finding| (finding.code, finding.object)).collect()
}

/// V-151
#[test]
fn a_flipped_bit_in_any_object_is_found_and_named() {
    let vault = two_snapshots();
    let names = objects(&vault);
    assert!(names.len() > 15);
    for name in &names {
        if name == "vault/1.note" {
            continue; // without it there is no vault: see the next test
        }
        let path = vault.path("store").join(name);
        let sound = fs::read(&path).unwrap();
        let at = sound.len() / 2;
        flip(&path, at);
        let found = findings(&vault, Level::Contents);
        assert!(found.iter().any(|(_, object)| object.starts_with(name)), "{name}: {found:?}");
        if name.starts_with("packs/") || name.starts_with("trees/") {
            let unlocked = vault.unlocked();
            let report = idswyft_vault::ops::verify::verify(
                unlocked.auditor(),
                None,
                Level::Bytes,
                None,
                vault.events.as_ref(),
            );
            let keyless = report.unwrap().findings;
            assert!(keyless.iter().any(|finding| finding.object == *name), "{name}: keyless");
        }
        fs::write(&path, sound).unwrap();
    }
    assert_eq!(findings(&vault, Level::Contents), []);
}

#[test]
fn a_vault_note_that_does_not_verify_is_refused_by_name() {
    let vault = two_snapshots();
    flip(&vault.path("store/vault/1.note"), 60);
    let root = vault.report.root_key.parse().unwrap();
    let error = idswyft_vault::vault::Auditor::open(vault.stores[0].clone(), root).err().unwrap();
    assert!(error.to_string().contains("vault/1.note"), "{error}");
}

/// V-151
#[test]
fn a_missing_or_cut_object_is_found_and_named_without_a_key() {
    let vault = two_snapshots();
    for name in objects(&vault).iter().filter(|name| {
        ["packs/", "trees/", "segments/"].iter().any(|folder| name.starts_with(folder))
            || name.ends_with(".age") && name.starts_with("snapshots/")
            || name.ends_with(".sha256")
    }) {
        let path = vault.path("store").join(name);
        let sound = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let found = findings(&vault, Level::Stored);
        assert!(found.contains(&(Code::ObjectMissing, name.clone())), "{name}: {found:?}");
        fs::write(&path, &sound[..sound.len() - 1]).unwrap();
        let found = findings(&vault, Level::Stored);
        assert!(found.contains(&(Code::ObjectTruncated, name.clone())), "{name}: {found:?}");
        fs::write(&path, sound).unwrap();
    }
    assert_eq!(findings(&vault, Level::Stored), []);
}

/// V-146, V-148
#[test]
fn an_undamaged_snapshot_restores_beside_a_damaged_one() {
    let vault = two_snapshots();
    let ids: Vec<_> =
        vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.into_keys().collect();
    let late = late_pack(&vault);
    flip(&late, 5000);
    let first = vault.try_restore(ids[0], &vault.path("first")).unwrap();
    assert_eq!((first.losses.len(), first.file_count), (0, 4));

    let second = vault.try_restore(ids[1], &vault.path("second")).unwrap();
    assert_eq!(second.losses.len(), 1, "{:?}", second.losses);
    assert_eq!(second.losses[0].what, "uploads/documents/late.jpg");
    assert_eq!(second.losses[0].code, Code::ObjectUnreadable);
    assert_eq!(second.file_count, 4, "the others are there");
    assert!(!vault.path("second/uploads/documents/late.jpg").exists(), "no wrong byte is left");
    assert!(vault.path("second/db.sql").exists());
}

/// Returns the file pack that only the second snapshot names.
fn late_pack(vault: &TestVault) -> PathBuf {
    let auditor = vault.auditor(&vault.stores[0]);
    let notes = auditor.snapshots().unwrap().sound;
    let lists: Vec<_> = notes.values().map(|note| auditor.list(note).unwrap()).collect();
    let late = lists[1].iter().find(|entry| {
        let is_pack = matches!(entry.key, idswyft_vault::format::ObjectKey::Pack(_));
        is_pack && !lists[0].contains(entry)
    });
    vault.path("store").join(late.unwrap().key.to_string())
}

#[test]
fn a_body_put_in_another_ones_place_is_refused() {
    let vault = two_snapshots();
    let ids: Vec<_> =
        vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.into_keys().collect();
    let place = |id| vault.path("store").join(format!("snapshots/{id}.age"));
    fs::copy(place(ids[0]), place(ids[1])).unwrap();
    let error = vault.try_restore(ids[1], &vault.path("x")).unwrap_err();
    use idswyft_vault::base::Coded;
    assert!(matches!(error.code(), Code::ObjectAltered | Code::ObjectTruncated), "{error}");
    assert!(!vault.path("x/db.sql").exists());
}

/// V-136
#[test]
fn a_planted_note_hides_nothing() {
    let vault = two_snapshots();
    let planted = vault.path("store/snapshots/20991122T023000Z-00000001.note");
    fs::write(&planted, "idswyft-vault/v1 snapshot\n{}\n\n— nobody AAAA\n").unwrap();
    let checked = vault.auditor(&vault.stores[0]).snapshots().unwrap();
    assert_eq!((checked.sound.len(), checked.problems.len()), (2, 1));
    let found = findings(&vault, Level::Ledger);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Code::SignatureInvalid);
}

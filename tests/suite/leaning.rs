//! What a snapshot may lean on: the open generation, recent packs, packs that are still used.

use std::fs;

use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::ops::verify::Level;

use crate::support::vault::{TestVault, noise};

fn rows(count: u32, salt: u32) -> Vec<String> {
    let row = |row: u32| format!("{row}\t{}", hex::encode(noise(u64::from(row * 7 + salt), 24)));
    (0..count).map(row).collect()
}

/// V-45, V-59
#[test]
fn a_roll_starts_anew_and_the_host_keeps_no_old_secret() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 70_000));
    let first = vault.snapshot();
    let old = vault.writer().generation().dedup_secret.to_hex();
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let mut writer = vault.writer();
    let generation = writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    let second = vault.snapshot();
    assert_eq!(vault.writer().generation().id, generation);
    assert!(second.new_len >= first.new_len, "no chunk is shared across generations");
    for entry in walkdir::WalkDir::new(vault.path("state")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(old.len()).any(|window| window == old.as_bytes());
            assert!(!found, "{} holds the old dedup secret", entry.path().display());
        }
    }
    assert_eq!(vault.verify(Level::Contents).findings, []);
    for report in [first, second] {
        let target = vault.path(&report.snapshot.to_string());
        assert!(vault.try_restore(report.snapshot, &target).unwrap().losses.is_empty());
    }
}

#[test]
fn a_generation_rolls_at_its_greatest_age() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 70_000));
    vault.snapshot();
    let before = vault.writer().generation().id;
    vault.clock.pass_hours(24 * 366);
    vault.snapshot();
    assert_ne!(vault.writer().generation().id, before);
    assert_eq!(vault.verify(Level::Contents).findings, []);
}

/// V-60
#[test]
fn i9_nothing_leans_on_a_pack_that_no_recent_note_names() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 70_000));
    vault.snapshot();
    fs::remove_file(vault.path("uploads/a.jpg")).unwrap();
    vault.snapshot();
    vault.clock.pass_hours(24 * 31);
    vault.write("again.jpg", &noise(1, 70_000));
    let report = vault.snapshot();
    assert!(report.new_len > 70_000, "what may have been pruned is stored again");
}

#[test]
fn a_pack_that_is_hardly_used_is_retired_and_what_lives_there_moves() {
    let vault = TestVault::with_small_packs();
    vault.write_dump(&rows(40_000, 0));
    let first = vault.snapshot();
    // Nine in ten rows go: the old packs are used to a tenth.
    let kept: Vec<String> = rows(40_000, 0).into_iter().take(4000).collect();
    vault.write_dump(&kept);
    let second = vault.snapshot();
    let third = vault.snapshot();
    assert!(second.stored_len >= first.stored_len / 2, "it still leans on the old packs");
    assert!(third.new_len > 0, "what lives in a retired pack is stored again");
    assert!(third.stored_len * 4 < second.stored_len, "{third:?}");
    let target = vault.path("restored");
    vault.try_restore(third.snapshot, &target).unwrap();
    assert_eq!(fs::read(target.join("db.sql")).unwrap(), fs::read(vault.path("db.sql")).unwrap());
}

#[test]
fn an_unchanged_file_is_not_even_opened() {
    use rustix::fs::inotify;
    let vault = TestVault::new();
    vault.write("documents/a.jpg", &noise(1, 70_000));
    vault.write("documents/b.jpg", &noise(2, 70_000));
    vault.snapshot();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for name in ["a.jpg", "b.jpg"] {
        let path = vault.path("uploads/documents").join(name);
        inotify::add_watch(&watch, path, inotify::WatchFlags::OPEN).unwrap();
    }
    let opened = || {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        std::iter::from_fn(move || reader.next().ok().map(drop)).count()
    };
    vault.snapshot();
    assert_eq!(opened(), 0);
    vault.write("documents/b.jpg", &noise(3, 70_000));
    opened();
    vault.snapshot();
    assert_eq!(opened(), 1, "the changed one is, once");
}

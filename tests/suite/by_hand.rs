//! The procedures for the worst day, followed to the letter, with nothing on `PATH` but the
//! programs that they name.

mod damage;
mod document;
mod nights;

use std::fs;
use std::path::Path;

use idswyft_vault::base::SnapshotId;

use self::document::{Document, Followed, Wrong};
use self::nights::Nights;
use crate::hard::trees::look;
use crate::support::Figure;
use crate::support::vault::TestVault;

/// Follows the page on restoring for one snapshot.
fn restore(vault: &TestVault, snapshot: SnapshotId, target: &Path) -> Followed {
    fs::write(vault.path("operator.key"), &vault.identity).unwrap();
    let work = target.with_extension("work");
    let answers = [
        ("STORE", vault.path("store").display().to_string()),
        ("IDENTITY", vault.path("operator.key").display().to_string()),
        ("SNAPSHOT", snapshot.to_string()),
        ("TARGET", target.display().to_string()),
        ("WORK", work.display().to_string()),
    ];
    let followed = Document::open("restore-by-hand.md").follow(&answers, Wrong::GoOn);
    fs::remove_dir_all(work).unwrap();
    followed
}

/// Follows the page on verifying, with a checkpoint that was kept elsewhere.
fn verify(vault: &TestVault, store: &Path, checkpoint: &Path) -> Followed {
    fs::write(vault.path("vault.key"), format!("{}\n", vault.report.root_key)).unwrap();
    let work = vault.path("verify-work");
    let answers = [
        ("STORE", store.display().to_string()),
        ("VAULT_KEY", vault.path("vault.key").display().to_string()),
        ("CHECKPOINTS", format!("({})", checkpoint.display())),
        ("WORK", work.display().to_string()),
    ];
    let followed = Document::open("verify-by-hand.md").follow(&answers, Wrong::Stop);
    fs::remove_dir_all(work).unwrap();
    followed
}

/// Asserts that what was restored is what the sources were, and counts the entries.
fn assert_restored(target: &Path, kept: &Path) -> usize {
    let same = fs::read(target.join("db.sql")).unwrap() == fs::read(kept.join("db.sql")).unwrap();
    assert!(same, "the dump of {}", kept.display());
    let mut expected = look(&kept.join("uploads"));
    assert!(expected.remove(Path::new("hostile/socket")).is_some(), "sockets are not restored");
    let count = expected.len();
    let mut found = look(&target.join("uploads"));
    for (path, entry) in expected {
        let restored = found.remove(&path);
        assert!(restored.as_ref() == Some(&entry), "{path:?}: {entry:?} became {restored:?}");
    }
    assert!(found.is_empty(), "{:?}", found.keys());
    count
}

/// V-26, V-72, V-110, V-121
#[test]
fn months_of_nights_are_restored_and_verified_by_hand() {
    let nights = Nights::pass();
    let mut entry_count = 0;
    for (snapshot, kept) in &nights.kept {
        let target = nights.vault.path(&format!("restored-{snapshot}"));
        let followed = restore(&nights.vault, *snapshot, &target);
        assert_eq!(followed.right, (1..=11).collect::<Vec<_>>(), "{}", followed.said);
        let left_out = "LEFT OUT: /hostile/socket (socket)";
        let complaints: Vec<&str> = followed
            .said
            .lines()
            .filter(|line| line.contains("WRONG") || line.contains("OUT"))
            .collect();
        assert_eq!(complaints, [left_out]);
        entry_count += assert_restored(&target, kept);
        fs::remove_dir_all(target).unwrap();
    }
    let vault = &nights.vault;
    let followed = verify(vault, &vault.path("store"), &nights.checkpoint);
    assert_eq!(followed.right, (1..=8).collect::<Vec<_>>(), "{}", followed.said);
    assert!(followed.said.contains(&format!("{} snapshots", nights.count)), "{}", followed.said);
    let test = "months_of_nights_are_restored_and_verified_by_hand";
    Figure { what: "nights of an archive that stock tools restored and verified", test }
        .record(nights.count);
    Figure { what: "files, directories and links restored by stock tools", test }
        .record(entry_count);
}

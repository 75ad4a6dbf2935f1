//! Who was erased between two dumps.

use idswyft_vault::base::Code;
use idswyft_vault::ops::rows::{self, ErasedPerson};

use super::StackDump;
use crate::support::vault::TestVault;

fn person(user: &str, verifications: &[&str]) -> ErasedPerson {
    let verification_ids = verifications.iter().map(|id| (*id).to_owned()).collect();
    ErasedPerson { user_id: user.to_owned(), verification_ids }
}

fn erased(older: &StackDump, newer: &StackDump) -> Vec<ErasedPerson> {
    let dir = tempfile::tempdir().unwrap();
    let (older, newer) = (older.text(), newer.text());
    let (older, newer) = (rows::all_of(older.as_bytes()), rows::all_of(newer.as_bytes()));
    let people = rows::erased_since(older, newer, dir.path()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    people
}

fn older_and_newer() -> (StackDump, StackDump) {
    let (mut older, mut newer) = (StackDump::default(), StackDump::default());
    older.verification("v2", "ann", "blurred");
    older.verification("v1", "ann", "");
    older.verification("v3", "bob", "");
    older.verification("v4", "eve", "[GDPR deleted]");
    older.verification("v5", "", "[GDPR deleted]");
    older.verification("v6", "joe", "");
    for id in ["v1", "v2", "v5", "v7"] {
        newer.verification(id, "", "[GDPR deleted]");
    }
    newer.verification("v3", "", "another reason");
    newer.verification("v4", "eve", "[GDPR deleted]");
    (older, newer)
}

///
#[test]
fn whoever_has_a_user_then_and_is_marked_now_was_erased_since() {
    let (older, newer) = older_and_newer();
    assert_eq!(erased(&older, &newer), [person("ann", &["v1", "v2"])]);
    assert_eq!(erased(&older, &older), []);
    assert_eq!(erased(&newer, &StackDump::default()), []);
}

///
#[test]
fn each_person_is_told_by_ids_and_beyond_twenty_they_are_counted() {
    let user = |n: u32| person(&format!("user-{n}"), &["v1", "v2"]);
    let people: Vec<_> = (0..23).map(user).collect();
    let newest = "20261122T023000Z-00000001".parse().unwrap();
    let mut told = Vec::new();
    rows::warn_of_erased(&people, newest, |code, detail| {
        assert_eq!(code, Code::ErasedSince);
        told.push(detail);
    });
    assert_eq!(told.len(), 21);
    assert_eq!(
        told[0],
        format!("user user-0 of this dump was erased before {newest}; verifications v1, v2")
    );
    assert_eq!(told[20], "and 3 more users, 23 in all");
}

///
#[test]
fn an_older_snapshot_is_compared_with_the_newest_that_has_a_dump() {
    let vault = TestVault::new();
    let (older, newer) = older_and_newer();
    older.write(&vault);
    let first = vault.snapshot().snapshot;
    newer.write(&vault);
    let second = vault.snapshot().snapshot;
    std::fs::remove_file(vault.path("db.sql")).unwrap();
    let third = vault.snapshot().snapshot;
    let unlocked = vault.unlocked();
    let erased = |snapshot, dump: &StackDump| {
        let text = dump.text();
        let older = rows::all_of(text.as_bytes());
        rows::erased_in_newest(&unlocked, snapshot, older, vault.dir.path()).unwrap()
    };
    assert_eq!(erased(first, &older), Some((second, vec![person("ann", &["v1", "v2"])])));
    assert_eq!(erased(second, &newer), None);
    assert_eq!(erased(third, &older), None);
}

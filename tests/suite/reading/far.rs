//! What is far away is asked for once, and whole.

use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Profile};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{StorageClass, Store};
use idswyft_vault::vault::fetching::Fetching;
use idswyft_vault::vault::{Unlocked, ledger};

use super::at_once::Distant;
use super::shelf::Shelf;
use crate::support::Call;

fn far(shelf: &Shelf) -> Arc<dyn Store> {
    Distant::new(Arc::new(shelf.bucket.clone()), 4)
}

fn key_of(call: &Call) -> Option<ObjectKey> {
    match call {
        Call::Get(key) | Call::GetRange(key, ..) | Call::Open(key) | Call::Stat(key) => Some(*key),
        _ => None,
    }
}

#[test]
fn a_restore_asks_for_each_pack_once() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    shelf.assert_restores_from(&far(&shelf));
    let calls = shelf.bucket.calls();
    let packs: Vec<&Call> =
        calls.iter().filter(|call| key_of(call).is_some_and(|key| key.pack().is_some())).collect();
    assert!(packs.iter().all(|call| matches!(call, Call::Open(_))), "{packs:?}");
    let mut keys: Vec<_> = packs.iter().map(|call| key_of(call)).collect();
    keys.sort();
    let asked = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), asked, "{packs:?}");
    assert!(asked >= 4, "two packs of files, one of the dump, one tree: {packs:?}");
}

#[test]
fn a_restore_reads_one_checkpoint_of_each_log() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    shelf.assert_restores_from(&far(&shelf));
    let calls = shelf.bucket.calls();
    let is_checkpoint =
        |call: &&Call| matches!(key_of(call), Some(ObjectKey::LedgerCheckpoint(..)));
    let checkpoints: Vec<&Call> = calls.iter().filter(is_checkpoint).collect();
    assert_eq!(checkpoints.len(), 1, "{checkpoints:?}");
}

/// V-208
#[test]
fn a_copied_pack_that_is_another_one_is_never_opened() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let keys = shelf.keys();
    let mut packs = keys.into_iter().filter(|key| matches!(key, ObjectKey::Pack(_)));
    // Of one generation and profile, so nothing but its name tells them apart.
    let (one, other) = (packs.next().unwrap(), packs.next().unwrap());
    shelf.bucket.plant(&one.to_string(), &shelf.bytes(&other));
    shelf.assert_restores_from(&far(&shelf));
    shelf.bucket.erase(&one.to_string());
    shelf.bucket.plant(&one.to_string(), &shelf.bytes(&other));
    let target = tempfile::tempdir().unwrap();
    let restored = shelf.vault.try_restore_from(&far(&shelf), shelf.newest, target.path());
    let losses = restored.unwrap().losses;
    assert!(!losses.is_empty());
    assert!(losses.iter().all(|loss| loss.code == Code::ObjectAltered), "{losses:?}");
}

#[test]
fn a_log_that_its_newest_checkpoint_does_not_prove_is_read_step_by_step() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let auditor = shelf.vault.auditor(&far(&shelf));
    let sound = ledger::read_answered(&auditor).unwrap();
    let log = sound.iter().max_by_key(|log| log.events.len()).unwrap();
    let (signer, count) = (log.signer, log.events.len());
    assert_eq!(log.head.size, count as u64);
    for seq in 0..count as u64 {
        let key = ObjectKey::LedgerEvent(signer, seq);
        let bytes = shelf.bytes(&key);
        shelf.bucket.erase(&key.to_string());
        shelf.bucket.plant(&key.to_string(), &[bytes.as_slice(), b" "].concat());
        let read = ledger::read_answered(&shelf.vault.auditor(&far(&shelf))).unwrap();
        let log = read.iter().find(|log| log.signer == signer).unwrap();
        assert_eq!(log.events.len() as u64, seq, "what comes before it still counts");
        assert!(matches!(log.problems[0].1.code(), Code::FormatInvalid | Code::LedgerBroken));
        shelf.bucket.erase(&key.to_string());
        shelf.bucket.plant(&key.to_string(), &bytes);
    }
}

#[test]
fn where_there_is_no_room_for_a_copy_a_pack_is_read_by_its_parts() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let auditor = shelf.vault.auditor(&far(&shelf));
    let note = auditor.snapshot(shelf.newest).unwrap();
    let unlocked = Unlocked::new(auditor, shelf.vault.identities()).unwrap();
    let fetching = Fetching::new(&unlocked, &note, Path::new("/there/is/no/such/directory"));
    let trees = shelf.keys().into_iter().filter(|key| matches!(key, ObjectKey::Tree(_)));
    let ids: Vec<_> = trees.filter_map(|key| key.pack()).collect();
    shelf.bucket.forget_calls();
    for id in ids {
        let (generation, meta) = (note.generation, Profile::Meta);
        let pack = fetching.pack(&unlocked, generation, meta, id, u64::MAX).unwrap();
        assert!(pack.blocks().raw_len() > 0);
    }
    let is_part = |call: &Call| matches!(call, Call::GetRange(ObjectKey::Tree(_), ..));
    assert!(shelf.bucket.calls().iter().any(is_part));
}

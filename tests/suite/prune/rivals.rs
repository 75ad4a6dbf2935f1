//! Two notes of one id, both signed: what the lists of both name stays.

use idswyft_vault::base::SnapshotId;
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::snapshot_note::{SignedObject, SnapshotNote};
use idswyft_vault::store::{Content, Store};

use super::bench::{LEAN_HOURS, orphan, prune};
use crate::retention::bench::Bench;

fn put(store: &dyn Store, key: &ObjectKey, bytes: &[u8]) {
    store.put_new(key, Content::Bytes(bytes), &sha256(bytes)).unwrap();
}

/// P-3 P-10 F-30
#[test]
fn what_either_of_two_notes_names_stays_in_every_store() {
    let bench = Bench::new("keep_last = 9", 1);
    let survey = bench.survey(&bench.vault.stores).unwrap();
    let first = survey.signed().next().unwrap().clone();
    let id = SnapshotId::new(first.time, [9; 4]);
    let packs = [1, 2].map(orphan);
    for (store, (pack, bytes)) in bench.vault.stores.iter().zip(&packs) {
        let entry = ListEntry { key: *pack, stored_len: bytes.len() as u64 };
        let (text, totals) = list::compose(first.vault, id, [entry]).unwrap();
        let note = SnapshotNote {
            snapshot: id,
            list: SignedObject { sha256: sha256(text.as_bytes()), len: text.len() as u64 },
            pack_count: totals.pack_count,
            tree_count: totals.tree_count,
            stored_len: totals.stored_len,
            new_len: totals.stored_len,
            ..first.clone()
        };
        let signed = bench.vault.writer().key().sign(&note.compose().unwrap()).unwrap();
        put(store.as_ref(), &ObjectKey::List(id), text.as_bytes());
        put(store.as_ref(), &ObjectKey::Note(id), &signed);
    }
    for store in &bench.vault.stores {
        packs.iter().for_each(|(pack, bytes)| put(store.as_ref(), pack, bytes));
        let (other, bytes) = orphan(3);
        put(store.as_ref(), &other, &bytes);
    }
    bench.vault.clock.pass_hours(LEAN_HOURS + 24);
    bench.night();
    prune(&bench);
    for store in &bench.vault.stores {
        assert!(store.stat(&orphan(3).0).unwrap().is_none(), "nothing names that one");
        for (pack, _) in &packs {
            assert!(store.stat(pack).unwrap().is_some(), "{pack}");
        }
    }
}

//! Snapshots that nobody reads: signed, with a list, and without contents.

use std::sync::Arc;

use idswyft_vault::base::{Clock, PackId, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::list::{ListComposer, ListEntry, ListTotals};
use idswyft_vault::format::snapshot_note::{SignedObject, SnapshotNote, tags_digest_input};
use idswyft_vault::store::{Content, Store};
use jiff::Timestamp;

use super::sha256;
use super::vault::TestVault;

/// Puts a signed snapshot into a store of a vault, whose list names packs, in the order of names.
pub fn put_snapshot(
    vault: &TestVault,
    store: &Arc<dyn Store>,
    packs: impl IntoIterator<Item = (PackId, u64)>,
    floor: Option<Timestamp>,
) -> SnapshotId {
    let writer = vault.writer();
    let id = SnapshotId::new(vault.clock.now(), [7; 4]);
    let (mut composer, mut list) = ListComposer::new(writer.vault(), id);
    for (pack, stored_len) in packs {
        let entry = ListEntry { key: ObjectKey::Pack(pack), stored_len };
        list.push_str(&composer.entry(&entry).unwrap());
    }
    let ListTotals { pack_count, tree_count, stored_len } = composer.finish();
    let put = |key: ObjectKey, bytes: &[u8]| {
        let signed = SignedObject { sha256: sha256(bytes), len: bytes.len() as u64 };
        store.put_new(&key, Content::Bytes(bytes), &signed.sha256).unwrap();
        signed
    };
    let note = SnapshotNote {
        vault: writer.vault(),
        snapshot: id,
        generation: writer.generation().id,
        time: id.time(),
        signer: writer.key().signer_id(),
        body: put(ObjectKey::Body(id), b"nobody reads it"),
        list: put(ObjectKey::List(id), list.as_bytes()),
        segment: put(ObjectKey::Segment(id), b"nobody reads it"),
        pack_count,
        tree_count,
        stored_len,
        new_len: stored_len,
        floor,
        tags_digest: sha256(&tags_digest_input(&[0; 16], &[])),
        keep_tag: false,
    };
    let signed = writer.key().sign(&note.compose().unwrap()).unwrap();
    put(ObjectKey::Note(id), &signed);
    id
}

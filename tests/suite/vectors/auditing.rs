//! What an auditor takes from a store: a chain of signatures from the root key, and nothing else.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Digest, PackId, SignerId, SnapshotId, SystemClock};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::merkle::Frontier;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey, VerificationKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{GenerationRef, SnapshotForgotten};
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::snapshot_note::{SignedObject, SnapshotNote};
use idswyft_vault::format::vault_note::VaultNote;
use idswyft_vault::store::{Content, MemoryStore, Store};
use idswyft_vault::vault::{Auditor, Error, delivery, ledger};

use super::made_packs::{VAULT, generation};
use super::made_signed::{root, sign, signer, snapshot, snapshot_note, vault_note, writer};

fn empty_store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new("audited", Arc::new(SystemClock)))
}

fn put(store: &MemoryStore, key: ObjectKey, bytes: &[u8]) {
    store.put_new(&key, Content::Bytes(bytes), &sha256(bytes)).expect("the name is free");
}

/// A store with the first vault note.
fn store() -> Arc<MemoryStore> {
    let store = empty_store();
    let text = vault_note().compose().expect("the note is sound");
    put(&store, ObjectKey::Vault(1), &sign(&root(), &text));
    store
}

fn audit(store: &Arc<MemoryStore>) -> Result<Auditor, Error> {
    let store = Arc::clone(store);
    Auditor::open(store, root().verification_key().clone())
}

fn put_note(store: &MemoryStore, key: &SigningKey, note: &SnapshotNote) {
    let text = note.compose().expect("the note is sound");
    put(store, ObjectKey::Note(note.snapshot), &sign(key, &text));
}

/// V-144
#[test]
fn only_the_root_key_that_the_reader_brings_opens_a_vault() {
    assert!(audit(&store()).is_ok());
    let other = SigningKey::from_seed(VAULT, KeyUse::Root, &[9; 32]);
    let other: VerificationKey = other.verification_key().clone();
    assert_eq!(Auditor::open(store(), other).err().unwrap().code(), Code::SignatureInvalid);
}

/// V-99
#[test]
fn the_newest_note_of_an_unbroken_chain_is_the_vaults_state() {
    let store = store();
    let first = store.get(&ObjectKey::Vault(1), 1_000_000).unwrap();
    let next = |number, previous: Digest| {
        let name = format!("nightly-{number}");
        let note = VaultNote { number, previous: Some(previous), name, ..vault_note() };
        sign(&root(), &note.compose().unwrap())
    };
    let second = next(2, sha256(&first));
    put(&store, ObjectKey::Vault(2), &second);
    assert_eq!(audit(&store).unwrap().note().number, 2);
    put(&store, ObjectKey::Vault(3), &next(3, sha256(b"another note")));
    put(&store, ObjectKey::Vault(4), &next(4, sha256(&second)));
    let auditor = audit(&store).unwrap();
    assert_eq!(auditor.note().number, 2);
    let problems: Vec<_> = auditor.problems().iter().map(|(key, e)| (*key, e.code())).collect();
    assert_eq!(problems, [(ObjectKey::Vault(3), Code::NoteMismatch)]);
}

/// V-94, V-136
#[test]
fn a_vault_note_with_a_key_that_is_none_is_refused_and_the_one_before_it_counts() {
    let store = store();
    let first = store.get(&ObjectKey::Vault(1), 1_000_000).unwrap();
    let mut note = VaultNote { number: 2, previous: Some(sha256(&first)), ..vault_note() };
    note.signers[0].key = note.signers[0].key.replacen("+43ac8774", "+43ac8775", 1);
    put(&store, ObjectKey::Vault(2), &sign(&root(), &note.compose().unwrap()));
    put_note(&store, &writer(), &snapshot_note());
    let auditor = audit(&store).unwrap();
    assert_eq!((auditor.note().number, auditor.problems().len()), (1, 1));
    assert_eq!(auditor.snapshots().unwrap().sound.len(), 1);
}

/// V-109, V-136
#[test]
fn a_note_of_a_wrong_signer_is_a_finding_beside_the_sound_ones() {
    let store = store();
    put_note(&store, &writer(), &snapshot_note());
    let id = |last: u8| SnapshotId::new(snapshot().time(), [0, 0, 1, last]);
    let stranger = SigningKey::from_seed(VAULT, KeyUse::Signer, &[8; 32]);
    put_note(&store, &stranger, &SnapshotNote { snapshot: id(1), ..snapshot_note() });
    let other = SignerId::from_bytes([7; 8]);
    let named = SnapshotNote { snapshot: id(2), signer: other, ..snapshot_note() };
    put_note(&store, &writer(), &named);
    put(&store, ObjectKey::Note(id(3)), b"not a note");
    let checked = audit(&store).unwrap().snapshots().unwrap();
    assert_eq!(checked.sound.into_keys().collect::<Vec<_>>(), [snapshot()]);
    let mut codes: Vec<_> = checked.problems.iter().map(|(key, e)| (*key, e.code())).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            (ObjectKey::Note(id(1)), Code::SignatureInvalid),
            (ObjectKey::Note(id(2)), Code::SignerNotDelegated),
            (ObjectKey::Note(id(3)), Code::SignatureInvalid),
        ]
    );
}

/// V-109
#[test]
fn a_signer_that_may_not_take_snapshots_or_was_retired_takes_none() {
    for is_retired in [false, true] {
        let mut note = vault_note();
        if is_retired {
            note.signers[0].retired = Some(note.time);
        } else {
            note.signers[0].events.retain(|event| event.to_string() != "snapshot.taken");
        }
        let store = empty_store();
        put(&store, ObjectKey::Vault(1), &sign(&root(), &note.compose().unwrap()));
        put_note(&store, &writer(), &snapshot_note());
        let error = audit(&store).unwrap().snapshot(snapshot()).unwrap_err();
        assert_eq!(error.code(), Code::SignerNotDelegated);
    }
}

/// V-135
#[test]
fn what_has_no_note_is_no_snapshot_and_no_damage() {
    let store = store();
    put(&store, ObjectKey::Body(snapshot()), b"a body");
    put(&store, ObjectKey::List(snapshot()), b"a list");
    let checked = audit(&store).unwrap().snapshots().unwrap();
    assert!(checked.sound.is_empty() && checked.problems.is_empty());
}

/// V-115
#[test]
fn a_list_with_other_totals_than_its_notes_is_a_mismatch() {
    let (pack, tree) = (PackId::from_bytes([8; 32]), PackId::from_bytes([7; 32]));
    let entries = [ObjectKey::Pack(pack), ObjectKey::Tree(tree)]
        .map(|key| ListEntry { key, stored_len: 65_736 });
    let (text, totals) = list::compose(VAULT, snapshot(), entries).unwrap();
    let list = SignedObject { sha256: sha256(text.as_bytes()), len: text.len() as u64 };
    let sound = SnapshotNote { list, ..snapshot_note() };
    assert_eq!(totals.stored_len, sound.stored_len);
    let store = store();
    put(&store, ObjectKey::List(snapshot()), text.as_bytes());
    let auditor = audit(&store).unwrap();
    assert_eq!(auditor.list(&sound).unwrap(), entries);
    for note in [
        SnapshotNote { pack_count: 2, ..sound.clone() },
        SnapshotNote { tree_count: 0, ..sound.clone() },
        SnapshotNote { stored_len: 131_473, ..sound },
    ] {
        assert_eq!(auditor.list(&note).unwrap_err().code(), Code::NoteMismatch);
    }
}

/// V-145
#[test]
fn an_object_of_another_length_or_digest_than_signed_is_not_used() {
    let store = store();
    let key = ObjectKey::Body(snapshot());
    put(&store, key, b"a body");
    let auditor = audit(&store).unwrap();
    let read = |signed: &[u8]| {
        let signed = SignedObject { sha256: sha256(signed), len: signed.len() as u64 };
        auditor.read_signed(key, &signed)
    };
    assert_eq!(read(b"a body").unwrap(), b"a body");
    assert_eq!(read(b"b body").unwrap_err().code(), Code::ObjectAltered);
    assert_eq!(read(b"a body of more").unwrap_err().code(), Code::ObjectTruncated);
    assert_eq!(read(b"a bod").unwrap_err().code(), Code::ObjectAltered);
}

/// Puts a log of these events, each with its checkpoint.
fn put_log(store: &MemoryStore, payloads: Vec<EventPayload>) {
    let mut frontier = Frontier::empty();
    for (seq, payload) in (0..).zip(payloads) {
        let time = snapshot().time();
        let (vault, signer) = (VAULT, signer());
        let event = LedgerEvent { vault, signer, seq, time, payload, seen: Vec::new() };
        let leaf = event.compose().expect("the event is sound");
        frontier.append(&leaf);
        put(store, ObjectKey::LedgerEvent(signer, seq), &leaf);
        let text = frontier.head().compose_checkpoint(vault, signer);
        put(store, ObjectKey::LedgerCheckpoint(signer, seq), &sign(&writer(), &text));
    }
}

/// V-123
#[test]
fn an_event_beyond_its_delegation_ends_what_is_believed_of_a_log() {
    let closed = || EventPayload::GenerationClosed(GenerationRef { generation: generation() });
    let forgotten = EventPayload::SnapshotForgotten(SnapshotForgotten {
        snapshot: snapshot(),
        rule: "none".into(),
        by: "nobody".into(),
    });
    let store = store();
    put_log(&store, vec![closed(), forgotten, closed()]);
    let logs = ledger::read_all(&audit(&store).unwrap()).unwrap();
    assert_eq!((logs.len(), logs[0].events.len()), (1, 1));
    let (key, error) = &logs[0].problems[0];
    assert_eq!(*key, ObjectKey::LedgerEvent(signer(), 1));
    assert_eq!(error.code(), Code::SignerNotDelegated);
}

/// V-122
#[test]
fn a_checkpoint_of_other_leaves_breaks_a_log() {
    let closed = || EventPayload::GenerationClosed(GenerationRef { generation: generation() });
    let store = store();
    put_log(&store, vec![closed(), closed()]);
    let key = ObjectKey::LedgerCheckpoint(signer(), 1);
    let mut other = Frontier::empty();
    other.append(b"a\n");
    other.append(b"b\n");
    let text = other.head().compose_checkpoint(VAULT, signer());
    store.plant(&key.to_string(), &sign(&writer(), &text));
    let logs = ledger::read_all(&audit(&store).unwrap()).unwrap();
    let (found, error) = &logs[0].problems[0];
    assert_eq!((*found, error.code()), (key, Code::LedgerBroken));
}

/// V-140
#[test]
fn an_object_that_is_there_counts_as_delivered_only_with_the_same_bytes() {
    let store = store();
    let key = ObjectKey::List(snapshot());
    let deliver = |bytes: &[u8]| {
        let digest = sha256(bytes);
        delivery::put_or_recognise(store.as_ref(), &key, Content::Bytes(bytes), &digest)
    };
    deliver(b"one").unwrap();
    assert_eq!(deliver(b"one").unwrap().checksum, Some(sha256(b"one")));
    assert_eq!(deliver(b"two").unwrap_err().code(), Code::ObjectExists);
    assert_eq!(store.get(&key, 10).unwrap(), b"one");
}

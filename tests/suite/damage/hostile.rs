//! What a hostile writer signs: trees that no walk makes, records of another's generation, and
//! directories that claim more than there can be.

use std::collections::BTreeMap;
use std::fs;

use idswyft_vault::base::{Code, Coded, GenerationId, PackId, Profile, VaultId};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::{EventKind, EventName, EventPayload};
use idswyft_vault::format::event_fields::{GenerationOpened, GenerationRev};
use idswyft_vault::format::extent::Extent;
use idswyft_vault::format::pack::{
    BlockEntry, Blocks, ChunkEntry, DirectoryBuilder, Footer, PackOwner,
};
use idswyft_vault::format::role::Role;
use idswyft_vault::format::tree::{FileContent, Kind, Time, TreeEntry};
use idswyft_vault::format::vault_note::{Delegate, VaultNote};
use idswyft_vault::manifest::Payload;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Content;
use idswyft_vault::vault::journal::Journal;

use super::fixture::root_key;
use crate::crafted::{CONTENT, Host, Wrong};
use crate::support::vault::TestVault;

fn entry(path: &str, kind: Kind) -> TreeEntry {
    TreeEntry {
        path: path.as_bytes().to_vec(),
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        kind,
        uid: 0,
        gid: 0,
        mtime: Time { sec: 1_700_000_000, nsec: 0 },
        xattrs: BTreeMap::new(),
    }
}

fn dir(path: &str) -> TreeEntry {
    entry(path, Kind::Dir)
}

fn link(path: &str, to: &str) -> TreeEntry {
    entry(path, Kind::Hardlink { link: to.as_bytes().to_vec() })
}

/// A file of the crafted pack, with its digest or with that of other content.
fn file(path: &str, pack: PackId, content: &[u8]) -> TreeEntry {
    let len = CONTENT.len() as u64;
    let extents = vec![Extent { pack, offset: 0, len }];
    let content = FileContent { size: len, b3: blake3::hash(content), extents, sparse: false };
    entry(path, Kind::File(content))
}

/// Puts a snapshot of such a tree.
fn put(make: impl FnOnce(PackId) -> Vec<TreeEntry>) -> Host {
    let host = Host::new();
    let pack = host.put_pack(Profile::File, CONTENT, Wrong::Nothing);
    let entries = make(pack.key.pack().unwrap());
    let tree: Vec<u8> = entries.iter().flat_map(|entry| entry.to_line().unwrap()).collect();
    host.put_tree(pack, &tree, Wrong::Nothing);
    host
}

/// V-68, V-69, V-78
#[test]
fn a_tree_whose_lines_are_out_of_place_is_found() {
    type Make = fn(PackId) -> Vec<TreeEntry>;
    let sound: Make = |pack| vec![dir(""), dir("a"), file("a/b", pack, CONTENT), dir("a-b")];
    assert_eq!(put(sound).findings(), []);
    let trees: [(&str, Make); 7] = [
        ("a", |pack| vec![file("a", pack, CONTENT)]),
        ("a", |pack| vec![dir(""), file("a", pack, CONTENT), file("a", pack, CONTENT)]),
        ("a", |pack| vec![dir(""), file("b", pack, CONTENT), file("a", pack, CONTENT)]),
        ("a/b", |pack| vec![dir(""), dir("a"), dir("a-b"), file("a/b", pack, CONTENT)]),
        ("a/b", |pack| vec![dir(""), file("a/b", pack, CONTENT)]),
        ("b", |_| vec![dir(""), dir("a"), link("b", "a")]),
        ("c", |pack| vec![dir(""), file("a", pack, CONTENT), link("b", "a"), link("c", "b")]),
    ];
    for (path, make) in trees {
        let found = put(make).findings();
        let named = format!("(uploads/{path})");
        assert!(
            found
                .iter()
                .any(|(code, object)| *code == Code::FormatInvalid && object.ends_with(&named)),
            "{path}: {found:?}"
        );
    }
    // No pack holds nothing, so it is the tree object that is wrong.
    let empty = put(|_| Vec::new()).findings();
    assert!(empty.iter().any(|(_, object)| object.starts_with("trees/")), "{empty:?}");
}

/// V-146
#[test]
fn a_lost_file_is_lost_under_every_name_that_leads_to_it() {
    let host = put(|pack| {
        vec![dir(""), file("a", pack, b"other"), link("b", "a"), link("c", "b"), link("d", "c")]
    });
    let target = host.vault.path("restored");
    let report = host.vault.try_restore(host.snapshot, &target).unwrap();
    let what: Vec<&str> = report.losses.iter().map(|loss| loss.what.as_str()).collect();
    assert_eq!(what, ["uploads/a", "uploads/b", "uploads/c", "uploads/d"]);
    assert_eq!(fs::read_dir(target.join("uploads")).unwrap().count(), 0);
    assert_eq!((report.file_count, report.content_len), (0, 0));
}

/// V-40
#[test]
fn a_directory_that_claims_a_frame_beyond_its_block_is_refused() {
    let generation: GenerationId = "20261122T023000Z-00000001".parse().unwrap();
    let owner =
        PackOwner { vault: VaultId::from_bytes([1; 16]), generation, profile: Profile::File };
    let parse = |frame_len: u32, raw_len: u32| {
        let mut directory = DirectoryBuilder::new(owner);
        let id = idswyft_vault::base::ChunkId::from_bytes([3; 32]);
        let block = BlockEntry { frame_len, raw_len };
        directory.push(block, &[ChunkEntry { id, raw_len }]);
        let tail = directory.finish();
        let footer = Footer::parse(&tail, u64::from(frame_len) + tail.len() as u64).unwrap();
        Blocks::parse(&footer, &tail)
    };
    for (raw_len, most) in [(1, 13), (131_072, 131_084), (131_073, 131_088), (1 << 22, 4_194_409)] {
        assert!(parse(most, raw_len).is_ok(), "{raw_len}");
        assert_eq!(parse(most + 1, raw_len).unwrap_err().code(), Code::FormatInvalid, "{raw_len}");
    }
    assert!(parse(u32::MAX - 200_000, 10).is_err());
}

/// V-49, V-54
#[test]
fn another_writers_record_of_a_generation_does_not_shadow_the_right_one() {
    let vault = TestVault::new();
    vault.write("a.jpg", CONTENT);
    let report = vault.snapshot();
    let writer = vault.writer();
    // Logs are read in the order of their signers, so the hostile one comes first.
    let hostile = (0..=u8::MAX)
        .map(|seed| SigningKey::from_seed(writer.vault(), KeyUse::Signer, &[seed; 32]))
        .find(|key| key.signer_id() < writer.key().signer_id())
        .unwrap();
    delegate_to(&vault, &hostile);
    let generation = writer.generation().id;
    let (file, recipient) = (sha256(b"another file"), sha256(b"another recipient"));
    let revs = vec![GenerationRev { rev: 1, sha256: file }];
    let opened = GenerationOpened { generation, revs, recipient_sha256: recipient };
    let time = idswyft_vault::base::Clock::now(vault.clock.as_ref());
    let event = EventPayload::GenerationOpened(opened);
    for object in
        Journal::empty().append(&hostile, writer.vault(), time, event, Vec::new()).unwrap()
    {
        let Payload::Bytes(bytes) = &object.payload else { panic!("an event is in memory") };
        vault.stores[0].put_new(&object.key, Content::Bytes(bytes), &object.sha256).unwrap();
    }
    let restored = vault.try_restore(report.snapshot, &vault.path("restored")).unwrap();
    assert_eq!(restored.losses, []);
    let findings = vault.verify(Level::Contents).findings;
    let named: Vec<_> =
        findings.iter().map(|finding| (finding.code, finding.object.clone())).collect();
    let event = ObjectKey::LedgerEvent(hostile.signer_id(), 0);
    // That no operator recorded the delegation yet is a remark.
    let unrecorded = (Code::RecordPending, "vault/2.note".to_owned());
    assert_eq!(named, [unrecorded, (Code::NoteMismatch, event.to_string())]);
}

/// Signs a vault note that delegates to a second writer.
fn delegate_to(vault: &TestVault, key: &SigningKey) {
    let first = fs::read(vault.path("store/vault/1.note")).unwrap();
    let mut note = vault.auditor(&vault.stores[0]).note().clone();
    (note.number, note.previous) = (2, Some(sha256(&first)));
    note.signers.push(Delegate {
        id: key.signer_id(),
        role: Role::Writer,
        key: key.verification_key().to_string(),
        events: vec![EventName::Known(EventKind::GenerationOpened)],
        retired: None,
    });
    let signed = root_key(vault).sign(&VaultNote::compose(&note).unwrap()).unwrap();
    let put =
        vault.stores[0].put_new(&ObjectKey::Vault(2), Content::Bytes(&signed), &sha256(&signed));
    put.unwrap();
}

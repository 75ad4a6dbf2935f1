//! A hostile host signs what it likes: what its snapshots get wrong is found all the same.

mod contents;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use idswyft_vault::base::{ChunkId, Code, Digest, PackId, Profile, SnapshotId, SystemEntropy};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::seal::{self, SealingRecipient};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::body::{Body, DatabaseStream, Stream, UploadsTree};
use idswyft_vault::format::extent::Extent;
use idswyft_vault::format::frame::{Compression, encode_block, encode_document};
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::pack::{BlockEntry, ChunkEntry, DirectoryBuilder, PackOwner};
use idswyft_vault::format::recipe::{Piece, Recipe};
use idswyft_vault::format::snapshot_note::{SignedObject, SnapshotNote, tags_digest_input};
use idswyft_vault::format::tree::{FileContent, Kind, Time, TreeEntry};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::Content;
use idswyft_vault::vault::Writer;

use crate::support::program::run_measured;
use crate::support::vault::TestVault;

/// A tree of two gibibytes.
const ENDLESS_TREE_PIECE_COUNT: usize = 2048;
/// Greatest resident size of whoever reads it: a line may have 64 MiB.
const ENDLESS_TREE_PEAK_KIB_MAX: u64 = 300 * 1024;

pub const CONTENT: &[u8] = b"a picture, and what follows it";

/// What is wrong with a snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    ChunkId,
    UnlistedPack,
    TreeNamesAnother,
    ExtentsBeyondSize,
    TreeLine,
    TreeWithoutEnd,
}

/// A host that puts what it wants.
pub struct Host {
    pub vault: TestVault,
    pub writer: Writer,
    pub snapshot: SnapshotId,
    /// The dump of the next snapshots.
    dump: Option<DatabaseStream>,
}

impl Host {
    pub fn new() -> Self {
        let vault = TestVault::new();
        let writer = vault.writer();
        let snapshot = SnapshotId::new(writer.outside().clock.now(), [7; 4]);
        Self { vault, writer, snapshot, dump: None }
    }

    fn put(&self, key: ObjectKey, bytes: &[u8]) -> SignedObject {
        let sha256 = sha256(bytes);
        let put = self.vault.stores[0].put_new(&key, Content::Bytes(bytes), &sha256);
        put.expect("the name is free");
        SignedObject { sha256, len: bytes.len() as u64 }
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let recipient: &SealingRecipient = &self.writer.generation().recipient;
        seal::seal(recipient, plain, &SystemEntropy).expect("it seals")
    }

    /// Puts a pack of one chunk, under its own id or a wrong one.
    pub fn put_pack(&self, profile: Profile, raw: &[u8], wrong: Wrong) -> ListEntry {
        let generation = self.writer.generation();
        let id = match wrong {
            Wrong::ChunkId => ChunkId::from_bytes([9; 32]),
            _ => generation.dedup_secret.chunk_id_key(profile).id(raw),
        };
        let owner = PackOwner { vault: self.writer.vault(), generation: generation.id, profile };
        let mut directory = DirectoryBuilder::new(owner);
        let frame = encode_block(raw, Compression::Raw);
        let len = |len: usize| u32::try_from(len).expect("it is short");
        let block = BlockEntry { frame_len: len(frame.len()), raw_len: len(raw.len()) };
        directory.push(block, &[ChunkEntry { id, raw_len: len(raw.len()) }]);
        let sealed = self.seal(&[frame, directory.finish()].concat());
        let pack = PackId::from_bytes(*sha256(&sealed).as_bytes());
        let key = idswyft_vault::vault::writer::pack_key(profile, pack);
        ListEntry { key, stored_len: self.put(key, &sealed).len }
    }

    /// Puts a snapshot of one file that is sound but for what is wrong with it.
    fn put_snapshot(&self, wrong: Wrong) {
        let file = self.put_pack(Profile::File, CONTENT, wrong);
        let tree = tree(file.key.pack().expect("it is a pack"), wrong);
        self.put_tree(file, &tree, wrong);
    }

    /// Puts a snapshot whose tree is these lines, which lean on a pack.
    pub fn put_tree(&self, file: ListEntry, tree: &[u8], wrong: Wrong) {
        self.put_tree_over(&[file], tree, wrong);
    }

    /// Puts a snapshot whose tree is these lines, which lean on several packs.
    pub fn put_tree_over(&self, files: &[ListEntry], tree: &[u8], wrong: Wrong) {
        let mut entries = files.to_vec();
        entries.sort_by_key(|entry| entry.key.pack());
        entries.push(self.put_pack(Profile::Meta, tree, Wrong::Nothing));
        let mut packs: Vec<PackId> = entries.iter().filter_map(|entry| entry.key.pack()).collect();
        if wrong == Wrong::UnlistedPack {
            packs.push(PackId::from_bytes([5; 32]));
        }
        let sealed = self.body(packs, files.len(), tree, wrong);
        let body = self.put(ObjectKey::Body(self.snapshot), &sealed);
        let vault = self.writer.vault();
        let (list, totals) =
            list::compose(vault, self.snapshot, entries).expect("packs come before trees");
        let note = SnapshotNote {
            vault,
            snapshot: self.snapshot,
            generation: self.writer.generation().id,
            time: self.snapshot.time(),
            signer: self.writer.key().signer_id(),
            body,
            list: self.put(ObjectKey::List(self.snapshot), list.as_bytes()),
            segment: self.put(ObjectKey::Segment(self.snapshot), b"nobody reads it"),
            pack_count: totals.pack_count,
            tree_count: totals.tree_count,
            stored_len: totals.stored_len,
            new_len: totals.stored_len,
            floor: None,
            tags_digest: sha256(&tags_digest_input(&[0; 16], &[])),
            keep_tag: false,
        };
        let text = note.compose().expect("the note is sound");
        let signed = self.writer.key().sign(&text).expect("it is short");
        self.put(ObjectKey::Note(self.snapshot), &signed);
    }

    fn body(&self, packs: Vec<PackId>, at: usize, tree: &[u8], wrong: Wrong) -> Vec<u8> {
        let times = if wrong == Wrong::TreeWithoutEnd { ENDLESS_TREE_PIECE_COUNT } else { 1 };
        let pack = u32::try_from(at).expect("there are few packs");
        let piece = Piece { pack, offset: 0, len: tree.len() as u64 };
        let recipe: Recipe = std::iter::repeat_n(piece, times).collect();
        let b3 = Digest::from_bytes(*blake3::hash(tree).as_bytes());
        let body = Body {
            vault: self.writer.vault(),
            generation: self.writer.generation().id,
            snapshot: self.snapshot,
            time: self.snapshot.time(),
            tags: Vec::new(),
            tags_salt: "00".repeat(16),
            packs,
            database: self.dump.clone(),
            uploads: Some(UploadsTree {
                source: serde_json::json!({"kind": "path"}),
                file_count: 1,
                dir_count: 1,
                other_count: 0,
                content_len: CONTENT.len() as u64,
                tree: Stream { len: (tree.len() * times) as u64, b3, recipe },
            }),
            facts: serde_json::Map::new(),
            warnings: Vec::new(),
        };
        self.seal(&encode_document(body.compose().expect("it is sound").as_bytes(), 3))
    }

    /// Returns what level `contents` finds, but for the ledger's silence about the snapshot.
    pub fn findings(&self) -> Vec<(Code, String)> {
        let findings = self.vault.verify(Level::Contents).findings.into_iter();
        let note = ObjectKey::Note(self.snapshot).to_string();
        let others = findings.filter(|finding| finding.object != note);
        others.map(|finding| (finding.code, finding.object)).collect()
    }
}

/// The lines of a tree of one file.
fn tree(pack: PackId, wrong: Wrong) -> Vec<u8> {
    let pack = match wrong {
        Wrong::TreeNamesAnother => PackId::from_bytes([5; 32]),
        _ => pack,
    };
    let size = match wrong {
        Wrong::ExtentsBeyondSize => 9,
        _ => CONTENT.len(),
    };
    let content = FileContent {
        size: size as u64,
        b3: blake3::hash(&CONTENT[..size]),
        extents: vec![Extent { pack, offset: 0, len: CONTENT.len() as u64 }],
        sparse: false,
    };
    if wrong == Wrong::TreeWithoutEnd {
        return vec![b' '; 1024 * 1024];
    }
    let line = |entry: &TreeEntry| entry.to_line().expect("a reader takes it");
    let mut lines = line(&entry(b"", Kind::Dir, 0o755));
    if wrong == Wrong::TreeLine {
        lines.extend_from_slice(b"{\"path\":\"Lost\"}\n");
        lines.extend(line(&entry(b"Lost/a.jpg", Kind::File(content.clone()), 0o644)));
    }
    lines.extend(line(&entry(b"a.jpg", Kind::File(content), 0o644)));
    lines
}

fn entry(path: &[u8], kind: Kind, mode: u32) -> TreeEntry {
    TreeEntry {
        path: path.to_vec(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: Time { sec: 1_700_000_000, nsec: 0 },
        xattrs: BTreeMap::new(),
    }
}

fn findings(wrong: Wrong) -> Vec<(Code, String)> {
    let host = Host::new();
    host.put_snapshot(wrong);
    host.findings()
}

#[test]
fn a_crafted_snapshot_with_nothing_wrong_is_sound() {
    assert_eq!(findings(Wrong::Nothing), []);
}

/// V-154
#[test]
fn a_chunk_stored_under_the_id_of_another_is_found() {
    let found = findings(Wrong::ChunkId);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Code::ContentsAltered);
    assert!(found[0].1.starts_with("packs/"), "{found:?}");
}

/// V-66
#[test]
fn a_body_that_names_a_pack_beyond_its_list_is_found() {
    let found = findings(Wrong::UnlistedPack);
    assert!(
        found.iter().any(|(code, object)| {
            *code == Code::NoteMismatch && object.starts_with("snapshots/")
        })
    );
}

/// V-67
#[test]
fn a_tree_that_names_a_pack_beyond_its_body_is_found() {
    let found = findings(Wrong::TreeNamesAnother);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Code::NoteMismatch);
    assert!(found[0].1.ends_with("(uploads/a.jpg)"), "{found:?}");
}

/// V-79, V-80
#[test]
fn a_file_whose_extents_exceed_its_size_is_found_and_not_restored() {
    let host = Host::new();
    host.put_snapshot(Wrong::ExtentsBeyondSize);
    assert_ne!(host.findings(), []);
    let target = host.vault.path("restored");
    if host.vault.try_restore(host.snapshot, &target).is_ok() {
        let restored = fs::read(target.join("uploads/a.jpg")).unwrap_or_default();
        assert!(restored.len() <= 9, "{} bytes were restored", restored.len());
    }
}

/// V-136
#[test]
fn a_line_of_a_tree_that_cannot_be_read_is_found_and_the_others_are_checked() {
    let host = Host::new();
    host.put_snapshot(Wrong::TreeLine);
    let object = format!("{} (tree)", ObjectKey::Body(host.snapshot));
    assert_eq!(host.findings(), [(Code::FormatInvalid, object)]);
    let report = host.vault.verify(Level::Contents);
    let detail = report.findings.iter().find(|finding| finding.object.ends_with("(tree)"));
    assert!(detail.unwrap().detail.starts_with("line 2: "), "{detail:?}");
}

/// V-148
#[test]
fn a_line_of_a_tree_that_cannot_be_read_costs_only_what_it_holds() {
    let host = Host::new();
    host.put_snapshot(Wrong::TreeLine);
    let target = host.vault.path("restored");
    let report = host.vault.try_restore(host.snapshot, &target).unwrap();
    let losses: Vec<&str> = report.losses.iter().map(|loss| loss.what.as_str()).collect();
    assert_eq!(losses, ["uploads/Lost/a.jpg", "uploads (some lines of the tree)"]);
    assert!(report.losses[1].detail.starts_with("line 2: "), "{:?}", report.losses);
    assert_eq!(fs::read(target.join("uploads/a.jpg")).unwrap(), CONTENT);
}

/// V-81
#[test]
fn a_tree_without_an_end_of_line_ends_in_bounded_memory() {
    let host = Host::new();
    host.put_snapshot(Wrong::TreeWithoutEnd);
    fs::write(host.vault.path("key"), &host.vault.identity).unwrap();
    fs::write(host.vault.path("vault.key"), &host.vault.report.root_key).unwrap();
    let store = format!("file://{}", host.vault.path("store").display());
    let (snapshot, target) = (host.snapshot.to_string(), host.vault.path("restored"));
    let verify = ["verify", "--level", "contents"];
    let restore = ["restore", &snapshot, "--target", target.to_str().unwrap()];
    for arguments in [&verify[..], &restore] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
        command.current_dir(host.vault.dir.path()).args(arguments).arg("--json");
        command.args(["--store", &store, "--vault-key", "vault.key", "-i", "key"]);
        let (ran, peak) = run_measured(command);
        assert!(ran.stdout.contains("limit-exceeded"), "{ran:?}");
        assert!(peak < ENDLESS_TREE_PEAK_KIB_MAX, "{arguments:?}: {peak} KiB");
    }
}

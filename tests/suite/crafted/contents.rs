//! What level `contents` finds in trees and dumps that a hostile host signed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use idswyft_vault::base::{Code, Digest, Profile, SnapshotId};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::body::{DatabaseStream, Stream};
use idswyft_vault::format::extent::Extent;
use idswyft_vault::format::list::ListEntry;
use idswyft_vault::format::recipe::Piece;
use idswyft_vault::format::tree::{FileContent, Kind};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::Store;
use idswyft_vault::vault::Unlocked;

use super::{CONTENT, Host, Wrong, entry, tree};
use crate::support::vault::noise;
use crate::support::{Call, RecordingStore};

/// Files of one pack that are more than are checked at once.
const FILE_COUNT: usize = 2500;

/// V-151
#[test]
fn a_damaged_file_behind_a_line_that_cannot_be_read_is_named() {
    let host = Host::new();
    let file = host.put_pack(Profile::File, CONTENT, Wrong::Nothing);
    let tree = tree(file.key.pack().unwrap(), Wrong::TreeLine);
    host.put_tree(file, &tree, Wrong::TreeLine);
    let touched = host.vault.verify(Level::Contents).touched;
    assert!(touched.len() == 1 && touched[0].files.is_empty());
    assert!(!touched[0].files_known, "nobody knows what the line names");
    let path = host.vault.path("store").join(file.key.to_string());
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = host.vault.verify(Level::Contents);
    let touched = &report.touched[0];
    assert_eq!((touched.snapshot, touched.object_count), (host.snapshot, 1));
    assert!(touched.files.contains(&"uploads/a.jpg".to_owned()), "{touched:?}");
    assert!(!touched.files_known);
}

/// V-151
#[test]
fn of_very_many_files_in_one_pack_each_is_judged() {
    let host = Host::new();
    let content = noise(1, 2 * FILE_COUNT);
    let file = host.put_pack(Profile::File, &content, Wrong::Nothing);
    let pack = file.key.pack().unwrap();
    let altered: BTreeSet<usize> = [3, 2300, FILE_COUNT - 2].into();
    // Each has two bytes far apart, so that all of them are begun before the first one ends.
    let line = |index: usize| {
        let other = FILE_COUNT + index;
        let is_altered = altered.contains(&index);
        let bytes = [content[index], content[other] ^ u8::from(is_altered)];
        let beyond = usize::from(index + 1 == FILE_COUNT);
        let extent = |offset: usize| Extent { pack, offset: offset as u64, len: 1 };
        let extents = vec![extent(index), extent(other + beyond)];
        let kind = FileContent { size: 2, b3: blake3::hash(&bytes), extents, sparse: false };
        entry(format!("{index:05}").as_bytes(), Kind::File(kind), 0o644).to_line().unwrap()
    };
    let root = entry(b"", Kind::Dir, 0o755).to_line().unwrap();
    let tree: Vec<u8> = std::iter::once(root).chain((0..FILE_COUNT).map(line)).flatten().collect();
    host.put_tree(file, &tree, Wrong::Nothing);
    let object = |index: &usize| format!("{} (uploads/{index:05})", ObjectKey::Body(host.snapshot));
    let mut expected: BTreeSet<String> = altered.iter().map(object).collect();
    // What ends beyond the pack is found as well.
    expected.insert(object(&(FILE_COUNT - 1)));
    let found: BTreeSet<String> = host.findings().into_iter().map(|(_, object)| object).collect();
    assert_eq!(found, expected);
    let files = host.vault.verify(Level::Contents).files.unwrap();
    assert_eq!((files.file_count, files.checked_file_count), (2500, 2500));
}

/// V-151
#[test]
fn a_dump_that_many_snapshots_have_is_found_once_and_by_the_name_of_the_oldest() {
    let mut host = Host::new();
    let dump = b"what is no dump\n".repeat(60_000);
    let pack = host.put_pack(Profile::Stream, &dump, Wrong::Nothing);
    let piece = Piece { pack: 0, offset: 0, len: dump.len() as u64 };
    let b3 = Digest::from_bytes(*blake3::hash(&dump).as_bytes());
    host.dump = Some(DatabaseStream {
        source: serde_json::json!({"kind": "path"}),
        stream: Stream { len: dump.len() as u64, b3, recipe: std::iter::once(piece).collect() },
        rows: BTreeMap::from([("public.users".to_owned(), 1)]),
        server_version: None,
        dump_version: None,
    });
    let root = tree(pack.key.pack().unwrap(), Wrong::Nothing);
    let root = &root[..=root.iter().position(|byte| *byte == b'\n').unwrap()];
    let oldest = host.snapshot;
    for night in 0..12 {
        host.snapshot = SnapshotId::new(oldest.time(), [7 + night; 4]);
        host.put_tree(pack, root, Wrong::Nothing);
    }
    let report = host.vault.verify(Level::Contents);
    let of_dumps = report.findings.iter().filter(|one| one.object.ends_with("(db.sql)"));
    let found: Vec<_> = of_dumps.map(|one| (one.code, one.object.clone())).collect();
    assert_eq!(found, [(Code::DumpHeaderMissing, format!("{} (db.sql)", ObjectKey::Body(oldest)))]);
    assert_eq!(report.files.unwrap().checked_dump_count, 12);
}

/// V-151
#[test]
fn a_file_in_parts_of_several_packs_is_judged_as_they_pass_and_none_is_read_again() {
    let host = Host::new();
    let content = noise(1, 300_000);
    let packs: Vec<ListEntry> = content
        .chunks(75_000)
        .map(|raw| host.put_pack(Profile::File, raw, Wrong::Nothing))
        .collect();
    let pack = |at: usize| packs[at].key.pack().unwrap();
    // Each takes a run of every pack, one of them backwards.
    let runs = |at: usize, offset: usize, len: usize| {
        let start = 75_000 * at + offset;
        let extent = Extent { pack: pack(at), offset: offset as u64, len: len as u64 };
        (extent, &content[start..start + len])
    };
    let line = |name: &[u8], runs: &[(Extent, &[u8])], is_altered: bool| {
        let mut bytes = runs.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat();
        bytes[70_000] ^= u8::from(is_altered);
        let extents = runs.iter().map(|(extent, _)| *extent).collect();
        let (size, b3) = (bytes.len() as u64, blake3::hash(&bytes));
        let kind = FileContent { size, b3, extents, sparse: false };
        entry(name, Kind::File(kind), 0o644).to_line().unwrap()
    };
    let forth: Vec<_> = (0..4).map(|at| runs(at, 17, 60_000)).collect();
    let back: Vec<_> =
        (0..4).rev().flat_map(|at| [runs(at, 9_000, 33), runs(at, 0, 74_999)]).collect();
    let tree = [
        entry(b"", Kind::Dir, 0o755).to_line().unwrap(),
        line(b"altered", &back, true),
        line(b"back", &back, false),
        line(b"forth", &forth, false),
    ];
    host.put_tree_over(&packs, &tree.concat(), Wrong::Nothing);
    let object = format!("{} (uploads/altered)", ObjectKey::Body(host.snapshot));
    assert_eq!(host.findings(), [(Code::ContentsAltered, object)]);
    let recording = Arc::new(RecordingStore::new(host.vault.stores[0].clone()));
    let store: Arc<dyn Store> = recording.clone();
    let unlocked = Unlocked::new(host.vault.auditor(&store), host.vault.identities()).unwrap();
    let (auditor, observer) = (unlocked.auditor(), host.vault.events.as_ref());
    verify::verify(auditor, Some(&unlocked), Level::Contents, None, observer).unwrap();
    for entry in &packs {
        let reads = recording.calls().into_iter().filter(|recorded| {
            let is_read =
                matches!(recorded.call, Call::Get(_) | Call::GetRange(..) | Call::Open(_));
            is_read && recorded.call.key() == Some(entry.key)
        });
        assert_eq!(reads.count(), 1, "{}", entry.key);
    }
}

/// V-151
#[test]
fn a_file_in_the_pack_of_a_dump_or_of_another_generation_is_not_sound_for_no_restore_opens_it() {
    let mut host = Host::new();
    let file = host.put_pack(Profile::File, CONTENT, Wrong::Nothing);
    let lines = tree(file.key.pack().unwrap(), Wrong::Nothing);
    host.put_tree(file, &lines, Wrong::Nothing);
    assert_eq!(host.findings(), []);
    // The same file, by a snapshot of a later generation.
    let first = host.snapshot;
    let recipients = DataRecipients::parse(&[&host.vault.recipient]).unwrap();
    host.writer.roll(&recipients, &NoPassphrase).unwrap();
    host.writer.deliver(host.vault.events.as_ref()).unwrap();
    host.snapshot = SnapshotId::new(first.time(), [8; 4]);
    host.put_tree(file, &lines, Wrong::Nothing);
    let of_files = |host: &Host| {
        let findings = host.findings().into_iter();
        findings.filter(|(_, object)| object.contains("uploads/")).collect::<Vec<_>>()
    };
    let object = |host: &Host| format!("{} (uploads/a.jpg)", ObjectKey::Body(host.snapshot));
    assert_ne!(first, host.snapshot);
    assert_eq!(of_files(&host), [(Code::ObjectUnreadable, object(&host))]);
    assert!(host.findings().contains(&(Code::ObjectUnreadable, file.key.to_string())));
    // A file in the pack of the snapshot's own dump.
    let mut host = Host::new();
    let dump = host.put_pack(Profile::Stream, CONTENT, Wrong::Nothing);
    let piece = Piece { pack: 0, offset: 0, len: CONTENT.len() as u64 };
    let b3 = Digest::from_bytes(*blake3::hash(CONTENT).as_bytes());
    let recipe = std::iter::once(piece).collect();
    host.dump = Some(DatabaseStream {
        source: serde_json::json!({"kind": "path"}),
        stream: Stream { len: CONTENT.len() as u64, b3, recipe },
        rows: BTreeMap::new(),
        server_version: None,
        dump_version: None,
    });
    host.put_tree(dump, &tree(dump.key.pack().unwrap(), Wrong::Nothing), Wrong::Nothing);
    let found: Vec<String> = of_files(&host).into_iter().map(|(_, object)| object).collect();
    assert_eq!(found, [object(&host)]);
}

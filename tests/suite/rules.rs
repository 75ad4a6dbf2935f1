//! Rules of the spec about whole vaults: what is on the host, in the kit, in a store, and what is
//! never there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::limits::GENERATION_FILE_LEN_MAX;
use idswyft_vault::base::{Code, Coded, Observer, OpenGate, PackId, SystemEntropy};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::identity::{DataIdentities, GenerationIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::seal;
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::frame::decode_document;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::segment::SegmentReader;
use idswyft_vault::ops::init::{self, Kit, NewVault};
use idswyft_vault::ops::snapshot::{self, VaultJob};
use idswyft_vault::ops::verify::{Level, verify};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::source::stream::Error as StreamError;
use idswyft_vault::source::{OpenStream, StreamSource};
use idswyft_vault::vault::{Auditor, Outside, ledger};

use crate::support::vault::{FixedClock, TestVault, dump_of, local, noise};

fn filled() -> TestVault {
    let vault = TestVault::new();
    vault.write("documents/a.jpg", &noise(1, 200_000));
    vault.write_dump(&["1\tAda".to_owned(), "2\tGrace".to_owned()]);
    vault
}

/// Returns every file below a directory, with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.expect("it is there"));
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|e| (e.path().display().to_string(), fs::read(e.path()).expect("it is readable")))
        .collect()
}

/// Asserts that no file below a directory holds a text.
fn assert_nowhere(dir: &Path, text: &str) {
    for (name, bytes) in files(dir) {
        let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "{name} holds what it must not");
    }
}

fn kit_file(vault: &TestVault, name: &str) -> Vec<u8> {
    let kit = files(&vault.path("kit"));
    let found = kit.into_iter().find(|(path, _)| path.ends_with(&format!("/{name}")));
    found.expect("the kit has the file").1
}

/// Opens the root key in the kit, as an operator does.
fn root_key(vault: &TestVault) -> SigningKey {
    let file = vault.identity.as_bytes();
    let identities = DataIdentities::parse("operator", file, &NoPassphrase).expect("it parses");
    let root = identities.open("root.age", &kit_file(vault, "root.age")).expect("it opens");
    let root = std::str::from_utf8(&root).expect("it is text");
    let root = root.strip_suffix('\n').expect("it is one line");
    SigningKey::from_secret_text(root).expect("it is a key")
}

/// V-44, V-46, V-57
#[test]
fn generation_identities_and_the_root_key_are_nowhere_in_clear() {
    let vault = filled();
    vault.snapshot();
    let key = root_key(&vault);
    let public = format!("{}\n", key.verification_key());
    assert_eq!(public.as_bytes(), kit_file(&vault, "vault.key"));
    assert_nowhere(vault.dir.path(), &key.to_secret_text());
    assert_nowhere(vault.dir.path(), "AGE-SECRET-KEY-1");
}

/// V-16
#[test]
fn no_object_holds_a_recipient_in_clear() {
    let vault = filled();
    vault.snapshot();
    assert_nowhere(&vault.path("store"), &vault.recipient);
    assert_nowhere(&vault.path("store"), &vault.writer().generation().recipient.to_string());
}

/// V-15
#[test]
fn a_pack_under_another_name_is_found_by_reading_it() {
    let vault = filled();
    let report = vault.snapshot();
    let note = vault.auditor(&vault.stores[0]).snapshot(report.snapshot).unwrap();
    let list = vault.auditor(&vault.stores[0]).list(&note).unwrap();
    let path = vault.path("store").join(list[0].key.to_string());
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(vault.verify(Level::Stored).is_sound());
    let findings = vault.verify(Level::Bytes).findings;
    assert_eq!(findings[0].code, Code::ObjectAltered);
    assert_eq!(findings[0].object, list[0].key.to_string());
}

/// V-47, V-59
#[test]
fn a_snapshot_is_of_one_generation_and_shares_no_pack_with_another() {
    let vault = filled();
    let first = vault.snapshot();
    vault.clock.pass_hours(24 * 366);
    let second = vault.snapshot();
    let auditor = vault.auditor(&vault.stores[0]);
    let notes = [first.snapshot, second.snapshot].map(|id| auditor.snapshot(id).unwrap());
    assert_ne!(notes[0].generation, notes[1].generation);
    let packs = |index: usize| -> BTreeSet<PackId> {
        let list = auditor.list(&notes[index]).unwrap();
        list.iter().filter_map(|entry| entry.key.pack()).collect()
    };
    assert!(packs(0).is_disjoint(&packs(1)));
    // Level `contents` opens each pack for the generation of the note that names it.
    assert_eq!(vault.verify(Level::Contents).findings, []);
}

/// V-48
#[test]
fn a_generation_is_in_the_ledger_before_a_snapshot_of_it_is() {
    let vault = filled();
    let report = vault.snapshot();
    let auditor = vault.auditor(&vault.stores[0]);
    let note = auditor.snapshot(report.snapshot).unwrap();
    let logs = ledger::read_all(&auditor).unwrap().into_iter();
    let events: Vec<_> = logs.flat_map(|log| log.events).collect();
    let opened = events.iter().find_map(|event| match &event.payload {
        EventPayload::GenerationOpened(opened) => Some((event.seq, opened)),
        _ => None,
    });
    let taken = events.iter().find(|e| matches!(e.payload, EventPayload::SnapshotTaken(_)));
    let (seq, opened) = opened.unwrap();
    assert!(seq < taken.unwrap().seq);
    assert_eq!(opened.generation, note.generation);
    assert_eq!(opened.recipient_sha256, vault.writer().generation().recipient.digest());
    for rev in &opened.revs {
        let key = ObjectKey::Generation(opened.generation, rev.rev);
        let bytes = vault.stores[0].get(&key, GENERATION_FILE_LEN_MAX).unwrap();
        assert_eq!(sha256(&bytes), rev.sha256);
    }
}

/// V-132, V-194
#[test]
fn a_segment_lists_what_its_snapshot_names_first() {
    let vault = filled();
    let first = vault.snapshot();
    vault.write("documents/b.jpg", &noise(2, 200_000));
    let second = vault.snapshot();
    let auditor = vault.auditor(&vault.stores[0]);
    let packs = |id| -> BTreeSet<PackId> {
        let list = auditor.list(&auditor.snapshot(id).unwrap()).unwrap();
        list.iter().filter_map(|entry| entry.key.pack()).collect()
    };
    let note = auditor.snapshot(second.snapshot).unwrap();
    let key = ObjectKey::Segment(second.snapshot);
    let sealed = auditor.read_signed(key, &note.segment).unwrap();
    let identity = vault.writer().generation().dedup_secret.index_identity();
    let plain = seal::open("segment", &sealed, &identity).unwrap();
    let bytes = decode_document(&plain, 1 << 20).unwrap();
    let mut reader = SegmentReader::open(bytes.as_slice()).unwrap();
    let next_pack = std::iter::from_fn(|| reader.next_pack().unwrap());
    let listed: BTreeSet<PackId> = next_pack.map(|pack| pack.id).collect();
    let next_use = std::iter::from_fn(|| reader.next_use().unwrap());
    let used: BTreeMap<PackId, u64> = next_use.map(|used| (used.id, used.used_len)).collect();
    assert_eq!(used.keys().copied().collect::<BTreeSet<_>>(), packs(second.snapshot));
    assert!(used.values().all(|used_len| *used_len > 0));
    let (before, after) = (packs(first.snapshot), packs(second.snapshot));
    assert_eq!(listed, after.difference(&before).copied().collect());
}

/// V-50
#[test]
fn a_generation_is_sealed_to_the_signed_recipients_or_not_opened() {
    let vault = filled();
    let before = vault.writer().generation().id;
    vault.clock.pass_hours(24 * 366);
    let prefix = bech32::Hrp::parse("age1nowhere").unwrap();
    let missing = age_core::primitives::bech32_encode(prefix, b"some plugin data");
    let recipients = DataRecipients::parse(&[missing]).unwrap();
    let job = VaultJob { writer: vault.writer(), recipients };
    let observer: Arc<dyn Observer> = vault.events.clone();
    let sources = vault.sources();
    let report = snapshot::run(vec![job], &sources, &[], &NoPassphrase, &observer).unwrap();
    assert_eq!(vault.events.warnings(), [Code::PolicyDiffers]);
    let note = vault.auditor(&vault.stores[0]).snapshot(report.taken[0].snapshot).unwrap();
    assert_eq!(note.generation, before);
}

/// V-55, V-56
#[test]
fn without_a_kit_nothing_of_a_vault_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store) = (dir.path().join("state"), dir.path().join("store"));
    let operator = TestVault::new();
    let recipients = DataRecipients::parse(&[&operator.recipient]).unwrap();
    let clock = FixedClock::new();
    let outside = Outside { clock, entropy: Arc::new(SystemEntropy), gate: OpenGate::shared() };
    for place in [state.join("kit"), store.join("kit")] {
        let vault = NewVault {
            name: "nightly",
            policy: &Policy::new(PolicyFields::default()).unwrap(),
            parameters: Parameters::initial(),
            recipients: &recipients,
            stores: vec![local(&store, "local")],
        };
        let kit = Kit {
            dir: &place,
            forbidden: vec![state.clone(), store.clone()],
            identities: Vec::new(),
            config: None,
        };
        let events = operator.events.as_ref();
        let made = init::create(vault, &state, &kit, &NoPassphrase, &outside, events);
        assert_eq!(made.err().unwrap().code(), Code::KitPlaceRefused);
        assert!(files(dir.path()).is_empty());
    }
}

/// A source that takes its time.
struct Slow {
    dump: String,
    clock: Arc<FixedClock>,
    hours: i64,
}

struct Opened(std::io::Cursor<Vec<u8>>);

impl StreamSource for Slow {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({"kind": "slow"})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, StreamError> {
        self.clock.pass_hours(self.hours);
        Ok(Box::new(Opened(std::io::Cursor::new(self.dump.clone().into_bytes()))))
    }
}

impl std::io::Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl OpenStream for Opened {
    fn finish(self: Box<Self>) -> Result<(), StreamError> {
        Ok(())
    }
}

/// V-137
#[test]
fn a_run_longer_than_grace_does_not_commit() {
    let vault = filled();
    let run = |hours| {
        let dump = dump_of(&["1\tAda".to_owned()]);
        let mut sources = vault.sources();
        let slow = Slow { dump, clock: Arc::clone(&vault.clock), hours };
        sources.database = Some(Box::new(slow));
        vault.try_snapshot(&sources)
    };
    assert_eq!(run(24 * 14 + 1).unwrap_err().code(), Code::RunTooLong);
    assert!(vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.is_empty());
    assert!(run(24 * 14).is_ok());
}

/// V-149, V-150, V-155
#[test]
fn a_missing_note_is_found_at_every_level_and_gaps_are_told() {
    let vault = filled();
    let report = vault.snapshot();
    let key = ObjectKey::Note(report.snapshot);
    fs::remove_file(vault.path("store").join(key.to_string())).unwrap();
    let mut gap_counts = Vec::new();
    for level in [Level::Ledger, Level::Stored, Level::Bytes, Level::Contents] {
        let report = vault.verify(level);
        let found = report.findings.iter().find(|finding| finding.object == key.to_string());
        assert_eq!(found.unwrap().code, Code::ObjectMissing, "{level:?}");
        gap_counts.push(report.not_covered.len());
    }
    assert!(gap_counts.windows(2).all(|pair| pair[0] > pair[1]), "{gap_counts:?}");
    let auditor = vault.auditor(&vault.stores[0]);
    let partial = verify(&auditor, None, Level::Bytes, Some(&[]), vault.events.as_ref()).unwrap();
    assert!(partial.not_covered.iter().any(|gap| gap.contains("not named")));
}

/// V-158
#[test]
fn a_format_that_is_too_new_exits_with_7_and_changes_nothing() {
    assert_eq!(Code::FormatTooNew.exit(), 7);
    let vault = filled();
    vault.snapshot();
    let note = vault.path("store/vault/1.note");
    let text = fs::read_to_string(&note).unwrap().replacen("vault/v1 vault", "vault/v2 vault", 1);
    let (text, _) = text.split_once("\n\n").unwrap();
    fs::write(&note, root_key(&vault).sign(&format!("{text}\n")).unwrap()).unwrap();
    let before = files(&vault.path("store"));
    let root = vault.report.root_key.parse().unwrap();
    let store = Arc::clone(&vault.stores[0]);
    assert_eq!(Auditor::open(store, root).err().unwrap().code(), Code::FormatTooNew);
    assert_eq!(files(&vault.path("store")), before);
}

/// V-152, V-153
#[test]
fn a_pack_sealed_to_somebody_else_is_a_finding_and_costs_only_what_needs_it() {
    let vault = filled();
    let report = vault.snapshot();
    let auditor = vault.auditor(&vault.stores[0]);
    let list = auditor.list(&auditor.snapshot(report.snapshot).unwrap()).unwrap();
    let uploads = list.iter().max_by_key(|entry| entry.stored_len).unwrap();
    let plain = vec![0; usize::try_from(seal::plain_len(uploads.stored_len).unwrap()).unwrap()];
    let stranger = GenerationIdentity::generate(&SystemEntropy).recipient();
    let planted = seal::seal(&stranger, &plain, &SystemEntropy).unwrap();
    fs::write(vault.path("store").join(uploads.key.to_string()), planted).unwrap();
    let target = vault.path("restored");
    let losses = vault.try_restore(report.snapshot, &target).unwrap().losses;
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].what, "uploads/documents/a.jpg");
    let dump = fs::read(vault.path("db.sql")).unwrap();
    assert_eq!(fs::read(target.join("db.sql")).unwrap(), dump);
    let findings = vault.verify(Level::Contents).findings;
    assert!(findings.iter().any(|finding| finding.object == uploads.key.to_string()));
}

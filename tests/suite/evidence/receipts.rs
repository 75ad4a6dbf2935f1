//! What a store acknowledged, where nobody may look at it now.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded, SnapshotId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::StoreCompleted;
use idswyft_vault::format::role::Role;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::manifest::ManifestView;
use idswyft_vault::ops::attest::{self, Asked};
use idswyft_vault::ops::report::Report;
use idswyft_vault::ops::report::merge::merge;
use idswyft_vault::ops::verify::{
    Evidence, Level, Part, ReceiptsFrom, Request, VerifyReport, verify_as,
};
use idswyft_vault::ops::{receipts, signers};
use idswyft_vault::store::{StorageClass, Store};
use idswyft_vault::vault::Unlocked;
use jiff::Timestamp;

use super::provider::{InBucket, row};
use super::{detail, found, gap, keys, try_verify, verify};
use crate::reading::barred::HostView;
use crate::reading::shelf::Shelf;
use crate::support::sha256;
use crate::support::vault::{TestVault, noise};

/// A vault in a bucket whose packs its host may not look at, and the host's receipts.
struct Handed {
    shelf: Shelf,
    text: String,
}

fn manifest_of(vault: &TestVault) -> PathBuf {
    vault.path("state/nightly/manifest.sqlite")
}

impl Handed {
    fn new() -> Self {
        let shelf = Shelf::new(StorageClass::DeepArchive, None);
        let manifest = ManifestView::open(&manifest_of(&shelf.vault)).unwrap();
        let mut text = Vec::new();
        let vault = shelf.vault.report.vault;
        let exported = receipts::export(&manifest, vault, "bucket", &mut text).unwrap();
        assert_eq!(exported.group_count, 2);
        Self { shelf, text: String::from_utf8(text).unwrap() }
    }

    fn host(&self) -> Arc<dyn Store> {
        Arc::new(HostView::of(Arc::new(self.shelf.bucket.clone())))
    }

    /// Verifies as the host, with receipts from elsewhere.
    fn verify(&self, text: &str) -> Result<VerifyReport, idswyft_vault::ops::Error> {
        let path = self.shelf.vault.path("receipts.txt");
        fs::write(&path, text).unwrap();
        let receipts = Some(ReceiptsFrom::File(&path));
        try_verify(&self.shelf.vault, &self.host(), Evidence { receipts, ..Evidence::NONE })
    }

    /// Returns the events that cover receipts.
    fn events(&self) -> Vec<ObjectKey> {
        let events = keys(&self.shelf.bucket, Folder::Ledger).into_iter();
        let covers = |key: &ObjectKey| {
            matches!(key, ObjectKey::LedgerEvent(..))
                && String::from_utf8_lossy(&self.shelf.bucket.get(key, 1 << 20).unwrap())
                    .contains("receipts_sha256")
        };
        events.filter(covers).collect()
    }
}

/// W-8, W-11
#[test]
fn what_only_receipts_prove_is_counted_apart_and_said_to_be_weaker() {
    let handed = Handed::new();
    let report = handed.verify(&handed.text).unwrap();
    assert_eq!(found(&report), []);
    let counts = report.stored.as_ref().unwrap().receipts.clone().unwrap();
    let barred = [Folder::Packs, Folder::Trees, Folder::Segments, Folder::Generations];
    let bucket = &handed.shelf.bucket;
    let count: usize = barred.map(|folder| keys(bucket, folder).len()).iter().sum();
    assert_eq!(counts.object_count, count as u64 + report.snapshot_count);
    assert_eq!(counts.without_count, 0);
    assert!(gap(&report, "packs: these credentials may not look at them").is_some());
    let said =
        format!("what became of {} objects that nobody looked at since", counts.object_count);
    let said = gap(&report, &said).unwrap();
    assert!(said.contains("acknowledged the signed SHA-256 between 2026-11-22"), "{said}");
    // An auditor who may look at everything has no use for them, and nothing to say of them.
    let path = manifest_of(&handed.shelf.vault);
    let own = Evidence { receipts: Some(ReceiptsFrom::Host(&path)), ..Evidence::NONE };
    let store: Arc<dyn Store> = Arc::new(bucket.clone());
    let report = verify(&handed.shelf.vault, &store, own);
    assert_eq!((found(&report), report.stored.unwrap().receipts), (vec![], None));
}

/// Y-12 Y-20
#[test]
fn what_nobody_may_look_at_lowers_the_share_and_its_receipts_add_up_over_parts() {
    let handed = Handed::new();
    let (vault, path) = (&handed.shelf.vault, handed.shelf.vault.path("receipts.txt"));
    // Receipts of the first group alone, so that some objects have none.
    let half = &handed.text[..handed.text.rfind("## ").unwrap()];
    for text in [handed.text.as_str(), half] {
        fs::write(&path, text).unwrap();
        let look = |name: Option<&str>| {
            let evidence = Evidence { receipts: Some(ReceiptsFrom::File(&path)), ..Evidence::NONE };
            let part = Part { shard: name.map(|name| name.parse().unwrap()), ..Part::default() };
            let now = Some(vault.clock.now());
            let request =
                Request { now, evidence, part: Some(&part), ..Request::of(Level::Stored) };
            let auditor = vault.auditor(&handed.host());
            verify_as(&auditor, None, &request, vault.events.as_ref()).unwrap()
        };
        let whole = look(None);
        let barred = whole.barred.unwrap();
        let pack_count = keys(&handed.shelf.bucket, Folder::Packs).len() as u64;
        assert_eq!((barred.pack_count, barred.barred_pack_count), (pack_count, pack_count));
        assert_eq!(whole.looked_at(), Some((0, pack_count)));
        assert_eq!(whole.sample_percent(), 0);
        let none = format!("Of none of {pack_count} packs, which these credentials may not look");
        assert!(whole.proves[1].starts_with(&none), "{:?}", whole.proves);
        let recorded = attest::events(&whole, &Asked::Until(vault.clock.now()));
        let EventPayload::Verified(said) = &recorded[0] else { panic!("it is verified") };
        assert_eq!(said.scope.sample_percent, 0);
        let part = |index: u32| {
            let name = format!("{index}/7");
            let one = look(Some(&name));
            (name, Report::new(vault.clock.now(), vault.clock.now(), vec![one]))
        };
        let parts: Vec<_> = (1..=7).map(part).collect();
        let joined = merge(&parts).unwrap().vaults.remove(0);
        assert_eq!((joined.barred, joined.sample_percent()), (whole.barred, 0));
        assert_eq!(joined.proves, whole.proves);
        let counts = |report: &VerifyReport| report.stored.clone().unwrap().receipts.unwrap();
        assert_eq!(counts(&joined), counts(&whole));
        let gaps = |report: &VerifyReport| -> BTreeSet<String> {
            report.not_covered.iter().cloned().collect()
        };
        assert_eq!(gaps(&joined), gaps(&whole));
        assert_eq!(joined.not_covered.len(), whole.not_covered.len());
    }
}

/// W-13
#[test]
fn a_host_has_its_receipts_at_hand() {
    let handed = Handed::new();
    let vault = &handed.shelf.vault;
    let path = manifest_of(vault);
    let own = Evidence { receipts: Some(ReceiptsFrom::Host(&path)), ..Evidence::NONE };
    let by_host = verify(vault, &handed.host(), own);
    let by_file = handed.verify(&handed.text).unwrap();
    assert_eq!(by_host.stored, by_file.stored);
    assert_eq!(by_host.not_covered, by_file.not_covered);
    let gone = vault.path("gone.sqlite");
    let lost = Evidence { receipts: Some(ReceiptsFrom::Host(&gone)), ..Evidence::NONE };
    let report = verify(vault, &handed.host(), lost);
    assert!(gap(&report, "the receipts of this host").is_some() && report.findings.is_empty());
    assert!(gap(&report, "packs: these credentials may not look at them").is_some());
}

/// W-10
#[test]
fn a_group_that_is_not_the_one_that_was_signed_counts_for_nothing() {
    let handed = Handed::new();
    let whole = handed.verify(&handed.text).unwrap().stored.unwrap().receipts.unwrap();
    let second = handed.text.rfind("## ").unwrap();
    let (first, last) = handed.text.split_at(second);
    // A line less, a version that is another, two lines that changed places.
    let mut swapped: Vec<&str> = last.lines().collect();
    swapped.swap(1, 2);
    let without: Vec<&str> = last.lines().take(last.lines().count() - 1).collect();
    for last in [without.join("\n") + "\n", last.replace(" v", " w"), swapped.join("\n") + "\n"] {
        let report = handed.verify(&format!("{first}{last}")).unwrap();
        let event = handed.events()[1];
        assert_eq!(found(&report), [("receipt-mismatch", event.to_string())]);
        assert!(detail(&report, &event).contains("and those that were shown have"));
        let counts = report.stored.unwrap().receipts.unwrap();
        assert!(counts.object_count < whole.object_count && counts.without_count > 0);
        assert_eq!(counts.object_count + counts.without_count, whole.object_count);
    }
}

/// W-10
#[test]
fn receipts_that_no_event_covers_are_a_finding() {
    let handed = Handed::new();
    let unknown: SnapshotId = "20200101T000000Z-00000001".parse().unwrap();
    let group = handed.text.rfind("## ").unwrap();
    let (rest, last) = handed.text.split_at(group);
    let (_, lines) = last.split_once('\n').unwrap();
    let report = handed.verify(&format!("{rest}## {unknown}\n{lines}")).unwrap();
    let expected = [("receipt-mismatch", ObjectKey::Note(unknown).to_string())];
    assert_eq!(found(&report), expected);
}

/// W-21
#[test]
fn receipts_that_a_log_which_breaks_off_may_have_covered_are_not_covered() {
    let handed = Handed::new();
    let whole = handed.verify(&handed.text).unwrap().stored.unwrap().receipts.unwrap();
    let event = handed.events()[1];
    handed.shelf.bucket.erase(&event.to_string());
    let report = handed.verify(&handed.text).unwrap();
    assert_eq!(found(&report), [("ledger-broken", event.to_string())]);
    let said = gap(&report, "whether receipts that were shown are those").unwrap();
    assert!(said.ends_with("breaks off"), "{said}");
    let counts = report.stored.unwrap().receipts.unwrap();
    assert!(counts.object_count < whole.object_count && counts.without_count > 0);
}

/// W-12
#[test]
fn an_object_that_was_taken_with_another_digest_than_is_signed_is_altered() {
    let handed = Handed::new();
    let bench = crate::retention::bench::Bench::over("keep_last = 9", 1, |_| {
        vec![Arc::new(crate::support::bucket::Bucket::new(
            "bucket",
            crate::support::vault::FixedClock::new(),
            StorageClass::Standard,
        ))]
    });
    drop(handed);
    let store = Arc::clone(&bench.vault.stores[0]);
    let pack = keys(store.as_ref(), Folder::Trees)[0];
    // A second host's word, which its ledger covers.
    let key = SigningKey::from_seed(bench.vault.report.vault, KeyUse::Signer, &[9; 32]);
    let events = signers::events_for(Role::Writer, &[]).unwrap();
    let observer = bench.vault.events.as_ref();
    signers::add(&mut bench.desk(), key.verification_key(), Role::Writer, events, observer)
        .unwrap();
    let lines = format!("{pack} 2026-11-22T02:30:00Z v1 {}\n", sha256(b"something else"));
    let snapshot = keys(store.as_ref(), Folder::Segments)[0];
    let ObjectKey::Segment(snapshot) = snapshot else { panic!("it is a segment") };
    let receipts_sha256 = Some(sha256(lines.as_bytes()));
    let said = StoreCompleted { store: "second".to_owned(), snapshot, receipts_sha256 };
    let now: Timestamp = bench.vault.clock.now();
    let payload = EventPayload::StoreCompleted(said);
    bench.forge_as(&key, std::slice::from_ref(&store), now, vec![payload]);
    let path = bench.vault.path("receipts.txt");
    let vault = bench.vault.report.vault;
    let head = format!("# idswyft-vault/v1 receipts {vault} second\n## {snapshot}\n");
    fs::write(&path, head + &lines).unwrap();
    let given = Arc::new(Given(HostView::of(store)));
    let receipts = Some(ReceiptsFrom::File(&path));
    let evidence = Evidence { receipts, ..Evidence::NONE };
    let report = verify(&bench.vault, &(given as Arc<dyn Store>), evidence);
    assert_eq!(found(&report), [("object-altered", pack.to_string())]);
    assert!(detail(&report, &pack).starts_with("the store took it with the SHA-256 "));
}

/// W-9, W-13
#[test]
fn a_file_that_is_not_receipts_of_this_vault_and_store_is_refused() {
    let handed = Handed::new();
    let text = handed.text.as_str();
    let (head, _) = text.split_once('\n').unwrap();
    let vault = handed.shelf.vault.report.vault.to_string();
    let other = "00".repeat(vault.len() / 2);
    let last = &text[text.rfind("## ").unwrap()..];
    let long = format!("{head}\n## {}\n", "x".repeat(5000));
    for (wrong, why) in [
        (String::new(), "line 1: it does not begin as"),
        ("{\"receipts\": []}\n".to_owned(), "line 1: it does not begin as"),
        (text.replacen(&vault, &other, 1), "they are of vault 00"),
        (text.replacen(" bucket\n", " attic\n", 1), "they are of store attic, and bucket is"),
        (text.replacen(" bucket\n", " \u{1b}[2J\n", 1), "line 1: it does not begin as"),
        (text.trim_end().to_owned(), "it ends in the middle of a line"),
        (format!("{text}{last}"), "is there twice"),
        (text.replacen("packs/", "pucks/", 1), "is neither a receipt nor a group"),
        (format!("{head}\nnothing\n"), "line 2: a line is neither"),
        (long, "line 2: a line is too long"),
    ] {
        let error = handed.verify(&wrong).unwrap_err();
        assert_eq!(error.code(), Code::UsageInvalid);
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    for (name, why) in [("missing.txt", "missing.txt as receipts: No such"), ("state", "directory")]
    {
        let path = handed.shelf.vault.path(name);
        let receipts = Some(ReceiptsFrom::File(&path));
        let evidence = Evidence { receipts, ..Evidence::NONE };
        let error = try_verify(&handed.shelf.vault, &handed.host(), evidence).unwrap_err();
        assert_eq!(error.code(), Code::UsageInvalid);
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// W-11, W-13
#[test]
fn receipts_of_a_store_that_has_no_name_here_are_said_to_be_of_the_one_that_they_name() {
    let handed = Handed::new();
    let path = handed.shelf.vault.path("receipts.txt");
    fs::write(&path, &handed.text).unwrap();
    let evidence = Evidence { receipts: Some(ReceiptsFrom::File(&path)), ..Evidence::NONE };
    let given: Arc<dyn Store> =
        Arc::new(Given(HostView::of(Arc::new(handed.shelf.bucket.clone()))));
    let whose = "whether this is store bucket, which gave the receipts";
    for (store, is_named) in [(given, false), (handed.host(), true)] {
        let report = verify(&handed.shelf.vault, &store, evidence);
        assert_eq!(found(&report), []);
        let counts = report.stored.as_ref().unwrap().receipts.as_ref().unwrap();
        assert_eq!(counts.store.as_deref(), Some("bucket"));
        let said = gap(&report, "what became of ").unwrap();
        assert!(said.contains(" store bucket acknowledged the signed SHA-256"), "{said}");
        assert_eq!(gap(&report, whose).is_none(), is_named, "{:?}", report.not_covered);
    }
}

/// A store that was given by its URL, so that its name says nothing.
struct Given(HostView);

impl Store for Given {
    crate::support::forward::forward!(0: url prepare put_new get get_range open delete staging_dir);
    crate::support::forward::forward!(0: clean_staging stat list versions list_versions);

    fn name(&self) -> &str {
        "given"
    }
}

/// W-16
#[test]
fn what_its_size_its_bytes_and_the_provider_show_is_told_once() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 90_000));
    vault.snapshot();
    let store = vault.stores[0].as_ref();
    let ObjectKey::Segment(id) = keys(store, Folder::Segments)[0] else { panic!("of a snapshot") };
    let [pack, tree] = [Folder::Packs, Folder::Trees].map(|folder| keys(store, folder)[0]);
    for key in [pack, tree, ObjectKey::Segment(id), ObjectKey::Body(id)] {
        let path = vault.path("store").join(key.to_string());
        let whole = fs::read(&path).unwrap();
        let mut rotten = whole.clone();
        rotten[whole.len() / 2] ^= 1;
        for (bytes, code) in
            [(&whole[..whole.len() / 2], "object-truncated"), (&rotten[..], "object-altered")]
        {
            fs::write(&path, bytes).unwrap();
            let report = vault.path("results.csv");
            fs::write(&report, row(&key, &sha256(bytes))).unwrap();
            let reports = [report];
            let evidence = Evidence { provider_reports: &reports, ..Evidence::NONE };
            let store: Arc<dyn Store> = Arc::new(InBucket(Arc::clone(&vault.stores[0])));
            let request = Request { evidence, ..Request::of(Level::Contents) };
            let (auditor, events) = (vault.auditor(&store), vault.events.as_ref());
            let unlocked = Unlocked::new(auditor, vault.identities()).unwrap();
            for (open, level) in [(None, Level::Bytes), (Some(&unlocked), Level::Contents)] {
                let report = verify_as(unlocked.auditor(), open, &request, events).unwrap();
                assert_eq!(report.level, level);
                assert_eq!(found(&report), [(code, key.to_string())], "{level:?}");
            }
        }
        fs::write(&path, whole).unwrap();
    }
}

//! What the provider computed of objects at rest.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use idswyft_vault::base::{Clock, Code, Coded, Digest};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops;
use idswyft_vault::ops::verify::{Evidence, VerifyReport};
use idswyft_vault::store::{StorageClass, Store};
use jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::{detail, found, gap, keys, try_verify, verify};
use crate::reading::shelf::Shelf;
use crate::support::bucket::Bucket;
use crate::support::forward::forward;
use crate::support::vault::{FixedClock, TestVault};

/// A store whose URL says that it is in a bucket, below a name that must be escaped.
pub struct InBucket(pub Arc<dyn Store>);

impl Store for InBucket {
    forward!(0: name prepare put_new get get_range open stat list delete staging_dir);
    forward!(0: clean_staging versions list_versions);

    fn url(&self) -> &str {
        "s3://audited/kyc, 2026"
    }

    fn calls_at_once(&self) -> usize {
        self.0.calls_at_once()
    }
}

/// Returns the row of a task that computed the SHA-256 of an object.
pub fn row(key: &ObjectKey, digest: &Digest) -> String {
    let sum = BASE64.encode(digest.as_bytes());
    row_of(key, &message("SHA256", "FULL_OBJECT", &sum, &digest.to_string().to_uppercase()))
}

fn row_of(key: &ObjectKey, message: &str) -> String {
    let message = message.replace('"', "\"\"");
    format!("audited,kyc%2C%202026/{key},,succeeded,200,,\"{message}\"\n")
}

fn message(algorithm: &str, kind: &str, sum: &str, hex: &str) -> String {
    format!(
        "{{\"checksum_base64\":\"{sum}\",\"etag\":\"3c3c1813042989094598e4b57ecbdc82\",\
         \"checksumAlgorithm\":\"{algorithm}\",\"checksumType\":\"{kind}\",\
         \"checksum_hex\":\"{hex}\"}}"
    )
}

/// A vault in an archive class, and what a provider says of it.
struct Computed {
    shelf: Shelf,
    rows: Vec<(ObjectKey, String)>,
}

impl Computed {
    /// Lets a provider do the job that the program describes.
    fn new() -> Self {
        Self::by(FixedClock::new())
    }

    /// As [`Self::new`], where the bucket has this clock.
    fn by(clock: Arc<FixedClock>) -> Self {
        let shelf = Shelf::by(clock, StorageClass::DeepArchive, None);
        let path = shelf.vault.path("job.csv");
        let evidence = Evidence { batch_manifest: Some(&path), ..Evidence::NONE };
        let before = verify(&shelf.vault, &in_bucket(&shelf.bucket), evidence);
        assert_eq!(before.stored.unwrap().provider, None);
        let at_rest = shelf.bucket.thawed_whole();
        let job = fs::read_to_string(&path).unwrap();
        let task = |line: &str| {
            let name = line.strip_prefix("audited,kyc%2C%202026/").expect("as S3 wants it");
            let key: ObjectKey = name.parse().unwrap();
            let bytes = at_rest.get(&key, u64::MAX).unwrap();
            (key, row(&key, &crate::support::sha256(&bytes)))
        };
        let rows = job.lines().map(task).collect();
        Self { shelf, rows }
    }

    fn text(&self) -> String {
        self.rows.iter().map(|(_, row)| row.as_str()).collect()
    }

    fn pack(&self) -> (ObjectKey, String) {
        let mut rows = self.rows.iter();
        rows.find(|(key, _)| matches!(key, ObjectKey::Pack(_))).unwrap().clone()
    }

    fn try_compare(&self, name: &str, text: &[u8]) -> Result<VerifyReport, ops::Error> {
        let path = self.shelf.vault.path(name);
        fs::write(&path, text).unwrap();
        compare(&self.shelf.vault, &self.shelf.bucket, &[path])
    }

    /// Writes the report of a job that ended at a time, with what the job says of it.
    fn report(&self, job: &str, text: &str, time: Timestamp) -> PathBuf {
        let dir = self.shelf.vault.path(job);
        fs::create_dir_all(&dir).unwrap();
        let md5 = hex::encode(Md5::digest(text.as_bytes()));
        let manifest = format!(
            "{{\"Format\":\"Report_CSV_20180820\",\"ReportCreationDate\":\"{time}\",\
             \"Results\":[{{\"MD5Checksum\":\"{md5}\",\"Key\":\"results/results.csv\"}}]}}"
        );
        fs::write(dir.join("manifest.json"), manifest).unwrap();
        fs::write(dir.join("results.csv"), text).unwrap();
        dir.join("results.csv")
    }

    fn compare(&self, text: &str) -> VerifyReport {
        self.try_compare("results.csv", text.as_bytes()).unwrap()
    }
}

fn in_bucket(bucket: &Bucket) -> Arc<dyn Store> {
    Arc::new(InBucket(Arc::new(bucket.clone())))
}

fn compare(
    vault: &TestVault,
    bucket: &Bucket,
    reports: &[PathBuf],
) -> Result<VerifyReport, ops::Error> {
    let evidence = Evidence { provider_reports: reports, ..Evidence::NONE };
    try_verify(vault, &in_bucket(bucket), evidence)
}

/// W-17, W-18
#[test]
fn a_sound_report_of_the_job_that_was_described_proves_the_bytes_at_rest() {
    let computed = Computed::new();
    let objects = [Folder::Packs, Folder::Trees, Folder::Segments];
    let count: usize =
        objects.map(|folder| keys(&computed.shelf.bucket, folder).len()).iter().sum();
    assert_eq!(computed.rows.len(), count + 2, "and two bodies");
    let report = computed.compare(&computed.text());
    assert_eq!(found(&report), []);
    assert_eq!(report.level_text(), "stored with provider digests");
    let provider = report.stored.as_ref().unwrap().provider.clone().unwrap();
    let packs = keys(&computed.shelf.bucket, Folder::Packs).len() as u64;
    assert_eq!((provider.pack_count, provider.computed_pack_count), (packs, packs));
    assert_eq!(provider.other_count, provider.computed_other_count);
    let proves = report.proves.last().unwrap();
    assert!(proves.contains(&format!("of {packs} of {packs} packs")), "{proves}");
    assert!(proves.contains("it is not known when") && proves.contains("the provider's word"));
    // That nobody else read them is said as plainly.
    assert!(gap(&report, "whether stored bytes are what was signed, but for").is_some());
}

/// W-16
#[test]
fn a_digest_that_is_not_the_signed_one_is_an_altered_object() {
    let computed = Computed::new();
    let (pack, sound) = computed.pack();
    let text = computed.text().replace(&sound, &row(&pack, &crate::support::sha256(b"rot")));
    let report = computed.compare(&text);
    assert_eq!(found(&report), [("object-altered", pack.to_string())]);
    assert!(detail(&report, &pack).starts_with("computed at rest by the provider"));
    assert_eq!(report.level_text(), "stored");
    // An earlier job found it sound: what rotted since is not mended by that.
    let report = computed.compare(&(text + &sound));
    assert_eq!(found(&report), [("object-altered", pack.to_string())]);
    assert_eq!(report.level_text(), "stored");
}

/// W-15
#[test]
fn what_was_not_computed_is_said_to_be_not_covered() {
    let computed = Computed::new();
    let ((pack, sound), text) = (computed.pack(), computed.text());
    let digest = Digest::from_bytes(*pack.pack().unwrap().as_bytes());
    let (base64, hex) = (BASE64.encode(digest.as_bytes()), digest.to_string());
    let name = format!("kyc%2C%202026/{pack}");
    let failed = format!("audited,{name},,failed,403,AccessDenied,\"denied, for now\"\n");
    for (instead, said) in [
        (String::new(), None),
        (failed, Some("1 rows of provider reports of tasks that failed, first AccessDenied")),
        (row_of(&pack, &message("MD5", "FULL_OBJECT", &base64, &hex)), Some(OTHER)),
        (row_of(&pack, &message("SHA256", "COMPOSITE", &base64, &hex)), Some(OTHER)),
        (row_of(&pack, "{\"etag\":\"3c3c1813042989094598e4b57ecbdc82\"}"), Some(OTHER)),
        (row_of(&pack, "Successful"), Some(BROKEN)),
        (row_of(&pack, &message("SHA256", "FULL_OBJECT", &base64, &"00".repeat(32))), Some(BROKEN)),
        ("audited,half a row\n".to_owned(), Some(BROKEN)),
        (sound.replacen("audited", "another", 1), Some("1 rows of provider reports of another b")),
        (sound.replacen("packs", "pucks", 1), Some("1 rows of provider reports of what no snap")),
    ] {
        let report = computed.compare(&(text.replace(&sound, "") + &instead));
        assert_eq!(found(&report), [], "{instead}");
        let count = report.stored.as_ref().unwrap().provider.as_ref().unwrap().pack_count;
        let missing = format!("1 of {count} packs and 0 of ");
        assert!(gap(&report, &missing).is_some(), "{:?}", report.not_covered);
        assert!(said.is_none_or(|said| gap(&report, said).is_some()), "{:?}", report.not_covered);
        assert!(!report.level_text().contains("provider"));
    }
}

const OTHER: &str = "1 rows of provider reports without a SHA-256 of the whole object";
const BROKEN: &str = "1 rows of provider reports that are not understood";

/// W-14
#[test]
fn a_report_may_be_written_as_any_program_writes_such_files() {
    let computed = Computed::new();
    let text = computed.text();
    let header = "Bucket,Key,VersionId,TaskStatus,ErrorCode,HTTPStatusCode,ResultMessage\n";
    let quoted = text.replace("audited,kyc%2C%202026", "\"audited\",\"kyc, 2026");
    let quoted = quoted.replace(",,succeeded", "\",\"\",\"succeeded\"");
    for written in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("{header}{text}"),
        format!("\u{feff}{text}"),
        quoted,
        text.replace("%20", "+"),
        text.replace(",succeeded,200,,", ",succeeded,,200,"),
    ] {
        let report = computed.compare(&written);
        assert_eq!(found(&report), []);
        let provider = report.stored.unwrap().provider.unwrap();
        assert!(provider.is_whole(), "{provider:?}\n{written}");
    }
}

/// W-19
#[test]
fn a_file_that_is_no_completion_report_is_refused_with_what_it_is() {
    let computed = Computed::new();
    let text = computed.text();
    let manifest = "{\n    \"Format\": \"Report_CSV_20180820\", \"Results\": []}";
    let endless = format!("audited,\"{}", "x".repeat(200_000));
    let cases: [(&str, &[u8], &str); 6] = [
        ("results.csv", b"", "it is empty"),
        ("manifest.json", manifest.as_bytes(), "it is the manifest.json of a job"),
        ("results.csv", manifest.as_bytes(), "it is the manifest.json of a job"),
        ("results.csv", b"audited,packs/ab/cd\n", "its first row has 2 fields"),
        ("results.csv", endless.as_bytes(), "its first row is longer than any"),
        ("results.csv", &[text.as_bytes(), b"\"", &[b'x'; 200_000]].concat(), "a row is longer"),
    ];
    for (name, bytes, why) in cases {
        let error = computed.try_compare(name, bytes).unwrap_err();
        assert_eq!(error.code(), Code::UsageInvalid);
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    fs::remove_file(computed.shelf.vault.path("manifest.json")).unwrap();
    // What is not UTF-8 is a row that proves nothing.
    let wrong = [text.as_bytes(), b"audited,\xff\xfe,,succeeded,200,,x\n"].concat();
    let report = computed.try_compare("results.csv", &wrong).unwrap();
    assert!(gap(&report, BROKEN).is_some() && report.findings.is_empty());
    let store = &computed.shelf.vault.stores[0];
    let path = computed.shelf.vault.path("results.csv");
    let reports = [path.clone()];
    let evidence = Evidence { provider_reports: &reports, ..Evidence::NONE };
    let error = try_verify(&computed.shelf.vault, store, evidence).unwrap_err();
    assert!(error.to_string().contains("is in no bucket"), "{error}");
}

/// W-17
#[test]
fn no_manifest_is_written_for_a_store_that_is_in_no_bucket() {
    let vault = TestVault::new();
    let path = vault.path("job.csv");
    let evidence = Evidence { batch_manifest: Some(&path), ..Evidence::NONE };
    let error = try_verify(&vault, &vault.stores[0], evidence).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    assert!(!path.exists());
}

/// W-18, W-19
#[test]
fn what_the_job_says_of_its_report_dates_it_and_shows_that_it_is_whole() {
    let computed = Computed::new();
    let text = computed.text();
    let md5 = hex::encode(Md5::digest(text.as_bytes()));
    let manifest = format!(
        "{{\"Format\":\"Report_CSV_20180820\",\
         \"ReportCreationDate\":\"2026-11-20T17:48:39.725Z\",\"Results\":[{{\
         \"TaskExecutionStatus\":\"succeeded\",\"Bucket\":\"reports\",\"MD5Checksum\":\"{md5}\",\
         \"Key\":\"job-f8fb9d89/results/results.csv\"}}]}}"
    );
    fs::write(computed.shelf.vault.path("manifest.json"), manifest).unwrap();
    let report = computed.compare(&text);
    assert!(report.proves.last().unwrap().contains("by a report of 2026-11-20"));
    let cut = &text[..text.len() / 2];
    let error = computed.try_compare("results.csv", cut.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("it is cut off, or was changed"), "{error}");
}

/// W-16
#[test]
fn a_version_that_does_not_count_is_no_altered_object() {
    let computed = Computed::new();
    let ((pack, sound), text) = (computed.pack(), computed.text());
    let bucket = &computed.shelf.bucket;
    bucket.plant(&pack.to_string(), b"put over it");
    let views = bucket.versions(&pack).unwrap();
    let id = |index: usize| views[index].seen_version(&pack).unwrap();
    let planted = row(&pack, &crate::support::sha256(b"put over it"));
    let of = |row: &str, version: &str| row.replacen(",,succ", &format!(",{version},succ"), 1);
    let overwritten = ("object-overwritten", pack.to_string());
    // The job took the newest, whether it says so or not.
    for instead in [planted.clone(), of(&planted, &id(1))] {
        let report = computed.compare(&text.replace(&sound, &instead));
        assert_eq!(found(&report), std::slice::from_ref(&overwritten));
        assert!(gap(&report, "1 rows of provider reports of a version that does not").is_some());
    }
    let report = computed.compare(&text.replace(&sound, &of(&sound, &id(0))));
    assert_eq!(found(&report), std::slice::from_ref(&overwritten));
    assert_eq!(report.stored.unwrap().rewritten_count, 1);
    // The right version is no longer what it was.
    let report = computed.compare(&text.replace(&sound, &of(&planted, &id(0))));
    assert!(found(&report).contains(&overwritten));
}

/// W-16
#[test]
fn what_is_found_of_the_version_that_counts_is_not_undone_by_a_row_of_another() {
    let clock = FixedClock::new();
    let computed = Computed::by(clock.clone());
    let ((pack, sound), text) = (computed.pack(), computed.text());
    let bucket = &computed.shelf.bucket;
    let rot = row(&pack, &crate::support::sha256(b"rot"));
    let planted = row(&pack, &crate::support::sha256(b"put over it"));
    let first = computed.report("first", &text.replace(&sound, &rot), clock.now());
    clock.pass_hours(1);
    bucket.plant(&pack.to_string(), b"put over it");
    let views = bucket.versions(&pack).unwrap();
    let id = |index: usize| views[index].seen_version(&pack).unwrap();
    let of = |row: &str, version: &str| row.replacen(",,succ", &format!(",{version},succ"), 1);
    let (old, new) = (of(&rot, &id(0)), of(&planted, &id(1)));
    let expected =
        ["object-altered", "object-overwritten"].map(|code| (code, pack.to_string())).to_vec();
    for both in [format!("{old}{new}"), format!("{new}{old}")] {
        assert_eq!(found(&computed.compare(&text.replace(&sound, &both))), expected);
    }
    // Where rows name no version, the time tells which it was.
    let second = computed.report("second", &text.replace(&sound, &planted), clock.now());
    for reports in [[first.clone(), second.clone()], [second.clone(), first]] {
        let report = compare(&computed.shelf.vault, bucket, &reports).unwrap();
        assert_eq!(found(&report), expected);
    }
    let report = compare(&computed.shelf.vault, bucket, &[second]).unwrap();
    assert_eq!(found(&report), expected[1..]);
}

/// W-22
#[test]
fn what_was_written_after_the_report_was_made_does_not_count_as_computed() {
    let clock = FixedClock::new();
    let computed = Computed::by(clock.clone());
    let (pack, text) = (computed.pack().0, computed.text());
    let bucket = &computed.shelf.bucket;
    let report = computed.report("job", &text, clock.now());
    let reports = [report];
    let look_at = |reports: &[PathBuf]| compare(&computed.shelf.vault, bucket, reports).unwrap();
    let whole = look_at(&reports);
    assert!(whole.stored.as_ref().unwrap().provider.as_ref().unwrap().is_whole());
    assert!(gap(&whole, "whether objects were replaced after").is_none());
    clock.pass_hours(1);
    let bytes = bucket.thawed_whole().get(&pack, u64::MAX).unwrap();
    bucket.damage(&pack.to_string(), &bytes);
    let report = look_at(&reports);
    let provider = report.stored.as_ref().unwrap().provider.clone().unwrap();
    assert_eq!(provider.computed_pack_count + 1, provider.pack_count);
    let said = "1 rows of provider reports of objects that were written after the report was made";
    assert!(gap(&report, said).is_some(), "{:?}", report.not_covered);
    // What was rotten then, and replaced since, is no longer what the report says.
    let rot = text.replace(&computed.pack().1, &row(&pack, &crate::support::sha256(b"rot")));
    let rotten = [computed.report("rotten", &rot, clock.now())];
    assert_eq!(found(&look_at(&rotten)), [("object-altered", pack.to_string())]);
    clock.pass_hours(1);
    bucket.damage(&pack.to_string(), &bytes);
    let replaced = look_at(&rotten);
    assert_eq!(found(&replaced), []);
    assert!(gap(&replaced, "1 rows of provider reports of a version that does not").is_some());
    // Where nobody tells when it was, that is said.
    let undated = computed.compare(&text);
    assert!(undated.stored.as_ref().unwrap().provider.as_ref().unwrap().is_whole());
    assert!(gap(&undated, "whether objects were replaced after").is_some());
}

//! Faults of every kind, each in a copy of the clean vault: the lowest level that can find one
//! does, the level below says that it does not cover it, and nothing else is found.

use std::sync::Arc;

use idswyft_vault::base::{Code, Digest, PackId};
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::SnapshotForgotten;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::report::Verdict;
use idswyft_vault::ops::verify::{Level, Request};
use idswyft_vault::store::{Error, Lock, LockMode, Stat, StorageClass, Store};
use jiff::{SignedDuration, Timestamp};

use super::shown::{SHOWN, Shown, bytes, put};
use crate::books::fixture::deleted;
use crate::replicas::keys_in;
use crate::support::bucket::Bucket;
use crate::support::forward::forward;

/// What is to be found, and where.
struct Expected {
    level: Level,
    code: Code,
    object: String,
}

fn at(level: Level, code: Code, object: impl ToString) -> Expected {
    Expected { level, code, object: object.to_string() }
}

/// A fault that somebody plants in a copy of the vault.
type Plant = fn(&Shown, &Bucket) -> Expected;

fn forgotten(shown: &Shown, bucket: &Bucket, index: usize) -> Expected {
    let (snapshot, janitor) = (shown.taken[index], &shown.bench.janitor);
    let seq = shown.events(janitor.signer_id()).len() as u64;
    let (rule, by) = ("no rule keeps it".to_owned(), "retain".to_owned());
    let said = EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by });
    shown.append(bucket, janitor, shown.now, said);
    bucket.erase(&ObjectKey::Note(snapshot).to_string());
    bucket.erase(&ObjectKey::Body(snapshot).to_string());
    let event = ObjectKey::LedgerEvent(janitor.signer_id(), seq);
    at(Level::Ledger, Code::ForgottenEarly, event)
}

fn ago(shown: &Shown, hours: i64) -> Timestamp {
    shown.now - SignedDuration::from_hours(hours)
}

/// What notes and ledgers alone show.
const LEDGER: &[(&str, Plant)] = &[
    ("forged note", |shown, bucket| {
        let key = ObjectKey::Note(shown.newest(7));
        let text = String::from_utf8(bytes(bucket, key).unwrap()).unwrap();
        put(bucket, key, text.replacen("\"pack_count\":", "\"pack_count\": ", 1).as_bytes());
        at(Level::Ledger, Code::SignatureInvalid, key)
    }),
    ("note signed by nobody", |shown, bucket| {
        let key = ObjectKey::Note(shown.newest(8));
        put(bucket, key, b"something else");
        at(Level::Ledger, Code::SignatureInvalid, key)
    }),
    ("deleted note", |shown, bucket| {
        let key = ObjectKey::Note(shown.newest(9));
        bucket.erase(&key.to_string());
        at(Level::Ledger, Code::ObjectMissing, key)
    }),
    ("hidden note", |shown, bucket| {
        let key = ObjectKey::Note(shown.newest(10));
        bucket.hide(&key.to_string());
        at(Level::Ledger, Code::ObjectHidden, key)
    }),
    ("note that was put over", |shown, bucket| {
        let key = ObjectKey::Note(shown.newest(11));
        bucket.plant(&key.to_string(), b"something else");
        at(Level::Ledger, Code::ObjectOverwritten, key)
    }),
    ("missing list", |shown, bucket| {
        let key = ObjectKey::List(shown.newest(12));
        bucket.erase(&key.to_string());
        at(Level::Ledger, Code::ObjectMissing, key)
    }),
    ("missing generation file", |_, bucket| {
        let key = keys_in(bucket, Folder::Generations)[3];
        bucket.erase(&key.to_string());
        at(Level::Ledger, Code::ObjectMissing, key)
    }),
    ("forked ledger", |shown, bucket| {
        // The operator said something since, and quotes what there was.
        let signer = shown.bench.janitor.signer_id();
        let EventPayload::SnapshotForgotten(said) = shown.events(signer)[5].payload.clone() else {
            panic!("a janitor forgets")
        };
        let said = SnapshotForgotten { rule: "ceiling 1d".to_owned(), ..said };
        shown.fork(bucket, &shown.bench.janitor, 5, &EventPayload::SnapshotForgotten(said));
        let quoted = shown.events(shown.operator.signer_id()).into_iter().rev();
        let mut seen = quoted.flat_map(|event| event.seen).filter(|seen| seen.signer == signer);
        let size = seen.next().expect("the operator quotes the janitor").size;
        let first = seen.map(|seen| seen.size).filter(|size| *size > 5).min().unwrap_or(size);
        at(Level::Ledger, Code::LedgerBroken, ObjectKey::LedgerEvent(signer, first - 1))
    }),
    ("missing checkpoint", |shown, bucket| {
        // Of a log that forgets, it is found as well what that no longer explains.
        let key = ObjectKey::LedgerCheckpoint(shown.operator.signer_id(), shown.hold_seq + 1);
        bucket.erase(&key.to_string());
        at(Level::Ledger, Code::LedgerBroken, key)
    }),
    ("missing event", |shown, bucket| {
        let key = ObjectKey::LedgerEvent(shown.host.signer_id(), 50);
        bucket.erase(&key.to_string());
        at(Level::Ledger, Code::LedgerBroken, key)
    }),
    ("event that is altered", |shown, bucket| {
        let key = ObjectKey::LedgerEvent(shown.host.signer_id(), 60);
        let text = String::from_utf8(bytes(bucket, key).unwrap()).unwrap();
        put(bucket, key, text.replacen(":", ": ", 1).as_bytes());
        // Of the two it is the signed one that says what is wrong.
        let signed = ObjectKey::LedgerCheckpoint(shown.host.signer_id(), 60);
        at(Level::Ledger, Code::LedgerBroken, signed)
    }),
    ("undelegated event", |shown, bucket| {
        let seq = shown.events(shown.host.signer_id()).len() as u64;
        shown.append(bucket, &shown.host, shown.now, shown.release());
        let key = ObjectKey::LedgerEvent(shown.host.signer_id(), seq);
        at(Level::Ledger, Code::SignerNotDelegated, key)
    }),
    ("log of a stranger", |shown, bucket| {
        let key = SigningKey::from_seed(shown.bench.vault.report.vault, KeyUse::Signer, &[42; 32]);
        let like = ObjectKey::LedgerEvent(shown.host.signer_id(), 0);
        let first = ObjectKey::LedgerEvent(key.signer_id(), 0);
        let event = bytes(bucket, like).unwrap();
        bucket.put_like(&first.to_string(), &like.to_string(), &event);
        at(Level::Ledger, Code::SignerNotDelegated, first)
    }),
    ("event that is dated back", |shown, bucket| {
        let janitor = &shown.bench.janitor;
        let seq = shown.events(janitor.signer_id()).len() as u64;
        shown.append(bucket, janitor, ago(shown, 24 * 9), Shown::small_talk());
        let key = ObjectKey::LedgerEvent(janitor.signer_id(), seq);
        at(Level::Ledger, Code::RecordBackdated, key)
    }),
    ("deletion before the floor", |shown, bucket| forgotten(shown, bucket, 195)),
    ("deletion under a hold", |shown, bucket| {
        assert_eq!(shown.taken[9], shown.held);
        forgotten(shown, bucket, 9)
    }),
    ("needed pack that a janitor deleted", |shown, bucket| {
        let pack = shown.shared_pack();
        shown.append(bucket, &shown.bench.janitor, shown.now, deleted(vec![pack]));
        at(Level::Ledger, Code::NeededDeleted, pack)
    }),
    ("snapshot past its ceiling", |shown, bucket| {
        // The hold ended twenty days ago, and no run has let it go since.
        shown.append(bucket, &shown.operator, ago(shown, 24 * 20), shown.release());
        at(Level::Ledger, Code::OverAge, ObjectKey::Note(shown.held))
    }),
];

/// What the store has to be asked for.
const STORED: &[(&str, Plant)] = &[
    ("missing pack", |shown, bucket| {
        let name = shown.last_pack();
        bucket.erase(&name);
        at(Level::Stored, Code::ObjectMissing, name)
    }),
    ("truncated pack", |shown, bucket| {
        let pack = shown.shared_pack();
        let bytes = bytes(bucket, pack).unwrap();
        put(bucket, pack, &bytes[..bytes.len() / 2]);
        at(Level::Stored, Code::ObjectTruncated, pack)
    }),
    ("swapped bytes that the store tells of", |shown, bucket| {
        swap(shown, bucket);
        at(Level::Stored, Code::ObjectAltered, shown.shared_pack())
    }),
    ("missing body", |shown, bucket| {
        let key = ObjectKey::Body(shown.newest(13));
        bucket.erase(&key.to_string());
        at(Level::Stored, Code::ObjectMissing, key)
    }),
    ("hidden pack", |shown, bucket| {
        let pack = shown.shared_pack();
        bucket.hide(&pack.to_string());
        at(Level::Stored, Code::ObjectHidden, pack)
    }),
    ("pack that was put over", |shown, bucket| {
        let pack = shown.shared_pack();
        bucket.plant(&pack.to_string(), b"something else");
        at(Level::Stored, Code::ObjectOverwritten, pack)
    }),
    ("pack that nothing names", |_, bucket| {
        let pack = ObjectKey::Pack(PackId::from_bytes([7; 32]));
        bucket.damage(&pack.to_string(), b"something else");
        at(Level::Stored, Code::ObjectUnreferenced, "packs and trees")
    }),
    ("pack in another class", |shown, bucket| {
        let pack = shown.shared_pack();
        bucket.move_to(&pack.to_string(), StorageClass::Standard);
        at(Level::Stored, Code::ClassWrong, pack)
    }),
    ("body that was archived", |shown, bucket| {
        let key = ObjectKey::Body(shown.newest(14));
        bucket.move_to(&key.to_string(), StorageClass::DeepArchive);
        at(Level::Stored, Code::ClassWrong, key)
    }),
    ("lock that was taken off", |shown, bucket| {
        let pack = shown.shared_pack();
        bucket.unlock(&pack.to_string());
        at(Level::Stored, Code::LockCut, pack)
    }),
    ("shortened lock", |shown, bucket| {
        let name = shown.last_pack();
        let until = shown.now + SignedDuration::from_hours(24);
        bucket.relock(&name, Lock { mode: LockMode::Compliance, until });
        at(Level::Stored, Code::LockCut, name)
    }),
    ("lock that can be lifted", |shown, bucket| {
        let name = shown.last_pack();
        let until = shown.now + SignedDuration::from_hours(24 * 3650);
        bucket.relock(&name, Lock { mode: LockMode::Governance, until });
        at(Level::Stored, Code::LockCut, name)
    }),
    ("object of nobody", |_, bucket| {
        bucket.damage("packs/00/readme.txt", b"something else");
        at(Level::Stored, Code::ObjectUnreferenced, "packs/00/readme.txt")
    }),
];

fn swap(shown: &Shown, bucket: &Bucket) {
    let mut bytes = bytes(bucket, shown.shared_pack()).unwrap();
    bytes.swap(1000, 2000);
    bytes[3000] ^= 1;
    put(bucket, shown.shared_pack(), &bytes);
}

/// A bucket that attests nothing.
struct Silent(Bucket);

impl Store for Silent {
    forward!(0: name url prepare put_new get get_range open list delete staging_dir clean_staging);
    forward!(0: list_versions);

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let quiet = |stat| Stat { checksum: None::<Digest>, ..stat };
        Ok(self.0.stat(key)?.map(quiet))
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.0.versions(key)
    }
}

/// Returns what is wrong: a fault is to be found where it can be, once, and nothing else.
fn complaints(shown: &Shown, store: &Arc<dyn Store>, expected: &Expected) -> Vec<String> {
    let Expected { level, code, object } = expected;
    let report = shown.verify(store.clone(), *level, shown.now);
    let (found, mut complaints) = (&report.findings, Vec::new());
    let is_it = found.len() == 1 && found[0].code == *code && found[0].object == *object;
    if !is_it || report.verdict == Verdict::Sound {
        complaints.push(format!("not {code} of {object} and no other: {found:#?}"));
    }
    if let Some(below) = Level::ALL.into_iter().rev().find(|one| one < level) {
        let report = shown.verify(store.clone(), below, shown.now);
        let gap = match below {
            Level::Ledger => "whether the objects that the notes name exist",
            _ => "whether stored bytes are what was signed",
        };
        let is_said = report.not_covered.iter().any(|one| one == gap);
        if !report.findings.is_empty() || !is_said {
            complaints.push(format!("at {below:?}: {report:#?}"));
        }
    }
    complaints
}

fn assert_all_found(plants: &[(&str, Plant)]) {
    let mut wrong = Vec::new();
    for (name, plant) in plants {
        let bucket = SHOWN.clean.copied();
        let expected = plant(&SHOWN, &bucket);
        let store: Arc<dyn Store> = Arc::new(bucket);
        wrong
            .extend(complaints(&SHOWN, &store, &expected).iter().map(|it| format!("{name}: {it}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// V-149 V-151 V-155 L-4 F-37 F-38
pub fn each_fault_of_the_books_is_found_by_them_alone_and_named_once() {
    assert_all_found(LEDGER);
}

/// V-149 V-203 V-204 W-1 W-2 W-4 W-5
pub fn each_fault_of_a_store_is_found_without_reading_a_pack_and_by_no_level_below() {
    assert_all_found(STORED);
    let bucket = SHOWN.clean.copied();
    swap(&SHOWN, &bucket);
    let expected = at(Level::Bytes, Code::ObjectAltered, SHOWN.shared_pack());
    let store: Arc<dyn Store> = Arc::new(Silent(bucket));
    assert_eq!(complaints(&SHOWN, &store, &expected), [""; 0]);
}

/// V-149 L-6
pub fn of_a_clean_vault_with_two_hundred_snapshots_no_level_finds_anything() {
    // The highest level includes every other.
    for level in [Level::Ledger, Level::Contents] {
        let report = SHOWN.verify(Arc::new(SHOWN.clean.clone()), level, SHOWN.now);
        assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Sound), "{level:?}");
    }
    let request = Request { now: Some(SHOWN.now), ..Request::of(Level::Stored) };
    let report = SHOWN.verify_as(Arc::new(SHOWN.mirror.clone()), &request);
    assert_eq!(report.findings, []);
}

//! What the bucket in memory does as S3 does.

use idswyft_vault::base::{Code, Coded, SystemClock};
use jiff::SignedDuration;

use super::*;

const KEY: ObjectKey = ObjectKey::Vault(1);

fn put(bucket: &dyn Store, bytes: &[u8]) -> Result<Receipt, Error> {
    bucket.put_new(&KEY, Content::Bytes(bytes), &sha256(bytes))
}

#[test]
fn who_may_only_put_is_refused_everything_else() {
    let bucket = Bucket::new("b", Arc::new(SystemClock), StorageClass::Standard);
    let host = bucket.seen_by(Rights::PUT_ONLY);
    put(&host, b"x").unwrap();
    let code = |error: Error| error.code();
    assert_eq!(host.get(&KEY, 9).map_err(code), Err(Code::StoreDenied));
    assert_eq!(host.stat(&KEY).map_err(code), Err(Code::StoreDenied));
    assert!(host.list(Folder::Vault).is_err() && host.delete(&KEY).is_err());
    assert!(host.versions(&KEY).is_err() && !host.is_readable());
    assert_eq!(bucket.get(&KEY, 9).unwrap(), b"x");
    assert_eq!(bucket.calls().len(), 7);
}

#[test]
fn versions_are_the_oldest_first_and_a_delete_marker_hides_them() {
    let bucket = Bucket::new("b", Arc::new(SystemClock), StorageClass::Standard);
    put(&bucket, b"first").unwrap();
    assert!(bucket.versions(&KEY).unwrap().is_empty());
    bucket.plant("vault/1.note", b"second");
    bucket.hide("vault/1.note");
    assert!(bucket.stat(&KEY).unwrap().is_none());
    let views = bucket.versions(&KEY).unwrap();
    let read: Vec<_> = views.iter().map(|view| view.get(&KEY, 9).unwrap()).collect();
    assert_eq!(read, [&b"first"[..], b"second"]);
    bucket.erase("vault/1.note");
    bucket.set_down(true);
    assert_eq!(put(&bucket, b"x").unwrap_err().code(), Code::StoreUnavailable);
}

#[test]
fn what_is_locked_is_not_deleted() {
    let clock = Arc::new(SystemClock);
    let mode = Some(LockMode::Compliance);
    let bucket = Bucket::with_lock("b", clock, StorageClass::Standard, mode);
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let locking = bucket.locking(until).expect("it locks");
    put(locking.as_ref(), b"x").unwrap();
    let lock = bucket.stat(&KEY).unwrap().and_then(|stat| stat.lock);
    assert_eq!(lock, Some(Lock { mode: LockMode::Compliance, until }));
    assert_eq!(bucket.delete(&KEY).unwrap_err().code(), Code::StoreDenied);
    bucket.forget_calls();
    assert!(bucket.calls().is_empty());
}

//! Until when what a host puts is locked.

use std::collections::BTreeMap;
use std::sync::Arc;

use idswyft_vault::base::Clock;
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::store::{LockMode, StorageClass, Store};
use idswyft_vault::vault::locking::locked_until;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Noon, night};
use crate::retention::bench::ending_after;
use crate::support::bucket::Bucket;
use crate::support::names_in;
use crate::support::vault::TestVault;

fn locking_bucket(name: &str) -> Bucket {
    let mode = Some(LockMode::Compliance);
    Bucket::with_lock(name, Arc::new(Noon), StorageClass::Standard, mode)
}

fn locks(bucket: &Bucket) -> BTreeMap<String, Option<Timestamp>> {
    let names = names_in(bucket).into_iter();
    let lock = |name: &String| bucket.stat(&name.parse().unwrap()).unwrap().unwrap().lock;
    names.map(|name| (name.clone(), lock(&name).map(|lock| lock.until))).collect()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// M-12, M-13
#[test]
fn everything_is_locked_until_its_generations_last_day_and_the_floor() {
    let (first, second) = (locking_bucket("first"), locking_bucket("second"));
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(first.clone()), Arc::new(second.clone())];
    let vault = TestVault::with(|_| stores, ending_after(Some(100)));
    let opened = vault.clock.now();
    vault.write("a.jpg", b"a");
    second.set_down(true);
    night(&vault, 1);
    let until = opened + days(100);
    for (name, lock) in locks(&first) {
        assert_eq!(lock, Some(until), "{name}");
    }
    let old = names_in(&first);
    vault.clock.pass_hours(24);
    let later = vault.clock.now() + days(100);
    let mut writer = vault.writer();
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    second.set_down(false);
    night(&vault, 2);
    for (name, lock) in locks(&first) {
        let expected = if old.contains(&name) { until } else { later };
        assert_eq!(lock, Some(expected), "{name}");
    }
    // What the mirror got late is of the first generation, and has no earlier date than that.
    for (name, lock) in locks(&second) {
        let is_early = lock == Some(until) && old.contains(&name);
        assert!(lock == Some(later) || is_early, "{name}: {lock:?}");
    }
    assert_eq!(names_in(&first), names_in(&second));
}

/// M-13
#[test]
fn what_is_late_keeps_its_date_when_the_present_one_is_earlier() {
    let (first, second) = (locking_bucket("first"), locking_bucket("second"));
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(first.clone()), Arc::new(second.clone())];
    let vault = TestVault::with(|_| stores, ending_after(Some(100)));
    vault.write("a.jpg", b"a");
    let until = vault.clock.now() + days(100);
    second.set_down(true);
    night(&vault, 1);
    second.set_down(false);
    let late = names_in(&first).difference(&names_in(&second)).cloned().collect::<Vec<_>>();
    second.set_down(true);
    // The clock goes back, and a generation is opened that ends before the first one.
    vault.clock.pass_hours(-24 * 30);
    let mut writer = vault.writer();
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    second.set_down(false);
    vault.writer().deliver(vault.events.as_ref()).unwrap();
    let locks = locks(&second);
    assert!(late.iter().all(|name| locks[name] == Some(until)), "{locks:?}");
}

/// M-12
#[test]
fn the_date_follows_from_age_and_floor_alone() {
    let opened: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
    let policy = |floor: Option<&str>| -> Map<String, Value> {
        let mut policy = json!({"time_zone": "UTC"});
        floor.into_iter().for_each(|floor| policy["floor"] = json!(floor));
        policy.as_object().unwrap().clone()
    };
    let until = |floor, age, now: &str| {
        let now = now.parse().unwrap();
        let until = locked_until(&policy(floor), &ending_after(age), opened, now).unwrap();
        until.map(|until| until.to_string())
    };
    let text = |text: &str| Some(text.to_owned());
    let early = "2026-01-05T00:00:00Z";
    assert_eq!(until(Some("5y"), Some(10), early), text("2031-01-11T00:00:01Z"));
    assert_eq!(until(None, Some(10), early), text("2026-01-11T00:00:01Z"));
    assert_eq!(until(Some("30d"), None, early), text("2026-02-04T00:00:00Z"));
    assert_eq!(until(None, None, early), None);
    // A generation that had to go on ends now.
    assert_eq!(until(Some("30d"), Some(10), "2026-03-01T00:00:00Z"), text("2026-03-31T00:00:00Z"));
    assert_eq!(until(None, Some(10), "2026-03-01T00:00:00Z"), None);
}

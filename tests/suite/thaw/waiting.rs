//! Staying until packs are ready, and reading them as they become so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use idswyft_vault::base::{Code, Coded, Event};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::restore::{self, Existing, RestoreReport, RestoreRequest};
use idswyft_vault::ops::thaw::{Thaw, Until, WaitingStore};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::ops::{self, read};
use idswyft_vault::store::{StorageClass, ThawTier};

use super::bench::ColdVault;
use crate::support::Call;
use crate::support::vault::{assert_same_tree, noise};

/// Restores the newest snapshot, waiting for its packs.
fn restore_waiting(cold: &ColdVault, thaw: Thaw) -> Result<RestoreReport, ops::Error> {
    let need = cold.need(cold.last());
    let unlocked = cold.vault.unlocked().through(Arc::new(WaitingStore::new(thaw, need)));
    let request = RestoreRequest {
        snapshot: cold.last(),
        target: &cold.vault.path("out"),
        only: None,
        paths: None,
        existing: Existing::Refuse,
    };
    restore::restore(&unlocked, &request, cold.vault.events.as_ref())
}

fn assert_restored(cold: &ColdVault, report: &RestoreReport) {
    assert!(report.losses.is_empty(), "{:?}", report.losses);
    assert_same_tree(&cold.vault.path("uploads"), &cold.vault.path("out/uploads"));
}

/// T-9
#[test]
fn a_restore_that_waits_reads_the_packs_first_that_are_ready() {
    let cold = ColdVault::new(StorageClass::Glacier);
    // The pack whose name comes last is ready before the others.
    let uploads = cold.need_of("**");
    let ready = *uploads.last().unwrap();
    cold.thaw_on("host", Some(ThawTier::Expedited)).ask(&BTreeSet::from([ready])).unwrap();
    let thaw = cold.thaw_on("host", Some(ThawTier::Bulk));
    thaw.wait(&cold.need(cold.last()).difference(&uploads).copied().collect(), Until::All).unwrap();
    // The dump is there; of the uploads one pack is, for the others is asked now.
    let waits = cold.waiter.waits().len();
    cold.bucket.forget_calls();
    let report = restore_waiting(&cold, thaw).unwrap();
    assert_restored(&cold, &report);
    let read: Vec<ObjectKey> =
        cold.read().into_iter().filter(|key| uploads.contains(key)).collect();
    let calls = cold.bucket.calls();
    let is_first = |call: &Call| matches!(call, Call::GetRange(key, ..) if *key == ready);
    let first_read = calls.iter().position(is_first);
    let last_poll =
        calls.iter().rposition(|call| matches!(call, Call::ListVersions(_) | Call::Stat(_)));
    assert_eq!(read.first(), Some(&ready));
    assert!(first_read < last_poll, "it did not wait for the others before");
    assert!(cold.waiter.waits().len() > waits);
}

#[test]
fn a_wait_asks_again_in_intervals_of_the_tier() {
    for (class, tier, seconds, count) in [
        (StorageClass::DeepArchive, ThawTier::Bulk, 1800, 96),
        (StorageClass::DeepArchive, ThawTier::Standard, 1800, 24),
        (StorageClass::Glacier, ThawTier::Standard, 750, 20),
        (StorageClass::Glacier, ThawTier::Expedited, 60, 0),
    ] {
        let cold = ColdVault::new(class);
        let need = cold.need_of("a.jpg");
        let thaw = cold.thaw_on("host", Some(tier));
        thaw.wait(&need, Until::All).unwrap();
        let waits = cold.waiter.waits();
        assert!(waits.iter().all(|wait| *wait == Duration::from_secs(seconds)), "{waits:?}");
        assert_eq!(waits.len(), count, "{class} {tier:?}");
        assert_eq!(cold.asked().len(), need.len());
    }
}

/// T-5
#[test]
fn a_wait_without_a_tier_waits_for_what_is_under_way_and_asks_for_nothing() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need_of("a.jpg");
    let wait = || cold.thaw_on("other", None).wait(&need, Until::All);
    assert_eq!(wait().unwrap_err().code(), Code::ObjectArchived);
    cold.thaw_on("host", Some(ThawTier::Standard)).ask(&need).unwrap();
    cold.asked();
    wait().unwrap();
    assert!(cold.asked().is_empty());
}

#[test]
fn a_store_that_does_not_answer_for_a_while_does_not_end_the_wait() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let need = cold.need_of("a.jpg");
    let bucket = cold.bucket.clone();
    *cold.waiter.meanwhile.lock().unwrap() =
        Some(Box::new(move |count| bucket.set_down((3..8).contains(&count))));
    let thaw = cold.thaw_on("host", Some(ThawTier::Standard));
    thaw.wait(&need, Until::All).unwrap();
    assert_eq!(cold.asked().len(), need.len());
    // One that is gone for good does.
    let bucket = cold.bucket.clone();
    *cold.waiter.meanwhile.lock().unwrap() = Some(Box::new(move |_| bucket.set_down(true)));
    let error = thaw.wait(&cold.need(cold.last()), Until::All).unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
}

/// T-10
#[test]
fn a_copy_that_expires_before_it_is_read_is_asked_for_again_by_who_waits() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let need = cold.need_of("deep/b.jpg");
    let thaw = cold.thaw_on("host", Some(ThawTier::Standard));
    thaw.wait(&need, Until::All).unwrap();
    cold.asked();
    let unlocked = cold.vault.unlocked();
    let unlocked = unlocked.through(Arc::new(WaitingStore::new(thaw, need.clone())));
    cold.clock.pass_hours(8 * 24);
    let mut bytes = Vec::new();
    read::cat_file(&unlocked, cold.last(), b"deep/b.jpg", &mut bytes).unwrap();
    assert_eq!(bytes, noise(2, 150_000));
    assert_eq!(cold.asked(), Vec::from_iter(need));
    // What is not in the plan is not asked for.
    let other = read::cat_file(&unlocked, cold.last(), b"deep/c.jpg", &mut bytes);
    assert_eq!(other.unwrap_err().code(), Code::ObjectArchived);
    assert!(cold.asked().is_empty());
}

/// T-10
#[test]
fn a_restore_that_meets_an_expired_copy_ends_and_leaves_nothing_that_looks_done() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let (need, uploads) = (cold.need(cold.last()), cold.need_of("**"));
    let dump = need.difference(&uploads).copied().collect();
    let thaw = cold.thaw_on("host", Some(ThawTier::Standard));
    thaw.wait(&dump, Until::All).unwrap();
    cold.asked();
    // The dump is read, and what then expired is not there any more.
    let target = cold.vault.path("out");
    let error = cold.vault.try_restore(cold.last(), &target).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::ObjectArchived, 8));
    let left: Vec<_> = std::fs::read_dir(&target).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(cold.asked().is_empty());
    let report = restore_waiting(&cold, thaw).unwrap();
    assert_restored(&cold, &report);
}

/// T-11
#[test]
fn what_is_thawed_and_read_is_the_version_that_something_was_put_over_or_that_is_hidden() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let need = cold.need(cold.last());
    let names: Vec<String> = need.iter().map(ToString::to_string).collect();
    let by_file: Vec<String> = cold.need_of("a.jpg").iter().map(ToString::to_string).collect();
    cold.bucket.plant(&by_file[0], b"something else");
    names.iter().filter(|name| **name != by_file[0]).for_each(|name| cold.bucket.hide(name));
    let report = restore_waiting(&cold, cold.thaw_on("host", Some(ThawTier::Bulk))).unwrap();
    assert_restored(&cold, &report);
    assert_eq!(cold.asked().len(), need.len(), "each was asked for once");
    // A copy of an older version that has expired is asked for again as well.
    cold.clock.pass_hours(8 * 24);
    let thaw = cold.thaw_on("host", Some(ThawTier::Standard));
    let unlocked = cold.vault.unlocked().through(Arc::new(WaitingStore::new(thaw, need)));
    let mut bytes = Vec::new();
    read::cat_file(&unlocked, cold.last(), b"a.jpg", &mut bytes).unwrap();
    assert_eq!(bytes, noise(1, 150_000));
    assert_eq!(cold.asked().len(), 1);
}

/// T-11
#[test]
fn verifying_bytes_reads_the_version_of_a_pack_that_was_thawed() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let name = cold.need_of("a.jpg").first().unwrap().to_string();
    cold.bucket.plant(&name, b"something else");
    let need = cold.all_packs();
    let thaw = cold.thaw_on("host", Some(ThawTier::Standard));
    thaw.wait(&need, Until::All).unwrap();
    let unlocked = cold.vault.unlocked().through(Arc::new(WaitingStore::new(thaw, need)));
    let events = cold.vault.events.as_ref();
    let report = verify::verify(unlocked.auditor(), None, Level::Bytes, None, events).unwrap();
    let found: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(found, [Code::ObjectOverwritten]);
}

#[test]
fn a_pack_that_may_not_be_thawed_again_is_refused_and_not_called_damaged() {
    use crate::support::bucket::Rights;
    let cold = ColdVault::new(StorageClass::Glacier);
    let reader = cold.bucket.seen_by(Rights { thaw: false, ..Rights::ALL });
    let thaw = cold.thaw_of(Arc::new(reader), "host", Some(ThawTier::Bulk));
    let error = restore_waiting(&cold, thaw).unwrap_err();
    assert_eq!(error.code(), Code::StoreDenied);
    let thaw = cold.thaw_on("host", None);
    assert_eq!(restore_waiting(&cold, thaw).unwrap_err().code(), Code::ObjectArchived);
}

#[test]
fn how_far_a_thaw_is_gets_told_whenever_more_packs_are_ready() {
    let cold = ColdVault::new(StorageClass::Glacier);
    let need = cold.need(cold.last());
    let early = cold.need_of("a.jpg");
    cold.thaw_on("host", Some(ThawTier::Standard)).ask(&early).unwrap();
    cold.thaw_on("host", Some(ThawTier::Bulk)).wait(&need, Until::All).unwrap();
    let told: Vec<(u64, u64)> = cold
        .vault
        .events
        .all()
        .into_iter()
        .filter_map(|event| match event {
            Event::Thawing { ready_count, pack_count, .. } => Some((ready_count, pack_count)),
            _ => None,
        })
        .collect();
    let (all, some) = (need.len() as u64, early.len() as u64);
    assert_eq!(told, [(0, all), (some, all)]);
}

//! What a prune leaves in a bucket: nothing of what goes, and all of what is locked. Spec:
//! `prune.md`.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::{Content, LockMode, S3Settings, Store, open_with};
use jiff::{SignedDuration, Timestamp};

use crate::prune::bench::{
    How, LEAN_HOURS, SLEPT, named_by, orphan, packs, plan, prune, prune_in, renew,
};
use crate::retention::bench::Bench;
use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};

/// Makes a vault in a bucket, whose clock is that of the server.
fn bench_in(place: &Place, policy: &str) -> Bench {
    let bench = Bench::over(policy, 0, |_| {
        vec![open_with(&place.url(), "bucket", Some(&place.settings("admin"))).unwrap()]
    });
    let behind = Timestamp::now().duration_since(bench.vault.clock.now());
    bench.vault.clock.pass_seconds(behind.as_secs());
    bench
}

/// Takes a snapshot of content of its own; the server dates what it gets, so no night passes.
fn take(bench: &Bench, seed: u64) -> SnapshotId {
    renew(bench, seed);
    bench.vault.clock.pass_hours(1);
    bench.vault.snapshot().snapshot
}

fn put(store: &dyn Store, seed: u64) -> ObjectKey {
    let (key, bytes) = orphan(seed);
    store.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    key
}

/// P-1
#[test]
fn what_goes_from_a_bucket_leaves_no_version_and_no_marker() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let bench = bench_in(&place, "keep_last = 1");
    let gone = take(&bench, 1);
    let content = named_by(&bench, gone);
    let kept = take(&bench, 2);
    bench.apply(&SLEPT).unwrap();
    // Somebody put something over a pack, and hid another.
    let over = content.iter().next().unwrap();
    place.plant(&over.to_string(), b"put over it");
    let hidden = content.iter().next_back().unwrap();
    place.hide(&hidden.to_string());
    bench.vault.clock.pass_hours(LEAN_HOURS + 24);
    prune(&bench);
    let store = &bench.vault.stores[0];
    for key in content.iter().copied().chain([ObjectKey::List(gone), ObjectKey::Segment(gone)]) {
        let remains = store.remains(&key).unwrap();
        assert!(remains.is_nothing(), "{key}: {remains:?}");
    }
    assert_eq!(packs(store), named_by(&bench, kept));
    assert_eq!(bench.vault.verify(Level::Contents).findings, []);
}

/// P-7
#[test]
fn a_pack_that_a_bucket_locks_for_all_stays_and_is_told_also_where_clocks_differ() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Locks) else { return };
    let bench = bench_in(&place, "keep_last = 9");
    take(&bench, 1);
    let settings =
        S3Settings { object_lock: Some(LockMode::Compliance), ..place.settings("admin") };
    let locking = open_with(&place.url(), "bucket", Some(&settings)).unwrap();
    let until = Timestamp::now() + SignedDuration::from_hours(LEAN_HOURS + 24 * 10);
    let locked = put(locking.locking(until).unwrap().as_ref(), 1);
    let store: &Arc<dyn Store> = &bench.vault.stores[0];
    let free = put(store.as_ref(), 2);
    bench.vault.clock.pass_hours(LEAN_HOURS + 24);
    let stays = plan(&bench).stores[0].stays.clone();
    let told = stays["locked"];
    assert_eq!(told.amount.object_count, 1);
    assert!(told.last.unwrap().duration_since(until).as_secs().abs() < 2, "{told:?}");
    prune(&bench);
    assert!(packs(store).contains(&locked) && !packs(store).contains(&free));
    // The janitor's clock says that the lock has passed, and the server's does not.
    bench.vault.clock.pass_hours(24 * 30);
    let how = How { accepted: &SLEPT, is_early: true };
    let (_, pruned) = prune_in(&bench, &bench.vault.stores, &how).unwrap();
    assert_eq!((pruned.swept[0].deleted.object_count, pruned.swept[0].left_count), (0, 1));
    assert!(bench.vault.events.warnings().contains(&Code::PruneWaiting));
    assert_eq!(place.versions(&locked.to_string()).len(), 1);
}

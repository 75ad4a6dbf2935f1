//! Thawing through the real client. Spec: `thaw.md`.

use std::sync::Arc;

use idswyft_vault::base::{Clock, Code, Coded};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops::thaw::{DAYS_DEFAULT, PriceTable, Sleeper, Thaw, need};
use idswyft_vault::store::{self, S3Settings, StorageClass, Store, ThawTier};
use s3s::S3ErrorCode;

use crate::support::vault::{FixedClock, TestVault, noise};
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy};

/// T-7
#[test]
fn s3_listings_that_tell_how_far_a_thaw_is_spare_a_request_a_pack() {
    let clock = FixedClock::new();
    let fake = Fake::start(clock.clone());
    let proxy = Proxy::before(&fake.url());
    let place = Place::make(&proxy.url(), None, Keeping::Newest);
    let settings = S3Settings { pack_class: StorageClass::DeepArchive, ..place.settings("admin") };
    let store: Arc<dyn Store> = store::open_with(&place.url(), "glacier", Some(&settings)).unwrap();
    let vault = TestVault::with(|_| vec![store.clone()], Parameters::initial());
    let mut last = None;
    for seed in 0..6 {
        vault.write(&format!("{seed}.jpg"), &noise(seed, 70_000));
        last = Some(vault.snapshot().snapshot);
    }
    let last = last.expect("there were some");
    let need = need::of_snapshot(&vault.unlocked(), last, None, None).unwrap();
    assert_eq!(need.len(), 6);
    let thaw = Thaw {
        store,
        tier: Some(ThawTier::Bulk),
        days: DAYS_DEFAULT,
        prices: PriceTable::default(),
        lists: Some(vault.path("thaws")),
        clock: clock.clone() as Arc<dyn Clock>,
        waiter: Arc::new(Sleeper),
        observer: vault.events.clone(),
    };
    // What may be had later is no mistake of the caller's.
    proxy.meddle(|request| match request.operation().as_str() {
        "RestoreObject" => Act::error(400, "GlacierExpeditedRetrievalNotAvailable"),
        _ => Act::Pass,
    });
    let key = need.first().expect("there are packs");
    let busy = thaw.store.thaw(key, ThawTier::Bulk, 1).unwrap_err();
    assert_eq!((busy.code(), busy.code().exit()), (Code::TierUnavailable, 8));
    proxy.meddle(|_| Act::Pass);
    // A server that is too busy for a moment is asked again.
    fake.refuse("RestoreObject", S3ErrorCode::SlowDown, 2);
    let waiting = thaw.check(&thaw.ask(&need).unwrap()).unwrap_err();
    assert_eq!((waiting.code(), fake.refusals_left()), (Code::ThawWaiting, 0));
    proxy.forget();
    thaw.check(&thaw.ask(&need).unwrap()).unwrap_err();
    let operations = |proxy: &Proxy| -> Vec<String> {
        proxy.seen().iter().map(|request| request.operation()).collect()
    };
    assert_eq!(operations(&proxy), ["ListObjects"]);
    clock.pass_hours(49);
    proxy.forget();
    thaw.check(&thaw.ask(&need).unwrap()).unwrap();
    assert_eq!(operations(&proxy), ["ListObjects"]);
    let report = vault.try_restore(last, &vault.path("out")).unwrap();
    assert!(report.losses.is_empty(), "{:?}", report.losses);
}

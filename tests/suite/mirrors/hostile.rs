//! What a host gives its stores while somebody else puts things over what is there.

use std::sync::Arc;

use idswyft_vault::base::Code;
use idswyft_vault::format::Folder;
use idswyft_vault::store::Store;

use super::{bucket, night, shared, vault_over};
use crate::replicas::keys_in;
use crate::support::bucket::Bucket;
use crate::support::vault::TestVault;
use crate::support::{Call, FaultyStore, Mode, Then};

/// Makes a vault in a bucket whose mirror is away for one night, in which something happens to
/// every pack of that night.
fn night_apart(harm: impl Fn(&Bucket, &str)) -> (TestVault, Bucket, Bucket) {
    let (primary, mirror) = (bucket("first"), bucket("second"));
    let vault = vault_over(|_| vec![shared(&primary), shared(&mirror)]);
    night(&vault, 1);
    mirror.set_down(true);
    let before = keys_in(&primary, Folder::Packs);
    assert_eq!(night(&vault, 2), ["second"]);
    mirror.set_down(false);
    let packs = keys_in(&primary, Folder::Packs);
    let new: Vec<_> = packs.iter().filter(|key| !before.contains(key)).collect();
    assert!(!new.is_empty());
    new.iter().for_each(|key| harm(&primary, &key.to_string()));
    vault.events.warnings();
    (vault, primary, mirror)
}

fn assert_caught_up((vault, primary, mirror): &(TestVault, Bucket, Bucket)) {
    assert!(night(vault, 3).is_empty());
    assert_eq!(vault.events.warnings(), []);
    let written = [primary, mirror].map(|bucket| bucket.as_written());
    let [one, other] = written.each_ref().map(|bucket| crate::support::names_in(bucket));
    assert_eq!(one, other);
    vault.auditor(&shared(mirror)).snapshots().unwrap();
}

/// M-9, M-11
#[test]
fn a_mirror_catches_up_with_packs_that_were_overwritten_where_it_gets_them_from() {
    assert_caught_up(&night_apart(|bucket, name| bucket.plant(name, b"planted")));
}

/// M-9, M-11
#[test]
fn a_mirror_catches_up_with_packs_that_are_hidden_where_it_gets_them_from() {
    assert_caught_up(&night_apart(Bucket::hide));
}

#[test]
fn what_was_put_and_then_overwritten_before_the_host_heard_of_it_is_there() {
    let primary = bucket("first");
    let mut vault = vault_over(|_| vec![shared(&primary)]);
    night(&vault, 1);
    for index in 2..12 {
        // The answer to one put after the other is lost, and what it put overwritten.
        let whole = std::mem::take(&mut vault.stores);
        let lost = FaultyStore::new(Arc::clone(&whole[0])).fail_nth(
            index,
            Mode::DoneButReported,
            Then::IsDead,
        );
        vault.stores = vec![Arc::new(lost)];
        primary.forget_calls();
        vault.clock.pass_hours(23);
        drop(vault.try_snapshot(&vault.sources()));
        vault.stores = whole;
        if let Some(Call::PutNew(key)) = primary.calls().last() {
            primary.plant(&key.to_string(), b"planted");
        }
        assert!(night(&vault, index).is_empty());
        assert!(!vault.events.warnings().contains(&Code::StoreUnavailable));
    }
    assert!(primary.list(Folder::Snapshots).unwrap().count() > 30);
}

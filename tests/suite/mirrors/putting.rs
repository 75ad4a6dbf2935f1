//! Hosts that can only put.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::vault::Auditor;

use super::{assert_same, bucket, night, put_only, shared, vault_over};
use crate::support::vault::{TestVault, local};
use crate::support::{Call, FaultyStore, Mode};

/// M-3
#[test]
fn a_host_that_can_only_put_calls_nothing_else() {
    let place = bucket("s3");
    let host = put_only(&place);
    let vault = vault_over(|_| vec![host]);
    for index in 0..3 {
        assert!(night(&vault, index).is_empty());
    }
    let calls = place.calls();
    let others: Vec<_> = calls.iter().filter(|call| !matches!(call, Call::PutNew(_))).collect();
    assert_eq!(others, Vec::<&Call>::new());
    assert!(vault.events.warnings().is_empty());
    assert_same(&vault, &place, &shared(&place), 3);
}

/// M-4
#[test]
fn a_taken_name_that_cannot_be_looked_at_is_a_warning_and_no_failure() {
    for what in ["segments/", "ledger/", "snapshots/"] {
        let place = bucket("s3");
        let host = put_only(&place);
        let mut vault = vault_over(|_| vec![host.clone()]);
        let is_struck = move |key: ObjectKey| key.to_string().starts_with(what);
        let strikes =
            move |call: &Call| matches!(call, Call::PutNew(_)) && call.key().is_some_and(is_struck);
        let lost = FaultyStore::new(host.clone()).fail_calls(Mode::DoneButReported, strikes);
        vault.stores = vec![Arc::new(lost)];
        vault.clock.pass_hours(1);
        let error = vault.try_snapshot(&vault.sources()).unwrap_err();
        assert_eq!(error.code(), Code::StoreUnavailable, "{what}");
        vault.stores = vec![host];
        vault.events.warnings();
        vault.snapshot();
        assert_eq!(vault.events.warnings(), [Code::DeliveryUnproven], "{what}");
        assert_same(&vault, &place, &shared(&place), 2);
    }
}

/// M-4
#[test]
fn a_taken_name_that_can_be_foretold_is_told_apart() {
    use idswyft_vault::base::{Event, Observer, SystemClock};
    use idswyft_vault::vault::delivery::Taken;
    use idswyft_vault::vault::mirrors::Mirrors;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Texts(Mutex<Vec<String>>);
    impl Observer for Texts {
        fn observe(&self, event: Event) {
            if let Event::Warning { detail, .. } = event {
                self.0.lock().unwrap().push(detail);
            }
        }
    }
    let texts = Texts::default();
    let mirrors = Mirrors::new(vec![shared(&bucket("s3"))], Arc::new(SystemClock));
    let tell = |name: &str| {
        let key: ObjectKey = name.parse().unwrap();
        mirrors.tell_taken("s3", &key, &Taken::Unproven, &texts);
    };
    tell("vault/1.note");
    tell("vault/2.note");
    tell(&format!("packs/00/{}", "0".repeat(64)));
    let texts = texts.0.into_inner().unwrap();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("vault/1.note") && texts[0].contains("another"), "{texts:?}");
    assert!(texts[1].contains("only this host"), "{texts:?}");
}

/// M-5
#[test]
fn notes_are_taken_up_from_a_store_that_may_be_read() {
    let (first, second) = (bucket("first"), bucket("second"));
    let (host, mirror) = (put_only(&first), shared(&second));
    let vault = vault_over(|_| vec![host, mirror]);
    night(&vault, 1);
    let reads = |calls: Vec<Call>| calls.contains(&Call::Get(ObjectKey::Vault(2)));
    assert!(!reads(first.calls()) && reads(second.calls()));
}

/// M-6
#[test]
fn what_needs_to_read_refuses_a_put_only_store_in_words() {
    let place = bucket("s3");
    let host = put_only(&place);
    let vault = vault_over(|_| vec![host.clone()]);
    place.forget_calls();
    let error = Auditor::open(host, vault.report.root_key.parse().unwrap()).err().unwrap();
    assert_eq!(error.code(), Code::StoreDenied);
    assert!(error.to_string().contains("put_only"), "{error}");
    assert!(place.calls().is_empty());
}

/// M-3
#[test]
fn a_vault_is_created_by_puts_alone_also_beside_a_directory() {
    let place = bucket("s3");
    let host = put_only(&place);
    let vault = TestVault::with(
        |dir| vec![local(&dir.join("store"), "local"), host],
        Parameters::initial(),
    );
    assert!(place.calls().iter().all(|call| matches!(call, Call::PutNew(_))));
    assert_same(&vault, vault.stores[0].as_ref(), &shared(&place), 0);
}

//! Packs side by side.

use std::fs;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{Error, Store};

use super::tuned::Tuned;
use super::{assert_same, bucket, manifest, shared, vault_over};
use crate::support::vault::{TestVault, noise};

/// Packs that a tree makes.
const PACK_COUNT: u64 = 4;

fn fill(vault: &TestVault) {
    for index in 0..PACK_COUNT {
        vault.write(&format!("{index}.jpg"), &noise(index, 4_500_000));
    }
}

/// Where packs meet: each waits until there are two.
#[derive(Clone, Default)]
struct Meeting(Arc<(Mutex<usize>, Condvar)>);

impl Meeting {
    fn at(&self, inner: Arc<dyn Store>) -> Arc<Tuned> {
        let here = Arc::clone(&self.0);
        let mut store = Tuned::new(inner, move |key| {
            if matches!(key, ObjectKey::Pack(_)) {
                let mut count = here.0.lock().unwrap();
                *count += 1;
                here.1.notify_all();
                let (longest, alone) = (Duration::from_secs(60), |count: &mut usize| *count < 2);
                let (_count, waited) = here.1.wait_timeout_while(count, longest, alone).unwrap();
                assert!(!waited.timed_out(), "no other pack came");
            }
            Ok(())
        });
        store.at_once = 2;
        Arc::new(store)
    }
}

/// M-1
#[test]
fn packs_are_sent_as_many_at_a_time_as_the_primary_store_takes() {
    let place = bucket("s3");
    let store = Meeting::default().at(shared(&place));
    let vault = vault_over(|_| vec![store]);
    // A dump has one pack, which would be alone.
    fs::remove_file(vault.path("db.sql")).unwrap();
    fill(&vault);
    vault.snapshot();
    assert_same(&vault, &place, &shared(&place), 1);
}

/// M-1
#[test]
fn a_mirror_gets_a_pack_beside_the_primary_store() {
    let (first, second, meeting) = (bucket("first"), bucket("second"), Meeting::default());
    let (primary, mirror) = (meeting.at(shared(&first)), meeting.at(shared(&second)));
    let vault = vault_over(|_| vec![primary, mirror]);
    vault.snapshot();
    assert_same(&vault, &first, &shared(&second), 1);
}

/// M-2
#[test]
fn the_first_failure_ends_the_run_and_what_was_stored_stays_known() {
    for at_once in [1, 3] {
        let place = bucket("s3");
        let count = Arc::new(Mutex::new(0));
        let mut store = Tuned::new(shared(&place), move |key| {
            let mut count = count.lock().unwrap();
            *count += u64::from(matches!(key, ObjectKey::Pack(_)));
            match *count {
                3 if matches!(key, ObjectKey::Pack(_)) => {
                    Err(Error::PlaceMissing { store: "s3".to_owned(), place: key.to_string() })
                }
                _ => Ok(()),
            }
        });
        store.at_once = at_once;
        let vault = {
            let store = Arc::new(store);
            vault_over(|_| vec![store])
        };
        fill(&vault);
        let error = vault.try_snapshot(&vault.sources()).unwrap_err();
        assert_eq!(error.code(), Code::StoreUnavailable);
        let known = manifest(&vault).packs().unwrap();
        let stored = place.calls().len();
        assert!(known.len() >= 2, "{at_once}: {} packs", known.len());
        vault.snapshot();
        let reused = known.iter().filter(|pack| {
            let named = manifest(&vault).packs().unwrap();
            named.iter().any(|row| row.id == pack.id && row.is_named)
        });
        assert!(reused.count() >= 2, "{at_once}: of {stored} puts");
    }
}

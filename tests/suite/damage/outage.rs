//! A store that goes away is not a damaged one: an error, no loss, and nothing in place.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::ops;
use idswyft_vault::ops::restore::{self, Existing, RestoreRequest};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::Store;

use super::fixture::{files_of, unlocked};
use crate::support::crash::scratch;
use crate::support::vault::{TestVault, noise};
use crate::support::{FaultyStore, Figure, Mode, Then};

/// Runs something on a store that goes away at its first call, its second, and so on, until it does
/// not need so many; returns how often.
fn sweep<T>(
    vault: &TestVault,
    act: impl Fn(&Arc<dyn Store>) -> Result<T, ops::Error>,
    is_whole: impl Fn(T) -> bool,
) -> usize {
    for nth in 0.. {
        let faulty = FaultyStore::new(vault.stores[0].clone());
        let faulty = Arc::new(faulty.fail_nth(nth, Mode::NotDone, Then::IsDead));
        let store: Arc<dyn Store> = faulty.clone();
        match act(&store) {
            Err(error) => assert_eq!(error.code(), Code::StoreUnavailable, "{nth}: {error}"),
            Ok(done) => {
                assert!(is_whole(done), "call {nth} failed, and what came of it is damage");
                assert_eq!(faulty.fault_count(), 0, "call {nth} failed, and nobody was told");
                return usize::try_from(nth).unwrap();
            }
        }
    }
    unreachable!("there is always a last call")
}

/// V-151, V-173
#[test]
fn a_store_that_goes_away_is_an_error_at_every_call_and_never_damage() {
    let vault = TestVault::new();
    (0..3).for_each(|index| vault.write(&format!("{index}.jpg"), &noise(index, 30_000)));
    vault.write_dump(&(0..200).map(|row| format!("{row}\tx")).collect::<Vec<_>>());
    let snapshot = vault.snapshot().snapshot;
    let events = vault.events.as_ref();
    let verified = sweep(
        &vault,
        |store| {
            let open = unlocked(&vault, store)?;
            verify::verify(open.auditor(), Some(&open), Level::Contents, None, events)
        },
        |report| report.findings.is_empty(),
    );
    let restored = sweep(
        &vault,
        |store| {
            let target = scratch();
            let open = unlocked(&vault, store)?;
            let existing = Existing::Refuse;
            let (target, only, paths) = (target.path(), None, None);
            let request = RestoreRequest { snapshot, target, only, paths, existing };
            let restored = restore::restore(&open, &request, events);
            assert_eq!(restored.is_err(), files_of(target).is_empty());
            restored
        },
        |report| report.losses.is_empty() && report.file_count == 3,
    );
    assert!(verified > 40 && restored > 20, "{verified} and {restored} calls");
    Figure {
        what: "calls of a reader at which the store goes away",
        test: "a_store_that_goes_away_is_an_error",
    }
    .record(verified + restored);
}

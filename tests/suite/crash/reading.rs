//! Restores and verifications whose reads fail: no wrong byte, and never a clean bill of health.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::restore::{self, Existing, RestoreReport, RestoreRequest};
use idswyft_vault::ops::verify::{self, Finding, Level};
use idswyft_vault::store::Store;
use idswyft_vault::vault::{Auditor, Unlocked};

use super::MODES;
use crate::support::crash::scratch;
use crate::support::invariants::{Contents, contents_of};
use crate::support::vault::{TestVault, local, noise};
use crate::support::{Call, FaultyStore, Figure, Mode, is_long};

/// A store whose n-th call fails, and the call that did.
struct Failing {
    store: Arc<dyn Store>,
    struck: Arc<Mutex<Option<Call>>>,
    armed: Arc<AtomicBool>,
}

impl Failing {
    fn new(inner: Arc<dyn Store>, at: u64, mode: Mode) -> Self {
        let struck = Arc::new(Mutex::new(None));
        let (seen, count) = (struck.clone(), AtomicU64::new(0));
        let armed = Arc::new(AtomicBool::new(true));
        let is_armed = armed.clone();
        let store = FaultyStore::new(inner).fail_calls(mode, move |call| {
            let strikes =
                is_armed.load(Ordering::SeqCst) && count.fetch_add(1, Ordering::SeqCst) == at;
            if strikes {
                *seen.lock().unwrap() = Some(*call);
            }
            strikes
        });
        Self { store: Arc::new(store), struck, armed }
    }

    fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::SeqCst);
    }

    fn struck(&self) -> Option<Call> {
        *self.struck.lock().unwrap()
    }
}

fn filled() -> TestVault {
    let stores = |dir: &std::path::Path| vec![local(&dir.join("local"), "local")];
    let vault = TestVault::within(
        scratch(),
        stores,
        idswyft_vault::format::parameters::Parameters::initial(),
    );
    for index in 0..3 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 30_000));
    }
    vault.write_dump(&(0..60).map(|row| format!("{row}\tx")).collect::<Vec<_>>());
    vault.snapshot();
    vault.write("documents/new.jpg", &noise(7, 30_000));
    vault.snapshot();
    vault
}

fn unlocked(
    vault: &TestVault,
    store: Arc<dyn Store>,
) -> Result<Unlocked, idswyft_vault::ops::Error> {
    let auditor = Auditor::open(store, vault.report.root_key.parse().unwrap())?;
    let identities =
        DataIdentities::parse("operator", vault.identity.as_bytes(), &NoPassphrase).unwrap();
    Ok(Unlocked::new(auditor, identities)?)
}

/// Does something with each call of the store failing in turn; returns how many failed.
fn sweep(vault: &TestVault, mut check: impl FnMut(&Failing, Mode)) -> usize {
    let mut count = 0;
    for mode in MODES {
        for at in 0.. {
            let failing = Failing::new(vault.stores[0].clone(), at, mode);
            check(&failing, mode);
            if failing.struck().is_none() {
                break;
            }
            count += 1;
        }
    }
    count
}

/// How a call ends that was made to fail.
const INJECTED: &str = "injected fault";

/// An archive that cannot be opened whole is not opened in part; but one object of a ledger that
/// cannot be read, where the store reads others, is damage like any other.
#[test]
fn an_archive_whose_store_fails_while_it_is_opened_is_not_opened() {
    let vault = filled();
    let count = sweep(&vault, |failing, mode| {
        let opened = unlocked(&vault, failing.store.clone());
        // Half an object is damage, which hides nothing else (I8).
        let counts = |call: Call| !is_end_of_notes(call, mode) && !is_of_ledger(call);
        if failing.struck().is_some_and(counts) && mode != Mode::Torn {
            assert!(opened.is_err(), "{mode:?} {:?}", failing.struck());
        }
    });
    assert!(count > 20, "{count} calls failed");
}

fn is_of_ledger(call: Call) -> bool {
    matches!(call.key(), Some(ObjectKey::LedgerEvent(..) | ObjectKey::LedgerCheckpoint(..)))
}

/// That a note of this number is missing is how a chain of notes ends.
fn is_end_of_notes(call: Call, mode: Mode) -> bool {
    call == Call::Get(ObjectKey::Vault(2)) && mode == Mode::Torn
}

/// V-151
#[test]
fn a_verification_whose_read_fails_says_so_or_names_the_object() {
    let vault = filled();
    let mut count = 0;
    let levels = [Level::Contents, Level::Ledger, Level::Stored, Level::Bytes];
    // Each level makes the calls of those below it.
    for level in levels.into_iter().take(if is_long() { 4 } else { 1 }) {
        count += sweep(&vault, |failing, mode| {
            failing.arm(false);
            let unlocked = unlocked(&vault, failing.store.clone()).unwrap();
            failing.arm(true);
            let (auditor, events) = (unlocked.auditor(), vault.events.as_ref());
            let report = verify::verify(auditor, Some(&unlocked), level, None, events);
            let Some(call) = failing.struck() else {
                assert!(report.unwrap().findings.is_empty());
                return;
            };
            if let Ok(report) = report {
                let key = call.key().map(|key| key.to_string());
                let findings = &report.findings;
                // A key that opens nothing is named in what it fails to open.
                let names =
                    |one: &Finding, key: &str| one.object == key || one.detail.contains(key);
                let told = findings.iter().any(|one| one.detail.contains(INJECTED));
                let named =
                    told || key.is_none_or(|key| findings.iter().any(|one| names(one, &key)));
                assert!(!report.is_sound() && named, "{level:?} {mode:?} {call:?}: {findings:?}");
            }
        });
    }
    let what = "store calls of verify that fail";
    Figure { what, test: "a_verification_whose_read_fails" }.record(count);
}

/// V-147
#[test]
fn a_restore_whose_read_fails_gives_no_wrong_byte_and_is_done_by_running_it_again() {
    let vault = filled();
    let newest = vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.into_keys().max();
    let newest = newest.unwrap();
    let (target, expected) = (vault.path("target"), contents_of(vault.dir.path()));
    let restore = |store: Arc<dyn Store>, existing| {
        let request =
            RestoreRequest { snapshot: newest, target: &target, only: None, paths: None, existing };
        let unlocked = unlocked(&vault, store)?;
        restore::restore(&unlocked, &request, vault.events.as_ref())
    };
    let count = sweep(&vault, |failing, mode| {
        let restored = restore(failing.store.clone(), Existing::Refuse);
        let call = failing.struck();
        match restored {
            Ok(report) => assert_restored(&report, &contents_of(&target), &expected),
            Err(error) => {
                assert!(call.is_some(), "{error}");
                let left = fs::read_dir(&target).map_or(0, Iterator::count);
                assert_eq!(left, 0, "{mode:?} {call:?}: half a restore is left");
            }
        }
        let report = restore(vault.stores[0].clone(), Existing::Replace).unwrap();
        assert!(report.losses.is_empty() && contents_of(&target) == expected);
        fs::remove_dir_all(&target).unwrap();
    });
    let what = "store calls of restore that fail";
    Figure { what, test: "a_restore_whose_read_fails" }.record(count);
}

/// What is there is right, and what is not there is reported as lost.
fn assert_restored(report: &RestoreReport, there: &Contents, expected: &Contents) {
    let lost: Vec<PathBuf> = report.losses.iter().map(|loss| PathBuf::from(&loss.what)).collect();
    for (path, bytes) in expected {
        match there.get(path) {
            Some(found) => assert!(found == bytes, "{}", path.display()),
            None => {
                let is_said = lost.iter().any(|lost| path.starts_with(lost));
                assert!(is_said, "{} is missing unsaid", path.display());
            }
        }
    }
    assert!(there.keys().all(|path| expected.contains_key(path)));
}

//! Mirrors that were away, and what they find when they come back.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use idswyft_vault::base::{Code, Observer};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::snapshot::{self, VaultJob};
use idswyft_vault::store::{Content, Store};
use idswyft_vault::vault::delivery::receipt_row;

use super::tuned::Tuned;
use super::{assert_same, bucket, manifest, night, put_only, shared, spooled_files, vault_over};
use crate::support::vault::{FixedClock, TestVault, local, noise};
use crate::support::{Call, names_in, sha256};

/// M-7, M-9
#[test]
fn a_mirror_that_was_down_for_three_nights_catches_up_in_one_run() {
    let mirror = bucket("s3");
    let (second, place) = (shared(&mirror), mirror.clone());
    let vault = vault_over(|dir| vec![local(&dir.join("store"), "local"), second]);
    night(&vault, 1);
    place.set_down(true);
    for index in 2..5 {
        assert_eq!(night(&vault, index), ["s3"]);
        assert_eq!(vault.events.warnings(), [Code::MirrorLagging], "exit 4");
    }
    let packs = fs::read_dir(vault.path("state/nightly/spool")).unwrap().map(|file| file.unwrap());
    let names: Vec<_> = packs.map(|file| file.file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| name.starts_with("segment-")), "packs are in the directory");
    mirror.set_down(false);
    assert!(night(&vault, 5).is_empty());
    assert!(vault.events.warnings().is_empty());
    assert_eq!(spooled_files(&vault), 0, "nothing waits any more");
    assert_same(&vault, vault.stores[0].as_ref(), &shared(&mirror), 5);
}

/// M-7, M-9
#[test]
fn two_mirrors_that_nobody_may_read_catch_up_from_the_spool() {
    let (primary, second, third) = (bucket("first"), bucket("second"), bucket("third"));
    let stores = vec![put_only(&primary), put_only(&second), put_only(&third)];
    let vault = vault_over(|_| stores);
    night(&vault, 1);
    second.set_down(true);
    for index in 2..5 {
        third.set_down(index > 2);
        let lagging: &[&str] = if index > 2 { &["second", "third"] } else { &["second"] };
        assert_eq!(night(&vault, index), lagging);
        assert_eq!(vault.events.warnings(), vec![Code::MirrorLagging; lagging.len()]);
    }
    assert!(spooled_files(&vault) > 3, "packs wait in the spool");
    second.set_down(false);
    third.set_down(false);
    assert!(night(&vault, 5).is_empty());
    assert_eq!(spooled_files(&vault), 0);
    let calls = [primary.calls(), second.calls(), third.calls()].concat();
    assert!(calls.iter().all(|call| matches!(call, Call::PutNew(_))));
    assert_same(&vault, &primary, &shared(&second), 5);
    assert_same(&vault, &primary, &shared(&third), 5);
}

/// M-8
#[test]
fn a_mirror_that_is_slow_is_left_behind_after_its_time_out() {
    let mirror = bucket("s3");
    // The vault makes its clock itself: the store gets it when it is there.
    let clock: Arc<OnceLock<Arc<FixedClock>>> = Arc::default();
    let slow = {
        let clock = Arc::clone(&clock);
        let mut slow = Tuned::new(shared(&mirror), move |_| {
            clock.get().into_iter().for_each(|clock| clock.pass_hours(1));
            Ok(())
        });
        slow.patience = Some(Duration::from_secs(3 * 3600));
        Arc::new(slow)
    };
    let vault = vault_over(|dir| vec![local(&dir.join("store"), "local"), slow]);
    night(&vault, 1);
    clock.set(vault.clock.clone()).ok().unwrap();
    mirror.forget_calls();
    assert_eq!(night(&vault, 2), ["s3"]);
    assert_eq!(vault.events.warnings(), [Code::MirrorLagging]);
    assert_eq!(mirror.calls().len(), 4, "three hours are its time, and one call is beyond");
}

/// M-8
#[test]
fn a_mirror_that_never_answers_is_left_to_itself() {
    let mirror = bucket("s3");
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let hangs = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hung = {
        let hangs = Arc::clone(&hangs);
        let mut hung = Tuned::new(shared(&mirror), move |_| {
            if hangs.load(std::sync::atomic::Ordering::SeqCst) {
                let ended = gate.lock().unwrap().recv();
                assert!(ended.is_err(), "the test lets go of the other end");
            }
            Ok(())
        });
        hung.patience = Some(Duration::from_millis(100));
        Arc::new(hung)
    };
    let vault = vault_over(|dir| vec![local(&dir.join("store"), "local"), hung]);
    vault.events.warnings();
    hangs.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(night(&vault, 1), ["s3"]);
    assert_eq!(vault.events.warnings(), [Code::MirrorLagging]);
    drop(release);
}

/// M-10
#[test]
fn a_full_spool_costs_a_warning_and_replicate_fills_the_gap() {
    let (primary, second) = (bucket("first"), bucket("second"));
    let stores = vec![put_only(&primary), put_only(&second)];
    let vault = vault_over(|_| stores);
    night(&vault, 1);
    second.set_down(true);
    let taken = snapshot_with_spool(&vault, 2, 100);
    assert_eq!(taken, ["second"]);
    assert_eq!(sorted(vault.events.warnings()), ["mirror-lagging", "spool-full"]);
    second.set_down(false);
    let before = names_in(&second);
    assert_eq!(night(&vault, 3), ["second"]);
    assert_eq!(sorted(vault.events.warnings()), ["spool-full"], "it waits for what is missing");
    let news = names_in(&second).difference(&before).cloned().collect::<Vec<_>>();
    assert!(news.iter().all(|name| !name.starts_with("snapshots/")), "{news:?}: I2");
    // Whoever may read fills the gap, and the host learns of it.
    let mut manifest = manifest(&vault);
    for key in names_in(&primary).iter().map(|name| name.parse::<ObjectKey>().unwrap()) {
        if names_in(&second).contains(&key.to_string()) {
            continue;
        }
        let bytes = primary.get(&key, u64::MAX).unwrap();
        let receipt = second.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
        manifest.settle("second", &key, &receipt_row(&receipt)).unwrap();
    }
    drop(manifest);
    assert!(night(&vault, 4).is_empty());
    assert_same(&vault, &primary, &shared(&second), 4);
}

fn sorted(codes: Vec<Code>) -> Vec<&'static str> {
    let mut texts: Vec<_> = codes.iter().map(|code| code.text()).collect();
    texts.sort_unstable();
    texts
}

fn snapshot_with_spool(vault: &TestVault, index: u64, spool_max: u64) -> Vec<String> {
    vault.clock.pass_hours(24);
    vault.write(&format!("documents/{index}.jpg"), &noise(index, 60_000));
    let mut writer = vault.writer();
    writer.set_spool_max(spool_max);
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    let observer: Arc<dyn Observer> = vault.events.clone();
    let job = VaultJob { writer, recipients };
    let report = snapshot::run(vec![job], &vault.sources(), &[], &NoPassphrase, &observer);
    report.unwrap().taken.remove(0).lagging
}

/// M-11
#[test]
fn bytes_of_another_store_that_were_altered_are_not_passed_on() {
    let (primary, second) = (bucket("first"), bucket("second"));
    let stores = vec![shared(&primary), shared(&second)];
    let vault = vault_over(|_| stores);
    second.set_down(true);
    night(&vault, 1);
    let pack = names_in(&primary).into_iter().find(|name| name.starts_with("packs/")).unwrap();
    primary.damage(&pack, b"something else");
    second.set_down(false);
    vault.events.warnings();
    assert_eq!(night(&vault, 2), ["second"]);
    assert_eq!(vault.events.warnings(), [Code::MirrorLagging]);
    assert!(!names_in(&second).contains(&pack));
}

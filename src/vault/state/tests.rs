//! What is kept reads back, and is private.

use super::*;
use crate::base::SystemEntropy;
use crate::crypto::identity::GenerationIdentity;
use std::os::unix::fs::PermissionsExt;

/// V-143
#[test]
fn a_second_lock_is_refused_until_the_first_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateLock::take(dir.path()).unwrap();
    assert!(matches!(StateLock::take(dir.path()), Err(Error::Locked { .. })));
    drop(first);
    assert!(StateLock::take(dir.path()).is_ok());
}

/// V-142
#[test]
fn the_open_generation_reads_back_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "nightly");
    state.make().unwrap();
    let generation = OpenGeneration {
        id: "20261122T023000Z-00000001".parse().unwrap(),
        opened: Timestamp::UNIX_EPOCH,
        recipient: GenerationIdentity::generate(&SystemEntropy).recipient(),
        dedup_secret: DedupSecret::generate(&SystemEntropy),
    };
    state.set_generation(GenerationSlot::Open, &generation).unwrap();
    let read = state.generation(GenerationSlot::Open).unwrap();
    assert_eq!(read.recipient.to_string(), generation.recipient.to_string());
    assert_eq!(*read.dedup_secret.to_hex(), *generation.dedup_secret.to_hex());
    let mode = |name| fs::metadata(state.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("generation.json"), 0o600);
    assert_eq!(fs::metadata(state.path()).unwrap().permissions().mode() & 0o777, 0o700);
    state.erase_generation(GenerationSlot::Open).unwrap();
    assert!(!state.has_generation(GenerationSlot::Open).unwrap());
}

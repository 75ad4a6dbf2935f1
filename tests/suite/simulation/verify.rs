//! Verifying: nothing is found where nothing was damaged.

use std::sync::Arc;

use idswyft_vault::base::Code;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::report::Verdict;
use idswyft_vault::ops::verify::{self, Finding, Level};
use idswyft_vault::store::Store;

use super::faults::Scope;
use super::world::{Vault, World};
use crate::support::Call;

const LEVELS: [Level; 4] = [Level::Ledger, Level::Stored, Level::Bytes, Level::Contents];

/// A store that fails now and then is verified: it must not be taken for sound without a word.
#[derive(Debug)]
pub struct Verify {
    vault: usize,
    level: Level,
}

impl Verify {
    /// Draws a vault and a level.
    pub fn draw(world: &mut World) -> Self {
        let World { random, vaults, .. } = world;
        Self { vault: random.index(vaults.len()), level: *random.pick(&LEVELS) }
    }

    /// Verifies: without a fault nothing is found, and nothing found means no fault was hidden.
    pub fn apply(&self, world: &mut World) -> String {
        let attempt = world.attempt(None, Scope::Every);
        let store = attempt.meet(world.thawed_store(self.vault, 0), world.faults.read_permille);
        let verified =
            world.unlocked(self.vault, store.clone()).map_err(Into::into).and_then(|unlocked| {
                let (auditor, observer) = (unlocked.auditor(), world.events.as_ref());
                verify::verify(auditor, Some(&unlocked), self.level, None, observer)
            });
        world.events.warnings();
        let touched = &world.vaults[self.vault].places[0].touched;
        let is_sound = verified.as_ref().is_ok_and(|report| {
            let mut report = report.clone();
            report.findings.retain(|finding| !touched.contains(&finding.object));
            is_sound(&report.findings)
        });
        let faults = store.fault_count();
        // Whether a fault met what was done to an object or another one, nobody can tell.
        let is_clear = faults == 0 || touched.is_empty();
        assert!(!is_clear || is_sound == (faults == 0), "{faults} faults: {verified:?}");
        if is_sound { "sound" } else { "not sound" }.to_owned()
    }
}

/// Tells whether what is left of the findings is no damage.
fn is_sound(findings: &[Finding]) -> bool {
    Verdict::of(findings) <= Verdict::Remarks
}

/// Verifies a store to its contents; only what failed attempts left may be found.
pub fn check_verify(world: &World, vault: usize, place: usize, store: Arc<dyn Store>) {
    let unlocked = world.unlocked(vault, store).unwrap();
    let (auditor, observer) = (unlocked.auditor(), world.events.as_ref());
    let mut report =
        verify::verify(auditor, Some(&unlocked), Level::Contents, None, observer).unwrap();
    let Vault { archive, places, .. } = &world.vaults[vault];
    // Of a record that is on its way and a clock that went back a reader cannot tell the order.
    let is_behind = |finding: &Finding| {
        let notes = archive.behind.iter().map(|id| ObjectKey::Note(*id).to_string());
        finding.code == Code::NoteMismatch && notes.into_iter().any(|note| note == finding.object)
    };
    if places[place].lags {
        report.findings.retain(|finding| !is_behind(finding));
    }
    // What was done to it is told, and everything is there all the same.
    report.findings.retain(|finding| !places[place].touched.contains(&finding.object));
    assert!(is_sound(&report.findings), "{:?}", report.findings);
    // Here the clock goes back now and then.
    report.findings.retain(|finding| finding.code != Code::RecordBackdated);
    assert!(!places[place].is_clean || report.findings.is_empty(), "{:?}", report.findings);
    assert!(place > 0 || report.snapshot_count == archive.durable.len() as u64);
}

/// Verifies a bucket by what it says of its objects: nothing is thawed, and no pack is read.
pub fn check_stored(world: &World, vault: usize, place: usize) {
    let Some(bucket) = &world.vaults[vault].places[place].bucket else { return };
    bucket.forget_calls();
    let auditor = world.auditor(vault, world.store(vault, place)).unwrap();
    let observer = world.events.as_ref();
    verify::verify(&auditor, None, Level::Stored, None, observer).unwrap();
    let is_cold = |call: &Call| match call {
        Call::Thaw(_) => true,
        Call::Get(key) | Call::GetRange(key, ..) | Call::Open(key) => key.folder() == Folder::Packs,
        _ => false,
    };
    let cold: Vec<Call> = bucket.calls().into_iter().filter(is_cold).collect();
    assert_eq!(cold, [], "verifying what is stored reads no packs");
}

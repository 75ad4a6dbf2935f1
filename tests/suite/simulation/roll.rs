//! A step that closes a generation and opens the next.

use idswyft_vault::base::GenerationId;
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::vault::Error;

use super::faults::{Crash, Scope};
use super::world::{Met, Vault, World};

/// One roll.
#[derive(Debug)]
pub struct Roll {
    vault: usize,
    crash: Option<Crash>,
}

impl Roll {
    /// Draws a vault, and whether the roll dies.
    pub fn draw(world: &mut World) -> Self {
        let World { random, faults, vaults, .. } = world;
        let vault = random.index(vaults.len());
        Self { vault, crash: Crash::draw(faults.crash_percent, random) }
    }

    /// Rolls; what fails, the next run finishes or has never begun.
    pub fn apply(&self, world: &mut World) -> String {
        let attempt = world.attempt(self.crash, Scope::Every);
        let met = world.meet(self.vault, &attempt);
        let before = open_generation(world, self.vault);
        let rolled = self.roll(world, &met);
        let faults = met.fatal_count();
        let is_clear = met.reading_count() == 0 || faults > 0;
        assert!(!is_clear || rolled.is_err() == (faults > 0), "{rolled:?}, {faults} faults");
        world.events.warnings();
        let now_open = open_generation(world, self.vault);
        assert!(rolled.is_err() || rolled.is_ok_and(|id| id == now_open && id != before));
        let auditor = world.auditor(self.vault, world.store(self.vault, 0)).unwrap();
        let Vault { archive, places, .. } = &mut world.vaults[self.vault];
        met.mark(places, true);
        if archive.pending.as_ref().is_some_and(|(id, _)| auditor.snapshot(*id).is_ok()) {
            archive.settle();
        }
        format!("{now_open} is open after {before}")
    }

    fn roll(&self, world: &World, met: &Met) -> Result<GenerationId, Error> {
        let mut writer = world.writer(self.vault, met)?;
        writer.deliver(world.events.as_ref())?;
        let id = writer.roll(&world.recipients(), &NoPassphrase)?;
        writer.deliver(world.events.as_ref())?;
        Ok(id)
    }
}

/// Returns the generation that the next run begins with.
fn open_generation(world: &World, vault: usize) -> GenerationId {
    let met = world.meet(vault, &world.attempt(None, Scope::Every));
    world.writer(vault, &met).unwrap().generation().id
}

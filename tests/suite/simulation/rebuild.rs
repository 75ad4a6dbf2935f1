//! A step that loses the manifest, and makes it anew from the stores.

use idswyft_vault::base::OpenGate;
use idswyft_vault::crypto::identity::{DataIdentities, NoPassphrase};
use idswyft_vault::manifest;
use idswyft_vault::ops;
use idswyft_vault::ops::rebuild::{self, RebuildReport};

use super::faults::{Crash, Faults, Scope};
use super::world::{Met, Vault, World};

/// The manifest of a vault is lost and made anew; the first attempt may die.
#[derive(Debug)]
pub struct Rebuild {
    vault: usize,
    crash: Option<Crash>,
    has_identity: bool,
}

impl Rebuild {
    /// Draws a vault all of whose stores answer, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        let World { random, faults, vaults, .. } = world;
        let vault = random.index(vaults.len());
        let crash = Crash::draw(faults.crash_percent, random);
        // What a bucket said of its objects is not there to be read again.
        let is_up = vaults[vault].places.iter().all(|place| place.is_up && place.bucket.is_none());
        is_up.then_some(Self { vault, crash, has_identity: random.below(2) == 0 })
    }

    /// Makes it anew: what was committed and is in no store is lost with the old one, and
    /// everything else is in every store then.
    pub fn apply(&self, world: &mut World) -> String {
        let attempt = world.attempt(self.crash, Scope::Every);
        let met = world.meet(self.vault, &attempt);
        let mut rebuilt = self.rebuild(world, &met);
        let faults = met.fault_count();
        assert!(rebuilt.is_ok() || faults > 0, "{rebuilt:?}");
        // What was torn when it was read is taken for damaged, and left out.
        if faults > 0 {
            world.step_count += 1;
            let usual = std::mem::replace(&mut world.faults, Faults::none());
            rebuilt =
                self.rebuild(world, &world.meet(self.vault, &world.attempt(None, Scope::Every)));
            world.faults = usual;
        }
        let report = rebuilt.unwrap();
        world.events.warnings();
        let Vault { archive, places, .. } = &mut world.vaults[self.vault];
        archive.forget_pending();
        assert_eq!(report.replayed.snapshot_count, archive.durable.len());
        let is_clean = faults == 0 && places.iter().all(|place| place.is_clean);
        for place in places {
            (place.lags, place.is_clean) = (false, is_clean);
        }
        format!("{faults} faults, {:?} opened", report.opened)
    }

    /// Loses what there is of a manifest, and makes it anew.
    fn rebuild(&self, world: &World, met: &Met) -> Result<RebuildReport, ops::Error> {
        let state = world.state(self.vault);
        manifest::remove(&state.file("manifest.sqlite"), &OpenGate::shared()).unwrap();
        let text = world.operator.to_secret_text();
        let parse = || DataIdentities::parse("operator", text.as_bytes(), &NoPassphrase).unwrap();
        let recipients = world.recipients();
        let request = rebuild::Rebuild {
            state: state.gated(met.disk.clone()),
            stores: met.stores(),
            recipients: &recipients,
            identities: self.has_identity.then(parse),
        };
        let outside = world.outside(self.vault, &met.disk);
        rebuild::rebuild(request, &NoPassphrase, &outside, world.events.as_ref())
    }
}

//! What may happen next, how often, and that it happens.

use super::change::Change;
use super::cold::Thawing;
use super::copies::Copies;
use super::healing::Healing;
use super::hostile::Hostile;
use super::mirrors::MirrorTurn;
use super::rebuild::Rebuild;
use super::restore::Restore;
use super::roll::Roll;
use super::rows::Rows;
use super::snapshot::Snapshot;
use super::time::PassTime;
use super::verify::Verify;
use super::world::World;

/// Something that happens.
#[derive(Debug)]
pub enum Step {
    /// The uploads change.
    Change(Change),
    /// The database changes.
    Rows(Rows),
    /// A run, which takes snapshots for the vaults that are due; it may die.
    Snapshot(Snapshot),
    /// A generation closes and another opens; this may die.
    Roll(Roll),
    /// A snapshot is restored from a store that fails now and then.
    Restore(Restore),
    /// A store is verified.
    Verify(Verify),
    /// The manifest is lost and made anew.
    Rebuild(Rebuild),
    /// The clock goes on, or back.
    PassTime(PassTime),
    /// A mirror goes away, or comes back.
    Mirror(MirrorTurn),
    /// A snapshot is restored from a store whose packs must be thawed first.
    Thaw(Thawing),
    /// One store gets what another has.
    Copy(Copies),
    /// A store is damaged, and healed from the others.
    Heal(Healing),
    /// Somebody overwrites, hides and plants what they like.
    Hostile(Hostile),
}

/// A kind of step, as the table names it: draws one, if there is one now.
type Draw = fn(&mut World) -> Option<Step>;

/// How often what happens.
const WEIGHTS: [(u64, Draw); 13] = [
    (45, |world| Change::draw(world).map(Step::Change)),
    (12, |world| Rows::draw(world).map(Step::Rows)),
    (24, |world| Some(Step::Snapshot(Snapshot::draw(world)))),
    (4, |world| Some(Step::Roll(Roll::draw(world)))),
    (4, |world| Restore::draw(world).map(Step::Restore)),
    (2, |world| Some(Step::Verify(Verify::draw(world)))),
    (2, |world| Rebuild::draw(world).map(Step::Rebuild)),
    (9, |world| Some(Step::PassTime(PassTime::draw(world)))),
    (4, |world| MirrorTurn::draw(world).map(Step::Mirror)),
    (4, |world| Thawing::draw(world).map(Step::Thaw)),
    (3, |world| Copies::draw(world).map(Step::Copy)),
    (3, |world| Healing::draw(world).map(Step::Heal)),
    (2, |world| Hostile::draw(world).map(Step::Hostile)),
];

impl Step {
    /// Draws the next step.
    pub fn draw(world: &mut World) -> Self {
        loop {
            let total: u64 = WEIGHTS.iter().map(|(weight, _)| weight).sum();
            let mut at = world.random.below(total);
            for (weight, draw) in WEIGHTS {
                if at >= weight {
                    at -= weight;
                    continue;
                }
                match draw(world) {
                    Some(step) => return step,
                    None => break,
                }
            }
        }
    }

    /// Tells whether it may have changed what a store holds.
    pub const fn reaches_stores(&self) -> bool {
        matches!(
            self,
            Self::Snapshot(_) | Self::Roll(_) | Self::Rebuild(_) | Self::Copy(_) | Self::Hostile(_)
        )
    }
}

/// Lets a step happen; returns what became of it.
pub fn apply(world: &mut World, step: &Step) -> String {
    match step {
        Step::Change(step) => step.apply(world),
        Step::Rows(step) => step.apply(world),
        Step::Snapshot(step) => step.apply(world),
        Step::Roll(step) => step.apply(world),
        Step::Restore(step) => step.apply(world),
        Step::Verify(step) => step.apply(world),
        Step::Rebuild(step) => step.apply(world),
        Step::PassTime(step) => step.apply(world),
        Step::Mirror(step) => step.apply(world),
        Step::Thaw(step) => step.apply(world),
        Step::Copy(step) => step.apply(world),
        Step::Heal(step) => step.apply(world),
        Step::Hostile(step) => step.apply(world),
    }
}

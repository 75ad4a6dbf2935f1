//! Steps of the clock.

use idswyft_vault::base::Clock;

use super::world::World;

/// The clock goes on by some hours, or back.
#[derive(Debug)]
pub struct PassTime {
    hours: i64,
}

impl PassTime {
    /// Draws how far: between two steps no time passes at all unless this one comes.
    pub fn draw(world: &mut World) -> Self {
        let random = &mut world.random;
        let of: i64 = match random.below(20) {
            0 => -30,
            1..=9 => 2,
            10..=15 => 24,
            16..=18 => 24 * 8,
            _ => 24 * 40,
        };
        let hours =
            if of < 0 { of } else { 1 + i64::try_from(random.below(of.unsigned_abs())).unwrap() };
        Self { hours }
    }

    /// Moves the clock.
    pub fn apply(&self, world: &mut World) -> String {
        world.clock.pass_hours(self.hours);
        world.clock.now().to_string()
    }
}

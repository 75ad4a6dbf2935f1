//! Steps of the mirrors.

use super::world::World;

/// A mirror goes away, or comes back.
#[derive(Debug)]
pub struct MirrorTurn {
    vault: usize,
    place: usize,
    is_up: bool,
}

impl MirrorTurn {
    /// Draws a mirror, if there is one.
    pub fn draw(world: &mut World) -> Option<Self> {
        let World { random, vaults, .. } = world;
        let mirrors =
            |(vault, places): (usize, usize)| (1..places).map(move |place| (vault, place));
        let counted = vaults.iter().map(|vault| vault.places.len()).enumerate();
        let all: Vec<(usize, usize)> = counted.flat_map(mirrors).collect();
        if all.is_empty() {
            return None;
        }
        let (vault, place) = *random.pick(&all);
        Some(Self { vault, place, is_up: !vaults[vault].places[place].is_up })
    }

    /// Turns it.
    pub fn apply(&self, world: &mut World) -> String {
        world.vaults[self.vault].places[self.place].is_up = self.is_up;
        String::new()
    }
}

//! A step that loses the manifest, and makes it anew from a store.

use super::world::World;

/// The program's own rebuild, once it has one; until then the step is never drawn.
const REBUILD: Option<fn(&mut World, usize)> = None;

/// The manifest of a vault is lost and made anew.
#[derive(Debug)]
pub struct Rebuild {
    vault: usize,
}

impl Rebuild {
    /// Draws a vault, if the program can do it.
    pub fn draw(world: &mut World) -> Option<Self> {
        REBUILD?;
        Some(Self { vault: world.random.index(world.vaults.len()) })
    }

    /// Makes it anew: what was committed and is in no store yet is lost with the old one.
    pub fn apply(&self, world: &mut World) -> String {
        let rebuild = REBUILD.unwrap();
        rebuild(world, self.vault);
        world.vaults[self.vault].archive.pending = None;
        String::new()
    }
}

//! Steps that change the database.

use super::world::World;
use crate::support::Random;

/// One change of the rows.
#[derive(Debug)]
pub enum Rows {
    /// Rows come.
    Grow { count: u64, seed: u64 },
    /// Of a hundred rows, so many go.
    Shrink { percent: u64, seed: u64 },
    /// A few rows change.
    Update { count: u64, seed: u64 },
}

impl Rows {
    /// Draws a change, if there is a database.
    pub fn draw(world: &mut World) -> Option<Self> {
        let World { random, database, .. } = world;
        let database = database.as_ref()?;
        let seed = random.next();
        Some(match random.below(5) {
            0 => Self::Shrink { percent: *random.pick(&[3, 30, 100]), seed },
            1..=2 if !database.rows.is_empty() => {
                Self::Update { count: 1 + random.below(20), seed }
            }
            _ => Self::Grow { count: 1 + random.below(1200), seed },
        })
    }

    /// Changes the rows.
    pub fn apply(&self, world: &mut World) -> String {
        let rows = &mut world.database.as_mut().unwrap().rows;
        match *self {
            Self::Grow { count, seed } => {
                let mut random = Random::from_seed(seed);
                rows.extend((0..count).map(|_| row(&mut random)));
            }
            Self::Shrink { percent, seed } => {
                let mut random = Random::from_seed(seed);
                rows.retain(|_| random.below(100) >= percent);
            }
            Self::Update { count, seed } => {
                let mut random = Random::from_seed(seed);
                for _ in 0..count {
                    let at = random.index(rows.len());
                    rows[at] = row(&mut random);
                }
            }
        }
        format!("{} rows", rows.len())
    }
}

fn row(random: &mut Random) -> String {
    format!("{}\tapplicant {:x}", random.below(1_000_000), random.next())
}

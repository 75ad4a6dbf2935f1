//! Randomness from one seed, so that what failed once can be tried again.

use std::sync::Mutex;
use std::time::Duration;

use idswyft_vault::base::{Entropy, SystemEntropy};

/// A stream of numbers that a seed decides: SplitMix64.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Starts from `IDSWYFT_VAULT_TEST_SEED`, else from a seed of the system's; a test prints it.
    #[expect(clippy::print_stderr, reason = "a failing test says how to repeat it")]
    pub fn new() -> Self {
        let given = std::env::var("IDSWYFT_VAULT_TEST_SEED").ok();
        let random = Self::from_seed(given.map_or_else(drawn, |text| text.parse().unwrap()));
        eprintln!("IDSWYFT_VAULT_TEST_SEED={}", random.seed);
        random
    }

    /// Starts from a seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// Returns the seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the next number.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns a place in something of this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// Returns one of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// Returns a moment below `max`.
    pub fn moment(&mut self, max: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(max.as_micros()).unwrap()))
    }
}

fn drawn() -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The program's randomness, from a seed.
pub struct SeededEntropy(Mutex<Random>);

impl SeededEntropy {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(Random::from_seed(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut random = self.0.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

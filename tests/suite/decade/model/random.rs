//! Numbers that look random and depend on a seed alone.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u64::try_from(bound).expect("a length fits");
        usize::try_from(self.draw() % wide).expect("it is below a length")
    }

    /// Tells whether something happens that does so many times of a thousand.
    pub const fn happens(&mut self, permille: u64) -> bool {
        self.draw() % 1000 < permille
    }
}

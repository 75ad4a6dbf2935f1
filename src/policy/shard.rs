//! One of several equal parts of a verification. Spec: `sampling.md` §4.
//!
//! Names are SHA-256, so equal ranges of them have about equally many packs.

use std::fmt;
use std::str::FromStr;

use super::sampling::ParseShareError;
use crate::base::limits::SHARD_COUNT_MAX;

/// The part `index` of `count`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Returns which part it is, from 1 on.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Returns of how many.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Tells whether the object of this SHA-256 belongs to this part: its first eight bytes are in
    /// the part's range.
    pub fn has(self, sha256: &[u8; 32]) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = *sha256;
        let start = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        (start * u128::from(self.count)) >> 64 == u128::from(self.index) - 1
    }
}

impl FromStr for Shard {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let number = |text: &str| -> Option<u32> {
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
        };
        let parts = text
            .split_once('/')
            .and_then(|(index, count)| Some(Self { index: number(index)?, count: number(count)? }));
        let is_one = |shard: &Self| {
            (1..=SHARD_COUNT_MAX).contains(&shard.count) && (1..=shard.count).contains(&shard.index)
        };
        let expected = "I/N, with I from 1 to N and N up to 1000, such as 1/4";
        parts.filter(is_one).ok_or_else(|| ParseShareError::new(text, "a part", expected))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u32) -> Vec<Shard> {
        (1..=count).map(|index| format!("{index}/{count}").parse().unwrap()).collect()
    }

    fn name(start: u64) -> [u8; 32] {
        let mut name = [0xff; 32];
        name[..8].copy_from_slice(&start.to_be_bytes());
        name
    }

    /// Y-10
    #[test]
    fn every_name_is_in_exactly_one_part_and_the_ranges_are_equal() {
        for count in [1, 2, 3, 7, 1000] {
            let step = u64::MAX / u64::from(count);
            let edges = (0..u64::from(count)).flat_map(|part| {
                let edge = step.saturating_mul(part);
                [
                    edge.saturating_sub(1),
                    edge,
                    edge.saturating_add(1),
                    edge.saturating_add(count.into()),
                ]
            });
            for start in edges.chain([0, u64::MAX]) {
                let owners = shards(count).into_iter().filter(|shard| shard.has(&name(start)));
                assert_eq!(owners.count(), 1, "{start} of {count}");
            }
        }
        let quarters = shards(4);
        assert!(quarters[0].has(&name(u64::MAX / 4)) && quarters[1].has(&name(1 << 62)));
        assert!(quarters[3].has(&name(u64::MAX)) && !quarters[2].has(&name(3 << 62)));
    }

    /// Y-2
    #[test]
    fn a_part_that_cannot_be_is_refused() {
        let wrong = [
            "0/4", "5/4", "1/0", "1/100000", "1/1001", "1", "/", "1/", "/1", "a/b", "-1/2", "1/2/3",
        ];
        for text in wrong {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}

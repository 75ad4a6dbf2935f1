//! Files whose bytes are in several packs, as far as those were read.

use std::collections::BTreeMap;

use blake3::Hash;

use crate::crypto::parts_hasher::PartsHasher;

/// Memory for files that go on in other packs; what is beyond is read again, one by one.
const COST_MAX: usize = 48 * 1024 * 1024;

/// What is there of files, by their number in the plan.
#[derive(Default)]
pub(super) struct Spread {
    parts: BTreeMap<i64, PartsHasher>,
    cost: usize,
}

/// What became of a part.
pub(super) enum Joined {
    /// With it, every byte was there.
    Whole(Hash),
    /// Others are to come.
    Part,
    /// There is no room to wait for others.
    Refused,
}

impl Spread {
    /// Joins what one pack had of a file with what others had.
    pub fn join(&mut self, number: i64, mut part: PartsHasher) -> Joined {
        if let Some(before) = self.parts.remove(&number) {
            self.cost -= before.cost();
            part.absorb(before);
        }
        if let Some(hash) = part.finish() {
            return Joined::Whole(hash);
        }
        let cost = part.cost();
        if self.cost + cost > COST_MAX {
            return Joined::Refused;
        }
        self.cost += cost;
        self.parts.insert(number, part);
        Joined::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_as_long_as_there_is_room_and_a_whole_one_makes_room() {
        let part = |at: u64| {
            let mut part = PartsHasher::new(2);
            part.update(at, b"x");
            part
        };
        let mut spread = Spread { cost: COST_MAX - part(0).cost(), ..Spread::default() };
        assert!(matches!(spread.join(1, part(0)), Joined::Part));
        assert!(matches!(spread.join(2, part(0)), Joined::Refused));
        let Joined::Whole(hash) = spread.join(1, part(1)) else { panic!("all of it is there") };
        assert_eq!(hash, blake3::hash(b"xx"));
        assert!(matches!(spread.join(2, part(0)), Joined::Part));
    }
}

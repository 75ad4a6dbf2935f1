//! Layer 1: content-defined cut points over a secret gear table. Spec: §6.
//!
//! Cut points are the writer's own business: no reader needs them. They are pinned by vectors all
//! the same, because a writer that cuts differently deduplicates nothing of what it wrote before.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};

use crate::base::ChunkParameters;

/// The secret table of a generation that decides where content is cut.
pub struct GearTable {
    gear: Box<[u64; 256]>,
    gear_shifted: Box<[u64; 256]>,
}

impl GearTable {
    /// Length in bytes of the key material of one table.
    pub const MATERIAL_LEN: usize = 256 * 8;

    /// Makes the table of key material: 256 little-endian integers.
    pub fn from_material(material: &[u8; Self::MATERIAL_LEN]) -> Self {
        let mut gear = Box::new([0; 256]);
        for (entry, bytes) in gear.iter_mut().zip(material.chunks_exact(8)) {
            *entry = u64::from_le_bytes(bytes.try_into().expect("chunks are eight bytes long"));
        }
        let gear_shifted = Box::new(gear.map(|entry| entry << 1));
        Self { gear, gear_shifted }
    }
}

impl Drop for GearTable {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.gear.as_mut_slice());
        zeroize::Zeroize::zeroize(self.gear_shifted.as_mut_slice());
    }
}

/// Whether more of a stream follows the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// More bytes follow: the tail may be cut differently once they are known.
    More,
    /// These bytes end the stream.
    Last,
}

/// Cuts streams of one profile in one generation.
pub struct Cutter {
    parameters: ChunkParameters,
    mask_small: u64,
    mask_large: u64,
    table: std::sync::Arc<GearTable>,
}

impl Cutter {
    /// Makes a cutter with normalization level 1 (FastCDC 2020, §3.4 of the 2016 paper).
    pub fn new(parameters: ChunkParameters, table: std::sync::Arc<GearTable>) -> Self {
        let (mask_small, mask_large) = select_masks(parameters.len_avg(), Normalization::Level1);
        Self { parameters, mask_small, mask_large, table }
    }

    /// Cuts `data`, which starts at a cut point; returns the length of each chunk.
    ///
    /// With [`Ending::More`] cutting stops where the next cut could depend on bytes that are not
    /// there yet; what is left, less than the greatest chunk length, belongs in front of them.
    /// With [`Ending::Last`] the lengths add up to all of `data`.
    pub fn cut(&self, data: &[u8], ending: Ending) -> Vec<usize> {
        let mut lens = Vec::with_capacity(data.len() / self.parameters.len_avg() + 1);
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            if ending == Ending::More && rest.len() < self.parameters.len_max() {
                break;
            }
            let len = self.next_len(rest);
            lens.push(len);
            at += len;
        }
        lens
    }

    fn next_len(&self, data: &[u8]) -> usize {
        let (_, len) = cut_gear(
            data,
            self.parameters.len_min(),
            self.parameters.len_avg(),
            self.parameters.len_max(),
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
            self.table.gear.as_slice(),
            self.table.gear_shifted.as_slice(),
        );
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Profile;
    use proptest::prelude::*;

    fn cutter(profile: Profile) -> Cutter {
        let mut material = [0; GearTable::MATERIAL_LEN];
        blake3::Hasher::new_keyed(&[7; 32]).finalize_xof().fill(&mut material);
        let table = std::sync::Arc::new(GearTable::from_material(&material));
        Cutter::new(ChunkParameters::default_for(profile), table)
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        blake3::Hasher::new_keyed(&[8; 32]).finalize_xof().fill(&mut data);
        data
    }

    /// V-58
    #[test]
    fn cut_points_of_a_known_table_are_pinned() {
        let lens = cutter(Profile::Stream).cut(&noise(32 * 1024), Ending::Last);
        assert_eq!(lens, PINNED);
    }

    const PINNED: [usize; 7] = [7529, 2882, 5012, 4349, 4917, 7026, 1053];

    #[test]
    fn another_table_cuts_elsewhere() {
        let table = GearTable::from_material(&[0x5a; GearTable::MATERIAL_LEN]);
        let other =
            Cutter::new(ChunkParameters::default_for(Profile::Stream), std::sync::Arc::new(table));
        let data = noise(64 * 1024);
        let ours = cutter(Profile::Stream).cut(&data, Ending::Last);
        assert_ne!(other.cut(&data, Ending::Last), ours);
    }

    proptest! {
        /// V-58
        #[test]
        fn cutting_in_windows_equals_cutting_at_once(
            len in 0usize..200_000,
            window in 16_384usize..60_000,
        ) {
            let (cutter, data) = (cutter(Profile::Stream), noise(len));
            let mut lens = Vec::new();
            let (mut pending, mut at) = (Vec::new(), 0);
            while at < data.len() {
                let end = (at + window).min(data.len());
                pending.extend_from_slice(&data[at..end]);
                at = end;
                let ending = if at == data.len() { Ending::Last } else { Ending::More };
                let cut = cutter.cut(&pending, ending);
                pending.drain(..cut.iter().sum::<usize>());
                lens.extend(cut);
            }
            prop_assert_eq!(lens, cutter.cut(&data, Ending::Last));
        }

        #[test]
        fn chunks_keep_their_bounds_and_cover_the_stream(len in 0usize..100_000) {
            let data = noise(len);
            let lens = cutter(Profile::Stream).cut(&data, Ending::Last);
            prop_assert_eq!(lens.iter().sum::<usize>(), len);
            let parameters = ChunkParameters::default_for(Profile::Stream);
            for (index, &chunk) in lens.iter().enumerate() {
                let least = if index + 1 == lens.len() { 1 } else { parameters.len_min() };
                prop_assert!((least..=parameters.len_max()).contains(&chunk));
            }
        }
    }
}

//! BLAKE3 of a stream whose bytes come in parts and in any order. Spec: §12.3.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB (BLAKE3 paper, §2.1), so what came can be reduced
//! to the chaining values of the largest subtrees that are whole. Of a part that begins or ends
//! within a chunk, those bytes are kept until the rest of the chunk is there.

use std::collections::BTreeMap;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, max_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use blake3::{CHUNK_LEN, Hash, Hasher};

const CHUNK: u64 = CHUNK_LEN as u64;

/// What a node or a kept run costs beside its bytes, about.
const NODE_COST: usize = 64;

/// Hashes a stream of a known length, of which each byte comes once.
#[derive(Debug)]
pub struct PartsHasher {
    len: u64,
    /// Subtrees that are whole and whose siblings are not, by their first byte.
    subtrees: BTreeMap<u64, Subtree>,
    /// Runs of bytes of chunks that are not whole, by the first byte of the chunk.
    chunks: BTreeMap<u64, Vec<Run>>,
    root: Option<Hash>,
}

#[derive(Debug)]
struct Subtree {
    len: u64,
    value: ChainingValue,
}

/// Bytes at an offset in a chunk.
#[derive(Debug)]
struct Run {
    at: usize,
    bytes: Vec<u8>,
}

impl PartsHasher {
    /// Begins with a stream of `len` bytes, none of which is there.
    pub fn new(len: u64) -> Self {
        let root = (len == 0).then(|| blake3::hash(b""));
        Self { len, subtrees: BTreeMap::new(), chunks: BTreeMap::new(), root }
    }

    /// Takes the bytes at an offset. Those beyond the stream's length are no part of it, and bytes
    /// that came before must not come again: the digest would be another.
    pub fn update(&mut self, mut at: u64, mut bytes: &[u8]) {
        let room = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        bytes = &bytes[..bytes.len().min(room)];
        while !bytes.is_empty() {
            let take = self.step_len(at, bytes.len());
            let (now, rest) = bytes.split_at(take);
            let is_chunk = at.is_multiple_of(CHUNK);
            if is_chunk && (take >= CHUNK_LEN || at + take as u64 == self.len) {
                self.take_subtree(at, now);
            } else {
                let start = at - at % CHUNK;
                let within = usize::try_from(at - start).expect("a chunk is 1 KiB");
                self.take_run(start, Run { at: within, bytes: now.to_vec() });
            }
            (at, bytes) = (at + take as u64, rest);
        }
    }

    /// Returns how many of `len` bytes at an offset are one subtree, or lie in one chunk.
    fn step_len(&self, at: u64, len: usize) -> usize {
        let within = usize::try_from(at % CHUNK).expect("a chunk is 1 KiB");
        if within > 0 || len < CHUNK_LEN {
            return len.min(CHUNK_LEN - within);
        }
        let most = max_subtree_len(at).and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(usize::MAX);
        // At the right edge a subtree is as long as what is left; any other is a power of two.
        if len <= most && at + len as u64 == self.len {
            return len;
        }
        1 << len.min(most).ilog2()
    }

    /// Takes what another hasher of the same stream has.
    pub fn absorb(&mut self, other: Self) {
        self.root = self.root.or(other.root);
        for (start, Subtree { len, value }) in other.subtrees {
            self.add(start, len, value);
        }
        for (start, runs) in other.chunks {
            runs.into_iter().for_each(|run| self.take_run(start, run));
        }
    }

    /// Returns the digest, once every byte is there.
    pub const fn finish(&self) -> Option<Hash> {
        self.root
    }

    /// Returns how much memory it takes, about, in bytes.
    pub fn cost(&self) -> usize {
        let runs = self.chunks.values().flatten().map(|run| NODE_COST + run.bytes.len());
        NODE_COST * (2 + self.subtrees.len()) + runs.sum::<usize>()
    }

    fn take_run(&mut self, start: u64, run: Run) {
        let runs = self.chunks.entry(start).or_default();
        runs.push(run);
        let len = usize::try_from((self.len - start).min(CHUNK)).expect("a chunk is 1 KiB");
        if runs.iter().map(|run| run.bytes.len()).sum::<usize>() < len {
            return;
        }
        let mut chunk = [0; CHUNK_LEN];
        for Run { at, bytes } in self.chunks.remove(&start).unwrap_or_default() {
            chunk[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        self.take_subtree(start, &chunk[..len]);
    }

    fn take_subtree(&mut self, start: u64, bytes: &[u8]) {
        let len = bytes.len() as u64;
        if (start, len) == (0, self.len) {
            self.root = Some(blake3::hash(bytes));
            return;
        }
        let value = Hasher::new().set_input_offset(start).update(bytes).finalize_non_root();
        self.add(start, len, value);
    }

    /// Adds a subtree and joins it with its sibling, and their parent with its own.
    fn add(&mut self, mut start: u64, mut len: u64, mut value: ChainingValue) {
        loop {
            // A right child begins at an odd multiple of its left sibling's length, and is shorter
            // only at the right edge.
            let left_len = 1 << start.trailing_zeros().min(u64::BITS - 1);
            let is_right = start > 0 && start + len == (start + left_len).min(self.len);
            let sibling = if is_right { start - left_len } else { start + len };
            let need = if is_right { left_len } else { len.min(self.len - sibling) };
            if self.subtrees.get(&sibling).is_none_or(|other| other.len != need) {
                self.subtrees.insert(start, Subtree { len, value });
                return;
            }
            let other = self.subtrees.remove(&sibling).expect("it was just looked at").value;
            let (left, right) = if is_right { (other, value) } else { (value, other) };
            (start, len) = (start.min(sibling), len + need);
            if (start, len) == (0, self.len) {
                self.root = Some(merge_subtrees_root(&left, &right, Mode::Hash));
                return;
            }
            value = merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Every length around what the tree turns on, cut in two at every such place.
    #[test]
    fn a_stream_in_two_parts_has_its_digest_whichever_comes_first() {
        let near = |len: usize| [len.saturating_sub(1), len, len + 1];
        let lens = [0, 1, 2, 3, 4, 5, 7, 8, 11, 16, 33].map(|count| near(count * CHUNK_LEN));
        let lens: Vec<usize> = lens.into_iter().flatten().collect();
        for &len in &lens {
            let bytes = stream(len);
            for cut in lens.iter().copied().filter(|cut| *cut <= len) {
                let parts = [(0, &bytes[..cut]), (cut as u64, &bytes[cut..])];
                for order in [[0, 1], [1, 0_usize]] {
                    let mut hasher = PartsHasher::new(len as u64);
                    for at in order {
                        hasher.update(parts[at].0, parts[at].1);
                    }
                    assert_eq!(hasher.finish(), Some(blake3::hash(&bytes)), "{len} at {cut}");
                    assert!(hasher.subtrees.is_empty() && hasher.chunks.is_empty());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn parts_in_any_order_and_by_several_hashers_have_the_digest_of_the_whole(
            len in 1..200_000_usize,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            order in any::<u64>(),
        ) {
            let bytes = stream(len);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(len)).collect();
            ends.extend([0, len]);
            ends.sort_unstable();
            let mut parts: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
            let place = |start: usize| blake3::hash(&(start as u64 ^ order).to_le_bytes());
            parts.sort_by_key(|part| *place(part.start).as_bytes());
            let mut hashers = [0; 3].map(|_| PartsHasher::new(len as u64));
            for (at, part) in parts.iter().enumerate() {
                let [first, ..] = &hashers;
                prop_assert!(part.is_empty() || first.finish().is_none());
                hashers[at % 3].update(part.start as u64, &bytes[part.clone()]);
            }
            let [mut first, second, third] = hashers;
            first.absorb(second);
            first.absorb(third);
            prop_assert_eq!(first.finish(), Some(blake3::hash(&bytes)));
        }
    }

    #[test]
    fn one_byte_that_is_missing_or_another_is_no_digest_of_the_whole() {
        let bytes = stream(5000);
        let mut hasher = PartsHasher::new(5000);
        hasher.update(0, &bytes[..3000]);
        hasher.update(3001, &bytes[3001..]);
        assert_eq!(hasher.finish(), None);
        hasher.update(3000, &[bytes[3000] ^ 1]);
        assert!(hasher.finish().is_some_and(|found| found != blake3::hash(&bytes)));
    }

    /// A part keeps less than two chunks and a few chaining values, however long it is.
    #[test]
    fn a_part_takes_little_memory_however_long_it_is() {
        let bytes = stream(4_000_000);
        let mut hasher = PartsHasher::new(9_000_000);
        hasher.update(1_000_001, &bytes);
        assert!(hasher.cost() < 2 * CHUNK_LEN + 40 * NODE_COST, "{}", hasher.cost());
    }
}

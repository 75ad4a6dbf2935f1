//! The append-only log of a signer's events: leaves, root, consistency. Spec: §8.4; RFC 6962
//! §2.1.
//!
//! ```text
//! leaf = SHA-256(0x00 || event)      node = SHA-256(0x01 || left || right)
//! ```
//!
//! - A [`Frontier`] appends and verifies with one hash for every bit of the log's size.
//! - A [`Log`] keeps every hash, and proves that it extends an earlier checkpoint to somebody who
//!   holds nothing but the two checkpoints.

use tlog_tiles::tlog::{self, EMPTY_HASH, Hash, HashReader, node_hash, record_hash};

pub use super::checkpoint::{MerkleError, TreeHead};
use crate::base::Digest;
use crate::base::limits::JSON_INTEGER_MAX;

/// Bytes of the size in a stored frontier.
const SIZE_LEN: usize = 8;

/// The right edge of a log: all that is needed to append to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, the largest first: one for every bit set in `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Begins an empty log.
    pub const fn empty() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Appends the bytes of one event.
    pub fn append(&mut self, leaf: &[u8]) {
        let mut hash = record_hash(leaf);
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("there is a peak for every bit set in size");
            hash = node_hash(left, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Returns the log's size and root.
    pub fn head(&self) -> TreeHead {
        let fold = |right, left: &Hash| Some(right_or(*left, right));
        let root = self.peaks.iter().rev().fold(None, fold).unwrap_or(EMPTY_HASH);
        TreeHead { size: self.size, root: Digest::from_bytes(root.0) }
    }

    /// Accepts the log if it has exactly this size and root.
    ///
    /// # Errors
    /// [`MerkleError::Size`] or [`MerkleError::Root`].
    pub fn check(&self, signed: &TreeHead) -> Result<(), MerkleError> {
        let TreeHead { size, root: expected } = *signed;
        if self.size != size {
            return Err(MerkleError::Size { expected: size, found: self.size });
        }
        let found = self.head().root;
        if found != expected {
            return Err(MerkleError::Root { size, expected, found });
        }
        Ok(())
    }

    /// Returns the frontier as bytes: the size in little-endian, then the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_le_bytes().to_vec();
        self.peaks.iter().for_each(|peak| bytes.extend(peak.0));
        bytes
    }

    /// Parses what [`Self::to_bytes`] made.
    ///
    /// # Errors
    /// [`MerkleError::Frontier`] if the number of hashes does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MerkleError> {
        let invalid = MerkleError::Frontier { len: bytes.len() };
        let (size, rest) = bytes.split_first_chunk::<SIZE_LEN>().ok_or(invalid.clone())?;
        let size = u64::from_le_bytes(*size);
        let (hashes, rest) = rest.as_chunks::<{ tlog::HASH_SIZE }>();
        let count = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
        if !rest.is_empty() || count != size.count_ones() || size > JSON_INTEGER_MAX {
            return Err(invalid);
        }
        Ok(Self { size, peaks: hashes.iter().map(|hash| Hash(*hash)).collect() })
    }
}

fn right_or(left: Hash, right: Option<Hash>) -> Hash {
    match right {
        Some(right) => node_hash(left, right),
        None => left,
    }
}

/// Replays a log leaf by leaf against checkpoints of any of its sizes.
///
/// What it proves: every checkpoint is a prefix of the same leaves, so none was rewritten.
pub struct Replay {
    frontier: Frontier,
    /// Checkpoints not yet reached, the smallest last.
    pending: Vec<TreeHead>,
}

impl Replay {
    /// Begins before the first leaf.
    ///
    /// # Errors
    /// [`MerkleError::Root`] if a checkpoint of size 0 is not that of the empty log.
    pub fn new(mut checkpoints: Vec<TreeHead>) -> Result<Self, MerkleError> {
        checkpoints.sort_by_key(|head| std::cmp::Reverse(head.size));
        let mut replay = Self { frontier: Frontier::empty(), pending: checkpoints };
        replay.check_reached()?;
        Ok(replay)
    }

    /// Appends the next leaf and checks every checkpoint of that size.
    ///
    /// # Errors
    /// [`MerkleError::Root`] if one differs.
    pub fn append(&mut self, leaf: &[u8]) -> Result<(), MerkleError> {
        self.frontier.append(leaf);
        self.check_reached()
    }

    /// Ends the replay and returns the frontier, from which the log can be continued.
    ///
    /// # Errors
    /// [`MerkleError::Size`] if a checkpoint signs more leaves than there are.
    pub fn finish(self) -> Result<Frontier, MerkleError> {
        match self.pending.first() {
            Some(head) => Err(MerkleError::Size { expected: head.size, found: self.frontier.size }),
            None => Ok(self.frontier),
        }
    }

    fn check_reached(&mut self) -> Result<(), MerkleError> {
        let size = self.frontier.size;
        while let Some(head) = self.pending.pop_if(|head| head.size == size) {
            self.frontier.check(&head)?;
        }
        Ok(())
    }
}

/// A whole log's hashes: 64 bytes an event.
#[derive(Debug, Clone)]
pub struct Log {
    size: u64,
    /// Every hash, in the order of RFC 6962 logs that are stored in sequence.
    hashes: Vec<Hash>,
}

struct Stored<'a>(&'a [Hash]);

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let read = |index: &u64| usize::try_from(*index).ok().and_then(|at| self.0.get(at));
        let hashes: Option<Vec<Hash>> = indexes.iter().map(|index| read(index).copied()).collect();
        hashes.ok_or(tlog::Error::IndexesNotInTree)
    }
}

impl Log {
    /// Begins an empty log.
    pub const fn empty() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// Appends the bytes of one event.
    ///
    /// # Panics
    /// Never: all hashes of the leaves before are there.
    pub fn append(&mut self, leaf: &[u8]) {
        let hashes = tlog::stored_hashes(self.size, leaf, &Stored(&self.hashes));
        self.hashes.extend(hashes.expect("all hashes of the leaves before are there"));
        self.size += 1;
    }

    /// Returns the number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the size and root that the log had at `size` leaves, if it has as many.
    pub fn head_at(&self, size: u64) -> Option<TreeHead> {
        if size > self.size {
            return None;
        }
        let root = tlog::tree_hash(size, &Stored(&self.hashes)).ok()?;
        Some(TreeHead { size, root: Digest::from_bytes(root.0) })
    }

    /// Accepts the log if `earlier` is a prefix of it.
    ///
    /// # Errors
    /// [`MerkleError::Size`] if the log is shorter, [`MerkleError::Root`] if it was rewritten.
    pub fn check_extends(&self, earlier: &TreeHead) -> Result<(), MerkleError> {
        let TreeHead { size, root: expected } = *earlier;
        let size_error = MerkleError::Size { expected: size, found: self.size };
        let found = self.head_at(size).ok_or(size_error)?.root;
        if found == expected { Ok(()) } else { Err(MerkleError::Root { size, expected, found }) }
    }

    /// Proves that the whole log extends what it was at `earlier` leaves (RFC 6962 §2.1.2).
    ///
    /// # Errors
    /// [`MerkleError::Consistency`] if it never had so few or has not so many.
    pub fn prove_extends(&self, earlier: u64) -> Result<Vec<Digest>, MerkleError> {
        let proof = tlog::prove_tree(self.size, earlier, &Stored(&self.hashes))
            .map_err(|_| MerkleError::Consistency { earlier, later: self.size })?;
        Ok(proof.into_iter().map(|hash| Digest::from_bytes(hash.0)).collect())
    }
}

/// Accepts a proof that the log of `later` extends the log of `earlier`.
///
/// # Errors
/// [`MerkleError::Consistency`] if the proof does not hold, or `earlier` is empty.
pub fn check_consistency(
    earlier: &TreeHead,
    later: &TreeHead,
    proof: &[Digest],
) -> Result<(), MerkleError> {
    let hash = |digest: &Digest| Hash(*digest.as_bytes());
    let proof: Vec<Hash> = proof.iter().map(hash).collect();
    tlog::check_tree(&proof, later.size, hash(&later.root), earlier.size, hash(&earlier.root))
        .map_err(|_| MerkleError::Consistency { earlier: earlier.size, later: later.size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded, SignerId, VaultId};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use sha2::{Digest as _, Sha256};

    /// RFC 6962 §2.1, word for word.
    fn reference_root(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
            _ => {
                let mut split = 1;
                while split * 2 < leaves.len() {
                    split *= 2;
                }
                let (left, right) = leaves.split_at(split);
                let node = Sha256::new().chain_update([1]).chain_update(reference_root(left));
                node.chain_update(reference_root(right)).finalize().into()
            }
        }
    }

    fn leaves(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|index| format!("event {index}\n").into_bytes()).collect()
    }

    fn log_of(leaves: &[Vec<u8>]) -> Log {
        let mut log = Log::empty();
        leaves.iter().for_each(|leaf| log.append(leaf));
        log
    }

    fn head_of(leaves: &[Vec<u8>]) -> TreeHead {
        let root = Digest::from_bytes(reference_root(leaves));
        TreeHead { size: leaves.len() as u64, root }
    }

    /// V-117
    #[test]
    fn roots_of_the_known_tree_are_those_of_certificate_transparency() {
        // The leaves and roots with which certificate-transparency implementations test.
        let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ];
        let mut frontier = Frontier::empty();
        assert_eq!(frontier.head().root.to_string(), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            frontier.append(&hex::decode(input).unwrap());
            assert_eq!(frontier.head().root.to_string(), *root);
        }
    }

    /// V-117
    #[test]
    fn frontier_log_and_rfc_6962_agree_at_every_size() {
        let leaves = leaves(70);
        let log = log_of(&leaves);
        let mut frontier = Frontier::empty();
        for size in 0..=leaves.len() {
            let expected = head_of(&leaves[..size]);
            assert_eq!(frontier.head(), expected);
            assert_eq!(log.head_at(size as u64), Some(expected));
            let stored = frontier.to_bytes();
            assert_eq!(Frontier::from_bytes(&stored).unwrap(), frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.append(leaf);
            }
        }
        assert_eq!(log.head_at(71), None);
    }

    proptest! {
        #[test]
        fn a_longer_log_proves_that_it_extends_any_checkpoint(
            count in 1_usize..60, earlier in 1_usize..60, flip in any::<(usize, u8)>()
        ) {
            let earlier = earlier.min(count);
            let leaves = leaves(count);
            let log = log_of(&leaves);
            let (old, new) = (head_of(&leaves[..earlier]), head_of(&leaves));
            let mut proof = log.prove_extends(old.size).unwrap();
            prop_assert_eq!(check_consistency(&old, &new, &proof), Ok(()));
            prop_assert_eq!(log.check_extends(&old), Ok(()));
            if !proof.is_empty() {
                let mut bytes = *proof[flip.0 % proof.len()].as_bytes();
                bytes[usize::from(flip.1 % 32)] ^= 1;
                let at = flip.0 % proof.len();
                proof[at] = Digest::from_bytes(bytes);
                assert!(check_consistency(&old, &new, &proof).is_err());
                proof.pop();
                assert!(check_consistency(&old, &new, &proof).is_err());
            }
        }

        #[test]
        fn hostile_frontiers_and_checkpoints_are_errors(bytes in any::<Vec<u8>>()) {
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            } else {
                let (vault, signer) = (VaultId::from_bytes([1; 16]), SignerId::from_bytes([2; 8]));
                assert!(TreeHead::parse_checkpoint(&bytes, vault, signer).is_err());
            }
        }
    }

    /// V-122
    #[test]
    fn a_rewritten_shortened_or_forked_log_is_found() {
        let leaves = leaves(9);
        let mut rewritten = leaves.clone();
        rewritten[3] = b"another event\n".to_vec();
        let signed = head_of(&leaves[..5]);
        let code = |result: Result<(), MerkleError>| result.unwrap_err().code();
        assert_eq!(code(log_of(&rewritten).check_extends(&signed)), Code::LedgerBroken);
        assert_eq!(code(log_of(&leaves[..4]).check_extends(&signed)), Code::LedgerBroken);
        let proof = log_of(&rewritten).prove_extends(5).unwrap();
        let forked = check_consistency(&signed, &head_of(&rewritten), &proof);
        assert_eq!(code(forked), Code::LedgerBroken);
        let empty = head_of(&[]);
        assert!(check_consistency(&empty, &signed, &[]).is_err());
        assert!(check_consistency(&signed, &empty, &[]).is_err());
        let huge = TreeHead { size: u64::MAX, ..signed };
        assert!(check_consistency(&signed, &huge, &[]).is_err());
        assert!(check_consistency(&huge, &huge, &[signed.root]).is_err());
    }

    fn replay(leaves: &[Vec<u8>], heads: &[TreeHead]) -> Result<Frontier, MerkleError> {
        let mut replay = Replay::new(heads.to_vec())?;
        leaves.iter().try_for_each(|leaf| replay.append(leaf))?;
        replay.finish()
    }

    /// V-122
    #[test]
    fn a_replay_meets_every_checkpoint_or_says_which_it_does_not() {
        let leaves = leaves(9);
        let at = |size: usize| head_of(&leaves[..size]);
        let frontier = replay(&leaves, &[at(4), at(0), at(9), at(4)]).unwrap();
        assert_eq!(frontier.head(), at(9));
        assert_eq!(frontier.check(&at(9)), Ok(()));
        assert!(frontier.check(&at(8)).is_err());
        let too_few = replay(&leaves[..8], &[at(4), at(9)]);
        assert_eq!(too_few, Err(MerkleError::Size { expected: 9, found: 8 }));
        let mut rewritten = leaves.clone();
        rewritten[2] = vec![];
        assert!(matches!(replay(&rewritten, &[at(4)]), Err(MerkleError::Root { size: 4, .. })));
        let wrong = TreeHead { size: 0, root: at(1).root };
        assert!(replay(&leaves, &[wrong]).is_err());
    }
}

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

    /// Proves that the leaf of an index stands in the whole log (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// [`MerkleError::Inclusion`] if the log has not so many.
    pub fn prove_included(&self, index: u64) -> Result<Vec<Digest>, MerkleError> {
        let proof = tlog::prove_record(self.size, index, &Stored(&self.hashes))
            .map_err(|_| MerkleError::Inclusion { index, size: self.size })?;
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

/// Accepts a proof that an event's bytes stand at an index of a log.
///
/// # Errors
/// [`MerkleError::Inclusion`] if the proof does not hold.
pub fn check_inclusion(
    head: &TreeHead,
    index: u64,
    leaf: &[u8],
    proof: &[Digest],
) -> Result<(), MerkleError> {
    let hash = |digest: &Digest| Hash(*digest.as_bytes());
    let proof: Vec<Hash> = proof.iter().map(hash).collect();
    tlog::check_record(&proof, head.size, hash(&head.root), index, record_hash(leaf))
        .map_err(|_| MerkleError::Inclusion { index, size: head.size })
}

#[cfg(test)]
mod tests;

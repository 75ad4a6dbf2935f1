//! Tests against RFC 6962, and against one another.

use super::*;
use crate::base::{Code, Coded, SignerId, VaultId};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
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

proptest! {
    #[test]
    fn every_event_is_proven_to_stand_in_its_log_and_nothing_else_is(
        count in 1_usize..60, index in 0_usize..60, flip in any::<(usize, u8)>()
    ) {
        let index = index % count;
        let leaves = leaves(count);
        let (log, head) = (log_of(&leaves), head_of(&leaves));
        let mut proof = log.prove_included(index as u64).unwrap();
        let check = |at: usize, leaf: &[u8], proof: &[Digest]| {
            check_inclusion(&head, at as u64, leaf, proof)
        };
        prop_assert_eq!(check(index, &leaves[index], &proof), Ok(()));
        prop_assert!(check(index, b"another event", &proof).is_err());
        prop_assert!(check(index + 1, &leaves[index], &proof).is_err());
        prop_assert!(log.prove_included(count as u64).is_err());
        if !proof.is_empty() {
            let at = flip.0 % proof.len();
            let mut bytes = *proof[at].as_bytes();
            bytes[usize::from(flip.1 % 32)] ^= 1;
            proof[at] = Digest::from_bytes(bytes);
            prop_assert!(check(index, &leaves[index], &proof).is_err());
        }
    }
}

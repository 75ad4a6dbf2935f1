//! A log's size and root, and the checkpoint that signs them. Spec: §8.5; C2SP
//! tlog-checkpoint.
//!
//! ```text
//! checkpoint = origin "\n" size "\n" base64(root) "\n"
//! origin = "idswyft-vault/v1/ledger/" vault-id "/" signer-id
//! ```

use thiserror::Error;
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tlog::Hash;

use crate::base::limits::JSON_INTEGER_MAX;
use crate::base::{Code, Coded, Digest, SignerId, VaultId};

const ORIGIN_PREFIX: &str = "idswyft-vault/v1/ledger/";

/// A log that is not what its checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MerkleError {
    /// The bytes are not a checkpoint.
    #[error("parse a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// The checkpoint is that of another log.
    #[error("accept a checkpoint: its origin is {found:?}, expected {expected:?}")]
    Foreign {
        /// The origin of the log in question.
        expected: String,
        /// What the checkpoint says.
        found: String,
    },
    /// The bytes are not a stored frontier.
    #[error("parse a frontier of {len} bytes")]
    Frontier {
        /// Their number.
        len: usize,
    },
    /// The leaves do not have the signed root.
    #[error("match the log to its checkpoint at size {size}: the root is {found}, not {expected}")]
    Root {
        /// The size of the checkpoint.
        size: u64,
        /// The root that was signed.
        expected: Digest,
        /// The root of the leaves.
        found: Digest,
    },
    /// The log has fewer or more leaves than the checkpoint.
    #[error("match the log to its checkpoint: it has {found} events, {expected} are signed")]
    Size {
        /// The size that was signed.
        expected: u64,
        /// The number of leaves.
        found: u64,
    },
    /// A consistency proof does not hold.
    #[error("prove that the log at size {later} extends the one at size {earlier}")]
    Consistency {
        /// The size of the earlier checkpoint.
        earlier: u64,
        /// The size of the later one.
        later: u64,
    },
    /// An inclusion proof does not hold.
    #[error("prove that event {index} stands in the log of size {size}")]
    Inclusion {
        /// The number of the event.
        index: u64,
        /// The size of the log.
        size: u64,
    },
}

impl Coded for MerkleError {
    fn code(&self) -> Code {
        match self {
            Self::Checkpoint(_) | Self::Frontier { .. } => Code::FormatInvalid,
            Self::Foreign { .. } => Code::ObjectForeign,
            Self::Root { .. }
            | Self::Size { .. }
            | Self::Consistency { .. }
            | Self::Inclusion { .. } => Code::LedgerBroken,
        }
    }
}

/// The size and the root of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of events.
    pub size: u64,
    /// RFC 6962 root of their bytes.
    pub root: Digest,
}

impl TreeHead {
    /// Composes the text of a checkpoint, ready to be signed.
    pub fn compose_checkpoint(&self, vault: VaultId, signer: SignerId) -> String {
        let root = Hash(*self.root.as_bytes());
        format!("{ORIGIN_PREFIX}{vault}/{signer}\n{}\n{root}\n", self.size)
    }

    /// Parses the verified text of a checkpoint of this signer's log.
    ///
    /// # Errors
    /// [`MerkleError::Foreign`] for the checkpoint of another log, else
    /// [`MerkleError::Checkpoint`].
    pub fn parse_checkpoint(
        text: &[u8],
        vault: VaultId,
        signer: SignerId,
    ) -> Result<Self, MerkleError> {
        let invalid = MerkleError::Checkpoint;
        let parsed = Checkpoint::from_bytes(text).map_err(|_| invalid("it is malformed"))?;
        let expected = format!("{ORIGIN_PREFIX}{vault}/{signer}");
        if parsed.origin() != expected {
            let found = parsed.origin().chars().take(200).collect();
            return Err(MerkleError::Foreign { expected, found });
        }
        if parsed.size() > JSON_INTEGER_MAX {
            return Err(invalid("its size is above 2^53"));
        }
        let head = Self { size: parsed.size(), root: Digest::from_bytes(parsed.hash().0) };
        // Composing is the only authority on the form: no extension, one spelling.
        if head.compose_checkpoint(vault, signer).as_bytes() != text {
            return Err(invalid("it has lines that ours have not"));
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);
    const SIGNER: SignerId = SignerId::from_bytes([2; 8]);

    /// V-121
    #[test]
    fn a_checkpoint_has_the_form_of_c2sp_and_parses_back() {
        let head = TreeHead { size: 3, root: Digest::from_bytes([7; 32]) };
        let text = head.compose_checkpoint(VAULT, SIGNER);
        let lines: Vec<&str> = text.split('\n').collect();
        let origin = format!("idswyft-vault/v1/ledger/{VAULT}/{SIGNER}");
        assert_eq!((lines[0], lines[1], lines[3]), (origin.as_str(), "3", ""));
        let parse = |text: &str| TreeHead::parse_checkpoint(text.as_bytes(), VAULT, SIGNER);
        assert_eq!(parse(&text).unwrap(), head);
        let foreign = text.replace("0202", "0303");
        assert_eq!(parse(&foreign).unwrap_err().code(), Code::ObjectForeign);
        for bad in [
            String::new(),
            text.replace("\n3\n", "\n03\n"),
            text.replace("\n3\n", "\n-3\n"),
            text.replace("\n3\n", "\n18446744073709551615\n"),
            text.replace('=', ""),
            text.trim_end().into(),
            format!("{text}extension\n"),
            format!("{text}\n"),
        ] {
            assert_eq!(parse(&bad).unwrap_err().code(), Code::FormatInvalid, "{bad:?}");
        }
    }
}

//! What the vault layer can fail with.

use std::path::PathBuf;

use thiserror::Error;

use crate::base::{Code, Coded, Digest, GenerationId, SignerId};
use crate::format::ObjectKey;

/// A failure of the vault layer.
#[derive(Debug, Error)]
pub enum Error {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The manifest failed.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::Error),
    /// A key, a seal or a signature failed.
    #[error(transparent)]
    Crypto(#[from] crate::crypto::Error),
    /// A key or a signature failed.
    #[error(transparent)]
    Signing(#[from] crate::crypto::signing::SigningError),
    /// A log does not hold together.
    #[error(transparent)]
    Merkle(#[from] crate::crypto::checkpoint::MerkleError),
    /// An object is malformed.
    #[error("read {key}")]
    Format {
        /// The object.
        key: ObjectKey,
        /// The code of the cause.
        code: Code,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object has another length than was signed.
    #[error("read {key}: it has {len} bytes, {need} were signed")]
    Len {
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// The signed length.
        need: u64,
    },
    /// An object has another SHA-256 than was signed.
    #[error("read {key}: its SHA-256 is {found}, {expected} was signed")]
    Altered {
        /// The object.
        key: ObjectKey,
        /// Of the bytes read.
        found: String,
        /// As signed.
        expected: String,
    },
    /// A pack belongs to another vault, generation or profile.
    #[error("read {key}: it belongs to {found}, expected {expected}")]
    Foreign {
        /// The object.
        key: ObjectKey,
        /// Whose it says it is.
        found: String,
        /// Whose it must be.
        expected: String,
    },
    /// An object contradicts the note that names it.
    #[error("read {key}: {reason}")]
    Mismatch {
        /// The object.
        key: ObjectKey,
        /// The contradiction.
        reason: String,
    },
    /// What was archived does not have the digest that was sealed with it.
    #[error("read {what}: its BLAKE3 is {found}, {expected} was archived")]
    Contents {
        /// The stream or file.
        what: String,
        /// Of the bytes read.
        found: Box<Digest>,
        /// As archived.
        expected: Box<Digest>,
    },
    /// A file's extents do not add up to its size.
    #[error("read {what}: its extents do not add up to its size")]
    Misfit {
        /// The file.
        what: String,
    },
    /// An extent reaches beyond its pack.
    #[error("read {key}: it ends at {len}, an extent needs {need}")]
    Extent {
        /// The object.
        key: ObjectKey,
        /// The pack's raw length in bytes.
        len: u64,
        /// Where the extent ends.
        need: u64,
    },
    /// A file of the state directory failed.
    #[error("{action} {}", path.display())]
    State {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file of the state directory does not parse.
    #[error("read {}: {reason}", path.display())]
    StateInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong; never the contents.
        reason: String,
    },
    /// Another run holds the lock.
    #[error("lock {}: another run holds it", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The vault has no state on this host.
    #[error("open vault {name}: there is no state in {}", path.display())]
    Missing {
        /// The vault's name.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// The recipients of the config are not those that the root key signed.
    #[error(
        "open a generation: the recipients given are not those of the signed vault note, \
         so the open one goes on"
    )]
    RecipientsDiffer,
    /// A store is none of the vault's.
    #[error(
        "use store {store}: vault {vault} was created without it, and it has nothing of the vault \
         yet; `replicate --to {store}` gives it everything, and adds it"
    )]
    StoreUnknown {
        /// The store's name.
        store: String,
        /// The vault's name.
        vault: String,
    },
    /// The vault has state on this host already.
    #[error("create vault {name}: its state is in {} already", path.display())]
    Exists {
        /// The vault's name.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A mirror waits for an object that no store which can be read holds, nor the spool.
    #[error(
        "put {key} into store {store}: its bytes are in no other store that can be read, and \
         there was no room for them in the spool"
    )]
    Owed {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
    },
    /// The credentials of a store are for putting only.
    #[error("read store {store}: its credentials are for putting only (`put_only`)")]
    PutOnly {
        /// The store's name.
        store: String,
    },
    /// A store holds another vault.
    #[error("use store {store}: it holds vault {found}, not {expected}")]
    StoreForeign {
        /// The store's name.
        store: String,
        /// The vault it holds.
        found: String,
        /// The vault it should hold.
        expected: String,
    },
    /// A note is not signed by whoever must have signed it.
    #[error("verify {key}: {reason}")]
    Signature {
        /// The object.
        key: ObjectKey,
        /// What is wrong.
        reason: String,
    },
    /// A signer signed what it was not delegated.
    #[error("verify {key}: {reason}")]
    NotDelegated {
        /// The object.
        key: ObjectKey,
        /// Who signed what.
        reason: String,
    },
    /// This host's signer was retired.
    #[error("sign as {signer}: vault note {number} retired this host's signer at {retired}")]
    SignerRetired {
        /// The signer.
        signer: SignerId,
        /// From when on.
        retired: jiff::Timestamp,
        /// The vault note that says so.
        number: u32,
    },
    /// Somebody else changed the vault while this run was changing it.
    #[error("put {key}: another change was made at the same time")]
    ChangedMeanwhile {
        /// The object whose name was taken.
        key: ObjectKey,
    },
    /// A ledger is not an append-only log.
    #[error("verify {key}: {reason}")]
    Ledger {
        /// The event or checkpoint.
        key: ObjectKey,
        /// What is wrong.
        reason: String,
    },
    /// No vault note signed by the root key is there.
    #[error("find the vault note in store {store}")]
    NoVaultNote {
        /// The store's name.
        store: String,
    },
    /// No generation file opens with the identities given.
    #[error("open generation {generation}: none of its {count} key files opens")]
    NoGenerationFile {
        /// The generation.
        generation: GenerationId,
        /// How many key files were tried.
        count: usize,
        /// Why the last one did not, or why a plugin failed.
        #[source]
        cause: Option<Box<Error>>,
    },
}

impl Error {
    /// Wraps what is wrong with an object's contents.
    pub fn format(key: ObjectKey, cause: impl Coded) -> Self {
        Self::Format { key, code: cause.code(), cause: Box::new(cause) }
    }

    pub(super) fn state(
        action: &'static str,
        path: impl Into<PathBuf>,
        cause: std::io::Error,
    ) -> Self {
        Self::State { action, path: path.into(), cause }
    }
}

/// Tells a full disk from any other failure of the operating system.
pub(crate) fn io_code(cause: &std::io::Error, otherwise: Code) -> Code {
    match cause.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::StoreFull,
        _ => otherwise,
    }
}

/// Tells a file that is staged in a store from one of the state directory.
fn place_code(path: &std::path::Path) -> Code {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.starts_with(crate::store::STAGING_PREFIX) {
        true => Code::StoreUnavailable,
        false => Code::StateUnavailable,
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Manifest(error) => error.code(),
            Self::Crypto(error) => error.code(),
            Self::Signing(error) => error.code(),
            Self::Merkle(error) => error.code(),
            Self::Format { code, .. } => *code,
            Self::Len { len, need, .. } if len < need => Code::ObjectTruncated,
            Self::Len { .. } | Self::Altered { .. } => Code::ObjectAltered,
            Self::Foreign { .. } => Code::ObjectForeign,
            Self::Extent { .. } | Self::Mismatch { .. } | Self::Misfit { .. } => Code::NoteMismatch,
            Self::Contents { .. } => Code::ContentsAltered,
            Self::State { cause, path, .. } => io_code(cause, place_code(path)),
            Self::StateInvalid { .. } => Code::StateUnavailable,
            Self::Locked { .. } => Code::Locked,
            Self::Missing { .. } => Code::VaultMissing,
            Self::Exists { .. } => Code::VaultExists,
            Self::RecipientsDiffer => Code::PolicyDiffers,
            Self::StoreForeign { .. } | Self::StoreUnknown { .. } => Code::StoreForeign,
            Self::Signature { .. } => Code::SignatureInvalid,
            Self::NotDelegated { .. } | Self::SignerRetired { .. } => Code::SignerNotDelegated,
            Self::Owed { .. } => Code::SpoolFull,
            Self::PutOnly { .. } => Code::StoreDenied,
            Self::ChangedMeanwhile { .. } => Code::ChangedMeanwhile,
            Self::Ledger { .. } => Code::LedgerBroken,
            Self::NoVaultNote { .. } => Code::ObjectMissing,
            Self::NoGenerationFile { cause, .. } => {
                cause.as_ref().map_or(Code::ObjectMissing, |cause| cause.code())
            }
        }
    }
}

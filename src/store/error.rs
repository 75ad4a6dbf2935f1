//! What can go wrong between the program and a store. Spec: §16.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use super::{Fault, StorageClass, ThawTier};
use crate::base::{Code, Coded, Digest};
use crate::format::ObjectKey;

/// The error beneath an error: of the operating system or of a server's client.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked to.
#[derive(Debug, Error)]
pub enum Error {
    /// The key is taken.
    #[error("put {key} into store {store}: the name is taken, and what is there was left as it is")]
    Exists {
        /// The store's name.
        store: String,
        /// The key that is taken.
        key: ObjectKey,
    },
    /// There is no such object, in a store that answers.
    #[error("find {key} in store {store}")]
    Missing {
        /// The store's name.
        store: String,
        /// The missing object.
        key: ObjectKey,
    },
    /// The object is longer than its kind may be.
    #[error("read {key} from store {store}: it has {len} bytes, at most {max} are allowed")]
    LimitExceeded {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// The greatest length that the caller reads.
        max: u64,
    },
    /// The object ends before the range that was asked for.
    #[error("read {key} from store {store}: it ends at byte {len}, bytes up to {need} are needed")]
    Truncated {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        len: u64,
        /// The length that it needs at least.
        need: u64,
    },
    /// Something else than a plain file has the object's name.
    #[error("read {key} from store {store}: a {found} is in its place")]
    NotAnObject {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// What is there, in words.
        found: &'static str,
    },
    /// The content to be put does not have the digest it should have.
    #[error(
        "put {key} into store {store}: its bytes have SHA-256 {actual}, not {expected}, \
         and were not stored"
    )]
    DigestMismatch {
        /// The store's name.
        store: String,
        /// The object that was to be put.
        key: ObjectKey,
        /// The digest that the caller gave.
        expected: Box<Digest>,
        /// The digest of the bytes.
        actual: Box<Digest>,
    },
    /// The caller's file could not be read.
    #[error("read {} to put it into store {store} as {key}", path.display())]
    ContentUnreadable {
        /// The store's name.
        store: String,
        /// The object that was to be put.
        key: ObjectKey,
        /// The caller's file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// The store has no room.
    #[error("{action} {place} in store {store}: there is no room left, what was stored is safe")]
    Full {
        /// The store's name.
        store: String,
        /// What was being done, as a verb.
        action: &'static str,
        /// Where: a path or an address.
        place: String,
        /// Why.
        source: Cause,
    },
    /// The store cannot be reached, read or written.
    #[error("{action} {place} in store {store}")]
    Unavailable {
        /// The store's name.
        store: String,
        /// What was being done, as a verb.
        action: &'static str,
        /// Where: a path or an address.
        place: String,
        /// Why.
        source: Cause,
    },
    /// The place that holds the objects is not there.
    #[error(
        "find {place}, the place of store {store}: its disk may not be mounted \
         (writing does not make the place anew, so that nothing goes to the wrong disk)"
    )]
    PlaceMissing {
        /// The store's name.
        store: String,
        /// Where: a path or an address.
        place: String,
    },
    /// The file system cannot give a file a name without overwriting another.
    #[error(
        "put {key} into store {store}: the file system of {place} has neither hard links nor a \
         rename that refuses to overwrite, so nothing was stored"
    )]
    NoExclusiveCreate {
        /// The store's name.
        store: String,
        /// The object that was to be put.
        key: ObjectKey,
        /// The directory in question.
        place: String,
        /// Why.
        source: Cause,
    },
    /// The object is in an archive class, and no thawed copy of it is there.
    #[error("read {key} from store {store}: it is archived in {class} and must be thawed first")]
    Archived {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// Its class.
        class: StorageClass,
    },
    /// The object cannot be thawed so.
    #[error("thaw {key} in store {store}: {reason}")]
    NotThawable {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// Why not, in words.
        reason: &'static str,
    },
    /// No thaw of this tier can be had now.
    #[error("thaw {key} in store {store}: it has no room for {} thaws now", tier.name())]
    TierBusy {
        /// The store's name.
        store: String,
        /// The object.
        key: ObjectKey,
        /// The tier.
        tier: ThawTier,
    },
    /// The credentials do not allow a call.
    #[error("{action} {place} in store {store}: the credentials do not allow it")]
    Denied {
        /// The store's name.
        store: String,
        /// What was being done, as a verb.
        action: &'static str,
        /// Where: an address.
        place: String,
        /// What the server said.
        source: Cause,
    },
    /// A server cannot be used as it is configured.
    #[error("{action} {place} in store {store}: {fault}")]
    Server {
        /// The store's name.
        store: String,
        /// What was being done, as a verb.
        action: &'static str,
        /// Where: an address.
        place: String,
        /// What is wrong.
        fault: Fault,
        /// What the server or its client said.
        source: Cause,
    },
    /// The URL names no store that this program knows.
    #[error("read {url:?} as the URL of store {store}: {reason}")]
    UrlInvalid {
        /// The store's name.
        store: String,
        /// The URL.
        url: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

impl Error {
    /// Tells whether the operating system says that this very file cannot be read, and will say so
    /// the next time: a bad sector, a damaged file system, a file of somebody else's.
    pub fn is_of_the_medium(&self) -> bool {
        let Self::Unavailable { source, .. } = self else { return false };
        let cause = source.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
        let lasting = [Errno::IO, Errno::UCLEAN, Errno::BADMSG, Errno::REMOTEIO, Errno::NODATA];
        cause.is_some_and(|cause| {
            lasting.contains(&cause) || matches!(cause, Errno::ACCESS | Errno::PERM)
        })
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Exists { .. } => Code::ObjectExists,
            Self::Missing { .. } => Code::ObjectMissing,
            Self::LimitExceeded { .. } => Code::LimitExceeded,
            Self::Truncated { .. } => Code::ObjectTruncated,
            Self::NotAnObject { .. } => Code::ObjectForeign,
            Self::DigestMismatch { .. } => Code::ObjectAltered,
            Self::ContentUnreadable { .. } => Code::StateUnavailable,
            Self::Full { .. } => Code::StoreFull,
            Self::Unavailable { .. }
            | Self::PlaceMissing { .. }
            | Self::NoExclusiveCreate { .. } => Code::StoreUnavailable,
            Self::Archived { .. } => Code::ObjectArchived,
            Self::NotThawable { .. } => Code::UsageInvalid,
            Self::TierBusy { .. } => Code::TierUnavailable,
            Self::Denied { .. } => Code::StoreDenied,
            Self::Server { fault, .. } => fault.code(),
            Self::UrlInvalid { .. } => Code::ConfigInvalid,
        }
    }
}

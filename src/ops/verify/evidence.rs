//! What a verification is told beyond what the store says: how objects must be kept, what the store
//! acknowledged, what the provider computed. Spec: `evidence.md`.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::{Code, Coded};
use crate::store::{LockMode, StorageClass};

/// What is known of a store from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The class of packs; none: what the store's settings say.
    pub class: Option<StorageClass>,
    /// How objects must be locked; none: as the store's settings say.
    pub lock: Option<LockMode>,
    /// Receipts of what the store took.
    pub receipts: Option<ReceiptsFrom<'a>>,
    /// Where the manifest of a job that computes digests is written to.
    pub batch_manifest: Option<&'a Path>,
    /// Reports of such jobs.
    pub provider_reports: &'a [PathBuf],
}

impl Evidence<'_> {
    /// Nothing but what the store says.
    pub const NONE: Self = Self {
        class: None,
        lock: None,
        receipts: None,
        batch_manifest: None,
        provider_reports: &[],
    };
}

/// Where receipts come from.
#[derive(Debug, Clone, Copy)]
pub enum ReceiptsFrom<'a> {
    /// A file that a host handed out.
    File(&'a Path),
    /// The manifest of the host that this is, which is asked where it may not look.
    Host(&'a Path),
}

/// Evidence that cannot be used.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// A file is not what it was given for.
    #[error("read {} as {what}: {reason}", path.display())]
    NotSo {
        /// The file.
        path: PathBuf,
        /// What it was given for.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// A job needs a bucket.
    #[error("write the manifest of a batch job for store {store}: it is in no bucket")]
    NoBucket {
        /// The store's name.
        store: String,
    },
    /// A directory cannot be locked.
    #[error("look for locks in store {store}: a directory locks nothing")]
    NoLocks {
        /// The store's name.
        store: String,
    },
}

impl EvidenceError {
    /// Makes the error of a file that cannot be read.
    pub(super) fn unread(path: &Path, what: &'static str, cause: std::io::Error) -> Self {
        Self::NotSo { path: path.to_owned(), what, reason: cause.to_string() }
    }
}

impl Coded for EvidenceError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

//! What a verification is told beyond what the store says: how objects must be kept, what the store
//! acknowledged, what the provider computed. Spec: `evidence.md`.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{provider, receipts};
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

    /// Refuses files that are not there, before anything is read.
    ///
    /// # Errors
    /// If one is not.
    pub fn check(&self) -> Result<(), EvidenceError> {
        let is_there = |(path, what): (&Path, _)| match path.metadata() {
            Ok(_) => Ok(()),
            Err(cause) => Err(EvidenceError::unread(path, what, cause)),
        };
        let receipts = self.receipts.iter().filter_map(|receipts| match receipts {
            ReceiptsFrom::File(path) => Some((*path, receipts::WHAT)),
            ReceiptsFrom::Host(_) => None,
        });
        let reports = self.provider_reports.iter().map(|path| (path.as_path(), provider::WHAT));
        receipts.chain(reports).try_for_each(is_there)
    }
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

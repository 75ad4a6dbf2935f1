//! What a signer keeps on its own side, so that its log goes on as it left it. Spec:
//! `retention.md` §3.
//!
//! - The bytes of an event are here before a store gets them: only those are signed later.
//! - Size and root of the log are here once every store has them: a log that is shorter later, or
//!   another, was rolled back.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::base::{Digest, SignerId};
use crate::crypto::checkpoint::TreeHead;
use crate::ops::Error;
use crate::ops::kit::OpenKit;
use crate::store::STAGING_PREFIX;
use crate::vault::state::StateLock;

/// Room for a head around the longest event, every byte of it escaped.
const LEN_MAX: u64 = 8 * LEDGER_EVENT_LEN_MAX;

/// Where a signer keeps what must outlive a crash.
pub trait Kept {
    /// Returns the event whose delivery may have been interrupted.
    ///
    /// # Errors
    /// If it cannot be read.
    fn pending(&self) -> Result<Option<Vec<u8>>, Error>;

    /// Returns the log as it was when every store last had all of it.
    ///
    /// # Errors
    /// If it cannot be read.
    fn head(&self) -> Result<Option<TreeHead>, Error>;

    /// Keeps an event, durably, before a store gets it.
    ///
    /// # Errors
    /// If it cannot be written.
    fn keep(&self, leaf: &[u8]) -> Result<(), Error>;

    /// Takes note that every store has the log, up to the event that was kept.
    ///
    /// # Errors
    /// If it cannot be written.
    fn settle(&self, head: &TreeHead) -> Result<(), Error>;
}

/// A file of a janitor's machine.
#[derive(Clone)]
pub struct KeptFile {
    path: PathBuf,
    /// Keeps other runs of this signer out, if they ask.
    _lock: Option<Arc<StateLock>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Fields {
    size: u64,
    root: Option<Digest>,
    pending: Option<String>,
}

impl KeptFile {
    /// Names the file of a signer in a directory; nothing is read or made.
    pub fn new(directory: &Path, signer: SignerId) -> Self {
        // No vault's directory can have this name, for it holds a dot.
        Self { path: directory.join(format!("signer-{signer}.json")), _lock: None }
    }

    /// Takes the file of a signer for one run: two at once would sign two events of one number.
    ///
    /// # Errors
    /// If another run has it.
    pub fn take(directory: &Path, signer: SignerId) -> Result<Self, Error> {
        let lock = StateLock::take_named(directory, &format!("signer-{signer}.lock"))?;
        Ok(Self { _lock: Some(Arc::new(lock)), ..Self::new(directory, signer) })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Fields, Error> {
        let wrap = |cause| Error::file("read", &self.path, cause);
        let mut text = String::new();
        match File::open(&self.path) {
            Ok(file) => file.take(LEN_MAX).read_to_string(&mut text).map_err(wrap)?,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Fields::default()),
            Err(cause) => return Err(wrap(cause)),
        };
        serde_json::from_str(&text).map_err(|cause| wrap(std::io::Error::other(cause)))
    }

    fn write(&self, fields: &Fields) -> Result<(), Error> {
        let wrap = |cause| Error::file("write", &self.path, cause);
        let text = serde_json::to_vec(fields).map_err(|cause| wrap(cause.into()))?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let staged = directory.join(format!("{STAGING_PREFIX}{name}"));
        let write = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let mut options = File::options();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&staged)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&staged, &self.path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(wrap)
    }
}

impl Kept for KeptFile {
    fn pending(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.read()?.pending.map(String::into_bytes))
    }

    fn head(&self) -> Result<Option<TreeHead>, Error> {
        let fields = self.read()?;
        Ok(fields.root.map(|root| TreeHead { size: fields.size, root }))
    }

    fn keep(&self, leaf: &[u8]) -> Result<(), Error> {
        // An event is JSON.
        let pending = Some(String::from_utf8_lossy(leaf).into_owned());
        self.write(&Fields { pending, ..self.read()? })
    }

    fn settle(&self, head: &TreeHead) -> Result<(), Error> {
        self.write(&Fields { size: head.size, root: Some(head.root), pending: None })
    }
}

/// The recovery kit, for the operator's own signer: it is with whoever signs next, on any machine.
impl Kept for OpenKit {
    fn pending(&self) -> Result<Option<Vec<u8>>, Error> {
        Self::pending(self)
    }

    fn head(&self) -> Result<Option<TreeHead>, Error> {
        Self::head(self)
    }

    fn keep(&self, leaf: &[u8]) -> Result<(), Error> {
        self.keep_pending(leaf)
    }

    fn settle(&self, head: &TreeHead) -> Result<(), Error> {
        self.keep_head(head)?;
        self.forget_pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    #[test]
    fn a_second_run_of_a_signer_waits_for_nobody_and_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let take = |number| KeptFile::take(scratch.path(), SignerId::from_bytes([number; 8]));
        let first = take(7).unwrap();
        assert_eq!(take(7).map(drop).unwrap_err().code(), Code::Locked);
        assert!(take(8).is_ok(), "another signer has a file of its own");
        drop(first);
        assert!(take(7).is_ok());
    }

    #[test]
    fn what_is_kept_outlives_its_reader_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let signer = SignerId::from_bytes([7; 8]);
        let kept = || KeptFile::new(&scratch.path().join("state"), signer);
        assert!(kept().pending().unwrap().is_none() && kept().head().unwrap().is_none());
        kept().keep(b"{\"v\":1}\n").unwrap();
        assert_eq!(kept().pending().unwrap().unwrap(), b"{\"v\":1}\n");
        let head = TreeHead { size: 3, root: Digest::from_bytes([9; 32]) };
        kept().settle(&head).unwrap();
        assert_eq!((kept().pending().unwrap(), kept().head().unwrap()), (None, Some(head)));
        kept().keep(b"next\n").unwrap();
        assert_eq!(kept().head().unwrap(), Some(head));
        let mode = fs::metadata(kept().path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(kept().path(), "{").unwrap();
        assert!(kept().pending().is_err() && kept().keep(b"x").is_err());
    }
}

//! Sealing into a file: the plaintext passes once and is never whole in memory. Spec: §4.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Error;
use crate::base::limits::SEALED_PIECE_LEN;
use crate::base::{Digest, Entropy};
use crate::crypto::seal::{self, Ending, PayloadKey, SealingRecipient};

/// Bytes that are sealed at once: enough pieces to keep all cores busy.
const BATCH_LEN: usize = 16 * SEALED_PIECE_LEN;

/// A sealed object under construction. Dropped unfinished, it removes its file.
pub struct SealedFile {
    file: File,
    path: Option<PathBuf>,
    hasher: Sha256,
    key: PayloadKey,
    pending: Vec<u8>,
    piece_index: u64,
    stored_len: u64,
}

/// A finished sealed object in a file that nobody writes to any more.
#[derive(Debug)]
pub struct FinishedFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    pub stored_len: u64,
}

impl SealedFile {
    /// Starts an object in a new file, readable by its owner only.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn create(
        path: PathBuf,
        recipient: &SealingRecipient,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|cause| Error::state("create", &path, cause))?;
        let (header, key) = seal::begin(recipient, entropy)?;
        let mut sealed = Self {
            file,
            path: Some(path),
            hasher: Sha256::new(),
            key,
            pending: Vec::with_capacity(BATCH_LEN + SEALED_PIECE_LEN),
            piece_index: 0,
            stored_len: 0,
        };
        sealed.put(&header)?;
        Ok(sealed)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.stored_len += bytes.len() as u64;
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        self.file.write_all(bytes).map_err(|cause| Error::state("write", path, cause))
    }

    /// Appends plaintext.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, mut plain: &[u8]) -> Result<(), Error> {
        while !plain.is_empty() {
            // The last piece is flagged, so a full batch waits until something follows it.
            if self.pending.len() == BATCH_LEN {
                let sealed = self.key.seal_pieces(self.piece_index, Ending::More, &self.pending);
                self.put(&sealed)?;
                self.piece_index += (BATCH_LEN / SEALED_PIECE_LEN) as u64;
                self.pending.clear();
            }
            let (head, rest) = plain.split_at(plain.len().min(BATCH_LEN - self.pending.len()));
            self.pending.extend_from_slice(head);
            plain = rest;
        }
        Ok(())
    }

    /// Returns the plaintext length so far.
    pub fn plain_len(&self) -> u64 {
        self.piece_index * SEALED_PIECE_LEN as u64 + self.pending.len() as u64
    }

    /// Seals what is left and closes the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<FinishedFile, Error> {
        let sealed = self.key.seal_pieces(self.piece_index, Ending::Last, &self.pending);
        self.put(&sealed)?;
        let sha256 = Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into());
        let path = self.path.take().expect("only finish and drop take the path");
        Ok(FinishedFile { path, sha256, stored_len: self.stored_len })
    }
}

impl Write for SealedFile {
    fn write(&mut self, plain: &[u8]) -> std::io::Result<usize> {
        Self::write(self, plain).map_err(|error| std::io::Error::new(kind_of(&error), error))?;
        Ok(plain.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what the operating system said, so that a full disk stays one behind `Write` as well.
fn kind_of(error: &Error) -> ErrorKind {
    match error {
        Error::State { cause, .. } => cause.kind(),
        _ => ErrorKind::Other,
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed now is a leftover that the next run removes.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;
    use crate::crypto::identity::GenerationIdentity;

    #[test]
    fn a_file_sealed_in_steps_opens_whole_and_has_the_recorded_digest() {
        let dir = tempfile::tempdir().unwrap();
        let identity = GenerationIdentity::generate(&SystemEntropy);
        for (index, len) in
            [0, 1, BATCH_LEN - 1, BATCH_LEN, BATCH_LEN + 1, 3 * BATCH_LEN].into_iter().enumerate()
        {
            let plain: Vec<u8> = (0..len).map(|i| (i % 251).to_le_bytes()[0]).collect();
            let path = dir.path().join(index.to_string());
            let mut sealed =
                SealedFile::create(path, &identity.recipient(), &SystemEntropy).unwrap();
            plain.chunks(77_777).for_each(|part| sealed.write(part).unwrap());
            let finished = sealed.finish().unwrap();
            let bytes = std::fs::read(&finished.path).unwrap();
            assert_eq!(bytes.len() as u64, seal::sealed_len(len as u64));
            assert_eq!(finished.stored_len, bytes.len() as u64);
            assert_eq!(finished.sha256, crate::crypto::digest::sha256(&bytes));
            assert_eq!(*seal::open("x", &bytes, &identity).unwrap(), plain);
        }
    }

    #[test]
    fn an_unfinished_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let recipient = GenerationIdentity::generate(&SystemEntropy).recipient();
        drop(SealedFile::create(path.clone(), &recipient, &SystemEntropy).unwrap());
        assert!(!path.exists());
    }
}

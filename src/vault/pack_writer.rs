//! Building a pack: blocks in, a sealed file named by its digest out. Spec: §4.

use std::path::PathBuf;

use super::Error;
use super::sealed_file::{FinishedFile, SealedFile};
use crate::base::{ChunkId, Entropy, PackId};
use crate::crypto::seal::SealingRecipient;
use crate::format::pack::{BlockEntry, ChunkEntry, DirectoryBuilder, PackOwner};
use crate::format::segment::SegmentPack;

/// A pack under construction.
pub struct PackWriter {
    sealed: SealedFile,
    directory: DirectoryBuilder,
    owner: PackOwner,
}

/// A pack whose name is known: only [`PackWriter::finish`] makes one.
pub struct FinishedPack {
    file: FinishedFile,
    entry: SegmentPack,
}

impl PackWriter {
    /// Starts a pack in a new file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(
        path: PathBuf,
        owner: PackOwner,
        recipient: &SealingRecipient,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let sealed = SealedFile::create(path, recipient, entropy)?;
        Ok(Self { sealed, directory: DirectoryBuilder::new(owner), owner })
    }

    /// Appends a block's frame; `chunks` are its content in order.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, frame: &[u8], chunks: &[ChunkEntry]) -> Result<(), Error> {
        let frame_len = u32::try_from(frame.len()).expect("a block's frame is a few MiB");
        let raw_len = chunks.iter().map(|chunk| chunk.raw_len).sum();
        self.directory.push(BlockEntry { frame_len, raw_len }, chunks);
        self.sealed.write(frame)
    }

    /// Returns the plaintext length so far, without padding.
    pub fn content_len(&self) -> u64 {
        self.directory.content_len()
    }

    /// Returns how many chunks the pack holds so far.
    pub fn chunk_count(&self) -> usize {
        self.directory.chunks().len()
    }

    /// Writes padding and directory and closes the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<FinishedPack, Error> {
        self.sealed.write(&self.directory.finish())?;
        let file = self.sealed.finish()?;
        let entry = SegmentPack {
            id: PackId::from_bytes(*file.sha256.as_bytes()),
            profile: self.owner.profile,
            stored_len: file.stored_len,
            raw_len: self.directory.raw_len(),
            chunks: self.directory.chunks().to_vec(),
        };
        Ok(FinishedPack { file, entry })
    }
}

impl FinishedPack {
    /// Returns the pack's file.
    pub const fn file(&self) -> &FinishedFile {
        &self.file
    }

    /// Returns what a segment says of the pack.
    pub const fn entry(&self) -> &SegmentPack {
        &self.entry
    }

    /// Returns the pack's chunks in order: id and length.
    pub fn chunks(&self) -> Vec<(ChunkId, u32)> {
        self.entry.chunks.iter().map(|chunk| (chunk.id, chunk.raw_len)).collect()
    }
}

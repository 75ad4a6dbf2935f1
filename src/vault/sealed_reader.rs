//! Reading the plaintext of a sealed object in order, with bounded memory. Spec: §4.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::{Deref, Range};

use super::Error;
use crate::base::limits::{SEALED_HEADER_LEN, SEALED_PIECE_LEN, SEALED_TAG_LEN};
use crate::crypto::identity::GenerationIdentity;
use crate::crypto::seal::{self, Ending, PayloadKey};
use crate::format::{FormatError, ObjectKey};
use crate::store::Store;

/// Plaintext opened at a time: enough pieces to keep all cores busy.
const BATCH_LEN: u64 = 16 * SEALED_PIECE_LEN as u64;

/// A sealed object being read; nothing leaves it whose tag did not verify.
pub struct SealedReader<'a> {
    store: &'a dyn Store,
    key: ObjectKey,
    payload: PayloadKey,
    plain_len: u64,
    opened_len: u64,
    batch: io::Cursor<Run>,
}

impl<'a> SealedReader<'a> {
    /// Opens the header of a sealed object of `stored_len` bytes.
    ///
    /// # Errors
    /// If it is missing, not authentic, or no sealed object has that length.
    pub fn open(
        store: &'a dyn Store,
        key: ObjectKey,
        stored_len: u64,
        identity: &GenerationIdentity,
    ) -> Result<Self, Error> {
        let plain_len = seal::plain_len(stored_len).ok_or_else(|| {
            let detail = format!("no sealed object has {stored_len} bytes");
            Error::format(key, FormatError::invalid("sealed object", detail))
        })?;
        let header = store.get_range(&key, 0, SEALED_HEADER_LEN)?;
        let payload = seal::open_header(&key.to_string(), &header, identity)?;
        let batch = io::Cursor::new(Run::default());
        Ok(Self { store, key, payload, plain_len, opened_len: 0, batch })
    }

    fn refill(&mut self) -> Result<(), Error> {
        let end = self.plain_len.min(self.opened_len + BATCH_LEN);
        let range = self.opened_len..end;
        let get = |offset, len| Ok(self.store.get_range(&self.key, offset, len)?.into());
        let mut batch = std::mem::take(self.batch.get_mut());
        read_plain(get, &self.key, &self.payload, self.plain_len, range, &mut batch)?;
        self.opened_len = end;
        self.batch = io::Cursor::new(batch);
        Ok(())
    }
}

impl Read for SealedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.batch.read(buffer)?;
        if len > 0 || buffer.is_empty() || self.opened_len == self.plain_len {
            return Ok(len);
        }
        self.refill().map_err(io::Error::other)?;
        self.batch.read(buffer)
    }
}

/// A range of the plaintext, in the pieces that hold it.
#[derive(Clone, Default)]
pub(super) struct Run {
    pieces: Vec<u8>,
    range: Range<usize>,
}

impl Run {
    /// Takes bytes that are in memory.
    pub fn set(&mut self, bytes: &[u8]) {
        self.pieces.clear();
        self.pieces.extend_from_slice(bytes);
        self.range = 0..bytes.len();
    }
}

impl Deref for Run {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.pieces[self.range.clone()]
    }
}

impl AsRef<[u8]> for Run {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Reads and opens the pieces that hold a range of the plaintext, in the place of what `into` held.
pub(super) fn read_plain<'a>(
    get: impl FnOnce(u64, usize) -> Result<Cow<'a, [u8]>, Error>,
    key: &ObjectKey,
    payload: &PayloadKey,
    plain_len: u64,
    range: Range<u64>,
    into: &mut Run,
) -> Result<(), Error> {
    let piece = SEALED_PIECE_LEN as u64;
    let sealed_piece = piece + SEALED_TAG_LEN as u64;
    let first = range.start / piece;
    let end = range.end.div_ceil(piece).max(first + 1);
    let last = end * piece >= plain_len;
    let ending = if last { Ending::Last } else { Ending::More };
    let plain_end = (end * piece).min(plain_len);
    let sealed_len = plain_end - first * piece + (end - first) * SEALED_TAG_LEN as u64;
    let in_memory = "a run of pieces fits the memory it is read to";
    let sealed = get(
        SEALED_HEADER_LEN as u64 + first * sealed_piece,
        usize::try_from(sealed_len).expect(in_memory),
    )?;
    payload.open_pieces(&key.to_string(), first, ending, &sealed, &mut into.pieces)?;
    let at = |offset: u64| usize::try_from(offset - first * piece).expect(in_memory);
    into.range = at(range.start)..at(range.end);
    Ok(())
}

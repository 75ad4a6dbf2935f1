//! One pack, read once: its name, its chunks, and the files that lie in it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Reading;
use crate::base::{Code, Digest, GenerationId, PackId, Profile};
use crate::crypto::digest::sha256;
use crate::crypto::keys::ChunkIdKey;
use crate::format::ObjectKey;
use crate::format::snapshot_note::SignedObject;
use crate::manifest::{Cause, Mark, PlannedFile};
use crate::ops::Error;
use crate::ops::verify::{Level, NOT_THERE, stored};
use crate::store;
use crate::vault;
use crate::vault::delivery::hash_stored;
use crate::vault::pack_reader::{OpenPack, Source};

/// Blocks of a pack that are in memory at once, decompressed.
const BLOCKS_AT_ONCE: usize = 8;

/// Files of a pack whose bytes are hashed at once; a pack that holds more is gone through again.
const FILES_AT_ONCE: u32 = 2048;

/// Stored bytes of a pack up to which it is read to memory in one piece; others in parts, twice.
const WHOLE_LEN_MAX: u64 = 40 * 1024 * 1024;

/// Checks a pack or tree object, and with a pack the files that lie in it.
pub fn check(reading: &Reading<'_>, key: &ObjectKey, signed: &SignedObject) -> Result<(), Error> {
    let Some(id) = key.pack() else { return Ok(()) };
    let place = reading.plan().place_of(id).map_err(vault::Error::from)?;
    let known = place.and_then(|place| {
        let profile = Profile::from_code(place.profile).ok()?;
        Some((reading.generation(place.generation)?, profile))
    });
    let Some((generation, profile)) = known else {
        // No body that opened names it: its name is all that can be checked.
        let auditor = reading.unlocked.auditor();
        return stored::check_object(auditor, reading.scope, key, signed, reading.collector);
    };
    let Err(error) = read(reading, *key, id, signed, (generation, profile)) else {
        // Whoever says that they end beyond it.
        return Ok(reading.plan().put_off(id).map_err(vault::Error::from)?);
    };
    let plan = reading.plan();
    plan.blame(id).and_then(|()| plan.put_off(id)).map_err(vault::Error::from)?;
    drop(plan);
    match error {
        // The words of the finding by its size, so that it is one; a store may say two things.
        vault::Error::Store(store::Error::Missing { .. }) => {
            reading.collector.add(Code::ObjectMissing, key, NOT_THERE);
            Ok(())
        }
        error => reading.collector.add_error(key, error),
    }
}

fn read(
    reading: &Reading<'_>,
    key: ObjectKey,
    id: PackId,
    signed: &SignedObject,
    (generation, profile): (GenerationId, Profile),
) -> Result<(), vault::Error> {
    let (unlocked, collector) = (reading.unlocked, reading.collector);
    let (view, _) = unlocked.auditor().versions().of_pack(key, id)?;
    let (source, len) = if signed.len <= WHOLE_LEN_MAX {
        let bytes = match view.get(&key, signed.len) {
            Err(store::Error::LimitExceeded { len, .. }) => {
                return Err(vault::Error::Len { key, len, need: signed.len });
            }
            other => other?,
        };
        check_name(key, signed, bytes.len() as u64, sha256(&bytes))?;
        let len = bytes.len() as u64;
        (Source::Whole(bytes), len)
    } else {
        let (found, len) = hash_stored(view.as_ref(), &key)?;
        check_name(key, signed, len, found)?;
        (Source::Shared(view), len)
    };
    // What another part counts is not counted here.
    let is_own = reading.scope.is_chosen(&key)?;
    if is_own {
        collector.saw(0, len);
        reading.scope.prove(&key, Level::Bytes)?;
    }
    let secrets = unlocked.generation(generation)?;
    let ids = secrets.dedup_secret.as_ref().map(|secret| secret.chunk_id_key(profile));
    if ids.is_none() {
        let gap = format!(
            "whether chunks of generation {generation} have their ids: the identity given opens \
             it, and cannot recompute them"
        );
        collector.leave_out(gap);
    }
    let pack = unlocked.pack_in(source, len, generation, profile, id)?;
    check_content(reading, &pack, (key, id), ids.as_ref())?;
    if ids.is_some() && is_own { reading.scope.prove(&key, Level::Contents) } else { Ok(()) }
}

fn check_name(
    key: ObjectKey,
    signed: &SignedObject,
    len: u64,
    found: Digest,
) -> Result<(), vault::Error> {
    if len != signed.len {
        return Err(vault::Error::Len { key, len, need: signed.len });
    }
    if found != signed.sha256 {
        let (found, expected) = (found.to_string(), signed.sha256.to_string());
        return Err(vault::Error::Altered { key, found, expected });
    }
    Ok(())
}

/// Checks the chunks of a pack, and as they pass the files that lie in it, some at a time: those
/// that are beyond the first wait until what holds them is read again.
fn check_content(
    reading: &Reading<'_>,
    pack: &OpenPack<'_>,
    (key, id): (ObjectKey, PackId),
    ids: Option<&ChunkIdKey>,
) -> Result<(), vault::Error> {
    let some_after = |after| reading.plan().of_pack(id, after, FILES_AT_ONCE);
    let mut files = some_after(Mark::default())?;
    let mut hashes = FileHashes::new(&files);
    check_chunks(pack, &key, ids, &mut hashes)?;
    loop {
        reading.plan().settle(&hashes.found)?;
        let Some(after) = files.last().map(PlannedFile::mark) else { return Ok(()) };
        files = some_after(after)?;
        hashes = FileHashes::new(&files);
        check_files(pack, &mut hashes)?;
    }
}

/// Checks files in blocks that were read before.
fn check_files(pack: &OpenPack<'_>, hashes: &mut FileHashes<'_>) -> Result<(), vault::Error> {
    let count = pack.blocks().len();
    for first in (0..count).step_by(BLOCKS_AT_ONCE) {
        let end = count.min(first + BLOCKS_AT_ONCE);
        let mut offset = pack.blocks().raw_range(first).start;
        if !hashes.needs(pack.blocks().raw_range(end - 1).end) {
            continue;
        }
        for block in pack.read_blocks(first..end)? {
            hashes.feed(offset, &block);
            offset += block.len() as u64;
        }
    }
    Ok(())
}

fn check_chunks(
    pack: &OpenPack<'_>,
    key: &ObjectKey,
    ids: Option<&ChunkIdKey>,
    hashes: &mut FileHashes<'_>,
) -> Result<(), vault::Error> {
    let mut chunks = pack.chunks()?.into_iter();
    let (count, mut offset) = (pack.blocks().len(), 0);
    for first in (0..count).step_by(BLOCKS_AT_ONCE) {
        for block in pack.read_blocks(first..count.min(first + BLOCKS_AT_ONCE))? {
            hashes.feed(offset, &block);
            offset += block.len() as u64;
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let chunk = chunks.next().filter(|chunk| chunk.raw_len as usize <= rest.len());
                let Some(chunk) = chunk else {
                    let reason = "its chunks do not fill its blocks".to_owned();
                    return Err(vault::Error::Mismatch { key: *key, reason });
                };
                let (bytes, tail) = rest.split_at(chunk.raw_len as usize);
                if let Some(found) = ids.map(|ids| ids.id(bytes)).filter(|id| *id != chunk.id) {
                    let digest = |id: crate::base::ChunkId| Digest::from_bytes(*id.as_bytes());
                    return Err(vault::Error::Contents {
                        what: format!("a chunk of {key}"),
                        found: Box::new(digest(found)),
                        expected: Box::new(digest(chunk.id)),
                    });
                }
                rest = tail;
            }
        }
    }
    Ok(())
}

/// A run of a file's bytes in the pack.
struct Piece {
    start: u64,
    end: u64,
    file: usize,
    is_last: bool,
}

/// Hashes the files of a pack as it passes.
struct FileHashes<'a> {
    files: &'a [PlannedFile],
    /// What is still to come, the first one last.
    ahead: Vec<Piece>,
    /// What has begun, in the order in which it did.
    open: Vec<Piece>,
    hashers: BTreeMap<usize, Box<blake3::Hasher>>,
    found: Vec<(i64, Result<(), Cause>)>,
}

impl<'a> FileHashes<'a> {
    fn new(files: &'a [PlannedFile]) -> Self {
        let mut ahead = Vec::new();
        for (file, planned) in files.iter().enumerate() {
            let count = planned.extents.len();
            for (at, extent) in (1..).zip(&planned.extents) {
                let end = extent.offset + extent.len;
                ahead.push(Piece { start: extent.offset, end, file, is_last: at == count });
            }
        }
        // By file where they begin at the same place: an empty piece is before what follows it.
        ahead.sort_by_key(|piece| Reverse((piece.start, piece.file)));
        Self { files, ahead, open: Vec::new(), hashers: BTreeMap::new(), found: Vec::new() }
    }

    /// Tells whether any file needs the bytes up to an offset that it did not take before.
    fn needs(&self, end: u64) -> bool {
        !self.open.is_empty() || self.ahead.last().is_some_and(|piece| piece.start < end)
    }

    /// Takes the bytes at an offset of the pack; none that a file needs was left out before.
    fn feed(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        while let Some(piece) = self.ahead.pop_if(|piece| piece.start < end) {
            self.open.push(piece);
        }
        let at = |place: u64| usize::try_from(place - offset).expect("blocks are bounded");
        for piece in &self.open {
            let (from, to) = (piece.start.max(offset), piece.end.min(end));
            let hasher = self.hashers.entry(piece.file).or_default();
            if from < to {
                hasher.update(&bytes[at(from)..at(to)]);
            }
            if piece.is_last && piece.end <= end {
                let (file, found) = (&self.files[piece.file], hasher.finalize());
                self.hashers.remove(&piece.file);
                self.found.push((file.number, super::files::judge(&file.b3, found)));
            }
        }
        self.open.retain(|piece| piece.end > end);
    }
}

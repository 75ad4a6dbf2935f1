//! One pack, read once: its name, its chunks, and what files have in it.

use std::cmp::Reverse;

use super::Reading;
use crate::base::{Code, Digest, GenerationId, PackId, Profile};
use crate::crypto::digest::sha256;
use crate::crypto::keys::ChunkIdKey;
use crate::crypto::parts_hasher::PartsHasher;
use crate::format::ObjectKey;
use crate::format::snapshot_note::SignedObject;
use crate::manifest::{Mark, PlannedFile};
use crate::ops::Error;
use crate::ops::readers::cores_each;
use crate::ops::verify::{Level, NOT_THERE, stored};
use crate::store;
use crate::vault;
use crate::vault::delivery::hash_stored;
use crate::vault::pack_reader::{OpenPack, Room, Source};

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
    let found = read(reading, *key, id, signed, (generation, profile));
    reading.plan().judge(id, found.is_err()).map_err(vault::Error::from)?;
    let Err(error) = found else { return Ok(()) };
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
    let number = reading.number_of(generation);
    let files = (profile == Profile::File).then_some((id, number));
    check_content(reading, &pack, &key, files, ids.as_ref())?;
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

/// Checks the chunks of a pack, and as they pass what files have in it, some files at a time: for
/// those that are beyond the first ones the blocks are read again.
fn check_content(
    reading: &Reading<'_>,
    pack: &OpenPack<'_>,
    key: &ObjectKey,
    of_files: Option<(PackId, u32)>,
    ids: Option<&ChunkIdKey>,
) -> Result<(), vault::Error> {
    let some_after = |after| match of_files {
        Some((id, generation)) => reading.plan().of_pack(id, generation, after, FILES_AT_ONCE),
        None => Ok(Vec::new()),
    };
    let mut files = some_after(Mark::default())?;
    let mut hashes = FileHashes::new(&files, key);
    check_chunks(pack, key, ids, &mut hashes)?;
    loop {
        reading.settle(&files, hashes.hashers)?;
        let Some(after) = files.last().map(PlannedFile::mark) else { return Ok(()) };
        files = some_after(after)?;
        hashes = FileHashes::new(&files, key);
        check_files(pack, &mut hashes)?;
    }
}

/// Checks files in blocks that were read before.
fn check_files(pack: &OpenPack<'_>, hashes: &mut FileHashes) -> Result<(), vault::Error> {
    let (count, at_once, mut room) = (pack.blocks().len(), cores_each(), Room::default());
    for first in (0..count).step_by(at_once) {
        let end = count.min(first + at_once);
        let mut offset = pack.blocks().raw_range(first).start;
        if !hashes.needs(pack.blocks().raw_range(end - 1).end) {
            continue;
        }
        for block in pack.read_blocks_to(first..end, &mut room)? {
            hashes.feed(offset, block);
            offset += block.len() as u64;
        }
    }
    Ok(())
}

fn check_chunks(
    pack: &OpenPack<'_>,
    key: &ObjectKey,
    ids: Option<&ChunkIdKey>,
    hashes: &mut FileHashes,
) -> Result<(), vault::Error> {
    let mut chunks = pack.chunks()?.into_iter();
    let (count, at_once, mut room) = (pack.blocks().len(), cores_each(), Room::default());
    let mut offset = 0;
    for first in (0..count).step_by(at_once) {
        let end = count.min(first + at_once);
        for block in pack.read_blocks_to(first..end, &mut room)? {
            hashes.feed(offset, block);
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
    /// Where in the file they belong.
    at: u64,
}

/// Hashes what files have in a pack, as it passes.
struct FileHashes {
    /// What is still to come, the first one last.
    ahead: Vec<Piece>,
    /// What has begun.
    open: Vec<Piece>,
    /// One for each file.
    hashers: Vec<PartsHasher>,
}

impl FileHashes {
    fn new(files: &[PlannedFile], key: &ObjectKey) -> Self {
        let (mut ahead, mut hashers) = (Vec::new(), Vec::with_capacity(files.len()));
        for (file, planned) in files.iter().enumerate() {
            let mut at = 0;
            for extent in &planned.extents {
                if key.pack() == Some(extent.pack) {
                    let end = extent.offset + extent.len;
                    ahead.push(Piece { start: extent.offset, end, file, at });
                }
                at += extent.len;
            }
            hashers.push(PartsHasher::new(at));
        }
        ahead.sort_by_key(|piece| Reverse(piece.start));
        Self { ahead, open: Vec::new(), hashers }
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
        let within = |place: u64| usize::try_from(place - offset).expect("blocks are bounded");
        for piece in &self.open {
            let (from, to) = (piece.start.max(offset), piece.end.min(end));
            let at = piece.at + (from - piece.start);
            self.hashers[piece.file].update(at, &bytes[within(from)..within(to)]);
        }
        self.open.retain(|piece| piece.end > end);
    }
}

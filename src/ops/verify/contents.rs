//! Level `contents`: everything opens, every chunk has its id, every stream and file its digest.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Places;
use super::{Collector, Level, Scope};
use crate::base::{Code, Coded, Digest, GenerationId, PackId, Profile};
use crate::crypto::keys::ChunkIdKey;
use crate::format::body::{Body, DatabaseStream};
use crate::format::recipe::Piece;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::tree::Lines;
use crate::format::{Kind, ObjectKey, TreeEntry};
use crate::ops::Error;
use crate::ops::misread::Misread;
use crate::ops::readers::read_each;
use crate::vault::pack_reader::OpenPack;
use crate::vault::stream::{PieceReader, read_stream};
use crate::vault::writer::pack_key;
use crate::vault::{self, Unlocked};

/// Blocks of a pack that are in memory at once.
const BLOCKS_AT_ONCE: usize = 8;

/// Stored bytes of bodies that are kept; what is beyond is read a second time.
const BODIES_LEN: u64 = 16 * 1024 * 1024;

/// Checks everything that opens with the generations' keys.
pub fn check(unlocked: &Unlocked, scope: &Scope, collector: &Collector<'_>) -> Result<(), Error> {
    let mut packs: BTreeMap<PackId, (GenerationId, Profile)> = BTreeMap::new();
    let (mut opening, mut kept_len) = (Vec::new(), 0);
    for note in scope.notes.values() {
        match unlocked.body(note) {
            Ok(body) => {
                check_list(unlocked, scope, note, &body, &mut packs, collector)?;
                kept_len += note.body.len;
                opening.push((note, (kept_len <= BODIES_LEN).then_some(body)));
            }
            Err(error) => collector.add_error(ObjectKey::Body(note.snapshot), error)?,
        }
    }
    let mut chosen = Vec::new();
    for (id, (generation, profile)) in packs {
        if scope.is_chosen(&pack_key(profile, id))? {
            chosen.push((id, generation, profile));
        }
    }
    read_each(&chosen, |(id, generation, profile)| {
        check_pack(unlocked, scope, *id, *generation, *profile, collector)
    })?;
    let mut proven = BTreeSet::new();
    for (note, kept) in opening {
        match kept.map_or_else(|| unlocked.body(note), Ok) {
            Ok(body) => check_streams(unlocked, scope, &body, &mut proven, collector)?,
            Err(error) => collector.add_error(ObjectKey::Body(note.snapshot), error)?,
        }
    }
    Ok(())
}

/// Checks that the packs of a body are those of the signed list.
fn check_list(
    unlocked: &Unlocked,
    scope: &Scope,
    note: &SnapshotNote,
    body: &Body,
    packs: &mut BTreeMap<PackId, (GenerationId, Profile)>,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let list = match scope.lists.get(&note.snapshot) {
        Some(list) => Ok(list.clone()),
        None => unlocked.auditor().list(note),
    };
    let list = match list {
        Ok(list) => list,
        Err(error) => return collector.add_error(ObjectKey::List(note.snapshot), error),
    };
    let listed: BTreeSet<PackId> = list.iter().filter_map(|entry| entry.key.pack()).collect();
    let named: BTreeSet<PackId> = body.packs.iter().copied().collect();
    if listed != named {
        let detail = "its packs are not those of the signed list";
        collector.add(Code::NoteMismatch, ObjectKey::Body(note.snapshot), detail);
    }
    let dumps: BTreeSet<PackId> = body
        .database
        .iter()
        .flat_map(|database| database.stream.recipe.pieces())
        .map(|piece| body.packs[piece.pack as usize])
        .collect();
    for entry in list {
        let profile = match entry.key {
            ObjectKey::Tree(_) => Profile::Meta,
            ObjectKey::Pack(id) if dumps.contains(&id) => Profile::Stream,
            _ => Profile::File,
        };
        if let Some(id) = entry.key.pack() {
            packs.insert(id, (note.generation, profile));
        }
    }
    Ok(())
}

fn check_pack(
    unlocked: &Unlocked,
    scope: &Scope,
    id: PackId,
    generation: GenerationId,
    profile: Profile,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let key = pack_key(profile, id);
    let check = || -> Result<(), vault::Error> {
        let secrets = unlocked.generation(generation)?;
        let ids = secrets.dedup_secret.as_ref().map(|secret| secret.chunk_id_key(profile));
        if ids.is_none() {
            let gap = format!(
                "whether chunks of generation {generation} have their ids: the identity given \
                 opens it, and cannot recompute them"
            );
            collector.leave_out(gap);
        }
        let pack = unlocked.pack(generation, profile, id)?;
        check_chunks(&pack, &key, ids.as_ref(), collector)?;
        if ids.is_some() { scope.prove(&key, Level::Contents) } else { Ok(()) }
    };
    match check() {
        Ok(()) => Ok(()),
        Err(error) => collector.add_error(key, error),
    }
}

fn check_chunks(
    pack: &OpenPack<'_>,
    key: &ObjectKey,
    ids: Option<&ChunkIdKey>,
    collector: &Collector<'_>,
) -> Result<(), vault::Error> {
    let mut chunks = pack.chunks()?.into_iter();
    let count = pack.blocks().len();
    for first in (0..count).step_by(BLOCKS_AT_ONCE) {
        for block in pack.read_blocks(first..count.min(first + BLOCKS_AT_ONCE))? {
            collector.saw(0, block.len() as u64);
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

/// Rebuilds every stream and file of a snapshot and compares its digest.
fn check_streams(
    unlocked: &Unlocked,
    scope: &Scope,
    body: &Body,
    proven: &mut BTreeSet<Vec<u8>>,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let key = ObjectKey::Body(body.snapshot);
    let compared = |database: &&DatabaseStream| {
        let pieces = database.stream.recipe.pieces().iter();
        let is_compared = scope.is_compared(pieces.map(|piece| body.packs[piece.pack as usize]))?;
        collector.count_dump(is_compared);
        Ok::<_, Error>(is_compared)
    };
    if let Some(database) = &body.database
        && compared(&database)?
    {
        let mut reader = PieceReader::new(unlocked, body.generation, Profile::Stream, &body.packs);
        let read = read_stream::<vault::Error>(&mut reader, &database.stream, "db.sql", |_| Ok(()));
        if let Err(error) = read {
            collector.add_error(format!("{key} (db.sql)"), error)?;
        }
    }
    let Some(uploads) = &body.uploads else { return Ok(()) };
    let mut files = Files::new(unlocked, scope, body);
    let mut reader = PieceReader::new(unlocked, body.generation, Profile::Meta, &body.packs);
    let mut lines = Lines::new();
    let read = read_stream::<Error>(&mut reader, &uploads.tree, "the tree", |bytes| {
        lines.push(bytes, |line| files.check(line, proven, collector))
    });
    let object = format!("{key} (tree)");
    if read.is_ok() && files.places.is_empty() && files.misread.is_none() {
        collector.add(Code::FormatInvalid, &object, "it has no line, not even that of its root");
    }
    if let Some(misread) = &files.misread {
        collector.add(misread.code(), &object, misread);
    }
    match read.and_then(|()| Ok(lines.finish()?)) {
        Err(Error::Vault(error)) => collector.add_error(object, error),
        Err(Error::Tree(error)) => {
            collector.add(error.code(), object, error);
            Ok(())
        }
        other => other,
    }
}

/// Checks the files of one tree.
struct Files<'a> {
    unlocked: &'a Unlocked,
    scope: &'a Scope,
    body: &'a Body,
    index: BTreeMap<PackId, u32>,
    reader: PieceReader<'a>,
    line_count: u64,
    misread: Option<Misread>,
    places: Places,
}

impl<'a> Files<'a> {
    fn new(unlocked: &'a Unlocked, scope: &'a Scope, body: &'a Body) -> Self {
        let index = (0..).zip(&body.packs).map(|(index, id)| (*id, index)).collect();
        let reader = PieceReader::new(unlocked, body.generation, Profile::File, &body.packs);
        Self {
            unlocked,
            scope,
            body,
            index,
            reader,
            line_count: 0,
            misread: None,
            places: Places::default(),
        }
    }

    /// Checks one line's file, unless a snapshot before had the same file in the same extents.
    fn check(
        &mut self,
        line: &[u8],
        proven: &mut BTreeSet<Vec<u8>>,
        collector: &Collector<'_>,
    ) -> Result<(), Error> {
        self.line_count += 1;
        let entry = match TreeEntry::parse_line(line) {
            Ok(entry) => entry,
            Err(error) => {
                Misread::add(&mut self.misread, self.line_count, error);
                return Ok(());
            }
        };
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let object = format!("{} (uploads/{path})", ObjectKey::Body(self.body.snapshot));
        // What a line that cannot be read held is not known, so neither is what leans on it.
        if let Some(wrong) = self.places.take(&entry).filter(|_| self.misread.is_none()) {
            collector.add(Code::FormatInvalid, &object, wrong);
        }
        let Kind::File(content) = &entry.kind else { return Ok(()) };
        let packs = content.extents.iter().map(|extent| extent.pack);
        let is_compared = self.scope.is_compared(packs)?;
        collector.count_file(is_compared);
        if !is_compared {
            return Ok(());
        }
        let mut identity = content.b3.as_bytes().to_vec();
        for extent in &content.extents {
            identity.extend_from_slice(extent.pack.as_bytes());
            identity.extend_from_slice(&extent.offset.to_le_bytes());
            identity.extend_from_slice(&extent.len.to_le_bytes());
        }
        let identity = blake3::hash(&identity).as_bytes().to_vec();
        if proven.contains(&identity) {
            return Ok(());
        }
        if !content.extents_fill() {
            let detail = "its extents do not add up to its size";
            collector.add(Code::NoteMismatch, object, detail);
            return Ok(());
        }
        let mut hasher = blake3::Hasher::new();
        for extent in &content.extents {
            let Some(&pack) = self.index.get(&extent.pack) else {
                let detail = format!("its pack {} is not in the body's table", extent.pack);
                collector.add(Code::NoteMismatch, object, detail);
                return Ok(());
            };
            let piece = Piece { pack, offset: extent.offset, len: extent.len };
            let read = self.reader.read::<vault::Error>(piece, |bytes| {
                hasher.update(bytes);
                Ok(())
            });
            if let Err(error) = read {
                self.reader = PieceReader::new(
                    self.unlocked,
                    self.body.generation,
                    Profile::File,
                    &self.body.packs,
                );
                return collector.add_error(object, error);
            }
        }
        if hasher.finalize() != content.b3 {
            collector.add(Code::ContentsAltered, object, "its BLAKE3 is not the archived one");
            return Ok(());
        }
        proven.insert(identity);
        Ok(())
    }
}

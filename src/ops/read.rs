//! Reading one thing out of a snapshot, in order and with bounded memory. Spec: §12.

use std::io::Write;

use super::Error;
use crate::base::{GenerationId, Profile, SnapshotId};
use crate::format::body::Body;
use crate::format::recipe::Piece;
use crate::format::tree::{FileContent, Lines};
use crate::format::{Kind, TreeEntry};
use crate::vault::stream::{PieceReader, read_stream};
use crate::vault::{self, Unlocked};

/// Writes the database dump to `out`.
///
/// Every byte was authenticated before it is written; the digest of the whole is known only at the
/// end, and until then another dump of the same generation could have been put in its place.
/// Whatever takes the bytes must do so in one transaction.
///
/// # Errors
/// If the snapshot has no dump, is damaged, or `out` fails.
pub fn cat_database(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    out: &mut dyn Write,
) -> Result<u64, Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let missing = || Error::NotInSnapshot { what: "a database dump".to_owned(), snapshot };
    let database = body.database.as_ref().ok_or_else(missing)?;
    let mut reader = PieceReader::new(unlocked, body.generation, Profile::Stream, &body.packs);
    read_stream(&mut reader, &database.stream, "db.sql", |bytes| {
        out.write_all(bytes).map_err(Error::Output)
    })?;
    out.flush().map_err(Error::Output)?;
    Ok(database.stream.len)
}

/// Visits every entry of the uploads tree in order.
///
/// # Errors
/// If the snapshot has no uploads, is damaged, or `visit` fails.
pub fn visit_tree(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    visit: impl FnMut(TreeEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let reader = PieceReader::new(unlocked, body.generation, Profile::Meta, &body.packs);
    visit_tree_in(reader, &body, visit)
}

/// Visits every entry of the uploads tree of an opened snapshot, in order.
///
/// # Errors
/// As [`visit_tree`].
pub fn visit_tree_in(
    mut reader: PieceReader<'_>,
    body: &Body,
    mut visit: impl FnMut(TreeEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let snapshot = body.snapshot;
    let missing = || Error::NotInSnapshot { what: "uploads".to_owned(), snapshot };
    let uploads = body.uploads.as_ref().ok_or_else(missing)?;
    let mut lines = Lines::new();
    read_stream::<Error>(&mut reader, &uploads.tree, "the tree of the uploads", |bytes| {
        lines.push(bytes, |line| visit(TreeEntry::parse_line(line)?))
    })?;
    Ok(lines.finish()?)
}

/// Finds one file of the uploads; a further name of a file counts as the file.
///
/// # Errors
/// If there is no such file, or the snapshot is damaged.
pub fn find_file(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    path: &[u8],
) -> Result<FileContent, Error> {
    let name = String::from_utf8_lossy(path).into_owned();
    let mut wanted = path.to_vec();
    let mut found = None;
    for _ in 0..2 {
        let mut link = None;
        visit_tree(unlocked, snapshot, |entry| {
            if entry.path == wanted {
                match entry.kind {
                    Kind::File(content) => found = Some(content),
                    Kind::Hardlink { link: first } => link = Some(first),
                    _ => {}
                }
            }
            Ok(())
        })?;
        match link {
            Some(first) => wanted = first,
            None => break,
        }
    }
    found.ok_or_else(|| Error::NotInSnapshot { what: format!("the file {name:?}"), snapshot })
}

/// Writes one file of the uploads to `out`; a further name of a file counts as the file.
///
/// # Errors
/// If there is no such file, it is damaged, or `out` fails.
pub fn cat_file(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    path: &[u8],
    out: &mut dyn Write,
) -> Result<u64, Error> {
    let name = String::from_utf8_lossy(path).into_owned();
    let content = find_file(unlocked, snapshot, path)?;
    let generation = unlocked.auditor().snapshot(snapshot)?.generation;
    read_content(unlocked, generation, &name, &content, &mut |bytes| {
        out.write_all(bytes).map_err(Error::Output)
    })?;
    out.flush().map_err(Error::Output)?;
    Ok(content.size)
}

/// Gives the bytes of a file to `take`, and checks their digest at the end.
///
/// # Errors
/// If the file is damaged, or `take` fails.
pub fn read_content(
    unlocked: &Unlocked,
    generation: GenerationId,
    name: &str,
    content: &FileContent,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let packs: Vec<_> = content.extents.iter().map(|extent| extent.pack).collect();
    let mut reader = PieceReader::new(unlocked, generation, Profile::File, &packs);
    let mut hasher = blake3::Hasher::new();
    for (pack, extent) in (0..).zip(&content.extents) {
        let piece = Piece { pack, offset: extent.offset, len: extent.len };
        reader.read(piece, |bytes| {
            hasher.update(bytes);
            take(bytes)
        })?;
    }
    let digest = |hash: blake3::Hash| Box::new(crate::base::Digest::from_bytes(*hash.as_bytes()));
    let b3 = hasher.finalize();
    if b3 != content.b3 {
        let (found, expected) = (digest(b3), digest(content.b3));
        let error = vault::Error::Contents { what: name.to_owned(), found, expected };
        return Err(unlocked.blame(error, Profile::File, packs).into());
    }
    Ok(())
}

/// Returns the first bytes of a file, at most `len`: what they are, not whether they are sound.
///
/// # Errors
/// If what holds them is damaged.
pub fn read_start(
    unlocked: &Unlocked,
    generation: GenerationId,
    content: &FileContent,
    len: u64,
) -> Result<Vec<u8>, Error> {
    let packs: Vec<_> = content.extents.iter().map(|extent| extent.pack).collect();
    let mut reader = PieceReader::new(unlocked, generation, Profile::File, &packs);
    let (mut start, mut left) = (Vec::new(), len);
    for (pack, extent) in (0..).zip(&content.extents) {
        let piece = Piece { pack, offset: extent.offset, len: extent.len.min(left) };
        left -= piece.len;
        reader.read::<Error>(piece, |bytes| {
            start.extend_from_slice(bytes);
            Ok(())
        })?;
        if left == 0 {
            break;
        }
    }
    Ok(start)
}

//! The files of the uploads: planned by the trees that name them, checked with the packs that hold
//! them, and named where they are not sound.

use std::collections::{BTreeMap, BTreeSet};

use super::Reading;
use crate::base::{Code, Coded, Digest, GenerationId, PackId, Profile};
use crate::format::body::{Body, UploadsTree};
use crate::format::recipe::Piece;
use crate::format::tree::{FileContent, Lines};
use crate::format::{Kind, ObjectKey, TreeEntry};
use crate::manifest::{Cause, Known, NewFile, PlannedFile};
use crate::ops::Error;
use crate::ops::misread::Misread;
use crate::ops::readers::read_each;
use crate::ops::verify::tree::Places;
use crate::vault;
use crate::vault::stream::{PieceReader, read_stream};

/// Files that are added to the plan at a time, unless they have very many extents.
const FILES_PLANNED_AT_ONCE: usize = 1024;
const EXTENTS_PLANNED_AT_ONCE: usize = 32 * 1024;

/// Files that are taken from the plan at a time, and those that one reader takes of them.
const PAGE_COUNT: u32 = 4096;
const READER_COUNT: usize = 64;

/// Compares the digest of a file with what was archived.
pub(super) fn judge(b3: &Digest, found: blake3::Hash) -> Result<(), Cause> {
    match b3.as_bytes() == found.as_bytes() {
        true => Ok(()),
        false => Err(cause(Code::ContentsAltered, "its BLAKE3 is not the archived one")),
    }
}

fn cause(code: Code, detail: impl ToString) -> Cause {
    Some((code.text().to_owned(), detail.to_string()))
}

/// Returns what tells a file from every other: its generation, its digest, and where its bytes are.
fn identity_of(generation: GenerationId, content: &FileContent) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(generation.to_string().as_bytes());
    hasher.update(content.b3.as_bytes());
    for extent in &content.extents {
        hasher.update(extent.pack.as_bytes());
        hasher.update(&extent.offset.to_le_bytes());
        hasher.update(&extent.len.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Returns what a finding about a file is on.
fn object_of(body: &Body, path: &[u8]) -> String {
    format!("{} (uploads/{})", ObjectKey::Body(body.snapshot), String::from_utf8_lossy(path))
}

/// Reads the tree of a body and plans its files.
pub(super) fn plan(reading: &Reading<'_>, body: &Body) -> Result<(), Error> {
    let Some(uploads) = &body.uploads else { return Ok(()) };
    let collector = reading.collector;
    let mut tree = Tree::new(reading, body);
    let read = each_line(reading, body, uploads, |line| tree.take(line));
    tree.plan()?;
    let object = format!("{} (tree)", ObjectKey::Body(body.snapshot));
    if read.is_ok() && tree.places.is_empty() && tree.misread.is_none() {
        collector.add(Code::FormatInvalid, &object, "it has no line, not even that of its root");
    }
    if let Some(misread) = &tree.misread {
        collector.touch(body.snapshot, |touched| touched.files_known = false);
        collector.add(misread.code(), &object, misread);
    }
    match read {
        Err(Error::Vault(error)) => {
            collector.touch(body.snapshot, |touched| touched.files_known = false);
            let pieces = uploads.tree.recipe.pieces().iter();
            let packs = pieces.map(|piece| body.packs[piece.pack as usize]);
            if let Some((code, detail)) = reading.cause_of(error, packs)? {
                collector.add(code, object, detail);
            }
            Ok(())
        }
        Err(Error::Tree(error)) => {
            collector.touch(body.snapshot, |touched| touched.files_known = false);
            collector.add(error.code(), object, error);
            Ok(())
        }
        other => other,
    }
}

/// Gives every line of the tree of a body to `take`.
fn each_line(
    reading: &Reading<'_>,
    body: &Body,
    uploads: &UploadsTree,
    mut take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader =
        PieceReader::new(reading.unlocked, body.generation, Profile::Meta, &body.packs);
    let mut lines = Lines::new();
    read_stream::<Error>(&mut reader, &uploads.tree, "the tree", |bytes| {
        lines.push(bytes, &mut take)
    })?;
    Ok(lines.finish()?)
}

/// Judges the lines of one tree and plans its files.
struct Tree<'a> {
    reading: &'a Reading<'a>,
    body: &'a Body,
    packs: BTreeSet<PackId>,
    generation: u32,
    line_count: u64,
    misread: Option<Misread>,
    places: Places,
    /// Files that are not in the plan yet, and how many extents they have.
    files: Vec<NewFile>,
    extent_count: usize,
}

impl<'a> Tree<'a> {
    fn new(reading: &'a Reading<'a>, body: &'a Body) -> Self {
        Self {
            reading,
            body,
            packs: body.packs.iter().copied().collect(),
            generation: reading.number_of(body.generation),
            line_count: 0,
            misread: None,
            places: Places::default(),
            files: Vec::new(),
            extent_count: 0,
        }
    }

    fn plan(&mut self) -> Result<(), Error> {
        let added = self.reading.plan().add(self.generation, &self.files);
        self.files.clear();
        self.extent_count = 0;
        Ok(added.map_err(vault::Error::from)?)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        self.line_count += 1;
        let entry = match TreeEntry::parse_line(line) {
            Ok(entry) => entry,
            Err(error) => {
                Misread::add(&mut self.misread, self.line_count, error);
                return Ok(());
            }
        };
        let wrong = |code, detail: String| {
            self.reading.collector.add(code, object_of(self.body, &entry.path), detail);
        };
        // What a line that cannot be read held is not known, so neither is what leans on it.
        let misplaced = self.places.take(&entry).map_err(vault::Error::from)?;
        if let Some(detail) = misplaced.filter(|_| self.misread.is_none()) {
            wrong(Code::FormatInvalid, detail.to_owned());
        }
        let Kind::File(content) = &entry.kind else { return Ok(()) };
        let packs = content.extents.iter().map(|extent| extent.pack);
        let is_compared = self.reading.scope.is_compared(packs)?;
        self.reading.collector.count_file(is_compared);
        if !is_compared {
            return Ok(());
        }
        if !content.extents_fill() {
            wrong(Code::NoteMismatch, "its extents do not add up to its size".to_owned());
            return Ok(());
        }
        let foreign = content.extents.iter().find(|extent| !self.packs.contains(&extent.pack));
        if let Some(extent) = foreign {
            let detail = format!("its pack {} is not in the body's table", extent.pack);
            wrong(Code::NoteMismatch, detail);
            return Ok(());
        }
        let identity = identity_of(self.body.generation, content);
        let b3 = Digest::from_bytes(*content.b3.as_bytes());
        self.extent_count += content.extents.len();
        self.files.push(NewFile { identity, b3, extents: content.extents.clone() });
        if self.files.len() < FILES_PLANNED_AT_ONCE && self.extent_count < EXTENTS_PLANNED_AT_ONCE {
            return Ok(());
        }
        self.plan()
    }
}

/// Checks the files that were not whole once every pack had passed, one by one.
pub(super) fn check_later(reading: &Reading<'_>) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = reading.plan().later(after, PAGE_COUNT).map_err(vault::Error::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        let mut groups = Vec::new();
        for of_one in page.chunk_by(|one, other| one.generation == other.generation) {
            groups.extend(of_one.chunks(READER_COUNT));
        }
        read_each(&groups, |files| check_each(reading, files))?;
    }
}

/// Checks files of one generation.
fn check_each(reading: &Reading<'_>, files: &[PlannedFile]) -> Result<(), Error> {
    let number = files.first().map_or(0, |file| file.generation);
    let Some(generation) = reading.generation(number) else { return Ok(()) };
    let packs_of = |file: &PlannedFile| file.extents.iter().map(|extent| extent.pack).collect();
    let table: BTreeSet<PackId> =
        files.iter().flat_map(|f| -> Vec<PackId> { packs_of(f) }).collect();
    let table: Vec<PackId> = table.into_iter().collect();
    let index: BTreeMap<PackId, u32> = table.iter().copied().zip(0..).collect();
    let open = || PieceReader::new(reading.unlocked, generation, Profile::File, &table);
    let (mut reader, mut found) = (open(), Vec::new());
    for file in files {
        let mut hasher = blake3::Hasher::new();
        let read = file.extents.iter().try_for_each(|extent| {
            let pack = index[&extent.pack];
            let piece = Piece { pack, offset: extent.offset, len: extent.len };
            reader.read::<vault::Error>(piece, |bytes| {
                hasher.update(bytes);
                Ok(())
            })
        });
        let judged = match read {
            Ok(()) => match judge(&file.b3, hasher.finalize()) {
                // Another pack in the place of one opens as well, and has its finding.
                Err(altered) => {
                    let is_blamed = reading.is_blamed(packs_of(file))?;
                    Err(altered.filter(|_| !is_blamed))
                }
                Ok(()) => Ok(()),
            },
            Err(error) => {
                reader = open();
                let known = reading.cause_of(error, packs_of(file))?;
                Err(known.map(|(code, detail)| (code.text().to_owned(), detail)))
            }
        };
        found.push((file.number, judged));
    }
    Ok(reading.plan().settle(&found).map_err(vault::Error::from)?)
}

/// Names the files of a body that are not sound.
pub(super) fn tell(reading: &Reading<'_>, body: &Body) -> Result<(), Error> {
    let Some(uploads) = &body.uploads else { return Ok(()) };
    let told = each_line(reading, body, uploads, |line| {
        // That a line cannot be read was found before, and costs no other line its name.
        let Ok(entry) = TreeEntry::parse_line(line) else { return Ok(()) };
        let Kind::File(content) = &entry.kind else { return Ok(()) };
        let identity = identity_of(body.generation, content);
        let known = reading.plan().known(&identity).map_err(vault::Error::from)?;
        if let Some(Known::Failed(cause)) = known {
            name_failed(reading, body, &entry.path, cause);
        }
        Ok(())
    });
    match told {
        // What is wrong with the tree itself was found before.
        Err(Error::Vault(error)) if reading.unlocked.auditor().damage(&error).is_none() => {
            Err(error.into())
        }
        Err(Error::Vault(_) | Error::Tree(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

fn name_failed(reading: &Reading<'_>, body: &Body, path: &[u8], cause: Cause) {
    reading.collector.touch(body.snapshot, |touched| {
        touched.add_file(format!("uploads/{}", String::from_utf8_lossy(path)));
    });
    let known = cause.and_then(|(text, detail)| {
        Some((*Code::ALL.iter().find(|code| code.text() == text)?, detail))
    });
    if let Some((code, detail)) = known {
        reading.collector.add(code, object_of(body, path), detail);
    }
}

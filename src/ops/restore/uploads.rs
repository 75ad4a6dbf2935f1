//! Restoring the uploads: places first, then contents pack by pack, then proof and metadata.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;

use super::scatter::{self, Job, Scatter};
use super::{Damage, Loss, Opened, PathFilter, RestoreReport, Staging};
use crate::base::limits::WINDOW_LEN;
use crate::base::{Code, Coded, Digest, Event, Observer, PackId, Profile};
use crate::format::body::UploadsTree;
use crate::format::tree::{TreeError, check_line_len};
use crate::format::{Kind, TreeEntry, tree};
use crate::ops::Error;
use crate::ops::misread::Misread;
use crate::source::Target;
use crate::source::target::{Existing, NotRestored, TargetError};
use crate::vault::stream::read_stream;
use crate::vault::{self, Unlocked};

/// Where a line of the spooled tree is.
#[derive(Clone, Copy)]
struct Line {
    offset: u64,
    len: u32,
}

/// The tree's lines in a file that has no name, and the files among them that are restored.
struct Spool {
    lines: File,
    files: Vec<Line>,
    place: std::path::PathBuf,
}

impl Spool {
    fn read(&self, line: Line) -> Result<TreeEntry, Error> {
        let mut bytes = vec![0; line.len as usize];
        let read = self.lines.read_exact_at(&mut bytes, line.offset);
        read.map_err(|cause| Error::file("read", &self.place, cause))?;
        Ok(TreeEntry::parse_line(&bytes)?)
    }
}

/// Restores the entries that `filter` chooses.
pub fn restore(
    opened: &Opened<'_>,
    uploads: &UploadsTree,
    filter: Option<&PathFilter>,
    staging: &Staging,
    report: &mut RestoreReport,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let unlocked = opened.unlocked;
    let (mut spool, lines) = match spool_tree(opened, uploads, &staging.path) {
        Ok(spooled) => spooled,
        // V-148: a dump does not need the tree.
        Err(Error::Vault(error)) => {
            report.losses.push(Loss::of("uploads", &Damage::of(unlocked, error)?));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let target = Target::open(&staging.path.join("uploads"), Existing::Refuse)?;
    let mut plan = Plan::default();
    report.losses.extend(place_all(&mut spool, lines, filter, &target, &mut plan, observer)?);
    let files = Files {
        unlocked,
        target: &target,
        spool: &spool,
        lost: Mutex::new(BTreeMap::new()),
        open: Mutex::new(None),
        observer,
    };
    plan.misfits.iter().try_for_each(|file| files.lose_misfit(*file))?;
    scatter::run(opened, Profile::File, &plan.packs, plan.jobs, &files)?;
    let problems = (0..spool.files.len())
        .into_par_iter()
        .map(|index| files.prove(index))
        .collect::<Result<Vec<_>, _>>()?;
    problems.iter().flatten().for_each(|problem| warn(problem, observer));
    let lost = files.lost.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let root = staging.path.join("uploads");
    let (gone, gone_len) = remove_lost(&spool, &lost, &plan.links, &root)?;
    target.finish()?.iter().for_each(|problem| warn(problem, observer));
    report.file_count = plan.file_count - lost.len() as u64;
    report.content_len = plan.content_len - gone_len;
    report.losses.extend(gone);
    Ok(())
}

fn warn(problem: &NotRestored, observer: &dyn Observer) {
    let cause = std::error::Error::source(problem).map(|cause| format!(": {cause}"));
    let detail = format!("{problem}{}", cause.unwrap_or_default());
    observer.observe(Event::Warning { code: problem.code(), detail });
}

/// Reads the tree stream, proven, into a spool.
fn spool_tree(
    opened: &Opened<'_>,
    uploads: &UploadsTree,
    staging: &Path,
) -> Result<(Spool, Vec<Line>), Error> {
    let wrap = |cause| Error::file("write", staging, cause);
    let lines = tempfile::tempfile_in(staging).map_err(wrap)?;
    let mut out = std::io::BufWriter::new(&lines);
    let (mut index, mut start, mut at) = (Vec::new(), 0u64, 0u64);
    let mut reader = opened.tree_reader();
    read_stream::<Error>(&mut reader, &uploads.tree, "the tree of the uploads", |bytes| {
        for (position, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let end = at + position as u64 + 1;
            check_line_len(end - start)?;
            let len = u32::try_from(end - start).map_err(|_| Error::Closed)?;
            index.push(Line { offset: start, len });
            start = end;
        }
        at += bytes.len() as u64;
        check_line_len(at - start)?;
        out.write_all(bytes).map_err(wrap)
    })?;
    if start != at {
        return Err(TreeError::Unfinished.into());
    }
    out.flush().map_err(wrap)?;
    drop(out);
    Ok((Spool { lines, files: Vec::new(), place: staging.to_owned() }, index))
}

/// What is to be done once everything has its place.
#[derive(Default)]
struct Plan {
    jobs: Vec<Job>,
    packs: Vec<PackId>,
    pack_index: BTreeMap<PackId, u32>,
    /// Files whose extents do not add up to their size.
    misfits: Vec<u32>,
    /// Further names of restored files, by their first name.
    links: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    file_count: u64,
    content_len: u64,
}

impl Plan {
    fn add_file(&mut self, entry: &TreeEntry, index: usize) -> Result<(), Error> {
        let Kind::File(content) = &entry.kind else { return Ok(()) };
        let file = u32::try_from(index).map_err(|_| Error::Closed)?;
        self.file_count += 1;
        self.content_len += content.size;
        // Bytes beyond the size would be written, and no digest covers them.
        if !content.extents_fill() {
            self.misfits.push(file);
            return Ok(());
        }
        let mut at = 0;
        for extent in &content.extents {
            let next = u32::try_from(self.packs.len()).map_err(|_| Error::Closed)?;
            let pack = *self.pack_index.entry(extent.pack).or_insert(next);
            if pack == next {
                self.packs.push(extent.pack);
            }
            self.jobs.push(Job { pack, offset: extent.offset, len: extent.len, file, at });
            at += extent.len;
        }
        Ok(())
    }
}

/// Places every chosen entry and the directories above it; returns what the tree does not say.
fn place_all(
    spool: &mut Spool,
    lines: Vec<Line>,
    filter: Option<&PathFilter>,
    target: &Target,
    plan: &mut Plan,
    observer: &dyn Observer,
) -> Result<Vec<Loss>, Error> {
    let mut above: Vec<TreeEntry> = Vec::new();
    let (mut losses, mut misread) = (Vec::new(), None);
    for (number, line) in (1..).zip(lines) {
        let entry = match spool.read(line) {
            Err(Error::Tree(error)) => {
                Misread::add(&mut misread, number, error);
                continue;
            }
            read => read?,
        };
        above.retain(|dir| is_below(&entry.path, &dir.path));
        if filter.is_some_and(|filter| !filter.matches(&entry.path)) {
            if entry.kind == Kind::Dir {
                above.push(entry);
            }
            continue;
        }
        for dir in above.drain(..) {
            place(target, &dir, observer)?;
        }
        if let Kind::Hardlink { link } = &entry.kind
            && filter.is_some_and(|filter| !filter.matches(link))
        {
            let detail = format!(
                "{:?} is a further name of {:?}, which was not chosen",
                String::from_utf8_lossy(&entry.path),
                String::from_utf8_lossy(link)
            );
            observer.observe(Event::Warning { code: Code::MetadataNotRestored, detail });
            continue;
        }
        if place(target, &entry, observer)? == Place::Missing {
            losses.push(without_directory(&entry));
            continue;
        }
        if let Kind::Hardlink { link } = &entry.kind {
            plan.links.entry(link.clone()).or_default().push(entry.path.clone());
        }
        if matches!(entry.kind, Kind::File(_)) {
            plan.add_file(&entry, spool.files.len())?;
            spool.files.push(line);
        }
    }
    losses.extend(misread.map(|misread| Loss {
        what: "uploads (some lines of the tree)".to_owned(),
        code: misread.code(),
        detail: misread.to_string(),
    }));
    Ok(losses)
}

/// Returns the loss of an entry whose directory's own line could not be read.
fn without_directory(entry: &TreeEntry) -> Loss {
    let what = format!("uploads/{}", String::from_utf8_lossy(&entry.path));
    let detail = "the tree has no directory for it".to_owned();
    Loss { what, code: Code::FormatInvalid, detail }
}

/// Where an entry went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Made,
    /// There is no directory for it.
    Missing,
}

fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with(b"/"))
}

fn place(target: &Target, entry: &TreeEntry, observer: &dyn Observer) -> Result<Place, Error> {
    let placed = match target.place(entry) {
        // Below a directory of our own nothing else is ever missing.
        Err(TargetError::Unavailable { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
            return Ok(Place::Missing);
        }
        placed => placed?,
    };
    placed.problems.iter().for_each(|problem| warn(problem, observer));
    Ok(Place::Made)
}

/// Writes contents to placed files.
struct Files<'a> {
    unlocked: &'a Unlocked,
    target: &'a Target,
    spool: &'a Spool,
    lost: Mutex<BTreeMap<u32, Loss>>,
    open: Mutex<Option<(u32, std::sync::Arc<crate::source::target::TargetFile>)>>,
    observer: &'a dyn Observer,
}

impl Files<'_> {
    fn file(&self, index: u32) -> Result<std::sync::Arc<crate::source::target::TargetFile>, Error> {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((have, file)) = open.as_ref().filter(|(have, _)| *have == index) {
            debug_assert_eq!(*have, index);
            return Ok(std::sync::Arc::clone(file));
        }
        let entry = self.spool.read(self.spool.files[index as usize])?;
        let file = std::sync::Arc::new(self.target.reopen(&entry)?);
        *open = Some((index, std::sync::Arc::clone(&file)));
        Ok(file)
    }

    fn lose_misfit(&self, file: u32) -> Result<(), Error> {
        let entry = self.spool.read(self.spool.files[file as usize])?;
        let what = String::from_utf8_lossy(&entry.path).into_owned();
        self.lose(file, &Damage::of(self.unlocked, vault::Error::Misfit { what })?);
        Ok(())
    }

    /// Reads a file back, compares its digest and restores its metadata.
    fn prove(&self, index: usize) -> Result<Vec<NotRestored>, Error> {
        let number = u32::try_from(index).map_err(|_| Error::Closed)?;
        let lost = |lost: &Mutex<BTreeMap<u32, Loss>>| {
            lost.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains_key(&number)
        };
        if lost(&self.lost) {
            return Ok(Vec::new());
        }
        let entry = self.spool.read(self.spool.files[index])?;
        let Kind::File(content) = &entry.kind else { return Ok(Vec::new()) };
        let file = self.target.reopen(&entry)?;
        let mut hasher = blake3::Hasher::new();
        let mut window =
            vec![0; WINDOW_LEN.min(usize::try_from(content.size).unwrap_or(WINDOW_LEN))];
        let mut at = 0;
        while at < content.size {
            let len = (content.size - at).min(window.len() as u64);
            let part = &mut window[..usize::try_from(len).expect("a window fits memory")];
            file.read_at(at, part)?;
            hasher.update(part);
            at += len;
        }
        let found = hasher.finalize();
        if found != content.b3 {
            let digest = |hash: blake3::Hash| Box::new(Digest::from_bytes(*hash.as_bytes()));
            let what = String::from_utf8_lossy(&entry.path).into_owned();
            let (found, expected) = (digest(found), digest(content.b3));
            let error = vault::Error::Contents { what, found, expected };
            let packs = content.extents.iter().map(|extent| extent.pack);
            let error = self.unlocked.blame(error, Profile::File, packs);
            self.lose(number, &Damage::of(self.unlocked, error)?);
            return Ok(Vec::new());
        }
        Ok(self.target.finish_file(&file, &entry))
    }
}

impl Scatter for Files<'_> {
    fn write(&self, file: u32, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file(file)?.write_at(at, bytes)?;
        self.observer.observe(Event::Advanced { len: bytes.len() as u64 });
        Ok(())
    }

    fn lose(&self, file: u32, damage: &Damage) {
        let mut lost = self.lost.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        lost.entry(file).or_insert_with(|| Loss::of("", damage));
    }
}

/// Removes every name of what is lost; returns each as a loss, and how long the files were.
fn remove_lost(
    spool: &Spool,
    lost: &BTreeMap<u32, Loss>,
    links: &BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    root: &Path,
) -> Result<(Vec<Loss>, u64), Error> {
    use std::os::unix::ffi::OsStrExt;
    let (mut losses, mut len) = (Vec::new(), 0);
    for (index, loss) in lost {
        let entry = spool.read(spool.files[*index as usize])?;
        tree::check_path(&entry.path)?;
        if let Kind::File(content) = &entry.kind {
            len += content.size;
        }
        for name in names_of(entry.path, links) {
            let path = root.join(std::ffi::OsStr::from_bytes(&name));
            std::fs::remove_file(&path).map_err(|cause| Error::file("remove", &path, cause))?;
            let what = format!("uploads/{}", String::from_utf8_lossy(&name));
            losses.push(Loss { what, ..loss.clone() });
        }
    }
    Ok((losses, len))
}

/// Returns every name of a file, its first one first. A hostile tree may give a further name as the
/// first of the next, and each of them leads to the same bytes.
fn names_of(first: Vec<u8>, links: &BTreeMap<Vec<u8>, Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let mut names = vec![first];
    let mut at = 0;
    while let Some(name) = names.get(at) {
        let further = links.get(name).into_iter().flatten();
        names.extend(further.cloned().collect::<Vec<_>>());
        at += 1;
    }
    names
}

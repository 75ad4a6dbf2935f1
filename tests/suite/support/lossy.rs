//! A disk as a power cut leaves it: what was not synced may be there, or not, or in part.
//!
//! POSIX promises no more than this: a file's bytes last once the file is synced, a name once its
//! directory is. The model learns both at the gate. SQLite is taken at its word: what it committed
//! lasts, and what it did not commit it undoes itself; so its files are those of its last commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Gate, Step};
use sha2::{Digest as _, Sha256};

use super::image::{Bytes, Image};
use super::is_long;

/// What becomes of a name or of bytes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Kept,
    Halved,
    Emptied,
}

/// Watches a disk and keeps every state in which a power cut could leave it.
#[derive(Debug)]
pub struct LossyDisk {
    places: Vec<PathBuf>,
    model: Mutex<Model>,
}

#[derive(Debug, Default)]
struct Model {
    /// Synced bytes of files, by inode.
    synced: HashMap<u64, Bytes>,
    /// Synced names of directories, by their inode.
    names: HashMap<u64, BTreeMap<OsString, Node>>,
    /// Files of databases as of their last commit.
    databases: BTreeMap<PathBuf, (u32, Bytes)>,
    /// Logs of databases, by inode, whose names are durable.
    logs: HashSet<u64>,
    // Keeps the numbers of inodes from being given to others.
    held: Vec<File>,
    seen: HashSet<[u8; 32]>,
    images: Vec<Image>,
    cut_count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    inode: u64,
    mode: u32,
    is_dir: bool,
}

/// A name that differs from what was synced: gone, new, or of another file.
struct Change {
    dir: u64,
    name: OsString,
    to: Option<Node>,
}

impl LossyDisk {
    /// Begins with everything durable that is there; the parents of all `places` are one directory.
    pub fn new(places: Vec<PathBuf>) -> Arc<Self> {
        let mut model = Model::default();
        let root = root_of(&places);
        for entry in walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap) {
            match entry.file_type().is_dir() {
                true => model.sync_names(entry.path()),
                false => model.sync_bytes(entry.path()),
            }
            if is_database(entry.path()) && !entry.path().to_string_lossy().ends_with("-shm") {
                let bytes = fs::read(entry.path()).unwrap().into();
                model.databases.insert(entry.path().to_owned(), (0o600, bytes));
            }
        }
        Arc::new(Self { places, model: Mutex::new(model) })
    }

    /// Cuts the power now, in every way.
    pub fn cut(&self) {
        let mut model = self.model.lock().unwrap();
        model.cut_count += 1;
        let real = real_names(&root_of(&self.places));
        let changes = model.changes(&real);
        let durable = model.names.clone();
        model.keep(&self.places, &durable, Data::Emptied);
        for data in [Data::Kept, Data::Halved, Data::Emptied] {
            model.keep(&self.places, &real, data);
        }
        // Each name alone, empty; at length each one whole too, and each one missing.
        for change in &changes {
            let mut only = durable.clone();
            apply(&mut only, change, &real);
            model.keep(&self.places, &only, Data::Emptied);
            if !is_long() {
                continue;
            }
            model.keep(&self.places, &only, Data::Kept);
            let mut without = real.clone();
            let before = durable.get(&change.dir).and_then(|names| names.get(&change.name));
            let back = Change { to: before.copied(), name: change.name.clone(), ..*change };
            apply(&mut without, &back, &durable);
            model.keep(&self.places, &without, Data::Kept);
        }
    }

    /// Returns how often the power was cut since the last call, and every different state that this
    /// could leave.
    pub fn images(&self) -> (usize, Vec<Image>) {
        let mut model = self.model.lock().unwrap();
        model.seen.clear();
        (std::mem::take(&mut model.cut_count), std::mem::take(&mut model.images))
    }
}

fn root_of(places: &[PathBuf]) -> PathBuf {
    places[0].parent().unwrap().to_owned()
}

fn is_database(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".sqlite"))
}

fn node_of(metadata: &fs::Metadata) -> Node {
    let mode = metadata.permissions().mode();
    Node { inode: metadata.ino(), mode, is_dir: metadata.is_dir() }
}

/// Returns the names in every directory as they are for whoever looks now.
fn real_names(root: &Path) -> HashMap<u64, BTreeMap<OsString, Node>> {
    let dirs = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let dirs = dirs.filter(|entry| entry.file_type().is_dir());
    dirs.filter_map(|dir| Some((dir.metadata().ok()?.ino(), names_in(dir.path())))).collect()
}

fn names_in(dir: &Path) -> BTreeMap<OsString, Node> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let entries = entries.filter(|entry| !is_database(&entry.path()));
    entries.filter_map(|one| Some((one.file_name(), node_of(&one.metadata().ok()?)))).collect()
}

/// Makes one change of a name; a directory that comes brings what is known of it.
fn apply(
    names: &mut HashMap<u64, BTreeMap<OsString, Node>>,
    change: &Change,
    other: &HashMap<u64, BTreeMap<OsString, Node>>,
) {
    if let Some(node) = change.to.filter(|node| node.is_dir)
        && !names.contains_key(&node.inode)
    {
        names.insert(node.inode, other.get(&node.inode).cloned().unwrap_or_default());
    }
    let dir = names.entry(change.dir).or_default();
    match change.to {
        Some(node) => dir.insert(change.name.clone(), node),
        None => dir.remove(&change.name),
    };
}

impl Model {
    fn sync_bytes(&mut self, path: &Path) {
        let file = File::open(path).unwrap();
        self.synced.insert(file.metadata().unwrap().ino(), fs::read(path).unwrap().into());
        self.held.push(file);
    }

    fn sync_names(&mut self, path: &Path) {
        let dir = File::open(path).unwrap();
        self.names.insert(dir.metadata().unwrap().ino(), names_in(path));
        self.held.push(dir);
    }

    fn commit(&mut self, path: &Path) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        self.databases.retain(|known, _| known.parent() != path.parent());
        for suffix in ["", "-wal"] {
            let path = path.with_file_name(format!("{name}{suffix}"));
            if let Ok(bytes) = fs::read(&path) {
                self.databases.insert(path, (0o600, bytes.into()));
            }
        }
        // SQLite syncs the directory in which it has made a log, and so all names in it.
        if let Ok(log) = File::open(path.with_file_name(format!("{name}-wal")))
            && self.logs.insert(log.metadata().unwrap().ino())
        {
            self.held.push(log);
            self.sync_names(path.parent().unwrap());
        }
    }

    fn changes(&self, real: &HashMap<u64, BTreeMap<OsString, Node>>) -> Vec<Change> {
        let none = BTreeMap::new();
        let mut changes = Vec::new();
        for (dir, names) in real {
            let synced = self.names.get(dir).unwrap_or(&none);
            let gone = synced.keys().filter(|name| !names.contains_key(*name));
            for name in names.keys().chain(gone) {
                let to = names.get(name).copied();
                if synced.get(name).copied() != to {
                    changes.push(Change { dir: *dir, name: name.clone(), to });
                }
            }
        }
        changes
    }

    /// Keeps what is found under these names, unless that was found before.
    fn keep(
        &mut self,
        places: &[PathBuf],
        names: &HashMap<u64, BTreeMap<OsString, Node>>,
        data: Data,
    ) {
        let root = root_of(places);
        let Ok(inode) = fs::metadata(&root).map(|metadata| metadata.ino()) else { return };
        let real = by_inode(&root);
        let mut entries = BTreeMap::new();
        let mut todo = vec![(root, inode)];
        while let Some((path, dir)) = todo.pop() {
            for (name, node) in names.get(&dir).into_iter().flatten() {
                let path = path.join(name);
                if !places.iter().any(|place| path.starts_with(place)) {
                    continue;
                }
                if node.is_dir {
                    todo.push((path.clone(), node.inode));
                    entries.insert(path, (node.mode, None));
                    continue;
                }
                let bytes = self.synced.get(&node.inode).cloned();
                let bytes = bytes.unwrap_or_else(|| unsynced(real.get(&node.inode), data));
                entries.insert(path, (node.mode, Some(bytes)));
            }
        }
        for (path, (mode, bytes)) in &self.databases {
            if entries.contains_key(path.parent().unwrap()) {
                entries.insert(path.clone(), (*mode, Some(bytes.clone())));
            }
        }
        if self.seen.insert(digest(&entries)) {
            self.images.push(Image::of(places, entries));
        }
    }
}

/// Returns what a file holds whose bytes were never synced.
fn unsynced(path: Option<&PathBuf>, data: Data) -> Bytes {
    let mut bytes = path.and_then(|path| fs::read(path).ok()).unwrap_or_default();
    match data {
        Data::Kept => {}
        Data::Halved => bytes.truncate(bytes.len() / 2),
        Data::Emptied => bytes.clear(),
    }
    bytes.into()
}

fn by_inode(root: &Path) -> HashMap<u64, PathBuf> {
    let files = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    files.filter_map(|one| Some((one.metadata().ok()?.ino(), one.into_path()))).collect()
}

fn digest(entries: &BTreeMap<PathBuf, (u32, Option<Bytes>)>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (path, (mode, bytes)) in entries {
        hasher.update(path.to_string_lossy().as_bytes());
        hasher.update(mode.to_le_bytes());
        hasher.update(blake3::hash(bytes.as_deref().unwrap_or(b"directory")).as_bytes());
    }
    hasher.finalize().into()
}

impl Gate for LossyDisk {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        self.cut();
        Ok(())
    }

    fn after(&self, step: Step<'_>) -> io::Result<()> {
        let mut model = self.model.lock().unwrap();
        match step {
            Step::SyncFile(path) => model.sync_bytes(path),
            Step::SyncDirectory(path) => model.sync_names(path),
            Step::Commit(path) => model.commit(path),
            Step::MakeDirectory(path) => {
                // A new directory is empty until it is synced, whatever its number meant before.
                let dir = File::open(path)?;
                model.names.insert(dir.metadata()?.ino(), BTreeMap::new());
                model.held.push(dir);
            }
            Step::CreateFile(_) | Step::Link(_) | Step::Rename(_) | Step::Remove(_) => {}
        }
        Ok(())
    }
}
